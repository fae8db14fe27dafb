//! The world: nodes, one queue of what is going to happen, and the shell around each engine.
//!
//! Promises: one thread, one seed, no clock of the machine; whatever happens is in the queue. Outputs are carried out as
//! the node does it: immediate ones at once, the rest behind the commit.
//! Elsewhere: the wire (`net`), what goes wrong (`fate`), what must hold (`checkers`).

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use lanchain::chain::Header;
use lanchain::engine::{Engine, Input, MinerFact, MinerOrder, NetFact, NetOrder, Output, StoreFact};
use lanchain::node::outbox::Action;
use lanchain::testing::blocks::solve;
use lanchain::testing::engines::Agenda;
use lanchain::types::{PeerId, Time, WallTime};
use lanchain::wire::Topic;

use crate::checkers::Watch;
use crate::dice::Dice;
use crate::history::{self, HEADERS_KEPT};
use crate::net::Net;
use crate::node::{Node, Writer};
use crate::plan::{Fault, Plan};
use crate::roles;
use crate::store::SimStore;
use crate::trace::{Depth, Trace};
use crate::wires::Step;
use crate::{fate, pow};

/// Wake-ups of one node at one instant; above, it spins. A sync takes 64 blocks in each.
const SPINS_MAX: u64 = 2_000;
/// How often the wall clock is told.
const SECOND_MS: u64 = 1_000;

/// Something that is going to happen.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Tell {
        node: usize,
        life: u64,
        input: Box<Input>,
    },
    Search {
        node: usize,
        life: u64,
        search: u64,
    },
    Wake {
        node: usize,
        life: u64,
        at: u64,
    },
    Second {
        node: usize,
        life: u64,
    },
    Written {
        node: usize,
        life: u64,
    },
    Resume {
        node: usize,
        life: u64,
    },
    Reopen {
        node: usize,
        life: u64,
    },
    Meet {
        a: usize,
        b: usize,
    },
    Gossip {
        from: usize,
        to: usize,
        epoch: u64,
        topic: Topic,
        bytes: Rc<Vec<u8>>,
        again: bool,
    },
    Request {
        from: usize,
        to: usize,
        epoch: u64,
        id: u64,
        bytes: Vec<u8>,
    },
    Answer {
        asker: usize,
        id: u64,
        epoch: u64,
        bytes: Vec<u8>,
    },
    Expire {
        asker: usize,
        life: u64,
        id: u64,
    },
    Silent {
        a: usize,
        b: usize,
        epoch: u64,
    },
    /// At one end of a connection.
    Wire {
        node: usize,
        wire: u64,
        step: Step,
    },
    Look {
        node: usize,
        life: u64,
    },
    /// Its user pays.
    Pay {
        node: usize,
    },
    Fault(Box<Fault>),
    Mend(Box<Fault>),
    Start {
        node: usize,
    },
    Command,
    Act {
        node: usize,
        life: u64,
    },
}

impl Happening {
    /// The process that must run for this to happen.
    const fn needs(&self) -> Option<usize> {
        match self {
            Self::Tell { node, .. }
            | Self::Search { node, .. }
            | Self::Wake { node, .. }
            | Self::Second { node, .. }
            | Self::Written { node, .. }
            | Self::Reopen { node, .. }
            | Self::Resume { node, .. }
            | Self::Wire { node, .. }
            | Self::Look { node, .. }
            | Self::Pay { node }
            | Self::Act { node, .. } => Some(*node),
            Self::Gossip { to, .. } | Self::Request { to, .. } => Some(*to),
            Self::Answer { asker, .. } | Self::Expire { asker, .. } => Some(*asker),
            Self::Meet { .. }
            | Self::Silent { .. }
            | Self::Fault(_)
            | Self::Mend(_)
            | Self::Start { .. }
            | Self::Command => None,
        }
    }
}

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) plan: Plan,
    pub(crate) now: u64,
    pub(crate) dice: Dice,
    pub(crate) nodes: Vec<Node>,
    pub(crate) index: BTreeMap<PeerId, usize>,
    pub(crate) net: Net,
    pub(crate) watch: Watch,
    pub(crate) trace: Trace,
    pub(crate) quiet: bool,
    pub(crate) steps: u64,
    /// The moment that stands for the beginning, for parts of the shell that want one.
    pub(crate) begun: Instant,
    agenda: Agenda<u64, Happening>,
}

