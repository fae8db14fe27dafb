//! The tree of stored blocks that are not active, and the choice of those to evict when there are too many.
//!
//! Promises: there are never more than the caps allow, except for protected blocks; the leaf with the lowest work goes
//! first.
//! Spec: `proto-notes/limits.md`.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::types::{BlockHash, Height, Work};

/// The most blocks on side branches. Half a day of blocks at one every 10 s fits, so a partition of that length stays
/// whole.
pub const SIDE_MAX_BLOCKS: usize = 4_096;
/// The most bytes of side blocks, which limits what a stranger can make us store beside the chain.
pub const SIDE_MAX_BYTES: u64 = 256 * 1024 * 1024;
/// The most invalid blocks that are remembered, one hash each; honest nodes never see nearly as many.
pub const INVALID_MAX: usize = 1_024;

/// A stored block that is not active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SideBlock {
    pub(super) hash: BlockHash,
    pub(super) previous: BlockHash,
    pub(super) height: Height,
    pub(super) work: Work,
    pub(super) size_bytes: u64,
}

/// All stored blocks that are not active.
#[derive(Debug)]
pub(super) struct SideTree {
    blocks: BTreeMap<BlockHash, SideBlock>,
    /// The side blocks on top of any block; the parent may be active.
    children: BTreeMap<BlockHash, BTreeSet<BlockHash>>,
    /// Blocks without children, the lowest work first; at equal work the larger hash first.
    leaves: BTreeSet<(Work, Reverse<BlockHash>)>,
    bytes: u64,
    protected: BTreeSet<BlockHash>,
    /// The end of the branch to which a long switch leads, if one is under way.
    pub(super) target: Option<BlockHash>,
    /// The cap on side blocks: [`SIDE_MAX_BLOCKS`], or fewer in a test.
    pub(super) max_blocks: usize,
}

impl Default for SideTree {
    fn default() -> Self {
        Self {
            blocks: BTreeMap::new(),
            children: BTreeMap::new(),
            leaves: BTreeSet::new(),
            bytes: 0,
            protected: BTreeSet::new(),
            target: None,
            max_blocks: SIDE_MAX_BLOCKS,
        }
    }
}

impl SideTree {
    pub(super) fn protect(&mut self, hashes: BTreeSet<BlockHash>) {
        self.protected = hashes;
    }

    pub(super) fn insert(&mut self, block: SideBlock) {
        if self.blocks.insert(block.hash, block).is_some() {
            return;
        }
        self.bytes = self.bytes.saturating_add(block.size_bytes);
        self.children.entry(block.previous).or_default().insert(block.hash);
        if let Some(parent) = self.blocks.get(&block.previous) {
            self.leaves.remove(&(parent.work, Reverse(parent.hash)));
        }
        if !self.children.contains_key(&block.hash) {
            self.leaves.insert((block.work, Reverse(block.hash)));
        }
    }

    /// Takes one block out of the tree; its children stay.
    pub(super) fn remove(&mut self, hash: &BlockHash) -> Option<SideBlock> {
        let block = self.blocks.remove(hash)?;
        self.bytes = self.bytes.saturating_sub(block.size_bytes);
        self.leaves.remove(&(block.work, Reverse(block.hash)));
        if let Some(siblings) = self.children.get_mut(&block.previous) {
            siblings.remove(hash);
            if siblings.is_empty() {
                self.children.remove(&block.previous);
                if let Some(parent) = self.blocks.get(&block.previous) {
                    self.leaves.insert((parent.work, Reverse(parent.hash)));
                }
            }
        }
        Some(block)
    }

    /// Takes a block and all its descendants out of the tree; the block itself need not be in it.
    pub(super) fn remove_branch(&mut self, root: &BlockHash) -> Vec<BlockHash> {
        let mut doomed = vec![*root];
        let mut next = 0;
        while let Some(hash) = doomed.get(next) {
            doomed.extend(
                self.children
                    .get(hash)
                    .into_iter()
                    .flatten()
                    .copied()
                    .collect::<Vec<_>>(),
            );
            next += 1;
        }
        for hash in &doomed {
            self.remove(hash);
        }
        doomed
    }

    /// Evicts blocks until the tree is within its caps, and returns them.
    pub(super) fn evict(&mut self) -> Vec<SideBlock> {
        let mut gone = Vec::new();
        while self.blocks.len() > self.max_blocks || self.bytes > SIDE_MAX_BYTES {
            let free = |(_, Reverse(hash)): &&(Work, Reverse<BlockHash>)| {
                !self.protected.contains(hash) && self.target != Some(*hash)
            };
            let Some((_, Reverse(lowest))) = self.leaves.iter().find(free).copied() else {
                break;
            };
            gone.extend(self.remove(&lowest));
        }
        gone
    }

    /// The side blocks from this one down to the active chain, and the active block below them.
    pub(super) fn path_down(&self, from: BlockHash) -> (Vec<BlockHash>, BlockHash) {
        let mut path = Vec::new();
        let mut at = from;
        while let Some(block) = self.blocks.get(&at) {
            path.push(at);
            at = block.previous;
        }
        (path, at)
    }

    /// The ends of the side branches, the one with the most work first.
    pub(super) fn tips(&self) -> impl Iterator<Item = &SideBlock> {
        self.leaves
            .iter()
            .rev()
            .filter_map(|(_, Reverse(hash))| self.blocks.get(hash))
    }
}

/// The blocks that were found invalid last, so that they are refused without a check.
#[derive(Debug, Default)]
pub(super) struct InvalidSet {
    known: BTreeSet<BlockHash>,
    order: VecDeque<BlockHash>,
}

impl InvalidSet {
    pub(super) fn contains(&self, hash: &BlockHash) -> bool {
        self.known.contains(hash)
    }

    pub(super) fn insert(&mut self, hash: BlockHash) {
        if !self.known.insert(hash) {
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > INVALID_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}
