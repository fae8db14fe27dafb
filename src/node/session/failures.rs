//! How a session went: its exit status, and its own refusals.
//!
//! Promises: the first failure decides; a part that failed counts more than any command.
//! Spec: `proto-notes/events.md`, "Stopping".

use crate::contract::{CommandError, Refusal};

/// A command failed.
const STATUS_FAILED: u8 = 1;
/// A `wait` ran out.
const STATUS_TIMEOUT: u8 = 5;
/// A part without which a node cannot go on has failed.
const STATUS_BROKEN: u8 = 6;

/// What has failed so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failures {
    /// How the first command that failed was refused.
    first: Option<Refusal>,
    /// A part without which a node cannot go on has failed.
    is_broken: bool,
}

impl Failures {
    pub(super) const NONE: Self = Self {
        first: None,
        is_broken: false,
    };

    /// A command was refused.
    pub(super) fn note(&mut self, refusal: Refusal) {
        self.first.get_or_insert(refusal);
    }

    /// A part without which a node cannot go on has failed.
    pub(super) const fn note_broken_part(&mut self) {
        self.is_broken = true;
    }

    /// The exit status. Failures at a prompt are no failures of the session.
    pub(super) const fn status(self, is_prompt: bool) -> u8 {
        match self.first {
            _ if self.is_broken => STATUS_BROKEN,
            _ if is_prompt => 0,
            None => 0,
            Some(Refusal::TimedOut) => STATUS_TIMEOUT,
            Some(Refusal::Failed | Refusal::Interrupted) => STATUS_FAILED,
        }
    }
}

/// The node stops before the command has ended.
pub(super) fn interrupted() -> CommandError {
    CommandError {
        code: Refusal::INTERRUPTED,
        message: "the node was stopped before the command had ended".into(),
        hint: "status".into(),
    }
}

/// The engine has failed and will not answer.
pub(super) fn engine_failed() -> CommandError {
    CommandError {
        code: "internal",
        message: "the node failed; this is a bug".into(),
        hint: "status".into(),
    }
}
