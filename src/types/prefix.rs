//! Interfaces as the rest of the node knows them: which addresses they reach without a router, and how a user names one.
//!
//! Elsewhere: who looks at the interfaces (`net::interfaces`). Spec: `proto-notes/discovery.md`, "Neighbours".

use core::fmt;
use core::net::IpAddr;

use super::address::is_private;

/// Prefixes shorter than this are mistakes or span continents; an interface with such a prefix has no neighbours by it.
const SHORTEST_V4: u8 = 8;
const SHORTEST_V6: u8 = 32;

/// An interface's address, and the number of leading bits that all addresses of its network share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    ip: IpAddr,
    bits: u8,
}

impl Prefix {
    /// The prefix of an interface with this address and this many leading bits.
    #[must_use]
    pub const fn new(ip: IpAddr, bits: u8) -> Self {
        let (shortest, whole) = match ip {
            IpAddr::V4(_) => (SHORTEST_V4, 32),
            IpAddr::V6(_) => (SHORTEST_V6, 128),
        };
        let bits = if bits < shortest || bits > whole { whole } else { bits };
        Self { ip, bits }
    }

    /// The interface's own address.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Whether an address is of the same IP version and has the same leading bits.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let other = own.to_bits() ^ ip.to_bits();
                other.checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let other = own.to_bits() ^ ip.to_bits();
                other.checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Whether an IP address belongs to a neighbour: it is in a private range, or in one of this machine's own `networks`.
#[must_use]
pub fn is_neighbour(ip: IpAddr, networks: &[Prefix]) -> bool {
    is_private(ip) || networks.iter().any(|network| network.contains(ip))
}

/// The longest interface name that is accepted, in bytes; Linux allows 15, Windows more.
const INTERFACE_MAX_BYTES: usize = 64;

/// The interface that the user chose, by its name or by one of its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// All addresses of the named interface, including those it gets later.
    Interface(String),
    /// Only this address, also if its interface has others.
    Address(IpAddr),
}

impl Bind {
    /// Reads an IP address, or else takes the text as an interface name. None if the text can be neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return (!ip.is_unspecified() && !ip.is_multicast()).then_some(Self::Address(ip));
        }
        let is_name = !text.is_empty() && text.len() <= INTERFACE_MAX_BYTES;
        let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
        (is_name && text.bytes().all(fits)).then(|| Self::Interface(text.to_owned()))
    }

    /// Whether the user chose the interface called `name` that has the address `ip`.
    #[must_use]
    pub fn is(&self, name: &str, ip: IpAddr) -> bool {
        match self {
            Self::Interface(chosen) => chosen == name,
            Self::Address(chosen) => *chosen == ip,
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(name) => f.write_str(name),
            Self::Address(ip) => write!(f, "{ip}"),
        }
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_chosen_by_its_name_or_by_an_address() {
        let ip: IpAddr = "10.0.0.1".parse().unwrap();
        assert!(Bind::parse("eth0").unwrap().is("eth0", ip));
        assert!(!Bind::parse("eth0").unwrap().is("eth01", ip));
        assert!(Bind::parse("10.0.0.1").unwrap().is("eth0", ip));
        assert!(!Bind::parse("10.0.0.2").unwrap().is("eth0", ip));
        for text in ["", "0.0.0.0", "::", "224.0.0.1", "a b", "a/b", "\u{1b}"] {
            assert_eq!(Bind::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_prefix_contains_what_shares_its_first_bits_and_nothing_of_the_other_kind() {
        let contains =
            |own: &str, bits, ip: &str| Prefix::new(own.parse().unwrap(), bits).contains(ip.parse().unwrap());
        for (own, bits, ip, expected) in [
            ("130.149.5.5", 16, "130.149.7.9", true),
            ("130.149.5.5", 16, "130.150.7.9", false),
            ("130.149.5.5", 24, "130.149.7.9", false),
            ("10.0.0.1", 32, "10.0.0.1", true),
            ("10.0.0.1", 32, "10.0.0.2", false),
            ("10.0.0.1", 31, "10.0.0.0", true),
            ("2001:db8:1::5", 64, "2001:db8:1::9", true),
            ("2001:db8:1::5", 64, "2001:db8:2::9", false),
            ("fd00::1", 128, "fd00::1", true),
            ("fd00::1", 64, "10.0.0.1", false),
            ("10.0.0.1", 8, "fd00::1", false),
            // A prefix of length 0 makes nobody a neighbour.
            ("10.0.0.1", 0, "8.8.8.8", false),
            ("10.0.0.1", 77, "10.0.0.2", false),
            ("2001:db8::1", 3, "2001:db9::1", false),
        ] {
            assert_eq!(contains(own, bits, ip), expected, "{ip} in {own}/{bits}");
        }
    }
}
