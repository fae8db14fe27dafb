//! The engine itself: its parts, how facts are routed to them, and what it promises to whoever drives it.
//!
//! Promises: after each fact every part is pumped, so that no edge is ever missed, and its orders are carried out before the
//! next part is asked; only here and in the files beside it are chain and pool changed.
//! Elsewhere: what each part decides (`parts`). What is done for each kind of fact: connections (`connections`, `neighbours`),
//! statuses (`statuses`), questions of peers and to them (`answers`, `responses`), gossip (`gossip`, `compacting`), pools and own payments
//! (`pooling`), sync (`syncing`), the chain (`advance`, `future`), the disk (`disk`), mining (`searching`), commands
//! (`commands`, `peering`, `tickets`, `doctor`), time (`timers`, `timing`), parts of the node that fail (`failures`).

use super::config::{Config, Identity};
use super::io::{Input, MinerFact, NetFact, NetOrder, Output};
use super::parts::clock::Clock;
use super::parts::compact::Compacts;
use super::parts::dial::{self, Dialer};
use super::parts::effort::Effort;
use super::parts::exchange::Exchange;
use super::parts::links::Links;
use super::parts::mining::Mining;
use super::parts::mode::Mode;
use super::parts::notices::Notices;
use super::parts::out::Out;
use super::parts::own::OwnPayments;
use super::parts::payments::Payments;
use super::parts::peers::Peers;
use super::parts::pools::Pools;
use super::parts::relay::Relay;
use super::parts::remembered::Remembered;
pub(super) use super::parts::requests::Question;
use super::parts::requests::Requests;
use super::parts::runs::Runs;
use super::parts::standing::Standing;
use super::parts::storage::Storage;
use super::parts::sync::Syncs;
use crate::chain::state::Chain;
use crate::chain::{ChainStore, StoreError};
use crate::contract::{Event, NodeStatus};
use crate::pool::Mempool;
use crate::types::rng::Rng;
use crate::types::{Account, PeerId, Time, WallTime, count};
use crate::wire::Request;

/// How long `started` waits for an address to listen on.
const START_PATIENCE_MS: u64 = 2_000;

/// A node's decisions: told facts, gives orders.
///
/// The engine opens no socket and no file, starts no thread, reads no clock and draws no random number. Whoever drives it
/// does that, and calls methods of four kinds:
///
/// - [`Engine::handle`] tells it a fact, with the time by the even clock. It may be called at any time, also while orders of
///   earlier facts are still to be taken. A time before the latest one counts as the latest.
/// - [`Engine::poll_output`] hands out the next order, none when there is no more until the next fact. Orders are carried
///   out in this order; what stands behind an [`Output::Commit`] waits until [`StoreFact::Committed`](super::StoreFact)
///   was told of it, but for what [`Output::is_immediate`] names.
/// - [`Engine::next_wakeup`] says when [`Input::Tick`] is due if no other fact comes before. It is asked when all orders
///   were taken, and never lies before the latest time that was told.
/// - What else is public only reads.
///
/// Promises: the same configuration, store and inputs give the same outputs, byte for byte. Every command is replied to
/// once, every gossip message gets one verdict, every question of a peer one answer; a question to a peer is asked only while
/// that peer is connected. Ticks at one time end: after each of them there is less to be done at that time.
pub struct Engine<S> {
    pub(super) node: Identity,
    pub(super) mode: Mode,
    pub(super) clock: Clock,
    /// What this turn may still do.
    pub(super) effort: Effort,
    pub(super) chain: Chain<S>,
    pub(super) pool: Mempool,
    pub(super) storage: Storage,
    pub(super) mining: Mining,
    pub(super) sync: Syncs,
    pub(super) relay: Relay,
    pub(super) compacts: Compacts,
    pub(super) payments: Payments,
    pub(super) peers: Peers,
    pub(super) runs: Runs,
    pub(super) notices: Notices,
    pub(super) out: Out,
}

