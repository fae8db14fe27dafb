//! The session: takes one line at a time, has it carried out, writes the answer, and ends with an exit status.
//!
//! Promises: each command has exactly one reply, in order; the next line is taken when the reply before it is written;
//! a stop during a command ends that command first; the first failure decides the status.
//! Elsewhere: what lines mean and how answers look (`console`), what commands do (`engine`).
//! Spec: `proto-notes/events.md`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender};
use std::time::{Duration, Instant};

use super::inbox::Inbox;
use super::long_reply::{self, Teller};
use super::screen::Screen;
use crate::console::output::{Done, LineEnd};
use crate::console::{InputLine, Line};
use crate::contract::{Command, CommandError, MineCommand, Reply};
use crate::engine::Input;

/// How long a stop waits for the running command to say that it was interrupted.
const CANCEL_MAX: Duration = Duration::from_secs(2);
/// After this time a `mine` says how it goes: most searches at the floor have ended by then.
const SEARCH_TOLD_AFTER: Duration = Duration::from_secs(2);
/// How often a long `mine` says it again.
const SEARCH_TOLD_EVERY: Duration = Duration::from_secs(10);
/// Without a stop the reader takes its time.
const LONG: Duration = Duration::from_secs(3_600);
/// A command failed.
const STATUS_FAILED: u8 = 1;
/// A `wait` ran out.
const STATUS_TIMEOUT: u8 = 5;
/// A part without which a node cannot go on has failed.
const STATUS_BROKEN: u8 = 6;

/// What reaches the session.
#[derive(Debug)]
pub enum Message {
    /// The node listens.
    Started,
    /// A line that wants a reply.
    Line(Box<InputLine>),
    /// No more lines will come.
    InputEnded,
    /// The engine has answered.
    Reply {
        /// The command's id.
        id: u64,
        /// Data or refusal.
        result: Box<Result<Reply, CommandError>>,
    },
    /// The reply is written.
    Written,
    /// Ctrl-C at a prompt while a command runs.
    Cancel,
    /// SIGINT without a prompt.
    Interrupt,
    /// SIGTERM, SIGHUP, Ctrl-C at an idle prompt, Ctrl-D, or nobody reads the output.
    Stop,
    /// A part without which the node cannot go on has failed, and that was told.
    Failed,
}

/// How a session ends and when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Stay when the input ends.
    pub daemon: bool,
    /// Stop at the first failure.
    pub strict: bool,
    /// Somebody types at a prompt: failures are no failures of the session.
    pub prompt: bool,
    /// The network's, to say how long a search may take.
    pub halflife_ms: u32,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    End,
}

/// The session's state.
pub struct Session {
    messages: Receiver<Message>,
    /// Lines entered at a prompt while another one is carried out; the prompt limits them.
    waiting: VecDeque<InputLine>,
    to_self: Sender<Message>,
    /// Lets the reader take the next line. None when there is no input.
    more: Option<SyncSender<()>>,
    inbox: Arc<Inbox>,
    screen: Screen,
    rules: Rules,
    next_id: u64,
    status: Option<u8>,
    stopping: bool,
    /// When a stop no longer waits for the reply that is being written.
    give_up: Option<Instant>,
    is_broken: bool,
}

impl Session {
    /// Made before anything runs; `more` wakes the reader of lines.
    #[must_use]
    pub fn new(
        (to_self, messages): (Sender<Message>, Receiver<Message>),
        more: Option<SyncSender<()>>,
        inbox: Arc<Inbox>,
        screen: Screen,
        rules: Rules,
    ) -> Self {
        Self {
            messages,
            waiting: VecDeque::new(),
            to_self,
            more,
            inbox,
            screen,
            rules,
            next_id: 1,
            status: None,
            stopping: false,
            give_up: None,
            is_broken: false,
        }
    }

    /// Runs until the input ends or somebody stops the node; gives the exit status.
    pub fn run(&mut self) -> u8 {
        if self.wait_for_start() == Next::GoOn {
            self.ask_for_line();
            while self.step() == Next::GoOn {}
        }
        if self.is_broken {
            return STATUS_BROKEN;
        }
        self.status.filter(|_| !self.rules.prompt).unwrap_or(0)
    }

