//! A command of the page: a session of one line.
//!
//! Promises: the same session as at every other door; the thread of a session waits for its own reader alone; a command that
//! nobody waits for any more is cancelled.
//! Elsewhere: which commands may come (`web::api`), what a session does (`node::session`).
//! Spec: `proto-notes/web.md`, "Commands".

use std::sync::Arc;

use tokio::sync::mpsc;

use super::control::{Hub, PAGE_COMMANDS_MAX, ReplyTo};
use super::drive::Driver;
use super::hello::Hello;
use super::inbox::Inbox;
use super::long_reply::line_of;
use super::mailbox::Mailbox;
use super::session::{In, LineRef, ReplyBody, ReplyPart, Session};
use super::view::{ReplyTells, SessionView};
use crate::console::input::{Content, RawLine};
use crate::console::look::Look;
use crate::console::output::{Done, LineEnd};
use crate::console::render::{self, HelpReply, QuitReply};
use crate::console::{InputLine, help};
use crate::contract::{CommandError, NodeStatus, Reply};
use crate::threads::{self, panic_point};
use crate::web::{Commands, Form, PIECES_AHEAD, Piece, Running};

/// Commands of the page, carried out by the node.
pub(super) struct HubCommands {
    pub(super) hub: Arc<Hub>,
    pub(super) inbox: Arc<Inbox>,
}

/// Says that nobody waits any more, when it is dropped.
struct Closes(Mailbox);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.send(In::Closed);
    }
}

impl Commands for HubCommands {
    fn begin(&self, line: &str, form: Form) -> Result<Running, CommandError> {
        let raw = RawLine {
            number: 1,
            content: Content::Text(line.to_owned()),
        };
        let Some(input) = InputLine::read(raw) else {
            return Err(CommandError::new("bad_argument", "the line is empty", "help"));
        };
        let mailbox = Mailbox::default();
        let reply_to = ReplyTo {
            mailbox: mailbox.clone(),
            tells: ReplyTells::default(),
        };
        let number = self.hub.enter_for_page(reply_to).ok_or_else(too_many)?;
        let (to, pieces) = mpsc::channel(PIECES_AHEAD);
        let view = PageView { form, to };
        let driver = Driver {
            number,
            mailbox: mailbox.clone(),
            more: None,
            inbox: Arc::clone(&self.inbox),
            node: self.hub.console().clone(),
        };
        for first in [In::Hello(Ok(Hello::SILENT)), In::Line(Box::new(input)), In::InputEnded] {
            mailbox.send(first);
        }
        let (hub, lost) = (Arc::clone(&self.hub), Arc::clone(&self.hub));
        let body = move || {
            panic_point("page");
            let mut view = view;
            driver.run(&mut Session::of_client(1), &mut view);
            hub.leave(driver.number);
        };
        let failed = move |reason: &str| {
            tracing::error!(reason, "a command of the page failed");
            lost.leave(number);
        };
        if let Err(error) = threads::spawn("page", body, failed) {
            self.hub.leave(number);
            return Err(CommandError::new(
                "internal",
                format!("no thread for a command: {error}"),
                "status",
            ));
        }
        Ok(Running {
            pieces,
            cancels: Box::new(Closes(mailbox)),
        })
    }
}

fn too_many() -> CommandError {
    let message = format!("{PAGE_COMMANDS_MAX} commands of pages are running, or the node is about to stop");
    CommandError::new("too_many_clients", message, "wait until one of them has ended")
}

/// A command's answer, in pieces for the server.
struct PageView {
    form: Form,
    to: mpsc::Sender<Piece>,
}

impl PageView {
    /// Waits until the reader has room. One that is gone needs nothing.
    fn give(&self, piece: Piece) {
        let _ = self.to.blocking_send(piece);
    }

    fn whole(&self, line: (u64, Option<&str>), result: Result<Reply, CommandError>) {
        let text = match (self.form, &result) {
            (Form::Reply, Ok(reply)) => {
                let words = render::drawn_reply(reply, Look::default());
                render::with_text(render::json_reply(line.0, line.1, &result), &words)
            }
            (Form::Reply, Err(_)) => render::json_reply(line.0, line.1, &result),
            (Form::Data, Ok(reply)) => render::json_data(reply),
            (Form::Data, Err(error)) => render::json_error(error),
        };
        self.give(match result {
            Ok(_) => Piece::Done(text),
            Err(error) => Piece::Refused(text, error),
        });
    }

    fn part(&self, line: (u64, Option<&str>), part: &ReplyPart) {
        let is_first = matches!(part, ReplyPart::Open(_));
        let (text, end) = match self.form {
            Form::Reply => line_of(line, part),
            Form::Data => data_of(part),
        };
        match part {
            ReplyPart::Broken(_) => self.give(Piece::Broken),
            ReplyPart::Open(_) | ReplyPart::Block { .. } if is_first => self.give(Piece::Done(text)),
            ReplyPart::Open(_) | ReplyPart::Block { .. } => self.give(Piece::More(text)),
        }
        debug_assert!(!is_first || end == LineEnd::Later, "what has one part comes whole");
    }
}

/// A part of a long reply's data.
fn data_of(part: &ReplyPart) -> (String, LineEnd) {
    match part {
        ReplyPart::Open(reply) => {
            let open = render::open_data(reply).expect("what has further blocks ends with blocks");
            (open, LineEnd::Later)
        }
        ReplyPart::Block { view, is_last: false } => (render::further_block(view), LineEnd::Later),
        ReplyPart::Block { view, is_last: true } => (render::further_block(view) + render::close_data(), LineEnd::Here),
        ReplyPart::Broken(_) => (String::new(), LineEnd::Here),
    }
}

impl SessionView for PageView {
    fn write(&mut self, line: LineRef, body: ReplyBody, done: Done) {
        let of = (line.number, line.word.as_deref());
        match body {
            ReplyBody::Whole(result) => self.whole(of, *result),
            ReplyBody::Part(part) => self.part(of, &part),
            ReplyBody::Help(about) => {
                let text = about
                    .as_deref()
                    .and_then(help::of_command)
                    .unwrap_or_else(help::overview);
                self.give(Piece::Done(render::json_reply(of.0, of.1, &Ok(HelpReply { text }))));
            }
            // Not for pages: the server lets none of these lines in.
            ReplyBody::Telling(_) | ReplyBody::Web | ReplyBody::Empty => {
                self.give(Piece::Done(render::json_reply(of.0, of.1, &Ok(QuitReply::default()))));
            }
        }
        done();
    }

    fn search_begins(&mut self) {}

    fn line_waits(&mut self, _: &LineRef, _: &LineRef) {}

    fn search_goes_on(&mut self, _: &NodeStatus) {}

    fn reply_tells(&mut self, _: bool) {}

    fn greet(&mut self, _: Hello) {}

    fn is_gone(&self) -> bool {
        self.to.is_closed()
    }
}
