//! The division of a span of nonces among threads.
//!
//! Promises: every nonce of the span belongs to exactly one range of exactly one thread; each range has one high half,
//! so that a thread prepares once for each range.

use core::ops::RangeInclusive;

/// The nonces that share one high half, which is the length of a range.
const RANGE: u128 = 1 << 32;

/// A span of nonces, and the range to begin with.
#[derive(Clone, Debug)]
pub(super) struct Span {
    first: u64,
    last: u64,
    /// The range to begin with, counted from the one that contains `first`.
    begin: u64,
    range: u128,
}

impl Span {
    /// The whole nonce space, beginning with the range of `start` and wrapping around at the end.
    pub(super) fn all(start: u64) -> Self {
        Self {
            first: 0,
            last: u64::MAX,
            begin: start >> 32,
            range: RANGE,
        }
    }

    /// A part of the nonce space, from its beginning.
    pub(super) fn part(nonces: RangeInclusive<u64>, range: u64) -> Self {
        Self {
            first: *nonces.start(),
            last: *nonces.end(),
            begin: 0,
            range: u128::from(range.max(1)),
        }
    }

    /// The ranges that belong to one of `threads` threads: every `threads`-th one.
    pub(super) fn ranges(&self, thread: usize, threads: usize) -> impl Iterator<Item = RangeInclusive<u64>> + use<> {
        let Self {
            first,
            last,
            begin,
            range,
        } = self.clone();
        let nonces = (u128::from(last) + 1).saturating_sub(u128::from(first));
        let count = nonces.div_ceil(range);
        let turn = move |k: u128| {
            let from = u128::from(first) + (k + u128::from(begin)) % count * range;
            let to = (from + range - 1).min(u128::from(last));
            // Both lie between `first` and `last`.
            u64::try_from(from).ok().zip(u64::try_from(to).ok())
        };
        (0..count)
            .skip(thread)
            .step_by(threads.max(1))
            .filter_map(turn)
            .map(|(from, to)| from..=to)
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    fn sorted(span: &Span, threads: usize) -> Vec<(u64, u64)> {
        let mut all: Vec<_> = (0..threads)
            .flat_map(|thread| span.ranges(thread, threads))
            .map(|range| (*range.start(), *range.end()))
            .collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn ranges_of_all_threads_cover_a_span_without_overlap() {
        for threads in 1..9 {
            for (first, last, range) in [(0, 99, 10), (5, 5, 3), (7, 103, 8), (u64::MAX - 20, u64::MAX, 7)] {
                let mut next = Some(first);
                for (from, to) in sorted(&Span::part(first..=last, range), threads) {
                    assert_eq!(next, Some(from));
                    assert!(from <= to && to - from < range);
                    next = to.checked_add(1);
                }
                assert_eq!(next, last.checked_add(1));
            }
        }
    }

    #[test]
    fn whole_space_begins_with_the_range_of_the_start_and_goes_round() {
        let start = (u64::from(u32::MAX) << 32) | 17;
        let ranges: Vec<_> = Span::all(start).ranges(0, 1).take(2).collect();
        assert_eq!(ranges, [u64::from(u32::MAX) << 32..=u64::MAX, 0..=u64::from(u32::MAX)]);
        let second: Vec<_> = Span::all(0).ranges(1, 2).take(2).collect();
        assert_eq!(second, [1 << 32..=(2 << 32) - 1, 3 << 32..=(4 << 32) - 1]);
    }

    #[test]
    fn empty_span_has_no_range() {
        #[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
        let span = Span::part(1..=0, 10);
        assert_eq!(sorted(&span, 3), []);
    }
}
