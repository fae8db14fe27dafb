//! Blocks of the near future: held until the clock reaches them.
//!
//! Promises: at most [`EARLY_MAX`]; those of the far future do not hold the places.
//! Spec: `proto-notes/gossip.md`, "Verdicts".

use crate::chain::params::FUTURE_MAX_MS;
use crate::types::{PeerId, Time};

/// Blocks held until the clock reaches them.
const EARLY_MAX: usize = 16;

/// When they are due, who sent them, their bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Early(Vec<(Time, PeerId, Vec<u8>)>);

impl Early {
    /// Holds a block that is so far ahead of the clock.
    pub(super) fn hold(&mut self, now: Time, ahead_ms: u64, peer: PeerId, bytes: &[u8]) {
        let due = now.after_ms(ahead_ms.saturating_sub(FUTURE_MAX_MS));
        self.0.push((due, peer, bytes.to_vec()));
        if self.0.len() > EARLY_MAX {
            // Nearest first.
            self.0.sort_by_key(|(due, ..)| *due);
            self.0.truncate(EARLY_MAX);
        }
    }

    /// Those whose time has come.
    pub(super) fn due(&mut self, now: Time) -> Vec<(PeerId, Vec<u8>)> {
        let (due, rest) = core::mem::take(&mut self.0)
            .into_iter()
            .partition(|(due, ..)| *due <= now);
        self.0 = rest;
        let due: Vec<(Time, PeerId, Vec<u8>)> = due;
        due.into_iter().map(|(_, peer, bytes)| (peer, bytes)).collect()
    }

    /// When the next one's time comes.
    pub(super) fn next_wakeup(&self) -> Option<Time> {
        self.0.iter().map(|(due, ..)| *due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SecretKey;

    #[test]
    fn the_nearest_sixteen_are_held_and_each_comes_when_its_time_does() {
        let peer = SecretKey::from_seed([1; 32]).public().peer_id();
        let mut early = Early::default();
        for ahead in (1..=100).rev() {
            early.hold(
                Time::from_ms(1_000),
                FUTURE_MAX_MS + ahead,
                peer,
                &[u8::try_from(ahead).unwrap()],
            );
        }
        assert_eq!(early.0.len(), EARLY_MAX);
        assert_eq!(early.next_wakeup(), Some(Time::from_ms(1_001)));
        assert!(early.due(Time::from_ms(1_000)).is_empty());
        let due: Vec<u8> = early
            .due(Time::from_ms(1_003))
            .into_iter()
            .map(|(_, bytes)| bytes[0])
            .collect();
        assert_eq!(due, [1, 2, 3]);
        assert_eq!(early.due(Time::from_ms(9_000)).len(), EARLY_MAX - 3);
        assert_eq!(early.next_wakeup(), None);
    }
}
