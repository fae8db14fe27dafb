//! The block tree as something to draw: ends of branches, where they part, and how many blocks lie between.
//!
//! Promises: pure; each block that is kept names the next kept one below it and how many were left out.
//! Elsewhere: what is read (`engine::visible`), the drawing (`console::graph`).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::types::{Account, BlockHash, Height, Time, Work};

/// Blocks below a tip that are always kept.
pub const RUN: usize = 4;

/// A block of the drawn tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct TreeBlock {
    pub hash: BlockHash,
    pub height: Height,
    pub previous_hash: BlockHash,
    pub time_ms: Time,
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

/// Which blocks of branches are worth drawing. A branch is listed from its tip down to the active block that it stands
/// on, inclusive; branches may share blocks.
#[must_use]
pub fn kept(branches: &[Vec<BlockHash>]) -> BTreeSet<BlockHash> {
    let mut kept = BTreeSet::new();
    let mut above: BTreeMap<BlockHash, BTreeSet<BlockHash>> = BTreeMap::new();
    for branch in branches {
        for pair in branch.windows(2) {
            if let [child, parent] = pair {
                above.entry(*parent).or_default().insert(*child);
            }
        }
        kept.extend(branch.iter().take(RUN));
        // Where it leaves the active chain, and its first block of its own.
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
