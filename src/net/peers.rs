//! The established connections by peer, and the choice of those that should end.
//!
//! Promises: a peer counts only after identify has confirmed its network; a connection is asked only once to end.
//! Elsewhere: the choice between two connections to one peer (`net::links`).
//! Spec: `proto-notes/discovery.md`, "Connections".

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::swarm::ConnectionId;

use super::gate::ConnectionSource;
use super::links::{Link, Returns, spare};
use crate::contract::{Direction, Stranger};
use crate::types::prefix::Prefix;
use crate::types::{Address, PeerId, Voice};

/// How long a peer may take to tell its network.
const IDENTIFY_PATIENCE: Duration = Duration::from_secs(10);
/// How long a peer that declined identify may still take to tell its network. It may have declined another question of
/// identify, whose answer came first.
const DECLINED_PATIENCE: Duration = Duration::from_secs(1);
/// How long a peer of another network stays connected, so that it also learns that the networks differ.
const FOREIGN_PATIENCE: Duration = Duration::from_millis(500);
/// How long a connection may go without an answer to a ping (sent every seven seconds) and without carrying anything
/// else; a pulled cable gives no other sign. We count this time ourselves, because the ping protocol hides its first
/// failure and would need half a minute.
const QUIET_PATIENCE: Duration = Duration::from_secs(15);
/// The same for a peer that does not speak ping: a status request is sent every fifteen seconds and may take twenty.
const MUTE_PATIENCE: Duration = Duration::from_secs(45);
/// How long a peer that speaks gossip may have no topic on its only connection; it should announce them at once.
const TOPICS_PATIENCE: Duration = Duration::from_secs(3);

/// The peers that stay in any case when too many inbound ones are connected are chosen by three rules. First the oldest
/// connections: an attacker cannot buy time that has passed.
const PROTECTED_BY_AGE: usize = 8;
/// Then the peers that brought the most valid blocks first, which costs work.
const PROTECTED_BY_BLOCKS: usize = 4;
/// Then the peers with the fastest ping, because nearness cannot be faked. Half of the 32 places stays open to others.
const PROTECTED_BY_PING: usize = 4;

/// Whether a peer belongs to this network, as far as identify has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// Identify has not answered yet.
    Unconfirmed,
    /// The peer belongs to this network and version.
    Confirmed,
    /// The peer belongs to another network or program, and the engine knows it.
    Foreign {
        /// The time when this was seen.
        since: Instant,
        /// What the peer is instead.
        stranger: Stranger,
    },
}

/// A peer with at least one connection.
#[derive(Clone, Debug)]
pub struct ConnectedPeer {
    /// Whether the peer belongs to this network.
    pub membership: Membership,
    /// Whether the engine asked for this peer and waits for the outcome.
    pub wanted: bool,
    /// The names by which a user dialled it, until it is confirmed.
    pub named: Vec<Address>,
    /// Why this node closes the connections; none if it does not.
    pub reason: Option<&'static str>,
    /// Whether a user named it, so that it is never chosen to leave.
    is_protected: bool,
    /// The number of valid blocks that came from it first.
    blocks: u64,
    /// The address that the engine was told for it; none if it was not told.
    pub(super) told: Option<Address>,
    /// The time of its fastest answer to a ping.
    ping: Option<Duration>,
    /// Its established connections; at least one, usually exactly one.
    pub links: BTreeMap<ConnectionId, Link>,
    /// How often it came back while an older connection was still open.
    returns: Returns,
    /// The time when it declined to tell its network.
    declined: Option<Instant>,
    /// The time from which on it should have announced its topics; none if it does not speak gossip or this was
    /// checked.
    topics_since: Option<Instant>,
    /// Whether identify lists gossip among its protocols.
    speaks_gossip: bool,
}

/// An action that has become due with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The peer never told its network.
    Silent(PeerId),
    /// The peer belongs to another network and has had time to learn so.
    Foreign(PeerId),
    /// The peer declined to tell its network.
    Declined(PeerId),
    /// The connection of a pair that should end.
    Spare(PeerId, ConnectionId),
    /// A connection on which nothing is answered.
    Quiet(PeerId, ConnectionId),
    /// The peer speaks gossip and should have announced its topics by now.
    Topics(PeerId),
}

