//! The hash rate as a moving average.
//!
//! Promises: the rate is the attempts of the last seconds divided by those seconds; it needs no thread, and its memory
//! is fixed.

use std::time::{Duration, Instant};

/// The length of a bucket: short enough for a smooth average, long enough to be cheap.
const BUCKET: Duration = Duration::from_millis(250);

/// The buckets in the window: four seconds, so that a display each second is steady and still follows changes.
const BUCKETS: usize = 16;

/// The attempts of the last quarter seconds since mining began.
#[derive(Debug)]
pub(super) struct HashRate {
    began: Option<Instant>,
    /// For each slot, the number of its bucket since `began` and the attempts in it; the slot is the number modulo the
    /// length.
    buckets: [(u128, u64); BUCKETS],
}

impl HashRate {
    pub(super) fn new() -> Self {
        Self {
            began: None,
            buckets: [(0, 0); BUCKETS],
        }
    }

    /// Drops all counts, because nobody mines any more.
    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Starts the clock of the average, unless it runs already.
    pub(super) fn begin(&mut self, now: Instant) {
        self.began.get_or_insert(now);
    }

    /// Adds attempts that ended at `now`. Attempts after [`HashRate::clear`] do not count.
    pub(super) fn add(&mut self, now: Instant, attempts: u64) {
        let Some(began) = self.began else { return };
        let number = bucket_number(began, now);
        let bucket = &mut self.buckets[slot(number)];
        if bucket.0 != number {
            *bucket = (number, 0);
        }
        bucket.1 = bucket.1.saturating_add(attempts);
    }

    /// Attempts per second over the window.
    pub(super) fn per_second(&self, now: Instant) -> u64 {
        let Some(began) = self.began else { return 0 };
        let current = bucket_number(began, now);
        let oldest = current.saturating_sub(WINDOW - 1);
        let attempts: u128 = self
            .buckets
            .iter()
            .filter(|(number, _)| (oldest..=current).contains(number))
            .map(|&(_, attempts)| u128::from(attempts))
            .sum();
        // The last bucket is not complete, so only the time that has passed counts.
        let elapsed_ns = now.saturating_duration_since(began).as_nanos();
        let window_ns = elapsed_ns - (oldest * BUCKET.as_nanos()).min(elapsed_ns);
        let per_second = attempts * 1_000_000_000 / window_ns.max(MIN_WINDOW.as_nanos());
        u64::try_from(per_second).unwrap_or(u64::MAX)
    }
}

/// The number of buckets, in the type of bucket numbers.
const WINDOW: u128 = 16;

/// The shortest time for a rate: below it, the first batch alone would decide.
const MIN_WINDOW: Duration = Duration::from_millis(10);

fn bucket_number(began: Instant, now: Instant) -> u128 {
    now.saturating_duration_since(began).as_nanos() / BUCKET.as_nanos()
}

fn slot(number: u128) -> usize {
    usize::try_from(number % WINDOW).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::HashRate;
    use std::time::{Duration, Instant};

    #[test]
    fn steady_mining_shows_its_rate_at_any_time() {
        let start = Instant::now();
        let mut rate = HashRate::new();
        rate.begin(start);
        for ms in (10..20_000).step_by(10) {
            let now = start + Duration::from_millis(ms);
            rate.add(now, 10_000);
            let shown = rate.per_second(now);
            assert!((900_000..=1_100_000).contains(&shown), "{shown} after {ms} ms");
        }
    }

    #[test]
    fn rate_falls_to_zero_when_nothing_is_tried_for_the_window() {
        let start = Instant::now();
        let mut rate = HashRate::new();
        rate.begin(start);
        rate.add(start + Duration::from_secs(1), 1_000_000);
        assert!(rate.per_second(start + Duration::from_secs(3)) > 0);
        assert_eq!(rate.per_second(start + Duration::from_secs(6)), 0);
    }

    #[test]
    fn idle_meter_shows_zero_and_counts_nothing() {
        let now = Instant::now();
        let mut rate = HashRate::new();
        rate.add(now, 5_000);
        assert_eq!(rate.per_second(now), 0);
        rate.begin(now);
        rate.add(now, 5_000);
        rate.clear();
        assert_eq!(rate.per_second(now), 0);
    }
}
