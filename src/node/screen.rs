//! What is shown where: replies, events and the log, for people or as JSON lines.
//!
//! Promises: answers go to standard output in every mode; with `--json` nothing else does; the log, events in words and
//! the errors of people go to standard error; nobody waits for a slow reader but the session.
//! Elsewhere: queues and their limits (`console::output`), words (`console::render`).
//! Spec: `proto-notes/events.md`.

use std::io::IsTerminal;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::clock::wall;
use super::session::Message;
use crate::cli::{Args, Color};
use crate::console::help;
use crate::console::output::{Done, Limits, LogWriter, Sink, lines_dropped};
use crate::console::render::{self, HelpReply, Narrator, QuitReply};
use crate::engine::reply::Status;
use crate::engine::{CommandError, Event, Reply};

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// A program: JSON lines.
    Program,
    /// Words, through pipes or files.
    Pipes,
    /// Somebody at a prompt.
    Prompt,
}

/// Where everything is shown; cheap to clone.
#[derive(Clone)]
pub struct Screen {
    reader: Reader,
    coloured: bool,
    /// Answers, and with `--json` events.
    out: Sink,
    /// The log, events in words, errors. At a prompt the same as `out`, so that order is kept.
    log: Sink,
    narrator: Arc<Mutex<Narrator>>,
}

impl Screen {
    /// Decides who reads and starts the writing threads. A closed standard output stops the session.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn open(args: &Args, messages: Sender<Message>) -> std::io::Result<Self> {
        let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let reader = match (args.json, terminal && args.exec.is_none()) {
            (true, _) => Reader::Program,
            (false, true) => Reader::Prompt,
            (false, false) => Reader::Pipes,
        };
        let on_closed = move || messages.send(Message::Stop).unwrap_or_default();
        let lost = || Box::new(lines_dropped);
        let out = match reader {
            Reader::Program => {
                let lost = Box::new(|count| render::events_dropped(count, wall().ms()));
                Sink::lines(Limits::EVENTS, lost, std::io::stdout(), on_closed)?
            }
            Reader::Pipes | Reader::Prompt => Sink::lines(Limits::LOG, lost(), std::io::stdout(), on_closed)?,
        };
        let log = match reader {
            Reader::Prompt => out.clone(),
            Reader::Program | Reader::Pipes => Sink::lines(Limits::LOG, lost(), std::io::stderr(), || {})?,
        };
        let coloured = match args.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        Ok(Self {
            reader,
            coloured,
            out,
            log,
            narrator: Arc::default(),
        })
    }

    /// Whether somebody types at a prompt.
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        self.reader == Reader::Prompt
    }

    /// Whether the log may use colour.
    #[must_use]
    pub const fn is_coloured(&self) -> bool {
        self.coloured
    }

    /// Takes the lines of the log.
    #[must_use]
    pub fn log(&self) -> LogWriter {
        LogWriter(self.log.clone())
    }

    /// Shows an event.
    pub fn event(&self, event: &Event) {
        if self.reader == Reader::Program {
            let line = render::json_event(event, wall().ms());
            return match event {
                Event::Started(_) | Event::Stopped { .. } => self.out.must(line, None),
                _ => self.out.may(line),
            };
        }
        let words = match event {
            Event::Started(status) => Some(banner(status)),
            Event::Stopped { .. } => None,
            other => self.narrator.lock().unwrap_or_else(PoisonError::into_inner).tell(other),
        };
        if let Some(words) = words {
            self.log.may(words);
        }
    }

    /// Shows a reply; `done` is called when it is written.
    pub fn reply(&self, line: u64, word: Option<&str>, result: &Result<Reply, CommandError>, done: Done) {
        match (self.reader, result) {
            (Reader::Program, _) => self.out.must(render::json_reply(line, word, result), Some(done)),
            (_, Ok(reply)) => self.out.must(render::human_reply(reply), Some(done)),
            (_, Err(error)) => {
                let number = (!self.is_prompt()).then_some(line);
                self.log.must(render::human_error(number, error), Some(done));
            }
        }
    }

    /// Shows the help.
    pub fn help(&self, line: u64, word: Option<&str>, about: Option<&str>, done: Done) {
        let text = about.and_then(help::of_command).unwrap_or_else(help::overview);
        let text = match self.reader {
            Reader::Program => render::json_reply(line, word, &Ok(HelpReply { text })),
            Reader::Pipes | Reader::Prompt => render::human_help(&text),
        };
        self.out.must(text, Some(done));
    }

    /// Confirms `quit`.
    pub fn quit(&self, line: u64, word: Option<&str>, done: Done) {
        match self.reader {
            Reader::Program => {
                let reply = render::json_reply(line, word, &Ok(QuitReply::default()));
                self.out.must(reply, Some(done));
            }
            Reader::Pipes | Reader::Prompt => done(),
        }
    }

    /// Says why the node cannot start.
    pub fn complain(&self, message: &str, hint: &str) {
        self.log.must(format!("error: {message}\nhint: {hint}"), None);
        self.finish(Duration::from_secs(1));
    }

    /// Writes what waits; nothing is shown afterwards.
    pub fn finish(&self, patience: Duration) {
        // A reader that does not read in time loses the last words; there is nobody left to tell.
        let _ = self.out.finish(patience);
        let _ = self.log.finish(patience);
    }
}

/// Who and where this node is, and what to try. Five lines: more would scroll the first answers away.
fn banner(status: &Status) -> String {
    let who = status
        .name
        .as_ref()
        .map_or_else(String::new, |name| format!("{name}, "));
    let listening = match status.addresses.first() {
        None => "not listening".to_owned(),
        Some(first) => match status.addresses.len() - 1 {
            0 => format!("listening on {first}"),
            more => format!("listening on {first} and {more} more"),
        },
    };
    format!(
        "lanchain {}: {who}{} on network {}, {} blocks\n  folder {}\n  {listening}\n\
         try: tx alice bob 5    mine    balance bob    (all commands: help)",
        env!("CARGO_PKG_VERSION"),
        status.peer_id,
        status.network,
        status.height.get().saturating_add(1),
        status.data_dir,
    )
}
