//! One peer's pool as far as it is known: whether it differs from the own one, and when it is read again.
//!
//! Elsewhere: whose turn it is (`pools`), one run through it (`pools::run`).
//! Spec: `proto-notes/sync.md`, "Pools".

use std::collections::VecDeque;

use super::history::History;
use super::io::{HeldThere, Order};
use super::run::PoolRun;
use crate::types::Time;

/// Pools must differ this long before they are compared: gossip takes milliseconds.
const PATIENCE_MS: u64 = 500;
/// The pause between two runs through one pool; it doubles while they gain next to nothing.
const REST_MS: u64 = 1_000;
/// It doubles up to this for an empty pool: every second would do no harm there.
const REST_MAX_MS: u64 = 4_000;
/// So much longer for each transaction that came: a pool of 10,000 is read in vain once in 44 s at most.
const REST_MAX_EACH_MS: u64 = 4;
/// A run that gains less than one in so many of what came gains next to nothing.
const GAIN_SHARE: u64 = 64;
/// How far ahead of that rate a peer may be read: four full pools.
pub(super) const READ_AHEAD_MS: u64 = 10_000;

/// How a peer's pool and the own one relate, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// Nothing is to be fetched: equal, empty, or what the own pool was a moment ago.
    Level,
    /// They differ by what gained nothing, or by what its pool did not hold when it was read.
    Settled,
    /// They differ since then.
    Differs(Time),
}

/// A difference that gained nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    /// Both digests, exclusive-or: the digest of what one of them lacks. It stays when both get the same.
    pub(super) difference: u64,
    /// The own pool's state then.
    pub(super) state: u64,
    pub(super) until: Time,
}

/// A peer, and what is known of its pool.
#[derive(Debug)]
pub(super) struct Side {
    /// How many wait there and the digest, as it said last or as they came last.
    pub(super) told: (u32, u64),
    pub(super) standing: Comparison,
    pub(super) settled: Option<Settled>,
    /// A digest that it told and that was not its pool's, and until when it is not followed again.
    pub(super) doubted: Option<(u64, Time)>,
    /// Its pool was level or asked for before.
    pub(super) is_known: bool,
    /// Its pool is not read before this time.
    pub(super) rest_until: Time,
    /// Runs in a row that gained next to nothing.
    pub(super) futile: u32,
    /// The reading so far is paid for then.
    pub(super) paid_at: Time,
    pub(super) run: Option<PoolRun>,
}

impl Side {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            told: (0, 0),
            standing: Comparison::Level,
            settled: None,
            doubted: None,
            is_known: false,
            rest_until: now,
            futile: 0,
            paid_at: now,
            run: None,
        }
    }

    /// Whether what was told last is this, but for what is settled.
    pub(super) fn is_met(&self, digest: u64) -> bool {
        let difference = self.told.1 ^ digest;
        difference == 0 || self.settled.is_some_and(|settled| settled.difference == difference)
    }

    /// What was told last is held against what the own pool is and was.
    pub(super) fn judge(&mut self, now: Time, history: &History, out: &mut VecDeque<Order>) {
        let (count, digest) = self.told;
        if let Some(state) = history.find(now, digest) {
            self.standing = Comparison::Level;
            out.push_back(Order::Known(HeldThere::Between(0, state)));
            return;
        }
        let same = self
            .settled
            .and_then(|settled| Some((settled.state, history.find(now, digest ^ settled.difference)?)));
        self.standing = match (same, self.standing) {
            (Some((from, to)), _) => {
                out.push_back(Order::Known(HeldThere::Between(from, to)));
                Comparison::Settled
            }
            (None, _) if count == 0 => Comparison::Level,
            (None, _) if self.doubted.is_some_and(|(doubted, _)| doubted == digest) => Comparison::Settled,
            (None, Comparison::Differs(since)) => Comparison::Differs(since),
            (None, Comparison::Level | Comparison::Settled) => Comparison::Differs(now),
        };
    }

    /// When what is settled or doubted is looked at again.
    pub(super) fn patience_ends(&self) -> Option<Time> {
        let settled = self.settled.map(|settled| settled.until);
        settled.into_iter().chain(self.doubted.map(|(_, until)| until)).min()
    }

    /// What was settled or doubted is to be looked at again.
    pub(super) fn unsettle(&mut self, now: Time) {
        self.settled = None;
        self.doubted = None;
        if self.standing == Comparison::Settled {
            self.standing = Comparison::Differs(now);
        }
    }

    /// When its pool is to be read.
    pub(super) fn due(&self, now: Time) -> Option<Time> {
        match self.standing {
            Comparison::Level | Comparison::Settled => None,
            // Gossip cannot bring what was there before the connection.
            Comparison::Differs(_) if !self.is_known => Some(now),
            Comparison::Differs(since) => Some(self.rest_until.max(since.after_ms(PATIENCE_MS))),
        }
    }

    /// When the next page may be asked for, by what was read before.
    pub(super) const fn readable_at(&self) -> Time {
        Time::from_ms(self.paid_at.ms().saturating_sub(READ_AHEAD_MS))
    }

    /// A run has ended: the pause before the next.
    pub(super) fn rest(&mut self, now: Time, came: u64, gained: u64) {
        let most_ms = REST_MAX_MS.saturating_add(REST_MAX_EACH_MS.saturating_mul(came));
        let is_useful = gained > 0 && gained.saturating_mul(GAIN_SHARE) >= came;
        self.futile = if is_useful { 0 } else { self.futile.saturating_add(1) };
        let doublings = self.futile.saturating_sub(1).min(16);
        self.rest_until = now.after_ms((REST_MS << doublings).min(most_ms));
    }
}
