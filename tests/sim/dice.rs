//! The simulation's own generator: everything that is left to chance comes from one seed.

use lanchain::types::rng::Rng;

/// A seeded generator with the draws that a world needs.
#[derive(Clone, Debug)]
pub(crate) struct Dice(Rng);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Rng::new(seed))
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    /// True so often of a thousand times.
    pub(crate) const fn chance(&mut self, of_thousand: u64) -> bool {
        self.0.below(1_000) < of_thousand
    }

    /// An index from `from` to below `to`.
    pub(crate) fn index(&mut self, from: usize, to: usize) -> usize {
        let span = u64::try_from(to - from).unwrap_or(1);
        from + usize::try_from(self.0.below(span)).unwrap_or(0)
    }

    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.index(0, list.len())]
    }

    /// From minus `reach` to `reach`.
    pub(crate) fn signed(&mut self, reach: i64) -> i64 {
        let span = reach.unsigned_abs() * 2 + 1;
        i64::try_from(self.0.below(span)).unwrap_or(0) - reach
    }

    pub(crate) const fn rng(&mut self) -> &mut Rng {
        &mut self.0
    }
}
