//! Connections of which each end has its own view, as in the network layer: one end may hold one that is dead, two may
//! stand between two nodes, and gossip reaches only whom has announced itself on one that lives.
//!
//! Promises: which of two connections ends, when one is given up and when topics are announced decide `net::peers`,
//! `net::links` and `net::repairs` themselves; pings, identify and announcements take their time on the wire, and are lost
//! with it. Facts about a peer come in the order `Connected`, everything else, `Disconnected`.
//! Elsewhere: what goes over a connection (`net`), who moves, is killed or loses its power (`roam`).

use std::time::Instant;

use lanchain::contract::{Direction, FoundBy};
use lanchain::engine::{Input, NetFact};
use lanchain::net::links::Link;
use lanchain::net::peers::{Closed, Due, Membership};
use lanchain::types::{Address, PeerId};
use libp2p::Multiaddr;
use libp2p::swarm::ConnectionId;

use crate::world::{Happening, World};

/// How often a node asks on each connection whether the other end lives.
const PING_MS: u64 = 5_000;
/// How often the network layer looks what time has brought.
const LOOK_MS: u64 = 100;
/// How long a connection that is closed tries to hand over what it has (`net::streams`).
const CLOSE_MS: u64 = 300;
/// Connections between two nodes.
const BETWEEN_TWO_MAX: usize = 2;
/// What waits for a blocked way tries again so much later.
const AGAIN_MS: u64 = 200;
/// What waits for an end to be ready does so sooner.
const SOON_MS: u64 = 5;

/// A connection as its ends see it: first who dialled, then who was called.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    ends: [usize; 2],
    /// Which life of each node it belongs to.
    lives: [u64; 2],
    /// It was made at this end.
    made: [bool; 2],
    /// It was made there, and has not ended there yet.
    held: [bool; 2],
    /// This end is closing it, and sends nothing on it any more.
    ending: [bool; 2],
    /// Something waits there that never leaves.
    unsent: [bool; 2],
    /// Nothing passes any more, and nobody was told.
    cut: bool,
}

/// What happens at one end of a wire.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// It stands.
    Made,
    /// The other end has told its network.
    Identified,
    /// It is time to ask whether the other end lives.
    Ping,
    /// The other end asks that.
    Pinged,
    /// The other end has answered.
    Pong,
    /// The other end announces its topics.
    Topics,
    /// It has ended here.
    Gone(&'static str),
}

/// What becomes of a message at its arrival.
enum Arrival {
    Read,
    Waits(u64),
    Lost,
}

impl Wire {
    fn end(&self, node: usize) -> usize {
        usize::from(self.ends[1] == node)
    }

    pub(crate) fn other(&self, node: usize) -> usize {
        self.ends[1 - self.end(node)]
    }

    pub(crate) fn joins(&self, node: usize) -> bool {
        self.ends.contains(&node)
    }

    pub(crate) fn is_held_by(&self, node: usize) -> bool {
        self.joins(node) && self.held[self.end(node)]
    }

    /// Whether what arrives there is read.
    pub(crate) fn reaches(&self, node: usize) -> bool {
        !self.cut && self.is_held_by(node)
    }
}

fn connection(wire: u64) -> ConnectionId {
    ConnectionId::new_unchecked(usize::try_from(wire).expect("few wires"))
}

fn number(world: &World, node: usize, id: ConnectionId) -> Option<u64> {
    let mut held = world.net.wires.iter().filter(|(_, wire)| wire.is_held_by(node));
    held.find(|(wire, _)| connection(**wire) == id).map(|(wire, _)| *wire)
}

impl World {
    pub(crate) fn instant(&self) -> Instant {
        crate::shell::moment(self.begun, self.now)
    }

    fn step_later(&mut self, delay: u64, node: usize, wire: u64, step: Step) {
        self.later(delay, Happening::Wire { node, wire, step });
    }

    fn dial_fails(&mut self, node: usize, peer: PeerId, addresses: Vec<Address>, reason: &str) {
        self.nodes[node].dialling.remove(&self.index[&peer]);
        let fact = NetFact::DialFailed {
            peer: Some(peer),
            addresses,
            reason: reason.into(),
            stranger: None,
        };
        self.tell_later(1, node, Input::Net(fact));
    }

