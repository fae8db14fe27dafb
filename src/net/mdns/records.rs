//! The nodes that multicast DNS named lately, and the judgement of what its packets say.
//!
//! Promises: at most [`RECORDS_MAX`] records in all and [`RECORDS_PER_SOURCE_MAX`] of one source; a flood cannot choose
//! which records are evicted; a record ends when its time is over, at the latest after [`LIFE_MAX`].
//! Spec: `proto-notes/discovery.md`, "Neighbours".

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::packet::NamedNode;
use crate::types::prefix::{Prefix, is_neighbour};
use crate::types::rng::Rng;
use crate::types::{Address, PeerId};

/// The most records in all: five times the connections of a node.
pub(in crate::net) const RECORDS_MAX: usize = 256;
/// The most records of one source: enough for many nodes on one machine.
pub(in crate::net) const RECORDS_PER_SOURCE_MAX: usize = 32;
/// The longest life of a record, whatever its packet says: some intervals of questions, and the time to move a cable.
pub(in crate::net) const LIFE_MAX: Duration = Duration::from_secs(300);

/// A node that was found by multicast DNS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::net) struct Sighting {
    /// The PeerId of the node.
    pub(in crate::net) peer: PeerId,
    /// The address at which it can be dialled.
    pub(in crate::net) address: Address,
    /// The IP address of the sender of the packet.
    pub(in crate::net) source: IpAddr,
}

/// The judgement of one address in a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) enum Judged {
    /// The node may be dialled at this address.
    Believed(Address),
    /// The address lies outside this network. One spoofed packet must not make every node dial there.
    Elsewhere,
    /// The address cannot be dialled, or does not belong to the sender.
    Useless,
}

/// Decides at which address, if any, a node may be dialled. Only the port is taken from the packet; the host is the
/// sender of the packet. With IPv6 the sender has a link-local address, so there the host in the packet must be in one
/// of our own networks.
pub(in crate::net) fn judge(address: &Address, source: IpAddr, prefixes: &[Prefix]) -> Judged {
    let Some(ip) = address.ip().filter(|ip| ip.is_ipv4() == source.is_ipv4()) else {
        return Judged::Useless;
    };
    if !address.is_dialable() || source.is_loopback() {
        return Judged::Useless;
    }
    let is_link_local = matches!(source, IpAddr::V6(source) if source.is_unicast_link_local());
    let host = if is_link_local { ip } else { source };
    match address.on_host(host) {
        Some(_) if matches!(host, IpAddr::V6(host) if host.is_unicast_link_local()) => Judged::Useless,
        Some(address) if is_link_local && !prefixes.iter().any(|own| own.contains(host)) => {
            if address.is_loopback() {
                Judged::Useless
            } else {
                Judged::Elsewhere
            }
        }
        Some(address) if is_other_neighbour(&address, prefixes) => Judged::Believed(address),
        Some(_) => Judged::Elsewhere,
        None => Judged::Useless,
    }
}

/// Whether an address belongs to a neighbour on another machine.
fn is_other_neighbour(address: &Address, prefixes: &[Prefix]) -> bool {
    let Some(ip) = address.ip() else { return false };
    let is_no_host = address.is_loopback() || ip.is_unspecified() || ip.is_multicast();
    !is_no_host && is_neighbour(ip, prefixes)
}

/// The found nodes, with limits on their number.
#[derive(Debug)]
pub(in crate::net) struct Sightings {
    /// The known nodes, each with the end of its life.
    known: BTreeMap<Sighting, Instant>,
    rng: Rng,
}

impl Sightings {
    /// An empty list; `rng` chooses which records are evicted.
    pub(in crate::net) const fn new(rng: Rng) -> Self {
        Self {
            known: BTreeMap::new(),
            rng,
        }
    }

    /// Keeps a record; if the list is full, a random one makes room, and a source with many records evicts its own
    /// first. Returns whether the record is new.
    pub(in crate::net) fn insert(&mut self, now: Instant, sighting: Sighting, seconds: u32) -> bool {
        if seconds == 0 {
            self.known.remove(&sighting);
            return false;
        }
        let until = now + Duration::from_secs(u64::from(seconds)).min(LIFE_MAX);
        if let Some(known) = self.known.get_mut(&sighting) {
            *known = until;
            return false;
        }
        let of_source = |known: &&Sighting| known.source == sighting.source;
        let count = self.known.keys().filter(of_source).count();
        let victim = if count >= RECORDS_PER_SOURCE_MAX {
            let chosen = self.choose(count);
            self.known.keys().filter(of_source).nth(chosen).cloned()
        } else if self.known.len() >= RECORDS_MAX {
            let chosen = self.choose(self.known.len());
            self.known.keys().nth(chosen).cloned()
        } else {
            None
        };
        if let Some(victim) = victim {
            self.known.remove(&victim);
        }
        self.known.insert(sighting, until);
        true
    }

    /// Keeps a record whose address was judged, as [`Self::insert`] does; returns it if it is new.
    pub(in crate::net) fn take(
        &mut self,
        now: Instant,
        named: &NamedNode,
        address: Address,
        source: IpAddr,
    ) -> Option<Sighting> {
        let sighting = Sighting {
            peer: named.peer,
            address,
            source,
        };
        self.insert(now, sighting.clone(), named.seconds).then_some(sighting)
    }

