//! What a fetch of bodies from one peer may take, and how much is asked of it at once: learned from what its link did.
//!
//! Promises: a first fetch is one question; what is asked doubles with each answer and halves with each lapse, so that a
//! slow link is asked for what it can carry; patience follows from the bytes under way and from the link's speed, and is
//! at most [`PATIENCE_MAX_MS`]. Nothing here costs a peer anything.
//! Elsewhere: when a request has lapsed (`requests`), which peer is asked (`sync`).
//! Spec: `proto-notes/sync.md`, "Patience".

use crate::types::Time;
use crate::wire::RESPONSE_MAX_BYTES;

/// The patience for an answer when nothing is known of a peer. A LAN answers in milliseconds.
pub(crate) const PATIENCE_MIN_MS: u64 = 2_000;
/// The patience after many lapses: a slow link is no misdeed.
pub(crate) const PATIENCE_MAX_MS: u64 = 64_000;
/// The blocks of one question, while nothing is known of their size.
const CHUNK_BLOCKS: usize = 16;
/// The most blocks of one question, where the last ones were small: sixteen questions together name what `sync::fetch` asks
/// ahead, so that every peer has its part.
const SMALL_BLOCKS: usize = 64;
/// The bytes that small blocks of one answer have together.
const SMALL_BYTES: u64 = 128 * 1024;
/// Blocks under way to one peer at most, if they are not small: four questions.
const WINDOW_MAX: usize = 4 * CHUNK_BLOCKS;
/// Smaller answers tell the way there and back, not the speed of a link.
const TELLING_BYTES: u64 = 8 * 1024;

/// What one peer's link has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// The patience for an answer that carries next to nothing, in milliseconds.
    patience_ms: u64,
    /// Blocks that may be under way, if they are not small.
    window: usize,
    bytes_per_second: Option<u64>,
    /// The bytes of one block, as the peer's answers had them.
    block_bytes: u64,
    /// When it last answered with bodies, headers or payments.
    answered: Time,
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

impl Pace {
    /// Nothing is known of the link.
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self {
            patience_ms: PATIENCE_MIN_MS,
            window: CHUNK_BLOCKS,
            bytes_per_second: None,
            block_bytes: 0,
            answered: Time::from_ms(0),
        }
    }

    /// The patience for a small answer.
    #[must_use]
    pub(crate) const fn patience_ms(&self) -> u64 {
        self.patience_ms
    }

    /// The patience for an answer behind so many blocks under way, its own included.
    #[must_use]
    pub(crate) fn patience_for(&self, blocks: usize) -> u64 {
        let blocks = u64::try_from(blocks).unwrap_or(u64::MAX);
        let most = u64::try_from(RESPONSE_MAX_BYTES).unwrap_or(u64::MAX).saturating_mul(4);
        self.patience_for_bytes(self.block_bytes.saturating_mul(blocks).min(most))
    }

    /// The patience for an answer of so many bytes.
    #[must_use]
    pub(crate) fn patience_for_bytes(&self, bytes: u64) -> u64 {
        // Twice what it should take: other traffic shares the link.
        let carry_ms = self
            .bytes_per_second
            .map_or(0, |rate| bytes.saturating_mul(2_000) / rate.max(1));
        self.patience_ms.saturating_add(carry_ms).min(PATIENCE_MAX_MS)
    }

    /// How many blocks one question names: more where the last ones were small.
    #[must_use]
    pub(crate) fn blocks(&self) -> usize {
        let small = SMALL_BYTES.checked_div(self.block_bytes).unwrap_or(0);
        let small = usize::try_from(small).map_or(SMALL_BLOCKS, |small| small.min(SMALL_BLOCKS));
        match self.window {
            window if window < CHUNK_BLOCKS => window,
            _ => small.max(CHUNK_BLOCKS),
        }
    }

    /// How many questions for bodies may be under way.
    #[must_use]
    pub(crate) fn questions(&self) -> usize {
        (self.window / CHUNK_BLOCKS).max(1)
    }

    /// An answer of any kind came.
    pub(crate) fn answered(&mut self) {
        self.patience_ms = (self.patience_ms / 4 * 3).max(PATIENCE_MIN_MS);
    }

    /// Bodies came that were asked for at `asked` and read at `read`.
    pub(crate) fn delivered(&mut self, asked: Time, read: Time, blocks: usize, bytes: usize) {
        self.answered();
        self.window = (self.window * 2).min(WINDOW_MAX);
        let blocks = u64::try_from(blocks.max(1)).unwrap_or(u64::MAX);
        let each = u64::try_from(bytes).unwrap_or(u64::MAX) / blocks;
        self.block_bytes = mean(Some(self.block_bytes).filter(|known| *known > 0), each);
        self.carried(asked, read, bytes);
    }

    /// An answer of so many bytes came, late or not, that was asked for at `asked` and read at `read`: what that says of
    /// the link's speed, or of the way there and back.
    pub(crate) fn carried(&mut self, asked: Time, read: Time, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        // What was asked before the last answer came waited behind it.
        let took_ms = read.since(asked.max(self.answered)).max(1);
        if bytes >= TELLING_BYTES {
            self.bytes_per_second = Some(mean(self.bytes_per_second, bytes.saturating_mul(1_000) / took_ms));
        } else {
            let likely_ms = took_ms.saturating_mul(3) / 2;
            self.patience_ms = self.patience_ms.max(likely_ms.min(PATIENCE_MAX_MS));
        }
        self.answered = self.answered.max(read);
    }

    /// A question lapsed: patience doubles, and less is asked.
    pub(crate) fn stalled(&mut self) {
        self.patience_ms = self.patience_ms.saturating_mul(2).min(PATIENCE_MAX_MS);
        self.window = (self.window / 2).clamp(1, CHUNK_BLOCKS);
    }
}