    /// Dials somebody who is there.
    pub(crate) fn dial_wire(&mut self, node: usize, target: usize, addresses: Vec<Address>) {
        let peer = self.nodes[target].peer;
        if let Some(known) = self.nodes[node].peers.get_mut(&peer) {
            match known.membership {
                Membership::Unconfirmed => known.wanted = true,
                Membership::Confirmed | Membership::Foreign { .. } => {
                    self.dial_fails(node, peer, addresses, "already connected");
                }
            }
            return;
        }
        if !self.nodes[node].dialling.insert(target) {
            return;
        }
        let wire = self.net.next();
        let ends = [node, target];
        let made = Wire {
            ends,
            lives: ends.map(|end| self.nodes[end].life),
            made: [false; 2],
            held: [false; 2],
            ending: [false; 2],
            unsent: [false; 2],
            cut: false,
        };
        self.net.wires.insert(wire, made);
        for end in ends {
            let delay = 1 + self.delay();
            self.step_later(delay, end, wire, Step::Made);
        }
    }

    /// One of a node's connections to a peer, as this number says; none if there is none.
    pub(crate) fn wire_to(&self, from: usize, to: usize, number: u64) -> Option<u64> {
        let goes = |wire: &crate::wires::Wire| wire.is_held_by(from) && wire.joins(to);
        let all: Vec<u64> = self
            .net
            .wires
            .iter()
            .filter(|(_, wire)| goes(wire))
            .map(|(id, _)| *id)
            .collect();
        let count = u64::try_from(all.len()).ok().filter(|count| *count > 0)?;
        all.get(usize::try_from(number % count).ok()?).copied()
    }

    /// Hands something to a connection: whether it leaves.
    pub(crate) fn leaves_by(&mut self, from: usize, wire: u64) -> bool {
        let Some(known) = self.net.wires.get_mut(&wire) else {
            return false;
        };
        let (here, to) = (known.end(from), known.other(from));
        let there = 1 - here;
        if known.cut || known.ending[here] {
            known.unsent[here] = true;
            return false;
        }
        if known.made[there] && !known.held[there] {
            // The machine is there and knows of no such connection.
            if self.is_up(to) {
                let delay = 1 + self.delay();
                self.step_later(delay, from, wire, Step::Gone("connection reset"));
            }
            return false;
        }
        true
    }

    /// Looks at what comes by a wire: `None` if it is lost, or waits.
    pub(crate) fn on_the_way(&mut self, what: Happening) -> Option<Happening> {
        let (to, wire) = match &what {
            Happening::Gossip { to, epoch, .. } | Happening::Request { to, epoch, .. } => (*to, *epoch),
            Happening::Answer { asker, epoch, .. } => (*asker, *epoch),
            _ => return Some(what),
        };
        let from = self.net.wires.get(&wire)?.other(to);
        match (self.arrival(to, wire), &what) {
            (Arrival::Lost, _) => None,
            (Arrival::Waits(ms), _) => {
                self.later(ms, what);
                None
            }
            (Arrival::Read, Happening::Gossip { topic, bytes, .. }) if !self.is_confirmed(to, from) => {
                // Known from now on, and for nothing.
                let id = lanchain::testing::blocks::gossip_id(*topic, bytes);
                self.nodes[to].seen.insert(id, self.now);
                None
            }
            (Arrival::Read, Happening::Request { .. }) if !self.is_confirmed(to, from) => {
                self.later(SOON_MS, what);
                None
            }
            (Arrival::Read, _) => Some(what),
        }
    }

    fn is_confirmed(&self, node: usize, other: usize) -> bool {
        self.nodes[node].peers.is_confirmed(&self.nodes[other].peer)
    }

    fn arrival(&self, to: usize, wire: u64) -> Arrival {
        let Some(known) = self.net.wires.get(&wire) else {
            return Arrival::Lost;
        };
        let (here, from) = (known.end(to), known.other(to));
        if known.cut || self.nodes[to].life != known.lives[here] {
            Arrival::Lost
        } else if !self.hears(from, to) {
            Arrival::Waits(AGAIN_MS)
        } else if !known.made[here] {
            Arrival::Waits(SOON_MS)
        } else if known.held[here] {
            Arrival::Read
        } else {
            Arrival::Lost
        }
    }

    // ---- what happens at an end ----