impl<S: ChainStore> Engine<S> {
    /// Opens the chain in the store. `now` runs evenly, `clock` is the wall clock.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub fn new(config: Config, store: S, now: Time, clock: WallTime) -> Result<Self, StoreError> {
        let earlier = store.peers()?;
        let mut rng = Rng::new(config.seed);
        let chain = open_chain(&config, store)?;
        let node = Identity::from(config);
        let config = &node.config;
        let dialer = Dialer::new(node.peer_id, rng.next_u64(), now);
        let dialer = super::neighbours::first_candidates(dialer, now, config, &earlier);
        let mining = Mining::new(config.mine, now, rng.next_u64());
        let sync = Syncs::new(rng.next_u64(), config.limits.headers_kept);
        let remembered = Remembered::new(earlier.into_iter().map(|(peer, _)| peer), rng.next_u64());
        let mut engine = Self {
            mode: Mode::new(chain.tip().clone(), now.after_ms(START_PATIENCE_MS)),
            clock: Clock::new(config.peer_clock.clone(), now, clock),
            effort: Effort::new(),
            chain,
            pool: Mempool::new(),
            storage: Storage::default(),
            mining,
            sync,
            relay: Relay::default(),
            compacts: Compacts::default(),
            payments: Payments {
                own: OwnPayments::new(now),
                pools: Pools::new(),
            },
            peers: Peers {
                links: Links::new(rng),
                standing: Standing::default(),
                requests: Requests::new(now),
                dialer,
                exchange: Exchange::new(node.peer_id, config.seed.rotate_left(32), config.exchange),
                remembered,
            },
            runs: Runs::default(),
            notices: Notices::new(now),
            out: Out::default(),
            node,
        };
        engine.restore_own()?;
        engine.out = Out::new(engine.present());
        engine.tip_moved();
        Ok(engine)
    }

    /// Takes a fact; its orders are handed out by [`Engine::poll_output`].
    pub fn handle(&mut self, now: Time, input: Input) {
        self.clock.advance(now);
        self.pool.set_clock(self.clock.own());
        self.effort.begin();
        match input {
            Input::Heard(before) => return self.peers.requests.hear(before),
            Input::Command { id, command } => self.on_command(id, command),
            Input::Cancel { id } => self.on_cancel(id),
            Input::Net(fact) => self.on_net(fact),
            Input::Miner(MinerFact::Found { job, nonce }) => self.on_found(job, nonce),
            Input::Miner(MinerFact::Exhausted { job }) => self.mining.exhausted(self.clock.now(), job),
            Input::Miner(MinerFact::Rate(rate)) => self.mining.measured(rate),
            Input::Store(fact) => self.on_store(fact),
            Input::Done { id, outcome } => self.on_done(id, outcome),
            Input::Checked { number, verdicts } => self.on_checked(number, verdicts),
            Input::Part(fact) => self.on_part(fact),
            Input::Clock(wall) => self.clock.set(wall),
            Input::Tick => self.peers.requests.hear(self.after(1)),
            Input::Stop => self.on_stop(),
        }
        self.turn();
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
    }

    /// What holds after every turn, whatever was told.
    fn check_invariants(&self) {
        let (links, requests) = (&self.peers.links, &self.peers.requests);
        assert!(
            links.ids().iter().eq(requests.peers()),
            "a link for whoever is connected, and for nobody else"
        );
        assert!(requests.is_sound(), "each open question counts at a connected peer");
        assert!(
            self.takes_blocks() || self.sync.is_idle(),
            "nobody is followed while no block is taken"
        );
        assert!(
            !self.mode.stopping || !self.mining.is_searching(),
            "no search while the node stops"
        );
        let wakeup = self.next_wakeup();
        assert!(wakeup.is_none_or(|at| at >= self.clock.now()), "no wake-up in the past");
    }

    fn on_net(&mut self, fact: NetFact) {
        match fact {
            NetFact::Listening(address) => self.on_listening(address),
            NetFact::NotListening(address) => {
                self.peers.links.listens_no_longer(&address);
                self.peers.dialer.handle(self.clock.now(), dial::Fact::Reset);
            }
            NetFact::Networks(networks) => self.peers.links.set_networks(networks),
            NetFact::Elsewhere { count, source } => self.notices.seen.elsewhere = Some((count, source)),
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
            NetFact::Agent { peer, agent } => self.peers.links.called_itself(&peer, &agent),
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
            NetFact::Latency { peer, ms } => self.peers.links.measured(&peer, ms),
        }
    }

    /// Emits `started` once, and what begins with it.
    pub(super) fn start(&mut self) {
        if self.mode.started {
            return;
        }
        self.mode.started = true;
        self.notices.alone.starts(self.clock.now());
        let mut status = Box::new(self.status());
        // Events that waited come behind it: they lead from what the store held to what is there now.
        status.height = self.mode.opened.header.height;
        status.tip = self.mode.opened.hash;
        status.work = self.mode.opened.work;
        status.bits = self.mode.opened.header.bits;
        self.out.open(Event::Started(status));
        for (code, message) in core::mem::take(&mut self.node.config.start_warnings) {
            self.out.warn(code, message);
        }
        self.claim_own_name();
    }

    /// Everything that time or the last fact made due, then the outputs in their order.
    fn turn(&mut self) {
        self.watch_store();
        self.pump_compact();
        self.pump_switch();
        self.run_timers();
        self.pump_sync();
        self.pump_pools();
        self.pump_status();
        self.pump_tips();
        self.pump_exchange();
        self.pump_dials();
        self.pump_mining();
        self.pump_drops();
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
            (!self.mode.started).then_some(self.mode.start_by),
            self.peers.dialer.next_wakeup(self.clock.now()),
            self.peers.exchange.next_wakeup(),
            self.peers.standing.next_wakeup(),
            self.peers.links.next_wakeup(),
            self.relay.next_wakeup(),
            self.compact_wakeup(),
            self.peers.requests.next_wakeup(),
            self.mining.next_wakeup(),
            self.switch_wakeup(),
            self.sync_wakeup(),
            self.pools_wakeup(),
            self.payments.own.next_wakeup(),
            self.notices.next_wakeup(),
            self.runs.next_wakeup(self.clock.now()),
        ];
        times.into_iter().flatten().min().map(|time| time.max(self.clock.now()))
    }

    /// `now` and some milliseconds.
    pub(super) const fn after(&self, ms: u64) -> Time {
        self.clock.now().after_ms(ms)
    }

    /// Asks a peer; the answer comes back with the question.
    pub(super) fn ask(&mut self, peer: PeerId, what: Question, request: Request, patience_ms: Option<u64>) -> u64 {
        let id = self.peers.requests.ask(self.clock.now(), peer, what, patience_ms);
        self.out.order(NetOrder::Request { id, peer, request });
        id
    }

    /// Where rewards go: the own name once it is confirmed as this key's, else the key account.
    pub(super) fn reward_account(&self) -> Account {
        self.view().reward_account()
    }

    /// The node's own id.
    #[must_use]
    pub const fn peer_id(&self) -> PeerId {
        self.node.peer_id
    }

    /// The store as it is now, for an [`Errand::Read`](super::Errand).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn snapshot(&self) -> Result<S, StoreError>
    where
        S: Clone,
    {
        self.chain.snapshot()
    }

    /// The state of the node, as `status` answers it.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        let tip = self.chain.tip();
        NodeStatus {
            peer_id: self.node.peer_id.to_string(),
            name: self.node.config.name.clone(),
            account: self.reward_account(),
            network: self.node.config.params.label(),
            network_id: self.chain.network_id(),
            height: tip.header.height,
            tip: tip.hash,
            work: tip.work,
            bits: tip.header.bits,
            spacing_ms: self.aimed_spacing(),
            halflife_ms: self.chain.params().halflife_ms,
            peers: count(self.peers.links.known().count()),
            pending: count(self.pool.len()),
            addresses: self
                .peers
                .links
                .addresses()
                .iter()
                .map(|address| address.with_peer(&self.node.peer_id))
                .collect(),
            data_dir: self.node.config.data_dir.clone(),
            mining: self.mining.is_on(),
            hash_rate: self.mining.rate(),
            syncing: self.is_syncing(),
            net: self.mode.net,
            // Whoever hands the status on knows who may have it.
            web: None,
        }
    }

    /// Own name taken by another key: said once.
    pub(super) fn check_name(&mut self) {
        let Some(name) = self.node.config.name.clone() else {
            return;
        };
        match self.chain.owner(&Account::Name(name.clone())) {
            Ok(Some(owner)) if owner != self.node.me && self.notices.name.tell() => {
                let message = format!(
                    "the name {name} belongs to {}; rewards go to this node's key account",
                    self.other_key(&owner)
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
    chain.set_own_name(config.name.clone());
    chain.set_hash_many(config.hash_many);
    Ok(chain)
}
