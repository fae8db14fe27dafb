//! The prompt of a terminal: a thread that reads lines, with history and completion, while replies, events and the log
//! are printed above the line that the user is typing.
//!
//! Promises: printing never waits for the terminal. Printed texts keep their order, except for the one text that is
//! just being printed when the user enters a line. The terminal is restored at the end. Ctrl-C clears the typed text,
//! or else cancels the running command, or else stops the node; Ctrl-D stops the node.
//! Elsewhere: what Ctrl-C means while lines wait (`running`), the meaning of lines (`console::parse`), the replies (`node`).
//! Spec: `proto-notes/events.md`, "Stopping".

mod running;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Cmd, ColorMode, CompletionType, Config, Context, Editor, ExternalPrinter, Helper, KeyEvent};

use self::running::Running;
use super::InputLine;
use super::complete::{self, Names};
use super::help;
use super::input::{Content, LINE_MAX_BYTES, RawLine};
use super::output::{Sink, SinkLimits, lines_dropped};
use super::parse::{self, Line};
use crate::threads;

/// The most lines in the history: those of a few lessons.
pub const HISTORY_MAX: usize = 1_000;
/// The most lines that wait for their replies: a large paste, at most 16 MiB.
const LINES_WAITING_MAX: usize = 4_096;
/// The end of the prompt while a command runs, as wide as that of an idle one.
const BUSY: &str = "… ";
/// How long the next prompt waits for the reply. Most replies come within this time, so that a session reads like a
/// transcript; a long command does not keep the user from typing.
const REPLY_PATIENCE: Duration = Duration::from_millis(250);
/// The character that replaces a byte which is not UTF-8.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;
/// The message for a line with such a byte, printed once for each line.
const SPOILED: &str = "error: a byte came that is no UTF-8: this line will be refused, and what was pasted with it may be \
    lost\nhint: Ctrl-C clears the line";
/// How long the line editor may take to print its last text; nothing reports when it has.
const LAST_TEXT: Duration = Duration::from_millis(30);
/// An action of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PromptFact {
    /// The user entered a line that gets one reply; the caller must call [`Prompt::answered`] afterwards.
    Line(InputLine),
    /// Ctrl-C while a command runs: the command must be cancelled.
    Cancel,
    /// Ctrl-C at an empty idle prompt, Ctrl-D, or a closed terminal: the node must stop with status 0.
    Stop,
}

/// The store of typed lines between sessions. If it fails, the prompt goes on without it.
pub trait History: Send {
    /// The lines of earlier sessions, the newest last; at most [`HISTORY_MAX`].
    fn lines(&mut self) -> Vec<String>;

    /// Stores a line for later sessions.
    fn keep(&mut self, line: &str);
}

/// The settings of a prompt.
pub struct PromptConfig {
    /// The text before the input line.
    pub text: String,
    /// The store of typed lines.
    pub history: Box<dyn History>,
    /// The names and hashes for completion.
    pub names: Names,
    /// Whether colour may be used.
    pub color: bool,
    /// The width of the terminal, which the prompt keeps up to date.
    pub columns: Arc<AtomicUsize>,
}

/// Whether a person uses the program, that is, stdin and stdout are terminals.
#[must_use]
pub fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Blocks the signal of Ctrl-Z in all threads except the prompt's. It must be called before other threads start,
/// because they inherit the setting.
///
/// The line editor restores the terminal, sends itself the signal, and takes the terminal again when it continues. If
/// another thread took the signal, this one might stop too late, and the shell would get a terminal without echo.
pub fn reserve_suspension() {
    #[cfg(unix)]
    let _ = suspension().thread_block();
}

#[cfg(unix)]
fn suspension() -> nix::sys::signal::SigSet {
    let mut signals = nix::sys::signal::SigSet::empty();
    signals.add(nix::sys::signal::Signal::SIGTSTP);
    signals
}

/// The prompt of a terminal that is running.
pub struct Prompt {
    sink: Sink,
    running: Arc<Running>,
    terminal: Terminal,
}

