//! One client of the side door: takes its lines one at a time, has them carried out, writes the answers.
//!
//! Promises: each command has exactly one reply, in order; a line is taken when the reply before it is written; at most
//! [`AHEAD_MAX`] lines are read ahead; a client that is gone has its command cancelled; none of it changes the node's exit status.
//! Elsewhere: who may come in, events (`node::control`), what lines mean (`console`).
//! Spec: `proto-notes/control.md`.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender};
use std::time::{Duration, Instant};

use super::control::{ATTACH, Hub, LAST_WORDS_MAX, command_id};
use super::inbox::Inbox;
use super::long_reply::{self, Teller};
use super::session;
use crate::console::input::{Content, LineReader, RawLine};
use crate::console::look::Look;
use crate::console::output::{Done, LineEnd, Sink};
use crate::console::render::{self, HelpReply, QuitReply};
use crate::console::watch::{Telling, telling_text};
use crate::console::{InputLine, Line, help};
use crate::contract::{Command, CommandError, Reply};
use crate::engine::Input;

/// How long a stop waits for the running command to say that it was interrupted.
const CANCEL_MAX: Duration = Duration::from_secs(2);
/// How often a session looks whether a client that sends no more still waits for the reply.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Lines that are read before their turn: so many can be typed ahead while a cancellation is still seen. 128 KiB.
pub(super) const AHEAD_MAX: usize = 32;
/// The line that cancels the running command: what Ctrl-C types.
pub(super) const CANCEL: &str = "\u{3}";
/// The word that says how a client reads, in its first line.
pub(super) const HELLO: &str = "session";
/// The word by which a client leaves.
pub(super) const DETACH: &str = "detach";

/// Where lines of the log are to be read.
const LOG_PLACE: &str = " (its lines go to where the node was started)";
const LOG_HERE: &str = " (its lines come here, too)";

/// How a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The lines of `--json`.
    Json,
    /// A text for people in place of the data.
    Words,
}

/// What a client says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) form: Form,
    pub(super) events: bool,
    /// Ends the session at the first failure.
    pub(super) strict: bool,
    /// Words are coloured.
    pub(super) colour: bool,
    /// How wide drawings may be.
    pub(super) columns: u16,
}

/// What a client says of its width.
const COLUMNS: &str = "columns=";

impl Hello {
    /// Without a word: JSON, no events.
    pub(super) const SILENT: Self = Self {
        form: Form::Json,
        events: false,
        strict: false,
        colour: false,
        columns: 80,
    };

    /// The first line; none if it is an ordinary one. An unknown wish is an error.
    fn read(text: &str) -> Option<Result<Self, CommandError>> {
        let mut words = text.split_whitespace();
        if words.next() != Some(HELLO) {
            return None;
        }
        let mut hello = Self::SILENT;
        for word in words {
            match word {
                "words" => hello.form = Form::Words,
                "events" => hello.events = true,
                "strict" => hello.strict = true,
                "colour" => hello.colour = true,
                _ => match word.strip_prefix(COLUMNS).and_then(|columns| columns.parse().ok()) {
                    Some(columns) => hello.columns = columns,
                    None => return Some(Err(unknown_wish(word))),
                },
            }
        }
        Some(Ok(hello))
    }

    /// The line that says it.
    pub(super) fn line(self) -> String {
        let words = [
            (self.form == Form::Words, " words"),
            (self.events, " events"),
            (self.strict, " strict"),
            (self.colour, " colour"),
        ];
        let wanted = words.iter().filter(|(wanted, _)| *wanted).map(|(_, word)| *word);
        let columns = match self.columns {
            columns if columns == Self::SILENT.columns => String::new(),
            columns => format!(" {COLUMNS}{columns}"),
        };
        format!("{HELLO}{}{columns}", wanted.collect::<String>())
    }

    fn look(self) -> Look {
        Look {
            colour: self.colour,
            columns: usize::from(self.columns),
            ..Look::default()
        }
    }
}

fn unknown_wish(word: &str) -> CommandError {
    let word: String = word.chars().take(32).collect();
    CommandError {
        code: "bad_argument",
        message: format!("this node knows no session with \"{word}\""),
        hint: "use the same version of lanchain as the node".into(),
    }
}

