//! What a session is told, what it wants done, and by which rules.
//!
//! Promises: data alone; each order that is answered says by which input.
//! Elsewhere: what follows from what (`node::session`), who carries the orders out (`node::drive`).

use core::time::Duration;

use super::super::hello::Hello;
use crate::console::InputLine;
use crate::console::watch::Telling;
use crate::contract::{BlockView, Command, CommandError, NodeStatus, Reply};

/// What a session is told.
#[derive(Debug)]
pub enum In {
    /// How a client reads: always the first thing that it says.
    Hello(Result<Hello, CommandError>),
    /// The first line of the output is written: `started` of the node, `attached` of a client.
    Started,
    /// A line that wants a reply.
    Line(Box<InputLine>),
    /// No more lines will come; somebody may still read.
    InputEnded,
    /// The engine has answered.
    Reply {
        /// The number that the question had.
        id: u64,
        /// Data or refusal.
        result: Box<Result<Reply, CommandError>>,
    },
    /// What was to be written is written.
    Written,
    /// The running command is to be cancelled.
    Cancel,
    /// The node stops.
    Stop,
    /// Nobody reads any more.
    Closed,
    /// A part without which the node cannot go on has failed, and that was told.
    Failed,
    /// The time of [`super::Session::next_wakeup`] has come.
    Tick,
}

/// What a session wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Out {
    /// Take these wishes of a client; [`In::Started`] follows when its first line is written, at once if there is none.
    Greet(Hello),
    /// Hand over this many more lines as they come.
    ReadOn(usize),
    /// Have the engine carry this out; [`In::Reply`] follows.
    Ask {
        /// The number that the reply will have.
        id: u64,
        /// What is asked.
        command: Command,
    },
    /// Have the engine carry this out while another command runs; [`In::Reply`] follows.
    AskAside {
        /// The number that the reply will have.
        id: u64,
        /// A command that changes nothing, or `mine off`.
        command: Command,
    },
    /// Tell that a line waits until the running command has ended.
    TellWaits {
        /// The line that waits.
        line: LineRef,
        /// The line whose command runs.
        running: LineRef,
    },
    /// Ask the engine for the status, to tell how a long search goes; [`In::Reply`] follows.
    AskProgress {
        /// The number that the reply will have.
        id: u64,
    },
    /// Tell how a search goes, unless too much waits to be written.
    TellProgress(Box<NodeStatus>),
    /// Have the engine end the question of this number; its reply follows all the same.
    Cancel {
        /// The number of the question.
        id: u64,
    },
    /// Write this; [`In::Written`] follows.
    Write {
        /// The line that it answers.
        line: LineRef,
        /// The answer.
        body: ReplyBody,
    },
    /// Look whether the client is still there; [`In::Closed`] follows if it is not.
    CheckClient,
    /// Stop the node; [`In::Stop`] follows.
    Quit,
    /// Nothing more comes.
    End,
}

/// A line that is being answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineRef {
    /// Which line of the input, from 1.
    pub number: u64,
    /// The reply's `command`.
    pub word: Option<String>,
    /// The line as it was typed; none if it could not be kept.
    pub text: Option<String>,
    /// It was typed while another command ran, where somebody reads the replies: they repeat it.
    pub is_ahead: bool,
}

impl LineRef {
    /// The line as people know it: its text, else its word.
    #[must_use]
    pub fn typed(&self) -> &str {
        self.text.as_deref().or(self.word.as_deref()).unwrap_or("a line")
    }
}

/// An answer to a line.
#[derive(Debug, PartialEq, Eq)]
pub enum ReplyBody {
    /// A whole reply.
    Whole(Box<Result<Reply, CommandError>>),
    /// Part of a long reply.
    Part(ReplyPart),
    /// The help, about a command if there is one.
    Help(Option<String>),
    /// `watch` and `log`: the view carries them out and shows the result.
    Telling(Telling),
    /// `web`: the view asks where the page is, and shows the result.
    Web,
    /// The reply of `quit` and `detach`.
    Empty,
}

/// Part of a reply with more blocks than one turn of the engine reads.
#[derive(Debug, PartialEq, Eq)]
pub enum ReplyPart {
    /// All but the blocks that are still to be asked for.
    Open(Box<Reply>),
    /// One of them.
    Block {
        /// The block.
        view: Box<BlockView>,
        /// The reply ends with it.
        is_last: bool,
    },
    /// The reply ends before its last block.
    Broken(CommandError),
}

/// How a session reads and ends.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Stay when the input ends.
    pub daemon: bool,
    /// Stop at the first failure.
    pub strict: bool,
    /// Somebody types at a prompt: failures are no failures of the session.
    pub prompt: bool,
    /// Say how a long search goes.
    pub tells_searches: bool,
    /// Somebody types and sees the replies in words: while a long command runs, what only reads is answered at once.
    pub answers_aside: bool,
    /// How many lines may come before their turn.
    pub ahead: usize,
    /// `detach` ends the session.
    pub may_detach: bool,
    /// How long the rest of a long reply is still written after a stop.
    pub grace: Duration,
}
