//! Where lines come from: `--exec`, standard input, or a prompt. All but the prompt wait until they are asked.
//!
//! Promises: no line is read before the session asks for it, but at a prompt; the thread never holds
//! the stop up.
//! Elsewhere: how lines are cut and read (`console::input`), the prompt (`console::prompt`).

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::Ears;
use super::hearers::Hearers;
use super::history::HistoryFile;
use super::mailbox::Mailbox;
use super::screen::Screen;
use super::session::In;
use crate::cli::Args;
use crate::console::InputLine;
use crate::console::input;
use crate::console::parse::Line;
use crate::console::prompt::PromptFact;
use crate::contract::{Command, Event};
use crate::threads::{self, panic_point};

/// Starts the source of lines; `failed` hears of the panic that ends it. Sending on what comes back asks for the next one.
pub(super) fn start(
    args: &Args,
    (screen, ears): (&Screen, &Ears),
    folder: &Path,
    mailbox: Mailbox,
    failed: impl FnOnce(&str) + Send + 'static,
) -> Option<SyncSender<()>> {
    let (more, asked) = sync_channel(1);
    let exec = args.exec.clone();
    let stays = args.daemon;
    let screen = screen.clone();
    let hearers = args.discovery.then(|| ears.hearers.clone());
    let ears = ears.clone();
    let history = HistoryFile::of(folder);
    // The reader's thread ends when the prompt's begins: one of the two can fail.
    let failed = Arc::new(Mutex::new(Some(failed)));
    let fail = move |reason: &str| {
        if let Some(failed) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            failed(reason);
        }
    };
    let prompt_fails = fail.clone();
    let body = move || {
        if asked.recv().is_err() {
            return;
        }
        let deliver = |line: Option<InputLine>| hand_over(line, &mailbox, &asked);
        let deliver_facts = prompt_facts(mailbox.clone());
        if screen.is_prompt() && screen.start_prompt(Box::new(history), deliver_facts, prompt_fails) {
            return;
        }
        match exec {
            Some(text) => read_exec(&text, hearers.as_ref(), deliver),
            None => read_stdin(&ears, stays, deliver),
        }
    };
    match threads::spawn("reader", body, fail) {
        Ok(_) => Some(more),
        Err(error) => {
            tracing::error!(%error, "no thread to read commands with");
            None
        }
    }
}

/// Hands over standard input. A node that ends because there was nothing in it says so: that is a service without
/// `--daemon`, or a shell's `&`.
fn read_stdin(ears: &Ears, stays: bool, mut deliver: impl FnMut(Option<InputLine>) -> bool) {
    let mut is_empty = true;
    input::read_all(std::io::stdin().lock(), |line| {
        if line.is_none() && is_empty && !stays {
            ears.event(&Event::Warning {
                code: "no_input",
                message: "standard input ended without a command, so this node stops; with --daemon it stays"
                    .to_owned(),
            });
        }
        is_empty = false;
        deliver(line)
    });
}

/// Hands over the commands of `--exec`. Where nodes are looked for, the first that announces something waits for one.
fn read_exec(text: &str, hearers: Option<&Hearers>, mut deliver: impl FnMut(Option<InputLine>) -> bool) {
    let mut hearers = hearers;
    for line in input::split_exec(text) {
        if announces(&line)
            && let Some(hearers) = hearers.take()
        {
            hearers.wait();
        }
        if !deliver(Some(line)) {
            return;
        }
    }
    deliver(None);
}

/// Whether a command makes something that other nodes should hear of.
fn announces(line: &InputLine) -> bool {
    matches!(
        line.line,
        Ok(Line::Engine(Command::Tx { .. } | Command::Claim(_) | Command::Mine(_)))
    )
}

/// Where the prompt's facts go: its lines wait in the session. The prompt's thread never does: only while it reads is
/// anything shown.
fn prompt_facts(mailbox: Mailbox) -> impl FnMut(PromptFact) -> bool + Send {
    move |fact| {
        mailbox.send(match fact {
            PromptFact::Cancel => In::Cancel,
            PromptFact::Stop => In::Stop,
            PromptFact::Line(line) => In::Line(Box::new(line)),
        })
    }
}

/// Sends a line and waits until the next one is wanted; false when none will be.
fn hand_over(line: Option<InputLine>, mailbox: &Mailbox, asked: &Receiver<()>) -> bool {
    panic_point("reader");
    let input = line.map_or(In::InputEnded, |line| In::Line(Box::new(line)));
    mailbox.send(input) && asked.recv().is_ok()
}
