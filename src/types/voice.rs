//! Whose voice counts as one: identities cost nothing, addresses do.
//!
//! Promises: all identities behind one address are one voice, but on this machine itself, where nodes share the loopback
//! and are told apart by identity. Elsewhere: what is shared out by voices (pool, blocks, clock).
//! Spec: `proto-notes/limits.md`, "Voices".

use core::net::IpAddr;

use super::{Address, PeerId};

/// What counts once where something is shared out among strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Voice {
    /// A node of this machine, or one whose address says nothing.
    Identity(PeerId),
    /// All identities behind an address.
    Host(IpAddr),
    /// All identities of a far network of IPv6, of which a single host has 2^64 addresses: its first 64 bits.
    Network([u16; 4]),
}

impl Voice {
    /// The voice of a peer at an address. `is_near` says whether an address of IPv6 lies in a network of this machine's
    /// own: there each address is a host.
    #[must_use]
    pub fn of(peer: PeerId, address: &Address, is_near: impl FnOnce(IpAddr) -> bool) -> Self {
        let ip = match address.ip() {
            Some(IpAddr::V6(ip)) => ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4),
            Some(ip @ IpAddr::V4(_)) => ip,
            None => return Self::Identity(peer),
        };
        match ip {
            _ if ip.is_loopback() => Self::Identity(peer),
            IpAddr::V4(_) => Self::Host(ip),
            IpAddr::V6(v6) if !is_near(ip) => {
                let [a, b, c, d, ..] = v6.segments();
                Self::Network([a, b, c, d])
            }
            IpAddr::V6(_) => Self::Host(ip),
        }
    }
}

impl From<PeerId> for Voice {
    fn from(peer: PeerId) -> Self {
        Self::Identity(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SecretKey;

    fn peer(seed: u8) -> PeerId {
        SecretKey::from_seed([seed; 32]).public().peer_id()
    }

    fn voice(seed: u8, text: &str) -> Voice {
        let (address, _) = Address::parse(text).unwrap();
        Voice::of(peer(seed), &address, |ip| ip.to_string().starts_with("fd00:1:"))
    }

    #[test]
    fn identities_behind_one_address_are_one_voice_and_those_of_this_machine_are_many() {
        let same = |a: &str, b: &str| voice(1, a) == voice(2, b);
        assert!(same("/ip4/10.0.0.7/tcp/4001", "/ip4/10.0.0.7/tcp/4002"));
        assert!(!same("/ip4/10.0.0.7/tcp/4001", "/ip4/10.0.0.8/tcp/4001"));
        assert!(!same("/ip4/127.0.0.1/tcp/4001", "/ip4/127.0.0.1/tcp/4002"));
        assert!(!same("/ip6/::1/tcp/4001", "/ip6/::1/tcp/4002"));
        // One address, written in two ways.
        assert!(same("/ip4/10.0.0.7/tcp/4001", "/ip6/::ffff:10.0.0.7/tcp/4001"));
    }

    #[test]
    fn of_ipv6_an_address_is_a_voice_within_own_networks_and_the_first_64_bits_elsewhere() {
        let same = |a: &str, b: &str| voice(1, a) == voice(2, b);
        assert!(!same("/ip6/fd00:1::7/tcp/4001", "/ip6/fd00:1::8/tcp/4001"));
        assert!(same("/ip6/fd00:1::7/tcp/4001", "/ip6/fd00:1::7/tcp/4002"));
        assert!(same("/ip6/2001:db8:0:1::7/tcp/4001", "/ip6/2001:db8:0:1:9::8/tcp/4001"));
        assert!(!same("/ip6/2001:db8:0:1::7/tcp/4001", "/ip6/2001:db8:0:2::7/tcp/4001"));
    }
}
