//! The clients of a running node: `lanchain ctl` gives one command, `lanchain attach` works as at the node's prompt.
//!
//! Promises: answers go to standard output, errors and events in words to standard error, as at the node itself; the exit
//! status is the contract's; a client that is interrupted leaves the node as it was.
//! Elsewhere: which node (`store::places`), what it answers (`node::control`).
//! Spec: `proto-notes/control.md`, `proto-notes/events.md`, "Tasks".

use std::path::{Path, PathBuf};

use super::folder_choice;
use crate::cli::{Args, Task};
use crate::console::render::escape;
use crate::store::{Sought, places};

/// A command failed, or the node went away.
const STATUS_FAILED: u8 = 1;
/// Wrong usage.
const STATUS_USAGE: u8 = 2;
/// No node, or several.
const STATUS_NO_NODE: u8 = 3;

/// What ends a client before it has begun.
struct Complaint {
    status: u8,
    message: String,
    hint: String,
}

/// Runs `ctl` or `attach` to its end; gives the exit status.
#[must_use]
pub fn run(args: &Args, task: &Task) -> u8 {
    let done = find(args).and_then(|folder| match task {
        Task::Ctl { command } => client::ctl(args, &folder, command),
        _ => client::attach(args, &folder, matches!(task, Task::Attach { quiet: true })),
    });
    done.unwrap_or_else(|complaint| {
        eprintln!(
            "error: {}\nhint: {}",
            escape(&complaint.message),
            escape(&complaint.hint)
        );
        complaint.status
    })
}

fn find(args: &Args) -> Result<PathBuf, Complaint> {
    places::find(&folder_choice(args), &args.network, Sought::Node).map_err(|error| Complaint {
        status: STATUS_NO_NODE,
        message: error.to_string(),
        hint: error.hint(),
    })
}

fn unreachable_node(folder: &Path, error: &std::io::Error) -> Complaint {
    Complaint {
        status: STATUS_NO_NODE,
        message: format!("the node in {} cannot be reached: {error}", folder.display()),
        hint: "it may be starting or stopping: try again; its log says if it has no control socket".into(),
    }
}

#[cfg(not(unix))]
mod client {
    use super::*;

    fn none() -> Complaint {
        let error = std::io::Error::new(std::io::ErrorKind::Unsupported, "this system has no Unix sockets");
        Complaint {
            hint: "type at the node's own prompt, or start it with --exec or --json".into(),
            ..unreachable_node(Path::new("that folder"), &error)
        }
    }

    pub(super) fn ctl(_: &Args, _: &Path, _: &[String]) -> Result<u8, Complaint> {
        Err(none())
    }

    pub(super) fn attach(_: &Args, _: &Path, _: bool) -> Result<u8, Complaint> {
        Err(none())
    }
}

#[cfg(unix)]
mod client {
    use std::io::{self, BufRead, BufReader, IsTerminal, Write};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Duration;

    use serde_json::Value;
    use tokio::signal::unix::{SignalKind, signal};

    use super::*;
    use crate::cli::Color;
    use crate::console::complete::Names;
    use crate::console::look::Look;
    use crate::console::prompt::{self, Prompt, PromptConfig, PromptFact, Terminal};
    use crate::console::{parse, render};
    use crate::contract::{CommandError, Refusal};
    use crate::node::control_session::CANCEL;
    use crate::node::control_socket::connect;
    use crate::node::hello::{DETACH, Form, Hello};
    use crate::node::history::HistoryFile;
    use crate::node::screen::{columns_told, may_colour};
    use crate::threads::{self, panic_point};

    /// A `wait` ran out.
    const STATUS_TIMEOUT: u8 = 5;
    /// How long the last words take to reach the terminal at most.
    const LAST_WORDS_MAX: Duration = Duration::from_secs(1);
    /// What is kept of a line to know what it says.
    const START_MAX_BYTES: usize = 64 * 1024;
    /// What stands before the line that is typed: not the node's own prompt.
    const PROMPT: &str = "attached> ";

    /// Connects and says how this client reads.
    fn greet(folder: &Path, hello: Hello) -> Result<UnixStream, Complaint> {
        let mut stream = connect(folder).map_err(|error| unreachable_node(folder, &error))?;
        // A node that lets nobody more in says so before it closes: the answer is read all the same.
        stream
            .write_all(format!("{}\n", hello.line()).as_bytes())
            .unwrap_or_default();
        Ok(stream)
    }

