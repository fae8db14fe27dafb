//! The wall clock as this node goes by it, and what is said about one that is wrong.
//!
//! Elsewhere: whose clock counts (`engine::clocks`). Spec: `proto-notes/consensus.md`, "Header rules".

use super::clocks::{Middle, PeerClock, middle};
use super::machine::Engine;
use crate::chain::ChainStore;
use crate::types::time::span_words;
use crate::types::{Account, PeerId, Time, Voice};

/// A clock further off the peers' median brings a warning.
const CLOCK_WARNING_MS: u64 = 30_000;
/// How long it must be off before that is said: the first peer that comes may be the one whose clock is wrong.
const CLOCK_PATIENCE_MS: u64 = 5_000;

impl<S: ChainStore> Engine<S> {
    /// The wall clock that rules and templates use.
    pub(super) fn clock(&self) -> Time {
        let own = self.own_clock();
        match self.config.peer_clock {
            PeerClock::Own => own,
            PeerClock::Median => match self.middle_clock() {
                Some(middle) if middle.is_followed() => own.shifted(middle.ahead_ms),
                Some(_) | None => own,
            },
            PeerClock::Key(_) | PeerClock::Name(_) => self.clocks.chosen(self.now).unwrap_or(own),
        }
    }

    /// The middle of the neighbours' clocks.
    pub(super) fn middle_clock(&self) -> Option<Middle> {
        let told = self
            .peers
            .iter()
            .filter_map(|(id, peer)| Some((id, peer.clock_ahead_ms?)));
        middle(told.map(|(id, ahead)| (self.voice_of(id), ahead)))
    }

    /// Whether this peer's clock is the chosen one.
    pub(super) fn is_chosen_clock(&self, peer: &PeerId) -> bool {
        match &self.config.peer_clock {
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
        self.peers.voice(peer, &self.networks)
    }

    /// The machine's wall clock.
    pub(super) const fn own_clock(&self) -> Time {
        self.now.shifted(self.wall_ahead_ms)
    }

    /// The clock that statuses tell: the own one, which others may compare, but a trusted one where the user chose it.
    pub(super) fn told_clock(&self) -> Time {
        match self.config.peer_clock {
            PeerClock::Own | PeerClock::Median => self.own_clock(),
            PeerClock::Key(_) | PeerClock::Name(_) => self.clock(),
        }
    }

    pub(super) fn check_clock(&mut self) {
        // Asked in every turn: where no clock is far off their middle is not, either.
        let told = self.peers.iter().filter_map(|(_, peer)| peer.clock_ahead_ms);
        match told.map(i64::unsigned_abs).max() {
            None => return,
            Some(furthest) if furthest <= CLOCK_WARNING_MS => return self.clock_is_fine(),
            Some(_) => {}
        }
        let Some(middle) = self.middle_clock() else {
            return;
        };
        let is_off = middle.ahead_ms.unsigned_abs() > CLOCK_WARNING_MS;
        if !is_off || self.clocks.chosen(self.now).is_some() {
            return self.clock_is_fine();
        }
        let since = *self.clock_off_since.get_or_insert(self.now);
        if !self.clock_warned && self.now.since(since) >= CLOCK_PATIENCE_MS {
            self.clock_warned = true;
            let advice = self.clock_advice(middle);
            self.warn(
                "clock",
                format!("{advice}; blocks are refused while clocks differ by more than two minutes"),
            );
        }
    }

    const fn clock_is_fine(&mut self) {
        self.clock_warned = false;
        self.clock_off_since = None;
    }

    /// What is to be said about a clock that is far from the neighbours': who is right nobody here can know, and who is
    /// surrounded by liars must not be told to follow them.
    pub(super) fn clock_advice(&self, middle: Middle) -> String {
        let side = if middle.ahead_ms > 0 { "behind" } else { "ahead of" };
        let off = span_words(middle.ahead_ms.unsigned_abs());
        let limits = match self.config.peer_clock {
            PeerClock::Median if !middle.is_followed() => {
                "; --peer-clock follows the middle of at least three addresses, and at most 5 min away; --peer-clock PEER \
                 follows a node that you trust"
            }
            PeerClock::Own | PeerClock::Median | PeerClock::Key(_) | PeerClock::Name(_) => "",
        };
        format!(
            "this clock is {off} {side} the other nodes' clocks: compare it with a clock that you trust, and set the one \
             that is wrong{limits}"
        )
    }
}