/// The state after the end of a connection.
#[derive(Debug)]
pub enum Closed {
    /// It was the last connection of this peer.
    Last(ConnectedPeer),
    /// Of several connections, this one is left.
    OneLeft(ConnectionId, Multiaddr),
    /// The connection was unknown, or several are left.
    Other,
}

/// All peers that have connections.
#[derive(Clone, Debug)]
pub struct Peers {
    local: PeerId,
    peers: BTreeMap<PeerId, ConnectedPeer>,
}

impl Peers {
    /// An empty table for a node with this PeerId.
    pub const fn new(local: PeerId) -> Self {
        Self {
            local,
            peers: BTreeMap::new(),
        }
    }

    /// Adds an established connection and returns its peer.
    pub fn connected(&mut self, peer: PeerId, id: ConnectionId, link: Link) -> &mut ConnectedPeer {
        let entry = self.peers.entry(peer).or_insert_with(|| ConnectedPeer {
            membership: Membership::Unconfirmed,
            wanted: false,
            named: Vec::new(),
            reason: None,
            is_protected: false,
            blocks: 0,
            told: None,
            ping: None,
            links: BTreeMap::new(),
            returns: Returns::default(),
            declined: None,
            topics_since: None,
            speaks_gossip: false,
        });
        entry.links.insert(id, link);
        entry
    }

    /// Removes a closed connection.
    pub fn closed(&mut self, peer: &PeerId, id: ConnectionId, now: Instant) -> Closed {
        let Some(entry) = self.peers.get_mut(peer) else {
            return Closed::Other;
        };
        if entry.links.remove(&id).is_none() {
            return Closed::Other;
        }
        let mut left = entry.links.iter();
        match (left.next(), left.next()) {
            (None, _) => self.peers.remove(peer).map_or(Closed::Other, Closed::Last),
            (Some((left, link)), None) => {
                let (left, address) = (*left, link.address.clone());
                entry.topics_since = entry.speaks_gossip.then_some(now);
                Closed::OneLeft(left, address)
            }
            (Some(_), Some(_)) => Closed::Other,
        }
    }