/// What reaches a session.
#[derive(Debug)]
pub(super) enum Message {
    /// How the client reads: always the first.
    Hello(Result<Hello, CommandError>),
    /// A line that wants a reply.
    Line(Box<InputLine>),
    /// The client gave up waiting for the running command.
    Cancel,
    /// No more lines will come; the client may still wait for the reply.
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
    /// Nobody reads any more.
    Closed,
    /// The node stops.
    Stop,
}

/// Reads a client's lines until they end or nobody wants more. Runs on a thread of its own.
pub(super) fn read(input: impl Read, to: &Sender<Message>, asked: &Receiver<()>) {
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
            if to.send(Message::Cancel).is_err() {
                return;
            }
            continue;
        }
        if std::mem::take(&mut is_first) {
            let hello = Hello::read(text);
            let is_hello = hello.is_some();
            if to.send(Message::Hello(hello.unwrap_or(Ok(Hello::SILENT)))).is_err() {
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
        if asked.recv().is_err() || to.send(Message::Line(Box::new(line))).is_err() {
            return;
        }
    }
    to.send(Message::InputEnded).unwrap_or_default();
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    End,
}

/// A session's state.
pub(super) struct Session {
    pub(super) number: u64,
    pub(super) messages: Receiver<Message>,
    pub(super) to_self: Sender<Message>,
    /// Lets the reader hand another line over; has room for [`AHEAD_MAX`].
    pub(super) more: SyncSender<()>,
    /// Lines whose turn has not come.
    pub(super) waiting: VecDeque<InputLine>,
    pub(super) sink: Sink,
    pub(super) hub: Arc<Hub>,
    pub(super) inbox: Arc<Inbox>,
    /// Where `quit` goes.
    pub(super) to_node: Sender<session::Message>,
    /// Whether the client is gone altogether.
    pub(super) is_gone: Box<dyn Fn() -> bool + Send>,
    pub(super) state: Progress,
}

/// How far a session is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    hello: Hello,
    last_command: u64,
    input_ended: bool,
    /// Nobody reads.
    closed: bool,
    /// The node stops.
    stopping: bool,
}

impl Progress {
    /// Before the first line.
    pub(super) const START: Self = Self {
        hello: Hello::SILENT,
        last_command: ATTACH,
        input_ended: false,
        closed: false,
        stopping: false,
    };
}

impl Session {
    /// Runs until the client leaves or the node stops; true if the node ends the connection itself.
    pub(super) fn run(mut self) -> bool {
        while self.step() == Next::GoOn {}
        if self.state.stopping {
            // The node says its last words when it has stopped, and ends the connection.
            self.hub.has_ended(self.number);
            return true;
        }
        let _ = self.sink.finish(LAST_WORDS_MAX);
        self.hub.leave(self.number);
        false
    }

    /// Waits for one message while no command runs.
    fn step(&mut self) -> Next {
        if let Some(line) = self.waiting.pop_front() {
            return self.take(line);
        }
        if self.state.input_ended {
            return Next::End;
        }
        match self.messages.recv() {
            Ok(Message::Hello(Ok(hello))) => {
                self.greet(hello);
                (0..AHEAD_MAX).for_each(|_| self.ask_for_line());
                Next::GoOn
            }
            Ok(Message::Hello(Err(error))) => {
                self.sink
                    .must(render::json_reply::<Reply>(0, Some(HELLO), &Err(error)), None);
                Next::End
            }
            Ok(Message::Line(line)) => self.take(*line),
            Ok(Message::Stop) => {
                self.state.stopping = true;
                Next::End
            }
            Ok(Message::InputEnded | Message::Closed) | Err(_) => Next::End,
            // A reply or a cancellation that came after its time.
            Ok(Message::Reply { .. } | Message::Written | Message::Cancel) => Next::GoOn,
        }
    }

