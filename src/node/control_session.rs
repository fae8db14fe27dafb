//! A client of the side door: its lines are read here, and its answers get the form that it asked for.
//!
//! Promises: at most [`AHEAD_MAX`] lines are read ahead of their turn; a line that cancels overtakes them; none of it changes the
//! node's exit status.
//! Elsewhere: what is done when (`node::session`), who may come in, events (`node::control`).
//! Spec: `proto-notes/control.md`.

use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::client_words::{event_in_words, reply_in_words};
use super::clock::wall;
use super::control::{Hub, LAST_WORDS_MAX};
use super::drive::Driver;
use super::hello::{Form, Hello};
use super::long_reply::{Collected, line_of};
use super::mailbox::Mailbox;
use super::session::{In, LineRef, ReplyBody, Session};
use super::view::{ReplyTells, SessionView, waits};
use crate::console::input::{Content, LineReader, RawLine};
use crate::console::output::{Done, Sink};
use crate::console::render::{self, HelpReply, QuitReply};
use crate::console::watch::{Telling, telling_text};
use crate::console::{InputLine, help};
use crate::contract::{CommandError, NodeStatus, Reply};

/// Lines that are read before their turn: so many can be typed ahead while a cancellation is still seen. 128 KiB.
pub(super) const AHEAD_MAX: usize = 32;
/// The line that cancels the running command: what Ctrl-C types.
pub(super) const CANCEL: &str = "\u{3}";

/// The event that tells how a search goes, for sessions in words.
const SEARCHING: &str = "searching";
/// The event that repeats a line before its reply, which was typed while another command ran.
const TYPED: &str = "typed";
/// The event that tells that a line waits for another one.
const WAITS: &str = "waits";
/// Where lines of the log are to be read.
const LOG_PLACE: &str = " (its lines go to where the node was started)";
const LOG_HERE: &str = " (its lines come here, too)";

/// Reads a client's lines until they end or nobody wants more. Runs on a thread of its own.
pub(super) fn read(input: impl Read, to: &Mailbox, asked: &Receiver<()>) {
    let mut lines = LineReader::new(input);
    // Lines that are no lines of input: the hello and cancellations.
    let mut uncounted = 0;
    let mut is_first = true;
    while let Ok(Some(RawLine { number, content })) = lines.next_line() {
        let text = match &content {
            Content::Text(text) => text.as_str(),
            Content::Silent | Content::TooLong(_) | Content::NotUtf8(_) | Content::Utf16 => "",
        };
        if text == CANCEL {
            uncounted += 1;
            if !to.send(In::Cancel) {
                return;
            }
            continue;
        }
        if std::mem::take(&mut is_first) {
            let hello = Hello::read(text);
            let is_hello = hello.is_some();
            if !to.send(In::Hello(hello.unwrap_or(Ok(Hello::SILENT)))) {
                return;
            }
            if is_hello {
                lines.begin_text();
                uncounted += 1;
                continue;
            }
        }
        let number = number - uncounted;
        let Some(line) = InputLine::read(RawLine { number, content }) else {
            continue;
        };
        if asked.recv().is_err() || !to.send(In::Line(Box::new(line))) {
            return;
        }
    }
    to.send(In::InputEnded);
}

/// Serves a client until it leaves or the node stops; true if the node ends the connection itself.
pub(super) fn serve(driver: &Driver, mut view: ClientView) -> bool {
    let mut session = Session::of_client(AHEAD_MAX);
    driver.run(&mut session, &mut view);
    let stays = session.is_stopped();
    if stays {
        // The node says its last words when it has stopped, and ends the connection.
        view.hub.has_ended(driver.number);
    } else {
        let _ = view.sink.finish(LAST_WORDS_MAX);
        view.hub.leave(driver.number);
    }
    stays
}

/// A client's answers.
pub(super) struct ClientView {
    pub(super) number: u64,
    pub(super) hub: Arc<Hub>,
    pub(super) sink: Sink,
    pub(super) tells: ReplyTells,
    /// Whether the client is gone altogether.
    pub(super) has_hung_up: Box<dyn Fn() -> bool + Send>,
    pub(super) hello: Hello,
    pub(super) long: Collected,
    /// The blocks that the node had mined when the running command began.
    pub(super) mined_before: u64,
}

