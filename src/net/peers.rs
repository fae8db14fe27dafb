//! Which connections stand, to whom, and which of them should end.
//!
//! Promises: a peer counts only after identify has confirmed its network; of two connections to one peer both ends
//! choose the same one to keep.
//! Spec: `proto-notes/discovery.md`, "Connections".

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::swarm::ConnectionId;

use super::gate::Source;
use crate::engine::{Direction, Stranger};
use crate::types::{Address, PeerId};

/// How long a second connection to a peer may stand: both ends see both by then.
pub(super) const SPARE_AFTER: Duration = Duration::from_secs(5);
/// How long a peer may take to tell its network.
const IDENTIFY_PATIENCE: Duration = Duration::from_secs(10);
/// How long a peer of another network stays: it must hear from us, too, that the networks differ.
const FOREIGN_PATIENCE: Duration = Duration::from_millis(500);
/// How long a connection may bring no answer to a ping, which is asked every five seconds: a pulled cable sends no word.
/// Ours to count, since the ping protocol keeps its first failure to itself and would need half a minute.
const QUIET_PATIENCE: Duration = Duration::from_secs(15);

/// Of the inbound peers when too many are connected, these stay in any case. The longest known: an attacker cannot buy
/// time that has passed,
const PROTECTED_BY_AGE: usize = 8;
/// those who brought the most valid blocks: that costs work,
const PROTECTED_BY_BLOCKS: usize = 4;
/// and those who answer soonest: nearness cannot be feigned. Half of the 32 places stays open to others.
const PROTECTED_BY_PING: usize = 4;

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
        /// What it is instead.
        stranger: Stranger,
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
    /// Names that a user typed and that led to it, until it is confirmed.
    pub(super) named: Vec<Address>,
    /// Why this node closes the connections, if it does.
    pub(super) reason: Option<&'static str>,
    /// A user named it.
    is_protected: bool,
    /// Valid blocks that came from it first.
    blocks: u64,
    /// Its fastest answer to a ping.
    ping: Option<Duration>,
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
            named: Vec::new(),
            reason: None,
            is_protected: false,
            blocks: 0,
            ping: None,
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

    /// How long a peer took to answer a ping.
    pub(super) fn answered(&mut self, peer: &PeerId, time: Duration) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.ping = Some(peer.ping.map_or(time, |best| best.min(time)));
        }
    }

    /// A valid block came from a peer.
    pub(super) fn brought_block(&mut self, peer: &PeerId) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.blocks = peer.blocks.saturating_add(1);
        }
    }

    /// A user named a peer.
    pub(super) fn protect(&mut self, peer: &PeerId) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.is_protected = true;
        }
    }

    /// Who has to leave if more than so many inbound connections stand: of those whom nothing protects, the youngest of
    /// the source that has most of them. So a crowd from one machine thins itself out, and a newcomer from elsewhere
    /// finds a place.
    pub(super) fn surplus(&self, inbound_max: u32) -> Option<PeerId> {
        let staying = || self.peers.iter().filter(|(_, peer)| peer.reason.is_none());
        let inbound =
            staying().flat_map(|(_, peer)| peer.links.values().filter(|link| link.direction == Direction::In));
        if inbound.count() <= usize::try_from(inbound_max).unwrap_or(usize::MAX) {
            return None;
        }
        let is_guest = |peer: &Peer| peer.links.values().all(|link| link.direction == Direction::In);
        let guests: Vec<_> = staying().filter(|(_, peer)| is_guest(peer)).collect();
        let protected = protected(&guests);
        let open: Vec<_> = guests.iter().filter(|(id, _)| !protected.contains(*id)).collect();
        let size = |source| open.iter().filter(|(_, peer)| peer.source() == source).count();
        let victim = open
            .iter()
            .max_by_key(|(_, peer)| (size(peer.source()), peer.since()))?;
        Some(*victim.0)
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
            Standing::Foreign { since, .. } => (now >= since + FOREIGN_PATIENCE).then_some(Due::Foreign(id)),
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

impl Peer {
    fn since(&self) -> Option<Instant> {
        self.links.values().map(|link| link.since).min()
    }

    fn source(&self) -> Option<Source> {
        self.links.values().map(|link| Source::of(&link.address)).next()
    }
}

/// Whom newcomers cannot push out.
fn protected(guests: &[(&PeerId, &Peer)]) -> BTreeSet<PeerId> {
    let confirmed = guests.iter().filter(|(_, peer)| peer.standing == Standing::Confirmed);
    let mut list: Vec<_> = confirmed.collect();
    let mut protected: BTreeSet<PeerId> = guests
        .iter()
        .filter(|(_, p)| p.is_protected)
        .map(|(id, _)| **id)
        .collect();
    list.sort_by_key(|(_, peer)| peer.since());
    protected.extend(list.iter().take(PROTECTED_BY_AGE).map(|(id, _)| **id));
    list.sort_by_key(|(_, peer)| Reverse(peer.blocks));
    let brought = list.iter().filter(|(_, peer)| peer.blocks > 0);
    protected.extend(brought.take(PROTECTED_BY_BLOCKS).map(|(id, _)| **id));
    list.sort_by_key(|(_, peer)| peer.ping);
    let measured = list.iter().filter(|(_, peer)| peer.ping.is_some());
    protected.extend(measured.take(PROTECTED_BY_PING).map(|(id, _)| **id));
    protected
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

    /// A confirmed guest from a host, of an age in seconds.
    fn guest(peers: &mut Peers, number: usize, host: u8, since: Instant) -> PeerId {
        let id = PeerId::random();
        let address = format!("/ip4/10.0.0.{host}/tcp/1").parse().unwrap();
        let link = Link {
            address,
            ..link(Direction::In, since)
        };
        let known = peers.connected(id, ConnectionId::new_unchecked(number), link);
        known.standing = Standing::Confirmed;
        id
    }

    #[test]
    fn adv_w05_newcomers_push_out_each_other_and_none_of_the_protected() {
        let mut peers = Peers::new(PeerId::random());
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut honest: Vec<_> = (0..8).map(|n| guest(&mut peers, n, 1, after(0))).collect();
        let late: Vec<_> = (8..20).map(|n| guest(&mut peers, n, 2, after(10))).collect();
        late[..4].iter().for_each(|id| peers.brought_block(id));
        late[4..8]
            .iter()
            .for_each(|id| peers.answered(id, Duration::from_micros(90)));
        late[8..].iter().for_each(|id| peers.protect(id));
        honest.extend(late);
        let mut number = 100;
        for second in 20..60 {
            for _ in 0..10 {
                number += 1;
                let sybil = guest(&mut peers, number, 9, after(second));
                peers.answered(&sybil, Duration::from_millis(3));
                while let Some(victim) = peers.surplus(32) {
                    assert!(!honest.contains(&victim));
                    peers.peers.remove(&victim);
                }
            }
        }
        assert!(honest.iter().all(|id| peers.peers.contains_key(id)));
        assert_eq!(peers.peers.len(), 32);
        // A stranger from elsewhere still gets in: one of the crowd leaves for him.
        let stranger = guest(&mut peers, 9_999, 3, after(61));
        let victim = peers.surplus(32).unwrap();
        assert_ne!(victim, stranger);
        peers.peers.remove(&victim);
        assert_eq!(peers.surplus(32), None);
    }

    #[test]
    fn peers_that_this_node_dialled_make_no_room_for_strangers() {
        let mut peers = Peers::new(PeerId::random());
        let now = Instant::now();
        for number in 0..16 {
            let (id, connection) = (PeerId::random(), ConnectionId::new_unchecked(number));
            peers.connected(id, connection, link(Direction::Out, now)).standing = Standing::Confirmed;
        }
        let mut guests: Vec<_> = (100..132).map(|n| guest(&mut peers, n, 9, now)).collect();
        assert_eq!(peers.surplus(32), None, "own dials take none of the 32 places");
        guests.push(guest(&mut peers, 132, 9, now));
        assert!(guests.contains(&peers.surplus(32).unwrap()));
    }
}
