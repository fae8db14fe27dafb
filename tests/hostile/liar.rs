//! One identity: the node's own network part, and in place of an engine a handful of lies.
//!
//! Promises: what is not lied about is said as a node says it that has nothing but the first block.

use lanchain::chain::{Block, NetworkParams};
use lanchain::engine::{NetFact, NetOrder, Verdict};
use lanchain::net::{self, NetConfig};
use lanchain::types::{Address, PeerId, SecretKey};
use lanchain::wire::{Request, Response, Status, ToldPeer, Topic};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::{Task, forge, now_ms, say};

/// What of its words is not true.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lie {
    /// How far its clock is ahead.
    pub(crate) clock_ahead_ms: i64,
    /// It claims a long chain.
    pub(crate) claims_work: bool,
    /// It answers nothing but where it stands.
    pub(crate) is_silent: bool,
    /// Whom it tells of.
    pub(crate) tells: Vec<ToldPeer>,
    /// Blocks whose transactions it gives to whoever asks.
    pub(crate) holds: Vec<Block>,
}

/// A peer that lies.
pub(crate) struct Liar {
    number: u64,
    network: NetworkParams,
    lie: Lie,
    orders: mpsc::Sender<NetOrder>,
    facts: mpsc::UnboundedReceiver<NetFact>,
    connected: Vec<PeerId>,
    asked: u64,
}

impl Liar {
    /// Starts the identity with this number and dials all nodes of the task.
    pub(crate) fn start(task: &Task, number: u64, lie: Lie) -> Option<Self> {
        let (orders, order) = mpsc::channel(1024);
        #[expect(clippy::disallowed_methods, reason = "what a test sends is bounded by the test")]
        let (tell, facts) = mpsc::unbounded_channel();
        let key = identity(task, number);
        let config = NetConfig {
            key,
            network_id: task.network.network_id(),
            // Nobody is to call it: it tells no address that another host can use.
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
            port: 0,
            bind: Vec::new(),
            mdns: false,
        };
        #[expect(clippy::result_large_err, reason = "the form that the network part asks for")]
        let sink = Box::new(move |_, fact| {
            // Nobody waits behind this queue: it takes what comes until the program ends.
            tell.send(fact).unwrap_or_default();
            Ok(())
        });
        if let Err(error) = net::start(&config, order, sink) {
            say("failed", json!({ "identity": number, "reason": error.to_string() }));
            return None;
        }
        let mut liar = Self {
            number,
            network: task.network.clone(),
            lie,
            orders,
            facts,
            connected: Vec::new(),
            asked: 0,
        };
        task.to.iter().for_each(|to| liar.dial(to));
        Some(liar)
    }

    fn dial(&mut self, to: &Address) {
        let addresses = vec![to.clone()];
        self.order(NetOrder::Dial { peer: None, addresses });
    }

    /// What does not fit in the queue is left out: no hostile peer waits.
    pub(crate) fn order(&mut self, order: NetOrder) {
        self.orders.try_send(order).unwrap_or_default();
    }

    /// Whether a node listens to it.
    pub(crate) fn is_connected(&self) -> bool {
        !self.connected.is_empty()
    }

    /// Takes the next fact; false after the end of the network.
    pub(crate) async fn step(&mut self) -> bool {
        let fact = self.facts.recv().await;
        let is_some = fact.is_some();
        if let Some(fact) = fact {
            self.heard(fact);
        }
        is_some
    }

    /// Answers and listens until then.
    pub(crate) async fn live(&mut self, until: Instant) {
        while let Ok(true) = timeout_at(until, self.step()).await {}
    }

    fn heard(&mut self, fact: NetFact) {
        let identity = self.number;
        match fact {
            NetFact::Connected { peer, address, .. } => {
                say("connected", json!({ "identity": identity, "address": address }));
                self.connected.push(peer);
                self.asked += 1;
                let (id, request) = (self.asked, Request::Status(self.status()));
                self.order(NetOrder::Request { id, peer, request });
            }
            NetFact::Disconnected { peer, reason } => {
                say("disconnected", json!({ "identity": identity, "reason": reason }));
                self.connected.retain(|other| *other != peer);
            }
            NetFact::DialFailed { reason, .. } => {
                say("dial_failed", json!({ "identity": identity, "reason": reason }));
            }
            NetFact::Gossip {
                token, topic, bytes, ..
            } => {
                if let (Topic::Blocks, Ok(header)) = (topic, Block::header_of(&bytes)) {
                    let (hash, height) = (header.hash().to_string(), header.height.get());
                    say("block", json!({ "identity": identity, "hash": hash, "height": height }));
                }
                let verdict = Verdict::Ignore;
                self.order(NetOrder::Verdict { token, verdict });
            }
            NetFact::Request { token, request, .. } => self.answer(token, &request),
            _ => {}
        }
    }

    fn answer(&mut self, token: u64, request: &Request) {
        if self.lie.is_silent && !matches!(request, Request::Status(_)) {
            return say("asked", json!({ "identity": self.number }));
        }
        let response = match request {
            Request::Status(_) => Response::Status(self.status()),
            Request::GetHeaders { .. } => Response::Headers(Vec::new()),
            Request::GetBlocks { .. } => Response::Blocks(Vec::new()),
            Request::GetPending { .. } => Response::Pending(Vec::new()),
            Request::GetTransactions { block, positions } => {
                let block = self.lie.holds.iter().find(|held| held.hash().as_bytes() == block);
                let at = |at: &u16| Some(block?.transactions.get(usize::from(*at))?.to_bytes());
                Response::Transactions(positions.iter().map(at).collect::<Option<_>>().unwrap_or_default())
            }
            Request::GetPeers => {
                say(
                    "told",
                    json!({ "identity": self.number, "peers": self.lie.tells.len() }),
                );
                Response::Peers(self.lie.tells.clone())
            }
        };
        self.order(NetOrder::Answer { token, response });
    }

    fn status(&self) -> Status {
        let clock_ms = now_ms().saturating_add_signed(self.lie.clock_ahead_ms);
        status(&self.network, self.number, self.lie.claims_work, clock_ms)
    }
}

/// Where a peer says that it stands.
pub(crate) fn status(network: &NetworkParams, number: u64, claims_work: bool, clock_ms: u64) -> Status {
    let mut status = Status {
        instance: number,
        ..lanchain::testing::statuses::empty(*network.genesis().hash().as_bytes(), clock_ms)
    };
    if claims_work {
        status.tip[..8].copy_from_slice(&number.to_be_bytes());
        status.height = 1_000_000;
        status.work[16] = 1;
    }
    status
}

/// The key of a peer.
pub(crate) fn identity(task: &Task, number: u64) -> SecretKey {
    forge::key(task.seed, number, u64::MAX)
}
