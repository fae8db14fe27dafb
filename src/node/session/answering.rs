//! From a line to its reply: what is asked, what is written, and what comes after that.
//!
//! Promises: a line that was taken is asked about or answered at once; a long reply goes through the same two stages once for
//! each of its blocks, so one block is held at a time.
//! Elsewhere: what else may happen meanwhile (`node::session`).

use std::collections::VecDeque;

use super::aside::is_long;
use super::failures::interrupted;
use super::io::{LineRef, Out, ReplyBody, ReplyPart};
use super::stage::{AfterWrite, Lane, Rest, SideQuestions, Stage, Waiting};
use super::{SEARCH_TOLD_AFTER, Session};
use crate::console::{InputLine, Line};
use crate::contract::{BlockRef, Command, CommandError, MineCommand, Refusal, Reply};
use crate::node::hello::DETACH;
use crate::types::{BlockHash, Time};

impl Session {
    /// Takes the next line, if it is its turn.
    pub(super) fn take_next_line(&mut self, now: Time) {
        if !matches!(self.stage, Stage::Idle) {
            return;
        }
        match self.waiting.pop_front() {
            Some(Waiting { input, is_ahead }) => self.take(now, input, is_ahead),
            None if self.input_ended && !self.rules.daemon && self.writing.is_empty() => self.end(),
            None => {}
        }
    }

    fn take(&mut self, now: Time, input: InputLine, is_ahead: bool) {
        let InputLine {
            number,
            word,
            line,
            text,
        } = input;
        let leaves = self.rules.may_detach && word.as_deref() == Some(DETACH);
        let of = LineRef {
            number,
            word,
            text,
            is_ahead,
        };
        match line {
            _ if leaves => self.write(of, ReplyBody::Empty, AfterWrite::End),
            Ok(Line::Quit) => self.write(of, ReplyBody::Empty, AfterWrite::Quit),
            Ok(Line::Help(about)) => self.write(of, ReplyBody::Help(about), AfterWrite::NextLine),
            Ok(Line::Telling(telling)) => self.write(of, ReplyBody::Telling(telling), AfterWrite::NextLine),
            Ok(Line::Web) => self.write(of, ReplyBody::Web, AfterWrite::NextLine),
            Ok(Line::Engine(command)) => {
                let searches = matches!(command, Command::Mine(MineCommand::Count(_))) && self.rules.tells_searches;
                self.side.progress_at = searches.then(|| now.plus(SEARCH_TOLD_AFTER));
                self.ask(now, of, command, None);
            }
            Err(error) => self.fail(of, error),
        }
    }

    fn ask(&mut self, now: Time, line: LineRef, command: Command, rest: Option<Rest>) {
        let id = self.new_id();
        let is_payment = self.goes_together(&command);
        self.side.look_at = self.next_look(now);
        self.stage = Stage::Asking {
            line,
            id,
            cancelled: false,
            is_long: is_long(&command),
            is_payment,
            rest,
        };
        self.out.push_back(Out::Ask { id, command });
        if is_payment {
            self.read_behind_payment();
        }
    }

    /// The running command has this result.
    pub(super) fn answer(&mut self, now: Time, result: Result<Reply, CommandError>) {
        let Some((line, rest, is_payment)) = self.take_asking() else {
            return;
        };
        (self.side.progress_at, self.side.look_at) = (None, None);
        if self.closed.is_some() {
            return self.end();
        }
        // At a stop the last one ends the session when it is written.
        if is_payment && !(self.is_stopped() && self.has_last_payment()) {
            return self.answer_payment(now, line, result);
        }
        match (rest, result) {
            (None, Ok(reply)) if rest_of(&reply).is_empty() => {
                self.write(line, ReplyBody::Whole(Box::new(Ok(reply))), AfterWrite::NextLine);
            }
            (None, Ok(_)) if self.is_late(now) => self.fail(line, interrupted()),
            (None, Ok(reply)) => {
                let rest = Rest {
                    hashes: rest_of(&reply).iter().copied().collect::<VecDeque<BlockHash>>(),
                    is_chain: matches!(reply, Reply::Chain { .. }),
                };
                let body = ReplyBody::Part(ReplyPart::Open(Box::new(reply)));
                self.write(line, body, AfterWrite::Rest(rest));
            }
            (Some(rest), Ok(Reply::Block(mut view))) => {
                view.active |= rest.is_chain;
                let is_last = rest.hashes.is_empty();
                let then = match is_last {
                    true => AfterWrite::NextLine,
                    false => AfterWrite::Rest(rest),
                };
                let view = Box::new(view);
                self.write(line, ReplyBody::Part(ReplyPart::Block { view, is_last }), then);
            }
            (Some(_), Ok(other)) => unreachable!("a block was asked for: {other:?}"),
            (Some(_), Err(error)) => self.break_off(line, error),
            (None, Err(error)) => self.fail(line, error),
        }
    }

