//! The engine itself: its parts, and how facts are handed to them.
//!
//! Promises: after each fact every part is pumped, and its orders are carried out before the next one is asked.
//! Elsewhere: what leaves in which order (`out`), peers and their status (`facts`, `links`), gossip (`gossip`, `relay`), questions and answers
//! (`requests`, `answers`, `responses`),
//! pools (`pools`, `pooling`), sync (`sync`, `syncing`), mining (`mining`), commands (`commands`, `runs`), what changes
//! the chain (`advance`).

use super::io::{Input, MinerFact, NetFact, NetOrder, Output};
use super::parts::clock::Clock;
use super::parts::clocks::PeerClock;
use super::parts::dial::{self, Dialer};
use super::parts::effort::Effort;
use super::parts::exchange::Exchange;
use super::parts::links::Links;
use super::parts::mining::Mining;
use super::parts::mode::Mode;
use super::parts::notices::Notices;
use super::parts::out::Out;
use super::parts::own::OwnPayments;
use super::parts::pools::Pools;
use super::parts::relay::Relay;
use super::parts::remembered::Remembered;
pub(super) use super::parts::requests::Question;
use super::parts::requests::Requests;
use super::parts::runs::Runs;
use super::parts::standing::Standing;
use super::parts::storage::Storage;
use super::parts::sync::{HEADERS_KEPT_MAX, Syncs};
use crate::chain::state::{Chain, Tip};
use crate::chain::{ChainStore, NetworkParams, StoreError};
use crate::contract::{Event, Status};
use crate::pool::Mempool;
use crate::types::hash::HashMany;
use crate::types::rng::Rng;
use crate::types::{Account, AccountName, Address, PeerId, PublicKey, SecretKey, Time, WallTime, count};
use crate::wire::Request;

/// How long `started` waits for an address to listen on.
const START_PATIENCE_MS: u64 = 2_000;

/// What a node is told once, at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The network's rules.
    pub params: NetworkParams,
    /// The node's key: identity and wallet.
    pub key: SecretKey,
    /// The announced name, claimed at the start if it is free.
    pub name: Option<AccountName>,
    /// Feeds jitter and random choices.
    pub seed: u64,
    /// Feeds the batch check of signatures; nobody else may know it.
    pub secret: [u8; 32],
    /// The fastest way to hash many messages on this machine.
    pub hash_many: HashMany,
    /// Random at each start: reveals two nodes with one key.
    pub instance: u64,
    /// The data folder, as `status` shows it.
    pub data_dir: String,
    /// Which clock it goes by.
    pub peer_clock: PeerClock,
    /// Start mining at once.
    pub mine: bool,
    /// What the start has to say: a code and a sentence each.
    pub start_warnings: Vec<(&'static str, String)>,
    /// Whether peers are asked for other peers.
    pub exchange: bool,
    /// Peers given on the command line.
    pub manual_peers: Vec<(Address, Option<PeerId>)>,
    /// What a node holds at most.
    pub limits: Limits,
}

/// What a node holds at most. Worlds whose chains are shorter than real ones have lower ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Headers of one candidate branch in memory.
    pub headers_kept: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            headers_kept: HEADERS_KEPT_MAX,
        }
    }
}

/// A node's decisions: told facts, gives orders.
pub struct Engine<S> {
    pub(super) config: Config,
    pub(super) me: PublicKey,
    pub(super) peer_id: PeerId,
    pub(super) chain: Chain<S>,
    pub(super) pool: Mempool,
    pub(super) links: Links,
    pub(super) pools: Pools,
    pub(super) own: OwnPayments,
    pub(super) dialer: Dialer,
    pub(super) exchange: Exchange,
    pub(super) sync: Syncs,
    pub(super) mining: Mining,
    pub(super) runs: Runs,
    pub(super) requests: Requests,
    pub(super) effort: Effort,
    pub(super) relay: Relay,
    pub(super) standing: Standing,
    pub(super) remembered: Remembered,
    pub(super) now: Time,
    pub(super) started: bool,
    /// The tip that the store held: events begin there.
    opened: Tip,
    pub(super) start_by: Time,
    pub(super) clock: Clock,
    pub(super) notices: Notices,
    /// For `doctor`.
    pub(super) seen: super::parts::seen::Seen,
    pub(super) mode: Mode,
    pub(super) storage: Storage,
    pub(super) out: Out,
}

