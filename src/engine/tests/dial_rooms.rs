//! Rooms of up to a thousand nodes, of which only the dial managers are real: how many links each has, and how soon a
//! mended cut is noticed.

use std::collections::{BTreeMap, BTreeSet};

use crate::contract::{Direction, FoundBy};
use crate::engine::parts::dial::{Dialer, Fact, OWN_LINKS, Order};
use crate::types::rng::Rng;
use crate::types::{Address, PeerId, SecretKey, Time};

/// One way through the wire.
const LATENCY_MS: u64 = 3;
/// Until both ends have told where they stand.
const STATUS_MS: u64 = 10;
/// Until a neighbour has fetched what is new, and tells of it.
const FETCH_MS: u64 = 100;
/// A dial that nobody answers.
const SILENT_MS: u64 = 10_000;
/// How many neighbours discovery names to a node.
const HEARD_MAX: usize = 96;

fn address(number: usize) -> Address {
    let text = format!("/ip4/10.2.{}.{}/tcp/4001", number / 250, number % 250 + 1);
    Address::parse(&text).unwrap().0
}

fn id(number: usize) -> PeerId {
    let mut seed = [3; 32];
    seed[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
    SecretKey::from_seed(seed).public().peer_id()
}

#[derive(Clone, Debug)]
enum Step {
    Tell(usize, Fact),
    Link(usize, usize),
    Exchange(usize, usize),
    Tip(usize, u64),
}

struct Room {
    now: u64,
    queue: BTreeMap<(u64, u64), Step>,
    sequence: u64,
    dialers: Vec<Dialer>,
    ids: Vec<PeerId>,
    index: BTreeMap<PeerId, usize>,
    links: Vec<BTreeSet<usize>>,
    tips: Vec<u64>,
    /// Nodes below and from this number on cannot reach each other.
    cut: Option<usize>,
    wakes: BTreeSet<(u64, usize)>,
    wake_of: Vec<Option<u64>>,
    dials: u64,
}

impl Room {
    fn new(count: usize, liars: bool) -> Self {
        let ids: Vec<PeerId> = (0..count).map(id).collect();
        let dialer = |peer: &PeerId| Dialer::new(*peer, u64::from(peer.to_bytes()[20]), Time::from_ms(1_000_000));
        let mut room = Self {
            now: 1_000_000,
            queue: BTreeMap::new(),
            sequence: 0,
            dialers: ids.iter().map(dialer).collect(),
            index: ids.iter().enumerate().map(|(at, peer)| (*peer, at)).collect(),
            ids,
            links: vec![BTreeSet::new(); count],
            tips: vec![0; count],
            cut: None,
            wakes: BTreeSet::new(),
            wake_of: vec![None; count],
            dials: 0,
        };
        let mut rng = Rng::new(7);
        for node in 0..count {
            let mut others: Vec<usize> = (0..count).filter(|other| *other != node).collect();
            while others.len() > HEARD_MAX {
                let at = rng.below(u64::try_from(others.len()).unwrap());
                others.swap_remove(usize::try_from(at).unwrap());
            }
            for other in others {
                let lie = liars && rng.below(2) == 0;
                room.hear(node, other, lie, rng.below(4_000));
            }
        }
        room
    }

    /// Discovery names a node, or somebody who is not there.
    fn hear(&mut self, node: usize, other: usize, lie: bool, delay_ms: u64) {
        let place = address(if lie { other + 10_000 } else { other });
        let fact = Fact::Found {
            peer: if lie { id(other + 10_000) } else { self.ids[other] },
            from: place.ip(),
            address: place,
            by: FoundBy::Mdns,
        };
        self.later(delay_ms, Step::Tell(node, fact));
    }

    fn later(&mut self, ms: u64, step: Step) {
        self.sequence += 1;
        self.queue.insert((self.now + ms, self.sequence), step);
    }

    fn reaches(&self, a: usize, b: usize) -> bool {
        self.cut.is_none_or(|cut| (a < cut) == (b < cut))
    }

    fn tell(&mut self, node: usize, fact: Fact) {
        let now = Time::from_ms(self.now);
        self.dialers[node].handle(now, fact);
        self.dialers[node].handle(now, Fact::Tick { fetching: Vec::new() });
        while let Some(order) = self.dialers[node].poll_output() {
            match order {
                Order::Close(peer) => self.unlink(node, self.index[&peer]),
                Order::Dial { peer, addresses } => {
                    self.dials += 1;
                    let target = peer.and_then(|peer| self.index.get(&peer).copied());
                    match target.filter(|other| self.reaches(node, *other)) {
                        Some(other) => self.later(LATENCY_MS, Step::Link(node, other)),
                        None => {
                            let other_network = false;
                            let failed = Fact::Failed {
                                peer,
                                addresses,
                                other_network,
                            };
                            self.later(SILENT_MS, Step::Tell(node, failed));
                        }
                    }
                }
            }
        }
        let wake = self.dialers[node].next_wakeup(now).map(|at| at.ms().max(self.now + 1));
        if let Some(at) = core::mem::replace(&mut self.wake_of[node], wake) {
            self.wakes.remove(&(at, node));
        }
        self.wakes.extend(wake.map(|at| (at, node)));
    }

    fn link(&mut self, dialler: usize, other: usize) {
        let is_new = self.reaches(dialler, other) && self.links[dialler].insert(other);
        self.links[other].insert(dialler);
        if !self.reaches(dialler, other) {
            self.links[dialler].remove(&other);
            self.links[other].remove(&dialler);
        }
        let ends = [(dialler, other, Direction::Out), (other, dialler, Direction::In)];
        for (node, peer, direction) in ends {
            let fact = Fact::Connected {
                peer: self.ids[peer],
                address: address(peer),
                direction,
            };
            self.tell(node, fact);
        }
        if is_new {
            self.later(STATUS_MS, Step::Exchange(dialler, other));
        }
    }

    fn unlink(&mut self, a: usize, b: usize) {
        self.links[a].remove(&b);
        self.links[b].remove(&a);
        for (node, other) in [(a, b), (b, a)] {
            let fact = Fact::Disconnected(self.ids[other]);
            self.later(LATENCY_MS, Step::Tell(node, fact));
        }
    }

    fn exchange(&mut self, a: usize, b: usize) {
        if !self.links[a].contains(&b) {
            return;
        }
        for (node, other) in [(a, b), (b, a)] {
            self.tell(node, Fact::Exchanged(self.ids[other]));
            if self.tips[other] > self.tips[node] {
                self.later(FETCH_MS, Step::Tip(node, self.tips[other]));
            }
        }
    }

    fn tip(&mut self, node: usize, tip: u64) {
        if tip <= self.tips[node] {
            return;
        }
        self.tips[node] = tip;
        for other in self.links[node].clone() {
            self.later(LATENCY_MS + FETCH_MS, Step::Tip(other, tip));
        }
    }

    fn run(&mut self, ms: u64, until: impl Fn(&Self) -> bool) {
        let end = self.now + ms;
        while !until(self) {
            let wake = self.wakes.first().copied();
            let next = self.queue.keys().next().map(|(at, _)| *at);
            match (next, wake) {
                (Some(at), wake) if at <= end && wake.is_none_or(|(wake, _)| at <= wake) => {
                    let (_, step) = self.queue.pop_first().unwrap();
                    self.now = self.now.max(at);
                    match step {
                        Step::Tell(node, fact) => self.tell(node, fact),
                        Step::Link(a, b) => self.link(a, b),
                        Step::Exchange(a, b) => self.exchange(a, b),
                        Step::Tip(node, tip) => self.tip(node, tip),
                    }
                }
                (_, Some((at, node))) if at <= end => {
                    self.now = self.now.max(at);
                    self.tell(node, Fact::Tick { fetching: Vec::new() });
                }
                _ => break,
            }
        }
        self.now = if until(self) { self.now } else { end };
    }

    fn degrees(&self) -> Vec<usize> {
        let mut all: Vec<usize> = self.links.iter().map(BTreeSet::len).collect();
        all.sort_unstable();
        all
    }

    fn agrees(&self) -> bool {
        self.tips.windows(2).all(|pair| pair[0] == pair[1])
    }
}

#[test]
fn the_number_of_links_and_dials_of_a_node_stays_flat_as_the_room_grows() {
    println!("nodes links(min, median, 99 %, max) dials a node and minute");
    for count in [10, 30, 100, 300] {
        let mut room = Room::new(count, false);
        room.run(60_000, |_| false);
        let before = room.dials;
        room.run(60_000, |_| false);
        let degrees = room.degrees();
        let of = |per_cent: usize| degrees[(degrees.len() - 1) * per_cent / 100];
        let dials = (room.dials - before) / u64::try_from(count).unwrap();
        println!("{count} {} {} {} {} {dials}", of(0), of(50), of(99), of(100));
        assert!(of(0) >= OWN_LINKS.min(count - 1), "{degrees:?}");
        assert!(of(50) <= 20 && of(100) <= 32, "{degrees:?}");
        assert!(dials <= 6, "{dials} dials a minute");
    }
}

/// Cuts a room in halves for two minutes; gives the time that the halves need to agree after that.
fn mended(count: usize, liars: bool) -> u64 {
    let mut room = Room::new(count, liars);
    room.run(30_000, |_| false);
    room.cut = Some(count / 2);
    for a in 0..count / 2 {
        for b in room.links[a].clone().into_iter().filter(|b| *b >= count / 2) {
            room.unlink(a, b);
        }
    }
    room.run(120_000, |_| false);
    room.tip(0, 1);
    room.tip(count - 1, 2);
    room.run(10_000, |_| false);
    assert!(!room.agrees(), "each half has its own tip");
    room.cut = None;
    let began = room.now;
    room.run(60_000, Room::agrees);
    println!("{count} nodes, liars {liars}: one tip after {} ms", room.now - began);
    assert!(room.agrees());
    room.now - began
}

#[test]
fn a_mended_cut_is_noticed_within_twenty_seconds_in_rooms_of_80_and_1000() {
    for (count, liars) in [(80, false), (80, true), (1_000, false), (1_000, true)] {
        let took = mended(count, liars);
        assert!(took <= 20_000, "{took} ms with {count} nodes, liars: {liars}");
    }
}