    /// Notes that identify has confirmed the peer's network, and whether the peer speaks gossip.
    pub fn confirmed(&mut self, peer: &PeerId, speaks_gossip: bool, now: Instant) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.membership = Membership::Confirmed;
            peer.speaks_gossip = speaks_gossip;
            peer.topics_since = speaks_gossip.then_some(now);
        }
    }

    /// Notes that a peer declined a question of identify. A confirmed peer may decline: it was only asked for news.
    pub fn declined(&mut self, peer: &PeerId, now: Instant) {
        if let Some(peer) = self.peers.get_mut(peer)
            && peer.membership == Membership::Unconfirmed
        {
            peer.declined.get_or_insert(now);
        }
    }

    /// A connected peer; none if it has no connection.
    pub fn get_mut(&mut self, peer: &PeerId) -> Option<&mut ConnectedPeer> {
        self.peers.get_mut(peer)
    }

    /// The voice of a peer: shared by all identities behind its address, or the peer's own.
    pub(super) fn voice(&self, peer: &PeerId, networks: &[Prefix]) -> Voice {
        let link = self.peers.get(peer).and_then(|known| known.links.values().next());
        let address = link.and_then(|link| Address::parse(&link.address.to_string()).ok());
        address.map_or_else(|| (*peer).into(), |(address, _)| Voice::of(*peer, &address, networks))
    }

    /// Whether a peer is connected and belongs to this network.
    pub fn is_confirmed(&self, peer: &PeerId) -> bool {
        self.peers
            .get(peer)
            .is_some_and(|peer| peer.membership == Membership::Confirmed)
    }

    /// The ids of all connected peers.
    pub fn ids(&self) -> Vec<PeerId> {
        self.peers.keys().copied().collect()
    }

    /// Notes that a ping was answered on a connection.
    pub fn heard(&mut self, peer: &PeerId, id: ConnectionId, now: Instant) {
        if let Some(link) = self.peers.get_mut(peer).and_then(|peer| peer.links.get_mut(&id)) {
            link.heard = now;
        }
    }

    /// Notes that the peer of a connection does not speak ping.
    pub fn note_mute(&mut self, peer: &PeerId, id: ConnectionId, now: Instant) {
        if let Some(link) = self.peers.get_mut(peer).and_then(|peer| peer.links.get_mut(&id)) {
            link.pings = false;
            link.heard = now;
        }
    }

    /// Notes that a connection brought the response to a request, even if it says that the request is not understood.
    /// In the choice between two connections this counts only if the peer does not speak ping, because requests are
    /// sent at fixed times.
    pub fn replied(&mut self, peer: &PeerId, id: ConnectionId, now: Instant) {
        if let Some(link) = self.peers.get_mut(peer).and_then(|peer| peer.links.get_mut(&id))
            && !link.pings
        {
            link.heard = now;
        }
    }

    /// Notes that part of a request or response came from a peer or was taken by it. On a slow link the answer to a
    /// ping waits behind megabytes. It counts only for a peer's only connection, because the connection is not known
    /// here.
    pub fn carried(&mut self, peer: &PeerId, now: Instant) {
        if let Some(peer) = self.peers.get_mut(peer).filter(|peer| peer.links.len() == 1) {
            peer.links.values_mut().for_each(|link| link.carried = now);
        }
    }

    /// Whether a connection has carried something lately, although a ping was not answered.
    pub fn carries(&self, peer: &PeerId, id: ConnectionId, now: Instant) -> bool {
        let link = self.peers.get(peer).and_then(|peer| peer.links.get(&id));
        link.is_some_and(|link| now < link.carried + QUIET_PATIENCE && link.carried > link.since)
    }

    /// Notes how long a peer took to answer a ping; the fastest time is kept.
    pub fn answered(&mut self, peer: &PeerId, time: Duration) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.ping = Some(peer.ping.map_or(time, |best| best.min(time)));
        }
    }

    /// Notes that a valid block came from this peer first.
    pub fn brought_block(&mut self, peer: &PeerId) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.blocks = peer.blocks.saturating_add(1);
        }
    }

    /// Notes that a user named the peer, which protects it.
    pub fn protect(&mut self, peer: &PeerId) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.is_protected = true;
        }
    }

    /// The peer that must leave if there are more than `inbound_max` inbound connections: of the unprotected peers, the
    /// youngest one of the source that has most of them. So a crowd from one machine displaces its own connections, and
    /// a newcomer from another place finds room.
    pub fn surplus(&self, inbound_max: u32, networks: &[Prefix]) -> Option<PeerId> {
        let staying = || self.peers.iter().filter(|(_, peer)| peer.reason.is_none());
        let inbound =
            staying().flat_map(|(_, peer)| peer.links.values().filter(|link| link.direction == Direction::In));
        if inbound.count() <= usize::try_from(inbound_max).unwrap_or(usize::MAX) {
            return None;
        }
        let is_guest = |peer: &ConnectedPeer| peer.links.values().all(|link| link.direction == Direction::In);
        let guests: Vec<_> = staying().filter(|(_, peer)| is_guest(peer)).collect();
        let protected = protected(&guests);
        let open: Vec<_> = guests.iter().filter(|(id, _)| !protected.contains(*id)).collect();
        let size = |source| open.iter().filter(|(_, peer)| peer.source(networks) == source).count();
        let victim = open
            .iter()
            .max_by_key(|(_, peer)| (size(peer.source(networks)), peer.since()))?;
        Some(*victim.0)
    }

    /// All actions that are due. An action is returned once, unless it ends a whole peer.
    pub fn due(&mut self, now: Instant) -> Vec<Due> {
        let local = self.local;
        self.peers
            .iter_mut()
            .filter_map(|(id, peer)| peer.due(&local, id, now))
            .collect()
    }

    /// Whether everything still to come is measured in seconds, because each peer is confirmed and has one connection.
    pub(super) fn are_settled(&self) -> bool {
        let is_settled = |peer: &ConnectedPeer| peer.membership == Membership::Confirmed && peer.links.len() == 1;
        self.peers.values().all(is_settled)
    }

    /// The next action that is due for one peer; called as soon as something has changed.
    pub fn due_of(&mut self, id: &PeerId, now: Instant) -> Option<Due> {
        self.peers.get_mut(id)?.due(&self.local, id, now)
    }
}

