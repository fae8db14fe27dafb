//! What the doctor judges: facts of the network that the engine saw, gathered with what it knows anyway.
//!
//! Promises: what is remembered of strangers is bounded.
//! Elsewhere: the judgement (`inspect::doctor`). Spec: `proto-notes/events.md`, "Replies".

use core::net::IpAddr;

use super::clocks::Middle;
use super::links::Peer;
use super::machine::Engine;
use crate::chain::ChainStore;
use crate::contract::{DialFailure, Direction, FoundBy, Reply, Stranger, Surroundings};
use crate::inspect::doctor::{Failure, Scene, diagnose, dial_line};
use crate::types::{Address, PeerId, Time};

/// Failed dials that are remembered: more than fit on a screen.
const FAILURES_MAX: usize = 16;
/// Clocks further apart are told as a problem; the warning has the same limit.
const CLOCK_FAR_MS: u64 = 30_000;

/// What was seen of the network, for the doctor alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// When multicast DNS last named a node, and how often it did.
    pub(super) multicast: Option<(Time, u64)>,
    /// How often it named one outside this network, and who did so last.
    pub(super) elsewhere: Option<(u64, IpAddr)>,
    pub(super) failures: Vec<Failure>,
}

impl Seen {
    pub(super) fn found(&mut self, now: Time, by: FoundBy) {
        if by == FoundBy::Mdns {
            let times = self.multicast.map_or(0, |(_, times)| times);
            self.multicast = Some((now, times.saturating_add(1)));
        }
    }

    /// The last failure of each peer or address is kept.
    pub(super) fn failed(
        &mut self,
        at: Time,
        peer: Option<PeerId>,
        address: Option<&Address>,
        (reason, stranger): (&DialFailure, Option<Stranger>),
    ) {
        self.failures
            .retain(|known| (known.peer, known.address.as_ref()) != (peer, address));
        if self.failures.len() >= FAILURES_MAX {
            self.failures.remove(0);
        }
        self.failures.push(Failure {
            peer,
            address: address.cloned(),
            reason: reason.clone(),
            stranger,
            at,
        });
    }

    /// It answered after all.
    pub(super) fn connected(&mut self, peer: &PeerId, address: &Address) {
        self.failures
            .retain(|known| known.peer.as_ref() != Some(peer) && known.address.as_ref() != Some(address));
    }
}

impl<S: ChainStore> Engine<S> {
    /// The node's own id.
    #[must_use]
    pub const fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    /// Whether the node may send anything to anybody: not after `net off`.
    #[must_use]
    pub const fn may_send(&self) -> bool {
        self.mode.net
    }

    pub(super) fn diagnose(&self, surroundings: &Surroundings) -> Reply {
        let middle = self.middle_clock();
        let is_far = |middle: &Middle| middle.ahead_ms.unsigned_abs() > CLOCK_FAR_MS;
        let clock = middle.filter(is_far).map(|middle| self.clock.advice(middle));
        let called_from_outside = |peer: &Peer| {
            peer.direction == Direction::In
                && !peer.address.is_loopback()
                && !self.links.addresses().iter().any(|own| own.ip() == peer.address.ip())
        };
        let mut diagnosis = diagnose(&Scene {
            now: self.now,
            surroundings,
            addresses: self.links.addresses(),
            networks: self.links.networks(),
            peers: self.known_peers(),
            net: self.mode.net,
            is_heard: self.links.known().any(|(_, peer)| called_from_outside(peer)),
            multicast: self.seen.multicast,
            elsewhere: self.seen.elsewhere,
            failures: &self.seen.failures,
            same_key: self.notices.twins.are_known(),
            twin: self.notices.twins.place(),
            clock_ahead_ms: middle.map(|middle| middle.ahead_ms),
            clock_advice: clock.as_deref(),
        });
        let low = self.storage.room.is_low().then(|| super::storage::disk_low().message);
        let ahead = self.ahead().map(|ahead| ahead.sentence());
        diagnosis
            .advice
            .extend(ahead.into_iter().chain(self.view().growth_told()).chain(low));
        Reply::Diagnosis(Box::new(diagnosis))
    }

    /// What is typed at another node to reach this one.
    pub(super) fn dial_line(&self) -> Option<String> {
        dial_line(self.links.addresses())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_kept_once_for_each_peer_and_are_bounded() {
        let mut seen = Seen::default();
        for port in 1..=40 {
            let (address, _) = Address::parse(&format!("/ip4/10.0.0.1/tcp/{port}")).unwrap();
            seen.failed(Time::from_ms(port), None, Some(&address), (&"no answer".into(), None));
            seen.failed(Time::from_ms(port), None, Some(&address), (&"no answer".into(), None));
        }
        assert_eq!(seen.failures.len(), FAILURES_MAX);
        let (last, _) = Address::parse("/ip4/10.0.0.1/tcp/40").unwrap();
        seen.connected(&crate::types::SecretKey::from_seed([1; 32]).public().peer_id(), &last);
        assert_eq!(seen.failures.len(), FAILURES_MAX - 1);
    }
}
