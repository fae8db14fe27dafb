//! Tickets: one word that says which network to join and at which addresses one of its nodes listens.
//!
//! Promises: a ticket exists only if its checksum is right; writing a ticket and reading it gives the same ticket.
//! Spec: `proto-notes/discovery.md`, "Tickets".

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use thiserror::Error;

use super::address::Address;
use super::hash::sha256;
use super::key::{PeerId, PublicKey};

/// The most addresses in a ticket: one of IPv4 and one of another interface. More would be too long to type.
pub const ADDRESSES_MAX: usize = 2;
/// How many leading bytes of its id name a network that a file describes.
pub const ID_BYTES: usize = 8;
/// The longest network name with its word, in bytes: 32 for each, and the colon.
const LABEL_MAX_BYTES: usize = 65;
/// The version of the ticket's byte layout.
const VERSION: u8 = 1;
/// Bytes of the checksum: one mistyped ticket in four billion passes as another one.
const SUM_BYTES: usize = 4;
/// A prefix that the checksum covers too, so that it differs from every other hash in the project.
const SUM_DOMAIN: &[u8] = b"lanchain ticket\n";
/// The longest ticket in bytes: header, label, key, two IPv6 addresses and the checksum.
const BYTES_MAX: usize = 2 + LABEL_MAX_BYTES + 32 + 1 + ADDRESSES_MAX * 19 + SUM_BYTES;
/// The digits of base32 (RFC 4648) in lower case.
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The network that a ticket belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TicketNetwork {
    /// A built-in network, with its word: `lan`, `lan:room-1`.
    BuiltIn(String),
    /// A network described by a file, named by the first bytes of its id.
    File([u8; ID_BYTES]),
}

/// A ticket: the network, the node that made it, and the addresses of that node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The network that the reader of the ticket joins.
    pub network: TicketNetwork,
    /// The key of the node that made the ticket.
    pub key: PublicKey,
    /// The TCP addresses at which that node listens: one or two, with numeric hosts.
    pub addresses: Vec<Address>,
}

/// Why a text is not a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TicketError {
    /// The text has a character outside base32, or is much too long.
    #[error("a ticket has only letters and the digits 2 to 7")]
    Letters,
    /// The checksum is wrong, so a letter is wrong or missing.
    #[error("some letter of the ticket is wrong or missing: copy it again")]
    Sum,
    /// The first byte names a version that this build does not know.
    #[error("the ticket is of another version of lanchain")]
    Version,
    /// The checksum is right, but the content does not follow the layout.
    #[error("the ticket is malformed")]
    Malformed,
}

impl Ticket {
    /// The PeerId of the node that made the ticket.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.key.peer_id()
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        match &self.network {
            TicketNetwork::BuiltIn(label) => {
                bytes.push(u8::try_from(label.len()).unwrap_or(0));
                bytes.extend_from_slice(label.as_bytes());
            }
            TicketNetwork::File(id) => {
                bytes.push(0);
                bytes.extend_from_slice(id);
            }
        }
        bytes.extend_from_slice(self.key.as_bytes());
        let places: Vec<(IpAddr, u16)> = self
            .addresses
            .iter()
            .filter_map(Address::tcp)
            .take(ADDRESSES_MAX)
            .collect();
        bytes.push(u8::try_from(places.len()).unwrap_or(0));
        for (ip, port) in places {
            match ip {
                IpAddr::V4(ip) => {
                    bytes.push(4);
                    bytes.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    bytes.push(6);
                    bytes.extend(ip.octets());
                }
            }
            bytes.extend(port.to_be_bytes());
        }
        let sum = sum(&bytes);
        bytes.extend(sum);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, TicketError> {
        let (rest, told) = bytes.split_last_chunk::<SUM_BYTES>().ok_or(TicketError::Sum)?;
        if sum(rest) != *told {
            return Err(TicketError::Sum);
        }
        let mut reader = TicketReader(rest);
        if reader.take::<1>() != Some([VERSION]) {
            return Err(TicketError::Version);
        }
        reader.ticket().ok_or(TicketError::Malformed)
    }
}

struct TicketReader<'a>(&'a [u8]);

impl TicketReader<'_> {
    fn take<const SIZE: usize>(&mut self) -> Option<[u8; SIZE]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn ticket(&mut self) -> Option<Ticket> {
        let network = match self.take()? {
            [0] => TicketNetwork::File(self.take()?),
            [length] => {
                let (label, rest) = self.0.split_at_checked(usize::from(length))?;
                self.0 = rest;
                let is_plain = label.iter().all(u8::is_ascii_graphic) && label.len() <= LABEL_MAX_BYTES;
                let label = core::str::from_utf8(label).ok().filter(|_| is_plain)?;
                TicketNetwork::BuiltIn(label.to_owned())
            }
        };
        let key = PublicKey::from_bytes(self.take()?).ok()?;
        let [count] = self.take()?;
        let addresses: Vec<Address> = (0..count).map(|_| self.address()).collect::<Option<_>>()?;
        let is_whole = self.0.is_empty() && (1..=ADDRESSES_MAX).contains(&addresses.len());
        is_whole.then_some(Ticket {
            network,
            key,
            addresses,
        })
    }

    fn address(&mut self) -> Option<Address> {
        let ip = match self.take()? {
            [4] => IpAddr::from(self.take::<4>()?),
            [6] => IpAddr::from(self.take::<16>()?),
            [_] => return None,
        };
        let port = u16::from_be_bytes(self.take()?);
        let text = core::net::SocketAddr::new(ip, port).to_string();
        Address::parse_typed(&text).ok().map(|(address, _)| address)
    }
}

