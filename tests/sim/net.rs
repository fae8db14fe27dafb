//! The wire: connections, gossip with verdicts, requests that end in an answer or a failure.
//!
//! Promises: facts about a connection come in order; what was under way when it ended is lost; gossip may be lost, come
//! twice and out of order; every request ends exactly once, after 20 s at the latest.
//! Elsewhere: requests (`net::requests`), connections of which each end has its own view (`wires`), who refuses whom and
//! why (the engines), when a link is blocked (`fate`).

mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use lanchain::contract::{Direction, FoundBy};
use lanchain::engine::Fault;
use lanchain::engine::{Input, NetFact, Verdict};
use lanchain::testing::blocks::gossip_id;
use lanchain::types::{Address, PeerId};
use lanchain::wire::Topic;
use lanchain::wire::message::GOSSIP_TX_MAX_BYTES;

use crate::checkers::Watch;
use crate::node::Heard;
use crate::wires::Wire;
use crate::world::{Happening, World};

/// A connection that answers no ping is closed after 10 to 15 s.
const SILENCE_MS: u64 = 10_000;
/// Duplicates are known for this time.
const SEEN_MS: u64 = 600_000;
/// Inbound connections of a node.
pub(crate) const INBOUND_MAX: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Link {
    epoch: u64,
    dialler: usize,
    /// When the smaller and the larger end know of it.
    ready: [u64; 2],
}

/// An own request under way.
#[derive(Clone, Copy, Debug)]
struct Open {
    to: usize,
    epoch: u64,
}

/// A peer's request in process.
#[derive(Clone, Copy, Debug)]
struct Inbound {
    asker: usize,
    id: u64,
    answerer: usize,
    epoch: u64,
}

/// What all nodes together have sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) messages: f64,
    pub(crate) bytes: f64,
    pub(crate) dials: f64,
}

impl Traffic {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            messages: self.messages - before.messages,
            bytes: self.bytes - before.bytes,
            dials: self.dials - before.dials,
        }
    }

    fn sent(&mut self, bytes: usize) {
        self.messages += 1.0;
        self.bytes += f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
    }
}

/// All connections and what is under way.
#[derive(Debug, Default)]
pub(crate) struct Net {
    links: BTreeMap<(usize, usize), Link>,
    /// With whom each node has such a link.
    linked: BTreeMap<usize, BTreeSet<usize>>,
    /// The connections of worlds whose ends have their own views.
    pub(crate) wires: BTreeMap<u64, Wire>,
    /// Until when the ends of a closed link are still being told.
    closing: BTreeMap<(usize, usize), u64>,
    /// Nothing arrives from the first at the second.
    pub(crate) blocked: BTreeSet<(usize, usize)>,
    /// Nothing crosses between the nodes below this number and the others.
    pub(crate) halves: Option<usize>,
    pub(crate) traffic: Traffic,
    /// How often each node has dialled.
    pub(crate) dialled: BTreeMap<usize, u64>,
    open: BTreeMap<(usize, u64), Open>,
    inbound: BTreeMap<u64, Inbound>,
    /// When a link has carried what was sent from the first to the second.
    pub(crate) free_at: BTreeMap<(usize, usize), u64>,
    next: u64,
}

const fn pair(a: usize, b: usize) -> (usize, usize) {
    if a < b { (a, b) } else { (b, a) }
}

impl Net {
    pub(crate) fn neighbours(&self, node: usize) -> Vec<usize> {
        let links = self.linked.get(&node).into_iter().flatten().copied();
        let held = self.wires.values().filter(|wire| wire.is_held_by(node));
        let all: BTreeSet<usize> = links.chain(held.map(|wire| wire.other(node))).collect();
        all.into_iter().collect()
    }

    pub(crate) fn is_linked(&self, a: usize, b: usize) -> bool {
        let mut wires = self.wires.values();
        self.links.contains_key(&pair(a, b)) || wires.any(|wire| wire.is_held_by(a) && wire.joins(b))
    }

    fn link(&self, a: usize, b: usize) -> Option<Link> {
        self.links.get(&pair(a, b)).copied()
    }

    fn add_link(&mut self, (a, b): (usize, usize), link: Link) {
        self.links.insert(pair(a, b), link);
        self.linked.entry(a).or_default().insert(b);
        self.linked.entry(b).or_default().insert(a);
    }

