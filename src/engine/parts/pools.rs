//! The comparison of pools: whose pool is read when, page by page, and in which order it is offered to the own pool.
//!
//! Promises: settled is only what came: a page that failed, was refused or came late is asked for again, and a pool counts
//! as compared only when a run through it came whole and gained nothing. What came is sorted by account and sequence
//! before it is offered, in slices. A peer whose pool gains next to nothing is read ever more rarely.
//! Elsewhere: one run through one pool (`pools::run`), the own pool's last states (`pools::history`), adding to the pool
//! and what a forged payment costs (`relay`), which own payments nobody has yet (`unheard`).
//! Spec: `proto-notes/sync.md`, "Pools".

mod history;
mod run;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use crate::chain::Transaction;
use crate::pool::mempool::POOL_MAX_TRANSACTIONS;
use crate::pool::{Mempool, PoolError};
use crate::types::{PeerId, Time, Txid};
use history::History;
use run::{Page, Run};

/// Transactions of one page of `GetPending`: half a megabyte at most.
pub(crate) const PAGE_MAX: usize = 1_024;
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
/// How long a difference that gained nothing is left alone: what the pool refused then it may want by now.
const SETTLED_MS: u64 = 60_000;
/// Runs at once while their pages come quickly: one neighbour's pool is mostly the other's too.
const RUNS_MAX: usize = 2;
/// Runs at once, slow ones included: a few peers that stall keep nobody waiting.
const RUNS_SLOW_MAX: usize = 8;
/// A page that takes longer than this does not keep others waiting. A LAN answers in milliseconds.
const SLOW_MS: u64 = 1_000;
/// Transactions of all runs that wait to be offered: two whole pools, some 10 MiB.
const HELD_MAX: usize = 2 * POOL_MAX_TRANSACTIONS;
/// Transactions offered at once: a millisecond or two of signatures.
const SLICE: usize = 64;
/// What is read of one peer's pool in a second, in transactions, over any longer time: a parse and a hash each.
const READ_PER_SECOND: u64 = 4_000;
/// How far ahead of that rate a peer may be read: four full pools.
const READ_AHEAD_MS: u64 = 10_000;

/// What happened.
#[derive(Debug)]
pub(crate) enum Fact {
    /// A peer said how many wait in its pool, and the digest.
    Status { peer: PeerId, count: u32, digest: u64 },
    /// The page of a peer's pool behind this id.
    Page {
        peer: PeerId,
        after: [u8; 32],
        list: Vec<Vec<u8>>,
    },
    /// That page did not come: it failed, took too long, or the peer is busy.
    NoPage { peer: PeerId, after: [u8; 32] },
    /// What became of an offer.
    Taken(Taken),
    /// A peer is gone.
    Gone { peer: PeerId },
    /// The tip is another: the pool may want what it refused.
    Tip,
}

/// What became of an offer.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) peer: PeerId,
    /// So many are in the pool that were not.
    pub(crate) gained: usize,
    /// What the pool refused; it may want it after others.
    pub(crate) refused: Vec<(Transaction, PoolError)>,
    /// One was against the rules for ever: nothing more of this run counts.
    pub(crate) forged: bool,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Order {
    /// Ask for the page behind this id.
    Ask { peer: PeerId, after: [u8; 32] },
    /// Add these to the pool, in this order; [`Fact::Taken`] is the answer.
    Offer { peer: PeerId, list: Vec<Transaction> },
    /// The pool refused these to the end: their signatures are still to be checked.
    Refuse {
        peer: PeerId,
        list: Vec<(Transaction, PoolError)>,
    },
    /// The peer could have known better.
    Blame { peer: PeerId, reason: &'static str },
    /// A neighbour holds this of the own pool.
    Known(Known),
}

/// What a neighbour holds of the own pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// All that entered behind the first of these states of the pool, up to the second.
    Between(u64, u64),
    /// These.
    These(Vec<Txid>),
}

/// What the comparison looks at and does not own.
pub(crate) struct Around<'a> {
    /// Whether pages may be asked for at all now.
    pub(crate) is_open: bool,
    /// From when on a peer may be asked; none if enough is under way to it.
    pub(crate) free_at: &'a dyn Fn(&PeerId) -> Option<Time>,
}

