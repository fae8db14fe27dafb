//! Entries of the two indexes that wait in memory, so that a table is written a part at a time and in order.
//!
//! The keys of both indexes are random: a full block alone would dirty most of their pages. So entries wait, by the first
//! bits of their keys, in [`RANGES`] ranges; each commit writes some of the ranges whole, in turn. A round of all ranges
//! takes as long as its blocks take to reach one of the limits below.
//!
//! Promises: what waits is bounded by about one round; the mark names a block such that the tables have all entries of
//! the active blocks up to it, so a crash costs no more than reading the blocks above. Nothing here reads or writes a disk.
//! Elsewhere: the tables and the mark on the disk (`index`), who reads both (`redb_store`).
//! Spec: `proto-notes/store.md`, "Indexes".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::records::{self, HISTORY_KEY_BYTES, LATE_HISTORY_BYTES, PLACE_KEY_BYTES};
use crate::chain::{AccountTag, Batch, HistoryEntries, HistoryKey, Spot, StoreError};
use crate::types::{Height, Txid};

/// The ranges that a round consists of, by the first six bits of a key.
pub(super) const RANGES: usize = 64;
const RANGE_BITS: u32 = RANGES.trailing_zeros();
/// A round ends after so many entries at the latest: some 30 blocks of 2,000 payments, 5 MiB in memory.
const ROUND_ENTRIES: u64 = 128 * 1024;
/// A round ends after so many blocks at the latest: a start after a crash reads them in some milliseconds.
const ROUND_BLOCKS: u64 = 1_024;
/// A round ends after so many bytes of blocks at the latest, for the same reason.
const ROUND_BYTES: u64 = 16 * 1024 * 1024;
/// The limits of a round: entries, blocks, bytes. In tests even a small chain takes several rounds; release builds of tests
/// measure what a node does.
const ROUND: (u64, u64, u64) = if cfg!(all(any(test, feature = "testing"), debug_assertions)) {
    (64, 16, 1024 * 1024)
} else {
    (ROUND_ENTRIES, ROUND_BLOCKS, ROUND_BYTES)
};
/// The parts into which a round is divided to add up what batches contribute to it.
const ROUND_POINTS: u64 = 1 << 20;
const RANGE_POINTS: u64 = ROUND_POINTS >> RANGE_BITS;
/// The ranges that a commit writes at least while the mark is far below the tip, as it is after a long switch.
const CATCH_UP: usize = 8;

/// The entries that wait in one range.
#[derive(Clone, Debug, Default)]
pub(super) struct Range {
    pub(super) places: BTreeSet<[u8; PLACE_KEY_BYTES]>,
    /// One entry for each index of a transaction, so that none needs memory of its own.
    history: BTreeSet<[u8; LATE_HISTORY_BYTES]>,
}

impl Range {
    /// The entries of the index of histories as its table has them: key, and value.
    pub(super) fn history(&self) -> impl Iterator<Item = ([u8; HISTORY_KEY_BYTES], Vec<u8>)> {
        let mut rest = self.history.iter().peekable();
        std::iter::from_fn(move || {
            let (key, index) = rest.next()?.split_first_chunk::<HISTORY_KEY_BYTES>()?;
            let mut value = index.to_vec();
            while let Some(more) = rest.next_if(|more| more.starts_with(key)) {
                value.extend_from_slice(&more[HISTORY_KEY_BYTES..]);
            }
            Some((*key, value))
        })
    }
}

/// What waits, and how far the tables are.
#[derive(Clone, Debug)]
pub(super) struct Late {
    ranges: Vec<Arc<Range>>,
    /// For each range the height up to which the table has all entries of active blocks.
    covered: Vec<u64>,
    /// The range that is written next; it is covered least.
    next: usize,
    /// What the batches since the last range contributed to the round.
    points: u64,
    /// The height of the mark on the disk.
    mark: u64,
    /// False while the tables lack entries of old blocks, which is only so in a file of an earlier version.
    is_complete: bool,
}

/// The ranges that one commit writes.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) ranges: Vec<(usize, Arc<Range>)>,
    covered: Vec<u64>,
    mark: u64,
    /// The batches hold so many entries that they go straight to the tables.
    pub(super) is_bulk: bool,
    is_complete: bool,
}

