//! A token bucket: it limits how often something may be done.
//!
//! Promises: over any time it grants at most the burst plus what the rate refills. [`Bucket::charge`] is the exception:
//! it takes more than there is, and later takes wait until the debt is refilled. The bucket uses whole numbers only, so
//! it behaves the same on every machine.

use super::Time;

/// How fast a bucket refills, and how many tokens it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that are refilled in each period.
    pub tokens: u64,
    /// The length of a period in milliseconds, at least 1.
    pub period_ms: u64,
    /// Tokens of a full bucket, the most that can be taken at once.
    pub burst: u64,
}

impl Rate {
    /// A rate of `tokens` per second, with a bucket of `burst` tokens.
    #[must_use]
    pub const fn per_second(tokens: u64, burst: u64) -> Self {
        Self {
            tokens,
            period_ms: 1_000,
            burst,
        }
    }
}

/// A bucket, stored as the tokens that were taken and not yet refilled.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// Counted in parts of a token. One token has `period_ms` parts, and each millisecond refills `tokens` parts.
    used: u64,
    at: Time,
}

impl Bucket {
    /// A full bucket: nothing was taken from it yet.
    #[must_use]
    pub const fn full(now: Time) -> Self {
        Self { used: 0, at: now }
    }

    fn refill(&mut self, now: Time, rate: Rate) {
        self.used = self.used.saturating_sub(now.since(self.at).saturating_mul(rate.tokens));
        self.at = now;
    }

    /// Takes `count` tokens, or none if fewer are left.
    pub fn take(&mut self, now: Time, count: u64, rate: Rate) -> bool {
        self.refill(now, rate);
        let wanted = self.used.saturating_add(count.saturating_mul(rate.period_ms));
        if wanted > rate.burst.saturating_mul(rate.period_ms) {
            return false;
        }
        self.used = wanted;
        true
    }

    /// The first time at which `count` tokens can be taken.
    #[must_use]
    pub fn ready_at(&self, now: Time, count: u64, rate: Rate) -> Time {
        let refilled = now.since(self.at).saturating_mul(rate.tokens);
        let used = self
            .used
            .saturating_sub(refilled)
            .saturating_add(count.saturating_mul(rate.period_ms));
        let over = used.saturating_sub(rate.burst.saturating_mul(rate.period_ms));
        now.after_ms(over.div_ceil(rate.tokens.max(1)))
    }

    /// Takes `count` tokens even if fewer are left; the bucket then refills the debt first.
    pub fn charge(&mut self, now: Time, count: u64, rate: Rate) {
        self.refill(now, rate);
        self.used = self.used.saturating_add(count.saturating_mul(rate.period_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Time {
        Time::from_ms(ms)
    }

    #[test]
    fn buckets_empty_and_fill_again() {
        let (mut bucket, rate) = (Bucket::full(at(5)), Rate::per_second(4, 40));
        let taken = (0..100).filter(|_| bucket.take(at(5), 1, rate)).count();
        assert_eq!(taken, 40);
        assert!(bucket.take(at(1_005), 4, rate));
        assert!(!bucket.take(at(1_005), 1, rate));
    }

    #[test]
    fn a_rate_may_be_less_than_one_a_second() {
        let rate = Rate {
            tokens: 1,
            period_ms: 30_000,
            burst: 2,
        };
        let mut bucket = Bucket::full(at(5));
        assert!(bucket.take(at(5), 1, rate) && bucket.take(at(5), 1, rate));
        assert!(!bucket.take(at(30_004), 1, rate));
        assert!(bucket.take(at(30_005), 1, rate));
        assert!(!bucket.take(at(30_005), 1, rate));
    }

    #[test]
    fn what_is_charged_beyond_the_burst_is_owed() {
        let rate = Rate::per_second(1_000_000, 5_000_000);
        let mut bucket = Bucket::full(at(5));
        assert!(bucket.take(at(5), rate.burst, rate));
        bucket.charge(at(5), rate.tokens / 10, rate);
        assert!(!bucket.take(at(5 + 100), 1, rate), "100 ms pay the debt");
        assert!(bucket.take(at(5 + 101), 1, rate));
    }

    #[test]
    fn whoever_waits_until_a_bucket_is_ready_is_served() {
        let rate = Rate::per_second(1_000_000, 5_000_000);
        let mut bucket = Bucket::full(at(5));
        assert_eq!(bucket.ready_at(at(5), 1_000, rate), at(5));
        bucket.charge(at(5), rate.burst + 1_000_000, rate);
        let ready = bucket.ready_at(at(5), 1_000, rate);
        assert!(ready > at(5));
        assert!(!bucket.clone().take(at(ready.ms() - 1), 1_000, rate));
        assert!(bucket.take(ready, 1_000, rate));
    }
}
