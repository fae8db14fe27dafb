//! The two clocks: the even one for whatever waits, the wall clock for the rules; and what is said about one that is wrong.
//!
//! Promises: the clock of a chosen node is followed wherever it leads, also while that node is away; a clock that is off
//! is told once each time it comes about, after it was off for five seconds.
//! Elsewhere: whose clock may count (`clocks`), blocks from the future (`ahead`).
//! Spec: `proto-notes/consensus.md`, "Header rules".

use super::clocks::{Middle, PeerClock, middle};
use super::links::Links;
use crate::types::time::span_words;
use crate::types::{Time, WallTime};

/// A clock further off the peers' median brings a warning.
pub(crate) const WARNING_MS: u64 = 30_000;
/// How long it must be off before that is said: the first peer that comes may be the one whose clock is wrong.
const PATIENCE_MS: u64 = 5_000;

/// The wall clock, and the clocks that it is held against.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// The latest time that was told, by the even clock.
    now: Time,
    choice: PeerClock,
    /// The wall clock minus the even one.
    ahead_ms: i64,
    /// The chosen node's clock minus the even one: the own wall clock may be set meanwhile.
    chosen_ahead_ms: Option<i64>,
    /// Since when the clock is too far off the peers' median.
    off_since: Option<Time>,
    is_told: bool,
}

impl Clock {
    /// `now` runs evenly, `wall` is the machine's wall clock.
    pub(crate) const fn new(choice: PeerClock, now: Time, wall: WallTime) -> Self {
        Self {
            now,
            choice,
            ahead_ms: wall.ahead_of(now),
            chosen_ahead_ms: None,
            off_since: None,
            is_told: false,
        }
    }

    /// The time by the even clock, by which everything waits.
    pub(crate) const fn now(&self) -> Time {
        self.now
    }

    /// The even clock shows this now; it never goes back.
    pub(crate) fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    /// The machine's wall clock, as it was read now.
    pub(crate) const fn set(&mut self, wall: WallTime) {
        self.ahead_ms = wall.ahead_of(self.now);
    }

    /// Whose clock the user chose.
    pub(crate) const fn choice(&self) -> &PeerClock {
        &self.choice
    }

    /// The chosen node told its clock.
    pub(crate) const fn heard_chosen(&mut self, clock: WallTime) {
        self.chosen_ahead_ms = Some(clock.ahead_of(self.now));
    }

    /// The machine's wall clock.
    pub(crate) const fn own(&self) -> WallTime {
        WallTime::at(self.now, self.ahead_ms)
    }

    /// The chosen node's clock, if it was ever heard.
    fn chosen(&self) -> Option<WallTime> {
        self.chosen_ahead_ms.map(|ahead| WallTime::at(self.now, ahead))
    }

    /// The wall clock that rules and templates use. `middle` is the middle of the neighbours' clocks.
    pub(crate) fn time(&self, middle: impl FnOnce() -> Option<Middle>) -> WallTime {
        let own = self.own();
        match self.choice {
            PeerClock::Own => own,
            PeerClock::Median => match middle() {
                Some(middle) if middle.is_followed() => own.shifted(middle.ahead_ms),
                Some(_) | None => own,
            },
            PeerClock::Key(_) | PeerClock::Name(_) => self.chosen().unwrap_or(own),
        }
    }

    /// The clock that statuses tell: the own one, which others may compare, but a trusted one where the user chose it.
    pub(crate) fn told(&self) -> WallTime {
        match self.choice {
            PeerClock::Own | PeerClock::Median => self.own(),
            PeerClock::Key(_) | PeerClock::Name(_) => self.chosen().unwrap_or_else(|| self.own()),
        }
    }

    /// The clock is right: should it be off later, that is told again.
    pub(crate) const fn note_fine(&mut self) {
        self.is_told = false;
        self.off_since = None;
    }

    /// The warning about a clock that is off; none if it is not, or if it was told before.
    pub(crate) fn check(&mut self, middle: Middle) -> Option<String> {
        let is_off = middle.ahead_ms.unsigned_abs() > WARNING_MS;
        if !is_off || self.chosen_ahead_ms.is_some() {
            self.note_fine();
            return None;
        }
        let since = *self.off_since.get_or_insert(self.now);
        if self.is_told || self.now.since(since) < PATIENCE_MS {
            return None;
        }
        self.is_told = true;
        let advice = self.advice(middle);
        Some(format!(
            "{advice}; blocks are refused while clocks differ by more than two minutes"
        ))
    }

