//! The time of day where the reader is.
//!
//! Promises: nothing else knows of time zones; replies and events carry milliseconds since 1970 UTC.
//! Elsewhere: the calendar (`types::time`).

use crate::types::WallTime;
use crate::types::time::civil;

/// Whose clock people read times by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zone {
    /// The zone of the clocks by which all others are told: UTC.
    #[default]
    Utc,
    /// A fixed number of minutes east of it; for tests.
    East(i16),
    /// The zone of this machine, or of the variable `TZ`. Summer time is what it was at the time that is shown.
    Local,
}

impl Zone {
    /// Minutes east of UTC at a time.
    fn east(self, time: WallTime) -> i64 {
        match self {
            Self::Utc => 0,
            Self::East(minutes) => minutes.into(),
            Self::Local => {
                let at = i64::try_from(time.ms()).ok();
                let at = at.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
                at.map_or(0, |at| {
                    i64::from(jiff::tz::TimeZone::system().to_offset(at).seconds() / 60)
                })
            }
        }
    }

    /// A date and a time of day to the minute: `2026-01-31 09:05`, 16 characters; `-` after the year 9999.
    #[must_use]
    pub fn minute(self, time: WallTime) -> String {
        self.second(time)
            .map_or_else(|| "-".to_owned(), |text| text[..16].to_owned())
    }

    /// A date and a time of day to the second: `2026-01-31 09:05:07`; none after the year 9999.
    #[must_use]
    pub fn second(self, time: WallTime) -> Option<String> {
        civil(time.shifted(self.east(time).saturating_mul(60_000)))
    }

    /// A time of day to the second: `09:05:07`, 8 characters; dashes after the year 9999.
    #[must_use]
    pub fn time_of_day(self, time: WallTime) -> String {
        self.second(time)
            .map_or_else(|| "--:--:--".to_owned(), |text| text[11..].to_owned())
    }

    /// A date, a time of day and the distance from UTC: `2026-01-31 09:05:07 +01:00`.
    #[must_use]
    pub fn exact(self, time: WallTime) -> String {
        let east = self.east(time);
        let sign = if east < 0 { '-' } else { '+' };
        let (hours, minutes) = (east.unsigned_abs() / 60, east.unsigned_abs() % 60);
        match self.second(time) {
            Some(text) => format!("{text} {sign}{hours:02}:{minutes:02}"),
            None => format!("{} ms after 1970-01-01 UTC", time.ms()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_by_the_clock_of_the_zone() {
        let time = WallTime::from_ms(1_767_225_600_999);
        for (zone, text) in [
            (Zone::Utc, "2026-01-01 00:00:00 +00:00"),
            (Zone::East(330), "2026-01-01 05:30:00 +05:30"),
            (Zone::East(-210), "2025-12-31 20:30:00 -03:30"),
        ] {
            assert_eq!(zone.exact(time), text);
            assert_eq!(zone.minute(time), text[..16]);
            assert_eq!(zone.time_of_day(time), text[11..19]);
        }
        assert_eq!(Zone::Utc.minute(WallTime::from_ms(u64::MAX)), "-");
        assert_eq!(Zone::East(60).exact(WallTime::from_ms(0)), "1970-01-01 01:00:00 +01:00");
        // Whatever zone this machine has, it is told.
        assert_eq!(Zone::Local.exact(time).len(), 26);
    }
}
