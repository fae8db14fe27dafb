//! Voices: the unit by which strangers share limited places. Identities cost nothing, addresses do.
//!
//! Promises: all identities behind one address are one voice. The exception is this machine itself: its nodes share the
//! loopback address, so each identity is a voice. Elsewhere: the places that voices share: in the pool and in blocks
//! (`chain`), in the clock (`engine::parts::clocks`), work that helps nobody (`engine::parts::standing::side_work`), reported addresses
//! (`engine::parts::dial`), log lines (`engine::parts::standing::complaints`), connections (`net::gate`), and waiting messages, requests and
//! facts (`net`, `node::inbox`).
//! Spec: `proto-notes/limits.md`, "Voices".

use core::net::IpAddr;

use super::prefix::Prefix;
use super::{Address, PeerId};

/// A stranger, counted once wherever strangers share a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Voice {
    /// One identity: a node of this machine, or a node whose address says nothing.
    Identity(PeerId),
    /// All identities behind one IP address.
    Host(IpAddr),
    /// All identities in one distant IPv6 network, named by its first 64 bits; a single host has 2^64 addresses there.
    Network([u16; 4]),
}

impl Voice {
    /// The voice of a peer at an address. An IPv6 address counts as a host of its own if it is link-local or lies in
    /// one of this machine's own `networks`.
    #[must_use]
    pub fn of(peer: PeerId, address: &Address, networks: &[Prefix]) -> Self {
        let behind = address.ip().and_then(|ip| Self::behind(ip, networks));
        behind.unwrap_or(Self::Identity(peer))
    }

    /// The voice of the node at an IP address; none for a loopback address, where only identities differ.
    #[must_use]
    pub fn behind(ip: IpAddr, networks: &[Prefix]) -> Option<Self> {
        let ip = ip.to_canonical();
        let is_near = networks.iter().any(|network| network.contains(ip));
        match ip {
            _ if ip.is_loopback() => None,
            IpAddr::V6(v6) if !v6.is_unicast_link_local() && !is_near => {
                let [a, b, c, d, ..] = v6.segments();
                Some(Self::Network([a, b, c, d]))
            }
            IpAddr::V4(_) | IpAddr::V6(_) => Some(Self::Host(ip)),
        }
    }
}

/// Whether a voice may take one more of `max` places. `voices` share the places, `held` are taken, and the asking voice
/// holds `own` of these. The first half goes to whoever asks first; the second half is split into equal shares. So a
/// voice that floods leaves room for others, and a voice that is alone is hardly limited.
#[must_use]
pub const fn has_share(held: usize, max: usize, voices: usize, own: usize) -> bool {
    let half = max / 2;
    let share = if voices > 1 { half / voices } else { half };
    held < max && (held < half || own < if share == 0 { 1 } else { share })
}

impl From<PeerId> for Voice {
    fn from(peer: PeerId) -> Self {
        Self::Identity(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::keys::peer;

    fn voice(seed: u8, text: &str) -> Voice {
        let (address, _) = Address::parse(text).unwrap();
        let networks = [Prefix::new("fd00:1::1".parse().unwrap(), 64)];
        Voice::of(peer(seed), &address, &networks)
    }

    #[test]
    fn identities_behind_one_address_are_one_voice_and_those_of_this_machine_are_many() {
        let same = |a: &str, b: &str| voice(1, a) == voice(2, b);
        assert!(same("/ip4/10.0.0.7/tcp/4001", "/ip4/10.0.0.7/tcp/4002"));
        assert!(!same("/ip4/10.0.0.7/tcp/4001", "/ip4/10.0.0.8/tcp/4001"));
        assert!(!same("/ip4/127.0.0.1/tcp/4001", "/ip4/127.0.0.1/tcp/4002"));
        assert!(!same("/ip6/::1/tcp/4001", "/ip6/::1/tcp/4002"));
        // The same address, written in two ways.
        assert!(same("/ip4/10.0.0.7/tcp/4001", "/ip6/::ffff:10.0.0.7/tcp/4001"));
    }

    #[test]
    fn one_that_floods_leaves_room_for_others_and_each_has_a_share() {
        let mut held = [0; 3];
        let fill = |held: &mut [usize; 3], who: usize, voices| {
            while has_share(held.iter().sum(), 100, voices, held[who]) {
                held[who] += 1;
            }
        };
        fill(&mut held, 0, 1);
        assert_eq!(held, [50, 0, 0]);
        fill(&mut held, 1, 2);
        fill(&mut held, 2, 3);
        fill(&mut held, 0, 3);
        assert_eq!(held, [50, 25, 16]);
        // With more voices than places, each voice gets one place while places are left.
        assert!(has_share(7, 8, 100, 0) && !has_share(7, 8, 100, 1) && !has_share(8, 8, 100, 0));
    }

    #[test]
    fn of_ipv6_an_address_is_a_voice_within_own_networks_and_the_first_64_bits_elsewhere() {
        let same = |a: &str, b: &str| voice(1, a) == voice(2, b);
        assert!(!same("/ip6/fd00:1::7/tcp/4001", "/ip6/fd00:1::8/tcp/4001"));
        assert!(same("/ip6/fd00:1::7/tcp/4001", "/ip6/fd00:1::7/tcp/4002"));
        assert!(!same("/ip6/fe80::7/tcp/4001", "/ip6/fe80::8/tcp/4001"));
        assert!(same("/ip6/fd00:2::7/tcp/4001", "/ip6/fd00:2::8/tcp/4001"));
        assert!(same("/ip6/2001:db8:0:1::7/tcp/4001", "/ip6/2001:db8:0:1:9::8/tcp/4001"));
        assert!(!same("/ip6/2001:db8:0:1::7/tcp/4001", "/ip6/2001:db8:0:2::7/tcp/4001"));
    }
}