impl Prompt {
    /// Starts the threads of the prompt. `deliver` gets each fact in order and returns false once nobody listens. It
    /// must not wait for printing: the editor prints only while it reads, and at most two texts wait for it, so a
    /// caller that prints a third one would wait for ever. `failed` is called once if a thread panics, after the
    /// terminal was restored.
    ///
    /// # Errors
    /// An error if the line editor finds no terminal, or if the system cannot start a thread.
    pub fn start(
        mut config: PromptConfig,
        deliver: impl FnMut(PromptFact) -> bool + Send + 'static,
        failed: impl FnOnce(&str) + Send + 'static,
    ) -> io::Result<Self> {
        let terminal = Terminal::remember();
        let running = Arc::new(Running::default());
        let mut editor = editor(&mut config, &running).map_err(io::Error::other)?;
        let mut printer = editor.create_external_printer().ok();
        let print = move |text: &str, _| {
            let line = format!("{text}\n");
            // The editor ends before the node does; then the sink can write to the terminal directly.
            if let Some(printer) = &mut printer
                && printer.print(line.clone()).is_ok()
            {
                return Ok(());
            }
            let mut out = io::stdout().lock();
            out.write_all(line.as_bytes())?;
            out.flush()
        };
        let failed = Arc::new(Mutex::new(Some(failed)));
        let broken = terminal.clone();
        let fail = move |reason: &str| {
            broken.restore();
            if let Some(failed) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
                failed(reason);
            }
        };
        let unwritten = fail.clone();
        let on_closed = move |error: &io::Error| {
            // A closed terminal also ends the reading.
            if error.raw_os_error().is_none() {
                unwritten(&error.to_string());
            }
        };
        let sink = Sink::start(SinkLimits::PROMPT, Box::new(lines_dropped), print, on_closed)?;
        let session = PromptThread {
            editor,
            config,
            running: running.clone(),
            sink: sink.clone(),
            number: 0,
            kept: String::new(),
            deliver,
        };
        threads::spawn("prompt", move || session.run(), fail)?;
        Ok(Self {
            sink,
            running,
            terminal,
        })
    }

    /// The sink for replies (`must`) and for events and log lines (`may`).
    #[must_use]
    pub const fn sink(&self) -> &Sink {
        &self.sink
    }

    /// Notes that the reply to a line was passed to the sink.
    pub fn answered(&self) {
        self.running.change(|lines| lines.saturating_sub(1));
    }

    /// The meaning of a SIGINT. Between two lines, the terminal turns Ctrl-C into this signal.
    #[must_use]
    pub fn interrupt(&self) -> PromptFact {
        self.running.signalled()
    }

    /// A handle that restores the terminal from another place, before the process exits at once.
    #[must_use]
    pub fn terminal(&self) -> Terminal {
        self.terminal.clone()
    }

    /// Prints waiting texts, for at most `patience`, and restores the terminal. Reports lines that got no reply.
    pub fn finish(self, patience: Duration) {
        match self.running.count() {
            0 => {}
            1 => self.sink.must("1 line that waited has no reply".to_owned(), None),
            count => self.sink.must(format!("{count} lines that waited have no reply"), None),
        }
        if self.sink.finish(patience) {
            thread::sleep(LAST_TEXT);
        }
        self.terminal.restore();
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        self.terminal.restore();
    }
}

fn editor(config: &mut PromptConfig, running: &Arc<Running>) -> rustyline::Result<Editor<Assistant, MemHistory>> {
    let settings = Config::builder()
        .max_history_size(HISTORY_MAX)?
        .history_ignore_dups(true)?
        .completion_type(CompletionType::List)
        // The sign of a running command is no colour; what is painted depends on `color`.
        .color_mode(ColorMode::Forced)
        .auto_add_history(false)
        .build();
    let history = MemHistory::with_config(&settings);
    let mut editor = Editor::with_history(settings, history)?;
    // Between two lines the terminal is not raw: it takes Ctrl-D for its own end-of-file mark, which the editor then reads
    // as a zero byte.
    editor.bind_sequence(KeyEvent::ctrl('@'), Cmd::EndOfFile);
    editor.set_helper(Some(Assistant {
        names: config.names.clone(),
        color: config.color,
        running: Arc::clone(running),
        typed: Mutex::default(),
    }));
    for line in config.history.lines() {
        editor.add_history_entry(line)?;
    }
    Ok(editor)
}