    fn take_link(&mut self, a: usize, b: usize) -> Option<Link> {
        for (end, other) in [(a, b), (b, a)] {
            if let Some(others) = self.linked.get_mut(&end) {
                others.remove(&other);
            }
        }
        self.links.remove(&pair(a, b))
    }

    /// Links of a node that others opened.
    fn inbound_links(&self, node: usize) -> usize {
        let others = self.linked.get(&node).into_iter().flatten();
        let is_inbound = |other: &&usize| self.link(node, **other).is_some_and(|link| link.dialler != node);
        others.filter(is_inbound).count()
    }

    fn is_alive(&self, a: usize, b: usize, epoch: u64) -> bool {
        let arrives = |wire: &Wire| wire.reaches(b);
        self.link(a, b).is_some_and(|link| link.epoch == epoch) || self.wires.get(&epoch).is_some_and(arrives)
    }

    /// Own requests of a node to a peer that have not ended.
    pub(crate) fn open_requests(&self, node: usize, to: usize) -> usize {
        let of_node = self.open.range((node, 0)..=(node, u64::MAX));
        of_node.filter(|(_, open)| open.to == to).count()
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// When an end knows of the link.
const fn ready(link: &Link, end: usize, other: usize) -> u64 {
    link.ready[if end < other { 0 } else { 1 }]
}

impl World {
    pub(crate) fn delay(&mut self) -> u64 {
        let delay = 1 + self.dice.below(self.plan.delay_ms * 2);
        if !self.quiet && self.dice.chance(20) {
            delay * 8
        } else {
            delay
        }
    }

    pub(crate) fn hears(&self, from: usize, to: usize) -> bool {
        let halves = self.net.halves;
        halves.is_none_or(|first| (from < first) == (to < first)) && !self.net.blocked.contains(&(from, to))
    }

    // ---- connections ----

    pub(crate) fn dial(&mut self, node: usize, peer: Option<PeerId>, addresses: Vec<Address>) {
        self.net.traffic.dials += 1.0;
        *self.net.dialled.entry(node).or_default() += 1;
        let target = addresses.iter().find_map(|wanted| self.who_is_at(peer, wanted));
        let refusal = match target {
            None => Some("nobody is there"),
            Some(target) => self.refuses(node, target, peer),
        };
        match (refusal, target) {
            (None, Some(target)) if self.plan.links => self.dial_wire(node, target, addresses),
            (None, Some(target)) => self.connect(node, target),
            (refusal, _) => {
                let fact = NetFact::DialFailed {
                    peer,
                    addresses,
                    reason: refusal.unwrap_or("nobody is there").into(),
                    stranger: None,
                };
                let delay = match self.plan.silent_ms {
                    ms if ms > 0 && matches!(refusal, None | Some("no answer" | "nobody is there")) => ms,
                    _ => self.delay(),
                };
                self.tell_later(delay, node, Input::Net(fact));
            }
        }
    }

    /// The node at an address; it is mostly the one that is expected there.
    fn who_is_at(&self, expected: Option<PeerId>, address: &Address) -> Option<usize> {
        let known = expected.and_then(|peer| self.index.get(&peer).copied());
        let is_there = known.filter(|known| self.nodes[*known].address == *address);
        is_there.or_else(|| self.nodes.iter().position(|other| other.address == *address))
    }

    fn refuses(&self, node: usize, target: usize, peer: Option<PeerId>) -> Option<&'static str> {
        if node == target {
            Some("that is this node itself")
        } else if peer.is_some_and(|peer| peer != self.nodes[target].peer) {
            Some("another node is there")
        } else if !self.is_up(target) || !self.nodes[target].enabled || !self.nodes[node].enabled {
            Some("connection refused")
        } else if !self.hears(node, target) || !self.hears(target, node) {
            Some("no answer")
        } else if self.nodes[target].banned.contains(&node) || self.nodes[node].banned.contains(&target) {
            Some("refused")
        } else if self.plan.links {
            None
        } else if self.net.is_linked(node, target) {
            Some("already connected")
        } else if self
            .net
            .closing
            .get(&pair(node, target))
            .is_some_and(|until| *until >= self.now)
        {
            Some("it is just being closed")
        } else if self.net.inbound_links(target) >= INBOUND_MAX {
            Some("it has no room")
        } else {
            None
        }
    }

    fn connect(&mut self, dialler: usize, target: usize) {
        let epoch = self.net.next();
        let mut ends = [0; 2];
        for (end, other, direction) in [(dialler, target, Direction::Out), (target, dialler, Direction::In)] {
            let delay = self.delay() + 1;
            ends[usize::from(end > other)] = self.now + delay;
            let (peer, address) = (self.nodes[other].peer, self.nodes[other].address.clone());
            if direction == Direction::In {
                let fact = NetFact::Found {
                    peer,
                    address: address.clone(),
                    by: FoundBy::Inbound,
                    from: address.ip(),
                };
                self.tell_later(delay, end, Input::Net(fact));
            }
            let fact = NetFact::Connected {
                peer,
                address,
                direction,
            };
            self.tell_later(delay, end, Input::Net(fact));
        }
        let link = Link {
            epoch,
            dialler,
            ready: ends,
        };
        self.net.add_link((dialler, target), link);
    }

    /// Closes a link: both ends are told, what was under way fails.
    pub(crate) fn unlink(&mut self, a: usize, b: usize, reason: &'static str) {
        if self.plan.links {
            return self.part(a, b, reason);
        }
        let Some(link) = self.net.take_link(a, b) else {
            return;
        };
        let mut last = self.now;
        for (end, other) in [(a, b), (b, a)] {
            // A process that is gone hears of nothing.
            if !self.is_up(end) {
                continue;
            }
            let told = (self.now + self.delay()).max(ready(&link, end, other) + 1);
            last = last.max(told);
            let fact = NetFact::Disconnected {
                peer: self.nodes[other].peer,
                reason: reason.into(),
            };
            self.tell_later(told - self.now, end, Input::Net(fact));
            let gone: Vec<u64> = self
                .net
                .open
                .range((end, 0)..=(end, u64::MAX))
                .filter(|(_, open)| open.to == other)
                .map(|((_, id), _)| *id)
                .collect();
            for id in gone {
                // Before or after the end of the connection is told, as it happens.
                let at = self.now + self.dice.below(told - self.now + 20);
                let life = self.nodes[end].life;
                self.at_time(at, Happening::Expire { asker: end, life, id });
            }
        }
        self.net.closing.insert(pair(a, b), last);
    }

    /// A process ended: its links break, at once or when the others miss its pings.
    pub(crate) fn cut_off(&mut self, node: usize) {
        if self.plan.links {
            self.drop_wires(node, !self.nodes[node].loses_power);
        } else {
            for other in self.net.neighbours(node) {
                self.unlink(node, other, "the connection was lost");
            }
        }
        self.net.open.retain(|(asker, _), _| *asker != node);
        self.net.inbound.retain(|_, inbound| inbound.answerer != node);
        self.net.closing.retain(|(a, b), _| *a != node && *b != node);
    }

    /// Pings go unanswered: unless that changes, the link is closed.
    pub(crate) fn expect_silence(&mut self, a: usize, b: usize) {
        let Some(link) = self.net.link(a, b) else { return };
        let delay = SILENCE_MS + self.dice.below(5_000);
        let epoch = link.epoch;
        self.later(delay, Happening::Silent { a, b, epoch });
    }

    pub(crate) fn silent(&mut self, a: usize, b: usize, epoch: u64) {
        let stands_still = |node: usize| self.nodes[node].paused_until > self.now;
        let silent = !self.hears(a, b) || !self.hears(b, a) || stands_still(a) || stands_still(b);
        if silent && self.net.is_alive(a, b, epoch) {
            self.unlink(a, b, "it was silent");
        }
    }

    pub(crate) fn ban(&mut self, node: usize, peer: &PeerId, banned: bool) {
        let Some(other) = self.index.get(peer).copied() else {
            return;
        };
        if banned {
            self.nodes[node].banned.insert(other);
            self.unlink(node, other, "refused by this node");
        } else {
            self.nodes[node].banned.remove(&other);
        }
    }

    pub(crate) fn enable(&mut self, node: usize, on: bool) {
        self.nodes[node].enabled = on;
        let address = self.nodes[node].address.clone();
        if on {
            self.tell_later(5, node, Input::Net(NetFact::Listening(address)));
        } else {
            self.tell_later(1, node, Input::Net(NetFact::NotListening(address)));
            for other in self.net.neighbours(node) {
                self.unlink(node, other, "the network is off");
            }
        }
    }

    /// The connection that a message takes, of those that its sender holds.
    fn way(&self, from: usize, to: usize, number: u64) -> Option<Link> {
        if !self.plan.links {
            return self.net.link(from, to);
        }
        let epoch = self.wire_to(from, to, number)?;
        let (dialler, ready) = (from, [0; 2]);
        Some(Link { epoch, dialler, ready })
    }

    fn leaves(&mut self, from: usize, to: usize, epoch: u64) -> bool {
        if self.plan.links {
            self.leaves_by(from, epoch)
        } else {
            self.hears(from, to)
        }
    }

    // ---- gossip ----

    pub(crate) fn publish(&mut self, node: usize, topic: Topic, bytes: Vec<u8>) {
        Watch::published(self, node, topic, &bytes);
        let id = gossip_id(topic, &bytes);
        if self.nodes[node].seen.insert(id, self.now).is_some() {
            return;
        }
        self.spread(node, None, topic, &Rc::new(bytes));
    }

    pub(crate) fn spread(&mut self, node: usize, except: Option<usize>, topic: Topic, bytes: &Rc<Vec<u8>>) {
        for other in self.net.neighbours(node) {
            let hears_gossip = !self.plan.links || self.nodes[node].subscribed.contains(&other);
            if Some(other) != except && hears_gossip {
                self.send_gossip(node, other, topic, bytes);
            }
        }
    }

    pub(crate) fn send_gossip(&mut self, from: usize, to: usize, topic: Topic, bytes: &Rc<Vec<u8>>) {
        let draw = if self.plan.links { self.dice.next() } else { 0 };
        let Some(link) = self.way(from, to, draw) else { return };
        if !self.leaves(from, to, link.epoch) || self.dice.chance(self.plan.loss) {
            return;
        }
        let times = if self.dice.chance(self.plan.duplication) { 2 } else { 1 };
        self.net.traffic.sent(bytes.len());
        for copy in 0..times {
            let at = (self.carried(from, to, bytes.len()) + self.delay()).max(ready(&link, to, from) + 1);
            let gossip = Happening::Gossip {
                from,
                to,
                epoch: link.epoch,
                topic,
                bytes: Rc::clone(bytes),
                again: copy > 0,
            };
            self.at_time(at, gossip);
        }
    }

    pub(crate) fn gossip_arrives(
        &mut self,
        from: usize,
        to: usize,
        epoch: u64,
        topic: Topic,
        bytes: Rc<Vec<u8>>,
        again: bool,
    ) {
        if !self.net.is_alive(from, to, epoch) || !self.is_up(to) {
            return;
        }
        let seen = self.nodes[to].seen.insert(gossip_id(topic, &bytes), self.now);
        if seen.is_some_and(|at| at + SEEN_MS > self.now) && !again {
            return;
        }
        let peer = self.nodes[from].peer;
        if topic == Topic::Transactions && bytes.len() > GOSSIP_TX_MAX_BYTES {
            let reason = "transaction message too long".to_owned();
            return self.tell(
                to,
                Input::Net(NetFact::Malformed {
                    peer,
                    fault: Fault::Mid,
                    reason,
                }),
            );
        }
        let token = self.net.next();
        let heard = Heard {
            from,
            topic,
            bytes: Rc::clone(&bytes),
        };
        let life = self.nodes[to].life;
        self.nodes[to].tokens.insert(token, heard);
        let fact = NetFact::Gossip {
            token,
            peer,
            topic,
            bytes: bytes.to_vec(),
        };
        self.tell(to, Input::Net(fact));
        let waits = !self.nodes[to].inbox.is_empty() || self.nodes[to].life != life;
        if self.nodes[to].tokens.remove(&token).is_some() && !waits && self.is_honest(to) {
            self.fail(&format!(
                "node {to}: no verdict on a gossip message in the turn it came"
            ));
        }
    }

    pub(crate) fn verdict(&mut self, node: usize, token: u64, verdict: Verdict) {
        let Some(heard) = self.nodes[node].tokens.remove(&token) else {
            return;
        };
        Watch::judged(self, node, &heard, verdict);
        if verdict == Verdict::Accept {
            self.spread(node, Some(heard.from), heard.topic, &heard.bytes);
        }
    }
}
