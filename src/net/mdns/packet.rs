//! Packets of multicast DNS: questions for nodes of libp2p, and answers that name them.
//!
//! Promises: for any bytes, reading ends and takes time in proportion to their number. Nothing is judged here. TXT
//! records count in every section.
//! Elsewhere: which records are believed (`net::mdns::records`).
//! Spec: `proto-notes/discovery.md`, "Multicast DNS".

use crate::types::{Address, PeerId};

/// The longest datagram of multicast DNS in bytes, with the headers of IP and UDP (RFC 6762).
pub(in crate::net) const PACKET_MAX_BYTES: usize = 9_000;
/// The most node addresses that are read from one packet: as many as are kept from one source.
pub(in crate::net) const ADDRESSES_MAX: usize = 32;
/// The most own addresses in one answer, so that it fits into one Ethernet frame.
const OWN_ADDRESSES_MAX: usize = 4;
/// The most compression pointers in one name: two are usual, and each costs time.
const POINTERS_MAX: usize = 16;
/// The longest DNS name in bytes.
const NAME_MAX_BYTES: usize = 255;
/// The bytes before an address in a TXT record.
const PREFIX: &[u8] = b"dnsaddr=";

/// The name of libp2p's service, and the name under which all services are listed.
const SERVICE: [&[u8]; 3] = [b"_p2p", b"_udp", b"local"];
const ALL_SERVICES: [&[u8]; 4] = [b"_services", b"_dns-sd", b"_udp", b"local"];

const PTR: u16 = 12;
const TXT: u16 = 16;
const ANY: u16 = 255;
/// The class of the Internet. The highest bit of a class has another meaning in each section.
const IN: u16 = 1;
const CLASS_BITS: u16 = 0x7fff;
/// The bit in the flags that marks an answer.
const IS_ANSWER: u8 = 0x80;

/// A node that a packet names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) struct NamedNode {
    /// The PeerId of the node.
    pub(in crate::net) peer: PeerId,
    /// The address that the packet gives for it, not yet checked.
    pub(in crate::net) address: Address,
    /// How long the record is valid, in seconds; 0 withdraws it.
    pub(in crate::net) seconds: u32,
}

/// The content of a packet, as far as it concerns nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::net) struct Packet {
    /// The number in the header, by which a node recognises its own questions.
    pub(in crate::net) number: u16,
    /// Whether it asks for nodes of libp2p.
    pub(in crate::net) asks: bool,
    /// Whether it asks for the list of services.
    pub(in crate::net) asks_services: bool,
    /// The nodes that it names.
    pub(in crate::net) named: Vec<NamedNode>,
}

/// Reads a packet; none if the bytes are not a DNS message.
pub(in crate::net) fn read(bytes: &[u8]) -> Option<Packet> {
    let mut reader = PacketReader { bytes, at: 0 };
    let number = reader.number()?;
    let [flags, _] = reader.array()?;
    let [questions, answers, authorities, additionals] = [(); 4].map(|()| reader.number());
    let mut packet = Packet {
        number,
        ..Packet::default()
    };
    for _ in 0..questions? {
        let name = reader.name()?;
        let kind = reader.number()?;
        reader.number()?;
        if flags & IS_ANSWER == 0 && (kind == PTR || kind == ANY) {
            packet.asks |= is_name(&name, &SERVICE);
            packet.asks_services |= is_name(&name, &ALL_SERVICES);
        }
    }
    if flags & IS_ANSWER == 0 {
        return Some(packet);
    }
    let mut nodes = Vec::new();
    let mut texts = Vec::new();
    let count = u32::from(answers?) + u32::from(authorities?) + u32::from(additionals?);
    for _ in 0..count {
        // Records before the point where a packet ends too early still count.
        let Some(record) = reader.record() else { break };
        match record.kind {
            PTR if is_name(&record.name, &SERVICE) && nodes.len() < ADDRESSES_MAX => nodes.push(record.target),
            TXT if texts.len() < ADDRESSES_MAX => texts.push(record),
            _ => {}
        }
    }
    let is_node = |record: &DnsRecord<'_>| nodes.contains(&record.name) || ends_with(&record.name, &SERVICE);
    let named = texts.iter().filter(|record| is_node(record)).flat_map(DnsRecord::nodes);
    packet.named = named.take(ADDRESSES_MAX).collect();
    Some(packet)
}

