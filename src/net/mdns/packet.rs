//! Packets of multicast DNS: questions for libp2p's nodes, and answers that name them.
//!
//! Promises: whatever the bytes are, reading takes time in proportion to their number and ends; nothing is believed
//! here. TXT records count in whichever section they stand.
//! Elsewhere: what of a packet is believed (`net::mdns::records`).
//! Spec: `proto-notes/discovery.md`, "Multicast DNS".

use crate::types::{Address, PeerId};

/// The longest datagram of multicast DNS, headers of IP and UDP included (RFC 6762).
pub(in crate::net) const PACKET_MAX_BYTES: usize = 9_000;
/// Nodes' addresses that are read of one packet: as many as are kept of one source.
pub(in crate::net) const ADDRESSES_MAX: usize = 32;
/// Own addresses in one answer: it stays within the bytes that an Ethernet frame carries.
const OWN_ADDRESSES_MAX: usize = 4;
/// Pointers that are followed in one name: two are usual, and each costs time.
const POINTERS_MAX: usize = 16;
/// The longest name of DNS.
const NAME_MAX_BYTES: usize = 255;
/// What stands before an address in a TXT record.
const PREFIX: &[u8] = b"dnsaddr=";

/// libp2p's service, and the list of all services.
const SERVICE: [&[u8]; 3] = [b"_p2p", b"_udp", b"local"];
const ALL_SERVICES: [&[u8]; 4] = [b"_services", b"_dns-sd", b"_udp", b"local"];

const PTR: u16 = 12;
const TXT: u16 = 16;
const ANY: u16 = 255;
/// The class of the Internet; its highest bit means something else in each section.
const IN: u16 = 1;
const CLASS_BITS: u16 = 0x7fff;
/// Set in the flags of an answer.
const IS_ANSWER: u8 = 0x80;

/// A node that a packet names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) struct Named {
    /// Who.
    pub(in crate::net) peer: PeerId,
    /// Where, as the packet says.
    pub(in crate::net) address: Address,
    /// For so many seconds; 0: no longer.
    pub(in crate::net) seconds: u32,
}

/// What a packet says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::net) struct Packet {
    /// Its number, by which an own question is known again.
    pub(in crate::net) number: u16,
    /// It asks for libp2p's nodes.
    pub(in crate::net) asks: bool,
    /// It asks which services there are.
    pub(in crate::net) asks_services: bool,
    /// Nodes that it names.
    pub(in crate::net) named: Vec<Named>,
}

/// Reads a packet; none if it is no DNS.
pub(in crate::net) fn read(bytes: &[u8]) -> Option<Packet> {
    let mut reader = Reader { bytes, at: 0 };
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
        // A packet that ends too early still says what stands before.
        let Some(record) = reader.record() else { break };
        match record.kind {
            PTR if is_name(&record.name, &SERVICE) && nodes.len() < ADDRESSES_MAX => nodes.push(record.target),
            TXT if texts.len() < ADDRESSES_MAX => texts.push(record),
            _ => {}
        }
    }
    let is_node = |record: &Record<'_>| nodes.contains(&record.name) || ends_with(&record.name, &SERVICE);
    let named = texts.iter().filter(|record| is_node(record)).flat_map(Record::nodes);
    packet.named = named.take(ADDRESSES_MAX).collect();
    Some(packet)
}

/// A name as its labels, in lower case.
type Name = Vec<Vec<u8>>;

fn is_name(name: &Name, wanted: &[&[u8]]) -> bool {
    name.iter().map(Vec::as_slice).eq(wanted.iter().copied())
}

fn ends_with(name: &Name, wanted: &[&[u8]]) -> bool {
    let extra = name.len().checked_sub(wanted.len());
    extra.is_some_and(|extra| name[extra..].iter().map(Vec::as_slice).eq(wanted.iter().copied()))
}

struct Record<'a> {
    name: Name,
    kind: u16,
    seconds: u32,
    /// Where a PTR record points.
    target: Name,
    data: &'a [u8],
}

impl Record<'_> {
    /// The nodes that the strings of a TXT record name.
    fn nodes(&self) -> impl Iterator<Item = Named> {
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
            Some(Named { peer, address, seconds })
        })
    }
}

/// Reads a packet from its front to its end.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn array<const SIZE: usize>(&mut self) -> Option<[u8; SIZE]> {
        let bytes = self.bytes.get(self.at..)?.first_chunk()?;
        self.at += SIZE;
        Some(*bytes)
    }

    fn number(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A name; pointers lead to the front only, so that none leads in a circle.
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

    fn record(&mut self) -> Option<Record<'a>> {
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
        Some(Record {
            name,
            kind,
            seconds,
            target,
            data,
        })
    }
}

/// "Who is `_p2p._udp.local`?", as every libp2p program asks; all of them answer.
pub(in crate::net) fn question(number: u16) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    // No flags; one question, nothing else.
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    write_name(&mut bytes, &SERVICE);
    write_numbers(&mut bytes, &[PTR, IN]);
    bytes
}

/// "I am, under this label, at these addresses." None of them is longer than a TXT record holds.
pub(in crate::net) fn answer(label: &[u8], peer: &PeerId, addresses: &[Address], seconds: u32) -> Vec<u8> {
    let node = [&[label][..], &SERVICE].concat();
    let text = |address: &Address| [PREFIX, address.with_peer(peer).as_bytes()].concat();
    let texts: Vec<Vec<u8>> = addresses.iter().map(text).collect();
    let fits = texts.iter().filter(|text| text.len() <= usize::from(u8::MAX));
    let texts: Vec<&Vec<u8>> = fits.take(OWN_ADDRESSES_MAX).collect();
    // An authoritative answer: one PTR, and the TXT records behind it.
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

/// "There is the service `_p2p._udp.local` here."
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
    use crate::types::SecretKey;

    fn peer(seed: u8) -> PeerId {
        SecretKey::from_seed([seed; 32]).public().peer_id()
    }

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
        let named = addresses.map(|address| Named {
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

    /// A packet with one PTR record and a TXT record in the section that is chosen.
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
            // With a name of the service's, or any that a PTR record points to.
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

    /// Names that point at themselves, at each other, ahead, past the end; labels of 64; counts with nothing behind.
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
        // Cut anywhere, an answer is no answer, or says less.
        let whole = answer(b"label", &peer(1), &[address("/ip4/10.0.0.1/tcp/1")], 1);
        for length in 0..whole.len() {
            let named = read(&whole[..length]).map_or(0, |packet| packet.named.len());
            assert_eq!(named, 0, "cut to {length}");
        }
    }

    proptest::proptest! {
        /// Whatever comes, reading ends, and names no more nodes than it may.
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
