//! Who makes room when there are too many candidates, and who left.
//!
//! Promises: both lists are bounded; nobody makes room whom the user named, who is linked or is being dialled.

use std::collections::BTreeMap;

use super::Dialer;
use super::candidate::{DialCandidate, DialSource, Goal};
use super::choice::choose;
use super::limits::{KNOWN_MAX, LEFT_MAX, LEFT_MS};
use crate::types::{PeerId, Time};

impl Dialer {
    /// Makes room for a candidate of this source: told ones leave first, then one of the source that has most, at random,
    /// so that a flood pushes out its own; those that were connected leave only when nothing else is left.
    pub(super) fn evict(&mut self, source: DialSource) -> bool {
        let free = |(goal, c): &(&Goal, &DialCandidate)| {
            c.source != DialSource::Named
                && !goal.peer().is_some_and(|peer| self.links.has(&peer))
                && c.dialling.is_none()
        };
        let mut sizes: BTreeMap<DialSource, usize> = BTreeMap::new();
        for (_, candidate) in self.candidates.iter().filter(free) {
            *sizes.entry(candidate.source).or_default() += 1;
        }
        let order = |(of, size): &(&DialSource, &usize)| (of.rank(), **size);
        let crowd = sizes
            .iter()
            .find(|(of, size)| **of == DialSource::Known && **size > KNOWN_MAX);
        let Some(victims) = crowd.or_else(|| sizes.iter().max_by_key(order)).map(|(of, _)| *of) else {
            return false;
        };
        if source.is_told() && !victims.is_told() {
            return false;
        }
        let of_source = self.candidates.iter().filter(free).filter(|(_, c)| c.source == victims);
        let goals: Vec<Goal> = of_source.map(|(goal, _)| goal.clone()).collect();
        choose(&mut self.rng, &goals).is_some_and(|goal| self.candidates.remove(&goal).is_some())
    }

    /// Remembers who left after failures: found again, it is no fresh one.
    pub(super) fn remember_left(&mut self, now: Time, peer: Option<PeerId>) {
        let Some(peer) = peer else { return };
        self.left.retain(|_, at| now.since(*at) < LEFT_MS);
        if self.left.len() >= LEFT_MAX
            && let Some(oldest) = self.left.iter().min_by_key(|(_, at)| **at).map(|(peer, _)| *peer)
        {
            self.left.remove(&oldest);
        }
        self.left.insert(peer, now);
    }
}
