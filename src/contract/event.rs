//! What happened: one enum that feeds the human log line and the `--json` line. Field names are the contract's.
//!
//! Spec: `proto-notes/events.md`.

use core::fmt;

use serde::{Serialize, Serializer};
use strum::IntoStaticStr;

use crate::contract::{DisconnectReason, Status};
use crate::types::{Account, AccountName, BlockHash, Height, PeerId, Txid, Work};

/// Who brought something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// This node.
    Local,
    /// A peer.
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

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The peer.
    In,
    /// This node.
    Out,
}

/// How a peer was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FoundBy {
    /// Multicast DNS.
    Mdns,
    /// Another data folder of this machine.
    Sibling,
    /// `--peer` or `dial`.
    Manual,
    /// The store.
    Remembered,
    /// It dialled.
    Inbound,
    /// A peer told of it.
    Told,
}

/// How certain a name is that a peer gave itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameStanding {
    /// The chain says that it is this peer's.
    Proven,
    /// Nobody says anything else.
    Said,
    /// Another key holds it here.
    Taken,
}

/// Something that happened. `peer_id` and the like are written as text, absent values as `null`. Written are its fields alone;
/// what it is called stands before them in its line.
#[derive(Clone, Debug, PartialEq, Serialize, IntoStaticStr)]
#[serde(untagged)]
#[strum(serialize_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "the fields are the words of the contract in proto-notes/events.md"
)]
pub enum Event {
    /// The first event, once listening.
    Started(Box<Status>),
    PeerFound {
        peer_id: String,
        address: String,
        found_by: FoundBy,
    },
    /// Connected and its status is known.
    PeerConnected {
        peer_id: String,
        name: Option<AccountName>,
        /// Another key holds the name here.
        name_taken: bool,
        address: String,
        direction: Direction,
        found_by: FoundBy,
    },
    PeerDisconnected {
        peer_id: String,
        name: Option<AccountName>,
        /// Another key holds the name here.
        name_taken: bool,
        reason: DisconnectReason,
    },
    /// A connected peer is called something else from now on.
    PeerNamed {
        peer_id: String,
        name: Option<AccountName>,
        /// The chain says that it is this peer's.
        name_proven: bool,
        /// Another key holds the name here.
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
        source: Source,
    },
    TransactionRejected {
        txid: Option<Txid>,
        code: &'static str,
        message: String,
        source: Source,
    },
    Mined {
        hash: BlockHash,
        height: Height,
    },
    BlockConnected {
        hash: BlockHash,
        height: Height,
        previous_hash: BlockHash,
        transactions: usize,
        source: Source,
    },
    BlockDisconnected {
        hash: BlockHash,
        height: Height,
    },
    BlockStored {
        hash: BlockHash,
        height: Height,
        work: Work,
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
        returned: Vec<Txid>,
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
    /// The last event.
    Stopped {
        exit_status: u8,
    },
}

impl Event {
    /// What the contract calls it: the variant in `snake_case`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.into()
    }
}
