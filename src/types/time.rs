//! Times of two clocks, and heights.

use core::fmt;
use core::time::Duration;

use ::time::OffsetDateTime;
use serde::Serialize;

/// A time of the even clock, which never jumps and never runs back. Timers and deadlines use it.
///
/// In milliseconds. Its zero has no meaning: each process chooses its own, and never stores or sends such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Time(u64);

impl Time {
    /// The time `ms` milliseconds after the clock's zero.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// The milliseconds since the clock's zero.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// The time `ms` milliseconds later; at most the largest time.
    #[must_use]
    pub const fn after_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// The time that is `duration` later; at most the largest time.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        self.after_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    /// Milliseconds since an earlier time; zero if it is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A time of a wall clock, in milliseconds since 1970-01-01T00:00:00Z. Blocks carry it, and people read it.
///
/// It jumps when somebody sets the clock, so nothing may wait for it; [`Time`] is for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize)]
pub struct WallTime(u64);

impl WallTime {
    /// The time `ms` milliseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// The time from a system clock's distance to 1970-01-01T00:00:00Z; at most the largest time.
    #[must_use]
    pub fn from_unix(since: Duration) -> Self {
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The time that a wall clock shows at the even time `now`, if it is `ahead_ms` milliseconds ahead of the even
    /// clock.
    #[must_use]
    pub const fn at(now: Time, ahead_ms: i64) -> Self {
        Self(now.0.saturating_add_signed(ahead_ms))
    }

    /// The milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// How many milliseconds this wall-clock time is ahead of an even one; negative if it is behind.
    #[must_use]
    pub const fn ahead_of(self, now: Time) -> i64 {
        self.0.cast_signed().saturating_sub(now.0.cast_signed())
    }

    /// The time `ms` milliseconds later; at most the largest time.
    #[must_use]
    pub const fn after_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
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

/// A length of time in words, in its two largest units.
#[must_use]
pub fn span_words(ms: u64) -> String {
    const UNITS: [(u64, &str, &str); 5] = [
        (365 * 86_400, "year", "years"),
        (86_400, "day", "days"),
        (3_600, "h", "h"),
        (60, "min", "min"),
        (1, "s", "s"),
    ];
    let mut rest = ms / 1_000;
    let mut parts = Vec::new();
    for (at, (unit, one, many)) in UNITS.into_iter().enumerate() {
        match rest / unit {
            0 => {}
            1 => parts.push((at, format!("1 {one}"))),
            count => parts.push((at, format!("{count} {many}"))),
        }
        rest %= unit;
    }
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next()) {
        (None, _) => "0 s".to_owned(),
        // Only adjacent units are combined: seconds mean nothing beside hours.
        (Some((at, first)), Some((next, second))) if next == at + 1 => format!("{first} {second}"),
        (Some((_, first)), _) => first,
    }
}

/// The number of blocks below a block; the genesis block has height 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize)]
pub struct Height(u64);

impl Height {
    /// The genesis block's height.
    pub const GENESIS: Self = Self(0);

    /// A height from its number.
    #[must_use]
    pub const fn new(height: u64) -> Self {
        Self(height)
    }

    /// The height as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The height of a child; saturates at the end of the range, which no chain reaches.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The height of the parent; none for genesis.
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

/// The date and the time of day that a clock shows which runs by UTC: `2026-01-31 09:05:07`. None after the year 9999;
/// no clock shows such a time.
#[must_use]
pub fn civil(time: WallTime) -> Option<String> {
    let at = i64::try_from(time.ms() / 1_000).ok()?;
    let at = OffsetDateTime::from_unix_timestamp(at).ok()?;
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute, second) = at.to_hms();
    Some(format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
    ))
}

/// A time for people to read, in UTC.
#[must_use]
pub fn utc(time: WallTime) -> String {
    match civil(time) {
        Some(text) => format!("{text}.{:03} UTC", time.ms() % 1_000),
        None => format!("{} ms after 1970-01-01 UTC", time.ms()),
    }
}

#[cfg(test)]
mod tests {
    use super::span_words;

    #[test]
    fn a_span_is_told_in_its_two_largest_units() {
        for (ms, words) in [
            (0, "0 s"),
            (999, "0 s"),
            (59_000, "59 s"),
            (61_000, "1 min 1 s"),
            (120_000, "2 min"),
            (3_600_000, "1 h"),
            (3_605_000, "1 h"),
            (86_340_000, "23 h 59 min"),
            (90_000_000, "1 day 1 h"),
            (86_460_000, "1 day"),
            (3 * 86_400_000 + 7_200_000, "3 days 2 h"),
            (1_767_225_600_000, "56 years 14 days"),
            (365 * 86_400_000 + 3_600_000, "1 year"),
        ] {
            assert_eq!(span_words(ms), words, "{ms}");
        }
    }
}
