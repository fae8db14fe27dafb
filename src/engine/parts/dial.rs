//! The dial manager: one place that decides whom to dial and when, whatever the source of an address, and which own
//! links stay.
//!
//! Promises: never more than [`PENDING_MAX`] dials hold a place at once, [`IN_FLIGHT_MAX`] are under way, and
//! [`DIALS_PER_SECOND`] begin in a second; a peer that failed is left alone for its back-off; no source of addresses
//! keeps another one waiting; every list is bounded. [`OWN_LINKS`] links are opened, and one of them changes all the time.
//! Elsewhere: whose turn it is (`turns`), who makes room (`places`), what others ask (`reads`), own links (`links`), what of a telling may be dialled (`engine::exchange`),
//! limits on connections (`net`). Spec: `proto-notes/discovery.md`, "Dialling".

mod candidate;
mod due;
mod links;
mod places;
mod reads;
mod turns;

use core::net::IpAddr;
use std::collections::{BTreeMap, VecDeque};

use crate::contract::{Direction, FoundBy};
use crate::types::rng::Rng;
use crate::types::{Address, PeerId, Time, Voice};
pub use candidate::ADDRESSES_MAX;
use candidate::{Candidate, Goal, Source};
use links::Links;
use turns::{Ready, Turns};

/// Links that this node opens by itself: enough that a room stays one network when many leave, few enough that the
/// traffic of a node does not grow with the room. The rest of the 48 is for those who dial it.
pub const OWN_LINKS: usize = 8;
/// Links above which those who dialled in make room, as long as discovery hears them.
pub const LINKS_MANY: usize = 20;
/// Own links with those whom the user named.
pub const OUTBOUND_MAX: usize = 16;
/// Own links by tellings of one address: a third of all, so that nobody chooses this node's neighbours.
pub const TOLD_LINKS_MAX: usize = OWN_LINKS / 3;
/// Dials that hold a place at once: enough for a room, too few to scan a network.
pub const PENDING_MAX: usize = 8;
/// Dials under way, also those that gave up their place: what four a second make in ten seconds.
pub const IN_FLIGHT_MAX: usize = 40;
/// Dials of one host that hold a place.
pub const PENDING_PER_HOST_MAX: usize = 2;
/// Dials a second, so that a flood of false records makes no flood of dials.
pub const DIALS_PER_SECOND: u64 = 4;
/// Candidates kept, as many as discovery keeps records.
pub const CANDIDATES_MAX: usize = 256;
/// Candidates by tellings of one address, as many as one answer names.
pub const TOLD_MAX: usize = 32;
/// Told addresses that were dialled and are remembered.
pub const TRIED_MAX: usize = 1_024;
/// A told address is dialled once in this time.
pub const TOLD_AGAIN_MS: u64 = 3_600_000;
/// Failures after which a candidate that never answered leaves: some two minutes.
pub const JUNK_FAILURES: u32 = 8;
/// Candidates that left and are remembered as such, and for how long.
pub const LEFT_MAX: usize = 512;
/// See [`LEFT_MAX`].
pub const LEFT_MS: u64 = 600_000;
/// Candidates that were connected and are not now: beyond this number they make room, so that passing identities leave
/// places for neighbours that are still unknown.
pub const KNOWN_MAX: usize = CANDIDATES_MAX / 2;
/// How long the larger PeerId waits for the smaller one's dial.
pub const COURTESY_MS: u64 = 1_500;
/// With more candidates than this nobody waits out of courtesy: two nodes seldom choose each other then, and in a room
/// where the smaller ones always dial first the largest would have all links.
pub const COURTESY_UP_TO: usize = 2 * OWN_LINKS;
/// With so many links the next ones wait until it shows how many candidates there are.
pub const LINKS_AT_ONCE: usize = 2;
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
/// How long a dial holds its place while others wait: a neighbour answers in milliseconds, a busy one in seconds. The dial
/// itself goes on, so that whoever is just answering is not cut off.
pub const PATIENCE_MS: [u64; 3] = [2_000, 4_000, 10_000];