impl Turn {
    pub(super) const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Takes note of the tip after the commit; the height of the mark, if it is a new one.
    pub(super) fn set_tip(&mut self, tip: Height) -> Option<Height> {
        for (number, _) in &self.ranges {
            self.covered[*number] = tip.get();
        }
        if !self.is_complete {
            return None;
        }
        let mark = self.covered.iter().copied().min().unwrap_or(0);
        let is_new = mark != self.mark;
        self.mark = mark;
        is_new.then_some(Height::new(mark))
    }
}

/// What batches contribute to a round.
#[derive(Default)]
struct Load {
    entries: u64,
    blocks: u64,
    bytes: u64,
    /// The lowest height at which another block becomes active, or none.
    lowest: Option<u64>,
}

impl Load {
    fn of(batches: &[Batch]) -> Self {
        let mut load = Self::default();
        let count = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        for batch in batches {
            load.entries += count(batch.places.len() + batch.history.len());
            load.blocks += count(batch.active.len());
            let bodies = batch.blocks.values().flatten();
            load.bytes += bodies.map(|(_, body)| count(body.len())).sum::<u64>();
            let lowest = batch.active.keys().next().map(|height| height.get());
            load.lowest = load.lowest.into_iter().chain(lowest).min();
        }
        load
    }

    fn points(&self) -> u64 {
        let share = |amount: u64, limit: u64| amount.saturating_mul(ROUND_POINTS) / limit;
        share(self.entries, ROUND.0)
            .max(share(self.blocks, ROUND.1))
            .max(share(self.bytes, ROUND.2))
    }
}

impl Late {
    /// Nothing waits: the tables have all entries of active blocks up to this height.
    pub(super) fn new(mark: Height) -> Self {
        Self {
            ranges: vec![Arc::default(); RANGES],
            covered: vec![mark.get(); RANGES],
            next: 0,
            points: 0,
            mark: mark.get(),
            is_complete: true,
        }
    }

    /// Of a file of an earlier version, or one that is damaged: no mark is set.
    pub(super) fn incomplete() -> Self {
        Self {
            is_complete: false,
            ..Self::new(Height::GENESIS)
        }
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.is_complete
    }

    pub(super) fn is_empty(&self) -> bool {
        let is_empty = |range: &Arc<Range>| range.places.is_empty() && range.history.is_empty();
        self.ranges.iter().all(is_empty)
    }

