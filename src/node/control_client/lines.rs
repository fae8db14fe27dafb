//! What a client says to a node, and how it shows what the node says.

use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::{Complaint, STATUS_FAILED, unreachable_node};
use crate::cli::{Args, Color, Task};
use crate::console::look::Look;
use crate::console::prompt::{Prompt, Terminal};
use crate::console::render::{self, escape};
use crate::console::zone::Zone;
use crate::contract::{CommandError, Refusal};
use crate::node::control_socket::connect;
use crate::node::hello::{Form, Hello};
use crate::node::screen::{columns_told, may_colour};
use crate::types::WallTime;

/// A `wait` ran out.
const STATUS_TIMEOUT: u8 = 5;
/// What is kept of a line to know what it says.
const START_MAX_BYTES: usize = 64 * 1024;

/// Connects and says how this client reads.
pub(super) fn greet(folder: &Path, hello: Hello) -> Result<UnixStream, Complaint> {
    let mut stream = connect(folder).map_err(|error| unreachable_node(folder, &error))?;
    // A node that lets nobody more in says so before it closes: the answer is read all the same.
    stream
        .write_all(format!("{}\n", hello.line()).as_bytes())
        .unwrap_or_default();
    Ok(stream)
}

pub(super) const fn form(args: &Args) -> Form {
    if args.json { Form::Json } else { Form::Words }
}

/// Gives one command on a connection of its own; the line of its reply, none if the node goes away.
pub(super) fn ask(folder: &Path, hello: Hello, command: &str) -> Result<Option<String>, Complaint> {
    let stream = put(folder, hello, command)?;
    Ok(BufReader::new(stream).lines().next().and_then(Result::ok))
}

pub(super) fn put(folder: &Path, hello: Hello, command: &str) -> Result<UnixStream, Complaint> {
    let mut stream = greet(folder, hello)?;
    stream.write_all(format!("{command}\n").as_bytes()).unwrap_or_default();
    Ok(stream)
}

/// Programs that read through a pipe want no colour unless they say so.
pub(super) fn coloured(args: &Args) -> bool {
    let shows = args.color == Color::Always || io::stdout().is_terminal();
    form(args) == Form::Words && shows && may_colour(args.color)
}

/// The width of the terminal, or the usual one.
pub(super) fn columns() -> u16 {
    let told = columns_told().and_then(|columns| u16::try_from(columns).ok());
    told.unwrap_or(Hello::SILENT.columns)
}

/// Shows a line of the node; gives the status that it stands for. A closed standard output is no failure.
pub(super) fn show(args: &Args, shown: Option<&Shown>, line: &str) -> u8 {
    let value: Value = serde_json::from_str(line).unwrap_or_default();
    let error = refusal(&value);
    match (args.json, shown, &error) {
        (true, ..) => print(line),
        (false, Some(shown), _) => show_at(shown, &value, error.as_ref()),
        (false, None, Some(error)) => {
            // The only line of `ctl` needs no number.
            let number = value["line"]
                .as_u64()
                .filter(|_| matches!(args.task, Some(Task::Attach { .. })));
            complain(&render::human_error(number, error));
        }
        (false, None, None) if value["type"] == "event" => complain(&match clock_of(&value).filter(|_| args.times) {
            Some(clock) => format!("{clock} {}", text_of(&value)),
            None => text_of(&value).to_owned(),
        }),
        (false, None, None) if text_of(&value).is_empty() => {}
        (false, None, None) => print(text_of(&value)),
    }
    status_of(&value)
}

fn show_at(shown: &Shown, value: &Value, error: Option<&CommandError>) {
    let sink = shown.prompt.sink();
    if value["type"] == "event" {
        let text = match clock_of(value).filter(|_| shown.times) {
            Some(clock) => shown.look().behind(&clock, text_of(value)),
            None => shown.fitted(text_of(value)),
        };
        let is_warning = value["event"] == "warning";
        return sink.may(if is_warning {
            shown.look().warning(&text)
        } else {
            shown.look().event(&text)
        });
    }
    let text = match error {
        Some(error) => shown.look().error(&shown.fitted(&render::human_error(None, error))),
        None => shown.fitted(text_of(value)),
    };
    if !text.is_empty() {
        sink.must(text, None);
    }
    shown.prompt.answered();
}

