//! The own pool's digests of the last seconds: whoever shows one of them is behind, and has nothing new.
//!
//! Promises: at most [`STATES_MAX`] states; each has a number that only grows.

use std::collections::VecDeque;

use crate::types::Time;

/// How long a state counts. A status is told within a second of a change, and takes a moment on its way.
const STATES_MS: u64 = 3_000;
/// States that are kept: more payments than a node makes in that time.
const STATES_MAX: usize = 4_096;

/// A digest and when it was left for the next.
#[derive(Clone, Copy, Debug)]
struct PastPool {
    digest: u64,
    left: Time,
}

/// The states, the present one last.
#[derive(Debug)]
pub(super) struct History {
    /// The number of the present state.
    number: u64,
    digest: u64,
    before: VecDeque<PastPool>,
}

impl History {
    /// The history of a pool that was always empty.
    pub(super) const fn new() -> Self {
        Self {
            number: 0,
            digest: 0,
            before: VecDeque::new(),
        }
    }

    /// The digest of the pool as it is now.
    pub(super) const fn digest(&self) -> u64 {
        self.digest
    }

    /// The number of the present state.
    pub(super) const fn state(&self) -> u64 {
        self.number
    }

    /// The number of the state that the next change makes.
    pub(super) const fn next(&self) -> u64 {
        self.number.saturating_add(1)
    }

    /// Notes what the digest is now; whether it changed.
    pub(super) fn note(&mut self, now: Time, digest: u64) -> bool {
        let is_old = |state: &PastPool| now.since(state.left) > STATES_MS;
        while self.before.len() >= STATES_MAX || self.before.front().is_some_and(is_old) {
            self.before.pop_front();
        }
        if digest == self.digest {
            return false;
        }
        let left = PastPool {
            digest: self.digest,
            left: now,
        };
        self.before.push_back(left);
        self.digest = digest;
        self.number = self.next();
        true
    }

    /// The number of the newest state with this digest.
    pub(super) fn find(&self, now: Time, digest: u64) -> Option<u64> {
        if digest == self.digest {
            return Some(self.number);
        }
        let newest_first = (1..).zip(self.before.iter().rev());
        let counts = |state: &PastPool| now.since(state.left) <= STATES_MS && state.digest == digest;
        let back = newest_first.take_while(|(back, _)| *back <= self.number);
        back.filter(|(_, state)| counts(state))
            .map(|(back, _)| self.number - back)
            .next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_found_for_three_seconds_after_it_was_left() {
        let at = Time::from_ms;
        let mut history = History::new();
        assert_eq!(history.find(at(0), 0), Some(0));
        for (ms, digest) in [(0, 5), (10, 6), (20, 5), (30, 7)] {
            assert!(history.note(at(ms), digest));
            assert!(!history.note(at(ms), digest));
        }
        let found = |ms, digest| history.find(at(ms), digest);
        assert_eq!([found(30, 7), found(30, 5), found(30, 6)], [Some(4), Some(3), Some(2)]);
        assert_eq!(found(3_020, 6), Some(2));
        assert_eq!([found(3_021, 6), found(9_000, 7), found(30, 8)], [None, Some(4), None]);
    }

    #[test]
    fn the_states_kept_are_bounded() {
        let mut history = History::new();
        for digest in 1..10_000 {
            history.note(Time::from_ms(1), digest);
        }
        assert_eq!(history.before.len(), STATES_MAX);
        assert_eq!(history.find(Time::from_ms(1), 9_998), Some(9_998));
        assert_eq!(history.find(Time::from_ms(1), 100), None);
    }
}
