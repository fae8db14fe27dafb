//! Network addresses: multiaddrs without the `/p2p/` part, and the properties of them that the dial manager needs.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};

use multiaddr::{Multiaddr, Protocol};
use serde::{Serialize, Serializer};
use thiserror::Error;

use super::key::PeerId;

/// The longest address, in bytes of text without the peer. The store's records have one byte for this length.
pub const ADDRESS_MAX_BYTES: usize = 255;
/// The longest text that the parser accepts: an address, `/p2p/` and a PeerId (at most 53 bytes).
const TEXT_MAX_BYTES: usize = ADDRESS_MAX_BYTES + 64;

/// A dialable address: `/ip4|ip6|dns…/…/tcp/PORT` or `/…/udp/PORT/quic-v1`, without `/p2p/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

/// The text is not an address of a node; it holds at most the first 64 characters of that text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{0}\" is no address")]
pub struct AddressError(pub String);

impl Address {
    /// Reads a multiaddr, with or without `/p2p/PEER_ID` at its end, or `HOST:PORT` with a numeric host or `localhost`.
    ///
    /// # Errors
    /// [`AddressError`] if it names no transport that a node speaks.
    pub fn parse(text: &str) -> Result<(Self, Option<PeerId>), AddressError> {
        let (address, port, peer) = read(text)?;
        if port == 0 { Err(bad(text)) } else { Ok((address, peer)) }
    }

    /// Reads an address to listen on: a numeric host, and a port that may be 0 for "any that is free".
    ///
    /// # Errors
    /// [`AddressError`] for anything else, a PeerId included.
    pub fn parse_listen(text: &str) -> Result<Self, AddressError> {
        match read(text)? {
            (address, _, None) if address.ip().is_some() => Ok(address),
            _ => Err(bad(text)),
        }
    }

    /// The multiaddr as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address followed by `/p2p/` and the peer.
    #[must_use]
    pub fn with_peer(&self, peer: &PeerId) -> String {
        format!("{}/p2p/{peer}", self.0)
    }

    /// The IP address, or none if the host is a name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        // Called for every neighbour in every turn, so it reads the parts of the text and does not parse a whole
        // multiaddr.
        let mut parts = self.0.split('/').skip(1);
        match parts.next()? {
            "ip4" => parts.next()?.parse().ok().map(IpAddr::V4),
            "ip6" => parts.next()?.parse().ok().map(IpAddr::V6),
            _ => None,
        }
    }

    /// The TCP port, or none if the transport is not TCP.
    #[must_use]
    pub fn tcp_port(&self) -> Option<u16> {
        let mut parts = self.as_str().split('/').skip_while(|part| *part != "tcp");
        parts.nth(1)?.parse().ok()
    }

    /// Whether the address lies in a private, link-local, shared or loopback range, which makes its node a neighbour.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.ip().is_some_and(is_private)
    }

    /// Whether the host is a name instead of an IP address. Names are accepted from the user only: the name server
    /// learns who asks, and a stranger's name would let the stranger choose which server we ask and which host we dial.
    #[must_use]
    pub fn is_name(&self) -> bool {
        self.ip().is_none()
    }

    /// Whether this build speaks the transport that the address names.
    #[must_use]
    pub fn is_dialable(&self) -> bool {
        cfg!(feature = "quic") || !self.0.contains("/quic-v1")
    }

    /// Host and port, or none if the host is a name or the transport is not TCP.
    #[must_use]
    pub fn tcp(&self) -> Option<(IpAddr, u16)> {
        let (_, port) = self.0.split_once("/tcp/")?;
        Some((self.ip()?, port.parse().ok()?))
    }

    /// The same transport and port with an IP address in place of the host.
    #[must_use]
    pub fn at_ip(&self, ip: IpAddr) -> Option<Self> {
        let multiaddr: Multiaddr = self.0.parse().ok()?;
        let behind = multiaddr.iter().skip(1);
        let here: Multiaddr = core::iter::once(Protocol::from(ip)).chain(behind).collect();
        Some(Self(here.to_string()))
    }

    /// The same transport and port on another host; none unless both hosts are IPv4 or both are IPv6.
    #[must_use]
    pub fn on_host(&self, host: IpAddr) -> Option<Self> {
        let own = self.ip()?;
        if own.is_ipv4() == host.is_ipv4() {
            self.at_ip(host)
        } else {
            None
        }
    }

    /// Whether the address is a loopback address: it leads to this machine itself.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.ip().is_some_and(|ip| ip.is_loopback())
    }
}

/// Whether an IP address lies in a private, link-local, shared or loopback range.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local() || in_shared_range(ip),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn bad(text: &str) -> AddressError {
    AddressError(text.chars().take(64).collect())
}