    pub(crate) fn at_wire(&mut self, node: usize, wire: u64, step: Step) {
        let Some(known) = self.net.wires.get(&wire) else { return };
        let (end, other) = (known.end(node), known.other(node));
        if self.nodes[node].life != known.lives[end] || !self.is_up(node) {
            return;
        }
        let is_held = known.held[end];
        let passes = known.reaches(other) && self.hears(other, node) && self.hears(node, other);
        let peer = self.nodes[other].peer;
        match step {
            Step::Made => self.made(node, wire),
            Step::Identified if is_held && passes => self.identified(node, wire),
            Step::Identified if is_held => self.step_later(AGAIN_MS, node, wire, step),
            Step::Ping if is_held => {
                self.step_later(PING_MS, node, wire, Step::Ping);
                let delay = self.delay();
                if self.leaves_by(node, wire) {
                    self.step_later(delay, other, wire, Step::Pinged);
                }
            }
            Step::Pinged if passes => {
                let delay = self.delay();
                self.step_later(delay, other, wire, Step::Pong);
            }
            Step::Pong if is_held && passes => {
                let now = self.instant();
                self.nodes[node].peers.heard(&peer, connection(wire), now);
            }
            Step::Topics => match self.arrival(node, wire) {
                Arrival::Read => drop(self.nodes[node].subscribed.insert(other)),
                Arrival::Waits(ms) => self.step_later(ms, node, wire, step),
                Arrival::Lost => {}
            },
            Step::Gone(reason) => self.gone(node, wire, reason),
            Step::Identified | Step::Ping | Step::Pinged | Step::Pong => {}
        }
    }

    fn made(&mut self, node: usize, wire: u64) {
        let known = &self.net.wires[&wire];
        let (end, other) = (known.end(node), known.other(node));
        let is_there = !known.cut && self.nodes[other].life == known.lives[1 - end] && self.is_up(other);
        let is_over = known.made[1 - end] && !known.held[1 - end];
        let (peer, is_dialler) = (self.nodes[other].peer, end == 0);
        let address = self.nodes[other].address.clone();
        let links = self.nodes[node].peers.get_mut(&peer).map_or(0, |peer| peer.links.len());
        let fails = !is_there || is_over || !self.nodes[node].enabled || links >= BETWEEN_TWO_MAX;
        self.nodes[node].dialling.remove(&other);
        let wire_now = self.net.wires.get_mut(&wire).expect("it is known");
        wire_now.made[end] = true;
        if fails {
            let delay = 1 + self.delay();
            self.step_later(delay, other, wire, Step::Gone("closed"));
            if is_dialler {
                self.dial_fails(node, peer, vec![address], "no answer");
            }
            return;
        }
        wire_now.held[end] = true;
        let direction = if is_dialler { Direction::Out } else { Direction::In };
        let place: Multiaddr = address.as_str().parse().expect("a multiaddr");
        let now = self.instant();
        let link = Link::new(direction, place, now);
        let peers = &mut self.nodes[node].peers;
        let entry = peers.connected(peer, connection(wire), link);
        let is_known = entry.membership == Membership::Confirmed;
        entry.wanted |= is_dialler;
        if is_dialler && is_known {
            self.dial_fails(node, peer, vec![address], "already connected");
        }
        if links == 0 {
            self.announce(node, other);
        }
        let delay = 2 + self.delay() * 2;
        self.step_later(delay, node, wire, Step::Identified);
        self.step_later(0, node, wire, Step::Ping);
        if let Some(due) = self.nodes[node].peers.due_of(&peer, now) {
            self.is_due(node, due);
        }
    }

    fn identified(&mut self, node: usize, wire: u64) {
        let known = &self.net.wires[&wire];
        let (end, other) = (known.end(node), known.other(node));
        let (peer, address, now) = (
            self.nodes[other].peer,
            self.nodes[other].address.clone(),
            self.instant(),
        );
        if self.is_confirmed(node, other) {
            return;
        }
        self.nodes[node].peers.confirmed(&peer, true, now);
        let direction = if end == 0 { Direction::Out } else { Direction::In };
        if direction == Direction::In {
            let (by, from) = (FoundBy::Inbound, address.ip());
            let address = address.clone();
            let found = NetFact::Found {
                peer,
                address,
                by,
                from,
            };
            self.tell(node, Input::Net(found));
        }
        let fact = NetFact::Connected {
            peer,
            address,
            direction,
        };
        self.tell(node, Input::Net(fact));
    }

