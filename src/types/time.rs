//! Time and height.

use core::fmt;
use core::time::Duration;

use serde::Serialize;

/// Milliseconds since 1970-01-01T00:00:00Z. As the engine's `now` it runs evenly and never jumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize)]
pub struct Time(u64);

impl Time {
    /// Wraps a number of milliseconds.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// The number of milliseconds.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// This time and a duration later, at most the end of time.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// Milliseconds since an earlier time; zero if it is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This time moved by a signed number of milliseconds.
    #[must_use]
    pub const fn shifted(self, ms: i64) -> Self {
        Self(self.0.saturating_add_signed(ms))
    }
}

/// How many blocks lie below a block; the genesis block has height 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize)]
pub struct Height(u64);

impl Height {
    /// The genesis block's height.
    pub const GENESIS: Self = Self(0);

    /// Wraps a number.
    #[must_use]
    pub const fn new(height: u64) -> Self {
        Self(height)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The height of a child; saturates at the end of the range, which no chain reaches.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The parent's height, none for genesis.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}
