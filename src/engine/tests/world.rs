//! A small world: engines on stores in memory, joined by a queue instead of a network. One seed, one course.

use std::collections::{BTreeMap, BTreeSet};

pub(super) use super::kit::key;
use crate::chain::memory_store::MemoryStore;
use crate::chain::{Block, Chain, Header, NetworkParams};
use crate::contract::{Command, CommandError, Direction, Event, Reply, Surroundings};
use crate::engine::{Config, Engine, Input, MinerFact, MinerOrder, NetFact, NetOrder, Output, StoreFact, Verdict};
use crate::testing::blocks::gossip_id;
pub(super) use crate::testing::blocks::solve;
use crate::testing::engines::{Agenda, config};
use crate::types::{Address, PeerId, Target, Time, WallTime};
use crate::wire::{Request, Response, Topic};

/// One way through the wire.
const LATENCY_MS: u64 = 2;
/// When the network ends a request that is not answered.
const UNANSWERED_MS: u64 = 15_000;
/// How long a search takes in this world.
const SEARCH_MS: u64 = 40;

/// What a node answers in place of its engine.
pub(super) type Script = Box<dyn FnMut(&Request) -> Option<Response>>;

pub(super) struct Node {
    pub(super) engine: Engine<MemoryStore>,
    pub(super) store: MemoryStore,
    pub(super) peer: PeerId,
    pub(super) events: Vec<Event>,
    pub(super) replies: BTreeMap<u64, Result<Reply, CommandError>>,
    /// Events and replies in order, as text.
    pub(super) log: Vec<String>,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) kinds: Vec<&'static str>,
    pub(super) job: Option<(u64, Header, Target)>,
    /// The pauses before its searches.
    pub(super) delays: Vec<u64>,
    /// Its searches end with a block.
    pub(super) searches: bool,
    tokens: BTreeMap<u64, (usize, Topic, Vec<u8>)>,
    seen: BTreeSet<[u8; 32]>,
    /// Requests to this node, but for its status, end without an answer.
    pub(super) mute: bool,
    /// Requests to this node for blocks end without an answer.
    pub(super) withholds: bool,
    /// Answers nothing at all, and is not missed by the network.
    pub(super) dead: bool,
    /// Answers requests to this node in its place, where it gives an answer.
    pub(super) script: Option<Script>,
    /// How much longer than the wire its answers to requests for blocks take.
    pub(super) answer_delay_ms: u64,
    /// The disk writes nothing: no commit is reported.
    pub(super) disk_held: bool,
    pub(super) disk_full: bool,
    last_batch: u64,
    /// Tells this of itself wherever it speaks, instead of its own status.
    pub(super) lie: Option<crate::wire::Status>,
    /// Its engine's own questions are swallowed: only what it answers and gossips is heard of it.
    pub(super) shy: bool,
    /// Gossip does not reach it.
    pub(super) deaf: bool,
    /// Its answers to requests that a test made up, by their tokens.
    pub(super) answers: Vec<(u64, Response)>,
    next_command: u64,
}

pub(super) struct World {
    pub(super) now: Time,
    /// What a machine sees around it.
    pub(super) surroundings: Surroundings,
    pub(super) nodes: Vec<Node>,
    agenda: Agenda<Time, (usize, Input)>,
    links: BTreeSet<(usize, usize)>,
    /// Pairs that cannot reach each other.
    pub(super) cut: BTreeSet<(usize, usize)>,
    /// Request token -> who asked, and its id.
    asked: BTreeMap<u64, (usize, u64)>,
    pub(super) params: NetworkParams,
    pub(super) latency_ms: u64,
    /// Each request of this number ends without an answer; 0: none.
    pub(super) lost_every: u64,
    requests: u64,
    /// Each gossip message of this number gets lost on its way to a neighbour; 0: none.
    pub(super) gossip_lost_every: u64,
    gossiped: u64,
}

pub(super) fn address(node: usize) -> Address {
    Address::parse(&format!("/ip4/10.0.0.{}/tcp/4001", node + 1)).unwrap().0
}

const fn pair(a: usize, b: usize) -> (usize, usize) {
    if a < b { (a, b) } else { (b, a) }
}

