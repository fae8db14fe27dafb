//! How a session's answers look, and where they go: a form, a look and a sink.
//!
//! Promises: whoever shows an answer says once when it is written, and makes nobody wait for that.
//! Elsewhere: when something is shown (`node::session`), the node's own console (`node::screen`), clients
//! (`node::control_session`), words and JSON lines (`console::render`).
//! Spec: `proto-notes/events.md`, "Replies".

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::hello::Hello;
use super::long_reply::{Collected, line_of};
use super::screen::Screen;
use super::session::{LineRef, ReplyBody};
use crate::console::output::Done;
use crate::contract::NodeStatus;

/// Where a session's answers are shown.
pub(super) trait SessionView {
    /// Shows the answer to a line; `done` is called when it is written.
    fn write(&mut self, line: LineRef, body: ReplyBody, done: Done);

    /// Tells how a search goes that takes its time.
    fn search_goes_on(&mut self, status: &NodeStatus);

    /// Whether the reply to come says to people what own finds and payments would say as events.
    fn reply_tells(&mut self, tells: bool);

    /// Takes a client's wishes.
    fn greet(&mut self, hello: Hello);

    /// Whether nobody is there any more.
    fn is_gone(&self) -> bool;
}

/// Whether the reply to come says to people what own finds and payments would say as events. Set with the command by its
/// session, and taken back with the reply by the engine's thread.
#[derive(Clone, Debug, Default)]
pub struct ReplyTells(Arc<AtomicBool>);

impl ReplyTells {
    pub(super) fn set(&self, tells: bool) {
        self.0.store(tells, Ordering::SeqCst);
    }

    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// The node's own console.
pub(super) struct ConsoleView {
    screen: Screen,
    /// The network's, to say how long a search may take.
    halflife_ms: u32,
    long: Collected,
}

impl ConsoleView {
    pub(super) fn new(screen: Screen, halflife_ms: u32) -> Self {
        Self {
            screen,
            halflife_ms,
            long: Collected::default(),
        }
    }
}

impl SessionView for ConsoleView {
    fn write(&mut self, line: LineRef, body: ReplyBody, done: Done) {
        let screen = &self.screen;
        let LineRef { number, word } = line;
        let word = word.as_deref();
        match body {
            ReplyBody::Whole(result) => screen.reply(number, word, &result, done),
            ReplyBody::Help(about) => screen.help(number, word, about.as_deref(), done),
            ReplyBody::Telling(telling) => screen.switch(number, word, &telling, done),
            ReplyBody::Empty => screen.quit(number, word, done),
            ReplyBody::Part(part) if screen.is_for_programs() => {
                let (text, end) = line_of((number, word), &part);
                screen.piece(text, end, done);
            }
            ReplyBody::Part(part) => match self.long.add(part, screen.look()) {
                None => done(),
                Some(Ok(text)) => screen.words(text, done),
                Some(Err(error)) => screen.reply(number, word, &Err(error), done),
            },
        }
    }

    fn search_goes_on(&mut self, status: &NodeStatus) {
        self.screen.search_goes_on(status, self.halflife_ms);
    }

    fn reply_tells(&mut self, tells: bool) {
        self.screen.reply_tells().set(tells);
    }

    fn greet(&mut self, _: Hello) {}

    fn is_gone(&self) -> bool {
        false
    }
}
