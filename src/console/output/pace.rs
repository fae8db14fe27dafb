//! How many lines a second an output takes.
//!
//! Promises: what is left out is counted, and told with the next line.
//! Elsewhere: the queues of texts (`console::output`).

use std::time::Instant;

/// The log lines that may be written at once; after that, `LINES_A_SECOND` counts. A first sync among many peers is
/// such a burst; the rate fills at most 300 MB of disk a day.
pub const LINES_AT_ONCE: u32 = 3_000;

/// A token bucket of lines. Once it is empty, no line passes until it holds ten seconds' worth again, so that reports
/// of left-out lines do not become a flood themselves.
pub(super) struct LinePace {
    left: f64,
    at: Instant,
    rests: bool,
    left_out: u64,
}

impl LinePace {
    /// A bucket that holds all it can.
    pub(super) fn full(now: Instant) -> Self {
        Self {
            left: f64::from(LINES_AT_ONCE),
            at: now,
            rests: false,
            left_out: 0,
        }
    }

    /// Takes a token for a line; none if the line must be left out. Returns how many lines were left out before this
    /// one.
    pub(super) fn take(&mut self, now: Instant, a_second: u32) -> Option<u64> {
        let gained = now.duration_since(self.at).as_secs_f64() * f64::from(a_second);
        self.at = now;
        self.left = (self.left + gained).min(f64::from(LINES_AT_ONCE));
        let wanted = if self.rests { f64::from(a_second) * 10.0 } else { 1.0 };
        self.rests = self.left < wanted.min(f64::from(LINES_AT_ONCE));
        if self.rests {
            self.left_out += 1;
            return None;
        }
        self.left -= 1.0;
        Some(core::mem::take(&mut self.left_out))
    }
}
