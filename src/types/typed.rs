//! Addresses as people type them: an IP address or a host name, with or without a port, a multiaddr, or the ancestor's
//! URL.
//!
//! Promises: an address that this build cannot dial is refused here, with the reason. No name is looked up.
//! Elsewhere: addresses of peers, files and discovery ([`Address::parse`]), names that are looked up (`net::names`).
//! Spec: `proto-notes/discovery.md`, "Addresses".

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use multiaddr::{Multiaddr, Protocol};
use thiserror::Error;

use super::address::{ADDRESS_MAX_BYTES, Address};
use super::key::PeerId;

/// The port on which a node listens if it is free, and the port that is dialled if the user typed none.
pub const USUAL_PORT: u16 = 4141;
/// The longest host name, and the longest part of one between dots, in bytes (RFC 1035).
const HOST_MAX_BYTES: usize = 253;
const LABEL_MAX_BYTES: usize = 63;
/// The longest text that the parser accepts, in bytes.
const TYPED_MAX_BYTES: usize = ADDRESS_MAX_BYTES + 64;

/// Why a typed address cannot be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TypedError {
    /// The text has none of the accepted forms.
    #[error("it is neither an IP address nor the name of a host nor a multiaddr")]
    Nonsense,
    /// The text has the form of an IPv4 address, but a number is missing or above 255.
    #[error("an IPv4 address is four numbers from 0 to 255")]
    BadIp,
    /// The port is 0 or above 65535, or is not a number.
    #[error("a port is a number from 1 to 65535; `status` at the other node shows its own")]
    BadPort,
    /// The address is `0.0.0.0` or `::`, which no node can be reached at.
    #[error("it stands for all addresses of a machine, and leads to none; `status` at the other node shows its own")]
    Unspecified,
    /// The address is a multicast or broadcast address.
    #[error("it is the address of many machines, not of one")]
    Many,
    /// The address is link-local IPv6 (`fe80::…`), which needs the name of an interface.
    #[error(
        "a link-local IPv6 address means nothing without its interface, which cannot be named: use another address"
    )]
    LinkLocal,
    /// The multiaddr names UDP without QUIC on top.
    #[error("nodes speak TCP, not plain UDP: write /tcp/ and the port")]
    Udp,
    /// The multiaddr names QUIC, and this build has no QUIC.
    #[error("this build speaks TCP only: use the address with /tcp/, or build with --features quic")]
    NoQuic,
    /// The multiaddr has another protocol on top of TCP.
    #[error("nodes speak plain TCP: nothing stands behind the port but /p2p/ and an identity")]
    Layer,
    /// The URL has a path, so it is the address of a web page.
    #[error("of a URL only the host and the port count, and here is more")]
    Path,
}

impl Address {
    /// Reads what a user typed: `HOST`, `HOST:PORT`, `http://HOST:PORT`, or a multiaddr, with or without `/p2p/PEER_ID`.
    /// Without a port it is 4141.
    ///
    /// # Errors
    /// [`TypedError`] if this build cannot dial it.
    pub fn parse_typed(text: &str) -> Result<(Self, Option<PeerId>), TypedError> {
        if text.len() > TYPED_MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TypedError::Nonsense);
        }
        let whole = if text.starts_with('/') {
            multiaddr(text)?
        } else {
            host(text)?
        };
        let (address, peer) = Self::parse(&whole).map_err(|_| TypedError::Nonsense)?;
        address.ip().map_or(Ok(()), check)?;
        Ok((address, peer))
    }
}

fn check(ip: IpAddr) -> Result<(), TypedError> {
    match ip {
        _ if ip.is_unspecified() => Err(TypedError::Unspecified),
        _ if ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) => Err(TypedError::Many),
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Err(TypedError::LinkLocal),
        IpAddr::V4(_) | IpAddr::V6(_) => Ok(()),
    }
}