impl ConnectedPeer {
    fn due(&mut self, local: &PeerId, id: &PeerId, now: Instant) -> Option<Due> {
        if let Membership::Foreign { since, .. } = self.membership {
            return (now >= since + FOREIGN_PATIENCE).then_some(Due::Foreign(*id));
        }
        if let Some(spare) = spare((local, id), &self.links, &mut self.returns, now) {
            self.end(spare);
            return Some(Due::Spare(*id, spare));
        }
        if self.membership == Membership::Unconfirmed {
            if self.declined.is_some_and(|at| now >= at + DECLINED_PATIENCE) {
                return Some(Due::Declined(*id));
            }
            let silent = now >= self.since()? + IDENTIFY_PATIENCE;
            return silent.then_some(Due::Silent(*id));
        }
        let patience = |link: &Link| if link.pings { QUIET_PATIENCE } else { MUTE_PATIENCE };
        let is_quiet = |link: &Link| !link.ending && now >= link.heard.max(link.carried) + patience(link);
        if let Some(quiet) = self.links.iter().find(|(_, link)| is_quiet(link)) {
            let quiet = *quiet.0;
            self.end(quiet);
            return Some(Due::Quiet(*id, quiet));
        }
        if self.links.len() == 1 && self.topics_since.is_some_and(|at| now >= at + TOPICS_PATIENCE) {
            self.topics_since = None;
            return Some(Due::Topics(*id));
        }
        None
    }

    fn end(&mut self, id: ConnectionId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.ending = true;
        }
    }

    fn since(&self) -> Option<Instant> {
        self.links.values().map(|link| link.since).min()
    }

    fn source(&self, networks: &[Prefix]) -> Option<ConnectionSource> {
        self.links
            .values()
            .map(|link| ConnectionSource::of(&link.address, networks))
            .next()
    }
}

