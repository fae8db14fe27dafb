//! The body of the fuzz target for multicast DNS: reading a packet, and deciding what of it to believe.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::packet::{self, ADDRESSES_MAX};
use super::records::{Judged, RECORDS_PER_SOURCE_MAX, Sightings, judge};
use crate::types::prefix::Prefix;
use crate::types::rng::Rng;

/// The senders of the packets: a neighbour, this machine, a distant host, and a link-local address.
const SOURCES: [&str; 5] = ["192.168.7.9", "127.0.0.1", "130.149.5.5", "fe80::7", "2001:db8::1"];
/// The networks of the own interfaces.
const NETWORKS: [(&str, u8); 2] = [("192.168.7.1", 24), ("fd00:1::1", 64)];

/// Reads any bytes as a packet from each of these senders.
pub(crate) fn mdns(input: &[u8]) {
    let Some(read) = packet::read(input) else {
        // A packet with a whole header and no questions is always read.
        assert!(input.len() < 12 || input[4..6] != [0, 0]);
        return;
    };
    assert_eq!(read.number.to_be_bytes(), input[..2]);
    assert!(read.named.len() <= ADDRESSES_MAX);
    let is_answer = input[2] & 0x80 != 0;
    assert!(!is_answer || !(read.asks || read.asks_services));
    assert!(is_answer || read.named.is_empty());
    // A packet that was cut short names fewer nodes, never other ones.
    for length in [input.len() / 2, input.len().saturating_sub(1)] {
        let cut = packet::read(&input[..length]).map_or_else(Vec::new, |cut| cut.named);
        assert!(cut.iter().all(|named| read.named.contains(named)) || read.named.len() == ADDRESSES_MAX);
    }
    // What was read can be written and read again.
    if let Some(first) = read.named.first() {
        let addresses = [first.address.clone()];
        let told = packet::answer(b"label", &first.peer, &addresses, first.seconds);
        let again = packet::read(&told).expect("an own answer").named;
        let fits = first.address.with_peer(&first.peer).len() + b"dnsaddr=".len() <= usize::from(u8::MAX);
        assert_eq!(again, if fits { vec![first.clone()] } else { Vec::new() });
    }
    believe(&read);
}

fn believe(read: &packet::Packet) {
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    let networks = NETWORKS.map(|(text, length)| Prefix::new(ip(text), length));
    let now = Instant::now();
    let mut records = Sightings::new(Rng::new(1));
    for source in SOURCES.map(ip) {
        for named in &read.named {
            let Judged::Believed(address) = judge(&named.address, source, &networks) else {
                continue;
            };
            let host = address.ip().expect("it has a host");
            let is_near = address.is_private() || networks.iter().any(|own| own.contains(host));
            assert!(is_near && !host.is_loopback() && !host.is_multicast() && !host.is_unspecified());
            assert!(host == source || source.is_ipv6());
            assert!(!source.is_loopback());
            assert_eq!(address.tcp_port(), named.address.tcp_port());
            records.take(now, named, address, source);
        }
    }
    assert!(records.len() <= SOURCES.len() * RECORDS_PER_SOURCE_MAX);
    records.expire(now + super::records::LIFE_MAX + Duration::from_secs(1));
    assert_eq!(records.len(), 0);
}
