//! Which connections stand, to whom, and which of them should end.
//!
//! Promises: a peer counts only after identify has confirmed its network; of two connections to one peer both ends
//! choose the same one to keep.
//! Spec: `proto-notes/discovery.md`, "Connections".

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::swarm::ConnectionId;

use crate::engine::Direction;
use crate::types::PeerId;

/// How long a second connection to a peer may stand: both ends see both by then.
pub(super) const SPARE_AFTER: Duration = Duration::from_secs(5);
/// How long a peer may take to tell its network.
const IDENTIFY_PATIENCE: Duration = Duration::from_secs(10);
/// How long a peer of another network stays: it must hear from us, too, that the networks differ.
const FOREIGN_PATIENCE: Duration = Duration::from_millis(500);
/// How long a connection may bring no answer to a ping, which is asked every five seconds: a pulled cable sends no word.
/// Ours to count, since the ping protocol keeps its first failure to itself and would need half a minute.
const QUIET_PATIENCE: Duration = Duration::from_secs(15);

/// What is known of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Identify has not spoken yet.
    Unconfirmed,
    /// Of this network and version.
    Confirmed,
    /// Of another one, and reported as such.
    Foreign {
        /// When that was seen.
        since: Instant,
    },
}

/// A connection.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// Who dialled.
    pub(super) direction: Direction,
    /// The remote end.
    pub(super) address: Multiaddr,
    /// When it was established.
    pub(super) since: Instant,
    /// When it last answered a ping; at first, when it was established.
    pub(super) heard: Instant,
}

/// A peer with at least one connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// What is known of it.
    pub(super) standing: Standing,
    /// The engine asked for it and waits for the outcome.
    pub(super) wanted: bool,
    /// Why this node closes the connections, if it does.
    pub(super) reason: Option<&'static str>,
    /// Its connections.
    pub(super) links: BTreeMap<ConnectionId, Link>,
}

/// What time has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It never told its network.
    Silent(PeerId),
    /// It is of another network and has had time to hear so.
    Foreign(PeerId),
    /// The second connection of a pair.
    Spare(ConnectionId),
    /// A connection that answers no ping.
    Quiet(PeerId, ConnectionId),
}

/// All peers with connections.
#[derive(Debug)]
pub(super) struct Peers {
    local: PeerId,
    peers: BTreeMap<PeerId, Peer>,
}

impl Peers {
    /// Nobody yet.
    pub(super) const fn new(local: PeerId) -> Self {
        Self {
            local,
            peers: BTreeMap::new(),
        }
    }

    /// A connection stands.
    pub(super) fn connected(&mut self, peer: PeerId, id: ConnectionId, link: Link) -> &mut Peer {
        let entry = self.peers.entry(peer).or_insert_with(|| Peer {
            standing: Standing::Unconfirmed,
            wanted: false,
            reason: None,
            links: BTreeMap::new(),
        });
        entry.links.insert(id, link);
        entry
    }

    /// A connection is gone; gives the peer back if it was the last one.
    pub(super) fn closed(&mut self, peer: &PeerId, id: ConnectionId) -> Option<Peer> {
        let entry = self.peers.get_mut(peer)?;
        entry.links.remove(&id);
        if entry.links.is_empty() {
            self.peers.remove(peer)
        } else {
            None
        }
    }

    /// A connected peer.
    pub(super) fn get_mut(&mut self, peer: &PeerId) -> Option<&mut Peer> {
        self.peers.get_mut(peer)
    }

    /// Whether a peer is connected and of this network.
    pub(super) fn is_confirmed(&self, peer: &PeerId) -> bool {
        self.peers
            .get(peer)
            .is_some_and(|peer| peer.standing == Standing::Confirmed)
    }

    /// All connected peers.
    pub(super) fn ids(&self) -> Vec<PeerId> {
        self.peers.keys().copied().collect()
    }

    /// A connection has answered a ping.
    pub(super) fn heard(&mut self, peer: &PeerId, id: ConnectionId, now: Instant) {
        if let Some(link) = self.peers.get_mut(peer).and_then(|peer| peer.links.get_mut(&id)) {
            link.heard = now;
        }
    }

    /// What should be closed now.
    pub(super) fn due(&self, now: Instant) -> Vec<Due> {
        self.peers
            .iter()
            .filter_map(|(id, peer)| self.due_of(now, *id, peer))
            .collect()
    }