/// The peers that newcomers cannot displace.
fn protected(guests: &[(&PeerId, &ConnectedPeer)]) -> BTreeSet<PeerId> {
    let confirmed = guests
        .iter()
        .filter(|(_, peer)| peer.membership == Membership::Confirmed);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn link(direction: Direction, since: Instant) -> Link {
        Link::new(direction, Multiaddr::empty(), since)
    }

    fn pair() -> (PeerId, PeerId) {
        let (a, b) = (PeerId::random(), PeerId::random());
        if a < b { (a, b) } else { (b, a) }
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
        peers.connected(large, id, link(Direction::In, now)).membership = Membership::Confirmed;
        let later = now + QUIET_PATIENCE;
        assert_eq!(peers.clone().due(later), [Due::Quiet(large, id)]);
        peers.heard(&large, id, later);
        assert_eq!(peers.due(later), []);
        assert_eq!(peers.due(later + QUIET_PATIENCE), [Due::Quiet(large, id)]);
    }

    #[test]
    fn an_only_connection_that_carries_a_long_answer_stays_however_late_its_pings_are_answered() {
        let (small, large) = pair();
        let (now, id) = (Instant::now(), ConnectionId::new_unchecked(1));
        let mut peers = Peers::new(small);
        peers.connected(large, id, link(Direction::In, now)).membership = Membership::Confirmed;
        assert!(!peers.carries(&large, id, now), "it has carried nothing yet");
        let mut later = now;
        for _ in 0..10 {
            later += QUIET_PATIENCE / 2;
            peers.carried(&large, later);
            assert_eq!(peers.due(later), []);
            assert!(peers.carries(&large, id, later));
        }
        later += QUIET_PATIENCE;
        assert!(!peers.carries(&large, id, later));
        assert_eq!(peers.due(later), [Due::Quiet(large, id)], "a pulled cable");
        // If there are two connections, one may be dead, so only pings count.
        let mut peers = Peers::new(small);
        for id in [1, 2] {
            let id = ConnectionId::new_unchecked(id);
            peers.connected(large, id, link(Direction::In, now)).membership = Membership::Confirmed;
        }
        peers.carried(&large, now + QUIET_PATIENCE / 2);
        assert!(!peers.carries(&large, id, now + QUIET_PATIENCE / 2));
    }

    #[test]
    fn a_peer_without_ping_lives_by_its_answers_and_is_due_after_45_seconds_without_one() {
        let (small, large) = pair();
        let (now, id) = (Instant::now(), ConnectionId::new_unchecked(1));
        let mut peers = Peers::new(small);
        peers.connected(large, id, link(Direction::In, now)).membership = Membership::Confirmed;
        // If pings are answered, nothing else counts.
        peers.replied(&large, id, now + QUIET_PATIENCE);
        assert_eq!(peers.clone().due(now + QUIET_PATIENCE), [Due::Quiet(large, id)]);
        peers.note_mute(&large, id, now);
        peers.replied(&large, id, now + QUIET_PATIENCE);
        assert_eq!(peers.due(now + MUTE_PATIENCE), []);
        let quiet = now + QUIET_PATIENCE + MUTE_PATIENCE;
        assert_eq!(peers.due(quiet), [Due::Quiet(large, id)]);
        assert_eq!(peers.due(quiet), [], "it is being closed");
    }

    #[test]
    fn who_declined_identify_is_due_after_a_second_unless_it_told_its_network() {
        let (small, large) = pair();
        let (now, id) = (Instant::now(), ConnectionId::new_unchecked(1));
        let mut peers = Peers::new(small);
        peers.connected(large, id, link(Direction::In, now));
        peers.declined(&large, now);
        assert_eq!(peers.due(now), []);
        assert_eq!(peers.due(now + DECLINED_PATIENCE), [Due::Declined(large)]);
        peers.confirmed(&large, false, now);
        peers.declined(&large, now);
        assert_eq!(peers.due(now + DECLINED_PATIENCE), []);
    }

    #[test]
    fn whether_a_peer_has_topics_is_looked_at_once_and_again_when_one_of_two_connections_was_closed() {
        let (small, large) = pair();
        let now = Instant::now();
        let [first, second] = [1, 2].map(ConnectionId::new_unchecked);
        let mut peers = Peers::new(small);
        peers.connected(large, first, link(Direction::In, now));
        peers.confirmed(&large, true, now);
        let later = now + TOPICS_PATIENCE;
        assert_eq!(peers.due(later), [Due::Topics(large)]);
        assert_eq!(peers.due(later), []);
        peers.connected(large, second, link(Direction::In, later));
        assert_eq!(peers.due_of(&large, later), Some(Due::Spare(large, first)));
        assert!(matches!(peers.closed(&large, first, later), Closed::OneLeft(left, _) if left == second));
        assert_eq!(peers.due(later), []);
        assert_eq!(peers.due(later + TOPICS_PATIENCE), [Due::Topics(large)]);
        assert!(matches!(peers.closed(&large, second, later), Closed::Last(_)));
    }

    /// A confirmed inbound peer from a host, connected at a given time.
    fn guest(peers: &mut Peers, number: usize, host: u8, since: Instant) -> PeerId {
        let id = PeerId::random();
        let address = format!("/ip4/10.0.0.{host}/tcp/1").parse().unwrap();
        let link = Link {
            address,
            ..link(Direction::In, since)
        };
        let known = peers.connected(id, ConnectionId::new_unchecked(number), link);
        known.membership = Membership::Confirmed;
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
                while let Some(victim) = peers.surplus(32, &[]) {
                    assert!(!honest.contains(&victim));
                    peers.peers.remove(&victim);
                }
            }
        }
        assert!(honest.iter().all(|id| peers.peers.contains_key(id)));
        assert_eq!(peers.peers.len(), 32);
        // A stranger from another place still gets in, because one of the crowd leaves for it.
        let stranger = guest(&mut peers, 9_999, 3, after(61));
        let victim = peers.surplus(32, &[]).unwrap();
        assert_ne!(victim, stranger);
        peers.peers.remove(&victim);
        assert_eq!(peers.surplus(32, &[]), None);
    }

    #[test]
    fn peers_that_this_node_dialled_make_no_room_for_strangers() {
        let mut peers = Peers::new(PeerId::random());
        let now = Instant::now();
        for number in 0..16 {
            let (id, connection) = (PeerId::random(), ConnectionId::new_unchecked(number));
            peers.connected(id, connection, link(Direction::Out, now)).membership = Membership::Confirmed;
        }
        let mut guests: Vec<_> = (100..132).map(|n| guest(&mut peers, n, 9, now)).collect();
        assert_eq!(peers.surplus(32, &[]), None, "own dials take none of the 32 places");
        guests.push(guest(&mut peers, 132, 9, now));
        assert!(guests.contains(&peers.surplus(32, &[]).unwrap()));
    }
}
