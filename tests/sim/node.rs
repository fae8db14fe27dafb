//! One simulated node: the real engine, its store, and the shell around it as `src/node` builds it.
//!
//! Promises: orders behind a commit wait in the real `node::outbox`; the writer groups what is queued, and after a
//! failure writes nothing before the store was reopened.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use lanchain::chain::{Batch, Header};
use lanchain::contract::Command;
use lanchain::engine::{Config, Engine};
use lanchain::net::peers::Peers;
use lanchain::net::repairs::Repairs;
use lanchain::node::inbox::Inbox;
use lanchain::node::outbox::Outbox;
use lanchain::testing::engines::config;
use lanchain::types::{AccountName, Address, PeerId, SecretKey, Target, Time, WallTime};
use lanchain::wire::Topic;

use crate::plan::{NodePlan, Plan};
use crate::roles::Role;
use crate::store::SimStore;

/// What the writing thread does.
#[derive(Debug)]
pub(crate) enum Writer {
    Idle,
    /// These are being written.
    Busy(Vec<Batch>),
    /// A write failed; the engine may not know yet.
    Failed,
    /// The engine knows; the store is to be reopened.
    Reopening,
}

/// A gossip message that waits for its verdict.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) from: usize,
    pub(crate) topic: Topic,
    pub(crate) bytes: Rc<Vec<u8>>,
}

/// A command without a reply yet.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) command: Command,
}

pub(crate) struct Node {
    pub(crate) plan: NodePlan,
    pub(crate) key: SecretKey,
    pub(crate) peer: PeerId,
    pub(crate) address: Address,
    /// Counts starts: what was meant for an earlier life is dropped.
    pub(crate) life: u64,
    /// None while the process is down.
    pub(crate) engine: Option<Engine<SimStore>>,
    pub(crate) store: SimStore,
    pub(crate) outbox: Outbox,
    pub(crate) writer: Writer,
    pub(crate) queue: Vec<Batch>,
    /// What waits for the engine.
    pub(crate) inbox: Rc<Inbox>,
    /// Its thread is in a turn until then.
    pub(crate) busy_until: u64,
    /// When it goes on behind that turn; told once.
    pub(crate) resumes_at: u64,
    /// Work of the turn under way.
    pub(crate) worked_us: u64,
    pub(crate) job: Option<(u64, Header, Target)>,
    pub(crate) searches: u64,
    pub(crate) clock_ahead_ms: i64,
    pub(crate) paused_until: u64,
    /// Ends so many outputs later.
    pub(crate) crash_in: Option<(u64, u64)>,
    pub(crate) wake: Option<u64>,
    /// Wake-ups at one instant: a node that spins never comes to rest.
    pub(crate) spins: (u64, u64),
    pub(crate) enabled: bool,
    /// When it heard last of a connection to each peer.
    pub(crate) met: BTreeMap<usize, u64>,
    pub(crate) banned: BTreeSet<usize>,
    /// Its connections, where each end has its own view of them.
    pub(crate) peers: Peers,
    pub(crate) repairs: Repairs,
    /// Whom it is dialling.
    pub(crate) dialling: BTreeSet<usize>,
    /// Who has announced its topics.
    pub(crate) subscribed: BTreeSet<usize>,
    /// Its machine is somewhere else, or without power.
    pub(crate) is_away: bool,
    pub(crate) loses_power: bool,
    /// How often it took another address.
    pub(crate) moves: usize,
    pub(crate) seen: BTreeMap<[u8; 32], u64>,
    pub(crate) tokens: BTreeMap<u64, Heard>,
    pub(crate) asked: BTreeMap<u64, Asked>,
    pub(crate) next_command: u64,
    /// What a hostile role keeps.
    pub(crate) malice: crate::roles::Malice,
}

pub(crate) fn key(index: usize) -> SecretKey {
    let mut seed = [0x5a; 32];
    let number = u64::try_from(index).unwrap_or(0);
    seed[..8].copy_from_slice(&number.to_be_bytes());
    SecretKey::from_seed(seed)
}

pub(crate) fn address(index: usize) -> Address {
    let text = format!("/ip4/10.0.{}.{}/tcp/4001", index / 250, index % 250 + 1);
    Address::parse(&text).expect("an address").0
}

/// Where all hostile nodes are that speak with one voice.
fn address_of_all(index: usize) -> Address {
    let text = format!("/ip4/10.66.6.6/tcp/{}", 4_100 + index);
    Address::parse(&text).expect("an address").0
}

/// The name that a named node announces.
pub(crate) fn own_name(index: usize) -> AccountName {
    AccountName::new(&format!("node-{index}")).expect("a name")
}

impl Node {
    pub(crate) fn new(plan: &Plan, index: usize) -> Self {
        let node = plan.nodes[index].clone();
        let key = key(index);
        Self {
            store: SimStore::new(node.store, &plan.params),
            clock_ahead_ms: node.clock_ahead_ms,
            plan: node,
            peer: key.public().peer_id(),
            address: if plan.one_voice && Role::OF_ONE_VOICE.contains(&plan.nodes[index].role) {
                address_of_all(index)
            } else {
                address(index)
            },
            life: 0,
            engine: None,
            outbox: Outbox::default(),
            writer: Writer::Idle,
            queue: Vec::new(),
            inbox: Rc::default(),
            busy_until: 0,
            resumes_at: 0,
            worked_us: 0,
            job: None,
            searches: 0,
            paused_until: 0,
            crash_in: None,
            wake: None,
            spins: (0, 0),
            enabled: true,
            met: BTreeMap::new(),
            banned: BTreeSet::new(),
            peers: Peers::new(key.public().peer_id()),
            repairs: Repairs::default(),
            dialling: BTreeSet::new(),
            subscribed: BTreeSet::new(),
            is_away: false,
            loses_power: false,
            moves: 0,
            seen: BTreeMap::new(),
            tokens: BTreeMap::new(),
            asked: BTreeMap::new(),
            next_command: 1,
            malice: crate::roles::Malice::default(),
            key,
        }
    }

    /// What the shell tells a starting engine.
    pub(crate) fn config(&self, plan: &Plan, index: usize, seed: u64, mines: bool) -> Config {
        Config {
            name: self.plan.named.then(|| own_name(index)),
            seed,
            instance: seed ^ 0xabcd,
            peer_clock: if self.plan.peer_clock {
                lanchain::engine::PeerClock::Median
            } else {
                lanchain::engine::PeerClock::Own
            },
            mine: mines,
            exchange: plan.exchange,
            ..config(&plan.params, self.key.clone())
        }
    }

    /// Everything that a process keeps in memory is gone.
    pub(crate) fn forget(&mut self) {
        self.life += 1;
        self.engine = None;
        self.outbox = Outbox::default();
        self.writer = Writer::Idle;
        self.queue.clear();
        self.inbox = Rc::default();
        self.busy_until = 0;
        self.resumes_at = 0;
        self.worked_us = 0;
        self.job = None;
        self.crash_in = None;
        self.wake = None;
        self.paused_until = 0;
        self.enabled = true;
        self.met.clear();
        self.banned.clear();
        self.peers = Peers::new(self.peer);
        self.repairs = Repairs::default();
        self.dialling.clear();
        self.subscribed.clear();
        self.seen.clear();
        self.tokens.clear();
        self.asked.clear();
    }

    pub(crate) fn wall(&self, even: Time) -> WallTime {
        WallTime::at(even, self.clock_ahead_ms)
    }
}