    fn greet(&mut self, hello: Hello) {
        self.state.hello = hello;
        self.hub.set_form(self.number, hello.form);
        if hello.events {
            let id = command_id(self.number, ATTACH);
            let command = Command::Status;
            self.inbox.push(Input::Command { id, command });
            self.wait_until_written();
        }
    }

    fn ask_for_line(&self) {
        // The reader has ended: it said so before.
        self.more.send(()).unwrap_or_default();
    }

    fn take(&mut self, input: InputLine) -> Next {
        let leaves = input.word.as_deref() == Some(DETACH);
        let quits = input.line == Ok(Line::Quit);
        let failed = self.execute(input, leaves);
        if quits {
            // Ends this session too, with its last words.
            self.to_node.send(session::Message::Stop).unwrap_or_default();
            return Next::GoOn;
        }
        let state = self.state;
        if leaves || state.stopping || state.closed || (failed && state.hello.strict) {
            return Next::End;
        }
        self.ask_for_line();
        Next::GoOn
    }

    /// Carries a line out and writes its reply; true if it failed.
    fn execute(&mut self, input: InputLine, leaves: bool) -> bool {
        let InputLine { number, word, line, .. } = input;
        let word = word.as_deref();
        let (text, failed) = match line {
            _ if leaves => (self.empty(number, word), false),
            Ok(Line::Help(about)) => {
                let text = about
                    .and_then(|word| help::of_command(&word))
                    .unwrap_or_else(|| help::overview_in(self.state.hello.look().columns));
                (self.help(number, word, text), false)
            }
            Ok(Line::Quit) => (self.empty(number, word), false),
            Ok(Line::Telling(telling)) => (self.switch(number, word, &telling), false),
            Ok(Line::Engine(command)) => {
                let result = self.ask_engine(command);
                match &result {
                    Ok(reply) if !long_reply::rest_of(reply).is_empty() => return self.tell_long(number, word, reply),
                    _ => (self.reply(number, word, &result), result.is_err()),
                }
            }
            Err(error) => (self.reply(number, word, &Err(error)), true),
        };
        self.sink.must(text, Some(self.when_written()));
        self.wait_until_written();
        failed
    }

    fn when_written(&self) -> Done {
        let to_self = self.to_self.clone();
        Box::new(move || to_self.send(Message::Written).unwrap_or_default())
    }

    /// Writes a long reply; true if it failed.
    fn tell_long(&mut self, number: u64, word: Option<&str>, reply: &Reply) -> bool {
        let failed = match self.state.hello.form {
            Form::Json => {
                let (last, failure) = long_reply::in_json(self, (number, word), reply);
                self.sink.piece(last, LineEnd::Here, self.when_written());
                failure.is_some()
            }
            Form::Words => {
                let look = self.state.hello.look();
                let (text, failed) = match long_reply::in_words(self, reply, look) {
                    Ok(text) => (in_words(number, word, &text), false),
                    Err(error) => (self.reply(number, word, &Err(error)), true),
                };
                self.sink.must(text, Some(self.when_written()));
                failed
            }
        };
        self.wait_until_written();
        failed
    }

    fn empty(&self, line: u64, word: Option<&str>) -> String {
        match self.state.hello.form {
            Form::Json => render::json_reply(line, word, &Ok(QuitReply::default())),
            Form::Words => in_words(line, word, ""),
        }
    }

    fn help(&self, line: u64, word: Option<&str>, text: String) -> String {
        match self.state.hello.form {
            Form::Json => render::json_reply(line, word, &Ok(HelpReply { text })),
            Form::Words => in_words(line, word, &render::human_help(&text)),
        }
    }

    fn switch(&self, line: u64, word: Option<&str>, telling: &Telling) -> String {
        let reply = self.hub.switch(self.number, telling);
        match self.state.hello.form {
            Form::Json => render::json_reply(line, word, &Ok(reply)),
            Form::Words => {
                let follows = self.hub.follows_log(self.number);
                let place = if follows { LOG_HERE } else { LOG_PLACE };
                in_words(line, word, &format!("{}{place}", telling_text(&reply)))
            }
        }
    }