    const fn form(args: &Args) -> Form {
        if args.json { Form::Json } else { Form::Words }
    }

    pub(super) fn ctl(args: &Args, folder: &Path, words: &[String]) -> Result<u8, Complaint> {
        let command = words.join(" ");
        if command.contains('\n') || parse::is_silent(&command) {
            return Err(Complaint {
                status: STATUS_USAGE,
                message: "ctl takes one command".into(),
                hint: "lanchain ctl status".into(),
            });
        }
        let hello = Hello {
            form: form(args),
            colour: coloured(args),
            columns: columns(),
            ..Hello::SILENT
        };
        if args.json {
            let stream = put(folder, hello, &command)?;
            return Ok(match copy_line(&mut BufReader::new(stream), &mut io::stdout().lock()) {
                Ok(Some(seen)) => seen.status(),
                Ok(None) => {
                    eprintln!("error: the node went away before it answered");
                    STATUS_FAILED
                }
                // Nobody reads any more.
                Err(_) => 0,
            });
        }
        match ask(folder, hello, &command)? {
            Some(line) => Ok(show(args, None, &line)),
            None => {
                eprintln!("error: the node went away before it answered");
                Ok(STATUS_FAILED)
            }
        }
    }

    /// Gives one command on a connection of its own; the line of its reply, none if the node goes away.
    fn ask(folder: &Path, hello: Hello, command: &str) -> Result<Option<String>, Complaint> {
        let stream = put(folder, hello, command)?;
        Ok(BufReader::new(stream).lines().next().and_then(Result::ok))
    }

    fn put(folder: &Path, hello: Hello, command: &str) -> Result<UnixStream, Complaint> {
        let mut stream = greet(folder, hello)?;
        stream.write_all(format!("{command}\n").as_bytes()).unwrap_or_default();
        Ok(stream)
    }

    /// Programs that read through a pipe want no colour unless they say so.
    fn coloured(args: &Args) -> bool {
        let shows = args.color == Color::Always || io::stdout().is_terminal();
        form(args) == Form::Words && shows && may_colour(args.color)
    }

    /// The width of the terminal, or the usual one.
    fn columns() -> u16 {
        let told = columns_told().and_then(|columns| u16::try_from(columns).ok());
        told.unwrap_or(Hello::SILENT.columns)
    }

