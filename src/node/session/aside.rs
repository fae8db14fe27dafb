//! Lines that are answered while a long command runs, and those that are told that they wait.
//!
//! Promises: only where somebody types and reads the replies; one line at a time; nothing that changes anything is carried out
//! before its turn, but `mine off`; `quit` and `detach` end what runs.
//! Elsewhere: the turn of every other line (`answering`).
//! Spec: `proto-notes/events.md`, "Reading".

use super::answering::rest_of;
use super::failures::interrupted;
use super::stage::{Aside, Lane, Stage, Waiting};
use super::{LineRef, Out, ReplyBody, Session};
use crate::console::{InputLine, Line};
use crate::contract::{Command, CommandError, MineCommand, Reply};
use crate::node::hello::DETACH;

/// Lines that are told that they wait; of a paste the others are not.
const TOLD_WAITING: usize = 3;

impl Session {
    /// A line came; it may have to wait.
    pub(super) fn on_line(&mut self, input: InputLine) {
        let is_ahead = self.rules.answers_aside && !matches!(self.stage, Stage::Idle);
        if let (true, Some((running, id, cancelled))) = (is_ahead, self.long_command()) {
            if self.leaves(&input) && !cancelled {
                self.give_up(id);
            } else if !self.leaves(&input) && !self.goes_aside(&input) && self.waiting.len() < TOLD_WAITING {
                let line = line_ref(&input);
                self.out.push_back(Out::TellWaits { line, running });
            }
        }
        self.waiting.push_back(Waiting { input, is_ahead });
    }

    /// The line whose long command runs, the number of its question, and whether it was cancelled.
    fn long_command(&self) -> Option<(LineRef, u64, bool)> {
        match &self.stage {
            Stage::Asking {
                line,
                id,
                is_long: true,
                cancelled,
                rest: None,
                is_payment: _,
            } => Some((line.clone(), *id, *cancelled)),
            Stage::Asking { .. }
            | Stage::Greeting
            | Stage::Starting
            | Stage::Idle
            | Stage::Writing { .. }
            | Stage::Quitting
            | Stage::Ended => None,
        }
    }

    /// Whether a line ends the session: what runs is not waited for.
    fn leaves(&self, input: &InputLine) -> bool {
        input.line == Ok(Line::Quit) || self.rules.may_detach && input.word.as_deref() == Some(DETACH)
    }

    fn goes_aside(&self, input: &InputLine) -> bool {
        input.number != self.not_aside
            && !self.leaves(input)
            && match &input.line {
                Ok(Line::Engine(command)) => may_overtake(command),
                Ok(Line::Help(_) | Line::Telling(_) | Line::Web) | Err(_) => true,
                Ok(Line::Quit) => false,
            }
    }

    /// Answers the first line that does not have to wait.
    pub(super) fn take_aside(&mut self) {
        if !self.rules.answers_aside || self.aside.is_some() || self.is_stopped() || self.long_command().is_none() {
            return;
        }
        let Some(at) = self.waiting.iter().position(|line| self.goes_aside(&line.input)) else {
            return;
        };
        let Some(Waiting { input, .. }) = self.waiting.remove(at) else {
            return;
        };
        let line = line_ref(&input);
        match input.line.clone() {
            Ok(Line::Engine(command)) => {
                let id = self.new_id();
                self.aside = Some(Aside { line, id, input });
                self.out.push_back(Out::AskAside { id, command });
            }
            Ok(Line::Help(about)) => self.write_aside(line, ReplyBody::Help(about)),
            Ok(Line::Telling(telling)) => self.write_aside(line, ReplyBody::Telling(telling)),
            Ok(Line::Web) => self.write_aside(line, ReplyBody::Web),
            Ok(Line::Quit) => {}
            Err(error) => self.fail_aside(line, error),
        }
    }

    /// The line that is answered aside has this result.
    pub(super) fn answer_aside(&mut self, result: Result<Reply, CommandError>) {
        let Some(Aside { line, input, .. }) = self.aside.take() else {
            return;
        };
        match result {
            Ok(reply) if !rest_of(&reply).is_empty() => {
                // Its blocks would be written between other replies: it waits for its turn.
                self.not_aside = input.number;
                self.waiting.push_front(Waiting { input, is_ahead: true });
            }
            Ok(reply) => self.write_aside(line, ReplyBody::Whole(Box::new(Ok(reply)))),
            Err(error) => self.fail_aside(line, error),
        }
    }

    /// The session ends: a line that was taken has its reply all the same.
    pub(super) fn end_aside(&mut self) {
        if let Some(Aside { line, .. }) = self.aside.take() {
            self.write_aside(line, ReplyBody::Whole(Box::new(Err(interrupted()))));
        }
    }

    fn fail_aside(&mut self, line: LineRef, error: CommandError) {
        // Somebody who types goes on after a failure, also where the session is strict.
        let _ = self.after_failure(&error);
        self.write_aside(line, ReplyBody::Whole(Box::new(Err(error))));
    }

    fn write_aside(&mut self, line: LineRef, body: ReplyBody) {
        self.writing.push_back(Lane::Aside);
        self.out.push_back(Out::Write { line, body });
    }
}

fn line_ref(input: &InputLine) -> LineRef {
    LineRef {
        number: input.number,
        word: input.word.clone(),
        text: input.text.clone(),
        is_ahead: true,
    }
}

/// Whether a command may take seconds or longer.
pub(super) const fn is_long(command: &Command) -> bool {
    matches!(
        command,
        Command::Mine(MineCommand::Count(_))
            | Command::Dial { .. }
            | Command::Join(_)
            | Command::Resolve
            | Command::Wait { .. }
    )
}

/// Whether a command may overtake what runs: it changes nothing for others, or is there to end what runs.
const fn may_overtake(command: &Command) -> bool {
    command.only_reads() || matches!(command, Command::Mine(MineCommand::Off) | Command::Invite)
}