/// The thread that reads lines.
struct PromptThread<F> {
    editor: Editor<Assistant, MemHistory>,
    config: PromptConfig,
    running: Arc<Running>,
    sink: Sink,
    number: u64,
    /// A line that contained a bad byte and is still being typed.
    kept: String,
    deliver: F,
}

impl<F: FnMut(PromptFact) -> bool> PromptThread<F> {
    fn run(mut self) {
        #[cfg(unix)]
        let _ = suspension().thread_unblock();
        while self.step() {}
    }

    /// Reads one line; false at the end.
    fn step(&mut self) -> bool {
        let initial = std::mem::take(&mut self.kept);
        self.note_text("");
        if let Some((columns, _)) = self.editor.dimensions() {
            self.config.columns.store(usize::from(columns), Ordering::Relaxed);
        }
        threads::panic_point("prompt");
        match self.editor.readline_with_initial(&self.config.text, (&initial, "")) {
            Ok(text) => self.submit(&text),
            Err(ReadlineError::Interrupted) if self.has_text() => true,
            Err(ReadlineError::Interrupted) => match self.running.interrupt() {
                PromptFact::Stop => self.stop(),
                fact => (self.deliver)(fact),
            },
            Err(ReadlineError::Signal(_)) => true,
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => self.spoil(&initial),
            Err(_) => self.stop(),
        }
    }

    /// Handles a byte that is not UTF-8. The typed text stays, with a mark in the place of the byte, so that the whole
    /// line is refused when it is entered, and the text after the byte does not become a line of its own.
    fn spoil(&mut self, initial: &str) -> bool {
        if !initial.contains(REPLACEMENT) {
            self.sink.must(SPOILED.to_owned(), None);
        }
        let typed = self.editor.helper().map(Assistant::typed).unwrap_or_default();
        self.kept = format!("{typed}{REPLACEMENT}");
        true
    }

    fn stop(&mut self) -> bool {
        (self.deliver)(PromptFact::Stop);
        false
    }

    /// Delivers the lines of a text; a paste can contain several.
    fn submit(&mut self, text: &str) -> bool {
        let mut left_out = 0;
        for line in text.lines() {
            let Some(input) = self.read(line) else { continue };
            let waiting = self.running.count();
            if waiting >= LINES_WAITING_MAX {
                left_out += 1;
                continue;
            }
            let is_quit = input.line == Ok(Line::Quit);
            // Counted at once, because Ctrl-C is a signal from here on and means this line.
            let goes_on = self.running.give(|| (self.deliver)(PromptFact::Line(input)));
            self.keep(line);
            if !goes_on || is_quit {
                return false;
            }
            // After a long command the prompt does not wait for replies to later lines.
            if waiting == 0 {
                self.running.wait_until_idle(REPLY_PATIENCE);
            }
        }
        if left_out > 0 {
            self.sink.must(lines_left_out(left_out), None);
        }
        if self.running.is_idle() {
            // The reply is being printed, and the next prompt belongs below it.
            let _ = self.sink.flush(REPLY_PATIENCE);
        }
        true
    }

    fn read(&mut self, line: &str) -> Option<InputLine> {
        self.number += 1;
        let content = if line.len() > LINE_MAX_BYTES {
            Content::TooLong(parse::canonical_word(line))
        } else {
            Content::Text(line.to_owned())
        };
        let number = self.number;
        let mut input = InputLine::read(RawLine { number, content })?;
        // If the line goes to another node, it is sent complete, and that node refuses it.
        input.text.get_or_insert_with(|| line.to_owned());
        Some(input)
    }