/// How a peer's pool and the own one relate, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing is to be fetched: equal, empty, or what the own pool was a moment ago.
    Level,
    /// They differ by what gained nothing, or by what its pool did not hold when it was read.
    Settled,
    /// They differ since then.
    Differs(Time),
}

/// A difference that gained nothing.
#[derive(Clone, Copy, Debug)]
struct Settled {
    /// Both digests, exclusive-or: the digest of what one of them lacks. It stays when both get the same.
    difference: u64,
    /// The own pool's state then.
    state: u64,
    until: Time,
}

/// A peer.
#[derive(Debug)]
struct Side {
    /// How many wait there and the digest, as it said last or as they came last.
    told: (u32, u64),
    standing: Standing,
    settled: Option<Settled>,
    /// A digest that it told and that was not its pool's, and until when it is not followed again.
    doubted: Option<(u64, Time)>,
    /// Its pool was level or asked for before.
    is_known: bool,
    /// Not read before.
    rest_until: Time,
    /// Runs in a row that gained next to nothing.
    futile: u32,
    /// The reading so far is paid for then.
    paid_at: Time,
    run: Option<Run>,
}

/// The comparison of pools.
#[derive(Debug)]
pub(crate) struct Pools {
    sides: BTreeMap<PeerId, Side>,
    history: History,
    /// Whose slice was offered last: runs take turns.
    last_offer: Option<PeerId>,
    out: VecDeque<Order>,
}

impl Pools {
    pub(crate) const fn new() -> Self {
        Self {
            sides: BTreeMap::new(),
            history: History::new(),
            last_offer: None,
            out: VecDeque::new(),
        }
    }

    /// The number of the own pool's next state: what enters now is part of it.
    pub(crate) const fn next_state(&self) -> u64 {
        self.history.next()
    }

    /// Takes a fact. `pool` is the own one as it is now.
    pub(crate) fn handle(&mut self, now: Time, pool: &Mempool, fact: Fact) {
        self.look_at(now, pool);
        match fact {
            Fact::Status { peer, count, digest } => self.on_status(now, peer, (count, digest)),
            Fact::Page { peer, after, list } => self.on_page(now, pool, peer, after, &list),
            Fact::NoPage { peer, after } => {
                if let Some(run) = self.run_of(&peer) {
                    run.failed(now, after);
                }
            }
            Fact::Taken(taken) => {
                if let Some(run) = self.run_of(&taken.peer) {
                    run.taken(taken);
                }
            }
            Fact::Gone { peer } => {
                self.sides.remove(&peer);
            }
            Fact::Tip => {
                for side in self.sides.values_mut() {
                    side.unsettle(now);
                }
            }
        }
        self.finish_runs(now);
    }

    /// The own pool may have changed, and time has passed. To be called before [`Pools::poll`].
    pub(crate) fn look_at(&mut self, now: Time, pool: &Mempool) {
        let changed = self.history.note(now, pool.digest());
        for side in self.sides.values_mut() {
            if side.patience_ends().is_some_and(|at| at <= now) {
                side.unsettle(now);
            }
            if changed && matches!(side.standing, Standing::Differs(_)) && side.is_met(self.history.digest()) {
                side.judge(now, &self.history, &mut self.out);
            }
        }
    }

    /// The next order; none until the next fact or [`Pools::next_wakeup`].
    pub(crate) fn poll(&mut self, now: Time, around: &Around<'_>) -> Option<Order> {
        self.finish_runs(now);
        if let Some(order) = self.out.pop_front() {
            return Some(order);
        }
        if let Some(order) = self.next_slice(now) {
            return Some(order);
        }
        if !around.is_open {
            return None;
        }
        self.next_page(now, around).or_else(|| self.begin(now, around))
    }

    /// When something is to be done if no fact comes before.
    pub(crate) fn next_wakeup(&self, now: Time, around: &Around<'_>) -> Option<Time> {
        if !self.out.is_empty() {
            return Some(now);
        }
        let mut times: Vec<Time> = Vec::new();
        let room_at = self.room_at(now);
        for (peer, side) in &self.sides {
            times.extend(side.patience_ends());
            let free_at = (around.free_at)(peer).filter(|_| around.is_open);
            match &side.run {
                Some(run) => {
                    times.extend(run.offer_at(now, self.is_full()));
                    let ask_at = run.ask_at(now, self.is_full());
                    times.extend(ask_at.and_then(|at| Some(at.max(free_at?).max(side.readable_at()))));
                }
                None => times.extend(side.due(now).and_then(|at| Some(at.max(free_at?).max(room_at?)))),
            }
        }
        times.into_iter().min().map(|at| at.max(now))
    }