    fn wait_for_start(&mut self) -> Next {
        loop {
            match self.messages.recv() {
                Ok(Message::Started) if self.stopping => return Next::End,
                Ok(Message::Started) => return Next::GoOn,
                // `started` comes within seconds and is the first line all the same.
                Ok(Message::Stop | Message::Interrupt) => self.stopping = true,
                Ok(Message::Failed) | Err(_) => return self.broken(),
                Ok(
                    Message::Line(_) | Message::InputEnded | Message::Reply { .. } | Message::Written | Message::Cancel,
                ) => {}
            }
        }
    }

    /// Waits for one message while no command runs.
    fn step(&mut self) -> Next {
        // Before any message: a Ctrl-C among them means this line.
        if let Some(line) = self.waiting.pop_front() {
            return self.take(line);
        }
        match self.messages.recv() {
            Ok(Message::Line(line)) => self.take(*line),
            Ok(Message::InputEnded) if self.rules.daemon => Next::GoOn,
            Ok(Message::InputEnded | Message::Stop | Message::Interrupt) => Next::End,
            Ok(Message::Failed) | Err(_) => self.broken(),
            // A reply or Ctrl-C that came after its time, or an echo of the start.
            Ok(Message::Reply { .. } | Message::Written | Message::Started | Message::Cancel) => Next::GoOn,
        }
    }

    fn ask_for_line(&self) {
        if let Some(more) = &self.more {
            // The reader has ended: it said so before.
            more.send(()).unwrap_or_default();
        }
    }

    fn take(&mut self, input: InputLine) -> Next {
        let quits = input.line == Ok(Line::Quit);
        let failed = self.execute(input);
        if quits || self.stopping || (failed && self.rules.strict) {
            return Next::End;
        }
        self.ask_for_line();
        Next::GoOn
    }

    /// Carries a line out and writes its reply; true if it failed.
    fn execute(&mut self, input: InputLine) -> bool {
        let InputLine { number, word, line, .. } = input;
        let word = word.as_deref();
        let done = self.when_written();
        let failure = match line {
            Ok(Line::Help(about)) => {
                self.screen.help(number, word, about.as_deref(), done);
                None
            }
            Ok(Line::Quit) => {
                self.screen.quit(number, word, done);
                None
            }
            Ok(Line::Telling(telling)) => {
                self.screen.switch(number, word, &telling, done);
                None
            }
            Ok(Line::Engine(command)) => {
                let result = self.ask_engine(command);
                self.answer(number, word, &result, done)
            }
            Err(error) => {
                let code = error.code;
                self.screen.reply(number, word, &Err(error), done);
                Some(code)
            }
        };
        self.note(failure);
        self.wait_until_written();
        failure.is_some()
    }

