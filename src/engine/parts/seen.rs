//! What was seen of the network, for the doctor alone: facts of the network beside what the engine knows anyway.
//!
//! Promises: what is remembered of strangers is bounded.
//! Elsewhere: the judgement (`inspect::doctor`).

use core::net::IpAddr;

use crate::contract::{DialFailure, FoundBy, Stranger};
use crate::inspect::doctor::FailedDial;
use crate::types::{Address, PeerId, Time};

/// Failed dials that are remembered: more than fit on a screen.
const FAILURES_MAX: usize = 16;
/// What was seen of the network, for the doctor alone.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// When multicast DNS last named a node, and how often it did.
    pub(crate) multicast: Option<(Time, u64)>,
    /// How often it named one outside this network, and who did so last.
    pub(crate) elsewhere: Option<(u64, IpAddr)>,
    pub(crate) failures: Vec<FailedDial>,
}

impl Seen {
    /// Nothing was seen yet.
    pub(crate) const fn new() -> Self {
        Self {
            multicast: None,
            elsewhere: None,
            failures: Vec::new(),
        }
    }

    pub(crate) fn found(&mut self, now: Time, by: FoundBy) {
        if by == FoundBy::Mdns {
            let times = self.multicast.map_or(0, |(_, times)| times);
            self.multicast = Some((now, times.saturating_add(1)));
        }
    }

    /// The last failure of each peer or address is kept.
    pub(crate) fn failed(
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
        self.failures.push(FailedDial {
            peer,
            address: address.cloned(),
            reason: reason.clone(),
            stranger,
            at,
        });
    }

    /// Forgets the failed dials of a peer or address that has answered now.
    pub(crate) fn connected(&mut self, peer: &PeerId, address: &Address) {
        self.failures
            .retain(|known| known.peer.as_ref() != Some(peer) && known.address.as_ref() != Some(address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_kept_once_for_each_peer_and_are_bounded() {
        let mut seen = Seen::new();
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