impl World {
    pub(super) fn new(count: usize) -> Self {
        Self::with(count, NetworkParams::dev(), |_| {})
    }

    pub(super) fn with(count: usize, params: NetworkParams, change: impl Fn(&mut Config)) -> Self {
        let mut world = Self {
            now: Time::from_ms(params.genesis_time_ms + 1_000_000),
            surroundings: Surroundings::default(),
            nodes: Vec::new(),
            agenda: Agenda::default(),
            links: BTreeSet::new(),
            cut: BTreeSet::new(),
            asked: BTreeMap::new(),
            params,
            latency_ms: LATENCY_MS,
            lost_every: 0,
            requests: 0,
            gossip_lost_every: 0,
            gossiped: 0,
        };
        for index in 0..count {
            world.add(index, MemoryStore::new(&world.params), &change);
        }
        world
    }

    fn add(&mut self, index: usize, store: MemoryStore, change: &impl Fn(&mut Config)) {
        let mut config = Config {
            seed: u64::try_from(index).unwrap() + 77,
            instance: u64::try_from(index).unwrap(),
            ..config(&self.params, key(index))
        };
        change(&mut config);
        let engine = Engine::new(config, store.clone(), self.now, WallTime::at(self.now, 0)).unwrap();
        let node = Node {
            engine,
            store,
            peer: key(index).public().peer_id(),
            events: Vec::new(),
            replies: BTreeMap::new(),
            log: Vec::new(),
            verdicts: Vec::new(),
            kinds: Vec::new(),
            job: None,
            delays: Vec::new(),
            searches: true,
            tokens: BTreeMap::new(),
            seen: BTreeSet::new(),
            mute: false,
            withholds: false,
            dead: false,
            script: None,
            answer_delay_ms: 0,
            disk_held: false,
            disk_full: false,
            last_batch: 0,
            lie: None,
            shy: false,
            deaf: false,
            answers: Vec::new(),
            next_command: 1,
        };
        if index < self.nodes.len() {
            self.nodes[index] = node;
        } else {
            self.nodes.push(node);
        }
        self.tell(index, Input::Net(NetFact::Listening(address(index))));
    }

    /// Stops a node and starts it again on its store.
    pub(super) fn restart(&mut self, index: usize) {
        for other in 0..self.nodes.len() {
            self.unlink(index, other);
        }
        self.agenda.retain(|(node, _)| *node != index);
        let store = self.nodes[index].store.copy();
        self.add(index, store, &|_| {});
    }

    /// Puts blocks into a node's store and starts the node on it.
    pub(super) fn give(&mut self, index: usize, blocks: &[Block]) {
        let store = self.nodes[index].store.clone();
        let mut chain = Chain::open(self.params.clone(), store.clone(), [1; 32]).unwrap();
        for block in blocks {
            chain.accept(block.clone(), WallTime::at(self.now, 0)).unwrap();
        }
        chain.take_batch().iter().for_each(|batch| store.commit(batch));
        self.restart(index);
    }

    /// The disk writes again.
    pub(super) fn release_disk(&mut self, node: usize) {
        self.nodes[node].disk_held = false;
        let id = self.nodes[node].last_batch;
        self.tell(node, Input::Store(StoreFact::Committed { id }));
    }

    /// Hands a fact over at once.
    pub(super) fn tell(&mut self, node: usize, input: Input) {
        self.nodes[node].engine.handle(self.now, input);
        self.carry_out(node);
    }

    fn later(&mut self, delay: u64, node: usize, input: Input) {
        self.agenda.enter(Time::from_ms(self.now.ms() + delay), (node, input));
    }

    pub(super) fn command(&mut self, node: usize, command: Command) -> u64 {
        let id = self.nodes[node].next_command;
        self.nodes[node].next_command += 1;
        self.tell(node, Input::Command { id, command });
        id
    }

    /// Runs a command to its end.
    pub(super) fn ask(&mut self, node: usize, command: Command) -> Result<Reply, CommandError> {
        let id = self.command(node, command);
        self.until(120_000, |world| world.nodes[node].replies.contains_key(&id));
        self.nodes[node].replies[&id].clone()
    }

    pub(super) fn mine(&mut self, node: usize, count: u32) -> Reply {
        self.ask(node, Command::Mine(crate::contract::MineCommand::Count(count)))
            .unwrap()
    }

