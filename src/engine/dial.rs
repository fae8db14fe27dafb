//! The dial manager: one place that decides whom to dial and when, whatever the source of an address.
//!
//! Promises: never more than [`PENDING_MAX`] dials at once nor [`DIALS_PER_SECOND`] a second; a peer that failed is
//! left alone for its back-off; the list of candidates is bounded.
//! Elsewhere: limits on connections (`net`). Spec: `proto-notes/discovery.md`.

use std::collections::BTreeMap;

use super::event::FoundBy;
use crate::types::rng::Rng;
use crate::types::{Address, PeerId, Time};

/// Connections that this node opens by itself; the rest of the 48 is for those who dial it.
pub const OUTBOUND_MAX: usize = 16;
/// Dials under way at once: enough for a room, too few to scan a network.
pub const PENDING_MAX: usize = 8;
/// Dials a second, so that a flood of false records makes no flood of dials.
pub const DIALS_PER_SECOND: u64 = 4;
/// Candidates kept, as many as discovery keeps records.
pub const CANDIDATES_MAX: usize = 256;
/// Addresses kept for a candidate: one for each interface of a usual machine, and room.
pub const ADDRESSES_MAX: usize = 8;
/// How long the larger PeerId waits for the smaller one's dial.
pub const COURTESY_MS: u64 = 1_500;
/// Spread of the courtesy and of back-offs.
pub const JITTER_MS: u64 = 500;
/// The first pause after a failure, and the shortest between two dials of a peer.
pub const BACKOFF_MIN_MS: u64 = 1_000;
/// The longest pause on private addresses: a neighbour that comes back is there within seconds.
pub const BACKOFF_PRIVATE_MS: u64 = 5_000;
/// The pause elsewhere, out of politeness to strangers' networks.
pub const BACKOFF_PUBLIC_MS: u64 = 60_000;
/// A peer of another network or version is left alone for an hour.
pub const OTHER_NETWORK_MS: u64 = 3_600_000;
/// A dial whose end is never told is forgotten after this time; the network ends each within 10 s.
pub const DIAL_TIMEOUT_MS: u64 = 30_000;

/// Whom to dial: a peer, or, when only an address was typed, the address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Goal {
    Peer(PeerId),
    Address(Address),
}

/// An address book entry and its dialling state.
#[derive(Clone, Debug)]
struct Candidate {
    addresses: Vec<Address>,
    found_by: FoundBy,
    /// Not before.
    next: Time,
    backoff_ms: u64,
    /// When the dial under way began.
    dialling: Option<Time>,
    last: Option<Time>,
    connected: bool,
    /// Of an address without an identity: who answered there last. It stays an address: whoever is set up anew there
    /// has another key.
    holder: Option<PeerId>,
}

/// An order to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Who, if known.
    pub peer: Option<PeerId>,
    /// Where.
    pub addresses: Vec<Address>,
}

/// The dial manager.
#[derive(Clone, Debug)]
pub struct Dialer {
    me: PeerId,
    rng: Rng,
    enabled: bool,
    candidates: BTreeMap<Goal, Candidate>,
    /// Thousandths of a dial that may start now.
    budget: u64,
    filled: Time,
}

impl Dialer {
    /// Starts without candidates.
    #[must_use]
    pub const fn new(me: PeerId, seed: u64, now: Time) -> Self {
        Self {
            me,
            rng: Rng::new(seed),
            enabled: true,
            candidates: BTreeMap::new(),
            budget: DIALS_PER_SECOND * 1_000,
            filled: now,
        }
    }

    /// Discovery, a user or the store named a peer. Returns whether it was new.
    pub fn found(&mut self, now: Time, peer: PeerId, address: Address, by: FoundBy) -> bool {
        if peer == self.me {
            return false;
        }
        let wait = if by == FoundBy::Manual || self.me < peer {
            0
        } else {
            COURTESY_MS + self.rng.below(JITTER_MS)
        };
        self.insert(now, Goal::Peer(peer), address, by, wait)
    }

