//! The engine's thread: takes facts, carries out orders, keeps the hour.
//!
//! Promises: one fact at a time; orders leave in order and never before their commit; the thread waits for nothing but
//! the next fact, and for the disk when too much is in flight.
//! Elsewhere: decisions (`engine`), the lanes (`node::inbox`), what waits for the disk (`node::outbox`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::checker::Checker;
use super::clock::{Clock, wall};
use super::errands::Errands;
use super::housekeeper::Notices;
use super::inbox::{Heard, Inbox, Lanes, Taken};
use super::outbox::{Action, Outbox};
use super::writer::Writer;
use crate::chain::ChainStore;
use crate::contract::{CommandError, Event, Reply};
use crate::engine::{Engine, Errand, Input, MinerFact, MinerOrder, NetFact, NetOrder, Output, StoreFact};
use crate::miner::MiningWork;
use crate::miner::pool::Pool;
use crate::threads::{self, panic_point};
use crate::types::{Address, Time};

/// How often the wall clock and the hash rate are told.
const SECOND: Duration = Duration::from_secs(1);
/// The longest that a stop waits for the disk and for peers that fetch what was just announced.
const STOP_MAX: Duration = Duration::from_secs(1);
/// A stop goes on when no announcement left and no peer asked for this long.
const STOP_QUIET: Duration = Duration::from_millis(300);

/// What leaves for the console.
#[derive(Debug)]
pub enum Delivery {
    /// Something happened.
    Event(Event),
    /// A command has ended.
    Reply {
        /// The command's id.
        id: u64,
        /// Data or refusal.
        result: Result<Reply, CommandError>,
    },
}

/// Where facts come from and orders go.
pub struct Wiring {
    /// Facts and commands.
    pub inbox: Arc<Inbox>,
    /// Batches.
    pub writer: Writer,
    /// Orders to the network.
    pub net: mpsc::Sender<NetOrder>,
    /// Searches.
    pub miner: Pool,
    /// Events and replies. Must not wait for the engine.
    pub deliver: Box<dyn Fn(Delivery) + Send>,
    /// Own addresses, for the other nodes of the machine.
    pub notices: Arc<Notices>,
    /// The even clock.
    pub clock: Clock,
    /// Work for commands that takes longer than a turn.
    pub errands: Errands,
    /// The checks of large bodies.
    pub checker: Checker,
}

/// The running engine.
struct Runner<S> {
    engine: Engine<S>,
    wiring: Wiring,
    outbox: Outbox,
    /// When the wall clock is told next.
    next_second: Time,
    rate: u64,
    listening: BTreeSet<Address>,
    /// When the stop was asked for.
    stopping: Option<Time>,
    /// When something of ours was last sent to a peer.
    last_sent: Time,
}

/// Starts the thread. It ends after [`Input::Stop`]; dropping what it owned writes all that is queued. `failed` is called
/// with the message of a panic that ends it.
///
/// # Errors
/// If the system gives no thread.
pub fn start<S: ChainStore + Clone + Send + 'static>(
    engine: Engine<S>,
    wiring: Wiring,
    failed: impl FnOnce(&str) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let now = wiring.clock.now();
    let runner = Runner {
        engine,
        wiring,
        outbox: Outbox::default(),
        next_second: now,
        rate: 0,
        listening: BTreeSet::new(),
        stopping: None,
        last_sent: Time::default(),
    };
    threads::spawn("engine", move || runner.run(), failed)
}