impl SessionView for ClientView {
    fn write(&mut self, line: LineRef, body: ReplyBody, done: Done) {
        if line.is_ahead {
            let text = format!("> {}", line.typed());
            self.sink.must(event_in_words(TYPED, wall().ms(), &text), None);
        }
        let LineRef { number, word, .. } = line;
        let word = word.as_deref();
        let text = match body {
            ReplyBody::Whole(result) => self.reply(number, word, &result),
            ReplyBody::Help(about) => self.help(number, word, about.as_deref()),
            ReplyBody::Telling(telling) => self.switch(number, word, &telling),
            ReplyBody::Web => self.page(number, word),
            ReplyBody::Empty => self.nothing(number, word),
            ReplyBody::Part(part) if self.hello.form == Form::Json => {
                let (text, end) = line_of((number, word), &part);
                return self.sink.piece(text, end, done);
            }
            ReplyBody::Part(part) => match self.long.add(part, self.hello.look()) {
                None => return done(),
                Some(Ok(text)) => reply_in_words(number, word, &text),
                Some(Err(error)) => self.reply(number, word, &Err(error)),
            },
        };
        self.sink.must(text, Some(done));
    }

    fn search_begins(&mut self) {
        self.mined_before = self.hub.mined();
    }

    fn line_waits(&mut self, line: &LineRef, running: &LineRef) {
        let words = waits(line, running, self.hub.mined().saturating_sub(self.mined_before));
        self.sink.may(event_in_words(WAITS, wall().ms(), &words));
    }

    fn search_goes_on(&mut self, status: &NodeStatus) {
        if let Some(words) = render::search(status, self.hub.halflife_ms()) {
            self.sink.may(event_in_words(SEARCHING, wall().ms(), &words));
        }
    }

    fn reply_tells(&mut self, tells: bool) {
        if tells {
            self.tells.expect();
        }
    }

    fn greet(&mut self, hello: Hello) {
        self.hello = hello;
        self.hub.set_form(self.number, hello.form);
    }

    fn is_gone(&self) -> bool {
        (self.has_hung_up)()
    }
}

impl ClientView {
    fn nothing(&self, line: u64, word: Option<&str>) -> String {
        match self.hello.form {
            Form::Json => render::json_reply(line, word, &Ok(QuitReply::default())),
            Form::Words => reply_in_words(line, word, ""),
        }
    }

    fn help(&self, line: u64, word: Option<&str>, about: Option<&str>) -> String {
        let text = about
            .and_then(help::of_command)
            .unwrap_or_else(|| help::overview_in(self.hello.look().columns));
        match self.hello.form {
            Form::Json => render::json_reply(line, word, &Ok(HelpReply { text })),
            Form::Words => reply_in_words(line, word, &render::human_help(&text)),
        }
    }

    fn switch(&self, line: u64, word: Option<&str>, telling: &Telling) -> String {
        let reply = self.hub.switch(self.number, telling);
        match self.hello.form {
            Form::Json => render::json_reply(line, word, &Ok(reply)),
            Form::Words => {
                let follows = self.hub.follows_log(self.number);
                let place = if follows { LOG_HERE } else { LOG_PLACE };
                reply_in_words(line, word, &format!("{}{place}", telling_text(&reply)))
            }
        }
    }

    fn page(&self, line: u64, word: Option<&str>) -> String {
        let result = self.hub.page().open();
        match (self.hello.form, &result) {
            (Form::Words, Ok(reply)) => reply_in_words(line, word, &render::where_it_is(reply, self.hello.look())),
            (Form::Json, _) | (_, Err(_)) => render::json_reply(line, word, &result),
        }
    }

    fn reply(&self, line: u64, word: Option<&str>, result: &Result<Reply, CommandError>) -> String {
        match (self.hello.form, result) {
            (Form::Words, Ok(reply)) => reply_in_words(line, word, &render::drawn_reply(reply, self.hello.look())),
            (Form::Json, _) | (_, Err(_)) => render::json_reply(line, word, result),
        }
    }
}
