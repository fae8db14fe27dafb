//! Where lines come from: `--exec`, standard input, or a prompt. All but the prompt wait until they are asked.
//!
//! Promises: no line is read before the reply to the line before it was written, but at a prompt; the thread never holds
//! the stop up.
//! Elsewhere: how lines are cut and read (`console::input`), the prompt (`console::prompt`).

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::history::HistoryFile;
use super::mailbox::Mailbox;
use super::screen::Screen;
use super::session::In;
use crate::cli::Args;
use crate::console::InputLine;
use crate::console::input;
use crate::console::prompt::PromptFact;
use crate::threads::{self, panic_point};

/// Starts the source of lines; `failed` hears of the panic that ends it. Sending on what comes back asks for the next one.
pub fn start(
    args: &Args,
    screen: &Screen,
    folder: &Path,
    mailbox: Mailbox,
    failed: impl FnOnce(&str) + Send + 'static,
) -> Option<SyncSender<()>> {
    let (more, asked) = sync_channel(1);
    let exec = args.exec.clone();
    let screen = screen.clone();
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
            Some(text) => read_exec(&text, deliver),
            None => input::read_all(std::io::stdin().lock(), deliver),
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

fn read_exec(text: &str, mut deliver: impl FnMut(Option<InputLine>) -> bool) {
    for line in input::split_exec(text) {
        if !deliver(Some(line)) {
            return;
        }
    }
    deliver(None);
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
