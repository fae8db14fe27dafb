//! What the user is told once, and when again: being alone, a tip that stands still, another node with this node's key,
//! a name that is another's.
//!
//! Promises: each of them is told once each time it comes about, being alone ever more rarely while it lasts.
//! Elsewhere: who sees it (`timers`, `statuses`, `connections`), the clock (`clock`), blocks from the future (`ahead`).
//! Spec: `proto-notes/events.md`, "Warnings".

use std::collections::VecDeque;

use super::drops::Drops;
use super::seen::Seen;
use super::tips::PeerTips;
use crate::types::{Address, Time};

/// After this time without a peer the user is told how to join by hand.
const ALONE_MS: u64 = 10_000;
/// How long after a warning about being alone the next one comes, if that is still so: ever more rarely.
const ALONE_AGAIN_MS: [u64; 2] = [5 * 60_000, 30 * 60_000];
/// The pause before all later warnings.
const ALONE_LATER_MS: u64 = 2 * 3_600_000;
/// How often a user is told what neighbours bring again and again.
const RARELY_MS: u64 = 3_600_000;
/// The shortest time between two searches for another machine with this node's key.
const TWIN_AGAIN_MS: u64 = 60_000;
/// How often where a neighbour said that it is: as often as any told address is dialled.
const TWIN_TOLD_AGAIN_MS: u64 = super::dial::TOLD_AGAIN_MS;

/// What was told of each of them, and when it is told again.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    pub(crate) alone: Alone,
    pub(crate) stale: Stale,
    pub(crate) twins: Twins,
    pub(crate) name: Once,
    /// Own blocks from the future.
    pub(crate) ahead: While,
    /// A branch from the future at a neighbour.
    pub(crate) future_branch: Rarely,
    /// What was seen of the network, for the doctor.
    pub(crate) seen: Seen,
    /// What is told of transactions that left the pool.
    pub(crate) drops: Drops,
    /// What is told of peers' tips.
    pub(crate) tips: PeerTips,
}

impl Notices {
    /// Nothing was told yet.
    pub(crate) fn new(now: Time) -> Self {
        Self {
            alone: Alone { at: None, told: 0 },
            stale: Stale {
                at: now,
                told: Once(false),
            },
            twins: Twins {
                told: Once(false),
                place: None,
                sought: None,
                told_at: VecDeque::new(),
            },
            name: Once(false),
            ahead: While(false),
            future_branch: Rarely(Time::from_ms(0)),
            seen: Seen::new(),
            drops: Drops::default(),
            tips: PeerTips::default(),
        }
    }

    /// When something is to be looked at.
    pub(crate) fn next_wakeup(&self) -> Option<Time> {
        let (drops, tips) = (self.drops.next_wakeup(), self.tips.next_wakeup());
        let alone = self.alone.at.into_iter();
        alone.chain([self.stale.at]).chain(drops).chain(tips).min()
    }
}

/// Something that is told once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Once(bool);

impl Once {
    /// Whether it is told now, for the first time.
    pub(crate) const fn tell(&mut self) -> bool {
        !core::mem::replace(&mut self.0, true)
    }
}

/// Something that is told each time it comes about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct While(bool);

impl While {
    /// Whether it is told now: it is so, and was not before.
    pub(crate) const fn begins(&mut self, is_so: bool) -> bool {
        !core::mem::replace(&mut self.0, is_so) && is_so
    }

    /// It is over: should it be so again, that is told.
    pub(crate) const fn over(&mut self) {
        self.0 = false;
    }
}

/// Something that is told once in an hour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rarely(Time);

impl Rarely {
    /// Whether it is told now.
    pub(crate) fn tell(&mut self, now: Time) -> bool {
        let is_due = self.0 <= now;
        if is_due {
            self.0 = now.after_ms(RARELY_MS);
        }
        is_due
    }
}

/// No peer is connected.
#[derive(Clone, Debug)]
pub(crate) struct Alone {
    /// When that is told; none while somebody is there, and before the start.
    at: Option<Time>,
    /// How often it was told since the last peer.
    told: usize,
}

impl Alone {
    /// The node has started, and has nobody yet.
    pub(crate) const fn starts(&mut self, now: Time) {
        self.at = Some(now.after_ms(ALONE_MS));
    }

    /// A peer is connected: being alone is over, and would be told anew.
    pub(crate) const fn ends(&mut self) {
        self.at = None;
        self.told = 0;
    }

    /// The last peer is gone: that is told if it stays so.
    pub(crate) const fn left(&mut self, now: Time) {
        self.told = 1;
        self.at = Some(now.after_ms(ALONE_AGAIN_MS[0]));
    }

    /// Whether it is time to tell it; true inside for the first time.
    pub(crate) fn poll(&mut self, now: Time) -> Option<bool> {
        self.at.filter(|at| *at <= now)?;
        let pause = ALONE_AGAIN_MS.get(self.told).copied().unwrap_or(ALONE_LATER_MS);
        self.at = Some(now.after_ms(pause));
        let is_first = self.told == 0;
        self.told = self.told.saturating_add(1);
        Some(is_first)
    }
}

/// The tip stands still.
#[derive(Clone, Debug)]
pub(crate) struct Stale {
    /// When to look whether it does for too long.
    at: Time,
    told: Once,
}

impl Stale {
    /// The tip is new: patience with it begins anew.
    pub(crate) const fn moved(&mut self, now: Time, patience_ms: u64) {
        self.at = now.after_ms(patience_ms);
        self.told = Once(false);
    }

    /// Whether patience is over; it begins anew.
    pub(crate) fn poll(&mut self, now: Time, patience_ms: u64) -> bool {
        let is_over = self.at <= now;
        if is_over {
            self.at = now.after_ms(patience_ms);
        }
        is_over
    }

