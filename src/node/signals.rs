//! Signals of the system: SIGTERM and SIGHUP stop the node, SIGINT interrupts, a second one at once ends the process.
//!
//! Elsewhere: what an interruption does (`node::session`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use super::screen::Screen;
use super::session::Message;

/// What a shell reports of a process that SIGINT ended.
const STATUS_INTERRUPTED: i32 = 130;

/// Listens until the process ends. `leaving` is true once a stop is under way.
pub(super) async fn listen(messages: Sender<Message>, leaving: Arc<AtomicBool>, screen: Screen) {
    let interrupts = on_interrupt(messages.clone(), leaving, screen);
    tokio::join!(interrupts, on_terminate(messages));
}

async fn on_interrupt(messages: Sender<Message>, leaving: Arc<AtomicBool>, screen: Screen) {
    while tokio::signal::ctrl_c().await.is_ok() {
        if leaving.load(Ordering::SeqCst) {
            // The store survives this as it survives a kill.
            screen.restore();
            std::process::exit(STATUS_INTERRUPTED);
        }
        let message = screen.interrupt();
        leaving.store(!matches!(message, Message::Cancel), Ordering::SeqCst);
        messages.send(message).unwrap_or_default();
    }
}

#[cfg(unix)]
async fn on_terminate(messages: Sender<Message>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut hangup)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup())) else {
        tracing::warn!("SIGTERM cannot be caught: it will end the node without a word");
        return;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        messages.send(Message::Stop).unwrap_or_default();
    }
}

#[cfg(not(unix))]
async fn on_terminate(_messages: Sender<Message>) {}