impl World {
    pub(crate) fn new(seed: u64, depth: Depth) -> Self {
        Self::of(seed, Plan::of(seed), depth)
    }

    /// A world of this plan; the seed decides what the plan leaves open.
    pub(crate) fn of(seed: u64, plan: Plan, depth: Depth) -> Self {
        let nodes: Vec<Node> = (0..plan.nodes.len()).map(|index| Node::new(&plan, index)).collect();
        let mut watch = Watch::new(&plan);
        for node in &nodes {
            let blocks = history::blocks(node.plan.past, &plan.params);
            history::load(&node.store, &plan.params, &blocks);
            blocks.iter().for_each(|block| watch.add_block(&block.to_bytes()));
        }
        let index = nodes
            .iter()
            .enumerate()
            .map(|(index, node)| (node.peer, index))
            .collect();
        let mut world = Self {
            seed,
            now: 0,
            dice: Dice::new(seed),
            watch,
            index,
            nodes,
            net: Net::default(),
            trace: Trace::new(depth),
            quiet: false,
            steps: 0,
            begun: Instant::now(),
            agenda: Agenda::default(),
            plan,
        };
        fate::prepare(&mut world);
        world
    }

    /// The even clock, the same for all.
    pub(crate) fn time(&self) -> Time {
        Time::from_ms(self.epoch() + self.now)
    }

    /// The even clock's time at the beginning.
    pub(crate) const fn epoch(&self) -> u64 {
        self.plan.params.genesis_time_ms + 1_000_000_000
    }

    const fn at(&self, time: Time) -> u64 {
        time.ms().saturating_sub(self.epoch())
    }

    pub(crate) fn wall(&self, node: usize) -> WallTime {
        self.nodes[node].wall(self.time())
    }

    pub(crate) fn is_honest(&self, node: usize) -> bool {
        self.plan.nodes[node].role == roles::Role::Honest
    }

    pub(crate) fn is_up(&self, node: usize) -> bool {
        self.nodes[node].engine.is_some()
    }

    pub(crate) fn later(&mut self, delay: u64, what: Happening) {
        self.at_time(self.now + delay, what);
    }

    pub(crate) fn at_time(&mut self, at: u64, what: Happening) {
        self.agenda.enter(at.max(self.now), what);
    }

    /// A fact for a node's engine, some time later.
    pub(crate) fn tell_later(&mut self, delay: u64, node: usize, input: Input) {
        let life = self.nodes[node].life;
        let input = Box::new(input);
        self.later(delay, Happening::Tell { node, life, input });
    }

    /// Runs until nothing is due before this time.
    pub(crate) fn run_until(&mut self, end: u64) {
        while self.agenda.next().is_some_and(|at| at <= end) {
            let Some((at, what)) = self.agenda.pop() else { break };
            self.now = self.now.max(at);
            self.steps += 1;
            match what.needs() {
                Some(node) if self.nodes[node].paused_until > self.now => {
                    self.at_time(self.nodes[node].paused_until, what);
                }
                Some(_) | None if self.plan.links => {
                    if let Some(what) = self.on_the_way(what) {
                        self.happen(what);
                    }
                }
                Some(_) | None => self.happen(what),
            }
        }
        self.now = self.now.max(end);
    }