impl<S: ChainStore> Engine<S> {
    /// Opens the chain in the store. `now` runs evenly, `clock` is the wall clock.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub fn new(config: Config, store: S, now: Time, clock: WallTime) -> Result<Self, StoreError> {
        let remembered = store.peers()?;
        let (me, peer_id) = (config.key.public(), config.key.public().peer_id());
        let mut rng = Rng::new(config.seed);
        let chain = open_chain(&config, store)?;
        let dialer = Dialer::new(peer_id, rng.next_u64(), now);
        let dialer = super::neighbours::first_candidates(dialer, now, &config, &remembered);
        let exchange = Exchange::new(peer_id, config.seed.rotate_left(32), config.exchange);
        let mining = Mining::new(config.mine, now, rng.next_u64());
        let (clock, limits) = (Clock::new(config.peer_clock.clone(), now, clock), config.limits);
        let mut engine = Self {
            config,
            me,
            peer_id,
            opened: chain.tip().clone(),
            chain,
            pool: Mempool::new(),
            sync: Syncs::new(rng.next_u64(), limits.headers_kept),
            remembered: Remembered::new(remembered.into_iter().map(|(peer, _)| peer), rng.next_u64()),
            links: Links::new(rng),
            pools: Pools::new(),
            own: OwnPayments::new(now),
            dialer,
            exchange,
            mining,
            runs: Runs::default(),
            requests: Requests::new(now),
            effort: Effort::new(),
            relay: Relay::default(),
            standing: Standing::default(),
            now,
            started: false,
            start_by: now.after_ms(START_PATIENCE_MS),
            clock,
            notices: Notices::new(now),
            seen: super::parts::seen::Seen::default(),
            mode: Mode::default(),
            storage: Storage::default(),
            out: Out::default(),
        };
        engine.restore_own()?;
        engine.out = Out::new(engine.present());
        engine.tip_moved();
        Ok(engine)
    }

    /// Takes a fact.
    pub fn handle(&mut self, now: Time, input: Input) {
        self.now = self.now.max(now);
        self.effort.begin();
        match input {
            Input::Heard(before) => return self.requests.hear(before),
            Input::Command { id, command } => self.on_command(id, command),
            Input::Cancel { id } => self.on_cancel(id),
            Input::Net(fact) => self.on_net(fact),
            Input::Miner(MinerFact::Found { job, nonce }) => self.on_found(job, nonce),
            Input::Miner(MinerFact::Exhausted { job }) => self.mining.exhausted(self.now, job),
            Input::Miner(MinerFact::Rate(rate)) => self.mining.measured(rate),
            Input::Store(fact) => self.on_store(fact),
            Input::Part(fact) => self.on_part(fact),
            Input::Clock(wall) => self.clock.set(self.now, wall),
            Input::Tick => self.requests.hear(self.after(1)),
            Input::Stop => self.on_stop(),
        }
        self.turn();
    }

    fn on_net(&mut self, fact: NetFact) {
        match fact {
            NetFact::Listening(address) => self.on_listening(address),
            NetFact::NotListening(address) => {
                self.links.listens_no_longer(&address);
                self.dialer.handle(self.now, dial::Fact::Reset);
            }
            NetFact::Networks(networks) => self.links.set_networks(networks),
            NetFact::Elsewhere { count, source } => self.seen.elsewhere = Some((count, source)),
            NetFact::Found {
                peer,
                address,
                by,
                from,
            } => self.on_peer_found(peer, address, (by, from)),
            NetFact::Connected {
                peer,
                address,
                direction,
            } => self.on_connected(peer, address, direction),
            NetFact::Disconnected { peer, reason } => self.on_disconnected(peer, reason),
            NetFact::DialFailed {
                peer,
                addresses,
                reason,
                stranger,
            } => self.on_dial_failed(peer, &addresses, &reason, stranger),
            NetFact::Gossip {
                token,
                peer,
                topic,
                bytes,
            } => self.on_gossip(token, peer, topic, &bytes),
            NetFact::Request { token, peer, request } => self.on_request(token, peer, request),
            NetFact::Response { id, peer, response } => self.on_response(id, peer, response),
            NetFact::Malformed { peer, fault, reason } => self.punish(peer, fault, &reason),
            NetFact::Part(fact) => self.on_part(fact),
            NetFact::Latency { peer, ms } => self.links.measured(&peer, ms),
        }
    }

    /// Emits `started` once, and what begins with it.
    pub(super) fn start(&mut self) {
        if self.started {
            return;
        }
        self.started = true;
        self.notices.alone.starts(self.now);
        let mut status = Box::new(self.status());
        // Events that waited come behind it: they lead from what the store held to what is there now.
        status.height = self.opened.header.height;
        status.tip = self.opened.hash;
        status.work = self.opened.work;
        status.bits = self.opened.header.bits;
        self.out.open(Event::Started(status));
        for (code, message) in core::mem::take(&mut self.config.start_warnings) {
            self.out.warn(code, message);
        }
        self.claim_own_name();
    }

    /// Everything that time or the last fact made due, then the outputs in their order.
    fn turn(&mut self) {
        self.watch_store();
        self.pump_switch();
        self.run_timers();
        self.pump_sync();
        self.pump_pools();
        self.pump_status();
        self.pump_exchange();
        self.pump_dials();
        self.pump_mining();
        self.pump_runs();
        self.publish_gathered();
        let present = self.present();
        self.out.end_turn(self.chain.take_batch(), present);
    }

    fn on_stop(&mut self) {
        self.mode.stopping = true;
        self.mining.turn(false);
        self.end_syncs();
        for id in self.runs.ids() {
            self.on_cancel(id);
        }
    }

    /// The next order, in the order in which they must be carried out.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.poll()
    }

    /// When to send [`Input::Tick`] if nothing else happens before.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        let times: Vec<Option<Time>> = vec![
            (!self.started).then_some(self.start_by),
            self.dialer.next_wakeup(self.now),
            self.exchange.next_wakeup(),
            self.standing.next_wakeup(),
            self.links.next_wakeup(),
            self.relay.next_wakeup(),
            self.requests.next_wakeup(),
            self.mining.next_wakeup(),
            self.switch_wakeup(),
            self.sync_wakeup(),
            self.pools_wakeup(),
            self.own.next_wakeup(),
            self.notices.next_wakeup(),
            self.runs.next_wakeup(),
        ];
        times.into_iter().flatten().min().map(|time| time.max(self.now))
    }

    /// `now` and some milliseconds.
    pub(super) const fn after(&self, ms: u64) -> Time {
        self.now.after_ms(ms)
    }

    /// Asks a peer; the answer comes back with the question.
    pub(super) fn ask(&mut self, peer: PeerId, what: Question, request: Request, patience_ms: Option<u64>) -> u64 {
        let id = self.requests.ask(self.now, peer, what, patience_ms);
        self.out.order(NetOrder::Request { id, peer, request });
        id
    }

    /// Where rewards go: the own name once it is confirmed as this key's, else the key account.
    pub(super) fn reward_account(&self) -> Account {
        self.view().reward_account()
    }

    /// What `status` answers.
    #[must_use]
    pub fn status(&self) -> Status {
        let tip = self.chain.tip();
        Status {
            peer_id: self.peer_id.to_string(),
            name: self.config.name.clone(),
            account: self.reward_account(),
            network: self.config.params.label(),
            network_id: self.chain.network_id(),
            height: tip.header.height,
            tip: tip.hash,
            work: tip.work,
            bits: tip.header.bits,
            peers: count(self.links.known().count()),
            pending: count(self.pool.len()),
            addresses: self
                .links
                .addresses()
                .iter()
                .map(|address| address.with_peer(&self.peer_id))
                .collect(),
            data_dir: self.config.data_dir.clone(),
            mining: self.mining.is_on(),
            hash_rate: self.mining.rate(),
            syncing: self.is_syncing(),
            net: self.mode.net,
        }
    }

    /// Own name taken by another key: said once.
    pub(super) fn check_name(&mut self) {
        let Some(name) = self.config.name.clone() else { return };
        match self.chain.owner(&Account::Name(name.clone())) {
            Ok(Some(owner)) if owner != self.me && self.notices.name.tell() => {
                let message = format!(
                    "the name {name} belongs to another key ({}): rewards go to this node's key account; start with another --name",
                    owner.peer_id()
                );
                self.out.warn("name_taken", message);
            }
            Ok(_) | Err(_) => {}
        }
    }
}

/// The chain in a store, with what a node's own key and processor are to it.
fn open_chain<S: ChainStore>(config: &Config, store: S) -> Result<Chain<S>, StoreError> {
    let mut chain = Chain::open(config.params.clone(), store, config.secret)?;
    chain.set_own_key(config.key.public());
    chain.set_hash_many(config.hash_many);
    Ok(chain)
}