impl<S: ChainStore + Clone + Send + 'static> Runner<S> {
    fn run(mut self) {
        self.carry_out();
        while !self.has_stopped() {
            let lanes = if self.outbox.is_full() {
                Lanes::DiskOnly
            } else {
                Lanes::All
            };
            panic_point("engine");
            let (taken, heard) = self.wiring.inbox.next(lanes, self.patience(lanes));
            match heard {
                Heard::All => self.tell(Input::Heard(self.wiring.clock.now())),
                Heard::Before(read) => self.tell(Input::Heard(self.wiring.clock.at(read))),
                Heard::NotAll => {}
            }
            if let Taken::Input(input) = taken {
                self.tell(input);
            }
            self.keep_time(lanes);
        }
        self.wiring.miner.stop();
    }

    /// How long nothing needs to be done. While only the disk is listened to, no wake-up is served either.
    fn patience(&self, lanes: Lanes) -> Duration {
        let wakeup = match lanes {
            Lanes::All => self.engine.next_wakeup().unwrap_or(self.next_second),
            Lanes::DiskOnly => self.next_second,
        };
        let wakeup = wakeup.min(self.next_second);
        let patience = self.wiring.clock.until(wakeup);
        match self.stopping {
            Some(_) => patience.min(STOP_QUIET / 8),
            None => patience,
        }
    }

    fn keep_time(&mut self, lanes: Lanes) {
        let now = self.wiring.clock.now();
        if self.next_second <= now {
            self.next_second = now.plus(SECOND);
            self.tell(Input::Clock(wall()));
            let rate = self.wiring.miner.hash_rate();
            if rate != self.rate {
                self.rate = rate;
                self.tell(Input::Miner(MinerFact::Rate(rate)));
            }
        }
        // While answers wait, each of them brings a turn of its own, and no deadline may pass before they are heard.
        let all_heard = lanes == Lanes::All && self.wiring.inbox.is_heard();
        if all_heard && self.engine.next_wakeup().is_some_and(|wakeup| wakeup <= now) {
            self.tell(Input::Tick);
        }
    }

    fn tell(&mut self, mut input: Input) {
        match &mut input {
            Input::Store(StoreFact::Committed { id }) => {
                let ready = self.outbox.committed(*id);
                ready.into_iter().for_each(|output| self.carry_out_one(output));
            }
            Input::Store(StoreFact::Failed { .. }) => {
                let refusals = self.outbox.failed();
                refusals.into_iter().for_each(|output| self.carry_out_one(output));
                self.wiring.writer.resume();
            }
            Input::Net(fact) => self.notice(fact),
            Input::Stop => self.stopping = Some(self.stopping.unwrap_or_else(|| self.wiring.clock.now())),
            Input::Store(StoreFact::Reopened | StoreFact::Room(_))
            | Input::Part(_)
            | Input::Command { .. }
            | Input::Cancel { .. }
            | Input::Miner(_)
            | Input::Clock(_)
            | Input::Done { .. }
            | Input::Checked { .. }
            | Input::Heard(_)
            | Input::Tick => {}
        }
        self.engine.handle(self.wiring.clock.now(), input);
        self.carry_out();
    }

    /// The node's own addresses are of interest to the other nodes of the machine.
    fn notice(&mut self, fact: &NetFact) {
        let changed = match fact {
            NetFact::Listening(address) => self.listening.insert(address.clone()),
            NetFact::NotListening(address) => self.listening.remove(address),
            NetFact::Request { .. } => {
                self.last_sent = self.wiring.clock.now();
                false
            }
            _ => false,
        };
        if changed {
            self.wiring.notices.set(self.listening.iter().cloned().collect());
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match self.outbox.accept(output) {
                Some(Action::Write(batch)) => self.wiring.writer.write(batch),
                Some(Action::Do(output)) => self.carry_out_one(output),
                None => {}
            }
        }
    }

    fn carry_out_one(&mut self, output: Output) {
        match output {
            Output::Net(order) => self.order_net(order),
            Output::Miner(MinerOrder::Mine {
                job,
                header,
                target,
                delay_ms,
            }) => {
                let work = MiningWork {
                    header: header.to_bytes(),
                    limit: *target.as_bytes(),
                };
                self.wiring.miner.mine(job, work, Duration::from_millis(delay_ms));
            }
            Output::Miner(MinerOrder::Stop) => self.wiring.miner.stop(),
            Output::Event(event) => (self.wiring.deliver)(Delivery::Event(event)),
            Output::Errand { id, errand } => {
                let store = matches!(errand, Errand::Read(_)).then(|| self.engine.snapshot());
                self.wiring.errands.run(&self.wiring.inbox, id, errand, store);
            }
            Output::Check(check) => self.wiring.checker.check(check),
            Output::Reply { id, result } => (self.wiring.deliver)(Delivery::Reply { id, result }),
            Output::Commit(batch) => self.wiring.writer.write(batch),
        }
    }

    fn order_net(&mut self, order: NetOrder) {
        if matches!(order, NetOrder::Publish { .. } | NetOrder::Request { .. }) {
            self.last_sent = self.wiring.clock.now();
        }
        // The network never waits for the engine, so waiting for it here ends. It is gone only at the very end.
        self.wiring.net.blocking_send(order).unwrap_or_default();
    }

    /// After a stop: all is written, and peers had time to fetch what was announced.
    fn has_stopped(&self) -> bool {
        let Some(since) = self.stopping else { return false };
        let now = self.wiring.clock.now();
        let all_done = self.outbox.is_empty() && self.last_sent.plus(STOP_QUIET) <= now;
        all_done || since.plus(STOP_MAX) <= now
    }
}
