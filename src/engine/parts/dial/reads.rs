//! What others ask the dial manager, and who a peer is to it.
//!
//! Promises: changes nothing.

use super::Dialer;
use super::candidate::{DialCandidate, Goal};
use super::limits::JUNK_FAILURES;
use crate::contract::FoundBy;
use crate::types::{Address, PeerId};

impl Dialer {
    /// How a peer was found; none if nobody named it.
    #[must_use]
    pub fn found_by(&self, peer: &PeerId) -> Option<FoundBy> {
        let held = self.candidates.values().find(|c| c.holder.as_ref() == Some(peer));
        held.or_else(|| self.candidates.get(&Goal::Peer(*peer)))
            .map(|c| c.found_by)
    }

    /// The known addresses of a peer.
    #[must_use]
    pub fn addresses(&self, peer: &PeerId) -> &[Address] {
        self.candidates
            .get(&Goal::Peer(*peer))
            .map_or(&[], |c| c.addresses.as_slice())
    }

    /// How many links stand.
    #[cfg(test)]
    pub fn links(&self) -> usize {
        self.links.count()
    }

    /// How many links this node opened itself.
    #[must_use]
    pub fn own_links(&self) -> usize {
        self.links.own()
    }

    /// Whether this node closes the link to a peer to make room for another one.
    #[must_use]
    pub fn is_leaving(&self, peer: &PeerId) -> bool {
        self.links.is_closing(peer)
    }

    /// Whether a peer was dialled so often without an answer that it counts as gone.
    #[must_use]
    pub fn is_gone(&self, peer: &PeerId) -> bool {
        self.candidates
            .get(&Goal::Peer(*peer))
            .is_none_or(|c| c.failures >= JUNK_FAILURES)
    }

    /// All that leads to a peer, to be changed: itself (true), and typed addresses where it answered.
    pub(super) fn of_peer(&mut self, peer: &PeerId) -> impl Iterator<Item = (bool, &mut DialCandidate)> {
        let (goal, peer) = (Goal::Peer(*peer), *peer);
        self.candidates.iter_mut().filter_map(move |(known, candidate)| {
            let is_peer = *known == goal;
            (is_peer || candidate.holder == Some(peer)).then_some((is_peer, candidate))
        })
    }
}