/// A DNS name as its labels, in lower case.
type Name = Vec<Vec<u8>>;

fn is_name(name: &Name, wanted: &[&[u8]]) -> bool {
    name.iter().map(Vec::as_slice).eq(wanted.iter().copied())
}

fn ends_with(name: &Name, wanted: &[&[u8]]) -> bool {
    let extra = name.len().checked_sub(wanted.len());
    extra.is_some_and(|extra| name[extra..].iter().map(Vec::as_slice).eq(wanted.iter().copied()))
}

struct DnsRecord<'a> {
    name: Name,
    kind: u16,
    seconds: u32,
    /// The name that a PTR record points to.
    target: Name,
    data: &'a [u8],
}

impl DnsRecord<'_> {
    /// The nodes that the strings of a TXT record name.
    fn nodes(&self) -> impl Iterator<Item = NamedNode> {
        let mut rest = self.data;
        let strings = core::iter::from_fn(move || {
            let (length, behind) = rest.split_first()?;
            let (text, next) = behind.split_at_checked(usize::from(*length))?;
            rest = next;
            Some(text)
        });
        strings.filter_map(|text| {
            let text = core::str::from_utf8(text.strip_prefix(PREFIX)?).ok()?;
            let (address, peer) = Address::parse(text).ok()?;
            let (peer, seconds) = (peer?, self.seconds);
            Some(NamedNode { peer, address, seconds })
        })
    }
}

/// Reads a packet from its front to its end.
struct PacketReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> PacketReader<'a> {
    fn array<const SIZE: usize>(&mut self) -> Option<[u8; SIZE]> {
        let bytes = self.bytes.get(self.at..)?.first_chunk()?;
        self.at += SIZE;
        Some(*bytes)
    }

    fn number(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Reads a name. Pointers may lead only towards the front, so that they cannot form a circle.
    fn name(&mut self) -> Option<Name> {
        let (mut labels, mut size) = (Vec::new(), 0);
        let (mut at, mut start, mut behind) = (self.at, self.at, None);
        let mut pointers = 0;
        loop {
            let length = *self.bytes.get(at)?;
            at += 1;
            match length {
                0 => break,
                1..=63 => {
                    let label = self.bytes.get(at..at + usize::from(length))?;
                    at += label.len();
                    size += label.len() + 1;
                    labels.push(label.to_ascii_lowercase());
                }
                0xc0.. => {
                    let low = *self.bytes.get(at)?;
                    let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    behind = behind.or(Some(at + 1));
                    pointers += 1;
                    if target >= start || pointers > POINTERS_MAX {
                        return None;
                    }
                    (at, start) = (target, target);
                }
                64..0xc0 => return None,
            }
            if size > NAME_MAX_BYTES {
                return None;
            }
        }
        self.at = behind.unwrap_or(at);
        Some(labels)
    }

    fn record(&mut self) -> Option<DnsRecord<'a>> {
        let name = self.name()?;
        let kind = self.number()?;
        let class = self.number()?;
        let seconds = self.array().map(u32::from_be_bytes)?;
        let length = usize::from(self.number()?);
        let start = self.at;
        let data = self.bytes.get(start..start + length)?;
        let is_internet = class & CLASS_BITS == IN;
        let kind = if is_internet { kind } else { 0 };
        let target = if kind == PTR { self.name()? } else { Name::new() };
        self.at = start + length;
        Some(DnsRecord {
            name,
            kind,
            seconds,
            target,
            data,
        })
    }
}

/// The question for `_p2p._udp.local`, as every libp2p program asks it; all of them answer.
pub(in crate::net) fn question(number: u16) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    // The header has no flags, one question, and nothing else.
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    write_name(&mut bytes, &SERVICE);
    write_numbers(&mut bytes, &[PTR, IN]);
    bytes
}