/// Splits a text into the address, its port and its peer, if it names one.
fn read(text: &str) -> Result<(Address, u16, Option<PeerId>), AddressError> {
    // Host names are ASCII (others are written as `xn--…`), so no control sequence for a terminal gets into an address.
    if text.len() > TEXT_MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad(text));
    }
    let socket = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}").parse::<core::net::SocketAddr>().ok(),
        None => text.parse().ok(),
    };
    let mut multiaddr: Multiaddr = match socket {
        Some(socket) => Multiaddr::from(socket.ip()).with(Protocol::Tcp(socket.port())),
        None => text.parse().map_err(|_| bad(text))?,
    };
    let peer = match multiaddr.iter().last() {
        Some(Protocol::P2p(peer)) => {
            multiaddr.pop();
            Some(PeerId::from_bytes(&peer.to_bytes()).map_err(|_| bad(text))?)
        }
        _ => None,
    };
    let mut parts = multiaddr.iter();
    let host = matches!(
        parts.next(),
        Some(Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_))
    );
    let port = match parts.next() {
        Some(Protocol::Tcp(port)) => Some(port),
        Some(Protocol::Udp(port)) if matches!(parts.next(), Some(Protocol::QuicV1)) => Some(port),
        _ => None,
    };
    let address = Address(multiaddr.to_string());
    match port {
        Some(port) if host && parts.next().is_none() && address.0.len() <= ADDRESS_MAX_BYTES => {
            Ok((address, port, peer))
        }
        _ => Err(bad(text)),
    }
}

/// Whether the address is in 100.64.0.0/10 (RFC 6598), which carriers and mesh VPNs use.
fn in_shared_range(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    a == 100 && (64..128).contains(&b)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fuzzing found an address with a control character in the name of its host.
    #[test]
    fn nothing_that_a_terminal_obeys_is_in_an_address() {
        for text in [
            "/dns/a\u{1}/tcp/1",
            "/dns4/a\u{1b}[31m/tcp/1",
            "/dns/ä/tcp/1",
            "/dns/a b/tcp/1",
            "/dns/\u{202e}/tcp/1",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
        assert!(Address::parse("/dns/xn--4ca.example/tcp/1").is_ok());
    }

    #[test]
    fn neighbours_have_private_shared_local_or_loopback_addresses() {
        let is_private = |host: &str| {
            Address::parse(&format!("{host}/tcp/1"))
                .expect("an address")
                .0
                .is_private()
        };
        for host in [
            "/ip4/10.0.0.1",
            "/ip4/172.31.255.255",
            "/ip4/192.168.0.1",
            "/ip4/127.0.0.1",
            "/ip4/169.254.0.1",
            "/ip4/100.64.0.0",
            "/ip4/100.127.255.255",
            "/ip6/::1",
            "/ip6/fd00::1",
            "/ip6/fe80::1",
        ] {
            assert!(is_private(host), "{host}");
        }
        for host in [
            "/ip4/8.8.8.8",
            "/ip4/172.32.0.0",
            "/ip4/100.63.255.255",
            "/ip4/100.128.0.0",
            "/ip4/101.64.0.0",
            "/ip6/2001:db8::1",
            "/dns4/example.org",
        ] {
            assert!(!is_private(host), "{host}");
        }
    }

    #[test]
    fn the_ip_of_an_address_is_that_of_its_multiaddr() {
        for text in [
            "/ip4/10.0.0.7/tcp/4001",
            "/ip6/fd00::7/tcp/4001",
            "/ip6/::ffff:10.0.0.7/tcp/4001",
            "/ip4/10.0.0.7/udp/4001/quic-v1",
            "[2001:db8:0:0:0:0:0:9]:4001",
            "localhost:4001",
            "/dns4/host.example/tcp/4001",
        ] {
            let address = Address::parse(text).unwrap().0;
            let multiaddr: Multiaddr = address.as_str().parse().unwrap();
            let expected = match multiaddr.iter().next() {
                Some(Protocol::Ip4(ip)) => Some(IpAddr::V4(ip)),
                Some(Protocol::Ip6(ip)) => Some(IpAddr::V6(ip)),
                _ => None,
            };
            assert_eq!(address.ip(), expected, "{text}");
        }
    }

    #[test]
    fn a_dialled_address_has_a_port_and_nothing_behind_it() {
        for text in [
            "/ip4/10.0.0.1/tcp/0",
            "10.0.0.1:0",
            "/ip4/10.0.0.1/tcp/1/ws",
            "/ip4/10.0.0.1/udp/1",
            "/tcp/1",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
        assert!(Address::parse("/ip4/10.0.0.1/udp/1/quic-v1").is_ok());
        assert!(Address::parse_listen("/ip4/10.0.0.1/tcp/0").is_ok());
    }

    /// Fuzzing found addresses that were read alone and not with the peer behind them.
    #[test]
    fn the_longest_address_is_read_with_its_peer_too() {
        let peer = crate::types::SecretKey::from_seed([1; 32]).public().peer_id();
        let of_size = |size: usize| format!("/dns4/{}/tcp/1", "a".repeat(size - 12));
        let (address, _) = Address::parse(&of_size(ADDRESS_MAX_BYTES)).expect("the longest");
        assert_eq!(address.as_str().len(), ADDRESS_MAX_BYTES);
        assert_eq!(Address::parse(&address.with_peer(&peer)), Ok((address, Some(peer))));
        assert!(Address::parse(&of_size(ADDRESS_MAX_BYTES + 1)).is_err());
    }
}