/// Checks a multiaddr; the answer always has a port.
fn multiaddr(text: &str) -> Result<String, TypedError> {
    let read: Multiaddr = text.parse().map_err(|_| TypedError::Nonsense)?;
    let mut parts = read.iter();
    let Some(host) = parts.next() else {
        return Err(TypedError::Nonsense);
    };
    if !matches!(
        host,
        Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)
    ) {
        return Err(TypedError::Nonsense);
    }
    if let Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) = &host {
        check_host(name)?;
    }
    let mut whole = Multiaddr::empty().with(host);
    match (parts.next(), parts.next()) {
        (None, _) => whole.push(Protocol::Tcp(USUAL_PORT)),
        (Some(Protocol::P2p(peer)), None) => {
            whole.push(Protocol::Tcp(USUAL_PORT));
            whole.push(Protocol::P2p(peer));
        }
        (Some(Protocol::Tcp(0) | Protocol::Udp(0)), _) => return Err(TypedError::BadPort),
        (Some(Protocol::Tcp(_)), None | Some(Protocol::P2p(_))) => return Ok(text.to_owned()),
        (Some(Protocol::Tcp(_)), Some(_)) => return Err(TypedError::Layer),
        (Some(Protocol::Udp(_)), Some(Protocol::QuicV1)) if cfg!(feature = "quic") => return Ok(text.to_owned()),
        (Some(Protocol::Udp(_)), Some(Protocol::QuicV1 | Protocol::Quic)) => return Err(TypedError::NoQuic),
        (Some(Protocol::Udp(_)), _) => return Err(TypedError::Udp),
        (Some(_), _) => return Err(TypedError::Nonsense),
    }
    Ok(whole.to_string())
}

/// Turns a text without slashes into a multiaddr.
fn host(text: &str) -> Result<String, TypedError> {
    let lower = text.to_ascii_lowercase();
    let bare = ["http://", "https://", "tcp://"]
        .iter()
        .find_map(|scheme| lower.strip_prefix(scheme))
        .unwrap_or(&lower);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    if bare.contains(['/', '?', '#']) {
        return Err(TypedError::Path);
    }
    if let Ok(socket) = bare.parse::<SocketAddr>() {
        return with_port(&ip_text(socket.ip()), socket.port());
    }
    let inner = bare
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(bare);
    if let Ok(ip) = inner.parse::<IpAddr>() {
        return with_port(&ip_text(ip), USUAL_PORT);
    }
    let (name, port) = match bare.split_once(':') {
        None => (bare, USUAL_PORT),
        Some((name, port)) => (name, port.parse().map_err(|_| TypedError::BadPort)?),
    };
    if name == "localhost" {
        return with_port("/ip4/127.0.0.1", port);
    }
    check_host(name)?;
    with_port(&format!("/dns/{name}"), port)
}

fn ip_text(ip: IpAddr) -> String {
    let version = if ip.is_ipv4() { "ip4" } else { "ip6" };
    format!("/{version}/{ip}")
}

fn with_port(host: &str, port: u16) -> Result<String, TypedError> {
    if port == 0 {
        return Err(TypedError::BadPort);
    }
    Ok(format!("{host}/tcp/{port}"))
}

