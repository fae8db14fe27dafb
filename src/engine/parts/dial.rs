//! The dial manager: one place that decides whom to dial and when, whatever the source of an address, and which own
//! links stay.
//!
//! Promises: never more than [`PENDING_MAX`] dials hold a place at once, [`IN_FLIGHT_MAX`] are under way, and
//! [`DIALS_PER_SECOND`] begin in a second; a peer that failed is left alone for its back-off; no source of addresses
//! keeps another one waiting; every list is bounded. [`OWN_LINKS`] links are opened, and one of them changes all the time.
//! Elsewhere: whose turn it is (`turns`), what time makes due (`dialling`), who makes room (`places`), what others ask
//! (`reads`), own links (`links`), what of a telling may be dialled (`engine::parts::exchange`), limits on connections (`net`).
//! Spec: `proto-notes/discovery.md`, "Dialling".

mod candidate;
mod choice;
mod dialling;
mod due;
mod io;
pub(crate) mod limits;
mod links;
mod places;
mod reads;
mod turns;

use core::net::IpAddr;
use std::collections::{BTreeMap, VecDeque};

use crate::contract::{Direction, FoundBy};
use crate::types::rng::Rng;
use crate::types::{Address, PeerId, Time, Voice};
use candidate::{DialCandidate, DialSource, Goal};
pub use io::{Fact, Order};
pub use limits::*;
use links::LinkTable;
use turns::DialTurns;

/// Decides whom to dial and when, and which own links stay.
#[derive(Clone, Debug)]
pub struct Dialer {
    me: PeerId,
    rng: Rng,
    enabled: bool,
    candidates: BTreeMap<Goal, DialCandidate>,
    links: LinkTable,
    turns: DialTurns,
    /// The addresses that were dialled because a peer told of them, and when.
    tried: BTreeMap<Address, Time>,
    /// The peers that left the candidates after failures, and when: such a one is not new when it is found again.
    left: BTreeMap<PeerId, Time>,
    /// Thousandths of a dial that may start now.
    budget: u64,
    filled: Time,
    out: VecDeque<Order>,
}

impl Dialer {
    /// Knows nobody yet; `seed` feeds jitter and choices.
    #[must_use]
    pub const fn new(me: PeerId, seed: u64, now: Time) -> Self {
        Self {
            me,
            rng: Rng::new(seed),
            enabled: true,
            candidates: BTreeMap::new(),
            links: LinkTable::new(now),
            turns: DialTurns::new(),
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
                let offer = DialCandidate::new(now, address.clone(), FoundBy::Manual, DialSource::Named);
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

    /// The next order, in the order in which they were given.
    pub fn poll_output(&mut self) -> Option<Order> {
        self.out.pop_front()
    }

    // ---- facts ----

    fn found(&mut self, now: Time, peer: PeerId, address: Address, (by, from): (FoundBy, Option<IpAddr>)) {
        if peer == self.me {
            return;
        }
        let source = match by {
            FoundBy::Manual => DialSource::Named,
            FoundBy::Remembered | FoundBy::Inbound => DialSource::Known,
            FoundBy::Mdns => DialSource::Record(from.or_else(|| address.ip())),
            FoundBy::Sibling => DialSource::Record(None),
            FoundBy::Told => DialSource::Told(peer.into()),
        };
        // It is connected, whatever names it first.
        let source = if self.links.has(&peer) {
            source.min(DialSource::Known)
        } else {
            source
        };
        let wait_ms = self.courtesy(&peer, by);
        let mut offer = DialCandidate::new(now, address.clone(), by, source);
        offer.next = now.after_ms(wait_ms);
        offer.is_at_random = by == FoundBy::Remembered;
        let has_left = self.left.get(&peer).is_some_and(|at| now.since(*at) < LEFT_MS);
        offer.failures = u32::from(has_left && source > DialSource::Known);
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
        let source = DialSource::Told(teller);
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
        let mut offer = DialCandidate::new(now, first, FoundBy::Told, source);
        // No courtesy here: in a room where peers know each other only by what others tell, the largest PeerIds would have most
        // links. Two nodes that are told of each other at the same time dial at different times.
        offer.next = now.after_ms(self.rng.below(COURTESY_MS));
        offer.is_at_random = true;
        offer.addresses = addresses;
        offer.teller = Some(source);
        self.insert(now, Goal::Peer(peer), offer);
    }

    /// Adds a candidate, or what is new of it. Returns whether it is a new one.
    fn insert(&mut self, now: Time, goal: Goal, mut offer: DialCandidate) -> bool {
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
            named |= candidate.source == DialSource::Named;
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
                DialSource::Named | DialSource::Known => false,
                DialSource::Record(_) => candidate.failures >= JUNK_FAILURES && !other_network,
                DialSource::Told(_) => true,
            };
            let was_told = candidate.source.is_told();
            if is_junk {
                self.candidates.remove(&goal);
                // That a peer told of somebody says nothing about whom it named.
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
