//! Where lines come from: `--exec`, standard input, or a prompt. Each waits until it is asked.
//!
//! Promises: no line is taken before the reply to the line before it was written; the thread never holds the stop up.
//! Elsewhere: how lines are cut and read (`console::input`), the prompt (`console::prompt`).

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::screen::Screen;
use super::session::Message;
use crate::cli::Args;
use crate::console::InputLine;
use crate::console::input;
use crate::console::prompt::PromptFact;

/// Lines typed at the prompt, in the data folder.
pub(super) const HISTORY: &str = "history";

/// Starts the source of lines. Sending on what comes back asks for the next one.
pub fn start(args: &Args, screen: &Screen, folder: &Path, messages: Sender<Message>) -> Option<SyncSender<()>> {
    let (more, asked) = sync_channel(1);
    let exec = args.exec.clone();
    let screen = screen.clone();
    let history = folder.join(HISTORY);
    let body = move || {
        if asked.recv().is_err() {
            return;
        }
        if screen.is_prompt() {
            // Should there be no prompt, this takes the lines: the turn comes back with it.
            let turns = Arc::new(Mutex::new(asked));
            let facts = prompt_facts(messages.clone(), Arc::clone(&turns));
            if !screen.start_prompt(history, facts) {
                let asked = turns.lock().unwrap_or_else(PoisonError::into_inner);
                input::read_all(std::io::stdin().lock(), |line| hand_over(line, &messages, &asked));
            }
            return;
        }
        let deliver = |line: Option<InputLine>| hand_over(line, &messages, &asked);
        match exec {
            Some(text) => read_exec(&text, deliver),
            None => input::read_all(std::io::stdin().lock(), deliver),
        }
    };
    match std::thread::Builder::new().name("reader".into()).spawn(body) {
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

/// What the prompt tells: a line waits for its turn, Ctrl-C does not. The first line's turn has come.
fn prompt_facts(messages: Sender<Message>, asked: Arc<Mutex<Receiver<()>>>) -> impl FnMut(PromptFact) -> bool + Send {
    let mut is_first = true;
    move |fact| {
        let message = match fact {
            PromptFact::Cancel => Message::Cancel,
            PromptFact::Stop => Message::Stop,
            PromptFact::Line(line) => {
                let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
                if !std::mem::take(&mut is_first) && asked.recv().is_err() {
                    return false;
                }
                Message::Line(Box::new(line))
            }
        };
        messages.send(message).is_ok()
    }
}

/// Sends a line and waits until the next one is wanted; false when none will be.
fn hand_over(line: Option<InputLine>, messages: &Sender<Message>, asked: &Receiver<()>) -> bool {
    let message = line.map_or(Message::InputEnded, |line| Message::Line(Box::new(line)));
    messages.send(message).is_ok() && asked.recv().is_ok()
}