    /// Shows a line of the node; gives the status that it stands for. A closed standard output is no failure.
    fn show(args: &Args, shown: Option<&Shown>, line: &str) -> u8 {
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
            (false, None, None) if value["type"] == "event" => complain(text_of(&value)),
            (false, None, None) if text_of(&value).is_empty() => {}
            (false, None, None) => print(text_of(&value)),
        }
        status_of(&value)
    }

    fn show_at(shown: &Shown, value: &Value, error: Option<&CommandError>) {
        let sink = shown.prompt.sink();
        if value["type"] == "event" {
            return sink.may(shown.fitted(text_of(value)));
        }
        let text = error.map_or_else(|| text_of(value).to_owned(), |error| render::human_error(None, error));
        if !text.is_empty() {
            sink.must(shown.fitted(&text), None);
        }
        shown.prompt.answered();
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
    struct Seen {
        start: String,
        /// The last two bytes that came, which tell whether the line ended in order.
        end: [u8; 2],
        whole: bool,
    }

    impl Seen {
        /// The status that it stands for. A refusal is short; what is long is a reply with data, or one that was broken off.
        fn status(&self) -> u8 {
            if self.whole {
                return serde_json::from_str(&self.start).map_or(STATUS_FAILED, |value| status_of(&value));
            }
            if self.end == *b"}}" { 0 } else { STATUS_FAILED }
        }
    }

    /// Copies a line as it comes; none at the end of the input.
    fn copy_line(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<Option<Seen>> {
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

    fn complain(text: &str) {
        writeln!(io::stderr().lock(), "{text}").unwrap_or_default();
    }

    /// A prompt, and how wide its lines may be.
    struct Shown {
        prompt: Prompt,
        columns: Arc<AtomicUsize>,
    }

    impl Shown {
        /// Broken where the terminal would cut words; drawings are as wide as they may be already.
        fn fitted(&self, text: &str) -> String {
            if text.contains('\u{1b}') {
                return text.to_owned();
            }
            // The window may have changed since the prompt last looked.
            let columns = columns_told().unwrap_or_else(|| self.columns.load(Ordering::Relaxed));
            let look = Look {
                columns,
                ..Look::default()
            };
            look.wrap(text)
        }
    }

    /// What a client does when one of its threads panicked: it says so and ends, rather than wait for what will not come.
    /// The node is left as it was.
    fn end_with(part: &'static str, terminal: Terminal) -> impl FnOnce(&str) + Send + 'static {
        move |reason| {
            terminal.restore();
            complain(&format!(
                "error: {part} failed: {}\nhint: the node goes on: attach again",
                escape(reason)
            ));
            std::process::exit(STATUS_FAILED.into());
        }
    }

    /// How a session may end without anybody being to blame.
    #[derive(Default)]
    struct Ending {
        input_ended: bool,
    }

    pub(super) fn attach(args: &Args, folder: &Path, quiet: bool) -> Result<u8, Complaint> {
        let hello = Hello {
            form: form(args),
            events: !quiet,
            strict: args.strict,
            colour: coloured(args),
            columns: columns(),
        };
        let stream = greet(folder, hello)?;
        let failed = |error: io::Error| unreachable_node(folder, &error);
        let ending = Arc::new(Mutex::new(Ending::default()));
        let names = Names::default();
        let shown = if prompt::is_terminal() && !args.json {
            prompt::reserve_suspension();
            cancel_on_interrupt(stream.try_clone().map_err(failed)?).map_err(failed)?;
            start_prompt(folder, stream.try_clone().map_err(failed)?, (hello, &names), &ending)
        } else {
            None
        };
        if shown.is_none() {
            forward_input(stream.try_clone().map_err(failed)?, args.daemon, &ending).map_err(failed)?;
        }
        let status = follow(args, shown.as_ref(), stream, (folder, names, &ending));
        if let Some(shown) = shown {
            shown.prompt.finish(LAST_WORDS_MAX);
            return Ok(0);
        }
        Ok(status)
    }

    /// Shows what the node says until it says no more; the first failure decides the status.
    fn follow(
        args: &Args,
        shown: Option<&Shown>,
        stream: UnixStream,
        (folder, names, ending): (&Path, Names, &Mutex<Ending>),
    ) -> u8 {
        // Without a thread nothing is completed.
        let news = shown.and_then(|shown| {
            let terminal = shown.prompt.terminal();
            completion::learn(folder.to_owned(), names, terminal).ok()
        });
        let (mut status, mut stopped) = (0, false);
        let mut lines = BufReader::new(stream);
        loop {
            let (of_line, line) = if args.json {
                match copy_line(&mut lines, &mut io::stdout().lock()) {
                    Ok(Some(seen)) => (seen.status(), seen.start),
                    Ok(None) => break,
                    Err(_) => std::process::exit(0),
                }
            } else {
                let mut line = String::new();
                match lines.read_line(&mut line) {
                    Ok(size) if size > 0 => {}
                    Ok(_) | Err(_) => break,
                }
                let line = line.trim_end_matches('\n').to_owned();
                (show(args, shown, &line), line)
            };
            status = if status == 0 { of_line } else { status };
            let says = |word: &str| line.contains(word);
            stopped |= says("\"event\":\"stopped\"") || says("\"command\":\"quit\"") || says("\"command\":\"detach\"");
            if let Some(news) = &news {
                // Full: it will look anyway.
                news.try_send(()).unwrap_or_default();
            }
        }
        let input_ended = ending.lock().unwrap_or_else(PoisonError::into_inner).input_ended;
        if stopped || input_ended || args.strict && status != 0 {
            return status;
        }
        let words = "the node went away";
        match shown {
            Some(shown) => shown.prompt.sink().must(words.to_owned(), None),
            None => complain(words),
        }
        status.max(STATUS_FAILED)
    }

    /// Standard input goes to the node as it is: it reads lines as at its own input.
    fn forward_input(mut stream: UnixStream, stay: bool, ending: &Arc<Mutex<Ending>>) -> io::Result<()> {
        let ending = Arc::clone(ending);
        let body = move || {
            panic_point("client-input");
            let copied = io::copy(&mut io::stdin().lock(), &mut stream);
            if !stay && copied.is_ok() {
                ending.lock().unwrap_or_else(PoisonError::into_inner).input_ended = true;
                stream.shutdown(Shutdown::Write).unwrap_or_default();
            }
        };
        let failed = end_with("what reads the input", Terminal::remember());
        threads::spawn("client-input", body, failed).map(drop)
    }

    /// A prompt that sends each line as typed; none if the terminal allows none.
    fn start_prompt(
        folder: &Path,
        mut stream: UnixStream,
        (hello, names): (Hello, &Names),
        ending: &Arc<Mutex<Ending>>,
    ) -> Option<Shown> {
        let columns = Arc::new(AtomicUsize::new(usize::from(hello.columns)));
        let config = PromptConfig {
            text: PROMPT.to_owned(),
            history: Box::new(HistoryFile::of(folder)),
            names: names.clone(),
            color: hello.colour,
            columns: Arc::clone(&columns),
        };
        let ending = Arc::clone(ending);
        let deliver = move |fact| {
            let line = match fact {
                PromptFact::Line(line) => line.text.unwrap_or_default(),
                PromptFact::Cancel => CANCEL.to_owned(),
                PromptFact::Stop => {
                    ending.lock().unwrap_or_else(PoisonError::into_inner).input_ended = true;
                    // What runs is not waited for.
                    format!("{CANCEL}\n{DETACH}")
                }
            };
            stream.write_all(format!("{line}\n").as_bytes()).is_ok()
        };
        let prompt = Prompt::start(config, deliver, end_with("the prompt", Terminal::remember())).ok()?;
        Some(Shown { prompt, columns })
    }

    /// Ctrl-C between two lines is a signal: a line was just given, and it is cancelled.
    fn cancel_on_interrupt(mut stream: UnixStream) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Caught from here on, not only once the thread runs.
        let caught = {
            let _entered = runtime.enter();
            signal(SignalKind::interrupt())
        };
        let mut interrupts = caught?;
        let body = move || {
            panic_point("client-interrupts");
            while runtime.block_on(interrupts.recv()).is_some() {
                stream.write_all(format!("{CANCEL}\n").as_bytes()).unwrap_or_default();
            }
        };
        let failed = end_with("what hears Ctrl-C", Terminal::remember());
        threads::spawn("client-interrupts", body, failed).map(drop)
    }

    /// What the prompt of an attached terminal can complete: asked for on connections of its own.
    mod completion {
        use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

        use super::*;

        /// Between two looks: names come with payments, and nobody completes faster than they are read.
        const PAUSE: Duration = Duration::from_secs(2);
        /// What is asked for, and what is found in the data.
        const QUESTIONS: [&str; 4] = ["accounts", "peers", "pending", "chain 16"];

        /// Looks once, and again when told that something was said. Ends with the sender.
        pub(super) fn learn(folder: PathBuf, names: Names, terminal: Terminal) -> io::Result<SyncSender<()>> {
            let (news, told) = sync_channel(1);
            news.try_send(()).unwrap_or_default();
            let failed = end_with("what completes names", terminal);
            threads::spawn("client-names", move || look(&folder, &names, &told), failed)?;
            Ok(news)
        }

        fn look(folder: &Path, names: &Names, told: &Receiver<()>) {
            while told.recv().is_ok() {
                panic_point("client-names");
                for question in QUESTIONS {
                    // A node that is busy or gone is asked another time.
                    if let Ok(Some(line)) = ask(folder, Hello::SILENT, question) {
                        let value: Value = serde_json::from_str(&line).unwrap_or_default();
                        take(names, &value["data"]);
                    }
                }
                std::thread::sleep(PAUSE);
            }
        }

        /// Takes what can be completed from the data of any of the questions.
        fn take(names: &Names, data: &Value) {
            let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
            let each = |value: &Value, keys: &[&str], see: &dyn Fn(&str)| {
                keys.iter().filter_map(|key| value[*key].as_str()).for_each(see);
            };
            for account in list(data, "accounts") {
                each(&account, &["account"], &|account| names.see_account(account));
            }
            for peer in list(data, "peers") {
                each(&peer, &["peer_id", "name"], &|account| names.see_account(account));
            }
            let mut transactions = list(data, "transactions");
            for block in list(data, "blocks").iter().rev() {
                each(block, &["hash"], &|hash| names.see_block(hash));
                transactions.extend(list(block, "transactions"));
            }
            for transaction in &transactions {
                each(transaction, &["txid"], &|txid| names.see_transaction(txid));
                let is_payment = transaction["kind"] != "reward";
                if is_payment {
                    each(transaction, &["from", "to"], &|account| names.see_account(account));
                }
            }
        }
    }
}