    pub(super) fn link(&mut self, a: usize, b: usize) {
        self.cut.remove(&pair(a, b));
        self.connect(a, b);
    }

    fn connect(&mut self, dialler: usize, other: usize) -> bool {
        if self.cut.contains(&pair(dialler, other)) || dialler == other {
            return false;
        }
        if self.links.insert(pair(dialler, other)) {
            let out = NetFact::Connected {
                peer: self.nodes[other].peer,
                address: address(other),
                direction: Direction::Out,
            };
            let back = NetFact::Connected {
                peer: self.nodes[dialler].peer,
                address: address(dialler),
                direction: Direction::In,
            };
            let listens = super::exchange::calls_in(self.nodes[dialler].peer, address(dialler));
            self.later(self.latency_ms, other, Input::Net(listens));
            self.later(self.latency_ms, dialler, Input::Net(out));
            self.later(self.latency_ms, other, Input::Net(back));
        }
        true
    }

    pub(super) fn unlink(&mut self, a: usize, b: usize) {
        if !self.links.remove(&pair(a, b)) {
            return;
        }
        for (node, other) in [(a, b), (b, a)] {
            let fact = NetFact::Disconnected {
                peer: self.nodes[other].peer,
                reason: "unplugged".into(),
            };
            self.tell(node, Input::Net(fact));
        }
    }

    /// Unplugs two nodes from each other until they are linked again.
    pub(super) fn split(&mut self, a: usize, b: usize) {
        self.cut.insert(pair(a, b));
        self.unlink(a, b);
    }

    fn index_of(&self, peer: &PeerId) -> Option<usize> {
        self.nodes.iter().position(|node| node.peer == *peer)
    }

    fn linked(&self, a: usize, b: usize) -> bool {
        self.links.contains(&pair(a, b))
    }