/// The mean of old and new, in which the old counts three times as much.
const fn mean(before: Option<u64>, new: u64) -> u64 {
    match before {
        Some(before) => (before / 4).saturating_mul(3).saturating_add(new / 4),
        None => new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Time {
        Time::from_ms(ms)
    }

    #[test]
    fn patience_grows_with_stalls_and_shrinks_with_answers() {
        let mut pace = Pace::new();
        (0..10).for_each(|_| pace.stalled());
        assert_eq!(pace.patience_ms(), PATIENCE_MAX_MS);
        (0..20).for_each(|_| pace.answered());
        assert_eq!(pace.patience_ms(), PATIENCE_MIN_MS);
    }

    #[test]
    fn a_first_fetch_is_one_question_and_a_good_link_gets_four() {
        let mut pace = Pace::new();
        let mut seen = vec![(pace.questions(), pace.blocks())];
        for n in 0..3 {
            pace.delivered(at(n * 10), at(n * 10 + 10), 16, 1_000_000);
            seen.push((pace.questions(), pace.blocks()));
        }
        assert_eq!(seen, [(1, 16), (2, 16), (4, 16), (4, 16)]);
    }

    #[test]
    fn of_small_blocks_64_are_asked_for_unless_the_link_lapses() {
        for (bytes, blocks) in [(400, 64), (3_000, 43), (8 * 1_024, 16), (100 * 1_024, 16)] {
            let mut pace = Pace::new();
            pace.delivered(at(0), at(10), 16, 16 * bytes);
            assert_eq!((pace.questions(), pace.blocks()), (2, blocks), "{bytes}");
            pace.stalled();
            assert_eq!((pace.questions(), pace.blocks()), (1, blocks), "{bytes}");
            pace.stalled();
            assert_eq!((pace.questions(), pace.blocks()), (1, 8), "{bytes}");
        }
    }

    #[test]
    fn a_link_that_lapses_is_asked_for_less_and_less() {
        let mut pace = Pace::new();
        let mut seen = Vec::new();
        for _ in 0..6 {
            pace.stalled();
            seen.push((pace.questions(), pace.blocks()));
        }
        assert_eq!(seen, [(1, 8), (1, 4), (1, 2), (1, 1), (1, 1), (1, 1)]);
    }

    #[test]
    fn patience_follows_from_bytes_and_from_what_the_link_did() {
        let mut pace = Pace::new();
        assert_eq!(pace.patience_for(16), PATIENCE_MIN_MS, "nothing is known yet");
        // 100 KiB a second, blocks of 100 KiB.
        pace.delivered(at(0), at(10_000), 10, 10 * 100 * 1_024);
        assert_eq!(pace.patience_for(1), PATIENCE_MIN_MS + 2_000);
        assert_eq!(pace.patience_for(16), PATIENCE_MIN_MS + 32_000);
        assert_eq!(pace.patience_for(1_000), PATIENCE_MAX_MS);
        // A fast link with tiny blocks needs none of it.
        let mut pace = Pace::new();
        pace.delivered(at(0), at(2), 16, 16 * 1_024);
        assert_eq!(pace.patience_for(64), PATIENCE_MIN_MS + 16);
    }

    #[test]
    fn a_long_way_there_and_back_is_learned_from_one_answer() {
        let mut pace = Pace::new();
        pace.stalled();
        pace.delivered(at(0), at(13_000), 1, 300);
        assert_eq!(pace.patience_for(1), 19_500);
        pace.delivered(at(13_000), at(13_010), 1, 300);
        assert!(pace.patience_for(1) < 19_500);
    }

    #[test]
    fn a_page_that_came_late_is_asked_for_with_the_time_that_it_takes() {
        let mut pace = Pace::new();
        pace.stalled();
        // 48 KiB in 24 s: 2 KiB a second.
        pace.carried(at(0), at(24_000), 48 * 1_024);
        assert_eq!(pace.patience_for_bytes(48 * 1_024), 4_000 + 48_000);
        assert_eq!((pace.questions(), pace.blocks()), (1, 8), "it says nothing of bodies");
    }

    #[test]
    fn what_waited_behind_another_answer_is_not_taken_for_slowness() {
        let mut pace = Pace::new();
        for n in 1..=4 {
            // All four were asked at once; each takes a second.
            pace.delivered(at(0), at(n * 1_000), 1, 1_000_000);
        }
        assert_eq!(pace.patience_for(1), PATIENCE_MIN_MS + 2_000);
    }
}
