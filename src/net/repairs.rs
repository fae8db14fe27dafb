//! Peers that were reconnected because they had not announced any topic.
//!
//! Gossip announces its topics once, on the first connection to a peer. If the announcement is lost, all gossip to the
//! peer is lost too, until the connection is made again.
//! Promises: a peer is reconnected at most once in [`PAUSE`], because it may really want no topic; the memory is
//! bounded.
//! Elsewhere: when a peer should have announced its topics (`net::peers`). Spec: `proto-notes/gossip.md`, "Topics".

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::types::PeerId;

/// How long a peer that was reconnected is left alone.
pub const PAUSE: Duration = Duration::from_secs(3600);
/// The most peers that are remembered, 64 bytes each. If there are more within an hour, none is reconnected, because
/// single connections cannot be the cause then.
pub const REMEMBERED_MAX: usize = 256;

/// The reconnected peers, each with the time.
#[derive(Debug, Default)]
pub struct Repairs(BTreeMap<PeerId, Instant>);

impl Repairs {
    /// Whether to reconnect a peer now; if so, the peer is remembered.
    pub fn grant(&mut self, peer: PeerId, now: Instant) -> bool {
        self.0.retain(|_, at| now < *at + PAUSE);
        if self.0.contains_key(&peer) || self.0.len() >= REMEMBERED_MAX {
            return false;
        }
        self.0.insert(peer, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_reconnected_once_an_hour_and_a_crowd_is_left_alone() {
        let (mut repairs, now, peer) = (Repairs::default(), Instant::now(), PeerId::random());
        assert!(repairs.grant(peer, now));
        assert!(!repairs.grant(peer, now + PAUSE / 2));
        assert!(repairs.grant(peer, now + PAUSE));
        let granted = (0..1_000).filter(|_| repairs.grant(PeerId::random(), now + PAUSE));
        assert_eq!(granted.count(), REMEMBERED_MAX - 1);
    }
}
