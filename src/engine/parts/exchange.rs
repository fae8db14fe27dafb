//! Peer exchange: which peers are told to whom, who is asked for more, and what of a telling may be dialled.
//!
//! Promises: only connected peers are told, at an address that was dialled, or on which the peer says it listens on the host
//! from which it called; never at a loopback address. A peer whose key two nodes use is told where the other one was. Nobody
//! is answered more than twice a minute. What a peer tells sends this node nowhere but to private addresses and to its own
//! subnets, on ports that no other service is known for.
//! Elsewhere: which of them are dialled, and how many (`engine::parts::dial`).
//! Spec: `proto-notes/discovery.md`, "Peers tell peers".

use core::net::IpAddr;
use std::collections::{BTreeMap, VecDeque};

use super::dial::limits::OWN_LINKS;
use crate::contract::Direction;
use crate::types::prefix::{Prefix, is_neighbour};
use crate::types::rng::Rng;
use crate::types::{Address, Bucket, PeerId, PublicKey, Rate, Time};
use crate::wire::ToldPeer;
use crate::wire::message::{PEER_ADDRESSES_MAX, PEERS_MAX};

/// Answers to one peer: two at once, and two a minute.
pub(crate) const ANSWERS: Rate = Rate {
    tokens: 1,
    period_ms: 30_000,
    burst: 2,
};
/// Those that this node dialled itself are told only up to so many in all. A node opens eight links, so by those whom it
/// dialled each is told of equally often; whoever has many links would else be told of most, and dialled most again.
pub(crate) const DIALLED_UP_TO: usize = OWN_LINKS;
/// The pause before a peer is asked again; it doubles with each question, so that who tells of nobody that is there costs
/// ever fewer dials.
pub(crate) const ASK_PAUSE_MIN_MS: u64 = 60_000;
/// The longest of these pauses.
pub(crate) const ASK_PAUSE_MAX_MS: u64 = 1_920_000;
/// The soonest that a peer is asked again after a neighbour was lost.
const ASK_SOONEST_MS: u64 = 30_000;
/// The pause before a question that could not be asked is tried again.
const POSTPONED_MS: u64 = 1_000;
/// Spread of the first question, so that a room does not ask in step.
const ASK_JITTER_MS: u64 = 200;
/// Below are services that obey whoever connects,
const PORT_MIN: u16 = 1_024;
/// and a raw printer prints what it gets.
const PORT_OF_PRINTERS: u16 = 9_100;

/// What the exchange is told.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// A peer answered at an address, or listens there by its own word, on the host from which it called.
    Confirmed {
        /// The peer that is connected.
        peer: PeerId,
        /// Where it was reached: others may be told of it.
        address: Address,
        /// In if the peer dialled this node.
        direction: Direction,
    },
    /// A connected peer is no longer on the host of this address.
    Left {
        /// The peer that moved.
        peer: PeerId,
        /// An address on the host that it left.
        address: Address,
        /// Where it is now.
        to: Address,
    },
    /// Two nodes use the key of a connected peer.
    Twins(PeerId),
    /// A connected peer has said where it stands: it may be asked.
    Exchanged(PeerId),
    /// The last link to a peer is gone.
    Disconnected(PeerId),
    /// A peer told of others.
    Answered {
        /// The peer that was asked.
        peer: PeerId,
        /// The peers that it named.
        list: Vec<ToldPeer>,
        /// Where this node listens.
        own: Vec<Address>,
        /// The networks that this machine's interfaces are in.
        networks: Vec<Prefix>,
    },
    /// A question ended without an answer.
    Failed(PeerId),
    /// A question could not be asked now: too many others are under way to that peer.
    Postponed(PeerId),
    /// Time has passed, and this many own links stand.
    Tick {
        /// How many links this node opened itself.
        own_links: usize,
    },
}

/// What the exchange orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Ask this peer for others.
    Ask(PeerId),
    /// A candidate for the dial manager.
    Told {
        /// The peer that told of it.
        teller: PeerId,
        /// The peer that was told of.
        peer: PeerId,
        /// Where that one is.
        addresses: Vec<Address>,
    },
    /// By a telling, another node with this one's key is there.
    Twin(Address),
}

/// What is known of a connected peer.
#[derive(Clone, Debug)]
struct State {
    confirmed: Vec<Address>,
    /// Confirmed on a host where it was before.
    elsewhere: Vec<Address>,
    /// Two nodes use its key: the other one is elsewhere.
    are_twins: bool,
    /// It dialled this node.
    called: bool,
    /// When it may be asked; none before its status.
    next: Option<Time>,
    pause_ms: u64,
    asked: Option<Time>,
    is_asking: bool,
    /// What it was answered.
    answers: Bucket,
}

