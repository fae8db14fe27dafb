//! What is shown where: replies, events and the log, for people or as JSON lines.
//!
//! Promises: answers go to standard output in every mode; with `--json` nothing else does; the log, events in words and
//! the errors of people go to standard error; nobody waits for a slow reader but the session.
//! Elsewhere: replies (`replies`), queues and their limits (`console::output`), words (`console::render`).
//! Spec: `proto-notes/events.md`.

mod replies;
mod terminal;

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::client_words::gap_line;
use super::clock::wall;
use super::hangup;
use super::mailbox::Mailbox;
use super::session::In;
use super::telling::{LogLines, SetLevel, Switches};
use super::view::ReplyTells;
use crate::cli::Args;
use crate::console::complete::Names;
use crate::console::look::{COLUMNS_DEFAULT, Look};
use crate::console::output::{LogWriter, Sink, SinkLimits, lines_dropped};
use crate::console::prompt::{self, History, Prompt, PromptConfig, PromptFact};
use crate::console::render::{self, Narrator, escape};
use crate::console::zone::Zone;
use crate::contract::{Event, EventStamp, NodeStatus, RunId, Source};
use crate::types::{AccountName, WallTime};
use replies::pace_of;
use terminal::is_dumb;
pub(super) use terminal::{columns_told, may_colour};

/// What stands before the line that is typed.
const PROMPT: &str = "> ";
/// How long the first words take to reach the terminal at most before the prompt has it.
const FIRST_WORDS_MAX: Duration = Duration::from_millis(500);

/// Answers could not be written.
const STATUS_UNWRITTEN: u8 = 1;

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
    /// The time of day stands before each line of the log.
    times: bool,
    /// The terminal shows characters beyond ASCII.
    unicode: bool,
    /// The terminal's width, kept by the prompt.
    columns: Arc<AtomicUsize>,
    switches: Switches,
    /// Answers, and with `--json` events.
    out: Sink,
    /// The log, events in words, errors. At a prompt the same as `out`, so that order is kept.
    log: Sink,
    narrator: Arc<Mutex<Narrator>>,
    /// Once it has the terminal, all goes through it.
    prompt: Arc<RwLock<Option<Prompt>>>,
    /// What the prompt completes.
    names: Names,
    replying: ReplyTells,
    /// Standard output refused what was written, though its reader is not gone.
    failed: Arc<AtomicBool>,
    run: RunId,
    /// The blocks that this node mined since its start.
    mined: Arc<AtomicU64>,
}