    /// A user named an address without a peer.
    pub fn found_address(&mut self, now: Time, address: Address) -> bool {
        self.insert(now, Goal::Address(address.clone()), address, FoundBy::Manual, 0)
    }

    fn insert(&mut self, now: Time, goal: Goal, address: Address, by: FoundBy, wait_ms: u64) -> bool {
        if let Some(known) = self.candidates.get_mut(&goal) {
            if !known.addresses.contains(&address) {
                known.addresses.truncate(ADDRESSES_MAX - 1);
                known.addresses.insert(0, address);
            }
            if by == FoundBy::Manual {
                known.found_by = by;
            }
            let paused = known.backoff_ms == OTHER_NETWORK_MS && by != FoundBy::Manual;
            // Who was named again is there again: only the shortest pause is left.
            if by != FoundBy::Remembered && known.dialling.is_none() && !paused {
                let earliest = known
                    .last
                    .map_or(now, |last| Time::from_ms(last.ms() + BACKOFF_MIN_MS).max(now));
                known.next = known.next.min(Time::from_ms(earliest.ms() + wait_ms));
                known.backoff_ms = BACKOFF_MIN_MS;
            }
            return false;
        }
        if self.candidates.len() >= CANDIDATES_MAX && !self.evict() {
            return false;
        }
        let candidate = Candidate {
            addresses: vec![address],
            found_by: by,
            next: Time::from_ms(now.ms() + wait_ms),
            backoff_ms: BACKOFF_MIN_MS,
            dialling: None,
            last: None,
            connected: false,
            holder: None,
        };
        self.candidates.insert(goal, candidate);
        true
    }

    /// Makes room at random: an attacker who floods cannot choose who leaves.
    fn evict(&mut self) -> bool {
        let free: Vec<Goal> = self
            .candidates
            .iter()
            .filter(|(_, c)| c.found_by != FoundBy::Manual && !c.connected && c.dialling.is_none())
            .map(|(goal, _)| goal.clone())
            .collect();
        let count = u64::try_from(free.len()).unwrap_or(u64::MAX);
        let index = usize::try_from(self.rng.below(count)).unwrap_or(0);
        free.get(index)
            .is_some_and(|goal| self.candidates.remove(goal).is_some())
    }

    /// How a peer was found; none if nobody named it.
    #[must_use]
    pub fn found_by(&self, peer: &PeerId) -> Option<FoundBy> {
        let named = |c: &&Candidate| c.holder.as_ref() == Some(peer);
        let typed = self.candidates.values().find(named).map(|c| c.found_by);
        typed.or_else(|| self.candidates.get(&Goal::Peer(*peer)).map(|c| c.found_by))
    }

    /// The known addresses of a peer.
    #[must_use]
    pub fn addresses(&self, peer: &PeerId) -> &[Address] {
        self.candidates
            .get(&Goal::Peer(*peer))
            .map_or(&[], |c| c.addresses.as_slice())
    }

    /// A connection stands. A typed address turns out to lead to this peer. Returns how it was found, if it was.
    pub fn connected(&mut self, peer: PeerId, address: &Address) -> Option<FoundBy> {
        if let Some(typed) = self.candidates.get_mut(&Goal::Address(address.clone())) {
            typed.holder = Some(peer);
        }
        for (_, candidate) in self.of_peer(&peer) {
            candidate.connected = true;
            candidate.dialling = None;
            candidate.backoff_ms = BACKOFF_MIN_MS;
        }
        self.found_by(&peer)
    }

    /// All that leads to a peer: itself, and typed addresses where it answered.
    fn of_peer(&mut self, peer: &PeerId) -> impl Iterator<Item = (bool, &mut Candidate)> {
        let goal = Goal::Peer(*peer);
        self.candidates.iter_mut().filter_map(move |(known, candidate)| {
            let is_peer = *known == goal;
            (is_peer || candidate.holder.as_ref() == Some(peer)).then_some((is_peer, candidate))
        })
    }

