//! How often and how soon a failed part of the network is restarted.
//!
//! Promises: at most [`PAUSES`]`.len()` starts in any hour, each after a longer pause.

use std::time::{Duration, Instant};

/// The pauses before the first, second and third restart within an hour: a rare failure costs one second, and a lasting
/// one costs no processor time.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
/// After this time a restart no longer counts.
const WITHIN: Duration = Duration::from_secs(3_600);

/// The times of the restarts in the last hour.
#[derive(Debug, Default)]
pub(super) struct Restarts(Vec<Instant>);

impl Restarts {
    /// Counts one more failure. Returns how long to wait before the restart, or none if it failed too often.
    pub(super) fn next(&mut self, now: Instant) -> Option<Duration> {
        self.0.retain(|at| now.duration_since(*at) < WITHIN);
        let pause = PAUSES.get(self.0.len()).copied()?;
        self.0.push(now);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_starts_an_hour_come_after_one_ten_and_sixty_seconds_and_then_none() {
        let (mut restarts, begin) = (Restarts::default(), Instant::now());
        let after = |seconds| begin + Duration::from_secs(seconds);
        let pauses = [0, 5, 30].map(|seconds| restarts.next(after(seconds)));
        assert_eq!(pauses, PAUSES.map(Some));
        assert_eq!(restarts.next(after(3_599)), None);
        assert_eq!(
            restarts.next(after(3_601)),
            Some(PAUSES[2]),
            "the first one is an hour ago"
        );
        assert_eq!(restarts.next(after(3_602)), None);
    }
}
