//! Tools that work on a data folder while no node runs in it, and tools that describe the program itself.
//!
//! Promises: a folder is locked while it is used, and the folder of a running node is refused; all checks are those of
//! the chain itself; the exit status is the one in the contract.
//! Elsewhere: the rules (`chain`), the folder (`store`), the output formats (`contract`, `console`).
//! Spec: `proto-notes/events.md`, "Tasks".

mod about;
mod compare;
mod export;
mod folder;
mod import;
mod key;
mod lines;
mod repair;
#[cfg(test)]
pub(crate) mod tests;
mod verify;
mod verify_ahead;
mod verify_file;

use std::io::Write;

use serde::Serialize;

use crate::chain::{BodyRules, NetworkParams};
use crate::cli::{Args, Task};
use crate::console::render::{human_error, json_reply};
use crate::contract::CommandError;
use crate::types::Height;
use crate::types::hash::HashMany;

/// The exit status if a rule was broken or the system failed.
const STATUS_FAILED: u8 = 1;
/// The exit status for wrong usage.
const STATUS_USAGE: u8 = 2;
/// The exit status if the data folder is in use, damaged, of another network, or missing.
const STATUS_FOLDER: u8 = 3;

/// Why a tool failed.
#[derive(Debug)]
struct Failure {
    status: u8,
    /// The line of its input, from 1; 0 if the error is not about a line.
    line: u64,
    /// Whether the message itself says where in the input.
    is_placed: bool,
    error: CommandError,
}

impl Failure {
    fn new(status: u8, code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            status,
            line: 0,
            is_placed: false,
            error: CommandError {
                code,
                message: message.into(),
                hint: hint.into(),
            },
        }
    }

    /// The same failure with another hint.
    fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.error.hint = hint.into();
        self
    }

    fn at_line(self, line: u64) -> Self {
        Self { line, ..self }
    }

    /// The same failure, about the block in a line of the input: the message begins with both.
    fn at_block(mut self, line: u64, height: Height) -> Self {
        self.error.message = format!("line {line}, block {height}: {}", self.error.message);
        self.is_placed = true;
        self.at_line(line)
    }
}

/// The result of a tool, which is printed as JSON or in words.
trait Finding: Serialize {
    fn words(&self) -> String;
}

/// Runs a task to its end; returns the exit status.
#[must_use]
pub fn run(args: &Args, task: &Task) -> u8 {
    match task {
        Task::Export { file } => told(args, "export", export::run(args, file.as_deref())),
        Task::Import { file } => told(args, "import", import::run(args, file)),
        Task::Verify { file: Some(file), .. } => told(args, "verify", verify_file::run(args, file)),
        Task::Verify { repair: false, .. } => told(args, "verify", verify::run(args)),
        Task::Verify { repair: true, .. } => told(args, "verify", repair::run(args)),
        Task::Key { action } => told(args, "key", key::run(args, action)),
        Task::Paths => told(args, "paths", about::paths(args)),
        Task::Completions { shell } => about::completions(*shell),
        Task::Man { task } => about::man(task.as_deref()),
        Task::Ctl { .. } | Task::Attach { .. } | Task::Bench => STATUS_USAGE,
    }
}

/// Prints the result or the error of a tool, as a JSON reply or in words. None means that the tool has printed
/// everything itself.
fn told<F: Finding>(args: &Args, word: &str, result: Result<Option<F>, Failure>) -> u8 {
    let (status, line, is_placed, result) = match result {
        Ok(None) => return 0,
        Ok(Some(finding)) => (0, 0, false, Ok(finding)),
        Err(failure) => (failure.status, failure.line, failure.is_placed, Err(failure.error)),
    };
    let text = match (&result, args.json) {
        (_, true) => json_reply(line, Some(word), &result),
        (Ok(finding), false) => finding.words(),
        (Err(error), false) => {
            eprintln!("{}", human_error((line > 0 && !is_placed).then_some(line), error));
            return status;
        }
    };
    match print(&format!("{}\n", text.trim_end())) {
        0 => status,
        failed => failed,
    }
}

/// Writes to standard output; returns the exit status. A reader that closes the pipe is not an error.
fn print(text: &str) -> u8 {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("error: {error}");
            STATUS_FAILED
        }
        Ok(()) | Err(_) => 0,
    }
}

/// The checks of bodies for a network, with a fresh secret for signatures in batches.
fn rules(network: &NetworkParams) -> Result<BodyRules, Failure> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Failure::new(STATUS_FAILED, "internal", format!("no entropy: {error}"), "try again"))?;
    Ok(BodyRules::new(network, secret, HashMany::default()))
}
