//! The block tree for a drawing: the ends of branches, the forks, and the number of blocks between them.
//!
//! Promises: pure; each kept block names the next kept block below it, and how many were left out between the two.
//! Elsewhere: reading blocks (`inspect::blocks`), the drawing (`console::graph`).

use std::collections::{BTreeMap, BTreeSet};

use super::{View, store_error};
use crate::chain::{ChainStore, Header, StoreError};
use crate::contract::{CommandError, Reply, TipView, TreeBlock};
use crate::types::{BlockHash, Height, Work};

/// The most steps down all side branches together for one drawing: twice what side branches can hold.
const WALK_MAX: usize = 8_192;

/// The number of blocks below a tip that are always kept.
const RUN: usize = 4;

/// The blocks of branches that are worth drawing. Each branch is listed from its tip down to the active block below it,
/// inclusive; branches may share blocks.
fn kept(branches: &[Vec<BlockHash>]) -> BTreeSet<BlockHash> {
    let mut kept = BTreeSet::new();
    let mut above: BTreeMap<BlockHash, BTreeSet<BlockHash>> = BTreeMap::new();
    for branch in branches {
        for pair in branch.windows(2) {
            if let [child, parent] = pair {
                above.entry(*parent).or_default().insert(*child);
            }
        }
        kept.extend(branch.iter().take(RUN));
        // Keeps the fork and the branch's first block.
        kept.extend(branch.iter().rev().take(2));
    }
    for (parent, children) in &above {
        if children.len() > 1 {
            kept.insert(*parent);
            kept.extend(children);
        }
    }
    kept
}

impl<S: ChainStore> View<'_, S> {
    /// The reply of `tree`: the tips, and the blocks worth drawing, highest first, active ones before stale ones.
    pub fn tree(&self, limit: u32) -> Result<Reply, CommandError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let tips = self.chain.tips(limit).map_err(store_error)?;
        let blocks = self.drawn(tips.iter().map(|(hash, ..)| *hash)).map_err(store_error)?;
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
        let mut kept = kept(&branches);
        let tip = self.chain.tip().header.height.get();
        let lowest = u64::try_from(RUN).unwrap_or(0);
        for height in (0..lowest).map(|below| tip.saturating_sub(below)).chain([0]) {
            kept.extend(self.chain.active(Height::new(height))?);
        }
        // At a fork, the active block above it is drawn too.
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

/// Sets for each block the next shown block below it.
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
