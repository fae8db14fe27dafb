//! The replies to commands: typed data with the field names of the console contract, and errors with hints.
//!
//! Spec: `proto-notes/events.md`, "Replies".

use serde::Serialize;

use super::diagnosis::Diagnosis;
use super::explained::{BlockExplained, Tampered, TxExplained};
use crate::chain::merkle::ProofStep;
use crate::contract::{FoundBy, Stats};
use crate::types::{
    Account, AccountName, Balance, Bits, BlockHash, Height, MerkleRoot, NetworkId, Txid, WallTime, Work,
};

/// The error of a command: the code of the contract, what is wrong, and what the user can type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CommandError {
    /// The error code of the contract, in `snake_case`.
    pub code: &'static str,
    /// What is wrong, in lower case and without a full stop.
    pub message: String,
    /// What the user can do about it; never empty.
    pub hint: String,
}

impl CommandError {
    /// An error from its code, what is wrong, and what the user can type.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// The kind of failure that the code stands for.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        Refusal::of(self.code)
    }
}

/// How a command failed, as far as the caller must treat it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The command was refused or failed.
    Failed,
    /// The condition it waited for did not come in time.
    TimedOut,
    /// The user cancelled it, or the node stops.
    Interrupted,
}

impl Refusal {
    /// The error code of a command whose wait ran out of time.
    pub const TIMEOUT: &'static str = "timeout";
    /// The error code of a command that was cancelled.
    pub const INTERRUPTED: &'static str = "interrupted";

    /// The kind of failure for an error code, which may come from another process.
    #[must_use]
    pub fn of(code: &str) -> Self {
        match code {
            Self::TIMEOUT => Self::TimedOut,
            Self::INTERRUPTED => Self::Interrupted,
            _ => Self::Failed,
        }
    }
}

/// A transaction as TX of the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct TxView {
    pub txid: Txid,
    pub kind: &'static str,
    pub from: String,
    pub to: Option<Account>,
    pub to_owner: Option<String>,
    pub amount: u64,
    pub sequence: Option<u64>,
    pub public_key: Option<String>,
    pub signature: Option<String>,
    pub raw: String,
}

/// A block as BLOCK of the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct BlockView {
    pub hash: BlockHash,
    pub height: Height,
    pub previous_hash: BlockHash,
    pub merkle_root: MerkleRoot,
    pub version: u32,
    pub time_ms: WallTime,
    pub bits: Bits,
    pub nonce: String,
    pub work: Work,
    pub active: bool,
    pub miner: Option<Account>,
    pub header: String,
    pub transactions: Vec<TxView>,
}

/// The state of a transaction at this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TxStatus {
    /// The transaction waits in the pool.
    Pending,
    /// The transaction is in the active chain.
    Confirmed,
    /// The transaction is known, but is neither in the pool nor in the chain.
    Dropped,
}

/// An account in the reply of `accounts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct AccountView {
    pub account: Account,
    pub balance: Balance,
    pub owner: Option<String>,
}

/// The reply of `history`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryView {
    /// The account; null for all that this node owns.
    pub account: Option<Account>,
    /// The number of all transactions, also of those that are not listed.
    pub total: u64,
    /// The newest transactions, the newest first.
    pub entries: Vec<HistoryEntry>,
}

/// A transaction in the reply of `history`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct HistoryEntry {
    pub txid: Txid,
    pub kind: &'static str,
    pub from: String,
    pub to: Option<Account>,
    pub amount: u64,
    /// What the account gains, below zero what it loses.
    pub change: Balance,
    /// The balance of the account after this transaction.
    pub balance: Balance,
    pub status: TxStatus,
    pub height: Option<Height>,
    pub block_hash: Option<BlockHash>,
    /// The time of the block; of a waiting one when this node first saw it.
    pub time_ms: WallTime,
}

/// A connected peer in the reply of `peers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct PeerView {
    pub peer_id: String,
    pub name: Option<AccountName>,
    pub name_proven: bool,
    pub address: String,
    pub height: Height,
    pub tip: BlockHash,
    pub work: Work,
    pub latency_ms: Option<u64>,
    pub found_by: FoundBy,
    /// How long it has been connected.
    pub connected_ms: u64,
    /// The program that it says it is; null until it has said so.
    pub version: Option<String>,
}

/// A banned node in the reply of `peers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct BanView {
    pub peer_id: String,
    pub name: Option<AccountName>,
    pub name_proven: bool,
    pub left_ms: u64,
}

/// The reply of `drop`, `ban` and `unban`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct PeerActed {
    pub peer_id: String,
    pub name: Option<AccountName>,
    pub name_taken: bool,
    /// How long the peer stays banned, in milliseconds; null if it is not.
    pub banned_ms: Option<u64>,
    pub message: String,
}

/// The end of a branch in the reply of `tree`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct TipView {
    pub hash: BlockHash,
    pub height: Height,
    pub work: Work,
    pub active: bool,
    pub fork_height: Height,
}

/// A block that `tree` draws.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct TreeBlock {
    pub hash: BlockHash,
    pub height: Height,
    pub previous_hash: BlockHash,
    pub time_ms: WallTime,
    /// The work that the block adds to its branch.
    pub adds_work: Work,
    pub work: Work,
    pub active: bool,
    pub miner: Option<Account>,
    /// The next block below it in this list; null for the lowest one.
    pub below: Option<BlockHash>,
    /// The number of blocks between the two that are not drawn.
    pub skipped: u64,
}

