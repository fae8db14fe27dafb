//! The reply of `stats`: the intervals and difficulty of blocks, their miners, and the richest accounts.
//!
//! Elsewhere: the computation (`inspect::stats`). Spec: `proto-notes/events.md`, "Replies".

use serde::Serialize;

use crate::contract::AccountView;
use crate::types::{Account, Height};

/// The time between blocks, over some blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct Intervals {
    pub count: u64,
    pub shortest_ms: u64,
    pub median_ms: u64,
    pub mean_ms: u64,
    pub longest_ms: u64,
}

/// An account that got block rewards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct MinerView {
    pub account: Account,
    /// The PeerId of the key that owns the account; null for a free name.
    pub owner: Option<String>,
    pub blocks: u64,
}

/// An account whose transactions take room in blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct FillerView {
    pub account: Account,
    pub transactions: u64,
    pub bytes: u64,
}

/// How fast the chain grows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Growth {
    /// The bytes of the examined blocks.
    pub bytes: u64,
    /// The growth in bytes per hour; null before two blocks were mined.
    pub bytes_per_hour: Option<u64>,
    /// The accounts that pay in the newest of these blocks, the one with the most bytes first.
    pub fillers: Vec<FillerView>,
}

/// The disk space that the chain uses, and what is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DiskView {
    /// The bytes of the chain file and its page sums, as the file system counts them.
    pub chain_bytes: u64,
    /// The bytes that this user may still write.
    pub free_bytes: u64,
}

/// The reply of `stats`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct Stats {
    pub from_height: Height,
    pub to_height: Height,
    pub transactions: u64,
    /// The time between blocks that the network aims at.
    pub spacing_ms: u64,
    /// Whether the difficulty follows the spacing, for people.
    #[serde(skip)]
    pub is_adjusting: bool,
    pub halflife_ms: u32,
    /// The intervals of these blocks; null before two blocks were mined.
    pub intervals: Option<Intervals>,
    /// The bits of each block, oldest first.
    pub bits: Vec<u32>,
    pub miners: Vec<MinerView>,
    pub miners_total: u64,
    pub richest: Vec<AccountView>,
    pub accounts_total: u64,
    pub growth: Growth,
    /// The disk space; null where the system does not tell.
    pub disk: Option<DiskView>,
}
