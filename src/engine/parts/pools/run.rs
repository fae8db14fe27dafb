//! One run through one peer's pool: its pages, and what of them waits to be offered to the own pool.
//!
//! Promises: a page that does not come is asked for again, a few times and ever later; what came is offered sorted by
//! account and sequence, and again while that gains something, since one payment may need another's; what came before
//! a failure is offered all the same.
//! Elsewhere: when a run begins and what follows from it (`engine::parts::pools`).

use std::collections::VecDeque;

use super::io::{Order, PAGE_MAX, SLICE, SLOW_MS, Taken};
use crate::chain::Transaction;
use crate::pool::mempool::POOL_MAX_TRANSACTIONS;
use crate::pool::{Mempool, PoolError};
use crate::types::{PeerId, Time, Txid};

/// Failures of one page in a row after which the run ends: the pauses before the next try are 1, 2 and 4 s.
const FAILURES_MAX: u32 = 4;
/// The first of these pauses.
const AGAIN_MS: u64 = 1_000;
/// How long pages are collected before what came is offered, so that a slow peer withholds nothing that it has sent.
const COLLECT_MS: u64 = 1_000;
/// How often what was refused is offered again: each time another payment that it needed must have been taken.
const ROUNDS_MAX: u32 = 16;

/// What a page was.
#[derive(Debug)]
pub(super) enum PageVerdict {
    /// As it should be; these own transactions are in it.
    Fine { own: Vec<Txid> },
    /// The peer could have known better.
    Wrong(&'static str),
}

/// How far the next page of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PageState {
    /// Was asked for then.
    Asked(Time),
    /// Is to be asked for at this time.
    Due(Time),
    /// There is none: the run came whole.
    Whole,
    /// There will be none.
    Broken,
}

/// One run through one peer's pool.
#[derive(Debug)]
pub(super) struct PoolRun {
    /// The last id that came.
    after: [u8; 32],
    step: PageState,
    failures: u32,
    /// How many came, and the digest of all their ids.
    pub(super) came: u64,
    pub(super) digest: u64,
    /// How many of them the pool took.
    pub(super) gained: u64,
    /// The peer told its digest anew since the run began.
    pub(super) told_anew: bool,
    /// What came and is not in the pool, and since when it waits.
    collected: Vec<Transaction>,
    collecting_since: Time,
    /// What is being offered, in order.
    offering: VecDeque<Transaction>,
    /// What was refused in this round, in order.
    refused: Vec<(Transaction, PoolError)>,
    round_gained: bool,
    rounds: u32,
    /// What was refused to the end.
    given_up: VecDeque<(Transaction, PoolError)>,
}