    /// The connection has ended at this end.
    fn gone(&mut self, node: usize, wire: u64, reason: &'static str) {
        let known = self.net.wires.get_mut(&wire).expect("it is known");
        let (end, other) = (known.end(node), known.other(node));
        known.made[end] = true;
        if !std::mem::replace(&mut known.held[end], false) {
            return;
        }
        let (peer, now) = (self.nodes[other].peer, self.instant());
        self.requests_end(node, wire);
        match self.nodes[node].peers.closed(&peer, connection(wire), now) {
            Closed::Last(gone) => {
                self.nodes[node].subscribed.remove(&other);
                let address = self.nodes[other].address.clone();
                match gone.membership {
                    Membership::Confirmed => {
                        let reason = gone.reason.unwrap_or(reason).into();
                        self.tell(node, Input::Net(NetFact::Disconnected { peer, reason }));
                    }
                    Membership::Unconfirmed if gone.wanted => self.dial_fails(node, peer, vec![address], reason),
                    Membership::Unconfirmed | Membership::Foreign { .. } => {}
                }
            }
            Closed::OneLeft(..) => self.announce(node, other),
            Closed::Other => {}
        }
    }

    /// Tells a peer this node's topics, by whichever connection takes them first.
    fn announce(&mut self, node: usize, other: usize) {
        let draw = self.dice.next();
        let Some(wire) = self.wire_to(node, other, draw) else {
            return;
        };
        let delay = self.delay();
        if self.leaves_by(node, wire) {
            self.step_later(delay, other, wire, Step::Topics);
        }
    }

    // ---- what a node ends ----

    /// Looks what time has brought, again and again.
    pub(crate) fn look(&mut self, node: usize) {
        let life = self.nodes[node].life;
        self.later(LOOK_MS, Happening::Look { node, life });
        let now = self.instant();
        for due in self.nodes[node].peers.due(now) {
            self.is_due(node, due);
        }
    }

    fn is_due(&mut self, node: usize, due: Due) {
        match due {
            Due::Spare(_, id) | Due::Quiet(_, id) => {
                if let Some(wire) = number(self, node, id) {
                    self.close(node, wire, "it was silent");
                }
            }
            Due::Silent(peer) | Due::Declined(peer) | Due::Foreign(peer) => {
                self.part(node, self.index[&peer], "it did not tell its network");
            }
            Due::Topics(peer) => {
                let (other, now) = (self.index[&peer], self.instant());
                if !self.nodes[node].subscribed.contains(&other) && self.nodes[node].repairs.grant(peer, now) {
                    self.part(node, other, "it announced no topic");
                }
            }
        }
    }

    /// Closes all connections that a node holds to another one.
    pub(crate) fn part(&mut self, node: usize, other: usize, reason: &'static str) {
        let peer = self.nodes[other].peer;
        if let Some(known) = self.nodes[node].peers.get_mut(&peer) {
            known.reason = Some(reason);
        }
        let both = |wire: &Wire| wire.is_held_by(node) && wire.joins(other);
        let wires: Vec<u64> = self
            .net
            .wires
            .iter()
            .filter(|(_, wire)| both(wire))
            .map(|(id, _)| *id)
            .collect();
        for wire in wires {
            self.close(node, wire, reason);
        }
    }

    fn close(&mut self, node: usize, wire: u64, reason: &'static str) {
        let known = self.net.wires.get_mut(&wire).expect("it is held");
        let (end, other) = (known.end(node), known.other(node));
        if std::mem::replace(&mut known.ending[end], true) {
            return;
        }
        let (cut, unsent) = (known.cut, known.unsent[end]);
        let here = if cut && unsent { CLOSE_MS } else { 1 };
        self.step_later(here, node, wire, Step::Gone(reason));
        if !cut {
            let delay = 1 + self.delay();
            self.step_later(delay, other, wire, Step::Gone("the other end closed it"));
        }
    }

    /// A process is gone: the others hear of it if its machine lives and can be heard.
    pub(crate) fn drop_wires(&mut self, node: usize, is_told: bool) {
        let held: Vec<(u64, usize)> = self
            .net
            .wires
            .iter()
            .filter(|(_, wire)| wire.is_held_by(node))
            .map(|(id, wire)| (*id, wire.other(node)))
            .collect();
        for (id, other) in held {
            let wire = self.net.wires.get_mut(&id).expect("it is known");
            let end = wire.end(node);
            wire.held[end] = false;
            if is_told && !wire.cut {
                let delay = 1 + self.delay();
                self.step_later(delay, other, id, Step::Gone("connection reset"));
            }
        }
    }

    /// The cable is out, or the address is another: nothing of what stands passes any more.
    pub(crate) fn cut_wires(&mut self, node: usize) {
        let of_node = self.net.wires.values_mut().filter(|wire| wire.joins(node));
        of_node.for_each(|wire| wire.cut = true);
    }
}
