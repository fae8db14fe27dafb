//! What `stats` answers: how fast blocks came, how hard they were, who found them, who owns most.
//!
//! Promises: pure; looks at a bounded number of blocks and accounts. Elsewhere: what is read (`engine::visible`).
//! Spec: `proto-notes/events.md`, "Replies".

use std::collections::BTreeMap;

use serde::Serialize;

use super::machine::count;
use super::reply::AccountView;
use crate::chain::{Header, Transaction};
use crate::types::{Account, Height};

/// Miners and rich accounts that are listed.
pub const TOP_MAX: usize = 10;
/// Accounts that are looked through for the richest.
pub const ACCOUNTS_MAX: usize = 10_000;

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

/// Bytes of the newest blocks that are read for who fills them: more would make the question slow.
pub const FILLED_MAX_BYTES: u64 = 1024 * 1024;

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

/// The intervals of headers, oldest first. Genesis has the time that the parameters say, so what follows it is no
/// interval.
#[must_use]
pub fn intervals(headers: &[Header]) -> Option<Intervals> {
    let mut all: Vec<u64> = headers
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] if a.height != Height::GENESIS => Some(b.time.since(a.time)),
            _ => None,
        })
        .collect();
    all.sort_unstable();
    let (shortest_ms, longest_ms) = (*all.first()?, *all.last()?);
    let sum = all.iter().fold(0_u64, |sum, ms| sum.saturating_add(*ms));
    Some(Intervals {
        count: count(all.len()),
        shortest_ms,
        median_ms: all[all.len() / 2],
        mean_ms: sum / count(all.len()).max(1),
        longest_ms,
    })
}

/// Bytes an hour of blocks that came in these intervals.
#[must_use]
pub fn bytes_per_hour(bytes: u64, intervals: Option<&Intervals>) -> Option<u64> {
    let intervals = intervals?;
    let elapsed_ms = intervals.mean_ms.saturating_mul(intervals.count).max(1);
    let hourly = u128::from(bytes) * 3_600_000 / u128::from(elapsed_ms);
    Some(u64::try_from(hourly).unwrap_or(u64::MAX))
}

/// Who fills blocks: the accounts whose transactions have the most bytes.
#[must_use]
pub fn fillers<'a>(transactions: impl Iterator<Item = &'a Transaction>) -> Vec<FillerView> {
    let mut sums: BTreeMap<Account, (u64, u64)> = BTreeMap::new();
    for transaction in transactions {
        if let Some((account, _)) = transaction.sequence() {
            let (number, bytes) = sums.entry(account).or_default();
            *number += 1;
            *bytes += count(transaction.to_bytes().len());
        }
    }
    let view = |(account, (transactions, bytes))| FillerView {
        account,
        transactions,
        bytes,
    };
    let mut list: Vec<FillerView> = sums.into_iter().map(view).collect();
    list.sort_by_key(|filler| core::cmp::Reverse(filler.bytes));
    list.truncate(TOP_MAX);
    list
}

/// Who found how many, the most first, and how many miners there are.
#[must_use]
pub fn miners(found: impl Iterator<Item = Account>) -> (Vec<MinerView>, u64) {
    let mut counts: BTreeMap<Account, u64> = BTreeMap::new();
    for account in found {
        *counts.entry(account).or_default() += 1;
    }
    let total = count(counts.len());
    let mut list: Vec<MinerView> = counts
        .into_iter()
        .map(|(account, blocks)| MinerView { account, blocks })
        .collect();
    list.sort_by_key(|miner| core::cmp::Reverse(miner.blocks));
    list.truncate(TOP_MAX);
    (list, total)
}

/// The accounts that own most, and owe least.
#[must_use]
pub fn richest(mut accounts: Vec<AccountView>) -> Vec<AccountView> {
    accounts.retain(|view| view.balance > 0);
    accounts.sort_by_key(|view| core::cmp::Reverse(view.balance));
    accounts.truncate(TOP_MAX);
    accounts
}