impl State {
    /// The peer is on another host than it was.
    fn left(&mut self, address: &Address, to: &Address) {
        if address.ip() == to.ip() {
            return;
        }
        let is_there = |known: &mut Address| known.ip() == address.ip();
        let left: Vec<Address> = self.confirmed.extract_if(.., is_there).collect();
        self.elsewhere
            .retain(|known| known.ip() != to.ip() && !left.contains(known));
        self.elsewhere.splice(0..0, left);
        self.elsewhere.truncate(PEER_ADDRESSES_MAX);
    }

    /// Where the other node with the key of this one may be: each is told of the other, under its own key.
    fn twin(&self, peer: &PeerId) -> Option<ToldPeer> {
        let key = PublicKey::from_peer_id(peer).ok()?;
        let addresses = self.elsewhere.iter().map(|address| address.as_str().to_owned());
        let is_told = self.are_twins && !self.elsewhere.is_empty();
        is_told.then(|| ToldPeer {
            key: *key.as_bytes(),
            addresses: addresses.collect(),
        })
    }
}

/// The part of the engine that exchanges peers.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    me: PeerId,
    /// Whether this node asks.
    enabled: bool,
    rng: Rng,
    peers: BTreeMap<PeerId, State>,
    has_room: bool,
    out: VecDeque<Order>,
}

impl Exchange {
    /// Knows nobody yet. Without `enabled` it answers, and asks nobody.
    #[must_use]
    pub(crate) const fn new(me: PeerId, seed: u64, enabled: bool) -> Self {
        Self {
            me,
            enabled,
            rng: Rng::new(seed),
            peers: BTreeMap::new(),
            has_room: true,
            out: VecDeque::new(),
        }
    }