    fn choose(&mut self, count: usize) -> usize {
        let chosen = u64::try_from(count).map(|count| self.rng.below(count));
        chosen.ok().and_then(|chosen| usize::try_from(chosen).ok()).unwrap_or(0)
    }

    /// Removes the records whose time is over.
    pub(in crate::net) fn expire(&mut self, now: Instant) {
        self.known.retain(|_, until| *until > now);
    }

    /// The number of records.
    pub(in crate::net) fn len(&self) -> usize {
        self.known.len()
    }

    /// All records, in no particular order of time.
    pub(in crate::net) fn all(&self) -> impl Iterator<Item = &Sighting> {
        self.known.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: fn() -> Instant = Instant::now;

    fn sighting(peer: PeerId, text: &str) -> Sighting {
        let address = Address::parse(text).unwrap().0;
        let source = address.ip().unwrap();
        Sighting { peer, address, source }
    }

    fn random() -> PeerId {
        libp2p::PeerId::random()
    }

    #[test]
    fn adv_d01_a_flood_of_records_keeps_256_of_them() {
        let mut records = Sightings::new(Rng::new(1));
        for host in 0..2_000_u32 {
            let text = format!("/ip4/10.0.{}.{}/tcp/9", host / 250, host % 250 + 1);
            records.insert(NOW(), sighting(random(), &text), 120);
        }
        assert_eq!(records.len(), RECORDS_MAX);
    }

    #[test]
    fn one_source_has_32_records_and_pushes_out_its_own_only() {
        let mut records = Sightings::new(Rng::new(1));
        let other = sighting(random(), "/ip4/10.0.0.2/tcp/1");
        records.insert(NOW(), other.clone(), 120);
        for port in 1..=100 {
            records.insert(NOW(), sighting(random(), &format!("/ip4/10.0.0.1/tcp/{port}")), 120);
        }
        assert_eq!(records.len(), RECORDS_PER_SOURCE_MAX + 1);
        assert!(records.all().any(|known| *known == other));
    }

    #[test]
    fn a_record_lives_as_long_as_it_says_and_five_minutes_at_most() {
        let mut records = Sightings::new(Rng::new(1));
        let start = NOW();
        let [short, long, gone] = [1, 2, 3].map(|port| sighting(random(), &format!("/ip4/10.0.0.1/tcp/{port}")));
        assert!(records.insert(start, short.clone(), 10));
        assert!(!records.insert(start, short, 20), "it is known");
        records.insert(start, long.clone(), u32::MAX);
        records.insert(start, gone.clone(), 120);
        records.insert(start, gone, 0);
        assert_eq!(records.len(), 2);
        records.expire(start + Duration::from_secs(19));
        assert_eq!(records.len(), 2);
        records.expire(start + Duration::from_secs(20));
        assert_eq!(records.all().collect::<Vec<_>>(), [&long]);
        records.expire(start + LIFE_MAX);
        assert_eq!(records.len(), 0);
    }

    fn own() -> Vec<Prefix> {
        [
            ("130.149.5.5", 16),
            ("192.168.1.2", 24),
            ("2001:db8:1::5", 64),
            ("fd12::5", 64),
        ]
        .map(|(ip, bits)| Prefix::new(ip.parse().unwrap(), bits))
        .to_vec()
    }

    #[test]
    fn adv_d04_what_lies_outside_private_ranges_and_own_prefixes_is_not_believed() {
        for (source, expected) in [
            ("130.149.7.9", true),
            ("130.150.7.9", false),
            ("192.168.77.9", true),
            ("10.1.2.3", true),
            ("8.8.8.8", false),
        ] {
            let (address, _) = Address::parse("/ip4/203.0.113.9/tcp/4001").unwrap();
            let judged = judge(&address, source.parse().unwrap(), &own());
            let here = Address::parse(&format!("/ip4/{source}/tcp/4001")).unwrap().0;
            let wanted = if expected {
                Judged::Believed(here)
            } else {
                Judged::Elsewhere
            };
            assert_eq!(judged, wanted, "{source}");
        }
        let judge = |text: &str, source: &str| judge(&Address::parse(text).unwrap().0, source.parse().unwrap(), &own());
        assert_eq!(judge("/ip4/10.0.0.1/tcp/22", "127.0.0.1"), Judged::Useless);
        assert_eq!(judge("/dns4/example.org/tcp/80", "10.0.0.1"), Judged::Useless);
        assert_eq!(judge("/ip6/fd12::1/tcp/80", "10.0.0.1"), Judged::Useless);
    }

    #[test]
    fn of_ipv6_what_a_link_local_source_says_is_believed_within_own_prefixes() {
        let judge = |text: &str| judge(&Address::parse(text).unwrap().0, "fe80::1".parse().unwrap(), &own());
        for text in ["/ip6/2001:db8:1::9/tcp/4141", "/ip6/fd12::9/tcp/4141"] {
            assert_eq!(judge(text), Judged::Believed(Address::parse(text).unwrap().0));
        }
        for text in ["/ip6/2001:db8:2::9/tcp/4141", "/ip6/fd13::9/tcp/4141"] {
            assert_eq!(judge(text), Judged::Elsewhere, "{text}");
        }
        for text in ["/ip6/fe80::9/tcp/4141", "/ip6/::1/tcp/4141", "/ip4/10.0.0.1/tcp/4141"] {
            assert_eq!(judge(text), Judged::Useless, "{text}");
        }
    }
}
