//! Checks bodies on threads of their own, while the engine takes the blocks before.
//!
//! Promises: each order has one end, [`Input::Checked`]; where the system gives no thread, the engine's own thread makes
//! the checks.
//! Elsewhere: what is checked and how much at once (`engine::parts::sync`), the checks (`chain::checks`).

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use super::inbox::Inbox;
use crate::engine::{BodyCheck, Input};
use crate::threads::{self, panic_point};

/// The most threads: the engine, which takes the blocks one after another, is the next limit.
pub const CHECK_THREADS_MAX: usize = 4;

/// Orders that wait for a thread; then the engine waits for one to be taken. The engine orders 4 MiB at most for each of two
/// candidates, mostly in groups of 1 MiB.
const ORDERS_MAX: usize = 64;

/// The threads. They end when this is dropped.
#[derive(Debug)]
pub struct Checker {
    inbox: Arc<Inbox>,
    /// None where there is no thread.
    orders: Option<SyncSender<BodyCheck>>,
}

impl Checker {
    /// Starts one thread a core. `failed` is called with the message of a panic that ends one of them.
    pub fn start(inbox: Arc<Inbox>, failed: impl Fn(&str) + Clone + Send + 'static) -> Self {
        let count = available_parallelism().map_or(1, usize::from).min(CHECK_THREADS_MAX);
        let (orders, next) = sync_channel(ORDERS_MAX);
        let next = Arc::new(Mutex::new(next));
        let started = (0..count).filter(|_| {
            let (inbox, next) = (Arc::clone(&inbox), Arc::clone(&next));
            threads::spawn("check", move || serve(&inbox, &next), failed.clone()).is_ok()
        });
        let has_threads = started.count() > 0;
        Self {
            inbox,
            orders: has_threads.then_some(orders),
        }
    }

    /// Makes checks; their end comes to the inbox.
    pub fn check(&self, check: BodyCheck) {
        let unserved = match &self.orders {
            Some(orders) => orders.send(check).err().map(|unsent| unsent.0),
            None => Some(check),
        };
        if let Some(check) = unserved {
            make(&self.inbox, check);
        }
    }
}

fn serve(inbox: &Inbox, next: &Mutex<Receiver<BodyCheck>>) {
    loop {
        let check = next.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(check) = check else { return };
        panic_point("check");
        make(inbox, check);
    }
}

fn make(inbox: &Inbox, check: BodyCheck) {
    let (number, verdicts) = check.make();
    inbox.push(Input::Checked { number, verdicts });
}