/// What the dial manager is told.
#[derive(Clone, Debug)]
pub enum Fact {
    /// Discovery, a user or the store named a peer.
    Found {
        /// Who.
        peer: PeerId,
        /// Where.
        address: Address,
        /// By what.
        by: FoundBy,
        /// Where the record came from, if it came over the network.
        from: Option<IpAddr>,
    },
    /// A user named an address without a peer.
    Typed(Address),
    /// A peer told of another one.
    Told {
        /// The voice of the peer that told of it.
        teller: Voice,
        /// The peer that was told of.
        peer: PeerId,
        /// Where, checked by [`super::exchange`].
        addresses: Vec<Address>,
    },
    /// The first link to a peer stands, or an address turns out to lead to a peer that is connected.
    Connected {
        /// Who.
        peer: PeerId,
        /// Where.
        address: Address,
        /// Who dialled.
        direction: Direction,
    },
    /// A connected peer is no longer on the host of this address.
    Left {
        /// The peer that moved.
        peer: PeerId,
        /// An address on the host that it left.
        address: Address,
    },
    /// A connected peer has said where it stands.
    Exchanged(PeerId),
    /// A peer asked for others.
    Asked(PeerId),
    /// The last link to a peer is gone.
    Disconnected(PeerId),
    /// A dial ended without a link.
    Failed {
        /// Who was dialled, if known.
        peer: Option<PeerId>,
        /// Where.
        addresses: Vec<Address>,
        /// It answered, and is no node of this network.
        other_network: bool,
    },
    /// Not dialled again until it is named anew: a banned peer.
    Forget(PeerId),
    /// An address that leads nowhere worth going: this node itself.
    ForgetAddress(Address),
    /// The cable: off dials nobody, on dials all at once.
    Enable(bool),
    /// An interface changed: pauses end, as the network is another one.
    Reset,
    /// Time has passed. Named are those whose links are in use by a sync.
    Tick {
        /// Peers that are being fetched from.
        fetching: Vec<PeerId>,
    },
}

/// What the dial manager orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Dial.
    Dial {
        /// Who, if known.
        peer: Option<PeerId>,
        /// Where.
        addresses: Vec<Address>,
    },
    /// Close an own link that is one too many.
    Close(PeerId),
}

