//! A session: takes lines one at a time, has each carried out and its reply written, and ends with an exit status.
//!
//! Whoever gives a node commands has one: its own console, a program at the socket, `attach`; a page would be one more. A
//! session decides and does nothing itself: it has no channel, thread or clock. Its driver
//! 1. calls [`Session::handle`] with each input and the time;
//! 2. carries out what [`Session::poll_output`] gives, in that order, until it gives nothing;
//! 3. waits for the next input, at most until [`Session::next_wakeup`], and then sends [`In::Tick`].
//!
//! | wanted | answered by |
//! |---|---|
//! | [`Out::Greet`]: take a client's wishes, begin its output | [`In::Started`] |
//! | [`Out::ReadOn`]: hand over more lines | [`In::Line`] for each as it comes, [`In::InputEnded`] behind the last |
//! | [`Out::Ask`], [`Out::AskAside`], [`Out::AskProgress`]: a question for the engine | [`In::Reply`] with its number, once |
//! | [`Out::Cancel`]: nobody waits for that question any more | the reply of the question, sooner |
//! | [`Out::Write`]: a reply, or a part of one | [`In::Written`], when its reader has it |
//! | [`Out::CheckClient`]: is the client still there? | [`In::Closed`] if not |
//! | [`Out::Quit`]: the node shall stop | [`In::Stop`] |
//! | [`Out::TellProgress`], [`Out::TellWaits`], [`Out::End`] | nothing |
//!
//! [`In::Cancel`], [`In::Stop`], [`In::Closed`] (nobody reads any more) and [`In::Failed`] may come at any time. An input that does
//! not fit has no effect. A driver of a client that sends no such thing as a first line gives [`In::Hello`] itself.
//!
//! Promises:
//! - Each line that was taken has exactly one reply, in the order of the lines; a line begins when the reply before it is
//!   written, but payments of programs go together (`together`). Where somebody types and reads ([`Rules::answers_aside`]), a line that only reads is answered while a long
//!   command runs, one at a time. Lines that nobody wants to hear the replies of (behind `quit` or `detach`, behind a failure with `strict`, at a
//!   stop) are not taken.
//! - No more lines are read on for than [`Rules::ahead`] beyond those that were answered, and no more than three questions wait
//!   for the engine: so what waits in memory for a session has a limit.
//! - A cancellation means the command that runs; when nobody reads any more, the command that runs is cancelled.
//! - A stop during a command ends that command first. It waits [`CANCEL_MAX`] at most for it and for a reader of its reply.
//! - The first failure decides the status. [`Out::End`] comes once, and is the last.
//!
//! Elsewhere: from a line to its reply (`answering`), what is answered meanwhile (`aside`), who feeds it (`node::drive`), how replies look (`node::view`), what lines
//! mean (`console::parse`), what commands do (`engine`).
//! Spec: `proto-notes/events.md`, `proto-notes/control.md`. Why it is cut so: `proto-notes/decisions/session.md`.

mod answering;
mod aside;
mod failures;
mod io;
mod stage;
mod together;

use core::time::Duration;
use std::collections::VecDeque;

pub use self::answering::is_told_by_its_reply;
use self::failures::{Failures, engine_failed, interrupted};
pub use self::io::{In, LineRef, Out, ReplyBody, ReplyPart, Rules};
use self::stage::{AfterWrite, Aside, Lane, SideQuestions, Stage, Waiting};
pub use self::together::TOGETHER_MAX;
use self::together::Together;
use super::hello::{Form, HELLO, Hello};
use crate::contract::{CommandError, Reply};
use crate::types::Time;

