//! Reads the active blocks of a folder one after another, and checks them on several threads ahead of the replay.
//!
//! Promises: blocks come in the order of their heights, and a damage comes in the place of its block; memory is bounded.
//! Elsewhere: what is made of them (`tools::verify`).

use std::collections::VecDeque;

use crate::chain::history::add_body;
use crate::chain::{BodyRules, ChainStore, HistoryEntries, StoredBlock, Verdict};
use crate::threads::in_order::InOrder;
use crate::types::layout::LayoutError;
use crate::types::{BlockHash, Height};

/// Bodies that are read and checked ahead, in bytes: enough for every thread.
const AHEAD_BYTES: usize = 8 * 1024 * 1024;
/// Bodies that are checked together, in bytes: the signatures of a few full blocks, whose keys are added up.
const GROUP_BYTES: usize = 1024 * 1024;
/// The most bodies that are checked together.
const GROUP_BLOCKS: usize = 64;

/// A block of the folder, with what could be checked without the blocks before.
pub(super) struct Checked {
    pub(super) hash: BlockHash,
    pub(super) stored: StoredBlock,
    /// The size of the body in bytes.
    pub(super) size: usize,
    pub(super) verdict: Verdict,
    /// What the index of histories must hold for it.
    pub(super) entries: Result<HistoryEntries, LayoutError>,
}

/// What is checked of a body.
type Found = (Verdict, Result<HistoryEntries, LayoutError>);

/// A block that was read: its hash, header and work, and the size of its body.
type Known = (BlockHash, StoredBlock, usize);

/// The blocks that were read and not taken yet.
pub(super) struct Ahead<'a, S> {
    store: &'a S,
    next: Height,
    last: Height,
    threads: InOrder<Vec<(BlockHash, Vec<u8>)>, Vec<Found>>,
    /// The bytes of each group that is being checked.
    sizes: VecDeque<usize>,
    /// The blocks in order. A block that could not be read has no part in a group.
    read: VecDeque<Result<Known, String>>,
    found: VecDeque<Found>,
}

impl<'a, S: ChainStore> Ahead<'a, S> {
    /// Reads from height 1 up to `last`.
    pub(super) fn start(store: &'a S, rules: BodyRules, last: Height) -> Self {
        Self {
            store,
            next: Height::GENESIS.next(),
            last,
            threads: InOrder::start("check", move |bodies| check(&rules, bodies)),
            sizes: VecDeque::new(),
            read: VecDeque::new(),
            found: VecDeque::new(),
        }
    }

    /// The next block, or the text of the damage in its place; none behind the last.
    pub(super) fn next(&mut self) -> Option<Result<Checked, String>> {
        self.read_ahead();
        let (hash, stored, size) = match self.read.pop_front()? {
            Ok(known) => known,
            Err(damage) => return Some(Err(damage)),
        };
        if self.found.is_empty() {
            self.sizes.pop_front();
            self.found.extend(self.threads.take().unwrap_or_default());
        }
        let (verdict, entries) = self.found.pop_front().expect("a verdict on each body");
        Some(Ok(Checked {
            hash,
            stored,
            size,
            verdict,
            entries,
        }))
    }

    /// Gives groups of bodies to the threads, as far ahead as memory allows.
    fn read_ahead(&mut self) {
        while self.next <= self.last && self.sizes.iter().sum::<usize>() < AHEAD_BYTES {
            let (mut group, mut bytes) = (Vec::new(), 0);
            while self.next <= self.last && bytes < GROUP_BYTES && group.len() < GROUP_BLOCKS {
                let read = self.read_block(self.next);
                self.next = self.next.next();
                self.read.push_back(read.map(|((hash, stored), body)| {
                    let size = body.len();
                    bytes += size;
                    group.push((hash, body));
                    (hash, stored, size)
                }));
            }
            if !group.is_empty() {
                self.sizes.push_back(bytes);
                self.threads.give(group);
            }
        }
    }

    fn read_block(&self, height: Height) -> Result<((BlockHash, StoredBlock), Vec<u8>), String> {
        let hash = there(self.store.active(height), &format!("height {height}"))?;
        let what = format!("block {hash} at height {height}");
        let stored = there(self.store.block(&hash), &what)?;
        let body = there(self.store.body(&hash), &what)?;
        Ok(((hash, stored), body))
    }
}

fn there<T, E: core::fmt::Display>(read: Result<Option<T>, E>, what: &str) -> Result<T, String> {
    let found = read.map_err(|error| format!("{what}: {error}"))?;
    found.ok_or_else(|| format!("{what}: missing"))
}

fn check(rules: &BodyRules, bodies: Vec<(BlockHash, Vec<u8>)>) -> Vec<Found> {
    let entries = |(hash, body): &(BlockHash, Vec<u8>)| {
        let mut entries = HistoryEntries::new();
        add_body(&mut entries, hash, body).map(|()| entries)
    };
    let entries: Vec<_> = bodies.iter().map(entries).collect();
    rules.read_and_check(bodies).into_iter().zip(entries).collect()
}
