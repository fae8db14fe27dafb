//! The comparison of pools: whose pool is read when, page by page, and in which order it is offered to the own pool.
//!
//! Promises: settled is only what came: a page that failed, was refused or came late is asked for again, and a pool counts
//! as compared only when a run through it came whole and gained nothing. What came is sorted by account and sequence
//! before it is offered, in slices. A peer whose pool gains next to nothing is read ever more rarely.
//! Elsewhere: one run through one pool (`pools::run`), the own pool's last states (`pools::history`), adding to the pool
//! and what a forged payment costs (`relay`), which own payments nobody has yet (`unheard`).
//! Spec: `proto-notes/sync.md`, "Pools".

mod history;
mod io;
mod run;
mod side;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

pub(crate) use io::{Fact, HeldThere, Order, PAGE_MAX, PoolsView, Taken};

use crate::pool::Mempool;
use crate::pool::mempool::POOL_MAX_TRANSACTIONS;
use crate::types::{PeerId, Time};
use history::History;
use run::{PageVerdict, PoolRun};
use side::{Comparison, Settled, Side};

/// How long a difference that gained nothing is left alone: what the pool refused then it may want by now.
const SETTLED_MS: u64 = 60_000;
/// The most runs at once while their pages come quickly: neighbours' pools are mostly the same.
const RUNS_MAX: usize = 2;
/// The most runs at once, with slow ones: a few peers that stall keep nobody waiting.
const RUNS_SLOW_MAX: usize = 8;
/// Transactions of all runs that wait to be offered: two whole pools, some 10 MiB.
const HELD_MAX: usize = 2 * POOL_MAX_TRANSACTIONS;
/// What is read of one peer's pool in a second, in transactions, over any longer time: a parse and a hash each.
const READ_PER_SECOND: u64 = 4_000;

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
            if changed && matches!(side.standing, Comparison::Differs(_)) && side.is_met(self.history.digest()) {
                side.judge(now, &self.history, &mut self.out);
            }
        }
    }

    /// The next order; none until the next fact or [`Pools::next_wakeup`].
    pub(crate) fn poll(&mut self, now: Time, around: &PoolsView<'_>) -> Option<Order> {
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
    pub(crate) fn next_wakeup(&self, now: Time, around: &PoolsView<'_>) -> Option<Time> {
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

    fn run_of(&mut self, peer: &PeerId) -> Option<&mut PoolRun> {
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
        side.is_known |= side.standing == Comparison::Level;
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
            PageVerdict::Fine { own } if own.is_empty() => {}
            PageVerdict::Fine { own } => self.out.push_back(Order::Known(HeldThere::These(own))),
            PageVerdict::Wrong(reason) => self.out.push_back(Order::Blame { peer, reason }),
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
                side.standing = Comparison::Differs(now);
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
            side.standing = Comparison::Differs(now);
            side.judge(now, &self.history, &mut self.out);
        }
    }

    /// Too much waits to be offered: nothing more is asked for until it was.
    fn is_full(&self) -> bool {
        let held = self
            .sides
            .values()
            .filter_map(|side| side.run.as_ref())
            .map(PoolRun::held);
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
    fn next_page(&mut self, now: Time, around: &PoolsView<'_>) -> Option<Order> {
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

    /// When there is a place for one more run; none if a slow run has to end before.
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
    fn begin(&mut self, now: Time, around: &PoolsView<'_>) -> Option<Order> {
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
        let after = side.run.insert(PoolRun::new(now)).ask(now);
        Some(Order::Ask { peer, after })
    }
}