    /// The advice about a clock that is far from the neighbours'. Nobody here can know who is right, and a node that is
    /// surrounded by liars must not be told to follow them.
    pub(crate) fn advice(&self, middle: Middle) -> String {
        let side = if middle.ahead_ms > 0 { "behind" } else { "ahead of" };
        let off = span_words(middle.ahead_ms.unsigned_abs());
        let limits = match self.choice {
            PeerClock::Median if !middle.is_followed() => {
                "; --peer-clock follows the middle of at least three addresses, and at most 5 min away; --peer-clock PEER \
                 follows a node that you trust"
            }
            PeerClock::Own | PeerClock::Median | PeerClock::Key(_) | PeerClock::Name(_) => "",
        };
        format!(
            "this clock is {off} {side} the other nodes' clocks: compare it with a clock that you trust, and set the one \
             that is wrong{limits}"
        )
    }
}

/// The middle of the clocks that connected peers told.
pub(crate) fn middle_of(links: &Links) -> Option<Middle> {
    let told = links.iter().filter_map(|(id, peer)| Some((id, peer.clock_ahead_ms?)));
    middle(told.map(|(id, ahead)| (links.voice(id), ahead)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SecretKey;

    const NOW: Time = Time::from_ms(1_000);
    const WALL: WallTime = WallTime::from_ms(500_000_000);

    const fn ahead(ahead_ms: i64, voices: usize) -> Option<Middle> {
        Some(Middle { ahead_ms, voices })
    }

    #[test]
    fn the_middle_moves_the_clock_only_where_the_user_wants_it_and_three_addresses_agree() {
        for (choice, middle, moved_ms) in [
            (PeerClock::Own, ahead(90_000, 9), 0),
            (PeerClock::Median, ahead(90_000, 3), 90_000),
            (PeerClock::Median, ahead(90_000, 2), 0),
            (PeerClock::Median, ahead(301_000, 9), 0),
            (PeerClock::Median, None, 0),
        ] {
            let clock = Clock::new(choice.clone(), NOW, WALL);
            let time = clock.time(|| middle);
            assert_eq!(time.ms() - WALL.ms(), moved_ms, "{choice:?} {middle:?}");
            assert_eq!(clock.told(), WALL, "others compare the own one");
        }
    }

    #[test]
    fn the_even_clock_never_goes_back_whatever_the_wall_clock_does() {
        let mut clock = Clock::new(PeerClock::Own, NOW, WALL);
        clock.advance(Time::from_ms(3_000));
        clock.advance(Time::from_ms(2_000));
        clock.set(WallTime::from_ms(7));
        assert_eq!((clock.now(), clock.own()), (Time::from_ms(3_000), WallTime::from_ms(7)));
    }

    #[test]
    fn the_chosen_clock_goes_on_while_its_node_is_away_and_is_told() {
        let peer = SecretKey::from_seed([1; 32]).public().peer_id();
        let mut clock = Clock::new(PeerClock::Key(peer), NOW, WALL);
        assert_eq!(clock.time(|| None), WALL);
        clock.heard_chosen(WallTime::from_ms(700_000_000));
        // The own wall clock is set meanwhile.
        clock.advance(Time::from_ms(3_000));
        clock.set(WallTime::from_ms(1));
        assert_eq!(clock.time(|| None), WallTime::from_ms(700_002_000));
        assert_eq!(clock.told(), WallTime::from_ms(700_002_000));
        assert_eq!(clock.own(), WallTime::from_ms(1));
    }

    #[test]
    fn a_clock_that_is_off_for_five_seconds_is_told_once_and_again_when_it_comes_back() {
        let mut clock = Clock::new(PeerClock::Own, NOW, WALL);
        let off = Middle {
            ahead_ms: 30_001,
            voices: 1,
        };
        let fine = Middle {
            ahead_ms: 30_000,
            voices: 1,
        };
        let mut told = |ms: u64, middle| {
            clock.advance(NOW.after_ms(ms));
            clock.check(middle).is_some()
        };
        assert_eq!([told(0, off), told(4_999, off), told(5_000, off)], [false, false, true]);
        assert_eq!([told(9_000, off), told(9_001, fine)], [false, false]);
        assert_eq!([told(10_000, off), told(15_000, off)], [false, true]);
    }

    #[test]
    fn whoever_goes_by_a_chosen_clock_is_told_nothing_of_the_others() {
        let peer = SecretKey::from_seed([1; 32]).public().peer_id();
        let mut clock = Clock::new(PeerClock::Key(peer), NOW, WALL);
        clock.heard_chosen(WALL);
        let off = Middle {
            ahead_ms: 90_000,
            voices: 9,
        };
        for ms in [0, 9_000, 90_000] {
            clock.advance(NOW.after_ms(ms));
            assert_eq!(clock.check(off), None);
        }
    }
}