    /// The last connection is gone: it is dialled again after a short pause.
    pub fn disconnected(&mut self, now: Time, peer: &PeerId) {
        let jitter = self.rng.below(JITTER_MS);
        let by_name = self.candidates.contains_key(&Goal::Peer(*peer));
        for (is_peer, candidate) in self.of_peer(peer) {
            candidate.connected = false;
            candidate.backoff_ms = BACKOFF_MIN_MS;
            // Where the peer itself is dialled, its typed address waits for the outcome.
            let behind = if by_name && !is_peer { COURTESY_MS } else { 0 };
            candidate.next = Time::from_ms(now.ms() + BACKOFF_MIN_MS + jitter + behind);
        }
    }

    /// A dial ended without a connection.
    pub fn failed(&mut self, now: Time, peer: Option<PeerId>, addresses: &[Address], other_network: bool) {
        let jitter = self.rng.below(JITTER_MS);
        let goals = peer
            .map(Goal::Peer)
            .into_iter()
            .chain(addresses.iter().cloned().map(Goal::Address));
        for goal in goals {
            let Some(candidate) = self.candidates.get_mut(&goal) else {
                continue;
            };
            candidate.dialling = None;
            let private = candidate.addresses.iter().any(Address::is_private);
            let pause = match (other_network, private) {
                (true, _) => OTHER_NETWORK_MS,
                (false, true) => candidate.backoff_ms.min(BACKOFF_PRIVATE_MS),
                (false, false) => BACKOFF_PUBLIC_MS,
            };
            candidate.next = Time::from_ms(now.ms() + pause + jitter);
            candidate.backoff_ms = if other_network {
                OTHER_NETWORK_MS
            } else {
                pause.saturating_mul(2).min(BACKOFF_PUBLIC_MS)
            };
        }
    }

    /// Never dialled again, whoever names it: a banned peer, until it is named anew.
    pub fn forget(&mut self, peer: &PeerId) {
        self.candidates.remove(&Goal::Peer(*peer));
        self.candidates.retain(|_, c| c.holder.as_ref() != Some(peer));
    }

    /// An address that leads nowhere worth going: this node itself.
    pub fn forget_address(&mut self, address: &Address) {
        self.candidates.remove(&Goal::Address(address.clone()));
    }

    /// The cable: off dials nobody, on dials all at once.
    pub fn enable(&mut self, now: Time, on: bool) {
        self.enabled = on;
        for candidate in self.candidates.values_mut() {
            candidate.dialling = None;
            if on && candidate.backoff_ms != OTHER_NETWORK_MS {
                candidate.backoff_ms = BACKOFF_MIN_MS;
                candidate.next = now;
            }
        }
    }

    /// An interface changed: pauses end, as the network is another one.
    pub fn reset(&mut self, now: Time) {
        for candidate in self.candidates.values_mut().filter(|c| c.dialling.is_none()) {
            if candidate.backoff_ms != OTHER_NETWORK_MS {
                candidate.backoff_ms = BACKOFF_MIN_MS;
                candidate.next = candidate.next.min(Time::from_ms(now.ms() + BACKOFF_MIN_MS));
            }
        }
    }

    fn refill(&mut self, now: Time) {
        let gained = now.since(self.filled).saturating_mul(DIALS_PER_SECOND);
        self.budget = self.budget.saturating_add(gained).min(DIALS_PER_SECOND * 1_000);
        self.filled = now;
    }