impl Screen {
    /// Decides who reads and starts the writing threads. A closed standard output stops the session.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn open(args: &Args, mailbox: Mailbox) -> std::io::Result<Self> {
        let reader = match (args.json, prompt::is_terminal() && args.exec.is_none()) {
            (true, _) => Reader::Program,
            (false, true) => Reader::Prompt,
            (false, false) => Reader::Pipes,
        };
        if reader == Reader::Prompt {
            prompt::reserve_suspension();
        } else {
            hangup::watch(mailbox.clone());
        }
        let mut run = [0; 8];
        getrandom::fill(&mut run).map_err(|error| std::io::Error::other(error.to_string()))?;
        let run = RunId::new(run);
        let failed = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&failed);
        let on_closed = move |error: &std::io::Error| {
            if is_failure(error) {
                told.store(true, Ordering::SeqCst);
                let message = format!("standard output cannot be written: {error}");
                say(&message, "make room where it goes to, or send it elsewhere");
            }
            mailbox.send(In::Stop);
        };
        let lost = || Box::new(lines_dropped);
        let out = match reader {
            Reader::Program => {
                let lost = Box::new(move |missing| gap_line(run, missing));
                Sink::lines(SinkLimits::EVENTS, lost, std::io::stdout(), on_closed)?
            }
            Reader::Pipes | Reader::Prompt => Sink::lines(SinkLimits::LOG, lost(), std::io::stdout(), on_closed)?,
        };
        let log = match reader {
            Reader::Prompt => out.clone(),
            Reader::Program | Reader::Pipes => Sink::lines(SinkLimits::LOG, lost(), std::io::stderr(), |_| {})?,
        };
        log.set_pace(pace_of(&args.log));
        let coloured = may_colour(args.color);
        let columns = columns_told().unwrap_or(COLUMNS_DEFAULT);
        Ok(Self {
            reader,
            coloured,
            times: args.times,
            unicode: !is_dumb(),
            columns: Arc::new(AtomicUsize::new(columns)),
            switches: Switches::default(),
            out,
            log,
            narrator: Arc::new(Mutex::new(Narrator::new(columns))),
            prompt: Arc::default(),
            names: Names::default(),
            replying: ReplyTells::default(),
            failed,
            run,
            mined: Arc::default(),
        })
    }

    /// Gives the terminal to a prompt; false if there can be none. `failed` hears of a panic that ends the prompt.
    pub fn start_prompt(
        &self,
        history: Box<dyn History>,
        deliver: impl FnMut(PromptFact) -> bool + Send + 'static,
        failed: impl FnOnce(&str) + Send + 'static,
    ) -> bool {
        // What was said before stands above the first prompt.
        let _ = self.out.flush(FIRST_WORDS_MAX);
        let config = PromptConfig {
            text: PROMPT.to_owned(),
            history,
            names: self.names.clone(),
            color: self.coloured,
            columns: Arc::clone(&self.columns),
        };
        match Prompt::start(config, deliver, failed) {
            Ok(prompt) => {
                *self.prompt.write().unwrap_or_else(PoisonError::into_inner) = Some(prompt);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "no prompt; lines are read as they are");
                false
            }
        }
    }

    fn with_prompt<T>(&self, ask: impl FnOnce(&Prompt) -> T) -> Option<T> {
        let prompt = self.prompt.read().unwrap_or_else(PoisonError::into_inner);
        prompt.as_ref().map(ask)
    }

    /// What a SIGINT means: with a prompt it cancels what runs.
    #[must_use]
    pub fn interrupt(&self) -> In {
        match self.with_prompt(Prompt::interrupt) {
            Some(PromptFact::Cancel) => In::Cancel,
            Some(_) | None => In::Stop,
        }
    }

    /// Gives the terminal back, before the process ends at once.
    pub fn restore(&self) {
        if let Some(terminal) = self.with_prompt(Prompt::terminal) {
            terminal.restore();
        }
    }

    /// What the prompt completes.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// What is told, and how to change it.
    #[must_use]
    pub const fn switches(&self) -> &Switches {
        &self.switches
    }

    fn know_from(&self, event: &Event) {
        match event {
            Event::Started(status) => {
                self.names.see_account(&status.peer_id);
                status
                    .name
                    .iter()
                    .for_each(|name| self.names.see_account(name.as_str()));
                self.names.see_block(&status.tip.to_string());
            }
            Event::PeerConnected { peer_id, name, .. } | Event::PeerNamed { peer_id, name, .. } => {
                self.names.see_peer(peer_id, name.as_ref().map(AccountName::as_str));
                self.names.see_account(peer_id);
                name.iter().for_each(|name| self.names.see_account(name.as_str()));
            }
            Event::TransactionAccepted { txid, from, to, .. } => {
                self.names.see_account(from);
                to.iter().for_each(|to| self.names.see_account(&to.to_string()));
                self.names.see_transaction(&txid.to_string());
            }
            Event::BlockConnected { block, .. } | Event::BlockStored { block, .. } => {
                self.names.see_block(&block.hash.to_string());
            }
            _ => {}
        }
    }

    fn out(&self) -> Sink {
        let sink = self.with_prompt(|prompt| prompt.sink().clone());
        sink.unwrap_or_else(|| self.out.clone())
    }

    fn log_sink(&self) -> Sink {
        let sink = self.with_prompt(|prompt| prompt.sink().clone());
        sink.unwrap_or_else(|| self.log.clone())
    }

    /// A line has its reply: the next prompt may be shown.
    fn answered(&self) {
        self.with_prompt(Prompt::answered);
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

    /// Answers are for standard output: coloured only if that is a terminal too, or colour is asked for.
    pub(super) fn look(&self) -> Look {
        Look {
            colour: self.coloured && self.is_prompt(),
            unicode: self.unicode,
            // The window may have changed since the prompt last looked.
            columns: columns_told().unwrap_or_else(|| self.columns.load(Ordering::Relaxed)),
            zone: Zone::Local,
        }
    }

    /// At a prompt a text is broken where the terminal would cut words.
    fn fitted(&self, text: String) -> String {
        // Escape sequences count as columns: drawn texts are as wide as they may be already.
        if self.is_prompt() && !text.contains('\u{1b}') {
            self.look().wrap(&text)
        } else {
            text
        }
    }

    /// Tells how the log's level is changed.
    pub fn control_log(&self, level: &str, set: SetLevel) {
        self.switches.control_log(level, set);
    }

    /// Takes the lines of the log.
    #[must_use]
    pub fn log(&self) -> LogLines {
        LogLines {
            own: LogWriter(self.log_sink()),
            switches: self.switches.clone(),
        }
    }

    /// The run of this node, which every event names.
    pub(super) const fn run(&self) -> RunId {
        self.run
    }

    /// Shows an event.
    pub fn event(&self, event: &Event, stamp: EventStamp) {
        if self.reader == Reader::Program {
            let line = render::json_event(event, stamp);
            return match event {
                Event::Started(_) | Event::Stopped { .. } => self.out.must(line, None),
                _ => self.out.may_numbered(line, stamp.seq),
            };
        }
        if matches!(event, Event::Mined { .. }) {
            self.mined.fetch_add(1, Ordering::Relaxed);
        }
        if self.is_prompt() {
            self.know_from(event);
        }
        let mut narrator = self.narrator.lock().unwrap_or_else(PoisonError::into_inner);
        let words = match event {
            Event::Stopped { .. } => None,
            Event::Mined { .. }
            | Event::TransactionAccepted {
                source: Source::Local, ..
            } if self.replying.get() => {
                narrator.note(event);
                None
            }
            Event::Started(status) if !self.is_prompt() => narrator.tell(&Event::Started(without_token(status))),
            other => narrator.tell(other),
        };
        drop(narrator);
        if let Some(words) = words {
            self.tell((event, stamp.time_ms), &words);
        }
    }

    /// Shows the words of an event unless its topic is off or it is one of a storm.
    fn tell(&self, (event, time_ms): (&Event, u64), words: &str) {
        let screen = self.clone();
        let folded = move |line: String| screen.log_sink().may(screen.timed(wall().ms(), &line));
        let verdict = self.switches.judge(event, folded);
        if let Some(line) = verdict.before {
            self.log_sink().may(self.timed(time_ms, &line));
        }
        if verdict.told {
            let look = self.look();
            self.log_sink().may(match event {
                Event::Started(_) => self.fitted(words.to_owned()),
                Event::Warning { .. } => look.warning(&self.timed(time_ms, words)),
                _ => look.event(&self.timed(time_ms, words)),
            });
        }
    }

    /// A line of the log behind the time of day, broken where the terminal would cut words.
    fn timed(&self, time_ms: u64, words: &str) -> String {
        if !self.times {
            return self.fitted(words.to_owned());
        }
        let clock = Zone::Local.time_of_day(WallTime::from_ms(time_ms));
        if self.is_prompt() && !words.contains('\u{1b}') {
            self.look().behind(&clock, words)
        } else {
            format!("{clock} {words}")
        }
    }

    /// Whether the reply that comes next says to people what own finds and payments would say as events.
    #[must_use]
    pub const fn reply_tells(&self) -> &ReplyTells {
        &self.replying
    }

    /// The blocks that this node mined since its start.
    pub(super) fn mined(&self) -> u64 {
        self.mined.load(Ordering::Relaxed)
    }

    /// Repeats a line that was typed while another command ran, before its reply.
    pub(super) fn repeat(&self, typed: &str) {
        self.out().must(escape(&format!("{PROMPT}{typed}")), None);
    }

    /// Tells that a line waits for another one.
    pub(super) fn tell_waits(&self, words: &str) {
        self.log_sink().may(self.fitted(escape(words)));
    }

    /// Says how a search goes that takes its time.
    pub fn search_goes_on(&self, status: &NodeStatus, halflife_ms: u32) {
        if let Some(words) = render::search(status, halflife_ms) {
            self.log_sink().may(words);
        }
    }

    /// Whether a program reads.
    #[must_use]
    pub fn is_for_programs(&self) -> bool {
        self.reader == Reader::Program
    }

    /// Says why the node cannot start.
    pub fn complain(&self, message: &str, hint: &str) {
        self.finish(Duration::from_secs(1));
        // Also at a prompt, whose log goes to the terminal: what fails before the start is for standard error.
        say(message, hint);
    }

    /// The exit status, given that of the session: answers that could not be written are a failure too.
    #[must_use]
    pub fn status(&self, of_session: u8) -> u8 {
        match of_session {
            0 if self.failed.load(Ordering::SeqCst) => STATUS_UNWRITTEN,
            other => other,
        }
    }

    /// Writes what waits; nothing is shown afterwards.
    pub fn finish(&self, patience: Duration) {
        let prompt = self.prompt.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(prompt) = prompt {
            prompt.finish(patience);
        }
        // A reader that does not read at all loses the last words; there is nobody left to tell.
        let _ = self.out.finish(patience);
        let _ = self.log.finish(patience);
    }
}

/// A status for a log that others may read: the page without its token.
fn without_token(status: &NodeStatus) -> Box<NodeStatus> {
    let mut status = status.clone();
    let page = status.web.take();
    status.web = page.and_then(|web| Some(format!("{} (its token: `lanchain ctl web`)", web.split('#').next()?)));
    Box::new(status)
}

/// An error to standard error, past all queues.
fn say(message: &str, hint: &str) {
    let text = format!("error: {}\nhint: {}\n", escape(message), escape(hint));
    std::io::stderr().write_all(text.as_bytes()).unwrap_or_default();
}

/// Whether an output was refused. A reader that is gone refuses nothing: a closed pipe, a lost terminal.
fn is_failure(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    let gone = matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected
    );
    !gone && !std::io::stdout().is_terminal()
}
