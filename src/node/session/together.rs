//! Payments that are asked about together: a line that pays goes to the engine while the disk still writes those before it,
//! so that one step of the disk serves many of them.
//!
//! Promises: each line has its reply, in the order of the lines, behind the events of its command; nothing is read behind a
//! line that is no payment before that has its reply; at most [`TOGETHER_MAX`] lines are asked about or being answered.
//! Not where somebody types, and not with `--strict`: there nothing may be done behind a failure.
//! Elsewhere: the turn of every other line (`answering`), what one step of the disk takes (`node::writer`).
//! Spec: `proto-notes/events.md`, "Reading".

use std::collections::VecDeque;

use super::failures::{engine_failed, interrupted};
use super::stage::{Lane, Stage, Waiting};
use super::{LineRef, Out, ReplyBody, Session};
use crate::console::Line;
use crate::contract::{Command, CommandError, Reply};
use crate::types::Time;

/// Payments that are on their way: twice what one step of the disk takes.
pub const TOGETHER_MAX: usize = 128;

/// The payments behind the one whose reply comes next.
#[derive(Debug, Default)]
pub(super) struct Together {
    asked: VecDeque<Asked>,
    /// Lines that will be read on for when a reply is written.
    owed: usize,
}

/// A payment that was handed to the engine before its turn.
#[derive(Debug)]
struct Asked {
    line: LineRef,
    id: u64,
    /// Its reply, if that came already.
    result: Option<Result<Reply, CommandError>>,
}

impl Together {
    pub(super) const NONE: Self = Self {
        asked: VecDeque::new(),
        owed: 0,
    };
}

impl Session {
    /// Whether a command is one of those that go together.
    pub(super) const fn goes_together(&self, command: &Command) -> bool {
        let is_typed = self.rules.prompt || self.rules.answers_aside;
        !is_typed && !self.rules.strict && matches!(command, Command::Tx { .. } | Command::Claim(_))
    }

    /// Reads on behind a payment that was asked about.
    pub(super) fn read_behind_payment(&mut self) {
        let open = self.writing.len() + self.together.asked.len() + 1;
        // A client reads ahead anyway.
        if self.rules.ahead == 1 && open < TOGETHER_MAX {
            self.out.push_back(Out::ReadOn(1));
        } else {
            self.together.owed += 1;
        }
    }

    /// A reply of one of them is written.
    pub(super) fn payment_is_written(&mut self) {
        if self.together.owed > 0 && !self.is_stopped() {
            self.together.owed -= 1;
            self.out.push_back(Out::ReadOn(1));
        }
    }

    /// Asks about the payments that wait behind one that was asked about.
    pub(super) fn take_payments(&mut self) {
        let is_payment = |stage: &Stage| {
            matches!(
                stage,
                Stage::Asking {
                    is_payment: true,
                    cancelled: false,
                    ..
                }
            )
        };
        while is_payment(&self.stage) && !self.is_stopped() && self.closed.is_none() {
            let open = self.writing.len() + self.together.asked.len() + 1;
            let Some(Waiting { input, .. }) = self.waiting.front() else {
                return;
            };
            match &input.line {
                Ok(Line::Engine(command)) if open < TOGETHER_MAX && self.goes_together(command) => {}
                Ok(_) | Err(_) => return,
            }
            let Some(Waiting { input, is_ahead }) = self.waiting.pop_front() else {
                return;
            };
            let Ok(Line::Engine(command)) = input.line else { return };
            let id = self.new_id();
            let line = LineRef {
                number: input.number,
                word: input.word,
                text: input.text,
                is_ahead,
            };
            self.out.push_back(Out::Ask { id, command });
            self.together.asked.push_back(Asked { line, id, result: None });
            self.read_behind_payment();
        }
    }

    /// Keeps a reply whose turn has not come; gives it back if it is none of these.
    pub(super) fn keep_reply(
        &mut self,
        id: u64,
        result: Result<Reply, CommandError>,
    ) -> Option<Result<Reply, CommandError>> {
        match self.together.asked.iter_mut().find(|asked| asked.id == id) {
            Some(asked) => {
                asked.result = Some(result);
                None
            }
            None => Some(result),
        }
    }

    /// The payment whose turn it is has its reply; the next one's turn comes.
    pub(super) fn answer_payment(&mut self, now: Time, line: LineRef, result: Result<Reply, CommandError>) {
        if let Err(error) = &result {
            let _ = self.after_failure(error);
        }
        self.writing.push_back(Lane::Payment);
        let body = ReplyBody::Whole(Box::new(result));
        self.out.push_back(Out::Write { line, body });
        let Some(Asked { line, id, result }) = self.together.asked.pop_front() else {
            return;
        };
        self.stage = Stage::Asking {
            line,
            id,
            cancelled: false,
            is_long: false,
            is_payment: true,
            rest: None,
        };
        if let Some(result) = result {
            self.answer(now, result);
        }
    }

    /// Whether none was asked about behind the one whose turn it is.
    pub(super) fn has_last_payment(&self) -> bool {
        self.together.asked.is_empty()
    }

    /// The engine is gone: what was asked gets no other reply.
    pub(super) fn fail_payments(&mut self) {
        for asked in &mut self.together.asked {
            asked.result.get_or_insert_with(|| Err(engine_failed()));
        }
    }

    /// The session ends: lines that were asked about have their replies all the same.
    pub(super) fn end_payments(&mut self) {
        for Asked { line, result, .. } in std::mem::take(&mut self.together.asked) {
            let result = result.unwrap_or_else(|| Err(interrupted()));
            self.writing.push_back(Lane::Payment);
            let body = ReplyBody::Whole(Box::new(result));
            self.out.push_back(Out::Write { line, body });
        }
    }
}
