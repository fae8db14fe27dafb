//! Which misdeeds of peers are told one by one, and which are only counted.
//!
//! Promises: at most [`TOLD_MAX`] lines in any [`WINDOW_MS`], and [`TOLD_EACH`] over peers of one voice, so that identities
//! which come and go at one address leave room for what others do; whatever is left out is counted, and the count is told
//! once when the window ends.
//! Elsewhere: what a misdeed costs (`standing::records`).

use std::collections::BTreeMap;

use crate::types::{Time, Voice};

/// Lines in a window: more says nothing new to a person, and identities that come and go could fill a disk.
const TOLD_MAX: u32 = 10;
/// Lines over one voice in a window.
const TOLD_EACH: u32 = 4;
/// How long a window lasts, in milliseconds.
const WINDOW_MS: u64 = 60_000;

/// The window that is open, if any.
#[derive(Clone, Debug, Default)]
pub(super) struct Complaints {
    until: Option<Time>,
    told: u32,
    /// Only those over whom a line was told: [`TOLD_MAX`] at most.
    by_voice: BTreeMap<Voice, u32>,
    left_out: u64,
}

impl Complaints {
    /// Whether one more misdeed is told by a line of its own; counts it if not.
    pub(super) fn take(&mut self, now: Time, voice: Voice) -> bool {
        self.until.get_or_insert(now.after_ms(WINDOW_MS));
        let own = self.by_voice.get(&voice).copied().unwrap_or(0);
        let is_told = self.told < TOLD_MAX && own < TOLD_EACH;
        if is_told {
            self.told += 1;
            self.by_voice.insert(voice, own + 1);
        } else {
            self.left_out += 1;
        }
        is_told
    }

    /// Closes a window whose time is over; the line that it leaves.
    pub(super) fn poll(&mut self, now: Time) -> Option<String> {
        if self.until.is_none_or(|until| now < until) {
            return None;
        }
        let left_out = core::mem::take(self).left_out;
        (left_out > 0).then(|| {
            let seconds = WINDOW_MS / 1_000;
            format!("{left_out} more misdeeds of peers in the last {seconds} s are not listed; `peers` lists who is connected")
        })
    }

    /// When the window ends.
    pub(super) const fn next_wakeup(&self) -> Option<Time> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(host: u64) -> Voice {
        Voice::Host(std::net::IpAddr::from([10, 0, 0, u8::try_from(host % 100).unwrap()]))
    }

    #[test]
    fn a_rotating_flood_from_one_address_leaves_room_for_what_others_do() {
        let mut complaints = Complaints::default();
        let at = Time::from_ms(5);
        let told = (0..1_000).filter(|_| complaints.take(at, voice(1))).count();
        assert_eq!(told, 4);
        assert!(complaints.take(at, voice(2)));
        let line = complaints.poll(Time::from_ms(60_005)).unwrap();
        assert!(line.starts_with("996 more"), "{line}");
        assert!(complaints.take(Time::from_ms(70_000), voice(1)), "a new window");
    }

    #[test]
    fn ten_misdeeds_a_minute_are_told_and_the_others_counted() {
        let mut complaints = Complaints::default();
        let at = Time::from_ms;
        assert_eq!(complaints.next_wakeup(), None);
        let told = (0..1_000).filter(|n| complaints.take(at(5 + n), voice(*n))).count();
        assert_eq!(told, 10);
        assert_eq!(complaints.next_wakeup(), Some(at(60_005)));
        assert_eq!(complaints.poll(at(60_004)), None);
        assert!(
            complaints
                .poll(at(60_005))
                .unwrap()
                .starts_with("990 more misdeeds of peers")
        );
        assert_eq!((complaints.poll(at(200_000)), complaints.next_wakeup()), (None, None));
        assert!(complaints.take(at(200_000), voice(1)), "a new window");
    }

    #[test]
    fn a_window_without_a_flood_leaves_no_line() {
        let mut complaints = Complaints::default();
        assert!(complaints.take(Time::from_ms(1), voice(1)));
        assert_eq!(complaints.poll(Time::from_ms(60_001)), None);
        assert_eq!(complaints.next_wakeup(), None);
    }
}