    fn keep(&mut self, line: &str) {
        let is_kept = !parse::is_silent(line) && line.len() <= LINE_MAX_BYTES;
        if is_kept && matches!(self.editor.add_history_entry(line), Ok(true)) {
            self.config.history.keep(line);
        }
    }

    fn has_text(&self) -> bool {
        self.editor.helper().is_some_and(|helper| !helper.typed().is_empty())
    }

    fn note_text(&self, text: &str) {
        if let Some(helper) = self.editor.helper() {
            helper.note(text);
        }
    }
}

/// The message for lines beyond the limit.
fn lines_left_out(count: usize) -> String {
    let (lines, were) = if count == 1 { ("line", "was") } else { ("lines", "were") };
    format!("error: {count} {lines} {were} not taken: {LINES_WAITING_MAX} wait already\nhint: enter them again later")
}

/// Completes words, and tracks whether any text is typed, because the editor does not report that with Ctrl-C.
struct Assistant {
    names: Names,
    color: bool,
    running: Arc<Running>,
    /// The text typed so far, or its beginning.
    typed: Mutex<String>,
}

impl Assistant {
    fn typed(&self) -> String {
        self.typed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, line: &str) {
        // For a longer line the beginning is enough, because the line will be refused.
        let most = line.len().min(LINE_MAX_BYTES + 1);
        let end = (0..=most).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        let mut typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
        typed.clear();
        typed.push_str(&line[..end]);
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, found) = complete::candidates(&line[..pos], &self.names.get());
        let pair = |word: String| Pair {
            replacement: format!("{word} "),
            display: word,
        };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Hinter for Assistant {
    type Hint = ArgumentHint;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<ArgumentHint> {
        self.note(line);
        // Without colour, a hint could not be told from typed text.
        let shown = self.color && pos == line.len();
        shown.then(|| help::argument_hint(line)).flatten().map(ArgumentHint)
    }
}

/// The values that a command still needs; shown, but never inserted.
struct ArgumentHint(String);

impl Hint for ArgumentHint {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Highlighter for Assistant {
    /// While a command runs the prompt shows another sign, of the same width.
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, default: bool) -> Cow<'b, str> {
        match prompt.strip_suffix("> ") {
            Some(before) if default && !self.running.is_idle() => Cow::Owned(format!("{before}{BUSY}")),
            Some(_) | None => Cow::Borrowed(prompt),
        }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[90m{hint}\x1b[0m"))
    }
}
impl Validator for Assistant {}
impl Helper for Assistant {}

/// The mode of the terminal before the prompt started; clones share it.
#[derive(Clone)]
pub struct Terminal {
    #[cfg(unix)]
    mode: Option<Arc<Mutex<nix::sys::termios::Termios>>>,
}

impl Terminal {
    /// Saves the mode of the terminal at stdin.
    #[must_use]
    pub fn remember() -> Self {
        Self {
            #[cfg(unix)]
            mode: nix::sys::termios::tcgetattr(io::stdin())
                .ok()
                .map(|mode| Arc::new(Mutex::new(mode))),
        }
    }

    /// Restores the mode of the terminal; this may be called several times.
    pub fn restore(&self) {
        #[cfg(unix)]
        if let Some(mode) = &self.mode {
            use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
            let mode = mode.lock().unwrap_or_else(PoisonError::into_inner);
            let is_raw = tcgetattr(io::stdin()).is_ok_and(|now| !now.local_flags.contains(LocalFlags::ICANON));
            if is_raw {
                // Switch off bracketed paste, and clear a half-printed prompt. An error does not matter, because the
                // terminal may be closed.
                let mut out = io::stdout().lock();
                drop(out.write_all(b"\x1b[?2004l\r\x1b[K").and_then(|()| out.flush()));
            }
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &mode);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_nothing_is_restored() {
        if !io::stdin().is_terminal() {
            Terminal::remember().restore();
        }
    }
}
