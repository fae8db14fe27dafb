//! What `stats` answers: how fast blocks came, how hard they were, who found them, who owns most.
//!
//! Elsewhere: how it is computed (`inspect::stats`). Spec: `proto-notes/events.md`, "Replies".

use serde::Serialize;

use crate::contract::AccountView;
use crate::types::{Account, Height};

/// How long blocks took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct Intervals {
    pub count: u64,
    pub shortest_ms: u64,
    pub median_ms: u64,
    pub mean_ms: u64,
    pub longest_ms: u64,
}

/// Somebody who found blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct MinerView {
    pub account: Account,
    pub blocks: u64,
}

/// Somebody whose transactions fill blocks.
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
    /// Of the blocks that were looked at.
    pub bytes: u64,
    /// None before two blocks were mined.
    pub bytes_per_hour: Option<u64>,
    /// Who pays in the newest of them, the most bytes first.
    pub fillers: Vec<FillerView>,
}

/// What the chain takes of the disk, and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DiskView {
    /// Of the chain and the sums of its pages, as the file system counts them.
    pub chain_bytes: u64,
    /// What may still be written.
    pub free_bytes: u64,
}

/// What `stats` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct Stats {
    pub from_height: Height,
    pub to_height: Height,
    pub transactions: u64,
    /// What the network aims at.
    pub spacing_ms: u64,
    pub halflife_ms: u32,
    /// None before two blocks were mined.
    pub intervals: Option<Intervals>,
    /// Of each block, oldest first.
    pub bits: Vec<u32>,
    pub miners: Vec<MinerView>,
    pub miners_total: u64,
    pub richest: Vec<AccountView>,
    pub accounts_total: u64,
    pub growth: Growth,
    /// None where the system does not tell.
    pub disk: Option<DiskView>,
}