    /// Shows the engine's answer; gives the code of a failure.
    fn answer(
        &mut self,
        number: u64,
        word: Option<&str>,
        result: &Result<Reply, CommandError>,
        done: Done,
    ) -> Option<&'static str> {
        match result {
            Ok(reply) if long_reply::rest_of(reply).is_empty() => self.screen.reply(number, word, result, done),
            Ok(reply) if self.screen.is_for_programs() => {
                let (last, failure) = long_reply::in_json(self, (number, word), reply);
                self.screen.piece(last, LineEnd::Here, done);
                return failure;
            }
            Ok(reply) => {
                let look = self.screen.look();
                match long_reply::in_words(self, reply, look) {
                    Ok(text) => self.screen.words(text, done),
                    Err(error) => {
                        let code = error.code;
                        self.screen.reply(number, word, &Err(error), done);
                        return Some(code);
                    }
                }
            }
            Err(error) => {
                self.screen.reply(number, word, result, done);
                return Some(error.code);
            }
        }
        None
    }

    fn when_written(&self) -> Box<dyn FnOnce() + Send> {
        let to_self = self.to_self.clone();
        Box::new(move || to_self.send(Message::Written).unwrap_or_default())
    }

    /// The first failure decides; what a stop interrupts is no failure.
    fn note(&mut self, code: Option<&str>) {
        let status = match code {
            None => return,
            Some("interrupted") if self.stopping => return,
            Some("timeout") => STATUS_TIMEOUT,
            Some(_) => STATUS_FAILED,
        };
        self.status.get_or_insert(status);
    }

    /// Hands a command to the engine; gives the id of its answer.
    fn push(&mut self, command: Command) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.inbox.push(Input::Command { id, command });
        id
    }

    fn ask_engine(&mut self, command: Command) -> Result<Reply, CommandError> {
        let searches = matches!(command, Command::Mine(MineCommand::Count(_))) && !self.screen.is_for_programs();
        let mut tell_search = searches.then(|| Instant::now() + SEARCH_TOLD_AFTER);
        self.screen.reply_tells(is_told_by_its_reply(&command));
        let id = self.push(command);
        let mut give_up: Option<Instant> = None;
        loop {
            let next = give_up.into_iter().chain(tell_search).min();
            let patience = next.map_or(Duration::from_secs(3_600), |at| {
                at.saturating_duration_since(Instant::now())
            });
            match self.messages.recv_timeout(patience) {
                Ok(Message::Reply { id: answered, result }) if answered == id => return *result,
                Ok(Message::Reply { result, .. }) => {
                    if let Ok(Reply::Status(status)) = *result {
                        self.screen.search_goes_on(&status, self.rules.halflife_ms);
                    }
                }
                Err(RecvTimeoutError::Timeout) if !self.stopping && tell_search.is_some() => {
                    tell_search = Some(Instant::now() + SEARCH_TOLD_EVERY);
                    self.push(Command::Status);
                }
                Ok(Message::Cancel) if !self.stopping => {
                    self.inbox.push(Input::Cancel { id });
                }
                Ok(Message::Stop | Message::Interrupt) => {
                    self.stopping = true;
                    tell_search = None;
                    self.inbox.push(Input::Cancel { id });
                    let at = give_up.get_or_insert_with(|| Instant::now() + CANCEL_MAX);
                    self.give_up.get_or_insert(*at);
                }
                Ok(Message::Failed) | Err(RecvTimeoutError::Disconnected) => {
                    self.is_broken = true;
                    self.stopping = true;
                    return Err(gone());
                }
                Err(RecvTimeoutError::Timeout) if self.stopping => return Err(interrupted()),
                Ok(Message::Line(line)) => self.waiting.push_back(*line),
                // The reader waits until it is asked, so no end comes here.
                Ok(Message::Written | Message::Started | Message::InputEnded | Message::Cancel)
                | Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// A reply is never dropped: a reader that pauses pauses the session, but a stop still works.
    fn wait_until_written(&mut self) {
        loop {
            match self.messages.recv() {
                Ok(Message::Written) | Err(_) => return,
                Ok(Message::Failed) => {
                    self.is_broken = true;
                    self.stopping = true;
                    return;
                }
                Ok(Message::Stop | Message::Interrupt) => {
                    self.stopping = true;
                    return;
                }
                Ok(Message::Line(line)) => self.waiting.push_back(*line),
                Ok(Message::InputEnded | Message::Reply { .. } | Message::Started | Message::Cancel) => {}
            }
        }
    }

    /// A stop waits so long for a reply that is being written.
    fn patience(&self) -> Duration {
        self.give_up
            .map_or(LONG, |at| at.saturating_duration_since(Instant::now()))
    }

    const fn broken(&mut self) -> Next {
        self.is_broken = true;
        Next::End
    }
}

impl Teller for Session {
    fn ask(&mut self, command: Command) -> Result<Reply, CommandError> {
        self.ask_engine(command)
    }

    fn say(&mut self, piece: String) -> bool {
        self.screen.piece(piece, LineEnd::Later, self.when_written());
        loop {
            match self.messages.recv_timeout(self.patience()) {
                Ok(Message::Written) => return true,
                Ok(Message::Stop | Message::Interrupt) => {
                    self.stopping = true;
                    self.give_up.get_or_insert_with(|| Instant::now() + CANCEL_MAX);
                }
                Ok(Message::Failed) | Err(RecvTimeoutError::Disconnected) => {
                    self.is_broken = true;
                    self.stopping = true;
                    return false;
                }
                Err(RecvTimeoutError::Timeout) if self.give_up.is_some() => return false,
                Ok(Message::Line(line)) => self.waiting.push_back(*line),
                Ok(Message::InputEnded | Message::Reply { .. } | Message::Started | Message::Cancel)
                | Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

/// Whether the reply says all that the events of the command would say to people.
pub(super) const fn is_told_by_its_reply(command: &Command) -> bool {
    matches!(
        command,
        Command::Tx { .. } | Command::Claim(_) | Command::Mine(MineCommand::Count(1))
    )
}

fn interrupted() -> CommandError {
    CommandError {
        code: "interrupted",
        message: "the node was stopped before the command had ended".into(),
        hint: "status".into(),
    }
}

fn gone() -> CommandError {
    CommandError {
        code: "internal",
        message: "the node failed; this is a bug".into(),
        hint: "status".into(),
    }
}