    fn run_of(&mut self, peer: &PeerId) -> Option<&mut Run> {
        self.sides.get_mut(peer)?.run.as_mut()
    }

    fn on_status(&mut self, now: Time, peer: PeerId, told: (u32, u64)) {
        let side = self.sides.entry(peer).or_insert_with(|| Side::new(now));
        side.told = told;
        if let Some(run) = &mut side.run {
            run.told_anew = true;
        }
        side.judge(now, &self.history, &mut self.out);
        // Only what was there before the connection needs no patience.
        side.is_known |= side.standing == Standing::Level;
    }

    fn on_page(&mut self, now: Time, pool: &Mempool, peer: PeerId, after: [u8; 32], list: &[Vec<u8>]) {
        let Some(side) = self.sides.get_mut(&peer) else { return };
        let Some(run) = side.run.as_mut().filter(|run| run.awaits(after)) else {
            // Late: that run has ended, or has this page.
            return;
        };
        let cost_ms = u64::try_from(list.len()).unwrap_or(u64::MAX).saturating_mul(1_000) / READ_PER_SECOND;
        side.paid_at = side.paid_at.max(now).after_ms(cost_ms);
        match run.read(now, pool, list) {
            Page::Fine { own } if own.is_empty() => {}
            Page::Fine { own } => self.out.push_back(Order::Known(Known::These(own))),
            Page::Wrong(reason) => self.out.push_back(Order::Blame { peer, reason }),
        }
    }

    /// Runs that have nothing left to ask for and to offer.
    fn finish_runs(&mut self, now: Time) {
        for side in self.sides.values_mut() {
            let Some(run) = side.run.take_if(|run| run.is_done()) else {
                continue;
            };
            side.rest(now, run.came, run.gained);
            if !run.is_whole() {
                side.standing = Standing::Differs(now);
                continue;
            }
            if !run.told_anew {
                // What came is newer than the last status.
                if side.told.1 != run.digest {
                    side.doubted = Some((side.told.1, now.after_ms(SETTLED_MS)));
                }
                side.told = (u32::try_from(run.came).unwrap_or(u32::MAX), run.digest);
            }
            let difference = run.digest ^ self.history.digest();
            if run.gained == 0 && difference != 0 {
                side.settled = Some(Settled {
                    difference,
                    state: self.history.state(),
                    until: now.after_ms(SETTLED_MS),
                });
            }
            side.standing = Standing::Differs(now);
            side.judge(now, &self.history, &mut self.out);
        }
    }

    /// Too much waits to be offered: nothing more is asked for until it was.
    fn is_full(&self) -> bool {
        let held = self.sides.values().filter_map(|side| side.run.as_ref()).map(Run::held);
        held.sum::<usize>() >= HELD_MAX
    }

    /// The next run's next slice.
    fn next_slice(&mut self, now: Time) -> Option<Order> {
        let is_full = self.is_full();
        let ready = |(peer, side): (&PeerId, &Side)| {
            let at = side.run.as_ref()?.offer_at(now, is_full)?;
            (at <= now).then_some(*peer)
        };
        let peers: Vec<PeerId> = self.sides.iter().filter_map(ready).collect();
        let behind = peers.iter().find(|peer| Some(**peer) > self.last_offer);
        let peer = *behind.or_else(|| peers.first())?;
        self.last_offer = Some(peer);
        self.run_of(&peer)?.slice(now, peer)
    }

    /// The next page of a run.
    fn next_page(&mut self, now: Time, around: &Around<'_>) -> Option<Order> {
        let is_full = self.is_full();
        let ready = |(peer, side): (&PeerId, &Side)| {
            let ask_at = side.run.as_ref()?.ask_at(now, is_full)?;
            let at = ask_at.max(side.readable_at()).max((around.free_at)(peer)?);
            (at <= now).then_some(*peer)
        };
        let peer = self.sides.iter().find_map(ready)?;
        let after = self.run_of(&peer)?.ask(now);
        Some(Order::Ask { peer, after })
    }