/// The reply of `status`, and the fields of the event `started`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct NodeStatus {
    pub peer_id: String,
    pub name: Option<AccountName>,
    pub account: Account,
    pub network: String,
    pub network_id: NetworkId,
    pub height: Height,
    pub tip: BlockHash,
    pub work: Work,
    pub bits: Bits,
    /// The time between blocks that the network aims at; null if its difficulty never changes.
    pub spacing_ms: Option<u64>,
    /// How many bits double the difficulty, in milliseconds.
    pub halflife_ms: u32,
    pub peers: u64,
    pub pending: u64,
    pub addresses: Vec<String>,
    pub data_dir: String,
    pub mining: bool,
    pub hash_rate: u64,
    pub syncing: bool,
    pub net: bool,
    /// The address of the page with its token; null if there is none, and for everybody who must not have it.
    pub web: Option<String>,
}

/// The reply to `web`: where the page is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebReply {
    /// The address for this machine, with the token that commands need.
    pub web: String,
    /// The addresses for others, who may only look; empty if nobody else reaches it.
    pub elsewhere: Vec<String>,
}

/// The reply to a successful command; it serialises to `data` of the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub enum Reply {
    Tx {
        #[serde(flatten)]
        tx: TxView,
        block: Height,
        message: String,
        notice: Option<String>,
        /// What the payment means, for people: who owns the names now, and who owes what.
        #[serde(skip)]
        lessons: Vec<String>,
    },
    Mined {
        message: String,
        count: u32,
        blocks: Vec<BlockView>,
        /// The hashes of further blocks, which the session asks for one by one, as in [`Reply::Chain`].
        #[serde(skip)]
        rest: Vec<BlockHash>,
    },
    Mining {
        mining: bool,
    },
    Chain {
        length: u64,
        blocks: Vec<BlockView>,
        /// The hashes of the blocks that follow. The session asks for them one after another, so that nobody else has
        /// to wait.
        #[serde(skip)]
        rest: Vec<BlockHash>,
    },
    Block(BlockView),
    Transaction {
        #[serde(flatten)]
        tx: TxView,
        status: TxStatus,
        reason: Option<String>,
        height: Option<Height>,
        block_hash: Option<BlockHash>,
        confirmations: Option<u64>,
        proof: Option<Vec<ProofStep>>,
        /// Whether a neighbour is known to have it. Null unless it is this node's own and waits; null also in the first
        /// five seconds.
        known_to_neighbour: Option<bool>,
        /// The time of its block; of a waiting one when this node first saw it; null for a dropped one.
        time_ms: Option<WallTime>,
    },
    Pending {
        transactions: Vec<TxView>,
        /// When this node first saw each of them, for people.
        #[serde(skip)]
        seen: Vec<WallTime>,
    },
    Balance {
        account: Account,
        balance: Balance,
        pending: Balance,
        owner: Option<String>,
        /// The key that will own the name once a block holds its first signature, which waits; null otherwise.
        pending_owner: Option<String>,
        /// The height of that block, if the next one takes it; null for a later one.
        pending_owner_height: Option<Height>,
        next_sequence: u64,
        /// All accounts of this node, names first; null if an account was asked for.
        own: Option<Vec<AccountView>>,
        /// Whether the key that will own the name is this node's, for people.
        #[serde(skip)]
        will_be_own: bool,
    },
    Whoami {
        peer_id: String,
        name: Option<AccountName>,
        /// The account that gets this node's rewards.
        account: Account,
        /// The sum of the balances.
        balance: Balance,
        /// All accounts that this node's key owns, by name; the key account last.
        accounts: Vec<AccountView>,
    },
    History(Box<HistoryView>),
    Accounts {
        total: u64,
        /// All accounts of this node, by name.
        own: Vec<AccountView>,
        accounts: Vec<AccountView>,
        /// The own accounts and then the richest ones, for people.
        #[serde(skip)]
        shown: Vec<AccountView>,
    },
    Tree {
        tips: Vec<TipView>,
        blocks: Vec<TreeBlock>,
    },
    Peers {
        peers: Vec<PeerView>,
        banned: Vec<BanView>,
    },
    Dialled {
        peer_id: String,
        address: String,
        message: String,
    },
    Invited {
        /// The ticket to type at another node.
        ticket: String,
        network: String,
        /// The addresses in the ticket.
        addresses: Vec<String>,
        message: String,
    },
    Resolved {
        replaced: bool,
        /// How many peers said where they stand.
        asked: u64,
        message: String,
        /// Why no better chain can win: own blocks from the future; null if there are none.
        notice: Option<String>,
        height: Height,
        tip: BlockHash,
    },
    Rewound {
        removed: u64,
        message: String,
        height: Height,
        tip: BlockHash,
    },
    Status(Box<NodeStatus>),
    Net {
        net: bool,
    },
    Waited {
        waited_ms: u64,
    },
    BlockExplained(Box<BlockExplained>),
    TransactionExplained(Box<TxExplained>),
    Tampered(Box<Tampered>),
    Stats(Box<Stats>),
    PeerActed(PeerActed),
    Diagnosis(Box<Diagnosis>),
}