/// The dial manager.
#[derive(Clone, Debug)]
pub struct Dialer {
    me: PeerId,
    rng: Rng,
    enabled: bool,
    candidates: BTreeMap<Goal, Candidate>,
    links: Links,
    turns: Turns,
    /// Told addresses that were dialled, and when.
    tried: BTreeMap<Address, Time>,
    /// Who left after failures, and when: found again, it is no fresh one.
    left: BTreeMap<PeerId, Time>,
    /// Thousandths of a dial that may start now.
    budget: u64,
    filled: Time,
    out: VecDeque<Order>,
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
            links: Links::new(now),
            turns: Turns::new(),
            tried: BTreeMap::new(),
            left: BTreeMap::new(),
            budget: DIALS_PER_SECOND * 1_000,
            filled: now,
            out: VecDeque::new(),
        }
    }

    /// Takes a fact. Dials begin with a [`Fact::Tick`] only.
    pub fn handle(&mut self, now: Time, fact: Fact) {
        match fact {
            Fact::Found {
                peer,
                address,
                by,
                from,
            } => self.found(now, peer, address, (by, from)),
            Fact::Typed(address) => {
                let offer = Candidate::new(now, address.clone(), FoundBy::Manual, Source::Named);
                self.insert(now, Goal::Address(address), offer);
            }
            Fact::Told {
                teller,
                peer,
                addresses,
            } => self.told(now, teller, peer, addresses),
            Fact::Connected {
                peer,
                address,
                direction,
            } => self.connected(now, peer, &address, direction),
            Fact::Left { peer, address } => {
                if let Some(candidate) = self.candidates.get_mut(&Goal::Peer(peer)) {
                    candidate.left(&address);
                }
            }
            Fact::Exchanged(peer) => self.links.exchanged(&peer),
            Fact::Asked(peer) => self.links.asked(now, &peer),
            Fact::Disconnected(peer) => self.disconnected(now, &peer),
            Fact::Failed {
                peer,
                addresses,
                other_network,
            } => self.failed(now, peer, &addresses, other_network),
            Fact::Forget(peer) => self
                .candidates
                .retain(|goal, c| *goal != Goal::Peer(peer) && c.holder != Some(peer)),
            Fact::ForgetAddress(address) => {
                self.candidates.remove(&Goal::Address(address));
            }
            Fact::Enable(on) => self.enable(now, on),
            Fact::Reset => self.reset(now),
            Fact::Tick { fetching } => self.tick(now, &fetching),
        }
    }

    /// The next order.
    pub fn poll_output(&mut self) -> Option<Order> {
        self.out.pop_front()
    }

    // ---- facts ----

    fn found(&mut self, now: Time, peer: PeerId, address: Address, (by, from): (FoundBy, Option<IpAddr>)) {
        if peer == self.me {
            return;
        }
        let source = match by {
            FoundBy::Manual => Source::Named,
            FoundBy::Remembered | FoundBy::Inbound => Source::Known,
            FoundBy::Mdns => Source::Record(from.or_else(|| address.ip())),
            FoundBy::Sibling => Source::Record(None),
            FoundBy::Told => Source::Told(peer.into()),
        };
        // It is connected, whatever names it first.
        let source = if self.links.has(&peer) {
            source.min(Source::Known)
        } else {
            source
        };
        let wait_ms = self.courtesy(&peer, by);
        let mut offer = Candidate::new(now, address.clone(), by, source);
        offer.next = now.after_ms(wait_ms);
        offer.is_at_random = by == FoundBy::Remembered;
        let has_left = self.left.get(&peer).is_some_and(|at| now.since(*at) < LEFT_MS);
        offer.failures = u32::from(has_left && source > Source::Known);
        if by == FoundBy::Inbound {
            offer.proven = Some(address);
        }
        if self.insert(now, Goal::Peer(peer), offer) && matches!(by, FoundBy::Mdns | FoundBy::Sibling) {
            self.links.heard_unknown(now, &mut self.rng);
        }
    }

    /// The larger PeerId lets the smaller one dial first.
    fn courtesy(&mut self, peer: &PeerId, by: FoundBy) -> u64 {
        if by == FoundBy::Manual || self.me < *peer {
            0
        } else {
            COURTESY_MS + self.rng.below(JITTER_MS)
        }
    }

    fn told(&mut self, now: Time, teller: Voice, peer: PeerId, mut addresses: Vec<Address>) {
        self.tried.retain(|_, at| now.since(*at) < TOLD_AGAIN_MS);
        let source = Source::Told(teller);
        let by_teller = self.candidates.values().filter(|c| c.source == source).count();
        addresses.retain(|address| !self.tried.contains_key(address));
        addresses.truncate(ADDRESSES_MAX);
        let is_known = self.candidates.contains_key(&Goal::Peer(peer)) || self.links.has(&peer);
        let Some(first) = addresses.first().cloned().filter(|_| peer != self.me && !is_known) else {
            return;
        };
        if by_teller >= TOLD_MAX {
            return;
        }
        let mut offer = Candidate::new(now, first, FoundBy::Told, source);
        // No courtesy here: where all know each other by tellings the largest PeerIds would have most links. Two that are
        // told of each other at the same time dial at different times.
        offer.next = now.after_ms(self.rng.below(COURTESY_MS));
        offer.is_at_random = true;
        offer.addresses = addresses;
        offer.teller = Some(source);
        self.insert(now, Goal::Peer(peer), offer);
    }

    /// Adds a candidate, or what is new of it. Returns whether it is a new one.
    fn insert(&mut self, now: Time, goal: Goal, mut offer: Candidate) -> bool {
        offer.lot = self.rng.next_u64();
        if let Some(known) = self.candidates.get_mut(&goal) {
            known.learn(now, offer);
            return false;
        }
        if self.candidates.len() >= CANDIDATES_MAX && !self.evict(offer.source) {
            return false;
        }
        self.candidates.insert(goal, offer);
        true
    }

    fn connected(&mut self, now: Time, peer: PeerId, address: &Address, direction: Direction) {
        if let Some(typed) = self.candidates.get_mut(&Goal::Address(address.clone())) {
            typed.holder = Some(peer);
        }
        self.left.remove(&peer);
        let mut named = false;
        let mut teller = None;
        for (is_peer, candidate) in self.of_peer(&peer) {
            named |= candidate.source == Source::Named;
            if is_peer {
                teller = candidate.teller;
                candidate.answered(address, direction);
            } else {
                candidate.answered_elsewhere();
            }
        }
        if peer != self.me {
            self.links.made(now, peer, (direction, named, teller));
        }
    }

    fn disconnected(&mut self, now: Time, peer: &PeerId) {
        let pause_ms = self.links.gone(now, peer) + self.rng.below(JITTER_MS);
        let by_name = self.candidates.contains_key(&Goal::Peer(*peer));
        for (is_peer, candidate) in self.of_peer(peer) {
            candidate.backoff_ms = BACKOFF_MIN_MS;
            // Where the peer itself is dialled, its typed address waits for the outcome.
            let behind_ms = if by_name && !is_peer { COURTESY_MS } else { 0 };
            candidate.next = now.after_ms(pause_ms.saturating_add(behind_ms));
        }
    }

    fn failed(&mut self, now: Time, peer: Option<PeerId>, addresses: &[Address], other_network: bool) {
        let jitter_ms = self.rng.below(JITTER_MS);
        if let Some(peer) = peer {
            self.links.extra_failed(now, &peer);
        }
        let goals = peer
            .map(Goal::Peer)
            .into_iter()
            .chain(addresses.iter().cloned().map(Goal::Address));
        for goal in goals {
            let Some(candidate) = self.candidates.get_mut(&goal) else {
                continue;
            };
            candidate.failed(now, other_network, jitter_ms);
            let is_junk = match candidate.source {
                Source::Named | Source::Known => false,
                Source::Record(_) => candidate.failures >= JUNK_FAILURES && !other_network,
                Source::Told(_) => true,
            };
            let was_told = candidate.source.is_told();
            if is_junk {
                self.candidates.remove(&goal);
                // A telling says nothing of whom it names.
                self.remember_left(now, goal.peer().filter(|_| !was_told));
            }
        }
    }

    fn enable(&mut self, now: Time, on: bool) {
        self.enabled = on;
        for candidate in self.candidates.values_mut() {
            candidate.dialling = None;
            if on && candidate.backoff_ms != OTHER_NETWORK_MS {
                candidate.backoff_ms = BACKOFF_MIN_MS;
                candidate.next = now;
            }
        }
    }

    fn reset(&mut self, now: Time) {
        for candidate in self.candidates.values_mut().filter(|c| c.dialling.is_none()) {
            if candidate.backoff_ms != OTHER_NETWORK_MS {
                candidate.backoff_ms = BACKOFF_MIN_MS;
                candidate.next = candidate.next.min(now.after_ms(BACKOFF_MIN_MS));
            }
        }
    }

    // ---- time ----

    fn tick(&mut self, now: Time, fetching: &[PeerId]) {
        self.refill(now);
        for (goal, candidate) in &mut self.candidates {
            if candidate.dialling.is_some_and(|at| now.since(at) >= DIAL_TIMEOUT_MS) {
                candidate.dialling = None;
                if let Some(peer) = goal.peer() {
                    self.links.extra_failed(now, &peer);
                }
            }
        }
        if !self.enabled {
            return;
        }
        while self.has_place(now) {
            let ready = self.ready(now);
            let Some(at) = self.turns.choose(&ready) else { break };
            let chosen = &ready[at];
            self.turns.took(chosen);
            let goal = chosen.goal.clone();
            self.dial(now, &goal);
        }
        self.dial_extra(now);
        let candidates = &self.candidates;
        let is_heard = |peer: &PeerId| candidates.get(&Goal::Peer(*peer)).is_some_and(|c| c.is_heard);
        let surplus = self.links.surplus(now, fetching);
        let crowding = self.links.crowding(now, fetching, (&mut self.rng, is_heard));
        for peer in surplus.into_iter().chain(crowding) {
            self.links.close(&peer);
            self.out.push_back(Order::Close(peer));
        }
    }

    fn refill(&mut self, now: Time) {
        let gained = now.since(self.filled).saturating_mul(DIALS_PER_SECOND);
        self.budget = self.budget.saturating_add(gained).min(DIALS_PER_SECOND * 1_000);
        self.filled = now;
    }

    /// Whether one more dial may begin.
    fn has_place(&self, now: Time) -> bool {
        let under_way = self.candidates.values().filter(|c| c.dialling.is_some()).count();
        self.budget >= 1_000 && under_way < IN_FLIGHT_MAX && self.pending(now) < PENDING_MAX
    }

    /// Dials that hold a place.
    fn pending(&self, now: Time) -> usize {
        self.candidates.values().filter(|c| c.place_until() > now).count()
    }

    /// Places for links that are not named. Far from enough links all dials may try at once; one link too many for a
    /// moment does no harm.
    fn has_room(&self, now: Time) -> bool {
        let own = self.links.own();
        own < OWN_LINKS / 2 || own + self.pending(now) < OWN_LINKS
    }

    /// Everybody who may be dialled now.
    fn ready(&self, now: Time) -> Vec<Ready> {
        let has_room = self.has_room(now);
        let mut hosts: BTreeMap<Option<IpAddr>, usize> = BTreeMap::new();
        for candidate in self.candidates.values().filter(|c| c.place_until() > now) {
            *hosts.entry(candidate.host).or_default() += 1;
        }
        // Counted once, not for each candidate: liars fill the table with those who are not there.
        let mut told: BTreeMap<Source, usize> = BTreeMap::new();
        for teller in self.candidates.values().filter_map(Candidate::teller_under_way) {
            *told.entry(teller).or_default() += 1;
        }
        let may = |(goal, c): &(&Goal, &Candidate)| {
            let is_due = c.dialling.is_none() && self.due_at(c) <= now;
            is_due
                && self.is_wanted(goal, c, has_room)
                && !c.teller.is_some_and(|teller| self.is_told_enough(teller, &told))
                && (c.source == Source::Named || hosts.get(&c.host).is_none_or(|count| *count < PENDING_PER_HOST_MAX))
        };
        let ready = self.candidates.iter().filter(may);
        ready.map(|(goal, candidate)| Ready::of(goal, candidate)).collect()
    }

    /// Whether a link to a candidate would be one that this node is to open.
    fn is_wanted(&self, goal: &Goal, candidate: &Candidate, has_room: bool) -> bool {
        let leads_to = goal.peer().or(candidate.holder);
        if leads_to.is_some_and(|peer| self.links.has(&peer)) {
            return false;
        }
        candidate.source == Source::Named || has_room
    }

    /// Whether one teller would have led to too many links, with the dials `under_way` by each.
    fn is_told_enough(&self, teller: Source, under_way: &BTreeMap<Source, usize>) -> bool {
        self.links.told_by(teller) + under_way.get(&teller).copied().unwrap_or(0) >= TOLD_LINKS_MAX
    }

    fn dial(&mut self, now: Time, goal: &Goal) {
        let Some(candidate) = self.candidates.get_mut(goal) else {
            return;
        };
        candidate.dialling = Some(now);
        candidate.last = Some(now);
        self.budget = self.budget.saturating_sub(1_000);
        let addresses = candidate.addresses.clone();
        if candidate.source.is_told() {
            for address in &addresses {
                if self.tried.len() >= TRIED_MAX
                    && let Some(oldest) = self
                        .tried
                        .iter()
                        .min_by_key(|(_, at)| **at)
                        .map(|(known, _)| known.clone())
                {
                    self.tried.remove(&oldest);
                }
                self.tried.insert(address.clone(), now);
            }
        }
        let peer = goal.peer();
        self.out.push_back(Order::Dial { peer, addresses });
    }

    /// Now and then one link more than are needed, to somebody at random: two halves of a network that can reach each
    /// other again have no other way to notice.
    fn dial_extra(&mut self, now: Time) {
        if self.links.extra_due(now).is_none_or(|at| at > now) || !self.has_place(now) {
            return;
        }
        let mut by_host: BTreeMap<Option<IpAddr>, Vec<PeerId>> = BTreeMap::new();
        for (goal, candidate) in &self.candidates {
            let is_due = candidate.dialling.is_none() && candidate.next <= now && candidate.teller.is_none();
            if let (Some(peer), true) = (goal.peer(), is_due && self.is_wanted(goal, candidate, true)) {
                by_host.entry(candidate.host).or_default().push(peer);
            }
        }
        let hosts: Vec<Vec<PeerId>> = by_host.into_values().collect();
        let chosen = choose(&mut self.rng, &hosts).and_then(|peers| choose(&mut self.rng, &peers));
        self.links.extra_began(now, chosen, &mut self.rng);
        if let Some(peer) = chosen {
            self.dial(now, &Goal::Peer(peer));
        }
    }

    /// When a [`Fact::Tick`] may bring something next.
    #[must_use]
    pub fn next_wakeup(&self, now: Time) -> Option<Time> {
        if !self.enabled {
            return None;
        }
        let has_room = self.has_room(now);
        let waiting = self
            .candidates
            .iter()
            .filter(|(goal, c)| c.dialling.is_none() && self.is_wanted(goal, c, has_room));
        // What is due and found no place is looked at again soon.
        let next = waiting.map(|(_, c)| self.due_at(c).max(now.after_ms(250))).min();
        let others = self.candidates.len() > self.links.count();
        let extra = self.links.extra_due(now).filter(|_| others);
        next.into_iter().chain(extra.map(|at| at.max(now.after_ms(250)))).min()
    }
}

/// One of them at random.
fn choose<T: Clone>(rng: &mut Rng, list: &[T]) -> Option<T> {
    let count = u64::try_from(list.len()).unwrap_or(u64::MAX);
    let index = usize::try_from(rng.below(count)).ok()?;
    list.get(index).cloned()
}
