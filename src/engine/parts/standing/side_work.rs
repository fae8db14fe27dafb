//! What an address is given for nothing: the check of blocks that help nobody, and headers that go on before their body
//! was seen. Both have a small rate.
//!
//! Promises: whoever speaks from one address has together at most [`RATE`] and [`RELAYS_MAX`], whatever identities it has; at
//! most [`VOICES_MAX`] addresses are remembered.
//! Elsewhere: what work counts (`effort`), which block helps (`relay`), what goes on early (`compacting`).
//! Spec: `proto-notes/gossip.md`, "Verdicts".

use std::collections::BTreeMap;

use crate::types::{Bucket, Rate, Time, Voice};

/// Units of about a microsecond that one voice is given each second, and at once: a fiftieth of a core, and two full
/// blocks or some thousand small ones, more than honest forks bring.
const RATE: Rate = Rate::per_second(20_000, 300_000);
/// Headers of one voice that go on before their body was seen, in each second: as many as it may gossip.
const RELAYS_MAX: u64 = 20;
/// Voices that are remembered: some times the connections.
const VOICES_MAX: usize = 256;

/// How much each voice was given.
#[derive(Clone, Debug, Default)]
pub(super) struct SideWork {
    given: BTreeMap<Voice, Given>,
}

#[derive(Clone, Debug)]
struct Given {
    last: Time,
    work: Bucket,
    relays: Bucket,
}

impl SideWork {
    /// Takes so many units for a voice, or none if fewer are left.
    pub(super) fn allows(&mut self, now: Time, voice: Voice, units: u64) -> bool {
        self.given(now, voice).work.take(now, units, RATE)
    }

    /// Takes so many units for a voice even if fewer are left.
    pub(super) fn charge(&mut self, now: Time, voice: Voice, units: u64) {
        self.given(now, voice).work.charge(now, units, RATE);
    }

    /// Whether one more header of a voice may go on early.
    pub(super) fn relays(&mut self, now: Time, voice: Voice) -> bool {
        self.given(now, voice)
            .relays
            .take(now, 1, Rate::per_second(RELAYS_MAX, RELAYS_MAX))
    }

    fn given(&mut self, now: Time, voice: Voice) -> &mut Given {
        if !self.given.contains_key(&voice) && self.given.len() >= VOICES_MAX {
            self.forget_one();
        }
        let given = self.given.entry(voice).or_insert_with(|| Given {
            last: now,
            work: Bucket::full(now),
            relays: Bucket::full(now),
        });
        given.last = now;
        given
    }

    /// Forgets the voice that was silent for longest.
    fn forget_one(&mut self) {
        let oldest = self
            .given
            .iter()
            .min_by_key(|(_, given)| given.last)
            .map(|(voice, _)| *voice);
        if let Some(oldest) = oldest {
            self.given.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Address, SecretKey};

    /// The voice of an identity at an address.
    fn voice(n: u8, text: &str) -> Voice {
        let peer = SecretKey::from_seed([n; 32]).public().peer_id();
        Voice::of(peer, &Address::parse(text).unwrap().0, &[])
    }

    #[test]
    fn ten_identities_of_one_address_have_no_more_than_one() {
        let mut work = SideWork::default();
        let now = Time::from_ms(5);
        let there = |n| voice(n, "/ip4/10.0.0.1/tcp/1");
        let given = (0..10).filter(|n| work.allows(now, there(*n), 140_000)).count();
        assert_eq!(given, 2);
        let elsewhere = voice(1, "/ip4/10.0.0.2/tcp/1");
        assert!(work.allows(now, elsewhere, 140_000));
        assert!(work.allows(Time::from_ms(20_005), there(1), 140_000));
    }

    #[test]
    fn what_a_voice_owes_is_paid_back_before_anything_else_is_checked_for_it() {
        let mut work = SideWork::default();
        let (now, there) = (Time::from_ms(5), voice(1, "/ip4/10.0.0.1/tcp/1"));
        assert!(work.allows(now, there, 0));
        work.charge(now, there, 320_000);
        assert!(!work.allows(now, there, 0));
        assert!(!work.allows(Time::from_ms(1_004), there, 0));
        assert!(work.allows(Time::from_ms(1_005), there, 0));
    }

    #[test]
    fn twenty_headers_a_second_of_an_address_go_on_early() {
        let mut work = SideWork::default();
        let relayed = |work: &mut SideWork, ms, text: &str| {
            let all = (0..100).filter(|n| work.relays(Time::from_ms(ms), voice(n % 10, text)));
            all.count()
        };
        assert_eq!(relayed(&mut work, 5, "/ip4/10.0.0.1/tcp/1"), 20);
        assert_eq!(relayed(&mut work, 5, "/ip4/10.0.0.2/tcp/1"), 20);
        assert_eq!(relayed(&mut work, 505, "/ip4/10.0.0.1/tcp/1"), 10);
    }

    #[test]
    fn voices_are_bounded() {
        let mut work = SideWork::default();
        for n in 0..2_000_u64 {
            let there = voice(1, &format!("/ip4/10.0.{}.{}/tcp/1", n / 250, n % 250 + 1));
            assert!(work.allows(Time::from_ms(n), there, 1));
        }
        assert_eq!(work.given.len(), VOICES_MAX);
    }

    #[test]
    fn whoever_is_new_takes_the_place_of_the_voice_that_was_silent_longest() {
        let mut work = SideWork::default();
        let at = |n: u64| voice(1, &format!("/ip4/10.0.{}.{}/tcp/1", n / 250, n % 250 + 1));
        for n in 0..256 {
            assert!(work.allows(Time::from_ms(n), at(n), 300_000));
        }
        let now = Time::from_ms(256);
        assert!(work.allows(now, at(1_000), 1));
        assert!(!work.allows(now, at(255), 300_000), "what it used up is remembered");
    }
}