/// The answer that names this node with its addresses. An address that is too long for a TXT record is left out.
pub(in crate::net) fn answer(label: &[u8], peer: &PeerId, addresses: &[Address], seconds: u32) -> Vec<u8> {
    let node = [&[label][..], &SERVICE].concat();
    let text = |address: &Address| [PREFIX, address.with_peer(peer).as_bytes()].concat();
    let texts: Vec<Vec<u8>> = addresses.iter().map(text).collect();
    let fits = texts.iter().filter(|text| text.len() <= usize::from(u8::MAX));
    let texts: Vec<&Vec<u8>> = fits.take(OWN_ADDRESSES_MAX).collect();
    // An authoritative answer with one PTR record, followed by the TXT records.
    let mut bytes = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0];
    bytes.push(u8::try_from(texts.len()).expect("few are taken"));
    let mut target = Vec::new();
    write_name(&mut target, &node);
    write_record(&mut bytes, &SERVICE, PTR, seconds, &target);
    for text in texts {
        let length = u8::try_from(text.len()).expect("longer ones are left out");
        write_record(&mut bytes, &node, TXT, seconds, &[&[length], text.as_slice()].concat());
    }
    bytes
}

/// The answer to a question for services: there is the service `_p2p._udp.local`.
pub(in crate::net) fn services(seconds: u32) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    let mut target = Vec::new();
    write_name(&mut target, &SERVICE);
    write_record(&mut bytes, &ALL_SERVICES, PTR, seconds, &target);
    bytes
}

fn write_numbers(bytes: &mut Vec<u8>, numbers: &[u16]) {
    bytes.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
}

fn write_name(bytes: &mut Vec<u8>, labels: &[&[u8]]) {
    for label in labels {
        bytes.push(u8::try_from(label.len()).expect("labels are short"));
        bytes.extend_from_slice(label);
    }
    bytes.push(0);
}

