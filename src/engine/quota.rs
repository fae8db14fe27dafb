//! Token buckets: what a peer may do so often.
//!
//! Promises: over any time no more is granted than the burst and what the rate gives, but for one answer whose size was
//! not known before; that is owed.
//! Elsewhere: what asking too much costs (`peers`).
//! Spec: `proto-notes/limits.md`, "Rates".

use crate::types::Time;

/// What a question for bodies counts before its answer is known: finding sixteen small blocks takes about as long as
/// sending so many bytes.
pub const QUESTION_BYTES: u64 = 16 * 1_024;

/// What a peer may do so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `Status` requests.
    Status,
    /// `GetHeaders` requests.
    Headers,
    /// `GetBlocks` requests, in bytes.
    Blocks,
    /// `GetPending` requests.
    Pending,
    /// Gossiped blocks.
    GossipBlock,
    /// Gossiped transactions.
    GossipTx,
}

impl Kind {
    pub(super) const COUNT: usize = 6;

    /// A second's refill and the burst.
    pub(super) const fn rate(self) -> (u64, u64) {
        match self {
            // One a second on change, one every ten seconds: four times as much is a flood.
            Self::Status => (4, 40),
            // A window of 8,192 headers is 16 requests.
            Self::Headers => (20, 100),
            // Bytes: 25 MiB a second of large blocks or 19,000 small ones, both more than a node can check.
            Self::Blocks => (25 * 1_024 * 1_024, 128 * 1_024 * 1_024),
            // A full pool is ten pages.
            Self::Pending => (20, 100),
            // A network at the floor finds tens of blocks a second for a moment.
            Self::GossipBlock => (20, 200),
            // Transactions, not messages.
            Self::GossipTx => (500, 10_000),
        }
    }

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Status => 0,
            Self::Headers => 1,
            Self::Blocks => 2,
            Self::Pending => 3,
            Self::GossipBlock => 4,
            Self::GossipTx => 5,
        }
    }
}

/// What was taken of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// Thousandths that were taken and not yet refilled.
    used: u64,
    at: Time,
}

impl Bucket {
    /// Nothing is taken yet.
    pub(super) const fn full(now: Time) -> Self {
        Self { used: 0, at: now }
    }

    fn refill(&mut self, now: Time, per_second: u64) {
        self.used = self.used.saturating_sub(now.since(self.at).saturating_mul(per_second));
        self.at = now;
    }

    /// Takes `count` tokens, or none if fewer are left.
    pub(super) fn take(&mut self, now: Time, count: u64, (per_second, burst): (u64, u64)) -> bool {
        self.refill(now, per_second);
        let wanted = self.used.saturating_add(count.saturating_mul(1_000));
        if wanted > burst * 1_000 {
            return false;
        }
        self.used = wanted;
        true
    }

    /// When `count` tokens will be there.
    pub(super) const fn ready_at(&self, now: Time, count: u64, (per_second, burst): (u64, u64)) -> Time {
        let refilled = now.since(self.at).saturating_mul(per_second);
        let used = self
            .used
            .saturating_sub(refilled)
            .saturating_add(count.saturating_mul(1_000));
        let over = used.saturating_sub(burst.saturating_mul(1_000));
        Time::from_ms(now.ms().saturating_add(over.div_ceil(per_second)))
    }

    /// Takes `count` tokens, also those that are not there.
    pub(super) fn charge(&mut self, now: Time, count: u64, (per_second, _): (u64, u64)) {
        self.refill(now, per_second);
        self.used = self.used.saturating_add(count.saturating_mul(1_000));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_empty_and_fill_again() {
        let now = Time::from_ms(5);
        let mut bucket = Bucket::full(now);
        let rate = Kind::Status.rate();
        let taken = (0..100).filter(|_| bucket.take(now, 1, rate)).count();
        assert_eq!(taken, 40);
        assert!(bucket.take(Time::from_ms(1_005), 4, rate));
        assert!(!bucket.take(Time::from_ms(1_005), 1, rate));
    }

    #[test]
    fn what_an_answer_cost_beyond_its_question_is_owed() {
        let now = Time::from_ms(5);
        let mut bucket = Bucket::full(now);
        let rate = Kind::Blocks.rate();
        let (per_second, burst) = rate;
        assert!(bucket.take(now, burst, rate));
        bucket.charge(now, per_second / 10, rate);
        assert!(!bucket.take(Time::from_ms(5 + 100), 1, rate), "100 ms pay the debt");
        assert!(bucket.take(Time::from_ms(5 + 101), 1, rate));
    }

    #[test]
    fn whoever_waits_until_a_bucket_is_ready_is_served() {
        let now = Time::from_ms(5);
        let rate = Kind::Blocks.rate();
        let mut bucket = Bucket::full(now);
        assert_eq!(bucket.ready_at(now, QUESTION_BYTES, rate), now);
        bucket.charge(now, rate.1 + 1_000_000, rate);
        let ready = bucket.ready_at(now, QUESTION_BYTES, rate);
        assert!(ready > now);
        let before = Time::from_ms(ready.ms() - 1);
        assert!(!bucket.clone().take(before, QUESTION_BYTES, rate));
        assert!(bucket.take(ready, QUESTION_BYTES, rate));
    }
}