/// How long a stop waits for the running command to say that it was interrupted, and for its reply to be written.
pub const CANCEL_MAX: Duration = Duration::from_secs(2);
/// After this time a `mine` says how it goes: most searches at the floor have ended by then.
const SEARCH_TOLD_AFTER: Duration = Duration::from_secs(2);
/// How often a long `mine` says it again.
const SEARCH_TOLD_EVERY: Duration = Duration::from_secs(10);
/// How often it is looked whether a client that sends no more still waits for the reply.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A session, from its first line to its exit status.
#[derive(Debug)]
pub struct Session {
    rules: Rules,
    stage: Stage,
    /// Lines whose turn has not come. Whoever hands them over limits them: [`Rules::ahead`], or the prompt.
    waiting: VecDeque<Waiting>,
    aside: Option<Aside>,
    together: Together,
    /// The number of the last line that was found too long to be answered aside.
    not_aside: u64,
    /// Whose replies are being written, in order.
    writing: VecDeque<Lane>,
    next_id: u64,
    side: SideQuestions,
    input_ended: bool,
    stopped: Option<Time>,
    closed: Option<Time>,
    failures: Failures,
    out: VecDeque<Out>,
}

impl Session {
    /// The node's own console's: waits for [`In::Started`].
    #[must_use]
    pub const fn of_console(rules: Rules) -> Self {
        Self::new(rules, Stage::Starting)
    }

    /// A client's: waits for [`In::Hello`]. `ahead` lines are taken before their turn.
    #[must_use]
    pub const fn of_client(ahead: usize) -> Self {
        let rules = Rules {
            daemon: false,
            strict: false,
            prompt: false,
            tells_searches: false,
            answers_aside: false,
            ahead,
            may_detach: true,
            grace: Duration::ZERO,
        };
        Self::new(rules, Stage::Greeting)
    }

    const fn new(rules: Rules, stage: Stage) -> Self {
        Self {
            rules,
            stage,
            waiting: VecDeque::new(),
            aside: None,
            together: Together::NONE,
            not_aside: 0,
            writing: VecDeque::new(),
            next_id: 1,
            side: SideQuestions::NONE,
            input_ended: false,
            stopped: None,
            closed: None,
            failures: Failures::NONE,
            out: VecDeque::new(),
        }
    }

