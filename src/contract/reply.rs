//! What commands answer: typed data whose field names are the console contract's, and errors with hints.
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

/// A refused command: the contract's code, what is wrong, and what can be typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CommandError {
    /// The contract's code in snake_case.
    pub code: &'static str,
    /// What is wrong, lower case, no full stop.
    pub message: String,
    /// What can be done; never empty.
    pub hint: String,
}

impl CommandError {
    /// A refusal: the contract's code, what is wrong, and what can be typed.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// What kind of refusal it is.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        Refusal::of(self.code)
    }
}

/// How a command ended that was refused, as far as anything follows from it besides what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was refused or failed.
    Failed,
    /// What it waited for did not come in time.
    TimedOut,
    /// Its user gave up, or the node stops.
    Interrupted,
}

impl Refusal {
    /// The code of a command that waited in vain.
    pub const TIMEOUT: &'static str = "timeout";
    /// The code of a command that was given up.
    pub const INTERRUPTED: &'static str = "interrupted";

    /// What a code of the contract says, also one that another process wrote.
    #[must_use]
    pub fn of(code: &str) -> Self {
        match code {
            Self::TIMEOUT => Self::TimedOut,
            Self::INTERRUPTED => Self::Interrupted,
            _ => Self::Failed,
        }
    }
}

/// TX of the contract.
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

/// BLOCK of the contract.
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
    pub header: String,
    pub transactions: Vec<TxView>,
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TxStatus {
    /// In the pool.
    Pending,
    /// In the active chain.
    Confirmed,
    /// Known, and in neither.
    Dropped,
}

/// An entry of `accounts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct AccountView {
    pub account: Account,
    pub balance: Balance,
    pub owner: Option<String>,
}

/// An entry of `peers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct PeerView {
    pub peer_id: String,
    pub name: Option<AccountName>,
    pub name_proven: bool,
    pub address: String,
    pub height: Height,
    pub work: Work,
    pub latency_ms: Option<u64>,
    pub found_by: FoundBy,
}

/// A refused node in `peers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct BanView {
    pub peer_id: String,
    pub name: Option<AccountName>,
    pub name_proven: bool,
    pub left_ms: u64,
}

/// What `drop`, `ban` and `unban` answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct PeerActed {
    pub peer_id: String,
    pub name: Option<AccountName>,
    pub name_taken: bool,
    /// How long it is refused; none if it is not.
    pub banned_ms: Option<u64>,
    pub message: String,
}

/// An entry of `tree`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct TipView {
    pub hash: BlockHash,
    pub height: Height,
    pub work: Work,
    pub active: bool,
    pub fork_height: Height,
}

/// A block of the drawn tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct TreeBlock {
    pub hash: BlockHash,
    pub height: Height,
    pub previous_hash: BlockHash,
    pub time_ms: WallTime,
    /// What it adds to its branch.
    pub adds_work: Work,
    pub work: Work,
    pub active: bool,
    pub miner: Option<Account>,
    /// The next block of this list below it; none for the lowest.
    pub below: Option<BlockHash>,
    /// Blocks between it and that one.
    pub skipped: u64,
}

/// `status`, and what `started` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct Status {
    pub peer_id: String,
    pub name: Option<AccountName>,
    pub account: Account,
    pub network: String,
    pub network_id: NetworkId,
    pub height: Height,
    pub tip: BlockHash,
    pub work: Work,
    pub bits: Bits,
    pub peers: u64,
    pub pending: u64,
    pub addresses: Vec<String>,
    pub data_dir: String,
    pub mining: bool,
    pub hash_rate: u64,
    pub syncing: bool,
    pub net: bool,
}

/// The data of a successful command; serialises to the contract's `data`.
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
        /// What it means, for people: who owns the names now, and what is owed.
        #[serde(skip)]
        lessons: Vec<String>,
    },
    Mined {
        message: String,
        count: u32,
        blocks: Vec<BlockView>,
        /// Blocks that the session asks for one by one, as in [`Reply::Chain`].
        #[serde(skip)]
        rest: Vec<BlockHash>,
    },
    Mining {
        mining: bool,
    },
    Chain {
        length: u64,
        blocks: Vec<BlockView>,
        /// The blocks that belong behind these: whoever shows them asks for one after the other, so that nobody else waits.
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
        /// Whether a neighbour is known to have it; none unless it is this node's own and waits, and for five seconds.
        known_to_neighbour: Option<bool>,
    },
    Pending {
        transactions: Vec<TxView>,
    },
    Balance {
        account: Account,
        balance: Balance,
        pending: Balance,
        owner: Option<String>,
        next_sequence: u64,
    },
    Accounts {
        total: u64,
        /// All of this node's own, by name.
        own: Vec<AccountView>,
        accounts: Vec<AccountView>,
        /// The own ones, then the richest, for people.
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
        /// What is typed at another node.
        ticket: String,
        network: String,
        /// Where the ticket leads.
        addresses: Vec<String>,
        message: String,
    },
    Resolved {
        replaced: bool,
        message: String,
        /// What stands in the way: own blocks from the future.
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
    Status(Box<Status>),
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
