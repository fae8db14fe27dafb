//! Other nodes of the same machine: shows them where this one listens, and looks where they do.
//!
//! Promises: works without any network interface but loopback; costs nothing when nobody else is there.
//! Elsewhere: the folders (`store`), what becomes of a found peer (`engine::parts::dial`).

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::inbox::Inbox;
use crate::contract::FoundBy;
use crate::engine::{NetFact, Part};
use crate::threads::{self, panic_point};
use crate::types::{Address, PeerId};

/// Between two looks in the first minute: whoever starts three terminals waits for this.
const LOOK_EVERY_AT_FIRST: Duration = Duration::from_secs(2);
/// Between two looks later.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long the first pace lasts.
const AT_FIRST: Duration = Duration::from_secs(60);

/// What the housekeeper needs of a data folder.
pub trait Neighbourhood: Send + 'static {
    /// Writes the addresses where the others look; none while the node does not listen.
    fn show(&self, addresses: Option<&[Address]>);
    /// The other running nodes of this network on this machine.
    fn look(&self) -> Vec<(PeerId, Vec<Address>)>;
}

/// Where this node listens, told by the engine's thread.
#[derive(Debug, Default)]
pub struct Notices {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    addresses: Vec<Address>,
    changed: bool,
    ended: bool,
}

impl Notices {
    /// The node listens here now.
    pub fn set(&self, addresses: Vec<Address>) {
        let mut state = self.state();
        state.addresses = addresses;
        state.changed = true;
        self.wake.notify_one();
    }

    /// The node stops.
    pub fn end(&self) {
        self.state().ended = true;
        self.wake.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, or until a deadline. None: the node stops.
    fn wait(&self, deadline: Instant) -> Option<Option<Vec<Address>>> {
        let mut state = self.state();
        loop {
            if state.ended {
                return None;
            }
            if std::mem::take(&mut state.changed) {
                return Some(Some(state.addresses.clone()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(None);
            }
            state = self
                .wake
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// Starts the thread; it ends after [`Notices::end`]. The inbox hears of its failure.
///
/// # Errors
/// If the system gives no thread.
pub fn start(place: impl Neighbourhood, notices: Arc<Notices>, inbox: Arc<Inbox>) -> std::io::Result<JoinHandle<()>> {
    let lost = Arc::clone(&inbox);
    let body = move || run(&place, &notices, &inbox);
    threads::spawn("housekeeper", body, move |reason| lost.failed(Part::Siblings, reason))
}

fn run(place: &impl Neighbourhood, notices: &Notices, inbox: &Inbox) {
    let begun = Instant::now();
    // Nobody is dialled before the own address can be seen: both sides would dial, and one would be refused.
    let mut listening = false;
    let mut next_look = begun;
    while let Some(change) = notices.wait(next_look) {
        panic_point("housekeeper");
        if let Some(addresses) = change {
            listening = !addresses.is_empty();
            place.show(listening.then_some(&addresses[..]));
        }
        if listening && next_look <= Instant::now() {
            report(place, inbox);
        }
        if next_look <= Instant::now() {
            let early = begun.elapsed() < AT_FIRST;
            next_look = Instant::now() + if early { LOOK_EVERY_AT_FIRST } else { LOOK_EVERY };
        }
    }
    place.show(None);
}

fn report(place: &impl Neighbourhood, inbox: &Inbox) {
    for (peer, addresses) in place.look() {
        for address in addresses {
            let by = FoundBy::Sibling;
            // A full lane: the next look reports it again.
            inbox
                .push_net(NetFact::Found {
                    peer,
                    address,
                    by,
                    from: None,
                })
                .ok();
        }
    }
}
