//! Computes the reply of `stats`: intervals and difficulty of blocks, their miners, and the richest accounts.
//!
//! Promises: pure; it examines a bounded number of blocks and accounts. Elsewhere: reading blocks (`inspect::blocks`).
//! Spec: `proto-notes/events.md`, "Replies".

use std::collections::BTreeMap;

use super::accounts::account_view;
use super::{View, no_block, store_error};
use crate::chain::{ChainStore, Difficulty, Header, Transaction};
use crate::contract::{AccountView, CommandError, DiskView, FillerView, Growth, Intervals, MinerView, Reply, Stats};
use crate::types::{Account, Height, count};

/// The most miners and the most rich accounts that are listed.
pub const TOP_MAX: usize = 10;
/// The most accounts that are examined for the richest ones.
pub const ACCOUNTS_MAX: usize = 10_000;

/// The bytes of the newest blocks that are read to find who fills them; more would make the reply slow.
pub const FILLED_MAX_BYTES: u64 = 1024 * 1024;

/// The intervals between headers, which come oldest first. The interval after genesis does not count, because the time
/// of genesis is fixed by the parameters.
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

/// The bytes per hour of blocks that came in these intervals.
#[must_use]
pub fn bytes_per_hour(bytes: u64, intervals: Option<&Intervals>) -> Option<u64> {
    let intervals = intervals?;
    let elapsed_ms = intervals.mean_ms.saturating_mul(intervals.count).max(1);
    let hourly = u128::from(bytes) * 3_600_000 / u128::from(elapsed_ms);
    Some(u64::try_from(hourly).unwrap_or(u64::MAX))
}

/// The accounts whose transactions take the most bytes, the largest first.
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

/// The miners with the most blocks, the largest number first, and the number of all miners.
#[must_use]
pub fn miners(
    found: impl Iterator<Item = Account>,
    owner: impl Fn(&Account) -> Option<String>,
) -> (Vec<MinerView>, u64) {
    let mut counts: BTreeMap<Account, u64> = BTreeMap::new();
    for account in found {
        *counts.entry(account).or_default() += 1;
    }
    let total = count(counts.len());
    let mut list: Vec<MinerView> = counts
        .into_iter()
        .map(|(account, blocks)| MinerView {
            owner: None,
            account,
            blocks,
        })
        .collect();
    list.sort_by_key(|miner| core::cmp::Reverse(miner.blocks));
    list.truncate(TOP_MAX);
    list.iter_mut().for_each(|miner| miner.owner = owner(&miner.account));
    (list, total)
}

/// The accounts with the largest balances above zero.
#[must_use]
pub fn richest(mut accounts: Vec<AccountView>) -> Vec<AccountView> {
    accounts.retain(|view| view.balance > 0);
    accounts.sort_by_key(|view| core::cmp::Reverse(view.balance));
    accounts.truncate(TOP_MAX);
    accounts
}

impl<S: ChainStore> View<'_, S> {
    /// The reply of `stats` for the last `limit` blocks.
    pub fn stats(&self, limit: u32, disk: Option<DiskView>) -> Result<Reply, CommandError> {
        let tip = self.chain.tip().header.height;
        let first = Height::new(tip.get().saturating_sub(u64::from(limit.saturating_sub(1))));
        let (mut headers, mut found, mut transactions) = (Vec::new(), Vec::new(), 0_u64);
        let mut height = first;
        while height <= tip {
            let hash = self.chain.active(height).map_err(store_error)?.ok_or_else(no_block)?;
            let (header, miner, count) = self.summary(&hash).map_err(store_error)?.ok_or_else(no_block)?;
            transactions = transactions.saturating_add(count);
            found.extend(miner);
            headers.push(header);
            height = height.next();
        }
        let (accounts_total, list) = self.chain.accounts(ACCOUNTS_MAX).map_err(store_error)?;
        let accounts = list.into_iter().map(account_view);
        let owner = |account: &Account| self.chain.owner(account).ok().flatten();
        let (miners, miners_total) = miners(found.into_iter(), |account| {
            owner(account).map(|key| key.peer_id().to_string())
        });
        let params = self.chain.params();
        Ok(Reply::Stats(Box::new(Stats {
            from_height: first,
            to_height: tip,
            transactions,
            spacing_ms: params.spacing_ms,
            is_adjusting: params.difficulty == Difficulty::Adjusting,
            halflife_ms: params.halflife_ms,
            intervals: intervals(&headers),
            bits: headers.iter().map(|header| header.bits.0).collect(),
            miners,
            miners_total,
            richest: richest(accounts.collect()),
            accounts_total,
            growth: self.growth(first)?,
            disk,
        })))
    }

    /// How fast the chain grows from a height on, and which accounts fill the newest blocks.
    pub fn growth(&self, first: Height) -> Result<Growth, CommandError> {
        let tip = self.chain.tip().header.height;
        let (mut headers, mut bytes, mut newest) = (Vec::new(), 0_u64, Vec::new());
        let mut height = tip;
        while height >= first {
            let hash = self.chain.active(height).map_err(store_error)?.ok_or_else(no_block)?;
            let stored = self.chain.block(&hash).map_err(store_error)?.ok_or_else(no_block)?;
            bytes = bytes.saturating_add(stored.size_bytes);
            headers.push(stored.header);
            if bytes <= FILLED_MAX_BYTES {
                newest.extend(self.body_of(&hash).map_err(store_error)?);
            }
            let Some(below) = height.previous() else { break };
            height = below;
        }
        headers.reverse();
        let intervals = intervals(&headers);
        Ok(Growth {
            bytes,
            bytes_per_hour: bytes_per_hour(bytes, intervals.as_ref()),
            fillers: fillers(newest.iter().flat_map(|block| &block.transactions)),
        })
    }
}