    /// Takes a fact; orders are handed out by [`Exchange::poll_output`].
    pub(crate) fn handle(&mut self, now: Time, fact: Fact) {
        match fact {
            Fact::Confirmed {
                peer,
                address,
                direction,
            } => self.confirmed(now, peer, address, direction),
            Fact::Left { peer, address, to } => {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.left(&address, &to);
                }
            }
            Fact::Twins(peer) => {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.are_twins = true;
                }
            }
            Fact::Exchanged(peer) => {
                let next = now.after_ms(self.rng.below(ASK_JITTER_MS));
                self.state(now, peer).next.get_or_insert(next);
            }
            Fact::Disconnected(peer) => self.disconnected(now, &peer),
            Fact::Answered {
                peer,
                list,
                own,
                networks,
            } => {
                self.ended(&peer);
                if self.enabled {
                    self.answered(peer, list, (&own, &networks));
                }
            }
            Fact::Failed(peer) => self.ended(&peer),
            Fact::Postponed(peer) => {
                self.ended(&peer);
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.next = Some(now.after_ms(POSTPONED_MS));
                    state.pause_ms = (state.pause_ms / 2).max(ASK_PAUSE_MIN_MS);
                }
            }
            Fact::Tick { own_links } => self.tick(now, own_links),
        }
    }

    /// The next order, in the order in which they were given.
    pub(crate) fn poll_output(&mut self) -> Option<Order> {
        self.out.pop_front()
    }

    /// When a [`Fact::Tick`] may bring something next.
    #[must_use]
    pub(crate) fn next_wakeup(&self) -> Option<Time> {
        if !self.enabled || !self.has_room {
            return None;
        }
        let waiting = self.peers.values().filter(|state| !state.is_asking);
        waiting.filter_map(|state| state.next).min()
    }

    /// What is answered to a peer that asks; none if it asks too often.
    pub(crate) fn answer(&mut self, now: Time, asker: PeerId) -> Option<Vec<ToldPeer>> {
        if !self.state(now, asker).answers.take(now, 1, ANSWERS) {
            return None;
        }
        let told = |(peer, state): (&PeerId, &State)| {
            let key = PublicKey::from_peer_id(peer).ok()?;
            let addresses = state.confirmed.iter().map(|address| address.as_str().to_owned());
            let addresses: Vec<String> = addresses.collect();
            let key = *key.as_bytes();
            let is_told = *peer != asker && !addresses.is_empty();
            is_told.then_some((state.called, ToldPeer { key, addresses }))
        };
        let all = self.peers.iter().filter_map(told);
        let (called, dialled): (Vec<_>, Vec<_>) = all.partition(|(called, _)| *called);
        let twin = self.peers.get(&asker).and_then(|state| state.twin(&asker));
        let mut sample = Vec::from_iter(twin);
        for (mut from, most) in [(called, PEERS_MAX), (dialled, DIALLED_UP_TO)] {
            while sample.len() < most && !from.is_empty() {
                let at = self.rng.below(u64::try_from(from.len()).unwrap_or(1));
                sample.push(from.swap_remove(usize::try_from(at).unwrap_or(0)).1);
            }
        }
        Some(sample)
    }

    fn state(&mut self, now: Time, peer: PeerId) -> &mut State {
        self.peers.entry(peer).or_insert(State {
            confirmed: Vec::new(),
            elsewhere: Vec::new(),
            are_twins: false,
            called: false,
            next: None,
            pause_ms: ASK_PAUSE_MIN_MS,
            asked: None,
            is_asking: false,
            answers: Bucket::full(now),
        })
    }

    fn confirmed(&mut self, now: Time, peer: PeerId, address: Address, direction: Direction) {
        if address.is_loopback() || address.ip().is_none() {
            return;
        }
        let state = self.state(now, peer);
        state.called |= direction == Direction::In;
        let known = &mut state.confirmed;
        if !known.contains(&address) {
            known.truncate(PEER_ADDRESSES_MAX - 1);
            known.insert(0, address);
        }
    }

    /// The others are asked anew, soon: this node may have lost its only way to somebody.
    fn disconnected(&mut self, now: Time, peer: &PeerId) {
        self.peers.remove(peer);
        let jitter_ms = self.rng.below(ASK_JITTER_MS);
        for state in self.peers.values_mut() {
            let soonest = state.asked.map_or(now, |at| at.after_ms(ASK_SOONEST_MS).max(now));
            state.next = state.next.map(|at| at.min(soonest.after_ms(jitter_ms)));
        }
    }

    fn ended(&mut self, peer: &PeerId) {
        if let Some(state) = self.peers.get_mut(peer) {
            state.is_asking = false;
        }
    }

    fn tick(&mut self, now: Time, own_links: usize) {
        self.has_room = own_links < OWN_LINKS;
        if !self.enabled || !self.has_room {
            return;
        }
        for (peer, state) in &mut self.peers {
            if state.is_asking || state.next.is_none_or(|at| at > now) {
                continue;
            }
            state.is_asking = true;
            state.asked = Some(now);
            state.next = Some(now.after_ms(state.pause_ms));
            state.pause_ms = state.pause_ms.saturating_mul(2).min(ASK_PAUSE_MAX_MS);
            self.out.push_back(Order::Ask(*peer));
        }
    }

    fn answered(&mut self, teller: PeerId, list: Vec<ToldPeer>, here: (&[Address], &[Prefix])) {
        for told in list.into_iter().take(PEERS_MAX) {
            let Ok(key) = PublicKey::from_bytes(told.key) else {
                continue;
            };
            let read = |text: &String| Address::parse(text).ok().map(|(address, _)| address);
            let mut addresses: Vec<Address> = told.addresses.iter().filter_map(read).collect();
            addresses.retain(|address| may_be_dialled(address, here));
            addresses.truncate(PEER_ADDRESSES_MAX);
            let peer = key.peer_id();
            if peer == self.me
                && let Some(address) = addresses.first()
            {
                self.out.push_back(Order::Twin(address.clone()));
            }
            if peer != self.me && !self.peers.contains_key(&peer) && !addresses.is_empty() {
                self.out.push_back(Order::Told {
                    teller,
                    peer,
                    addresses,
                });
            }
        }
    }
}

/// Whether an address that a peer told may be dialled: else one lie sends this node to a printer, to itself, or to a
/// victim elsewhere.
#[must_use]
pub(crate) fn may_be_dialled(address: &Address, (own, networks): (&[Address], &[Prefix])) -> bool {
    let (Some(ip), Some(port)) = (address.ip(), address.tcp_port()) else {
        return false;
    };
    let is_of_nobody = match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_broadcast() || ip.is_link_local(),
        IpAddr::V6(ip) => {
            ip.is_loopback() || ip.is_unspecified() || ip.is_unicast_link_local() || ip.to_ipv4_mapped().is_some()
        }
    };
    let is_own = own.contains(address);
    let has_service = port < PORT_MIN || port == PORT_OF_PRINTERS;
    let is_near = || is_neighbour(ip, networks);
    !is_of_nobody && !ip.is_multicast() && !is_own && !has_service && is_near()
}
