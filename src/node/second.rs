//! A start beside a node that runs already: whether that node was meant, and what to say.
//!
//! Promises: `--exec` that means a running node is refused before anything is changed; piped commands go on with a warning.
//! Elsewhere: which node is meant (`store::places`), the line for it (`cli`).
//! Spec: `proto-notes/events.md`, "Command line".

use std::io::IsTerminal;

use super::StartError;
use crate::cli::{Args, DataFolder, shell_word};
use crate::console::input::split_exec;
use crate::store::{FoundFolder, places};

/// The code of the warning that a second node was started.
const SECOND_NODE: &str = "second_node";
/// The most commands that are repeated in a hint.
const COMMANDS_MAX: usize = 8;

/// A node that runs, and that the start would mean.
struct Meant {
    node: FoundFolder,
    /// Whether it is the only one of its network.
    is_only: bool,
}

/// Looks for a node that is meant.
///
/// # Errors
/// [`StartError::Beside`]: it is meant by `--exec`.
pub(super) fn look(args: &Args) -> Result<Option<(&'static str, String)>, StartError> {
    let is_chosen = !matches!(args.folder, DataFolder::Slot) || args.name.is_some();
    let is_piped = args.exec.is_none() && !std::io::stdin().is_terminal();
    if is_chosen || (args.exec.is_none() && !is_piped) {
        return Ok(None);
    }
    let Ok(data_dir) = places::data_dir() else {
        return Ok(None);
    };
    let Some((node, is_only)) = places::meant(&data_dir, &args.network) else {
        return Ok(None);
    };
    let meant = Meant { node, is_only };
    match &args.exec {
        Some(commands) => Err(StartError::Beside {
            message: format!(
                "{}, and --exec would start a second one; --name NAME, --data-dir DIR or --temp says that this is wanted",
                meant.told()
            ),
            hint: meant.lines(args, commands),
        }),
        None => Ok(Some((SECOND_NODE, meant.warning(args)))),
    }
}

impl Meant {
    fn told(&self) -> String {
        let process = self.node.pid.map_or(String::new(), |pid| format!(" (process {pid})"));
        format!(
            "a node of this network runs already in {}{process}",
            self.node.path.display()
        )
    }

    fn warning(&self, args: &Args) -> String {
        // The line comes first: what is told in words has a maximum length.
        format!(
            "this is a second node; for a command to the first: {} COMMAND; {}",
            self.ctl(args),
            self.told()
        )
    }

    /// The line with `ctl` up to the command.
    fn ctl(&self, args: &Args) -> String {
        let mut line = format!("lanchain ctl{}", args.network_flag());
        let name = self.node.path.file_name().map(|name| name.to_string_lossy());
        if let Some(name) = name.filter(|_| !self.is_only) {
            line.push_str(&format!(" --name {}", shell_word(&name)));
        }
        if args.json {
            line.push_str(" --json");
        }
        line
    }

    /// A line with `ctl` for each command.
    fn lines(&self, args: &Args, commands: &str) -> String {
        let typed = split_exec(commands).into_iter().filter_map(|command| command.text);
        let words = |text: String| text.split_whitespace().map(shell_word).collect::<Vec<_>>().join(" ");
        let lines: Vec<_> = typed
            .take(COMMANDS_MAX)
            .map(|text| format!("{} {}", self.ctl(args), words(text)))
            .collect();
        match lines.len() {
            0 => format!("{} COMMAND", self.ctl(args)),
            _ => lines.join("; "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(is_only: bool) -> Meant {
        let node = FoundFolder {
            path: "/home/a/.local/share/lanchain/lan-1/node".into(),
            running: true,
            pid: Some(7),
        };
        Meant { node, is_only }
    }

    fn args(line: &[&str]) -> Args {
        Args::read([&["lanchain"], line].concat()).expect("nothing is wrong")
    }

    #[test]
    fn each_command_of_exec_is_told_as_a_line_for_the_running_node() {
        let lines = |is_only, line: &[&str], commands| meant(is_only).lines(&args(line), commands);
        assert_eq!(lines(true, &[], "balance bob"), "lanchain ctl balance bob");
        assert_eq!(
            lines(true, &["--network", "dev:a", "--json"], "tx alice bob 5; # note; mine"),
            "lanchain ctl --network dev:a --json tx alice bob 5; lanchain ctl --network dev:a --json mine"
        );
        assert_eq!(lines(false, &[], "mine"), "lanchain ctl --name node mine");
        assert_eq!(lines(true, &[], ";"), "lanchain ctl COMMAND");
        let warning = meant(true).warning(&args(&[]));
        assert!(
            warning.contains("(process 7)") && warning.contains("lanchain ctl COMMAND; a node"),
            "{warning}"
        );
    }

    #[test]
    fn a_line_for_the_running_node_is_one_that_the_command_line_takes() {
        let line = meant(false).lines(&args(&["--network", "dev:a"]), "wait peers 0 1");
        let words: Vec<&str> = line.split_whitespace().collect();
        let read = Args::read(words).expect("it can be typed");
        assert_eq!(read.network.label(), "dev:a");
        assert!(matches!(read.task, Some(crate::cli::Task::Ctl { command }) if command.join(" ") == "wait peers 0 1"));
    }
}