impl PoolRun {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            after: [0; 32],
            step: PageState::Due(now),
            failures: 0,
            came: 0,
            digest: 0,
            gained: 0,
            told_anew: false,
            collected: Vec::new(),
            collecting_since: now,
            offering: VecDeque::new(),
            refused: Vec::new(),
            round_gained: false,
            rounds: 0,
            given_up: VecDeque::new(),
        }
    }

    /// Whether the page behind this id is waited for. It may come after its patience ended.
    pub(super) fn awaits(&self, after: [u8; 32]) -> bool {
        self.after == after && matches!(self.step, PageState::Asked(_) | PageState::Due(_))
    }

    /// Whether the whole pool came.
    pub(super) fn is_whole(&self) -> bool {
        self.step == PageState::Whole
    }

    /// Whether no page is to come.
    const fn has_ended(&self) -> bool {
        matches!(self.step, PageState::Whole | PageState::Broken)
    }

    /// Whether nothing is left to be asked for or offered.
    pub(super) fn is_done(&self) -> bool {
        self.has_ended() && self.held() == 0
    }

    /// How many transactions wait here.
    pub(super) fn held(&self) -> usize {
        self.collected.len() + self.offering.len() + self.refused.len() + self.given_up.len()
    }

    /// When it keeps no other run waiting any more.
    pub(super) fn slow_at(&self, now: Time) -> Time {
        match self.step {
            PageState::Asked(at) => at.after_ms(SLOW_MS),
            PageState::Due(at) if at > now => now,
            PageState::Due(at) => at.after_ms(SLOW_MS),
            PageState::Whole | PageState::Broken => now.after_ms(SLOW_MS),
        }
    }

    /// When the next page is to be asked for; none while one is under way, or too much waits to be offered.
    pub(super) fn ask_at(&self, now: Time, is_full: bool) -> Option<Time> {
        let has_room = !is_full && self.held() < POOL_MAX_TRANSACTIONS;
        match self.step {
            PageState::Due(at) if has_room => Some(at.max(now)),
            PageState::Due(_) | PageState::Asked(_) | PageState::Whole | PageState::Broken => None,
        }
    }

    /// Asks for the next page.
    pub(super) const fn ask(&mut self, now: Time) -> [u8; 32] {
        self.step = PageState::Asked(now);
        self.after
    }

    /// The page did not come.
    pub(super) fn failed(&mut self, now: Time, after: [u8; 32]) {
        if self.after != after || !matches!(self.step, PageState::Asked(_)) {
            return;
        }
        self.failures += 1;
        self.step = if self.failures >= FAILURES_MAX {
            PageState::Broken
        } else {
            PageState::Due(now.after_ms(AGAIN_MS << (self.failures - 1)))
        };
    }

    /// Takes in the page that was asked for.
    pub(super) fn read(&mut self, now: Time, pool: &Mempool, list: &[Vec<u8>]) -> PageVerdict {
        let mut own = Vec::new();
        self.failures = 0;
        if self.collected.is_empty() {
            self.collecting_since = now;
        }
        if list.len() > PAGE_MAX {
            self.step = PageState::Broken;
            return PageVerdict::Wrong("a page of the pool that is too long");
        }
        for bytes in list {
            let Ok(transaction) = Transaction::from_bytes(bytes) else {
                self.step = PageState::Broken;
                return PageVerdict::Wrong("a malformed transaction");
            };
            let txid = transaction.txid();
            // In the order of ids, so that the pages end.
            if *txid.as_bytes() <= self.after {
                self.step = PageState::Broken;
                return PageVerdict::Wrong("a page of the pool that is out of order");
            }
            self.after = *txid.as_bytes();
            self.came += 1;
            self.digest ^= txid.leading_bits();
            if !pool.contains(&txid) {
                self.collected.push(transaction);
            } else if pool.is_own(&txid) {
                own.push(txid);
            }
        }
        self.step = if list.is_empty() {
            PageState::Whole
        } else {
            PageState::Due(now)
        };
        PageVerdict::Fine { own }
    }

    /// When the next slice is to be offered.
    pub(super) fn offer_at(&self, now: Time, is_full: bool) -> Option<Time> {
        if !self.offering.is_empty() || !self.given_up.is_empty() {
            return Some(now);
        }
        if self.has_ended() && (!self.collected.is_empty() || !self.refused.is_empty()) {
            return Some(now);
        }
        let is_forced = is_full || self.failures > 0 || self.held() >= POOL_MAX_TRANSACTIONS;
        let collected_at = if is_forced {
            now
        } else {
            self.collecting_since.after_ms(COLLECT_MS)
        };
        (!self.collected.is_empty()).then_some(collected_at)
    }

    /// The next slice of what came, to be offered to the own pool.
    pub(super) fn slice(&mut self, now: Time, peer: PeerId) -> Option<Order> {
        if self.offering.is_empty() && self.given_up.is_empty() {
            self.next_round(now);
        }
        if !self.given_up.is_empty() {
            let list = self.given_up.drain(..self.given_up.len().min(SLICE)).collect();
            return Some(Order::Refuse { peer, list });
        }
        let list: Vec<Transaction> = self.offering.drain(..self.offering.len().min(SLICE)).collect();
        (!list.is_empty()).then_some(Order::Offer { peer, list })
    }

    /// Sorts what came, or what was refused and may be taken now; or gives that up.
    fn next_round(&mut self, now: Time) {
        let refused = core::mem::take(&mut self.refused);
        let fresh = core::mem::take(&mut self.collected);
        if fresh.is_empty() && (!self.round_gained || self.rounds >= ROUNDS_MAX) {
            self.given_up = refused.into();
            return;
        }
        self.rounds = if fresh.is_empty() { self.rounds + 1 } else { 0 };
        self.round_gained = false;
        self.collecting_since = now;
        let mut all: Vec<Transaction> = refused.into_iter().map(|(transaction, _)| transaction).collect();
        all.extend(fresh);
        all.sort_by_cached_key(Transaction::sequence);
        self.offering = all.into();
    }

    /// What became of a slice.
    pub(super) fn taken(&mut self, taken: Taken) {
        let gained = u64::try_from(taken.gained).unwrap_or(u64::MAX);
        self.gained = self.gained.saturating_add(gained);
        self.round_gained |= gained > 0;
        self.refused.extend(taken.refused);
        if taken.forged {
            self.step = PageState::Broken;
            self.collected.clear();
            self.offering.clear();
            self.refused.clear();
        }
    }
}
