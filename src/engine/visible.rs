//! The chain made visible: `explain`, `tree`, `tamper` and `stats` read what is stored and hand it to pure parts.
//!
//! Promises: nothing changes; what is read has a bound.
//! Elsewhere: the parts (`engine::explain`, `engine::sandbox`, `engine::stats`, `engine::shape`).
//! Spec: `proto-notes/events.md`, "Replies".

use std::collections::BTreeSet;

use super::command::{BlockRef, TxRef};
use super::commands::{internal, no_block, refusal};
use super::explain;
use super::machine::Engine;
use super::reply::{AccountView, CommandError, Reply, TipView, TxStatus};
use super::sandbox::Sandbox;
use super::shape::{self, TreeBlock};
use super::stats::{self, DiskView, Growth, Stats};
use super::view::owner_text;
use crate::chain::header::HEADER_BYTES;
use crate::chain::{Block, ChainStore, Header, StoreError, Transaction};
use crate::types::layout::Reader;
use crate::types::{Account, BlockHash, Height, Txid, Work};

/// Steps down all side branches together for one drawing: twice what side branches can hold.
const WALK_MAX: usize = 8_192;
/// Ids that are told when a prefix fits several.
const AMBIGUOUS_SHOWN: usize = 3;

impl<S: ChainStore> Engine<S> {
    /// A transaction by its id, or by the first digits of it.
    pub(super) fn find_transaction(&self, wanted: TxRef) -> Result<Txid, CommandError> {
        let prefix = match wanted {
            TxRef::Id(txid) => return Ok(txid),
            TxRef::Prefix(prefix) => prefix,
        };
        let limit = AMBIGUOUS_SHOWN + 1;
        let mut found: BTreeSet<Txid> = self
            .chain
            .places_by_prefix(&prefix, limit)
            .map_err(internal)?
            .into_iter()
            .collect();
        found.extend(self.pool.ids_by_prefix(&prefix, limit));
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (None, _) => Err(refusal(
                "unknown_transaction",
                format!("no transaction that starts with {prefix} is known here"),
                "pending",
            )),
            (Some(one), None) => Ok(one),
            (Some(one), Some(two)) => {
                let also: Vec<String> = [one, two].into_iter().chain(found).map(|id| id.to_string()).collect();
                let shown = also[..also.len().min(AMBIGUOUS_SHOWN)].join(", ");
                Err(refusal(
                    "ambiguous",
                    format!("more than one transaction starts with {prefix}: {shown}"),
                    format!("transaction {one}"),
                ))
            }
        }
    }

    pub(super) fn explain_block(&self, block: BlockRef) -> Result<Reply, CommandError> {
        let hash = self.find_block(block)?;
        let stored = self.chain.block(&hash).map_err(internal)?.ok_or_else(no_block)?;
        let body = self.body_of(&hash).map_err(internal)?.ok_or_else(no_block)?;
        let parent = match stored.header.height {
            Height::GENESIS => None,
            _ => self.chain.block(&stored.header.previous).map_err(internal)?,
        };
        let active = self.chain.is_active(&hash).map_err(internal)?;
        Ok(Reply::BlockExplained(Box::new(explain::block(
            self.chain.params(),
            &stored.header,
            parent.as_ref().map(|parent| &parent.header),
            (stored.work, active, body.transactions.len()),
        ))))
    }

    pub(super) fn explain_transaction(&self, wanted: TxRef) -> Result<Reply, CommandError> {
        let txid = self.find_transaction(wanted)?;
        let network = self.chain.network_id();
        if let Some(place) = self.chain.place(&txid).map_err(internal)? {
            let hash = self
                .chain
                .active(place.height)
                .map_err(internal)?
                .ok_or_else(no_block)?;
            let block = self.body_of(&hash).map_err(internal)?.ok_or_else(no_block)?;
            let index = usize::try_from(place.index).unwrap_or(usize::MAX);
            let transaction = block.transactions.get(index).ok_or_else(no_block)?;
            let place = explain::inclusion(&block, index);
            let told = explain::transaction(transaction, &network, TxStatus::Confirmed, place);
            return Ok(Reply::TransactionExplained(Box::new(told)));
        }
        let waiting = self.pool.get(&txid).map(|transaction| (transaction, TxStatus::Pending));
        let dropped = || {
            let dropped = self.pool.dropped_reason(&txid);
            dropped.map(|(transaction, _)| (transaction, TxStatus::Dropped))
        };
        let (transaction, status) = waiting
            .or_else(dropped)
            .ok_or_else(|| super::view::no_transaction(&txid))?;
        let told = explain::transaction(transaction, &network, status, None);
        Ok(Reply::TransactionExplained(Box::new(told)))
    }

    /// Changes copies of a block and says which rule refuses each.
    pub(super) fn tamper(&self, height: Height) -> Result<Reply, CommandError> {
        if height == Height::GENESIS {
            return Err(refusal(
                "bad_argument",
                "block 0 is made of the network's parameters: another one is another network",
                "tamper 1",
            ));
        }
        let hash = self.find_block(BlockRef::Height(height))?;
        let block = self.body_of(&hash).map_err(internal)?.ok_or_else(no_block)?;
        let below = self.chain.block(&block.header.previous).map_err(internal)?;
        let child = self.header_at(height.next())?;
        let sandbox = Sandbox {
            params: self.chain.params(),
            network: self.chain.network_id(),
            secret: self.config.secret,
            parent: &below.ok_or_else(no_block)?.header,
            block: &block,
            child: child.as_ref(),
        };
        Ok(Reply::Tampered(Box::new(sandbox.run())))
    }

    /// The active header at a height, if there is one.
    fn header_at(&self, height: Height) -> Result<Option<Header>, CommandError> {
        let Some(hash) = self.chain.active(height).map_err(internal)? else {
            return Ok(None);
        };
        let stored = self.chain.block(&hash).map_err(internal)?;
        Ok(stored.map(|stored| stored.header))
    }

    /// The last blocks and the accounts in numbers.
    pub(super) fn stats(&self, limit: u32) -> Result<Reply, CommandError> {
        let tip = self.chain.tip().header.height;
        let first = Height::new(tip.get().saturating_sub(u64::from(limit.saturating_sub(1))));
        let (mut headers, mut found, mut transactions) = (Vec::new(), Vec::new(), 0_u64);
        let mut height = first;
        while height <= tip {
            let hash = self.chain.active(height).map_err(internal)?.ok_or_else(no_block)?;
            let (header, miner, count) = self.summary(&hash).map_err(internal)?.ok_or_else(no_block)?;
            transactions = transactions.saturating_add(count);
            found.extend(miner);
            headers.push(header);
            height = height.next();
        }
        let (accounts_total, list) = self.chain.accounts(stats::ACCOUNTS_MAX).map_err(internal)?;
        let accounts = list.into_iter().map(|(account, state)| AccountView {
            owner: match &account {
                Account::Key(key) => owner_text(Some(*key)),
                Account::Name(_) => owner_text(state.owner),
            },
            account,
            balance: state.balance,
        });
        let (miners, miners_total) = stats::miners(found.into_iter());
        let params = self.chain.params();
        Ok(Reply::Stats(Box::new(Stats {
            from_height: first,
            to_height: tip,
            transactions,
            spacing_ms: params.spacing_ms,
            halflife_ms: params.halflife_ms,
            intervals: stats::intervals(&headers),
            bits: headers.iter().map(|header| header.bits.0).collect(),
            miners,
            miners_total,
            richest: stats::richest(accounts.collect()),
            accounts_total,
            growth: self.growth(first)?,
            disk: self.storage.room.last().map(|room| DiskView {
                chain_bytes: room.used,
                free_bytes: room.free,
            }),
        })))
    }

    /// How fast the chain grows from a height on, and who fills the newest blocks.
    pub(super) fn growth(&self, first: Height) -> Result<Growth, CommandError> {
        let tip = self.chain.tip().header.height;
        let (mut headers, mut bytes, mut newest) = (Vec::new(), 0_u64, Vec::new());
        let mut height = tip;
        while height >= first {
            let hash = self.chain.active(height).map_err(internal)?.ok_or_else(no_block)?;
            let stored = self.chain.block(&hash).map_err(internal)?.ok_or_else(no_block)?;
            bytes = bytes.saturating_add(stored.size_bytes);
            headers.push(stored.header);
            if bytes <= stats::FILLED_MAX_BYTES {
                newest.extend(self.body_of(&hash).map_err(internal)?);
            }
            let Some(below) = height.previous() else { break };
            height = below;
        }
        headers.reverse();
        let intervals = stats::intervals(&headers);
        Ok(Growth {
            bytes,
            bytes_per_hour: stats::bytes_per_hour(bytes, intervals.as_ref()),
            fillers: stats::fillers(newest.iter().flat_map(|block| &block.transactions)),
        })
    }

    /// A block's header, who found it, and how many transactions it has; only the first of them is read.
    fn summary(&self, hash: &BlockHash) -> Result<Option<(Header, Option<Account>, u64)>, StoreError> {
        let Some(bytes) = self.chain.body(hash)? else {
            return Ok(None);
        };
        let damaged = |_| StoreError::Damaged(format!("block {hash}"));
        let header = Block::header_of(&bytes).map_err(damaged)?;
        let mut reader = Reader::new(&bytes[HEADER_BYTES..]);
        let count = reader.u32().map_err(damaged)?;
        let miner = match Transaction::read(&mut reader) {
            Ok(Transaction::Reward(reward)) => Some(reward.to),
            Ok(Transaction::Transfer(_) | Transaction::Claim(_)) | Err(_) => None,
        };
        Ok(Some((header, miner, u64::from(count))))
    }

    /// The tips, and the blocks that are worth drawing, highest first, active before stale.
    pub(super) fn show_tree(&self, limit: u32) -> Result<Reply, CommandError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let tips = self.chain.tips(limit).map_err(internal)?;
        let blocks = self.drawn(tips.iter().map(|(hash, ..)| *hash)).map_err(internal)?;
        let tips = tips
            .into_iter()
            .map(|(hash, height, work, active, fork_height)| TipView {
                hash,
                height,
                work,
                active,
                fork_height,
            });
        Ok(Reply::Tree {
            tips: tips.collect(),
            blocks,
        })
    }

    fn drawn(&self, tips: impl Iterator<Item = BlockHash>) -> Result<Vec<TreeBlock>, StoreError> {
        let mut branches = Vec::new();
        let mut steps = 0;
        for tip in tips {
            let mut branch = vec![tip];
            let mut at = tip;
            while steps < WALK_MAX && !self.chain.is_active(&at)? {
                let Some(stored) = self.chain.block(&at)? else { break };
                at = stored.header.previous;
                branch.push(at);
                steps += 1;
            }
            branches.push(branch);
        }
        let mut kept = shape::kept(&branches);
        let tip = self.chain.tip().header.height.get();
        let lowest = u64::try_from(shape::RUN).unwrap_or(0);
        for height in (0..lowest).map(|below| tip.saturating_sub(below)).chain([0]) {
            kept.extend(self.chain.active(Height::new(height))?);
        }
        // Where a branch parted, the active side of the fork is shown too.
        for fork in branches
            .iter()
            .filter(|branch| branch.len() > 1)
            .filter_map(|branch| branch.last())
        {
            if let Some(stored) = self.chain.block(fork)? {
                kept.extend(self.chain.active(stored.header.height.next())?);
            }
        }
        let mut blocks = Vec::new();
        for hash in &kept {
            blocks.extend(self.tree_block(hash)?);
        }
        blocks.sort_by(|a, b| (b.height, b.active, a.hash).cmp(&(a.height, a.active, b.hash)));
        join(&mut blocks, &branches);
        Ok(blocks)
    }

    fn tree_block(&self, hash: &BlockHash) -> Result<Option<TreeBlock>, StoreError> {
        let Some(stored) = self.chain.block(hash)? else {
            return Ok(None);
        };
        let parent = match stored.header.height {
            Height::GENESIS => None,
            _ => self.chain.block(&stored.header.previous)?,
        };
        let weight = parent.map_or(Work::ZERO, |parent| Header::weight(&parent.header, self.chain.params()));
        Ok(Some(TreeBlock {
            hash: *hash,
            height: stored.header.height,
            previous_hash: stored.header.previous,
            time_ms: stored.header.time,
            adds_work: weight,
            work: stored.work,
            active: self.chain.is_active(hash)?,
            miner: self.summary(hash)?.and_then(|(_, miner, _)| miner),
            below: None,
            skipped: 0,
        }))
    }
}

/// Names for each block the next shown one below it.
fn join(blocks: &mut [TreeBlock], branches: &[Vec<BlockHash>]) {
    let places: Vec<(BlockHash, Height, bool)> = blocks.iter().map(|b| (b.hash, b.height, b.active)).collect();
    for block in blocks.iter_mut() {
        let below = if block.active {
            places
                .iter()
                .filter(|(_, height, active)| *active && *height < block.height)
                .max_by_key(|(_, height, _)| *height)
                .copied()
        } else {
            let branch = branches.iter().find(|branch| branch.contains(&block.hash));
            let mut under = branch
                .into_iter()
                .flatten()
                .skip_while(|hash| **hash != block.hash)
                .skip(1);
            under.find_map(|hash| places.iter().find(|(shown, ..)| shown == hash).copied())
        };
        if let Some((hash, height, _)) = below {
            block.below = Some(hash);
            block.skipped = block.height.get().saturating_sub(height.get()).saturating_sub(1);
        }
    }
}
