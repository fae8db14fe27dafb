//! Who hears what a node announces: `--exec` waits for a first peer before it pays or mines, and says at the stop what
//! nobody heard.
//!
//! Promises: one wait, bounded by the time since the start; nothing is said of what a connected peer could hear.
//! Elsewhere: the lines of `--exec` (`reader`), announcing (`engine`).
//! Spec: `proto-notes/events.md`, "Reading" and "Stopping".

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::contract::{Event, Source};

/// How long after the start the first peer is waited for. On one LAN multicast finds it within a second.
const FIRST_PEER_MAX: Duration = Duration::from_secs(3);

/// What was made while nobody was connected; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Hearers {
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    started: Option<Instant>,
    connected: BTreeSet<String>,
    /// A peer was connected at some time.
    seen: bool,
    /// A command that announces something was handed over: from now on it counts who hears.
    counts: bool,
    transactions: u64,
    blocks: u64,
}

impl Hearers {
    /// Takes note of an event: a peer may have come, or something was announced.
    pub(super) fn event(&self, event: &Event) {
        let mut state = self.lock();
        match event {
            Event::Started(_) => state.started = Some(Instant::now()),
            Event::PeerConnected { peer_id, .. } => {
                state.connected.insert(peer_id.to_string());
                state.seen = true;
                // Whoever comes later asks for the chain, and is told of what waits.
                (state.transactions, state.blocks) = (0, 0);
                self.state.1.notify_all();
            }
            Event::PeerDisconnected { peer_id, .. } => {
                state.connected.remove(&peer_id.to_string());
            }
            Event::TransactionAccepted {
                source: Source::Local, ..
            } if state.is_alone() => state.transactions += 1,
            Event::Mined { .. } if state.is_alone() => state.blocks += 1,
            _ => {}
        }
    }

    /// Waits until a peer was connected once, at most until 3 s after the start. Then what nobody hears counts.
    pub(super) fn wait(&self) {
        let mut state = self.lock();
        while !state.seen {
            let passed = state.started.map_or(Duration::ZERO, |started| started.elapsed());
            let Some(left) = FIRST_PEER_MAX.checked_sub(passed).filter(|left| !left.is_zero()) else {
                break;
            };
            let waited = self.state.1.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.counts = true;
    }

    /// What nobody heard, as a warning; none if there is nothing. `is_kept`: the folder stays.
    pub(super) fn unheard(&self, is_kept: bool) -> Option<Event> {
        let state = self.lock();
        let some = |count: u64, what: &str| match count {
            0 => None,
            1 => Some(format!("1 {what}")),
            _ => Some(format!("{count} {what}s")),
        };
        let what: Vec<_> = [some(state.transactions, "transaction"), some(state.blocks, "block")]
            .into_iter()
            .flatten()
            .collect();
        let (what, is_one) = (what.join(" and "), state.transactions + state.blocks == 1);
        let verb = if is_one { "was" } else { "were" };
        let then = match (is_kept, is_one) {
            (true, true) => "it is kept and announced by the next start that finds a node",
            (true, false) => "they are kept and announced by the next start that finds a node",
            (false, true) => "it is lost with the temporary folder",
            (false, false) => "they are lost with the temporary folder",
        };
        (!what.is_empty()).then(|| Event::Warning {
            code: "announced_to_nobody",
            message: format!("{what} {verb} announced to nobody: no node was connected; {then}"),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_alone(&self) -> bool {
        self.counts && self.connected.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::samples;

    /// The sample events with these names.
    fn sample(name: &str) -> Event {
        let found = samples::events().into_iter().find(|event| event.name() == name);
        found.unwrap_or_else(|| panic!("no {name}"))
    }

    fn own_transaction() -> Event {
        let mut event = sample("transaction_accepted");
        if let Event::TransactionAccepted { source, .. } = &mut event {
            *source = Source::Local;
        }
        event
    }

    fn told(hearers: &Hearers) -> Option<String> {
        hearers.unheard(true).map(|event| match event {
            Event::Warning { code, message } => format!("{code}: {message}"),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn what_is_made_while_nobody_is_connected_is_told_and_what_a_peer_hears_is_not() {
        let hearers = Hearers::default();
        hearers.event(&own_transaction());
        assert_eq!(told(&hearers), None, "the claim of the start does not count");
        hearers.lock().counts = true;
        hearers.event(&own_transaction());
        assert_eq!(
            told(&hearers).unwrap(),
            "announced_to_nobody: 1 transaction was announced to nobody: no node was connected; it is kept and announced by \
             the next start that finds a node"
        );
        hearers.event(&sample("mined"));
        hearers.event(&sample("mined"));
        assert!(told(&hearers).unwrap().contains("1 transaction and 2 blocks were"));
        hearers.event(&sample("peer_connected"));
        assert_eq!(told(&hearers), None, "the peer hears of all");
        hearers.event(&own_transaction());
        assert_eq!(told(&hearers), None);
        hearers.event(&sample("peer_disconnected"));
        hearers.event(&own_transaction());
        assert!(told(&hearers).is_some());
    }

    #[test]
    fn a_peer_that_is_or_was_there_is_not_waited_for_and_a_start_long_ago_neither() {
        let hearers = Hearers::default();
        hearers.event(&sample("peer_connected"));
        hearers.event(&sample("peer_disconnected"));
        hearers.wait();
        let hearers = Hearers::default();
        hearers.lock().started = Instant::now().checked_sub(FIRST_PEER_MAX);
        hearers.wait();
        assert!(hearers.lock().counts);
        // A peer that comes ends the wait.
        let hearers = Hearers::default();
        let other = hearers.clone();
        let waits = std::thread::spawn(move || other.wait());
        hearers.event(&sample("peer_connected"));
        waits.join().unwrap();
    }
}
