//! The clients of a running node: `lanchain ctl` gives one command, `lanchain attach` works as at the node's prompt.
//!
//! Promises: answers go to standard output, errors and events in words to standard error, as at the node itself; the exit
//! status is the contract's; a client that is interrupted leaves the node as it was.
//! Elsewhere: which node (`store::places`), what it answers (`node::control`).
//! Spec: `proto-notes/control.md`, `proto-notes/events.md`, "Tasks".

#[cfg(unix)]
mod attach;
#[cfg(unix)]
mod completion;
#[cfg(unix)]
mod ctl;
#[cfg(unix)]
mod lines;
#[cfg(unix)]
mod several;

use std::path::{Path, PathBuf};

use super::folder_choice;
use crate::cli::{Args, Task};
use crate::console::render::escape;
#[cfg(unix)]
use crate::store::FindError;
use crate::store::{Sought, places};

/// A command failed, or the node went away.
const STATUS_FAILED: u8 = 1;
/// Wrong usage.
const STATUS_USAGE: u8 = 2;
/// No node, or several.
const STATUS_NO_NODE: u8 = 3;

/// What ends a client before it has begun.
struct Complaint {
    status: u8,
    message: String,
    hint: String,
}

/// Runs `ctl` or `attach` to its end; gives the exit status.
#[must_use]
pub fn run(args: &Args, task: &Task) -> u8 {
    #[cfg(unix)]
    let done = find(args).and_then(|folder| match task {
        Task::Ctl { command } => ctl::run(args, &folder, command),
        _ => attach::run(args, &folder, matches!(task, Task::Attach { quiet: true })),
    });
    #[cfg(not(unix))]
    let done = find(args).and_then(|_| Err(no_sockets(task)));
    done.unwrap_or_else(|complaint| {
        let message: Vec<_> = complaint.message.lines().map(escape).collect();
        eprintln!("error: {}\nhint: {}", message.join("\n"), escape(&complaint.hint));
        complaint.status
    })
}

fn find(args: &Args) -> Result<PathBuf, Complaint> {
    places::find(&folder_choice(args), &args.network, Sought::Node).map_err(|error| match error {
        #[cfg(unix)]
        FindError::Several { folders, .. } => several::told(args, &folders),
        error => Complaint {
            status: STATUS_NO_NODE,
            message: error.to_string(),
            hint: error.hint(),
        },
    })
}

fn unreachable_node(folder: &Path, error: &std::io::Error) -> Complaint {
    Complaint {
        status: STATUS_NO_NODE,
        message: format!("the node in {} cannot be reached: {error}", folder.display()),
        hint: "it may be starting or stopping: try again; its log says if it has no control socket".into(),
    }
}

/// Why neither task can be done where there are no sockets.
#[cfg(not(unix))]
fn no_sockets(_: &Task) -> Complaint {
    let error = std::io::Error::new(std::io::ErrorKind::Unsupported, "this system has no Unix sockets");
    Complaint {
        hint: "type at the node's own prompt, or start it with --exec or --json".into(),
        ..unreachable_node(Path::new("that folder"), &error)
    }
}
