//! The loop around a session: hands it what waits in its mailbox and does what it wants.
//!
//! Promises: the same for the node's console and for clients; between two inputs it waits for nothing.
//! Elsewhere: what is done when (`node::session`), how it looks (`node::view`), whose replies are whose (`node::control`).

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use super::clock::Clock;
use super::control::{ATTACH, command_id};
use super::hello::Hello;
use super::inbox::Inbox;
use super::mailbox::Mailbox;
use super::session::{In, Out, Session, is_told_by_its_reply};
use super::view::SessionView;
use crate::contract::Command;
use crate::engine::Input;

/// Carries out what a session wants.
pub(super) struct Driver {
    /// Who it is among the sessions: 0 is the node's own console.
    pub(super) number: u64,
    /// Where the session's inputs wait.
    pub(super) mailbox: Mailbox,
    /// Lets the reader hand another line over. None when there is no input.
    pub(super) more: Option<SyncSender<()>>,
    /// Where the session's commands go.
    pub(super) inbox: Arc<Inbox>,
    /// The console's mailbox, where `quit` goes.
    pub(super) node: Mailbox,
}

impl Driver {
    /// Runs a session to its end.
    pub(super) fn run(&self, session: &mut Session, view: &mut impl SessionView) {
        let clock = Clock::start();
        loop {
            while let Some(out) = session.poll_output() {
                if out == Out::End {
                    self.mailbox.close();
                    return;
                }
                self.carry_out(out, view);
            }
            let patience = session.next_wakeup().map(|at| clock.until(at));
            let input = self.mailbox.take(patience).unwrap_or(In::Tick);
            session.handle(clock.now(), input);
        }
    }

    fn carry_out(&self, out: Out, view: &mut impl SessionView) {
        match out {
            Out::Greet(hello) => self.greet(hello, view),
            Out::ReadOn(lines) => self.read_on(lines),
            Out::Ask { id, command } => {
                view.reply_tells(is_told_by_its_reply(&command));
                view.search_begins();
                self.ask(id, command);
            }
            Out::AskAside { id, command } => self.ask(id, command),
            Out::TellWaits { line, running } => view.line_waits(&line, &running),
            Out::AskProgress { id } => self.ask(id, Command::Status),
            Out::TellProgress(status) => view.search_goes_on(&status),
            Out::Cancel { id } => {
                let id = command_id(self.number, id);
                self.inbox.push(Input::Cancel { id });
            }
            Out::Write { line, body } => {
                let mailbox = self.mailbox.clone();
                let done = move || {
                    mailbox.send(In::Written);
                };
                view.write(line, body, Box::new(done));
            }
            Out::CheckClient => {
                if view.is_gone() {
                    self.mailbox.send(In::Closed);
                }
            }
            Out::Quit => {
                self.node.send(In::Stop);
            }
            Out::End => {}
        }
    }

    fn greet(&self, hello: Hello, view: &mut impl SessionView) {
        view.greet(hello);
        if hello.events {
            // The hub writes the state that the events start from, and tells when that is written.
            self.ask(ATTACH, Command::Status);
        } else {
            self.mailbox.send(In::Started);
        }
    }

    /// Asks the engine; its reply goes to the mailbox by way of the hub.
    fn ask(&self, id: u64, command: Command) {
        let id = command_id(self.number, id);
        self.inbox.push(Input::Command { id, command });
    }

    fn read_on(&self, lines: usize) {
        if let Some(more) = &self.more {
            // The reader has ended: it said so before. It never has more of these than lines to come.
            (0..lines).for_each(|_| more.try_send(()).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests;