/// Checks the name of a host or container: letters, digits, `-` and `_`, in parts separated by dots.
fn check_host(name: &str) -> Result<(), TypedError> {
    let is_part = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !part.is_empty() && part.len() <= LABEL_MAX_BYTES && part.bytes().all(fits) && !part.starts_with('-')
    };
    let bare = name.strip_suffix('.').unwrap_or(name);
    if bare.is_empty() || bare.len() > HOST_MAX_BYTES || !bare.split('.').all(is_part) {
        return Err(TypedError::Nonsense);
    }
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if bare.rsplit('.').next().is_some_and(is_number) {
        return Err(TypedError::BadIp);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, TypedError> {
        Address::parse_typed(text).map(|(address, _)| address.as_str().to_owned())
    }

    #[test]
    fn an_address_is_read_as_people_have_it() {
        for (text, expected) in [
            ("192.168.1.7", "/ip4/192.168.1.7/tcp/4141"),
            ("192.168.1.7:5000", "/ip4/192.168.1.7/tcp/5000"),
            ("localhost", "/ip4/127.0.0.1/tcp/4141"),
            ("LOCALHOST:5000", "/ip4/127.0.0.1/tcp/5000"),
            ("my-laptop.local", "/dns/my-laptop.local/tcp/4141"),
            ("My-Laptop.local:4141", "/dns/my-laptop.local/tcp/4141"),
            ("node_1", "/dns/node_1/tcp/4141"),
            ("fd00::1", "/ip6/fd00::1/tcp/4141"),
            ("[fd00::1]", "/ip6/fd00::1/tcp/4141"),
            ("[fd00::1]:7", "/ip6/fd00::1/tcp/7"),
            // The form that the ancestor's users type.
            ("http://127.0.0.1:5000", "/ip4/127.0.0.1/tcp/5000"),
            ("http://192.168.0.5:5000/", "/ip4/192.168.0.5/tcp/5000"),
            ("HTTP://localhost:5001", "/ip4/127.0.0.1/tcp/5001"),
            ("/ip4/192.168.1.7", "/ip4/192.168.1.7/tcp/4141"),
            ("/ip4/192.168.1.7/tcp/1", "/ip4/192.168.1.7/tcp/1"),
            ("/dns4/example.org/tcp/80", "/dns4/example.org/tcp/80"),
            ("/dns/node_1", "/dns/node_1/tcp/4141"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
        let peer = crate::types::SecretKey::from_seed([1; 32]).public().peer_id();
        for text in ["/ip4/10.0.0.1", "/ip4/10.0.0.1/tcp/4141", "/dns6/a/tcp/9"] {
            let (_, named) = Address::parse_typed(&format!("{text}/p2p/{peer}")).unwrap();
            assert_eq!(named, Some(peer), "{text}");
        }
    }

    #[test]
    fn what_this_build_cannot_dial_is_refused_with_the_reason() {
        for (text, expected) in [
            ("", TypedError::Nonsense),
            ("a b", TypedError::Nonsense),
            ("b\u{fc}cher.example", TypedError::Nonsense),
            ("a..b", TypedError::Nonsense),
            ("-x", TypedError::Nonsense),
            ("/nowhere", TypedError::Nonsense),
            ("/dnsaddr/example.org", TypedError::Nonsense),
            ("/unix/x", TypedError::Nonsense),
            ("10.0.0", TypedError::BadIp),
            ("10.0.0.256", TypedError::BadIp),
            ("10.0.0.1.", TypedError::BadIp),
            ("4141", TypedError::BadIp),
            ("10.0.0.1:0", TypedError::BadPort),
            ("10.0.0.1:99999", TypedError::BadPort),
            ("host:", TypedError::BadPort),
            ("host:http", TypedError::BadPort),
            ("/ip4/10.0.0.1/tcp/0", TypedError::BadPort),
            ("0.0.0.0", TypedError::Unspecified),
            ("0.0.0.0:4141", TypedError::Unspecified),
            ("/ip6/::/tcp/4141", TypedError::Unspecified),
            ("224.0.0.251", TypedError::Many),
            ("255.255.255.255", TypedError::Many),
            ("fe80::1", TypedError::LinkLocal),
            ("/ip4/10.0.0.1/udp/5", TypedError::Udp),
            ("/ip4/10.0.0.1/tcp/5/ws", TypedError::Layer),
            ("http://10.0.0.1:5000/chain", TypedError::Path),
        ] {
            assert_eq!(read(text), Err(expected), "{text}");
        }
        let quic = read("/ip4/10.0.0.1/udp/5/quic-v1");
        assert_eq!(quic.is_ok(), cfg!(feature = "quic"), "{quic:?}");
        if let Err(error) = quic {
            assert!(error.to_string().contains("--features quic"));
        }
    }
}