    /// The number of entries that wait.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn len(&self) -> usize {
        let ranges = self.ranges.iter();
        ranges.map(|range| range.places.len() + range.history.len()).sum()
    }

    /// Whether more waits than a round may hold; only after an unusual crash.
    pub(super) fn is_overfull(&self) -> bool {
        let waiting: usize = self.ranges.iter().map(|range| range.places.len()).sum();
        u64::try_from(waiting).is_ok_and(|waiting| waiting > ROUND.0)
    }

    /// Adds entries. They are found from now on.
    pub(super) fn add<'a>(
        &mut self,
        places: impl IntoIterator<Item = &'a (Txid, Spot)>,
        history: &HistoryEntries,
    ) -> Result<(), StoreError> {
        for (txid, spot) in places {
            let key = records::place_key(txid, spot)?;
            self.range_mut(key[0]).places.insert(key);
        }
        for (key, indices) in history {
            let key = records::history_key(key)?;
            let range = self.range_mut(key[0]);
            for index in indices {
                range.history.insert(records::late_history(&key, *index));
            }
        }
        Ok(())
    }

    fn range_mut(&mut self, first: u8) -> &mut Range {
        Arc::make_mut(&mut self.ranges[number_of(first)])
    }

    fn range(&self, first: u8) -> &Range {
        &self.ranges[number_of(first)]
    }

    /// Adds what batches hold, and says which ranges their commit must write.
    pub(super) fn begin(&mut self, batches: &[Batch]) -> Result<Turn, StoreError> {
        let load = Load::of(batches);
        let is_bulk = load.entries >= ROUND.0;
        if !is_bulk {
            for batch in batches {
                self.add(&batch.places, &batch.history)?;
            }
        }
        self.points += load.points();
        let due = usize::try_from(self.points / RANGE_POINTS).unwrap_or(RANGES);
        let is_behind = load.lowest.is_some_and(|lowest| lowest > self.mark + 2 * ROUND.1);
        let count = match () {
            () if is_bulk || !self.is_complete => RANGES,
            () if is_behind => due.max(CATCH_UP),
            () => due,
        };
        Ok(self.turn(count.min(RANGES), load.lowest, is_bulk))
    }

    /// Writes all that waits.
    pub(super) fn all(&self) -> Turn {
        self.turn(RANGES, None, false)
    }

    fn turn(&self, count: usize, lowest: Option<u64>, is_bulk: bool) -> Turn {
        let numbers = (self.next..self.next + count).map(|number| number % RANGES);
        // Other blocks may become active from the lowest height on: what the tables have of theirs is not known.
        let highest = lowest.map_or(u64::MAX, |lowest| lowest.saturating_sub(1));
        Turn {
            ranges: numbers
                .map(|number| (number, Arc::clone(&self.ranges[number])))
                .collect(),
            covered: self.covered.iter().map(|height| *height.min(&highest)).collect(),
            mark: self.mark,
            is_bulk,
            is_complete: self.is_complete,
        }
    }

    /// Takes note that the disk has what a turn held.
    pub(super) fn done(&mut self, turn: Turn) {
        let count = turn.ranges.len();
        for (number, _) in turn.ranges {
            self.ranges[number] = Arc::default();
        }
        self.next = (self.next + count) % RANGES;
        let paid = u64::try_from(count).unwrap_or(0).saturating_mul(RANGE_POINTS);
        self.points = self.points.saturating_sub(paid).min(ROUND_POINTS);
        (self.covered, self.mark) = (turn.covered, turn.mark);
    }

    /// The keys of positions in a range of keys, both ends included, in order.
    pub(super) fn places(
        &self,
        first: [u8; PLACE_KEY_BYTES],
        last: [u8; PLACE_KEY_BYTES],
    ) -> impl Iterator<Item = &[u8; PLACE_KEY_BYTES]> {
        let ranges = &self.ranges[number_of(first[0])..=number_of(last[0])];
        ranges.iter().flat_map(move |range| range.places.range(first..=last))
    }

    /// The entries that wait of a tag, below a key if one is given.
    pub(super) fn history(&self, tag: AccountTag, below: Option<HistoryKey>) -> BTreeMap<HistoryKey, Vec<u16>> {
        let first = tag.bytes();
        let entries = self.range(first[0]).history.range(records::filled(&first, 0)..);
        let entries = entries.take_while(|entry| entry.starts_with(&first));
        let mut found = gathered(entries);
        if let Some(below) = below {
            drop(found.split_off(&below));
        }
        found
    }

    /// The entries that wait above a key, or from the first on, at least `limit` if there are so many.
    pub(super) fn history_above(&self, above: Option<HistoryKey>, limit: usize) -> BTreeMap<HistoryKey, Vec<u16>> {
        let first = above.map_or(0, |above| number_of(above.tag.bytes()[0]));
        let mut found = BTreeMap::new();
        for range in &self.ranges[first..] {
            let entries = gathered(range.history.iter()).into_iter();
            found.extend(entries.filter(|(key, _)| above.is_none_or(|above| *key > above)));
            if found.len() >= limit {
                break;
            }
        }
        found
    }
}

/// The range of a key by its first byte.
fn number_of(first: u8) -> usize {
    usize::from(first >> (u8::BITS - RANGE_BITS))
}

/// Brings the indices of each key together; the entries are in order.
fn gathered<'a>(entries: impl Iterator<Item = &'a [u8; LATE_HISTORY_BYTES]>) -> BTreeMap<HistoryKey, Vec<u16>> {
    let mut found: BTreeMap<HistoryKey, Vec<u16>> = BTreeMap::new();
    for entry in entries {
        let (key, index) = records::late_history_of(entry);
        found.entry(key).or_default().push(index);
    }
    found
}
