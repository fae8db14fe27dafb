//! Work that helps nobody: checking blocks of branches that are no better. It has a small rate by address.
//!
//! Promises: whoever speaks from one address has together at most [`RATE`] of it, whatever identities it has; at most
//! [`VOICES_MAX`] addresses are remembered.
//! Elsewhere: what work counts (`effort`), which block helps (`relay`).
//! Spec: `proto-notes/gossip.md`, "Verdicts".

use core::net::{IpAddr, Ipv6Addr};
use std::collections::BTreeMap;

use super::quota::Bucket;
use crate::types::{Address, PeerId, Time};

/// Units of about a microsecond that one voice is given each second, and at once: a fiftieth of a core, and two full
/// blocks or some thousand small ones, more than honest forks bring.
const RATE: (u64, u64) = (20_000, 300_000);
/// Voices that are remembered: some times the connections.
const VOICES_MAX: usize = 256;

/// Who counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Voice {
    /// An identity: on the own machine all have one address.
    Peer(PeerId),
    /// An address, or the network of 64 bits that an IPv6 address is in.
    Address(IpAddr),
}

impl Voice {
    fn of(peer: PeerId, address: &Address) -> Self {
        match address.ip() {
            Some(IpAddr::V6(ip)) if !address.is_private() => {
                let [a, b, c, d, ..] = ip.segments();
                Self::Address(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
            Some(ip) if !address.is_loopback() => Self::Address(ip),
            Some(_) | None => Self::Peer(peer),
        }
    }
}

/// How much each voice was given.
#[derive(Clone, Debug, Default)]
pub(super) struct SideWork {
    given: BTreeMap<Voice, (Time, Bucket)>,
}

impl SideWork {
    /// Takes so many units for a peer at an address, or none if fewer are left.
    pub(super) fn allows(&mut self, now: Time, (peer, address): (PeerId, &Address), units: u64) -> bool {
        let voice = Voice::of(peer, address);
        if !self.given.contains_key(&voice) && self.given.len() >= VOICES_MAX {
            self.forget_one();
        }
        let (last, bucket) = self.given.entry(voice).or_insert_with(|| (now, Bucket::full(now)));
        *last = now;
        bucket.take(now, units, RATE)
    }

    /// Forgets the voice that was silent for longest.
    fn forget_one(&mut self) {
        let oldest = self
            .given
            .iter()
            .min_by_key(|(_, (last, _))| *last)
            .map(|(voice, _)| *voice);
        if let Some(oldest) = oldest {
            self.given.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SecretKey;

    fn peer(n: u8) -> PeerId {
        SecretKey::from_seed([n; 32]).public().peer_id()
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap().0
    }

    #[test]
    fn one_address_is_one_voice_and_loopback_counts_by_identity() {
        let cases = [
            ("/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/2", true),
            ("/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/1", false),
            ("/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1", false),
            ("/ip6/2001:db8::1/tcp/1", "/ip6/2001:db8::2/tcp/1", true),
            ("/ip6/2001:db8::1/tcp/1", "/ip6/2001:db8:0:1::1/tcp/1", false),
        ];
        for (first, second, same) in cases {
            let voices = [(1, first), (2, second)].map(|(n, text)| Voice::of(peer(n), &address(text)));
            assert_eq!(voices[0] == voices[1], same, "{first} {second}");
        }
    }

    #[test]
    fn ten_identities_of_one_address_have_no_more_than_one() {
        let mut work = SideWork::default();
        let now = Time::from_ms(5);
        let there = address("/ip4/10.0.0.1/tcp/1");
        let given = (0..10)
            .filter(|n| work.allows(now, (peer(*n), &there), 140_000))
            .count();
        assert_eq!(given, 2);
        let elsewhere = address("/ip4/10.0.0.2/tcp/1");
        assert!(work.allows(now, (peer(1), &elsewhere), 140_000));
        assert!(work.allows(Time::from_ms(20_005), (peer(1), &there), 140_000));
    }

    #[test]
    fn voices_are_bounded() {
        let mut work = SideWork::default();
        for n in 0..2_000_u64 {
            let there = address(&format!("/ip4/10.0.{}.{}/tcp/1", n / 250, n % 250 + 1));
            assert!(work.allows(Time::from_ms(n), (peer(1), &there), 1));
        }
        assert_eq!(work.given.len(), VOICES_MAX);
    }
}