    /// The dials that are due. `outbound` counts the connections that this node opened.
    pub fn due(&mut self, now: Time, outbound: usize) -> Vec<Dial> {
        self.refill(now);
        for candidate in self.candidates.values_mut() {
            if candidate.dialling.is_some_and(|at| now.since(at) >= DIAL_TIMEOUT_MS) {
                candidate.dialling = None;
            }
        }
        let mut dials = Vec::new();
        if !self.enabled {
            return dials;
        }
        let mut pending = self.pending();
        // Typed ones first, remembered ones last; among equals the one that waits longest.
        let mut ready: Vec<(u8, Time, Goal)> = self
            .candidates
            .iter()
            .filter(|(_, c)| !c.connected && c.dialling.is_none() && c.next <= now)
            .map(|(goal, c)| (rank(c.found_by), c.next, goal.clone()))
            .collect();
        ready.sort();
        for (rank, _, goal) in ready {
            let full = outbound + pending >= OUTBOUND_MAX && rank > 0;
            if pending >= PENDING_MAX || self.budget < 1_000 {
                break;
            }
            if full {
                continue;
            }
            let Some(candidate) = self.candidates.get_mut(&goal) else {
                continue;
            };
            candidate.dialling = Some(now);
            candidate.last = Some(now);
            self.budget -= 1_000;
            pending += 1;
            let peer = match goal {
                Goal::Peer(peer) => Some(peer),
                Goal::Address(_) => None,
            };
            dials.push(Dial {
                peer,
                addresses: candidate.addresses.clone(),
            });
        }
        dials
    }

    fn pending(&self) -> usize {
        self.candidates.values().filter(|c| c.dialling.is_some()).count()
    }

    /// When [`Dialer::due`] may have something next.
    #[must_use]
    pub fn next_wakeup(&self, now: Time) -> Option<Time> {
        if !self.enabled || self.pending() >= PENDING_MAX {
            return None;
        }
        let next = self
            .candidates
            .values()
            .filter(|c| !c.connected && c.dialling.is_none())
            .map(|c| c.next)
            .min()?;
        // What is due but had no budget or no room is looked at again soon.
        Some(next.max(Time::from_ms(now.ms() + 250)))
    }
}

