//! Events: one enum for both the human log line and the `--json` line. The field names are those of the JSON contract.
//!
//! Spec: `proto-notes/events.md`.

use core::fmt;
use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use strum::IntoStaticStr;

use crate::contract::{DisconnectReason, NodeStatus};
use crate::types::{Account, AccountName, Bits, BlockHash, Height, PeerId, Txid, Work};

/// The origin of a transaction or block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// This node made it.
    Local,
    /// This peer sent it.
    Peer(PeerId),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Peer(peer) => peer.fmt(f),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The side that opened a connection; of a payment, whether this node received it or paid it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The peer dialled this node; this node received the payment.
    In,
    /// This node dialled the peer; this node signed the payment.
    Out,
}

/// How this node learned of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FoundBy {
    /// Multicast DNS named it.
    Mdns,
    /// It runs on this machine, with another data folder.
    Sibling,
    /// The user named it, by `--peer`, `dial` or `join`.
    Manual,
    /// It was in the store since an earlier session.
    Remembered,
    /// It dialled this node.
    Inbound,
    /// Another peer reported it.
    Told,
}

/// How certain it is that a peer may use the name that it announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameStanding {
    /// The chain says that the name belongs to this peer.
    Proven,
    /// Nobody else owns the name, but the chain does not say that this peer does.
    Said,
    /// Another key owns the name in the chain.
    Taken,
}

/// A transaction that a reorganisation dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// The id of the transaction that is not back.
    pub txid: Txid,
    /// The code of the reason, as `transaction_dropped` has it.
    pub code: &'static str,
    /// The reason in words, for people only.
    #[serde(skip)]
    pub message: String,
}

/// What an event says of the block that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockFacts {
    /// The hash of the block.
    pub hash: BlockHash,
    /// The height of the block.
    pub height: Height,
    /// The hash of its parent.
    pub previous_hash: BlockHash,
    /// The account that got the reward; none for genesis.
    pub miner: Option<Account>,
    /// The time in its header, in milliseconds since 1970.
    pub block_time_ms: u64,
    /// The bits in its header.
    pub bits: Bits,
    /// The work that it adds to its branch.
    pub adds_work: Work,
    /// The work of its branch up to and including it.
    pub work: Work,
}

/// What an event says of a payment to or from this node's accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(
    missing_docs,
    reason = "the fields are the words of the contract in proto-notes/events.md"
)]
pub struct OwnPayment {
    pub txid: Txid,
    pub from: Account,
    pub to: Account,
    pub amount: u64,
    pub direction: Direction,
    pub height: Height,
}

/// What every event line begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventStamp {
    /// When the event was told, in milliseconds since 1970.
    pub time_ms: u64,
    /// The run of the node that told it.
    pub run: RunId,
    /// The number of the event in that run, from 1.
    pub seq: u64,
}

/// A run of a node: a random number that is new at each start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunId([u8; 8]);

impl RunId {
    /// A run with this number.
    #[must_use]
    pub const fn new(number: [u8; 8]) -> Self {
        Self(number)
    }
}

impl fmt::Display for RunId {
    /// Writes 16 hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Something that happened. `peer_id` and similar fields are written as text, absent values as `null`. Only the fields
/// are serialised; the name of the event is added to its line.
#[derive(Clone, Debug, PartialEq, Serialize, IntoStaticStr)]
#[serde(untagged)]
#[strum(serialize_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "the fields are the words of the contract in proto-notes/events.md"
)]
pub enum Event {
    /// The first event, written when the node listens.
    Started(Box<NodeStatus>),
    PeerFound {
        peer_id: String,
        address: String,
        found_by: FoundBy,
    },
    /// A peer is connected, and its status is known.
    PeerConnected {
        peer_id: String,
        name: Option<AccountName>,
        /// Whether the chain says that the name belongs to this peer.
        name_proven: bool,
        /// Whether another key owns the name in this chain.
        name_taken: bool,
        address: String,
        direction: Direction,
        found_by: FoundBy,
    },
    PeerDisconnected {
        peer_id: String,
        name: Option<AccountName>,
        /// Whether another key owns the name in this chain.
        name_taken: bool,
        reason: DisconnectReason,
    },
    /// A connected peer says that it has this tip.
    PeerTip {
        peer_id: String,
        height: Height,
        tip: BlockHash,
        work: Work,
    },
    /// A connected peer has another name from now on.
    PeerNamed {
        peer_id: String,
        name: Option<AccountName>,
        /// Whether the chain says that the name belongs to this peer.
        name_proven: bool,
        /// Whether another key owns the name in this chain.
        name_taken: bool,
        address: String,
    },
    TransactionAccepted {
        txid: Txid,
        kind: &'static str,
        from: String,
        to: Option<Account>,
        amount: u64,
        sequence: Option<u64>,
        /// The PeerId of the key that signed it.
        signer: String,
        source: Source,
    },
    TransactionRejected {
        txid: Option<Txid>,
        code: &'static str,
        message: String,
        source: Source,
    },
    /// A transaction that left the pool or the chain, and is not in the active chain.
    TransactionDropped {
        txid: Txid,
        kind: &'static str,
        from: String,
        to: Option<Account>,
        amount: u64,
        code: &'static str,
        message: String,
    },
    /// Other transactions that were dropped, too many to be named.
    TransactionsDropped {
        count: u64,
        by_code: BTreeMap<&'static str, u64>,
    },
    /// A payment to or from this node's accounts is in a block of the active chain.
    PaymentConfirmed {
        #[serde(flatten)]
        payment: OwnPayment,
    },
    /// A reorganisation took such a payment out of the active chain; `height` is that of the block that left.
    PaymentUnconfirmed {
        #[serde(flatten)]
        payment: OwnPayment,
    },
    Mined {
        #[serde(flatten)]
        block: BlockFacts,
    },
    BlockConnected {
        #[serde(flatten)]
        block: BlockFacts,
        transactions: usize,
        source: Source,
    },
    BlockDisconnected {
        #[serde(flatten)]
        block: BlockFacts,
    },
    BlockStored {
        #[serde(flatten)]
        block: BlockFacts,
        source: Source,
    },
    BlockRejected {
        hash: Option<BlockHash>,
        height: Option<Height>,
        code: &'static str,
        message: String,
        source: Source,
    },
    Reorganized {
        depth: u64,
        fork_height: Height,
        old_tip: BlockHash,
        new_tip: BlockHash,
        /// At most 1,000 of the transactions that wait again.
        returned: Vec<Txid>,
        returned_count: u64,
        /// At most 1,000 of those that do not, own ones first.
        dropped: Vec<Dropped>,
        dropped_count: u64,
    },
    SyncStarted {
        peer_id: String,
        height: Height,
        target_height: Height,
    },
    SyncProgress {
        peer_id: String,
        height: Height,
        target_height: Height,
    },
    SyncFinished {
        peer_id: String,
        height: Height,
        target_height: Height,
    },
    Warning {
        code: &'static str,
        message: String,
    },
    /// The last event, written when the node stops.
    Stopped {
        exit_status: u8,
    },
}

impl Event {
    /// The name of the event in the JSON contract: the variant in `snake_case`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.into()
    }
}
