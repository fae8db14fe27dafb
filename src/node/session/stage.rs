//! Where a session stands: what it waits for, and what comes after that.

use std::collections::VecDeque;

use super::io::LineRef;
use crate::console::InputLine;
use crate::types::{BlockHash, Time};

/// What a session waits for.
#[derive(Debug)]
pub(super) enum Stage {
    /// For the client to say how it reads.
    Greeting,
    /// For the first line of the output to be written.
    Starting,
    /// For a line.
    Idle,
    /// For the engine's answer.
    Asking {
        line: LineRef,
        /// The number of the question.
        id: u64,
        /// The engine was told that nobody waits any more.
        cancelled: bool,
        /// It may take long: lines that only read are answered meanwhile.
        is_long: bool,
        /// It pays: other payments may be asked about meanwhile.
        is_payment: bool,
        /// If a block of a long reply was asked for: what comes behind that block.
        rest: Option<Rest>,
    },
    /// For a text to be written.
    Writing { line: LineRef, then: AfterWrite },
    /// For the node to stop.
    Quitting,
    /// For nothing.
    Ended,
}

/// What follows when a text is written.
#[derive(Debug)]
pub(super) enum AfterWrite {
    NextLine,
    Rest(Rest),
    Quit,
    End,
}

/// A line that waits for its turn.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) input: InputLine,
    /// It came while another command ran.
    pub(super) is_ahead: bool,
}

/// Whose reply is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// The line whose turn it is.
    Main,
    /// The line that is answered aside.
    Aside,
    /// A payment of several that were asked about together.
    Payment,
}

/// The line that is answered while the command of another one runs.
#[derive(Debug)]
pub(super) struct Aside {
    pub(super) line: LineRef,
    /// The number of its question.
    pub(super) id: u64,
    /// The line itself: it waits for its turn after all if its reply turns out to be long.
    pub(super) input: InputLine,
}

/// The blocks of a long reply that are still to be asked for.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) hashes: VecDeque<BlockHash>,
    /// The reply is about the active chain, as it was when it was asked for.
    pub(super) is_chain: bool,
}

/// The questions that a session asks besides its commands: how a search goes, and whether a client is still there.
#[derive(Debug, Default)]
pub(super) struct SideQuestions {
    /// When it is told next how the running search goes.
    pub(super) progress_at: Option<Time>,
    /// The status that was asked for last to tell that, and has not come yet.
    pub(super) status_asked: Option<u64>,
    /// When it is looked next whether the client is still there.
    pub(super) look_at: Option<Time>,
}

impl SideQuestions {
    pub(super) const NONE: Self = Self {
        progress_at: None,
        status_asked: None,
        look_at: None,
    };
}