    fn reply(&self, line: u64, word: Option<&str>, result: &Result<Reply, CommandError>) -> String {
        match (self.state.hello.form, result) {
            (Form::Words, Ok(reply)) => in_words(line, word, &render::drawn_reply(reply, self.state.hello.look())),
            (Form::Json, _) | (_, Err(_)) => render::json_reply(line, word, result),
        }
    }

    fn ask_engine(&mut self, command: Command) -> Result<Reply, CommandError> {
        self.state.last_command += 1;
        let id = command_id(self.number, self.state.last_command);
        self.hub
            .reply_tells(self.number, session::is_told_by_its_reply(&command));
        self.inbox.push(Input::Command { id, command });
        let mut give_up: Option<Instant> = None;
        loop {
            match self.messages.recv_timeout(LOOK_EVERY) {
                Ok(Message::Reply { id: answered, result }) if answered == id => return *result,
                Ok(Message::InputEnded) => self.state.input_ended = true,
                Ok(Message::Cancel) => self.inbox.push(Input::Cancel { id }),
                Ok(message @ (Message::Stop | Message::Closed)) => {
                    self.note_end(&message);
                    self.inbox.push(Input::Cancel { id });
                    give_up.get_or_insert_with(|| Instant::now() + CANCEL_MAX);
                }
                Err(RecvTimeoutError::Timeout) if give_up.is_none() && self.state.input_ended && (self.is_gone)() => {
                    self.inbox.push(Input::Cancel { id });
                    give_up = Some(Instant::now() + CANCEL_MAX);
                }
                Ok(Message::Line(line)) => self.waiting.push_back(*line),
                // Only the first line is a hello.
                Ok(Message::Reply { .. } | Message::Written | Message::Hello(_))
                | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if give_up.is_some_and(|at| at <= Instant::now()) {
                return Err(interrupted());
            }
        }
    }

    fn note_end(&mut self, message: &Message) {
        match message {
            Message::Stop => self.state.stopping = true,
            _ => self.state.closed = true,
        }
    }

    /// A reply is never dropped: a client that pauses pauses its session and nothing else.
    fn wait_until_written(&mut self) {
        loop {
            match self.messages.recv() {
                Ok(Message::Written) | Err(_) => return,
                Ok(message @ (Message::Stop | Message::Closed)) => return self.note_end(&message),
                Ok(Message::InputEnded) => self.state.input_ended = true,
                Ok(Message::Line(line)) => self.waiting.push_back(*line),
                Ok(Message::Reply { .. } | Message::Hello(_) | Message::Cancel) => {}
            }
        }
    }
}

impl Teller for Session {
    fn ask(&mut self, command: Command) -> Result<Reply, CommandError> {
        self.ask_engine(command)
    }

    fn say(&mut self, piece: String) -> bool {
        if self.state.stopping || self.state.closed {
            return false;
        }
        self.sink.piece(piece, LineEnd::Later, self.when_written());
        self.wait_until_written();
        !(self.state.stopping || self.state.closed)
    }
}

/// A reply's line for a client that shows words.
fn in_words(line: u64, word: Option<&str>, text: &str) -> String {
    render::plain(
        serde_json::json!({ "v": 1, "type": "reply", "line": line, "command": word, "ok": true, "text": text })
            .to_string(),
    )
}

fn interrupted() -> CommandError {
    CommandError {
        code: "interrupted",
        message: "the command was ended before it was done".into(),
        hint: "status".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_read_as_it_is_written() {
        for (form, events, strict, columns) in [
            (Form::Json, false, false, 80),
            (Form::Words, true, false, 50),
            (Form::Json, true, true, 200),
        ] {
            let hello = Hello {
                form,
                events,
                strict,
                colour: events,
                columns,
            };
            assert_eq!(Hello::read(&hello.line()), Some(Ok(hello)));
        }
        assert_eq!(Hello::read("status"), None);
        assert_eq!(
            Hello::read("session colours").map(|hello| hello.map_err(|error| error.code)),
            Some(Err("bad_argument"))
        );
        let narrow = Hello::read("session columns=x").map(|hello| hello.map_err(|error| error.code));
        assert_eq!(narrow, Some(Err("bad_argument")));
    }
}
