//! What the first pass of a long candidate remembers: enough to know the same headers when they come again.
//!
//! Promises: one hash for every [`MARK_EVERY`] heights and nothing else, [`MARKS_MAX`] at most.
//! Elsewhere: checking headers (`sync::headers`).
//! Spec: `proto-notes/sync.md`, "Long candidates".

use crate::types::{BlockHash, Height};

/// Heights between two kept hashes: a page of headers.
pub(super) const MARK_EVERY: u64 = 512;
/// The most kept hashes: 1 MiB, which covers 16 million headers, five years at ten seconds.
const MARKS_MAX: usize = 32_768;

/// Hashes of a measured candidate, one for every [`MARK_EVERY`] heights, and how far it was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    /// The stored block below the first header.
    pub(super) base: BlockHash,
    /// The last measured height.
    pub(super) goal: Height,
    hashes: Vec<BlockHash>,
    /// The number of the first mark.
    first: Option<u64>,
}

impl Marks {
    /// Nothing is measured above the base yet.
    pub(super) const fn new(base: BlockHash, height: Height) -> Self {
        Self {
            base,
            goal: height,
            hashes: Vec::new(),
            first: None,
        }
    }

    /// The next header in order.
    pub(super) fn measure(&mut self, height: Height, hash: BlockHash) {
        self.goal = height;
        if is_mark(height) {
            self.first.get_or_insert(height.get() / MARK_EVERY);
            self.hashes.push(hash);
        }
    }

    /// No further header may be measured.
    pub(super) fn is_full(&self) -> bool {
        self.hashes.len() >= MARKS_MAX
    }

    /// Whether a header of the second pass is the one that was measured, as far as marks tell.
    pub(super) fn allows(&self, height: Height, hash: BlockHash) -> bool {
        if !is_mark(height) {
            return true;
        }
        let number = self
            .first
            .and_then(|first| (height.get() / MARK_EVERY).checked_sub(first));
        let mark = number.and_then(|number| self.hashes.get(usize::try_from(number).ok()?));
        mark.is_none_or(|mark| *mark == hash)
    }
}

/// Whether the hash at this height is kept.
pub(super) const fn is_mark(height: Height) -> bool {
    height.get().is_multiple_of(MARK_EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> BlockHash {
        let mut bytes = [1; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        BlockHash::new(bytes)
    }

    #[test]
    fn the_same_headers_are_known_again_and_others_are_not() {
        let mut marks = Marks::new(hash(700), Height::new(700));
        (701..3_000).for_each(|n| marks.measure(Height::new(n), hash(n)));
        assert_eq!(marks.goal, Height::new(2_999));
        assert!((701..3_000).all(|n| marks.allows(Height::new(n), hash(n))));
        for marked in [1_024, 1_536, 2_048, 2_560] {
            assert!(!marks.allows(Height::new(marked), hash(7)), "{marked}");
        }
        assert_eq!(marks.hashes.len(), 4, "one hash for 512 headers");
    }

    #[test]
    fn adv_s07_sixteen_million_headers_take_a_mebibyte() {
        let mut marks = Marks::new(hash(0), Height::GENESIS);
        let mut measured = 0_u64;
        while !marks.is_full() {
            measured += 1;
            marks.measure(Height::new(measured), hash(measured));
        }
        assert_eq!(measured, 16_777_216);
        assert_eq!(marks.hashes.len() * size_of::<BlockHash>(), 1024 * 1024);
    }
}
