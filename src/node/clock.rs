//! The two clocks: one that runs evenly for timers, and the wall's for block times.
//!
//! Promises: `now` never jumps; `wall` is whatever the machine believes.

use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::types::{Time, WallTime};

/// An even clock, anchored at the wall's time of its creation.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor: Time,
    begun: Instant,
}

impl Clock {
    /// Starts at the wall's time.
    #[must_use]
    pub fn start() -> Self {
        Self {
            anchor: Time::from_ms(wall().ms()),
            begun: Instant::now(),
        }
    }

    /// The anchor and what passed since.
    #[must_use]
    pub fn now(&self) -> Time {
        self.anchor.plus(self.begun.elapsed())
    }

    /// This clock's time at an instant.
    #[must_use]
    pub fn at(&self, instant: Instant) -> Time {
        self.anchor.plus(instant.saturating_duration_since(self.begun))
    }

    /// How long until an instant of this clock; zero if it has come.
    #[must_use]
    pub fn until(&self, time: Time) -> Duration {
        Duration::from_millis(time.since(self.now()))
    }
}

/// Unix time in milliseconds; 1970 if the machine's clock stands before it.
#[must_use]
pub fn wall() -> WallTime {
    WallTime::from_unix(UNIX_EPOCH.elapsed().unwrap_or_default())
}
