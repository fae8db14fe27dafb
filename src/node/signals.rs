//! Signals of the system: SIGTERM and SIGHUP stop the node, SIGINT interrupts, a second one at once ends the process.
//!
//! Promises: from [`listen`] on no signal ends the process by itself.
//! Elsewhere: what an interruption does (`node::session`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use tokio::runtime::Runtime;

use super::screen::Screen;
use super::session::Message;

/// What a shell reports of a process that SIGINT ended.
const STATUS_INTERRUPTED: i32 = 130;

/// Listens until the process ends. `leaving` is true once a stop is under way.
#[cfg(unix)]
pub(super) fn listen(runtime: &Runtime, messages: &Sender<Message>, leaving: &Arc<AtomicBool>, screen: &Screen) {
    use tokio::signal::unix::{SignalKind, signal};
    // Registered here and now; the tasks may begin later.
    let _entered = runtime.enter();
    match signal(SignalKind::interrupt()) {
        Ok(mut interrupts) => {
            let interrupted = interruption(messages.clone(), Arc::clone(leaving), screen.clone());
            runtime.spawn(async move {
                while interrupts.recv().await.is_some() {
                    interrupted();
                }
            });
        }
        Err(error) => tracing::warn!(%error, "SIGINT cannot be caught: it will end the node without a word"),
    }
    for kind in [SignalKind::terminate(), SignalKind::hangup()] {
        let messages = messages.clone();
        match signal(kind) {
            Ok(mut stops) => {
                runtime.spawn(async move {
                    while stops.recv().await.is_some() {
                        messages.send(Message::Stop).unwrap_or_default();
                    }
                });
            }
            Err(error) => tracing::warn!(%error, "SIGTERM cannot be caught: it will end the node without a word"),
        }
    }
}

/// Listens until the process ends. `leaving` is true once a stop is under way.
#[cfg(not(unix))]
pub(super) fn listen(runtime: &Runtime, messages: &Sender<Message>, leaving: &Arc<AtomicBool>, screen: &Screen) {
    let interrupted = interruption(messages.clone(), Arc::clone(leaving), screen.clone());
    runtime.spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            interrupted();
        }
    });
}

fn interruption(messages: Sender<Message>, leaving: Arc<AtomicBool>, screen: Screen) -> impl Fn() + Send {
    move || {
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
