//! The wall clock for the rules, and whose counts: what the clock is told of the neighbours' clocks.
//!
//! Elsewhere: what is decided of it (`parts::clock`, `parts::clocks`).
//! Spec: `proto-notes/consensus.md`, "Header rules".

use super::machine::Engine;
use super::parts::clock::{WARNING_MS, middle_of};
use super::parts::clocks::{Middle, PeerClock};
use crate::chain::ChainStore;
use crate::types::{Account, PeerId, Voice, WallTime};

impl<S: ChainStore> Engine<S> {
    /// The wall clock that rules and templates use.
    pub(super) fn clock(&self) -> WallTime {
        self.clock.time(|| self.middle_clock())
    }

    /// The middle of the neighbours' clocks.
    pub(super) fn middle_clock(&self) -> Option<Middle> {
        middle_of(&self.peers.links)
    }

    /// Whether this peer's clock is the chosen one.
    pub(super) fn is_chosen_clock(&self, peer: &PeerId) -> bool {
        match self.clock.choice() {
            PeerClock::Own | PeerClock::Median => false,
            PeerClock::Key(key) => key == peer,
            // Anybody may announce the name: the chain says whose it is.
            PeerClock::Name(name) => {
                let owner = self.chain.owner(&Account::Name(name.clone()));
                matches!(owner, Ok(Some(key)) if key.peer_id() == *peer)
            }
        }
    }

    /// Whose voice a peer's is.
    pub(super) fn voice_of(&self, peer: &PeerId) -> Voice {
        self.peers.links.voice(peer)
    }

    pub(super) fn check_clock(&mut self) {
        // Asked in every turn: where no clock is far off their middle is not, either.
        let told = self.peers.links.iter().filter_map(|(_, peer)| peer.clock_ahead_ms);
        match told.map(i64::unsigned_abs).max() {
            None => return,
            Some(furthest) if furthest <= WARNING_MS => return self.clock.note_fine(),
            Some(_) => {}
        }
        let Some(middle) = self.middle_clock() else { return };
        if let Some(message) = self.clock.check(middle) {
            self.out.warn("clock", message);
        }
    }
}
