//! Whose clock may count: the own one, the middle of the neighbours', or that of a node that the user trusts.
//!
//! Promises: all identities behind one address are one voice; the middle is followed from three voices on, and at most
//! five minutes away from the own clock, so that no crowd of identities moves a node to another day.
//! Elsewhere: the clock that follows from it (`clock`).
//! Spec: `proto-notes/consensus.md`, "Header rules".

use std::collections::BTreeMap;

use crate::types::{AccountName, PeerId, Voice};

/// Voices from which on `--peer-clock` follows their middle.
pub(crate) const VOICES_MIN: usize = 3;
/// How far from the own clock `--peer-clock` follows the middle: a clock that nobody set right is off by minutes.
pub(crate) const FOLLOWED_MAX_MS: u64 = 300_000;

/// Which clock the node goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PeerClock {
    /// The machine's own clock.
    #[default]
    Own,
    /// The middle of the neighbours'.
    Median,
    /// The one of the node with this key.
    Key(PeerId),
    /// The one of the node whose key owns this name on the chain.
    Name(AccountName),
}

impl PeerClock {
    /// Reads the value of `--peer-clock`: empty or "median", a PeerId, a name; words for yes and no from the environment.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.to_lowercase().as_str() {
            "median" | "1" | "true" | "yes" | "on" | "y" | "t" => return Ok(Self::Median),
            "" | "0" | "false" | "no" | "off" | "n" | "f" => return Ok(Self::Own),
            _ => {}
        }
        if let Ok(peer) = text.parse() {
            return Ok(Self::Key(peer));
        }
        let name = AccountName::new(&text.to_lowercase());
        name.map(Self::Name)
            .map_err(|error| format!("no PeerId, and no name: {error}"))
    }
}

/// The middle of the neighbours' clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Middle {
    /// How far it is ahead of the own clock.
    pub(crate) ahead_ms: i64,
    /// How many voices it is the middle of.
    pub(crate) voices: usize,
}

impl Middle {
    /// Whether `--peer-clock` follows it.
    pub(crate) const fn is_followed(self) -> bool {
        self.voices >= VOICES_MIN && self.ahead_ms.unsigned_abs() <= FOLLOWED_MAX_MS
    }
}

/// The middle of how far clocks are ahead of the own one; of an address that tells several, the middle of these.
pub(crate) fn middle(told: impl Iterator<Item = (Voice, i64)>) -> Option<Middle> {
    let mut by_voice: BTreeMap<Voice, Vec<i64>> = BTreeMap::new();
    for (voice, ahead_ms) in told {
        by_voice.entry(voice).or_default().push(ahead_ms);
    }
    let voices = by_voice.len();
    let each = by_voice.into_values().filter_map(median).collect();
    median(each).map(|ahead_ms| Middle { ahead_ms, voices })
}

/// The middle of some numbers. Of two middle ones the one that is nearer to the own clock: with two peers, one wrong
/// clock among three nodes must not make the right ones doubt theirs.
fn median(mut all: Vec<i64>) -> Option<i64> {
    all.sort_unstable();
    let upper = all.get(all.len() / 2).copied()?;
    let lower = all.get((all.len() - 1) / 2).copied()?;
    Some(if lower.unsigned_abs() < upper.unsigned_abs() {
        lower
    } else {
        upper
    })
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;
    use crate::types::SecretKey;

    fn host(last: u8) -> Voice {
        Voice::Host(IpAddr::from([10, 0, 0, last]))
    }

    fn of(told: &[(u8, i64)]) -> Option<Middle> {
        middle(told.iter().map(|(last, ahead)| (host(*last), *ahead)))
    }

    #[test]
    fn of_two_voices_the_clock_nearer_to_the_own_counts() {
        assert_eq!(of(&[]), None);
        for (told, ahead_ms) in [
            (vec![(1, 90_000)], 90_000),
            (vec![(1, 90_000), (2, 10)], 10),
            (vec![(1, 90_000), (2, 10), (3, -5)], 10),
        ] {
            assert_eq!(of(&told).map(|middle| middle.ahead_ms), Some(ahead_ms), "{told:?}");
        }
    }

    #[test]
    fn adv_t12_identities_of_one_address_are_one_voice_about_the_time() {
        const DAY: i64 = 86_400_000;
        let crowd: Vec<(u8, i64)> = [vec![(1, DAY); 5], vec![(2, 100), (3, -100)]].concat();
        let middle = of(&crowd).unwrap();
        assert_eq!((middle.ahead_ms, middle.voices), (100, 3));
        assert!(middle.is_followed());
        // Five identities alone, and three addresses that are a day away: not followed.
        assert!(!of(&[(1, 1_000); 5]).unwrap().is_followed());
        assert!(!of(&[(1, DAY), (2, DAY), (3, DAY)]).unwrap().is_followed());
        assert!(of(&[(1, 299_000), (2, 299_000), (3, 300_000)]).unwrap().is_followed());
    }

    #[test]
    fn a_clock_is_chosen_by_key_or_name_and_the_environment_may_say_yes_or_no() {
        let peer = SecretKey::from_seed([1; 32]).public().peer_id();
        assert_eq!(PeerClock::parse(&peer.to_string()), Ok(PeerClock::Key(peer)));
        let anna = PeerClock::Name(AccountName::new("anna").unwrap());
        assert_eq!(PeerClock::parse("Anna"), Ok(anna));
        for (text, meant) in [
            ("median", PeerClock::Median),
            ("1", PeerClock::Median),
            ("0", PeerClock::Own),
        ] {
            assert_eq!(PeerClock::parse(text), Ok(meant));
        }
        assert!(PeerClock::parse("12D3Koo!").is_err());
    }
}
