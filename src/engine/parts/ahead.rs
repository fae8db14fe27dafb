//! What is said of own blocks from the future.
//!
//! Elsewhere: when it is said, and how they are taken off (`future`).
//! Spec: `proto-notes/consensus.md`, "Blocks from the future".

use crate::contract::CommandError;
use crate::types::Height;
use crate::types::time::span_words;

/// The most blocks that `rewind` takes off: as many as a page of headers has. More than that no clock made by mistake.
pub(crate) const REWIND_MAX: u64 = 512;

/// Blocks at the end of the chain whose time has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ahead {
    /// How many; one more than [`REWIND_MAX`] if there are more.
    pub(crate) count: u64,
    /// How far the newest is ahead of the clock.
    pub(crate) ahead_ms: u64,
    /// The newest block that is not from the future.
    pub(crate) last: Height,
}

impl Ahead {
    /// The refusal of `mine`, which would wait for hours.
    pub(crate) fn refusal(self) -> CommandError {
        CommandError::new("clock_behind_tip", self.sentence(), "rewind")
    }

    /// The sentence that tells a user of it.
    pub(crate) fn sentence(&self) -> String {
        let Self { count, ahead_ms, last } = self;
        let blocks = match count {
            1 => "the newest block is".to_owned(),
            count if *count > REWIND_MAX => format!("more than {REWIND_MAX} of the newest blocks are"),
            count => format!("the {count} newest blocks are"),
        };
        let span = span_words(*ahead_ms);
        let way = if *count > REWIND_MAX {
            format!("`rewind` takes off {REWIND_MAX} blocks at most")
        } else {
            format!("`rewind` takes the chain back to block {last}")
        };
        format!(
            "{blocks} from the future, by {span}: made while a clock was ahead. Other nodes take them only when their time \
             comes, and nothing can be mined on them before; if this clock is right, {way}"
        )
    }
}