fn sum(bytes: &[u8]) -> [u8; SUM_BYTES] {
    let [a, b, c, d, ..] = sha256(&[SUM_DOMAIN, bytes]);
    [a, b, c, d]
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut bits, mut count) = (0_u16, 0_u32);
        let write = |f: &mut fmt::Formatter<'_>, five: u16| {
            let digit = DIGITS[usize::from(five & 31)];
            fmt::Write::write_char(f, char::from(digit))
        };
        for byte in self.to_bytes() {
            bits = (bits & 0x1f) << 8 | u16::from(byte);
            count += 8;
            while count >= 5 {
                count -= 5;
                write(f, bits >> count)?;
            }
        }
        if count > 0 {
            write(f, bits << (5 - count))
        } else {
            Ok(())
        }
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        if text.len() > BYTES_MAX * 8 / 5 + 1 {
            return Err(TicketError::Letters);
        }
        let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u16, 0_u32);
        for letter in text.bytes().map(|letter| letter.to_ascii_lowercase()) {
            let digit = DIGITS
                .iter()
                .position(|digit| *digit == letter)
                .ok_or(TicketError::Letters)?;
            bits = bits << 5 | u16::try_from(digit).map_err(|_| TicketError::Letters)?;
            count += 5;
            if count >= 8 {
                count -= 8;
                let [_, byte] = (bits >> count).to_be_bytes();
                bytes.push(byte);
                bits &= (1 << count) - 1;
            }
        }
        // The remaining bits must be zeros and fewer than one letter, so that each ticket has exactly one text.
        if count >= 5 || bits != 0 {
            return Err(TicketError::Sum);
        }
        Self::from_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SecretKey;

    fn ticket(network: TicketNetwork, addresses: &[&str]) -> Ticket {
        let read = |text: &&str| Address::parse(text).unwrap().0;
        Ticket {
            network,
            key: SecretKey::from_seed([7; 32]).public(),
            addresses: addresses.iter().map(read).collect(),
        }
    }

    #[test]
    fn a_ticket_is_read_as_it_was_written_in_any_case() {
        let word = TicketNetwork::BuiltIn("lan:room-1".into());
        for ticket in [
            ticket(TicketNetwork::BuiltIn("lan".into()), &["/ip4/192.168.1.7/tcp/4141"]),
            ticket(word, &["/ip4/192.168.1.7/tcp/4141", "/ip6/fd00::1/tcp/4141"]),
            ticket(
                TicketNetwork::File([9; 8]),
                &["/ip6/2001:db8::1/tcp/1", "/ip4/10.0.0.1/tcp/2"],
            ),
        ] {
            let text = ticket.to_string();
            assert_eq!(text.parse(), Ok(ticket.clone()), "{text}");
            assert_eq!(text.to_ascii_uppercase().parse(), Ok(ticket), "{text}");
        }
        let text = ticket(TicketNetwork::BuiltIn("lan".into()), &["/ip4/192.168.1.7/tcp/4141"]).to_string();
        assert_eq!(text.len(), 79, "{text}");
    }

    #[test]
    fn each_wrong_or_missing_letter_is_noticed() {
        let text = ticket(TicketNetwork::BuiltIn("lan".into()), &["/ip4/192.168.1.7/tcp/4141"]).to_string();
        for at in 0..text.len() {
            for letter in ['a', 'q', '7'] {
                let mut wrong: Vec<char> = text.chars().collect();
                wrong[at] = letter;
                let wrong: String = wrong.into_iter().collect();
                assert_eq!(wrong.parse::<Ticket>().is_ok(), wrong == text, "{wrong}");
            }
            assert!(text[..at].parse::<Ticket>().is_err(), "cut to {at}");
        }
        assert_eq!("1".parse::<Ticket>(), Err(TicketError::Letters));
        assert_eq!("".parse::<Ticket>(), Err(TicketError::Sum));
        assert_eq!("a".repeat(1_000).parse::<Ticket>(), Err(TicketError::Letters));
    }

    #[test]
    fn what_its_checksum_covers_must_make_sense_too() {
        let whole = ticket(TicketNetwork::BuiltIn("lan".into()), &["/ip4/192.168.1.7/tcp/4141"]).to_bytes();
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = whole[..whole.len() - SUM_BYTES].to_vec();
            change(&mut bytes);
            bytes.extend(sum(&bytes.clone()));
            Ticket::from_bytes(&bytes)
        };
        assert!(with(&|_| {}).is_ok());
        assert_eq!(with(&|bytes| bytes[0] = 2), Err(TicketError::Version));
        assert_eq!(with(&|bytes| bytes[1] = 200), Err(TicketError::Malformed));
        assert_eq!(with(&|bytes| bytes[2] = 0x1b), Err(TicketError::Malformed));
        assert_eq!(with(&|bytes| bytes.push(0)), Err(TicketError::Malformed));
        let zero_port = |bytes: &mut Vec<u8>| {
            let end = bytes.len();
            bytes[end - 2..].fill(0);
        };
        assert_eq!(with(&zero_port), Err(TicketError::Malformed));
        assert!(with(&|bytes| bytes.truncate(37)).is_err(), "no address");
    }
}