    fn due_of(&self, now: Instant, id: PeerId, peer: &Peer) -> Option<Due> {
        match peer.standing {
            Standing::Unconfirmed => {
                let oldest = peer.links.values().map(|link| link.since).min()?;
                (now >= oldest + IDENTIFY_PATIENCE).then_some(Due::Silent(id))
            }
            Standing::Foreign { since } => (now >= since + FOREIGN_PATIENCE).then_some(Due::Foreign(id)),
            Standing::Confirmed => {
                let quiet = peer.links.iter().find(|(_, link)| now >= link.heard + QUIET_PATIENCE);
                if let Some((connection, _)) = quiet {
                    return Some(Due::Quiet(id, *connection));
                }
                let youngest = peer.links.values().map(|link| link.since).max()?;
                let spare = (now >= youngest + SPARE_AFTER).then(|| spare(&self.local, &id, &peer.links))?;
                spare.map(Due::Spare)
            }
        }
    }
}

/// The connection that should end if two stand: the one that the larger PeerId dialled. If one side dialled both, it
/// alone ends the younger one, since the two ends count connections differently.
fn spare(local: &PeerId, remote: &PeerId, links: &BTreeMap<ConnectionId, Link>) -> Option<ConnectionId> {
    if links.len() < 2 {
        return None;
    }
    let kept = if local < remote { Direction::Out } else { Direction::In };
    let larger_dialled = links.iter().rfind(|(_, link)| link.direction != kept);
    let smaller_dialled = links.values().any(|link| link.direction == kept);
    match larger_dialled {
        Some((id, _)) if smaller_dialled => Some(*id),
        Some(_) | None => links
            .iter()
            .rfind(|(_, link)| link.direction == Direction::Out)
            .map(|(id, _)| *id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(direction: Direction, since: Instant) -> Link {
        Link {
            direction,
            address: Multiaddr::empty(),
            since,
            heard: since,
        }
    }

    fn pair() -> (PeerId, PeerId) {
        let (a, b) = (PeerId::random(), PeerId::random());
        if a < b { (a, b) } else { (b, a) }
    }

    #[test]
    fn both_ends_of_a_mutual_dial_keep_the_connection_of_the_smaller_peer_id() {
        let (small, large) = pair();
        let now = Instant::now();
        let (by_small, by_large) = (ConnectionId::new_unchecked(1), ConnectionId::new_unchecked(2));
        let at_small = BTreeMap::from([
            (by_small, link(Direction::Out, now)),
            (by_large, link(Direction::In, now)),
        ]);
        let at_large = BTreeMap::from([
            (by_small, link(Direction::In, now)),
            (by_large, link(Direction::Out, now)),
        ]);
        assert_eq!(spare(&small, &large, &at_small), Some(by_large));
        assert_eq!(spare(&large, &small, &at_large), Some(by_large));
    }

    #[test]
    fn of_two_own_dials_the_dialler_alone_ends_the_younger() {
        let (small, large) = pair();
        let now = Instant::now();
        let (first, second) = (ConnectionId::new_unchecked(1), ConnectionId::new_unchecked(2));
        let both = |direction| BTreeMap::from([(first, link(direction, now)), (second, link(direction, now))]);
        for (local, remote) in [(small, large), (large, small)] {
            assert_eq!(spare(&local, &remote, &both(Direction::Out)), Some(second));
            assert_eq!(spare(&local, &remote, &both(Direction::In)), None);
        }
    }

    #[test]
    fn a_peer_that_never_tells_its_network_is_due_after_ten_seconds() {
        let (small, large) = pair();
        let now = Instant::now();
        let mut peers = Peers::new(small);
        peers.connected(large, ConnectionId::new_unchecked(1), link(Direction::In, now));
        assert_eq!(peers.due(now), []);
        assert_eq!(peers.due(now + IDENTIFY_PATIENCE), [Due::Silent(large)]);
    }

    #[test]
    fn a_connection_that_answers_no_ping_is_due_after_fifteen_seconds() {
        let (small, large) = pair();
        let (now, id) = (Instant::now(), ConnectionId::new_unchecked(1));
        let mut peers = Peers::new(small);
        peers.connected(large, id, link(Direction::In, now)).standing = Standing::Confirmed;
        let later = now + QUIET_PATIENCE;
        assert_eq!(peers.due(later), [Due::Quiet(large, id)]);
        peers.heard(&large, id, later);
        assert_eq!(peers.due(later), []);
        assert_eq!(peers.due(later + QUIET_PATIENCE), [Due::Quiet(large, id)]);
    }
}
