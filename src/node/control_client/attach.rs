//! `lanchain attach`: work as at the prompt of a running node.
//!
//! Promises: each thread of the client is watched; one that fails ends it with status 1, and leaves the node as it was.

use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::lines::{Shown, coloured, columns, complain, copy_line, end_with, form, greet, show};
use super::{Complaint, STATUS_FAILED, completion, unreachable_node};
use crate::cli::Args;
use crate::console::complete::Names;
use crate::console::prompt::{self, Prompt, PromptConfig, PromptFact, Terminal};
use crate::node::control_session::CANCEL;
use crate::node::hello::{DETACH, Hello};
use crate::node::history::HistoryFile;
use crate::threads::{self, panic_point};

/// How long the last words take to reach the terminal at most.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);
/// What stands before the line that is typed: not the node's own prompt.
const PROMPT: &str = "attached> ";

/// How a session may end without anybody being to blame.
#[derive(Default)]
struct Ending {
    input_ended: bool,
}

pub(super) fn run(args: &Args, folder: &Path, quiet: bool) -> Result<u8, Complaint> {
    let hello = Hello {
        form: form(args),
        events: !quiet,
        prompt: !args.json && prompt::is_terminal(),
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
        start_prompt(
            folder,
            stream.try_clone().map_err(failed)?,
            (hello, &names, args.times),
            &ending,
        )
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
    (hello, names, times): (Hello, &Names, bool),
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
    Some(Shown {
        prompt,
        columns,
        colour: hello.colour,
        times,
    })
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
