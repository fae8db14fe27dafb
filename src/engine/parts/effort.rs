//! How much one turn of the engine may do: counted work, for the engine reads no clock.
//!
//! Promises: work is counted in units of about a microsecond on a machine of 2020; a turn is given [`TURN`] of it, about
//! ten milliseconds. Whoever has work in slices takes the next one while [`Effort::is_left`]; the smallest slice is one
//! block, so a full block makes its turn longer than that.
//! Elsewhere: the slices (`sync::bodies`), who wakes the engine for the next turn (`next_wakeup`).

/// The work of one turn.
pub(crate) const TURN: u64 = 10_000;
/// Looking up, linking and writing down a block without transactions.
const BLOCK: u64 = 100;
/// Checking one signature among many.
const SIGNATURE: u64 = 20;
/// Reading and changing the accounts and the index entry of one transaction.
const RECORD: u64 = 6;
/// Bytes that are read, hashed and copied for one unit.
const BYTES: usize = 128;

/// What a turn may still do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    left: u64,
    turns: usize,
}

impl Effort {
    /// Before the first turn.
    pub(crate) const fn new() -> Self {
        Self { left: TURN, turns: 0 }
    }

    /// A new turn begins, with the whole of its work to spend.
    pub(crate) const fn begin(&mut self) {
        self.left = TURN;
        self.turns = self.turns.wrapping_add(1);
    }

    /// Whether one more slice may be taken in this turn.
    pub(crate) const fn is_left(&self) -> bool {
        self.left > 0
    }

    /// A number that is another one in each turn: who was second is first in the next.
    pub(crate) const fn turn(&self) -> usize {
        self.turns
    }

    /// What a block of so many transactions costs, before it was read.
    pub(crate) fn price(transactions: usize) -> u64 {
        let count = u64::try_from(transactions).unwrap_or(u64::MAX);
        BLOCK.saturating_add(count.saturating_mul(SIGNATURE + RECORD))
    }

    /// A block was checked and taken, or refused.
    pub(crate) fn block(&mut self, transactions: usize, bytes: usize) {
        self.spend(BLOCK);
        self.transactions(transactions, bytes);
    }

    /// A block was taken, or refused, whose checks were made elsewhere.
    pub(crate) fn checked_block(&mut self, transactions: usize) {
        let count = u64::try_from(transactions).unwrap_or(u64::MAX);
        self.spend(BLOCK.saturating_add(count.saturating_mul(RECORD)));
    }

    /// So many transactions of so many bytes were checked.
    pub(crate) fn transactions(&mut self, count: usize, bytes: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let bytes = u64::try_from(bytes / BYTES).unwrap_or(u64::MAX);
        self.spend(count.saturating_mul(SIGNATURE + RECORD).saturating_add(bytes));
    }

    const fn spend(&mut self, units: u64) {
        self.left = self.left.saturating_sub(units);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks_in_a_turn(transactions: usize, bytes: usize) -> usize {
        let mut effort = Effort::new();
        effort.begin();
        let mut count = 0;
        while effort.is_left() {
            effort.block(transactions, bytes);
            count += 1;
        }
        count
    }

    #[test]
    fn a_turn_takes_one_full_block_or_many_small_ones() {
        assert_eq!(blocks_in_a_turn(4_096, 872 * 1_024), 1);
        assert_eq!(blocks_in_a_turn(2_000, 426_000), 1);
        assert_eq!(blocks_in_a_turn(100, 21_000), 4);
        assert!((60..100).contains(&blocks_in_a_turn(1, 300)));
    }

    #[test]
    fn what_a_fact_took_is_not_left_for_slices() {
        let mut effort = Effort::new();
        effort.begin();
        effort.transactions(500, 100_000);
        assert!(!effort.is_left());
        effort.begin();
        assert!(effort.is_left());
    }
}
