//! What the doctor judges: facts of the network that the engine saw, gathered with what it knows anyway.
//!
//! Elsewhere: the judgement (`inspect::doctor`), what was seen (`parts::seen`). Spec: `proto-notes/events.md`, "Replies".

use super::machine::Engine;
use super::parts::clocks::Middle;
use super::parts::links::Peer;
use crate::chain::ChainStore;
use crate::contract::{Direction, Reply, Surroundings};
use crate::inspect::doctor::{Scene, diagnose, dial_line};

/// Clocks further apart are told as a problem; the warning has the same limit.
const CLOCK_FAR_MS: u64 = 30_000;

impl<S: ChainStore> Engine<S> {
    pub(super) fn diagnose(&self, surroundings: &Surroundings) -> Reply {
        let middle = self.middle_clock();
        let is_far = |middle: &Middle| middle.ahead_ms.unsigned_abs() > CLOCK_FAR_MS;
        let clock = middle.filter(is_far).map(|middle| self.clock.advice(middle));
        let called_from_outside = |peer: &Peer| {
            peer.direction == Direction::In
                && !peer.address.is_loopback()
                && !self
                    .peers
                    .links
                    .addresses()
                    .iter()
                    .any(|own| own.ip() == peer.address.ip())
        };
        let mut diagnosis = diagnose(&Scene {
            now: self.clock.now(),
            surroundings,
            addresses: self.peers.links.addresses(),
            networks: self.peers.links.networks(),
            peers: self.known_peers(),
            net: self.mode.net,
            is_heard: self.peers.links.known().any(|(_, peer)| called_from_outside(peer)),
            multicast: self.notices.seen.multicast,
            elsewhere: self.notices.seen.elsewhere,
            failures: &self.notices.seen.failures,
            same_key: self.notices.twins.are_known(),
            twin: self.notices.twins.place(),
            clock_ahead_ms: middle.map(|middle| middle.ahead_ms),
            clock_advice: clock.as_deref(),
        });
        let low = self
            .storage
            .room
            .is_low()
            .then(|| super::parts::storage::disk_low().message);
        let ahead = self.ahead().map(|ahead| ahead.sentence());
        diagnosis
            .advice
            .extend(ahead.into_iter().chain(self.view().growth_told()).chain(low));
        Reply::Diagnosis(Box::new(diagnosis))
    }

    /// What is typed at another node to reach this one.
    pub(super) fn dial_line(&self) -> Option<String> {
        dial_line(self.peers.links.addresses())
    }
}
