//! The tasks of the program besides running a node; each is a word after the flags.
//!
//! Elsewhere: clients of a running node (`node::control_client`), tools on a folder (`tools`), the hash rate
//! (`miner::bench`).
//! Spec: `proto-notes/events.md`, "Tasks".

use std::path::PathBuf;

use clap::Subcommand;
use clap_complete::Shell;

/// What to do instead of running a node.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Task {
    /// Give one command to a node that runs elsewhere on this machine, and print its reply
    Ctl {
        /// The command, as typed at the prompt: lanchain ctl tx alice bob 5
        #[arg(required = true, num_args = 1.., value_name = "COMMAND", allow_negative_numbers = true)]
        command: Vec<String>,
    },
    /// Work at a node that runs elsewhere on this machine, as at its own prompt; detach or Ctrl-D leaves it running
    Attach {
        /// Replies only, no events
        #[arg(long)]
        quiet: bool,
    },
    /// Write all blocks of the active chain as JSON lines, genesis first
    Export {
        /// A file that does not exist yet; left out or -: standard output
        file: Option<PathBuf>,
    },
    /// Read blocks that were exported, each checked by the chain's rules; stops at the first that breaks one
    Import {
        /// The file; -: standard input
        file: PathBuf,
    },
    /// Replay the whole chain of a data folder, or of a file that was exported, with all checks, and compare what it says
    Verify {
        /// A file to check instead of a folder; -: standard input
        #[arg(conflicts_with = "repair")]
        file: Option<PathBuf>,
        /// Make the chain anew from the blocks that are sound, and cut off what is not: it comes back from peers
        #[arg(long)]
        repair: bool,
    },
    /// The node's key: show, export, import
    Key {
        /// What to do with it.
        #[command(subcommand)]
        action: KeyTask,
    },
    /// Print where data folders are, and which of them a node holds
    Paths,
    /// Print a script that completes this command line in a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page
    Man {
        /// The page of one task
        task: Option<String>,
    },
    /// Measure how fast this machine mines: each kernel, all threads, the time of an easy block
    Bench,
}

/// What to do with a key.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum KeyTask {
    /// Print the public key and the PeerId
    Show,
    /// Write the secret key: whoever has it has the node's identity and all its names
    Export {
        /// A file that does not exist yet; -: standard output
        file: PathBuf,
    },
    /// Make a secret key the folder's own; refused where there is one
    Import {
        /// The file, readable by nobody else; -: standard input
        file: PathBuf,
    },
}
