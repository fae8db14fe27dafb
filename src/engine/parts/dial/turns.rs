//! Whose turn it is to be dialled.
//!
//! Promises: what the user names is dialled first; after that sources take turns, within a source its hosts, within a host
//! who failed least; every second dial is for those who were connected before, if there are any, and every fourth for
//! those whose last dial failed. So a flood from some addresses costs a newcomer one dial for each of them, and a
//! neighbour that was just booting is not forgotten over fresh records.

use core::net::IpAddr;
use std::collections::BTreeMap;

use super::candidate::{DialCandidate, DialSource, Goal};
use super::limits::CANDIDATES_MAX;

/// Every fourth dial is for somebody whose last dial failed.
const FAILED_EVERY: u64 = 4;
/// Turns that are remembered: each source with each of its hosts.
const TURNS_MAX: usize = 2 * CANDIDATES_MAX;

/// Somebody who may be dialled now.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub(super) goal: Goal,
    source: DialSource,
    host: Option<IpAddr>,
    failures: u32,
    lot: u64,
}

impl Ready {
    pub(super) fn of(goal: &Goal, candidate: &DialCandidate) -> Self {
        Self {
            goal: goal.clone(),
            source: candidate.source,
            host: candidate.host,
            failures: candidate.failures,
            lot: candidate.lot,
        }
    }

    const fn is_fresh(&self) -> bool {
        self.failures == 0
    }
}

/// Who had a turn when.
#[derive(Clone, Debug)]
pub(super) struct DialTurns {
    dials: u64,
    sources: BTreeMap<DialSource, u64>,
    hosts: BTreeMap<(DialSource, Option<IpAddr>), u64>,
}

impl DialTurns {
    pub(super) const fn new() -> Self {
        Self {
            dials: 0,
            sources: BTreeMap::new(),
            hosts: BTreeMap::new(),
        }
    }

    /// Whose turn it is, as an index.
    pub(super) fn choose(&self, ready: &[Ready]) -> Option<usize> {
        let named = |r: &Ready| r.source == DialSource::Named && r.is_fresh();
        let known = |r: &Ready| r.source == DialSource::Known && r.is_fresh();
        let found = |r: &Ready| matches!(r.source, DialSource::Record(_)) && r.is_fresh();
        let told = |r: &Ready| r.source.is_told() && r.is_fresh();
        let failed = |r: &Ready| !r.is_fresh();
        let failed_or_told = |r: &Ready| failed(r) || told(r);
        let pick = |of: &dyn Fn(&Ready) -> bool| self.first(ready, of);
        if let Some(first) = pick(&named) {
            return Some(first);
        }
        let is_turn_of_failed = self.dials % FAILED_EVERY == FAILED_EVERY - 1;
        let fresh =
            |first: &dyn Fn(&Ready) -> bool, second: &dyn Fn(&Ready) -> bool| pick(first).or_else(|| pick(second));
        let fresh = || {
            if self.dials.is_multiple_of(2) {
                fresh(&known, &found)
            } else {
                fresh(&found, &known)
            }
        };
        if is_turn_of_failed {
            pick(&failed_or_told).or_else(fresh)
        } else {
            fresh().or_else(|| pick(&told)).or_else(|| pick(&failed))
        }
    }

    fn first(&self, ready: &[Ready], of: &dyn Fn(&Ready) -> bool) -> Option<usize> {
        let turn = |r: &Ready| {
            let source = self.sources.get(&r.source).copied().unwrap_or(0);
            let host = self.hosts.get(&(r.source, r.host)).copied().unwrap_or(0);
            // Among those who never had a turn chance decides: else all nodes of a room would begin with the same few.
            (source, host, r.failures, r.lot)
        };
        let pool = ready.iter().enumerate().filter(|(_, r)| of(r));
        pool.min_by_key(|(_, r)| turn(r)).map(|(at, _)| at)
    }

    /// Notes that this candidate was dialled: others have their turn next.
    pub(super) fn took(&mut self, ready: &Ready) {
        self.dials += 1;
        if self.hosts.len() >= TURNS_MAX {
            // The oldest half: who comes again is as good as new, and waits for nobody.
            let middle = self.dials.saturating_sub(u64::try_from(TURNS_MAX / 2).unwrap_or(0));
            self.hosts.retain(|_, turn| *turn > middle);
            self.sources.retain(|_, turn| *turn > middle);
        }
        self.sources.insert(ready.source, self.dials);
        self.hosts.insert((ready.source, ready.host), self.dials);
    }
}