    fn lives(&self, node: usize, life: u64) -> bool {
        self.nodes[node].life == life && self.nodes[node].engine.is_some()
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Tell { node, life, input } if self.lives(node, life) => self.tell(node, *input),
            Happening::Search { node, life, search } if self.lives(node, life) => self.found(node, search),
            Happening::Wake { node, life, at } if self.lives(node, life) => self.wake(node, at),
            Happening::Second { node, life } if self.lives(node, life) => {
                let clock = self.wall(node);
                self.tell(node, Input::Clock(clock));
                self.later(SECOND_MS, Happening::Second { node, life });
            }
            Happening::Written { node, life } if self.lives(node, life) => self.written(node),
            Happening::Reopen { node, life } if self.lives(node, life) => self.reopen(node),
            Happening::Resume { node, life } if self.lives(node, life) => self.resume(node),
            Happening::Act { node, life } if self.lives(node, life) => roles::act(self, node),
            Happening::Look { node, life } if self.lives(node, life) => self.look(node),
            Happening::Pay { node } => fate::pay(self, node),
            Happening::Wire { node, wire, step } => self.at_wire(node, wire, step),
            Happening::Tell { .. }
            | Happening::Search { .. }
            | Happening::Wake { .. }
            | Happening::Second { .. }
            | Happening::Written { .. }
            | Happening::Reopen { .. }
            | Happening::Resume { .. }
            | Happening::Look { .. }
            | Happening::Act { .. } => {}
            Happening::Meet { a, b } => fate::meet(self, a, b),
            Happening::Gossip {
                from,
                to,
                epoch,
                topic,
                bytes,
                again,
            } => self.gossip_arrives(from, to, epoch, topic, bytes, again),
            Happening::Request {
                from,
                to,
                epoch,
                id,
                bytes,
            } => self.request_arrives((from, to, epoch), id, &bytes),
            Happening::Answer {
                asker,
                id,
                epoch,
                bytes,
            } => self.answer_arrives(asker, id, epoch, &bytes),
            Happening::Expire { asker, life, id } => self.expire(asker, life, id),
            Happening::Silent { a, b, epoch } => self.silent(a, b, epoch),
            Happening::Fault(fault) => fate::strike(self, *fault),
            Happening::Mend(fault) => fate::mend(self, &fault),
            Happening::Start { node } => self.start(node),
            Happening::Command => fate::command(self),
        }
    }

    // ---- a node's life ----

    pub(crate) fn start(&mut self, node: usize) {
        if self.is_up(node) {
            return;
        }
        if self.nodes[node].life > 0
            && let Err(error) = self.nodes[node].store.restart()
        {
            if self.nodes[node].store.is_full() {
                // The process says so and exits; somebody starts it again later.
                return self.later(crate::writer::REOPEN_MS, Happening::Start { node });
            }
            self.fail(&format!("node {node}: its store does not open after a crash: {error}"));
        }
        let seed = self.dice.next();
        let mines = self.nodes[node].plan.mines && !self.quiet;
        let mut config = self.nodes[node].config(&self.plan, node, seed, mines);
        if self.plan.history {
            config.limits.headers_kept = HEADERS_KEPT;
        }
        let store: SimStore = self.nodes[node].store.clone();
        let engine = match Engine::new(config, store, self.time(), self.wall(node)) {
            Ok(engine) => engine,
            Err(error) => self.fail(&format!("node {node}: its chain does not open: {error}")),
        };
        self.nodes[node].engine = Some(engine);
        let life = self.nodes[node].life;
        let listening = Input::Net(NetFact::Listening(self.nodes[node].address.clone()));
        self.tell_later(1 + self.now % 7, node, listening);
        self.later(SECOND_MS, Happening::Second { node, life });
        if self.plan.links {
            self.look(node);
        }
        Watch::started(self, node);
        for (a, b) in self.plan.acquaintances.clone() {
            if a == node || b == node {
                let delay = 10 + self.dice.below(400);
                self.later(delay, Happening::Meet { a, b });
            }
        }
        if !self.is_honest(node) {
            self.later(500, Happening::Act { node, life });
        }
        self.refresh_wake(node);
    }

    /// The process ends here and now; what was being written is kept or not.
    pub(crate) fn crash(&mut self, node: usize, down_ms: u64) {
        if !self.is_up(node) {
            return;
        }
        let kept = *self.dice.pick(&[
            lanchain::testing::disk::Kept::All,
            lanchain::testing::disk::Kept::Nothing,
            lanchain::testing::disk::Kept::Part,
        ]);
        let writing = match std::mem::replace(&mut self.nodes[node].writer, Writer::Idle) {
            Writer::Busy(batches) => batches,
            Writer::Idle | Writer::Failed | Writer::Reopening => Vec::new(),
        };
        self.trace
            .step(self.now, node, "crash", || format!("{kept:?} {}", writing.len()));
        self.nodes[node].store.crash(&writing, kept, self.dice.rng());
        self.nodes[node].forget();
        Watch::ended(self, node);
        self.cut_off(node);
        self.later(down_ms, Happening::Start { node });
    }

    // ---- the engine's thread ----

    pub(crate) fn take(&mut self, node: usize, input: Input) {
        let Some(input) = roles::hear(self, node, input) else {
            return;
        };
        match &input {
            Input::Store(StoreFact::Committed { id }) => {
                let ready = self.nodes[node].outbox.committed(*id);
                ready.into_iter().for_each(|output| self.carry_out_one(node, output));
            }
            Input::Store(StoreFact::Failed { .. }) => {
                let refusals = self.nodes[node].outbox.failed();
                refusals.into_iter().for_each(|output| self.carry_out_one(node, output));
                self.nodes[node].writer = Writer::Reopening;
                let life = self.nodes[node].life;
                self.later(1, Happening::Reopen { node, life });
            }
            Input::Net(NetFact::Connected { peer, .. }) => {
                let (other, now) = (self.index[peer], self.now);
                self.nodes[node].met.insert(other, now);
            }
            _ => {}
        }
        self.trace.step(self.now, node, "input", || format!("{input:?}"));
        let time = self.time();
        let Some(engine) = self.nodes[node].engine.as_mut() else {
            return;
        };
        engine.handle(time, input);
        self.carry_out(node);
        self.turn_ended(node);
        self.refresh_wake(node);
    }

    fn carry_out(&mut self, node: usize) {
        loop {
            if let Some((left, down_ms)) = self.nodes[node].crash_in {
                if left == 0 {
                    return self.crash(node, down_ms);
                }
                self.nodes[node].crash_in = Some((left - 1, down_ms));
            }
            let Some(output) = self.nodes[node].engine.as_mut().and_then(Engine::poll_output) else {
                return;
            };
            Watch::ordered(self, node, &output);
            self.weigh(node, &output);
            match self.nodes[node].outbox.accept(output) {
                Some(Action::Write(batch)) => self.write(node, batch),
                Some(Action::Do(output)) => self.carry_out_one(node, output),
                None => {}
            }
        }
    }

    fn carry_out_one(&mut self, node: usize, output: Output) {
        self.trace.step(self.now, node, "output", || format!("{output:?}"));
        Watch::carried_out(self, node, &output);
        match output {
            Output::Net(order) => {
                for order in roles::rewrite(self, node, order) {
                    self.order_net(node, order);
                }
            }
            Output::Miner(order) => self.order_miner(node, order),
            Output::Commit(batch) => self.write(node, batch),
            Output::Event(_) => {}
            Output::Errand { id, errand } => {
                let outcome = self.do_errand(node, errand);
                self.tell_later(0, node, Input::Done { id, outcome });
            }
            Output::Check(check) => {
                let (number, verdicts) = check.make();
                self.tell_later(0, node, Input::Checked { number, verdicts });
            }
            Output::Reply { id, .. } => {
                if self.nodes[node].asked.remove(&id).is_none() {
                    self.fail(&format!("node {node}: a second reply to command {id}, or one to none"));
                }
            }
        }
    }

    fn order_net(&mut self, node: usize, order: NetOrder) {
        match order {
            NetOrder::Dial { peer, addresses } => self.dial(node, peer, addresses),
            NetOrder::Disconnect { peer } => {
                if let Some(other) = self.index.get(&peer).copied() {
                    self.unlink(node, other, "disconnected");
                }
            }
            NetOrder::Ban { peer, banned } => self.ban(node, &peer, banned),
            NetOrder::Publish { topic, bytes } => self.publish(node, topic, bytes),
            NetOrder::Verdict { token, verdict } => self.verdict(node, token, verdict),
            NetOrder::Request { id, peer, request } => self.request(node, id, peer, &request),
            NetOrder::Answer { token, response } => self.answer(node, token, &response),
            NetOrder::Enable(on) => self.enable(node, on),
            // Nobody is pushed out for want of room in this model.
            NetOrder::Protect { .. } => {}
        }
    }

    fn order_miner(&mut self, node: usize, order: MinerOrder) {
        self.nodes[node].searches += 1;
        match order {
            MinerOrder::Stop => self.nodes[node].job = None,
            MinerOrder::Mine {
                job,
                header,
                target,
                delay_ms,
            } => {
                let work = header.bits.work(self.plan.params.halflife_ms);
                let work = work.map_or(1e18, lanchain::types::Work::to_f64);
                let rate = self.nodes[node].plan.hashes_per_second;
                let search_ms = pow::search_ms(self.dice.rng(), work, rate);
                self.nodes[node].job = Some((job, header, target));
                let (life, search) = (self.nodes[node].life, self.nodes[node].searches);
                self.later(delay_ms + search_ms, Happening::Search { node, life, search });
            }
        }
    }

    /// A search ends, unless another has taken its place.
    fn found(&mut self, node: usize, search: u64) {
        if self.nodes[node].searches != search {
            return;
        }
        let Some((job, header, target)) = self.nodes[node].job.take() else {
            return;
        };
        let nonce = solve(&Header { nonce: 0, ..header }, &target);
        self.tell(node, Input::Miner(MinerFact::Found { job, nonce }));
    }

    // ---- time ----

    pub(crate) fn refresh_wake(&mut self, node: usize) {
        let Some(next) = self.nodes[node].engine.as_ref().and_then(Engine::next_wakeup) else {
            return;
        };
        let at = self.at(next).max(self.now);
        if self.nodes[node].wake != Some(at) {
            self.nodes[node].wake = Some(at);
            let life = self.nodes[node].life;
            self.at_time(at, Happening::Wake { node, life, at });
        }
    }

    fn wake(&mut self, node: usize, at: u64) {
        if self.nodes[node].wake != Some(at) {
            return;
        }
        self.nodes[node].wake = None;
        let (when, count) = self.nodes[node].spins;
        let count = if when == self.now { count + 1 } else { 0 };
        self.nodes[node].spins = (self.now, count);
        if count > SPINS_MAX {
            self.fail(&format!(
                "node {node} spins: it is woken again and again at one instant"
            ));
        }
        if self.nodes[node].busy_until > self.now {
            return self.resume_later(node);
        }
        if self.nodes[node].outbox.is_full() {
            let life = self.nodes[node].life;
            self.nodes[node].wake = Some(self.now + 5);
            let at = self.now + 5;
            return self.later(5, Happening::Wake { node, life, at });
        }
        self.take(node, Input::Tick);
        self.pump(node);
    }

    /// Ends the run: what is wrong, and how to see it again.
    pub(crate) fn fail(&self, what: &str) -> ! {
        let replay = format!(
            "LANCHAIN_SIM_SEED={} cargo test --locked --test sim replay -- --nocapture",
            self.seed
        );
        let roles = self.plan.nodes.iter().map(|node| node.role).enumerate();
        let hostile: Vec<_> = roles.filter(|(_, role)| *role != roles::Role::Honest).collect();
        panic!(
            "seed {}, {} nodes, after {} ms: {what}\nagain: {replay}\nhostile: {hostile:?}\nits plan: {:?}",
            self.seed,
            self.nodes.len(),
            self.now,
            self.plan.faults,
        );
    }
}