    /// Takes what happened. After [`Out::End`] nothing has an effect.
    pub fn handle(&mut self, now: Time, input: In) {
        if matches!(self.stage, Stage::Ended) {
            return;
        }
        match input {
            In::Hello(hello) => self.on_hello(hello),
            In::Started => self.on_started(),
            In::Line(line) => self.on_line(*line),
            In::InputEnded => self.on_input_ended(now),
            In::Reply { id, result } => self.on_reply(now, id, *result),
            In::Written => self.on_written(now),
            In::Cancel => self.on_cancel(),
            In::Stop => self.on_stop(now),
            In::Closed => self.on_closed(now),
            In::Failed => self.on_failed(now),
            In::Tick => self.on_tick(now),
        }
        self.take_next_line(now);
        self.take_payments();
        self.take_aside();
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Out> {
        self.out.pop_front()
    }

    /// When [`In::Tick`] is wanted if nothing else happens.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        match &self.stage {
            Stage::Asking { .. } => {
                let (progress_at, look_at) = (self.side.progress_at, self.side.look_at);
                [self.give_up_at(), progress_at, look_at].into_iter().flatten().min()
            }
            Stage::Writing {
                then: AfterWrite::Rest(_),
                ..
            } => self.cut_at(),
            Stage::Writing { .. } => self.give_up_at(),
            Stage::Greeting | Stage::Starting | Stage::Idle | Stage::Quitting | Stage::Ended => None,
        }
    }

    /// The exit status that the session gives.
    #[must_use]
    pub fn status(&self) -> u8 {
        self.failures.status(self.rules.prompt)
    }

    /// Whether it ended because the node stops.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    fn on_hello(&mut self, hello: Result<Hello, CommandError>) {
        match (&self.stage, hello) {
            (Stage::Greeting, Ok(hello)) => {
                self.rules.strict = hello.strict;
                self.rules.tells_searches = hello.events && hello.form == Form::Words;
                self.rules.answers_aside = hello.form == Form::Words && hello.prompt;
                self.stage = Stage::Starting;
                self.out.push_back(Out::Greet(hello));
            }
            (Stage::Greeting, Err(error)) => {
                let line = LineRef {
                    number: 0,
                    word: Some(HELLO.into()),
                    text: None,
                    is_ahead: false,
                };
                self.write(line, ReplyBody::Whole(Box::new(Err(error))), AfterWrite::End);
                self.end();
            }
            // Only the first line is a hello.
            (
                Stage::Starting
                | Stage::Idle
                | Stage::Asking { .. }
                | Stage::Writing { .. }
                | Stage::Quitting
                | Stage::Ended,
                _,
            ) => {}
        }
    }

    fn on_started(&mut self) {
        match self.stage {
            // The first line comes within seconds and is the first all the same.
            Stage::Starting if self.is_stopped() => self.end(),
            Stage::Starting => {
                self.stage = Stage::Idle;
                self.out.push_back(Out::ReadOn(self.rules.ahead));
            }
            Stage::Greeting
            | Stage::Idle
            | Stage::Asking { .. }
            | Stage::Writing { .. }
            | Stage::Quitting
            | Stage::Ended => {}
        }
    }

    fn on_input_ended(&mut self, now: Time) {
        self.input_ended = true;
        match self.stage {
            Stage::Greeting | Stage::Quitting => self.end(),
            Stage::Asking { .. } => self.side.look_at = self.next_look(now),
            Stage::Starting | Stage::Idle | Stage::Writing { .. } | Stage::Ended => {}
        }
    }

    fn on_reply(&mut self, now: Time, id: u64, result: Result<Reply, CommandError>) {
        if self.aside.as_ref().is_some_and(|aside| aside.id == id) {
            return self.answer_aside(result);
        }
        let is_status = self.side.status_asked.take_if(|asked| *asked == id).is_some();
        let Stage::Asking { id: asked, .. } = self.stage else {
            // The search that a status was asked for has ended.
            return;
        };
        if id == asked {
            return self.answer(now, result);
        }
        match self.keep_reply(id, result) {
            None => {}
            // Numbers grow: one below the command's was asked for the search before.
            Some(Ok(Reply::Status(status))) if is_status && id > asked && self.side.progress_at.is_some() => {
                self.out.push_back(Out::TellProgress(status));
            }
            Some(Ok(_) | Err(_)) => {}
        }
    }

    fn on_written(&mut self, now: Time) {
        match self.writing.pop_front() {
            Some(Lane::Aside) => return self.out.push_back(Out::ReadOn(1)),
            Some(Lane::Payment) => return self.payment_is_written(),
            Some(Lane::Main) | None => {}
        }
        let Some((line, then)) = self.take_writing() else {
            return;
        };
        match then {
            AfterWrite::Rest(rest) => self.go_on(now, line, rest),
            AfterWrite::NextLine if !self.is_stopped() => self.out.push_back(Out::ReadOn(1)),
            AfterWrite::Quit if !self.is_stopped() => {
                self.stage = Stage::Quitting;
                self.out.push_back(Out::Quit);
                if self.input_ended {
                    self.end();
                }
            }
            AfterWrite::NextLine | AfterWrite::Quit | AfterWrite::End => self.end(),
        }
    }

    fn on_cancel(&mut self) {
        let may_cancel = !self.is_stopped();
        match &mut self.stage {
            Stage::Asking { id, cancelled, .. } if may_cancel && !*cancelled => {
                *cancelled = true;
                let id = *id;
                self.out.push_back(Out::Cancel { id });
            }
            // It came after its time, or once more.
            Stage::Asking { .. }
            | Stage::Greeting
            | Stage::Starting
            | Stage::Idle
            | Stage::Writing { .. }
            | Stage::Quitting
            | Stage::Ended => {}
        }
    }

    fn on_stop(&mut self, now: Time) {
        let is_first = !self.is_stopped();
        self.stopped.get_or_insert(now);
        match &self.stage {
            Stage::Asking { id, .. } if is_first => {
                let id = *id;
                self.give_up(id);
            }
            Stage::Writing {
                then: AfterWrite::Rest(_),
                ..
            } => self.cut_if_late(now),
            Stage::Greeting | Stage::Idle | Stage::Writing { .. } | Stage::Quitting => self.end(),
            Stage::Asking { .. } | Stage::Starting | Stage::Ended => {}
        }
    }

    fn on_closed(&mut self, now: Time) {
        let is_first = self.closed.is_none();
        self.closed.get_or_insert(now);
        match &self.stage {
            Stage::Asking { id, .. } if is_first => {
                let id = *id;
                self.give_up(id);
            }
            Stage::Greeting | Stage::Starting | Stage::Idle | Stage::Writing { .. } | Stage::Quitting => self.end(),
            Stage::Asking { .. } | Stage::Ended => {}
        }
    }

    /// Has the running command ended, for which nobody waits much longer.
    fn give_up(&mut self, id: u64) {
        (self.side.progress_at, self.side.look_at) = (None, None);
        self.out.push_back(Out::Cancel { id });
    }

    fn on_failed(&mut self, now: Time) {
        self.failures.note_broken_part();
        self.stopped.get_or_insert(now);
        match &self.stage {
            Stage::Asking { .. } => {
                self.fail_payments();
                self.answer(now, Err(engine_failed()));
            }
            Stage::Writing {
                line,
                then: AfterWrite::Rest(_),
            } => {
                let line = line.clone();
                self.cut(line);
            }
            Stage::Greeting | Stage::Starting | Stage::Idle | Stage::Writing { .. } | Stage::Quitting => self.end(),
            Stage::Ended => {}
        }
    }

    fn on_tick(&mut self, now: Time) {
        let has_come = |at: Option<Time>| at.is_some_and(|at| at <= now);
        match &self.stage {
            Stage::Asking { .. } if has_come(self.give_up_at()) => self.answer(now, Err(interrupted())),
            Stage::Asking { .. } => {
                if has_come(self.side.progress_at) {
                    self.side.progress_at = Some(now.plus(SEARCH_TOLD_EVERY));
                    // An engine that has not answered the last one yet is asked no more.
                    if self.side.status_asked.is_none() {
                        let id = self.new_id();
                        self.side.status_asked = Some(id);
                        self.out.push_back(Out::AskProgress { id });
                    }
                }
                if has_come(self.side.look_at) {
                    self.side.look_at = self.next_look(now);
                    self.out.push_back(Out::CheckClient);
                }
            }
            Stage::Writing {
                then: AfterWrite::Rest(_),
                ..
            } => self.cut_if_late(now),
            Stage::Writing { .. } if has_come(self.give_up_at()) => self.end(),
            Stage::Writing { .. }
            | Stage::Greeting
            | Stage::Starting
            | Stage::Idle
            | Stage::Quitting
            | Stage::Ended => {}
        }
    }

    const fn new_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// When the running command, or the reader of its reply, is no longer waited for.
    fn give_up_at(&self) -> Option<Time> {
        let ends = [self.stopped, self.closed].into_iter().flatten().min();
        ends.map(|at| at.plus(CANCEL_MAX))
    }

    /// A client that sends no more is looked for while its command runs.
    fn next_look(&self, now: Time) -> Option<Time> {
        let is_waited_for = self.input_ended && self.give_up_at().is_none();
        is_waited_for.then(|| now.plus(LOOK_EVERY))
    }

    /// When the rest of a long reply is no longer written.
    fn cut_at(&self) -> Option<Time> {
        self.stopped.map(|at| at.plus(self.rules.grace))
    }

    fn is_late(&self, now: Time) -> bool {
        self.cut_at().is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
pub(in crate::node) mod tests;