/// What is told to a client in words and is no line of the log, or has a time of its own.
const UNTIMED: [&str; 5] = ["attached", "typed", "waits", "searching", "log"];

/// The time of day of an event.
fn clock_of(value: &Value) -> Option<String> {
    let is_timed = |name: &str| !UNTIMED.contains(&name);
    let time = value["time_ms"]
        .as_u64()
        .filter(|_| value["event"].as_str().is_some_and(is_timed))?;
    Some(Zone::Local.time_of_day(WallTime::from_ms(time)))
}

fn text_of(value: &Value) -> &str {
    value["text"].as_str().unwrap_or_default()
}

fn refusal(value: &Value) -> Option<CommandError> {
    let error = value.get("error")?;
    let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
    Some(CommandError {
        code: "refused",
        message: text("message"),
        hint: text("hint"),
    })
}

fn status_of(value: &Value) -> u8 {
    match value["error"]["code"].as_str().map(Refusal::of) {
        None => 0,
        Some(Refusal::TimedOut) => STATUS_TIMEOUT,
        Some(Refusal::Failed | Refusal::Interrupted) => STATUS_FAILED,
    }
}

/// A line of which no more than its beginning is kept: a reply may have hundreds of megabytes.
pub(super) struct Seen {
    pub(super) start: String,
    /// The last two bytes that came, which tell whether the line ended in order.
    end: [u8; 2],
    whole: bool,
}

impl Seen {
    /// The status that it stands for. A refusal is short; what is long is a reply with data, or one that was broken off.
    pub(super) fn status(&self) -> u8 {
        if self.whole {
            return serde_json::from_str(&self.start).map_or(STATUS_FAILED, |value| status_of(&value));
        }
        if self.end == *b"}}" { 0 } else { STATUS_FAILED }
    }
}

/// Copies a line as it comes; none at the end of the input.
pub(super) fn copy_line(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<Option<Seen>> {
    let (mut start, mut end, mut whole, mut any) = (Vec::new(), [0; 2], true, false);
    while let Ok(bytes) = from.fill_buf() {
        if bytes.is_empty() {
            break;
        }
        any = true;
        let line_end = bytes.iter().position(|byte| *byte == b'\n');
        let piece = &bytes[..line_end.unwrap_or(bytes.len())];
        to.write_all(piece)?;
        let kept = START_MAX_BYTES.saturating_sub(start.len()).min(piece.len());
        whole &= kept == piece.len();
        start.extend_from_slice(&piece[..kept]);
        for byte in &piece[piece.len().saturating_sub(2)..] {
            end = [end[1], *byte];
        }
        let used = line_end.map_or(bytes.len(), |at| at + 1);
        from.consume(used);
        if line_end.is_some() {
            break;
        }
    }
    if !any {
        return Ok(None);
    }
    to.write_all(b"\n")?;
    to.flush()?;
    let start = String::from_utf8_lossy(&start).into_owned();
    Ok(Some(Seen { start, end, whole }))
}

/// Nobody may be left to read.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

pub(super) fn complain(text: &str) {
    writeln!(io::stderr().lock(), "{text}").unwrap_or_default();
}

/// A prompt, and how wide its lines may be.
pub(super) struct Shown {
    pub(super) prompt: Prompt,
    pub(super) columns: Arc<AtomicUsize>,
    pub(super) colour: bool,
    pub(super) times: bool,
}

impl Shown {
    fn look(&self) -> Look {
        // The window may have changed since the prompt last looked.
        let columns = columns_told().unwrap_or_else(|| self.columns.load(Ordering::Relaxed));
        Look {
            columns,
            colour: self.colour,
            ..Look::default()
        }
    }

    /// Broken where the terminal would cut words; drawings are as wide as they may be already.
    fn fitted(&self, text: &str) -> String {
        if text.contains('\u{1b}') {
            return text.to_owned();
        }
        self.look().wrap(text)
    }
}

/// What a client does when one of its threads panicked: it says so and ends, rather than wait for what will not come.
/// The node is left as it was.
pub(super) fn end_with(part: &'static str, terminal: Terminal) -> impl FnOnce(&str) + Send + 'static {
    move |reason| {
        terminal.restore();
        complain(&format!(
            "error: {part} failed: {}\nhint: the node goes on: attach again",
            escape(reason)
        ));
        std::process::exit(STATUS_FAILED.into());
    }
}