    /// Whether it is told now, for the first time since the tip moved.
    pub(crate) const fn tell(&mut self) -> bool {
        self.told.tell()
    }
}

/// Another node with this node's key.
#[derive(Clone, Debug)]
pub(crate) struct Twins {
    told: Once,
    /// Where the other node with this key answered.
    place: Option<Address>,
    /// When it was last looked for.
    sought: Option<Time>,
    /// Where neighbours said that it is, and when it was looked for there. As many as are looked for in the time for
    /// which they are kept.
    told_at: VecDeque<(Time, Address)>,
}

impl Twins {
    /// Whether to look for one that was announced: not if it was told of, nor too often.
    pub(crate) fn seek(&mut self, now: Time) -> bool {
        let is_due = self.sought.is_none_or(|at| now.since(at) >= TWIN_AGAIN_MS);
        let seeks = !self.are_known() && is_due;
        if seeks {
            self.sought = Some(now);
        }
        seeks
    }

    /// Whether to look for one of which a neighbour told: as one that was announced, and not again there within an hour.
    pub(crate) fn seek_told(&mut self, now: Time, address: &Address) -> bool {
        self.told_at.retain(|(at, _)| now.since(*at) < TWIN_TOLD_AGAIN_MS);
        let is_known = self.told_at.iter().any(|(_, known)| known == address);
        let seeks = !is_known && self.seek(now);
        if seeks {
            self.told_at.push_back((now, address.clone()));
        }
        seeks
    }

    /// One is there, at this address if it is on another machine; whether that is told now.
    pub(crate) fn found(&mut self, place: Option<&Address>) -> bool {
        if self.place.is_none() {
            self.place = place.cloned();
        }
        self.told.tell()
    }

    /// Whether one was told of.
    pub(crate) const fn are_known(&self) -> bool {
        self.told.0
    }

    /// Where it answered, if on another machine.
    pub(crate) const fn place(&self) -> Option<&Address> {
        self.place.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Time {
        Time::from_ms(ms)
    }

    #[test]
    fn being_alone_is_told_after_ten_seconds_and_then_ever_more_rarely() {
        let mut notices = Notices::new(at(0));
        let alone = &mut notices.alone;
        assert_eq!(alone.poll(at(1_000_000)), None, "before the start");
        alone.starts(at(0));
        let (mut now, mut waits) = (at(0), Vec::new());
        for _ in 0..4 {
            let due = alone.at.unwrap();
            assert_eq!(alone.poll(at(due.ms() - 1)), None);
            assert_eq!(alone.poll(due), Some(waits.is_empty()));
            waits.push(due.since(now) / 1_000);
            now = due;
        }
        assert_eq!(waits, [10, 300, 1_800, 7_200]);
        alone.ends();
        assert_eq!(alone.poll(at(u64::MAX)), None);
        alone.left(at(0));
        assert_eq!((alone.poll(at(299_999)), alone.poll(at(300_000))), (None, Some(false)));
    }

    #[test]
    fn a_tip_that_stands_still_is_told_once_until_it_moves() {
        let mut notices = Notices::new(at(0));
        let stale = &mut notices.stale;
        stale.moved(at(0), 100);
        assert!(!stale.poll(at(99), 100) && stale.poll(at(100), 100) && !stale.poll(at(199), 100));
        assert!(stale.tell() && !stale.tell());
        stale.moved(at(200), 100);
        assert!(stale.poll(at(300), 100) && stale.tell());
    }

    #[test]
    fn what_lasts_is_told_when_it_begins_and_what_returns_once_an_hour() {
        let mut notices = Notices::new(at(0));
        let ahead = &mut notices.ahead;
        assert_eq!(
            [false, true, true, false, true].map(|so| ahead.begins(so)),
            [false, true, false, false, true]
        );
        ahead.over();
        assert!(ahead.begins(true));
        let told = [5, 3_600_004, 3_600_005].map(|ms| notices.future_branch.tell(at(ms)));
        assert_eq!(told, [true, false, true]);
    }

    #[test]
    fn a_twin_is_sought_once_a_minute_and_told_once_with_its_place() {
        let mut notices = Notices::new(at(0));
        let twins = &mut notices.twins;
        assert!(twins.seek(at(0)) && !twins.seek(at(59_999)) && twins.seek(at(60_000)));
        let there = Address::parse("10.0.0.2:1").unwrap().0;
        assert!(twins.found(None) && !twins.found(Some(&there)));
        assert_eq!(twins.place(), Some(&there));
        assert!(!twins.seek(at(600_000)), "it is known");
    }

    #[test]
    fn adv_w07_a_liar_that_tells_of_twins_costs_a_dial_a_minute_and_each_address_one_an_hour() {
        let mut twins = Notices::new(at(0)).twins;
        let there = |number: u64| Address::parse(&format!("10.0.0.2:{number}")).unwrap().0;
        let mut dialled = Vec::new();
        for ms in (0..3 * 3_600_000).step_by(1_000) {
            // Ever another one, and one that is told all the time.
            for address in [there(2_000 + ms / 1_000), there(1_999)] {
                if twins.seek_told(at(ms), &address) {
                    dialled.push(address);
                }
            }
        }
        assert_eq!(dialled.len(), 180);
        assert!(twins.told_at.len() <= 60);
        let mut twins = Notices::new(at(0)).twins;
        let sought = |ms| twins.seek_told(at(ms), &there(1_999));
        assert_eq!(
            [0, 60_000, 3_599_999, 3_600_000].map(sought),
            [true, false, false, true]
        );
    }
}
