//! Signals of the system: SIGTERM and SIGHUP stop the node, SIGINT interrupts, a second one at once ends the process.
//!
//! Promises: from [`listen`] on no signal ends the process by itself; a task that fails here is told, and hears the next
//! signal. Elsewhere: what an interruption does (`node::session`).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use tokio::runtime::Runtime;

use super::inbox::Inbox;
use super::mailbox::Mailbox;
use super::screen::Screen;
use super::session::In;
use crate::engine::Part;
use crate::threads::{message_of, panic_point};

/// What a shell reports of a process that SIGINT ended.
const STATUS_INTERRUPTED: i32 = 130;

/// Listens until the process ends. `leaving` is true once a stop is under way.
#[cfg(unix)]
pub(super) fn listen(
    runtime: &Runtime,
    mailbox: &Mailbox,
    leaving: &Arc<AtomicBool>,
    (screen, inbox): (&Screen, &Arc<Inbox>),
) {
    use tokio::signal::unix::{SignalKind, signal};
    // Registered here and now; the tasks may begin later.
    let _entered = runtime.enter();
    match signal(SignalKind::interrupt()) {
        Ok(mut interrupts) => {
            let interrupted = interruption(mailbox.clone(), Arc::clone(leaving), screen.clone());
            let inbox = Arc::clone(inbox);
            runtime.spawn(async move { watched(&mut interrupts, interrupted, &inbox).await });
        }
        Err(error) => tracing::warn!(%error, "SIGINT cannot be caught: it will end the node without a word"),
    }
    for kind in [SignalKind::terminate(), SignalKind::hangup()] {
        let mailbox = mailbox.clone();
        match signal(kind) {
            Ok(mut stops) => {
                let inbox = Arc::clone(inbox);
                let stop = move || {
                    mailbox.send(In::Stop);
                };
                runtime.spawn(async move { watched(&mut stops, stop, &inbox).await });
            }
            Err(error) => tracing::warn!(%error, "SIGTERM cannot be caught: it will end the node without a word"),
        }
    }
}

/// Listens until the process ends. `leaving` is true once a stop is under way.
#[cfg(not(unix))]
pub(super) fn listen(
    runtime: &Runtime,
    mailbox: &Mailbox,
    leaving: &Arc<AtomicBool>,
    (screen, inbox): (&Screen, &Arc<Inbox>),
) {
    let inbox = Arc::clone(inbox);
    let interrupted = interruption(mailbox.clone(), Arc::clone(leaving), screen.clone());
    runtime.spawn(async move { watched(&mut CtrlC, interrupted, &inbox).await });
}

/// The one signal of systems without Unix's.
#[cfg(not(unix))]
struct CtrlC;

#[cfg(not(unix))]
impl CtrlC {
    async fn recv(&mut self) -> Option<()> {
        tokio::signal::ctrl_c().await.ok()
    }
}

#[cfg(not(unix))]
type Signal = CtrlC;
#[cfg(unix)]
type Signal = tokio::signal::unix::Signal;

/// Acts on each signal. When that panics, it is told, and the next signal is heard.
async fn watched(signals: &mut Signal, mut act: impl FnMut() + Send, inbox: &Inbox) {
    while let Err(panic) = AssertUnwindSafe(hear(signals, &mut act)).catch_unwind().await {
        inbox.failed(Part::Signals, &message_of(&*panic));
    }
}

async fn hear(signals: &mut Signal, act: &mut (impl FnMut() + Send)) {
    while signals.recv().await.is_some() {
        panic_point("signals");
        act();
    }
}

fn interruption(mailbox: Mailbox, leaving: Arc<AtomicBool>, screen: Screen) -> impl Fn() + Send {
    move || {
        if leaving.load(Ordering::SeqCst) {
            // The store survives this as it survives a kill.
            screen.restore();
            std::process::exit(STATUS_INTERRUPTED);
        }
        let input = screen.interrupt();
        leaving.store(!matches!(input, In::Cancel), Ordering::SeqCst);
        mailbox.send(input);
    }
}