    /// From when on one more run has a place; none while a slow one has to end before.
    fn room_at(&self, now: Time) -> Option<Time> {
        let runs = self.sides.values().filter_map(|side| side.run.as_ref());
        let mut slow_at: Vec<Time> = runs.map(|run| run.slow_at(now)).collect();
        if slow_at.len() >= RUNS_SLOW_MAX {
            return None;
        }
        slow_at.retain(|at| *at > now);
        slow_at.sort_unstable();
        // The first of them to become slow gives its place.
        Some(slow_at.len().checked_sub(RUNS_MAX).map_or(now, |extra| slow_at[extra]))
    }

    /// Begins a run with whoever gained most reliably and has waited longest.
    fn begin(&mut self, now: Time, around: &Around<'_>) -> Option<Order> {
        if self.room_at(now).is_none_or(|at| at > now) {
            return None;
        }
        let ready = |(peer, side): (&PeerId, &Side)| {
            let at = side.due(now)?;
            let free_at = (around.free_at)(peer)?;
            (side.run.is_none() && at.max(free_at) <= now).then_some((side.futile, at, *peer))
        };
        let (_, _, peer) = self.sides.iter().filter_map(ready).min()?;
        let side = self.sides.get_mut(&peer)?;
        side.is_known = true;
        let after = side.run.insert(Run::new(now)).ask(now);
        Some(Order::Ask { peer, after })
    }
}

impl Side {
    const fn new(now: Time) -> Self {
        Self {
            told: (0, 0),
            standing: Standing::Level,
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
    fn is_met(&self, digest: u64) -> bool {
        let difference = self.told.1 ^ digest;
        difference == 0 || self.settled.is_some_and(|settled| settled.difference == difference)
    }

    /// What was told last is held against what the own pool is and was.
    fn judge(&mut self, now: Time, history: &History, out: &mut VecDeque<Order>) {
        let (count, digest) = self.told;
        if let Some(state) = history.find(now, digest) {
            self.standing = Standing::Level;
            out.push_back(Order::Known(Known::Between(0, state)));
            return;
        }
        let same = self
            .settled
            .and_then(|settled| Some((settled.state, history.find(now, digest ^ settled.difference)?)));
        self.standing = match (same, self.standing) {
            (Some((from, to)), _) => {
                out.push_back(Order::Known(Known::Between(from, to)));
                Standing::Settled
            }
            (None, _) if count == 0 => Standing::Level,
            (None, _) if self.doubted.is_some_and(|(doubted, _)| doubted == digest) => Standing::Settled,
            (None, Standing::Differs(since)) => Standing::Differs(since),
            (None, Standing::Level | Standing::Settled) => Standing::Differs(now),
        };
    }

    /// When what is settled or doubted is looked at again.
    fn patience_ends(&self) -> Option<Time> {
        let settled = self.settled.map(|settled| settled.until);
        settled.into_iter().chain(self.doubted.map(|(_, until)| until)).min()
    }

    /// What was settled or doubted is to be looked at again.
    fn unsettle(&mut self, now: Time) {
        self.settled = None;
        self.doubted = None;
        if self.standing == Standing::Settled {
            self.standing = Standing::Differs(now);
        }
    }

    /// When its pool is to be read.
    fn due(&self, now: Time) -> Option<Time> {
        match self.standing {
            Standing::Level | Standing::Settled => None,
            // Gossip cannot bring what was there before the connection.
            Standing::Differs(_) if !self.is_known => Some(now),
            Standing::Differs(since) => Some(self.rest_until.max(since.after_ms(PATIENCE_MS))),
        }
    }

    /// When the next page may be asked for, by what was read before.
    const fn readable_at(&self) -> Time {
        Time::from_ms(self.paid_at.ms().saturating_sub(READ_AHEAD_MS))
    }

    /// A run has ended: the pause before the next.
    fn rest(&mut self, now: Time, came: u64, gained: u64) {
        let most_ms = REST_MAX_MS.saturating_add(REST_MAX_EACH_MS.saturating_mul(came));
        let is_useful = gained > 0 && gained.saturating_mul(GAIN_SHARE) >= came;
        self.futile = if is_useful { 0 } else { self.futile.saturating_add(1) };
        let doublings = self.futile.saturating_sub(1).min(16);
        self.rest_until = now.after_ms((REST_MS << doublings).min(most_ms));
    }
}