const fn rank(by: FoundBy) -> u8 {
    match by {
        FoundBy::Manual => 0,
        FoundBy::Sibling => 1,
        FoundBy::Mdns | FoundBy::Inbound => 2,
        FoundBy::Remembered => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SecretKey;

    fn peers() -> (PeerId, PeerId) {
        let mut list = [1, 2].map(|n| SecretKey::from_seed([n; 32]).public().peer_id());
        list.sort();
        (list[0], list[1])
    }

    fn address(port: u16) -> Address {
        Address::parse(&format!("/ip4/192.168.1.2/tcp/{port}")).unwrap().0
    }

    fn at(ms: u64) -> Time {
        Time::from_ms(1_000_000 + ms)
    }

    #[test]
    fn the_smaller_peer_id_dials_at_once_and_the_larger_waits() {
        let (small, large) = peers();
        let mut dialer = Dialer::new(small, 1, at(0));
        dialer.found(at(0), large, address(1), FoundBy::Mdns);
        assert_eq!(dialer.due(at(0), 0).len(), 1);
        let mut dialer = Dialer::new(large, 1, at(0));
        dialer.found(at(0), small, address(1), FoundBy::Mdns);
        assert!(dialer.due(at(COURTESY_MS - 1), 0).is_empty());
        assert_eq!(dialer.due(at(COURTESY_MS + JITTER_MS), 0).len(), 1);
    }

    #[test]
    fn a_failed_neighbour_is_dialled_again_within_seconds_and_sooner_when_it_is_found_again() {
        let (small, large) = peers();
        let mut dialer = Dialer::new(small, 1, at(0));
        dialer.found(at(0), large, address(1), FoundBy::Mdns);
        let mut now = 0;
        for _ in 0..6 {
            assert_eq!(dialer.due(at(now), 0).len(), 1);
            dialer.failed(at(now), Some(large), &[address(1)], false);
            now += BACKOFF_PRIVATE_MS + JITTER_MS;
        }
        dialer.due(at(now), 0);
        dialer.failed(at(now), Some(large), &[], false);
        dialer.found(at(now), large, address(2), FoundBy::Mdns);
        let dials = dialer.due(at(now + BACKOFF_MIN_MS), 0);
        assert_eq!(dials[0].addresses, [address(2), address(1)]);
    }

    #[test]
    fn adv_d07_w17_a_peer_of_another_network_is_left_alone_for_an_hour() {
        let (small, large) = peers();
        let mut dialer = Dialer::new(small, 1, at(0));
        dialer.found(at(0), large, address(1), FoundBy::Mdns);
        dialer.due(at(0), 0);
        dialer.failed(at(0), Some(large), &[], true);
        dialer.found(at(10), large, address(1), FoundBy::Mdns);
        assert!(dialer.due(at(OTHER_NETWORK_MS - 1), 0).is_empty());
        assert_eq!(dialer.due(at(OTHER_NETWORK_MS + JITTER_MS), 0).len(), 1);
    }

    #[test]
    fn a_flood_of_records_makes_few_dials_and_a_bounded_list() {
        let (small, _) = peers();
        let mut dialer = Dialer::new(small, 1, at(0));
        for n in 0..400_u16 {
            let mut seed = [7; 32];
            seed[..2].copy_from_slice(&n.to_be_bytes());
            let peer = SecretKey::from_seed(seed).public().peer_id();
            dialer.found(at(0), peer, address(n + 1), FoundBy::Mdns);
        }
        assert!(dialer.candidates.len() <= CANDIDATES_MAX);
        assert!(dialer.due(at(2_000), 0).len() <= 4);
        assert!(dialer.due(at(4_000), 0).len() <= 4);
        assert!(dialer.due(at(6_000), 0).is_empty(), "eight are under way");
    }

    #[test]
    fn adv_d08_of_a_hundred_neighbours_found_at_once_sixteen_are_dialled_and_the_others_kept() {
        let (small, _) = peers();
        let mut dialer = Dialer::new(small, 1, at(0));
        for n in 0..100_u8 {
            let peer = SecretKey::from_seed([n; 32]).public().peer_id();
            dialer.found(at(0), peer, address(u16::from(n) + 1), FoundBy::Mdns);
        }
        let mut outbound = Vec::new();
        for second in 0..120 {
            for dial in dialer.due(at(second * 1_000), outbound.len()) {
                let peer = dial.peer.unwrap();
                dialer.connected(peer, &dial.addresses[0]);
                outbound.push(peer);
            }
        }
        assert_eq!(outbound.len(), OUTBOUND_MAX);
        // One of them leaves: one of the others takes its place.
        let left = outbound.swap_remove(0);
        dialer.disconnected(at(121_000), &left);
        let next = dialer.due(at(123_000), outbound.len());
        assert_eq!(next.len(), 1);
        assert!(!outbound.contains(&next[0].peer.unwrap()));
    }

    #[test]
    fn sixteen_outbound_are_enough_but_a_typed_address_is_always_tried() {
        let (small, large) = peers();
        let mut dialer = Dialer::new(small, 1, at(0));
        dialer.found(at(0), large, address(1), FoundBy::Sibling);
        assert!(dialer.due(at(0), OUTBOUND_MAX).is_empty());
        dialer.found_address(at(0), address(9));
        assert_eq!(dialer.due(at(0), OUTBOUND_MAX).len(), 1);
        assert_eq!(dialer.connected(large, &address(9)), Some(FoundBy::Manual));
    }

    #[test]
    fn a_pulled_cable_stops_dials_and_a_plugged_one_dials_at_once() {
        let (small, large) = peers();
        let mut dialer = Dialer::new(small, 1, at(0));
        dialer.found(at(0), large, address(1), FoundBy::Mdns);
        dialer.enable(at(0), false);
        assert!(dialer.due(at(10_000), 0).is_empty());
        dialer.enable(at(10_000), true);
        assert_eq!(dialer.due(at(10_000), 0).len(), 1);
    }
}