fn write_record(bytes: &mut Vec<u8>, name: &[&[u8]], kind: u16, seconds: u32, data: &[u8]) {
    write_name(bytes, name);
    write_numbers(bytes, &[kind, IN]);
    bytes.extend(seconds.to_be_bytes());
    write_numbers(bytes, &[u16::try_from(data.len()).expect("data is short")]);
    bytes.extend_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::keys::peer;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap().0
    }

    #[test]
    fn the_question_is_one_of_dns_and_is_read_as_such() {
        let bytes = question(0x1234);
        assert_eq!(bytes[12..], *b"\x04_p2p\x04_udp\x05local\0\0\x0c\0\x01");
        assert_eq!(bytes.len(), 33);
        let asks = Packet {
            number: 0x1234,
            asks: true,
            ..Packet::default()
        };
        assert_eq!(read(&bytes), Some(asks));
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let addresses = [address("/ip4/10.0.0.1/tcp/4141"), address("/ip6/fd00::1/tcp/4141")];
        let bytes = answer(b"label", &peer(1), &addresses, 120);
        let named = addresses.map(|address| NamedNode {
            peer: peer(1),
            address,
            seconds: 120,
        });
        assert_eq!(read(&bytes).unwrap().named, named);
        assert!(bytes.len() < 500, "{}", bytes.len());
    }

    #[test]
    fn whoever_asks_for_services_is_told_of_ours() {
        let mut question = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        write_name(&mut question, &ALL_SERVICES);
        write_numbers(&mut question, &[PTR, IN]);
        assert!(read(&question).unwrap().asks_services);
        let told = read(&services(120)).unwrap();
        assert_eq!(told, Packet::default(), "no question, and no node");
    }

    /// A packet with one PTR record, and a TXT record in the chosen section.
    fn packet(text_in_answers: bool, owner: &[&[u8]], data: &[u8]) -> Vec<u8> {
        let node: [&[u8]; 1] = [b"node1"];
        let counts = if text_in_answers { [0, 2, 0, 0] } else { [0, 1, 0, 1] };
        let mut bytes = vec![0, 0, 0x84, 0];
        write_numbers(&mut bytes, &counts);
        let mut target = Vec::new();
        write_name(&mut target, &node);
        write_record(&mut bytes, &SERVICE, PTR, 60, &target);
        write_record(&mut bytes, owner, TXT, 60, data);
        bytes
    }

    fn text(text: &str) -> Vec<u8> {
        [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    }

    #[test]
    fn texts_count_among_the_answers_too_as_js_libp2p_has_them() {
        let data = text(&format!("dnsaddr=/ip4/10.0.0.9/tcp/1/p2p/{}", peer(9)));
        for text_in_answers in [true, false] {
            // The owner is a name below the service, or any name that a PTR record points to.
            for owner in [&[&b"node1"[..]][..], &[b"NODE1", b"_p2p", b"_udp", b"LOCAL"]] {
                let named = read(&packet(text_in_answers, owner, &data)).unwrap().named;
                assert_eq!(named.len(), 1, "{text_in_answers} {owner:?}");
                assert_eq!((named[0].peer, named[0].seconds), (peer(9), 60));
            }
        }
        let printer: [&[u8]; 2] = [b"printer", b"local"];
        assert_eq!(read(&packet(true, &printer, &data)).unwrap().named, []);
    }

    #[test]
    fn only_texts_that_name_a_node_and_where_it_is_count() {
        let node: [&[u8]; 1] = [b"node1"];
        let named = |data: &[u8]| read(&packet(false, &node, data)).unwrap().named.len();
        let whole = format!("dnsaddr=/ip4/10.0.0.9/tcp/1/p2p/{}", peer(9));
        assert_eq!(named(&[text("other=1"), text(&whole), text("")].concat()), 1);
        for strange in [
            "dnsaddr=/ip4/10.0.0.9/tcp/1",
            "dnsaddr=/ip4/10.0.0.9/udp/1",
            "dnsaddr=\u{1b}[2J",
            "dnsaddr=",
            "/ip4/10.0.0.9/tcp/1",
        ] {
            assert_eq!(named(&text(strange)), 0, "{strange}");
        }
        assert_eq!(named(&[200, b'd']), 0, "a string that is longer than its record");
        let many: Vec<u8> = (0..100).flat_map(|_| text(&whole)).collect();
        assert_eq!(named(&many), ADDRESSES_MAX);
    }

    /// The cases: names that point at themselves, at each other, ahead or past the end; labels of 64 bytes; counts
    /// without records.
    #[test]
    fn adv_d05_reading_of_malformed_packets_ends() {
        let head = |counts: [u16; 4]| {
            let mut bytes = vec![0, 0, 0x84, 0];
            write_numbers(&mut bytes, &counts);
            bytes
        };
        let with = |tail: &[u8]| [head([0, 1, 0, 0]), tail.to_vec()].concat();
        let fixed = [0, 12, 0, 1, 0, 0, 0, 120, 0, 2, 0xc0, 12];
        for packet in [
            Vec::new(),
            vec![0xff; 11],
            vec![0xff; PACKET_MAX_BYTES],
            head([u16::MAX; 4]),
            with(&[&[0xc0, 12][..], &fixed].concat()),
            with(&[&[0xc0, 24][..], &fixed].concat()),
            with(&[&[0xff, 0xff][..], &fixed].concat()),
            with(&[&[64][..], &[b'a'; 64], &[0], &fixed].concat()),
            with(&[&[1, b'a'].repeat(200)[..], &fixed].concat()),
        ] {
            let named = read(&packet).map(|packet| packet.named.len());
            assert!(named.is_none_or(|named| named == 0), "{packet:?}");
        }
        // A prefix of an answer is not an answer, or names fewer nodes.
        let whole = answer(b"label", &peer(1), &[address("/ip4/10.0.0.1/tcp/1")], 1);
        for length in 0..whole.len() {
            let named = read(&whole[..length]).map_or(0, |packet| packet.named.len());
            assert_eq!(named, 0, "cut to {length}");
        }
    }

    proptest::proptest! {
        /// For any bytes, reading ends and names at most the allowed number of nodes.
        #[test]
        fn any_bytes_are_read_to_an_end(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
            changes in proptest::collection::vec((0_usize..300, proptest::num::u8::ANY), 0..6),
        ) {
            let mut answer = answer(b"label", &peer(1), &[address("/ip4/10.0.0.1/tcp/1")], 1);
            for (at, byte) in changes {
                if let Some(changed) = answer.get_mut(at) {
                    *changed = byte;
                }
            }
            for bytes in [&bytes, &answer] {
                let named = read(bytes).map_or(0, |packet| packet.named.len());
                assert!(named <= ADDRESSES_MAX);
            }
        }
    }
}