    fn carry_out(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].engine.poll_output() {
            match output {
                Output::Commit(batch) => {
                    self.nodes[node].kinds.push("commit");
                    if self.nodes[node].disk_full {
                        continue;
                    }
                    self.nodes[node].store.commit(&batch);
                    self.nodes[node].last_batch = batch.id;
                    if !self.nodes[node].disk_held {
                        self.later(1, node, Input::Store(StoreFact::Committed { id: batch.id }));
                    }
                }
                Output::Event(event) => {
                    self.nodes[node].kinds.push("event");
                    let text = format!("{event:?}");
                    self.nodes[node].log.push(text);
                    self.nodes[node].events.push(event);
                }
                Output::Errand { id, errand } => {
                    let outcome = self.do_errand(node, errand);
                    self.later(0, node, Input::Done { id, outcome });
                }
                Output::Check(check) => {
                    self.nodes[node].kinds.push("check");
                    let (number, verdicts) = check.make();
                    self.later(0, node, Input::Checked { number, verdicts });
                }
                Output::Reply { id, result } => {
                    self.nodes[node].kinds.push("reply");
                    self.nodes[node].log.push(format!("reply {id}"));
                    assert!(self.nodes[node].replies.insert(id, result).is_none(), "two replies");
                }
                Output::Miner(MinerOrder::Stop) => self.nodes[node].job = None,
                Output::Miner(MinerOrder::Mine {
                    job,
                    header,
                    target,
                    delay_ms,
                }) => {
                    self.nodes[node].delays.push(delay_ms);
                    self.nodes[node].job = Some((job, header, target));
                    if !self.nodes[node].searches {
                        continue;
                    }
                    // The nonce is looked for only when its time comes, and only if the job still stands.
                    self.later(
                        delay_ms + SEARCH_MS,
                        node,
                        Input::Miner(MinerFact::Found { job, nonce: u64::MAX }),
                    );
                }
                Output::Net(order) => self.on_order(node, order),
            }
        }
    }

    fn on_order(&mut self, node: usize, order: NetOrder) {
        match order {
            NetOrder::Dial { peer, addresses } => {
                self.nodes[node].kinds.push("dial");
                let target = addresses
                    .iter()
                    .find_map(|wanted| (0..self.nodes.len()).find(|index| address(*index) == *wanted));
                if !target.is_some_and(|target| self.connect(node, target)) {
                    let fact = NetFact::DialFailed {
                        peer,
                        addresses,
                        reason: "no route".into(),
                        stranger: None,
                    };
                    self.later(self.latency_ms, node, Input::Net(fact));
                }
            }
            NetOrder::Disconnect { peer } | NetOrder::Ban { peer, banned: true } => {
                let is_ban = matches!(order, NetOrder::Ban { .. });
                self.nodes[node].kinds.extend(is_ban.then_some("ban"));
                if let Some(other) = self.index_of(&peer) {
                    self.unlink(node, other);
                }
            }
            NetOrder::Ban { banned: false, .. } => self.nodes[node].kinds.push("pardon"),
            NetOrder::Protect { .. } => {}
            NetOrder::Enable(on) => {
                for other in 0..self.nodes.len() {
                    if on {
                        self.cut.remove(&pair(node, other));
                    } else {
                        self.split(node, other);
                    }
                }
            }
            NetOrder::Publish { topic, bytes } => {
                self.nodes[node].kinds.push("publish");
                self.nodes[node].seen.insert(gossip_id(topic, &bytes));
                self.spread(node, None, topic, &bytes);
            }
            NetOrder::Verdict { token, verdict } => {
                self.nodes[node].kinds.push("verdict");
                self.nodes[node].verdicts.push(verdict);
                if let Some((from, topic, bytes)) = self.nodes[node].tokens.remove(&token)
                    && verdict == Verdict::Accept
                {
                    self.spread(node, Some(from), topic, &bytes);
                }
            }
            NetOrder::Request { id, peer, request } => self.request(node, id, &peer, request),
            NetOrder::Answer { token, response } => match self.asked.remove(&token) {
                Some((asker, id)) => self.respond(asker, id, node, response),
                None => self.nodes[node].answers.push((token, response)),
            },
        }
    }

    fn spread(&mut self, node: usize, from: Option<usize>, topic: Topic, bytes: &[u8]) {
        for other in 0..self.nodes.len() {
            if Some(other) == from || !self.linked(node, other) || self.nodes[other].deaf {
                continue;
            }
            self.gossiped += 1;
            let lost = self.gossip_lost_every > 0 && self.gossiped.is_multiple_of(self.gossip_lost_every);
            if lost || !self.nodes[other].seen.insert(gossip_id(topic, bytes)) {
                continue;
            }
            let token = self.agenda.number();
            self.nodes[other].tokens.insert(token, (node, topic, bytes.to_vec()));
            let fact = NetFact::Gossip {
                token,
                peer: self.nodes[node].peer,
                topic,
                bytes: bytes.to_vec(),
            };
            self.later(self.latency_ms, other, Input::Net(fact));
        }
    }

    fn request(&mut self, node: usize, id: u64, peer: &PeerId, request: Request) {
        let Some(other) = self.index_of(peer) else { return };
        if self.linked(node, other) && (self.nodes[other].dead || self.nodes[node].shy) {
            return;
        }
        self.requests += u64::from(self.linked(node, other));
        let lost = self.lost_every > 0 && self.requests.is_multiple_of(self.lost_every);
        if lost || !self.linked(node, other) {
            return self.end_request(self.latency_ms, node, id, peer);
        }
        let request = match (&self.nodes[node].lie, request) {
            (Some(lie), Request::Status(_)) => Request::Status(lie.clone()),
            (_, request) => request,
        };
        if let Some(response) = self.nodes[other].script.as_mut().and_then(|script| script(&request)) {
            return self.respond(node, id, other, response);
        }
        if let (Some(lie), Request::Status(_)) = (&self.nodes[other].lie, &request) {
            let response = Response::Status(lie.clone());
            return self.respond(node, id, other, response);
        }
        let mute = self.nodes[other].mute && !matches!(request, Request::Status(_));
        let withheld = self.nodes[other].withholds && matches!(request, Request::GetBlocks { .. });
        if mute || withheld {
            // The network ends every request.
            return self.end_request(UNANSWERED_MS, node, id, peer);
        }
        let token = self.agenda.number();
        self.asked.insert(token, (node, id));
        let fact = NetFact::Request {
            token,
            peer: self.nodes[node].peer,
            request,
        };
        self.later(self.latency_ms, other, Input::Net(fact));
    }

    /// A request ends without an answer.
    fn end_request(&mut self, delay: u64, node: usize, id: u64, peer: &PeerId) {
        let (peer, response) = (*peer, None);
        self.later(delay, node, Input::Net(NetFact::Response { id, peer, response }));
    }

    fn respond(&mut self, asker: usize, id: u64, node: usize, response: Response) {
        // What goes over the wire is what can be read there.
        let response = Response::decode(&response.encode()).unwrap();
        let slow = matches!(response, Response::Blocks(_));
        let delay = self.nodes[node].answer_delay_ms * u64::from(slow);
        let fact = NetFact::Response {
            id,
            peer: self.nodes[node].peer,
            response: Some(response),
        };
        self.later(self.latency_ms + delay, asker, Input::Net(fact));
    }

    /// When the next fact comes, and which node wants to be woken when.
    fn next(&self) -> (Option<Time>, Option<(Time, usize)>) {
        let fact = self.agenda.next();
        let wake = self
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(index, node)| node.engine.next_wakeup().map(|at| (at, index)))
            .min();
        (fact, wake)
    }

    /// One step: the next fact or wake-up.
    fn step(&mut self) {
        match self.next() {
            (Some(at), Some((wake, index))) if wake < at => self.wake(wake, index),
            (None, Some((wake, index))) => self.wake(wake, index),
            (Some(_), _) => self.deliver(),
            (None, None) => self.now = Time::from_ms(self.now.ms() + 1_000),
        }
    }

    fn wake(&mut self, at: Time, node: usize) {
        self.now = self.now.max(at);
        self.tell(node, Input::Tick);
    }

    fn deliver(&mut self) {
        let Some((at, (node, mut input))) = self.agenda.pop() else {
            return;
        };
        self.now = self.now.max(at);
        if let Input::Miner(MinerFact::Found { job, nonce }) = &mut input {
            match &self.nodes[node].job {
                Some((current, header, target)) if current == job => *nonce = solve(header, target),
                Some(_) | None => return,
            }
        }
        if let Input::Net(
            NetFact::Gossip { peer, .. } | NetFact::Request { peer, .. } | NetFact::Connected { peer, .. },
        ) = &input
            && self.index_of(peer).is_none_or(|other| !self.linked(node, other))
        {
            return;
        }
        self.tell(node, input);
    }

    /// Runs until the condition holds; panics when the time is over.
    pub(super) fn until(&mut self, ms: u64, holds: impl Fn(&Self) -> bool) {
        let end = self.now.ms() + ms;
        let mut steps = 0_u32;
        while !holds(self) {
            steps += 1;
            assert!(
                self.now.ms() <= end && steps < 2_000_000,
                "not within {ms} ms:\n{}",
                self.describe()
            );
            self.step();
        }
    }

    /// Runs for exactly this time.
    pub(super) fn run(&mut self, ms: u64) {
        let end = Time::from_ms(self.now.ms() + ms);
        let due = |at: Option<Time>| at.is_some_and(|at| at <= end);
        let mut steps = 0_u32;
        loop {
            let (fact, wake) = self.next();
            if !due(fact) && !due(wake.map(|(at, _)| at)) {
                break;
            }
            steps += 1;
            assert!(steps < 2_000_000, "time stands still: {}", self.describe());
            self.step();
        }
        self.now = end;
    }

    /// How many events of a node are of this kind.
    pub(super) fn count(&self, node: usize, wanted: impl Fn(&Event) -> bool) -> usize {
        self.nodes[node].events.iter().filter(|event| wanted(event)).count()
    }

    pub(super) fn peers(&self, node: usize) -> u64 {
        self.nodes[node].engine.status().peers
    }

    pub(super) fn tip(&self, node: usize) -> crate::types::BlockHash {
        self.nodes[node].engine.status().tip
    }

    pub(super) fn height(&self, node: usize) -> u64 {
        self.nodes[node].engine.status().height.get()
    }

    fn describe(&self) -> String {
        let mut out = String::new();
        for (index, node) in self.nodes.iter().enumerate() {
            out += &format!("node {index}: {:?}\n", node.engine.status());
            for line in node.log.iter().rev().take(12).rev() {
                out += &format!("   {line}\n");
            }
        }
        out
    }
}
