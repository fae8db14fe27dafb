//! How a session's answers look, and where they go: a form, a look and a sink.
//!
//! Promises: whoever shows an answer says once when it is written, and makes nobody wait for that.
//! Elsewhere: when something is shown (`node::session`), the node's own console (`node::screen`), clients
//! (`node::control_session`), words and JSON lines (`console::render`).
//! Spec: `proto-notes/events.md`, "Replies".

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::hello::Hello;
use super::long_reply::{Collected, line_of};
use super::page::Page;
use super::screen::Screen;
use super::session::{LineRef, ReplyBody};
use crate::console::output::Done;
use crate::contract::NodeStatus;

/// Where a session's answers are shown.
pub(super) trait SessionView {
    /// Shows the answer to a line; `done` is called when it is written.
    fn write(&mut self, line: LineRef, body: ReplyBody, done: Done);

    /// A command begins: blocks are counted from here on.
    fn search_begins(&mut self);

    /// Tells that a line waits until the running one has ended.
    fn line_waits(&mut self, line: &LineRef, running: &LineRef);

    /// Tells how a search goes that takes its time.
    fn search_goes_on(&mut self, status: &NodeStatus);

    /// Whether the reply to come says to people what own finds and payments would say as events.
    fn reply_tells(&mut self, tells: bool);

    /// Takes a client's wishes.
    fn greet(&mut self, hello: Hello);

    /// Whether nobody is there any more.
    fn is_gone(&self) -> bool;
}

/// How many replies are to come that say to people what own finds and payments would say as events. Set with the command by
/// its session, and taken back with the reply by the engine's thread.
#[derive(Clone, Debug, Default)]
pub struct ReplyTells(Arc<AtomicUsize>);

impl ReplyTells {
    /// One more reply tells.
    pub(super) fn expect(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// A reply has come.
    pub(super) fn came(&self) {
        let less = |count: usize| count.checked_sub(1);
        // None was expected: the reply of another kind of command.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
    }

    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }
}

/// The words for a line that waits: "`tx alice bob 5` waits for `mine 1000`, 12 blocks mined; Ctrl-C ends that".
pub(super) fn waits(line: &LineRef, running: &LineRef, mined: u64) -> String {
    let found = match (running.word.as_deref(), mined) {
        (Some("mine"), 1) => ", 1 block mined".to_owned(),
        (Some("mine"), count) => format!(", {count} blocks mined"),
        _ => String::new(),
    };
    format!(
        "`{}` waits for `{}`{found}; Ctrl-C ends that",
        line.typed(),
        running.typed()
    )
}

/// The node's own console.
pub(super) struct ConsoleView {
    screen: Screen,
    page: Arc<Page>,
    /// The network's, to say how long a search may take.
    halflife_ms: u32,
    long: Collected,
    /// The blocks that this node had mined when the running command began.
    mined_before: u64,
}

impl ConsoleView {
    pub(super) fn new(screen: Screen, page: Arc<Page>, halflife_ms: u32) -> Self {
        Self {
            screen,
            page,
            halflife_ms,
            long: Collected::default(),
            mined_before: 0,
        }
    }
}

impl SessionView for ConsoleView {
    fn write(&mut self, line: LineRef, body: ReplyBody, done: Done) {
        let screen = &self.screen;
        if line.is_ahead && screen.is_prompt() {
            screen.repeat(line.typed());
        }
        let LineRef { number, word, .. } = line;
        let word = word.as_deref();
        match body {
            ReplyBody::Whole(result) => screen.reply(number, word, &result, done),
            ReplyBody::Help(about) => screen.help(number, word, about.as_deref(), done),
            ReplyBody::Telling(telling) => screen.switch(number, word, &telling, done),
            ReplyBody::Web => screen.page(number, word, &self.page.open(), done),
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

    fn search_begins(&mut self) {
        self.mined_before = self.screen.mined();
    }

    fn line_waits(&mut self, line: &LineRef, running: &LineRef) {
        let mined = self.screen.mined().saturating_sub(self.mined_before);
        self.screen.tell_waits(&waits(line, running, mined));
    }

    fn search_goes_on(&mut self, status: &NodeStatus) {
        self.screen.search_goes_on(status, self.halflife_ms);
    }

    fn reply_tells(&mut self, tells: bool) {
        if tells {
            self.screen.reply_tells().expect();
        }
    }

    fn greet(&mut self, _: Hello) {}

    fn is_gone(&self) -> bool {
        false
    }
}