    /// Asks for the next block of a long reply, unless the node has been stopping for too long.
    pub(super) fn go_on(&mut self, now: Time, line: LineRef, mut rest: Rest) {
        match rest.hashes.pop_front() {
            Some(hash) if !self.is_late(now) => {
                self.ask(now, line, Command::Block(BlockRef::Hash(hash)), Some(rest));
            }
            Some(_) | None => self.cut(line),
        }
    }

    /// Ends a long reply whose grace is over, and the session.
    pub(super) fn cut_if_late(&mut self, now: Time) {
        if self.is_late(now)
            && let Some((line, _)) = self.take_writing()
        {
            self.cut(line);
        }
    }

    /// Ends a long reply in its middle, and the session.
    pub(super) fn cut(&mut self, line: LineRef) {
        self.break_off(line, interrupted());
        self.end();
    }

    /// Writes the reply of a line that was refused.
    fn fail(&mut self, line: LineRef, error: CommandError) {
        let then = self.after_failure(&error);
        self.write(line, ReplyBody::Whole(Box::new(Err(error))), then);
    }

    /// Writes that a long reply ends before its last block.
    fn break_off(&mut self, line: LineRef, error: CommandError) {
        let then = self.after_failure(&error);
        self.write(line, ReplyBody::Part(ReplyPart::Broken(error)), then);
    }

    /// Counts a failure; gives what follows it.
    pub(super) fn after_failure(&mut self, error: &CommandError) -> AfterWrite {
        match error.refusal() {
            // What a stop interrupts is no failure.
            Refusal::Interrupted if self.is_stopped() => {}
            refusal @ (Refusal::Interrupted | Refusal::Failed | Refusal::TimedOut) => self.failures.note(refusal),
        }
        match self.rules.strict {
            true => AfterWrite::End,
            false => AfterWrite::NextLine,
        }
    }

    pub(super) fn write(&mut self, line: LineRef, body: ReplyBody, then: AfterWrite) {
        let of = line.clone();
        self.out.push_back(Out::Write { line: of, body });
        self.writing.push_back(Lane::Main);
        self.stage = Stage::Writing { line, then };
    }

    pub(super) fn end(&mut self) {
        self.end_payments();
        self.end_aside();
        self.waiting.clear();
        self.side = SideQuestions::NONE;
        self.stage = Stage::Ended;
        self.out.push_back(Out::End);
    }

    /// Takes the line whose command runs out of the stage, and leaves [`Stage::Idle`].
    fn take_asking(&mut self) -> Option<(LineRef, Option<Rest>, bool)> {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Asking {
                line, rest, is_payment, ..
            } => Some((line, rest, is_payment)),
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// Takes the line whose reply is written out of the stage, and leaves [`Stage::Idle`].
    pub(super) fn take_writing(&mut self) -> Option<(LineRef, AfterWrite)> {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Writing { line, then } => Some((line, then)),
            other => {
                self.stage = other;
                None
            }
        }
    }
}

/// The blocks of a reply that are still to be asked for.
pub(super) fn rest_of(reply: &Reply) -> &[BlockHash] {
    match reply {
        Reply::Chain { rest, .. } | Reply::Mined { rest, .. } => rest,
        _ => &[],
    }
}

/// Whether the reply says all that the events of the command would say to people.
#[must_use]
pub const fn is_told_by_its_reply(command: &Command) -> bool {
    matches!(
        command,
        Command::Tx { .. } | Command::Claim(_) | Command::Mine(MineCommand::Count(1))
    )
}
