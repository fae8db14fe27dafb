//! The port of multicast DNS, which all programs of a machine share.
//!
//! Promises: nothing is sent. Elsewhere: the senders of questions (`net::discovery`, `node::probe`).
//! Spec: `proto-notes/discovery.md`, "Multicast DNS".

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// The UDP port of multicast DNS (RFC 6762).
pub const MDNS_PORT: u16 = 5353;

/// Opens a socket on the port, beside the sockets of other programs.
///
/// # Errors
/// [`ErrorKind::AddrInUse`] if one of them does not share the port; otherwise the error of the system.
pub fn open() -> io::Result<UdpSocket> {
    let socket = shared(Domain::IPV4)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, MDNS_PORT)).into())?;
    Ok(socket.into())
}

/// Opens a socket as [`open`] does, for IPv6 only.
pub(super) fn open_v6() -> io::Result<Socket> {
    let socket = shared(Domain::IPV6)?;
    socket.set_only_v6(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, MDNS_PORT)).into())?;
    Ok(socket)
}

fn shared(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    socket.set_reuse_port(true)?;
    Ok(socket)
}

/// Whether another program uses the port and does not share it.
pub(super) fn is_taken() -> bool {
    open().is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}
