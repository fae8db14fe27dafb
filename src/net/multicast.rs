//! The port of multicast DNS, which the programs of a machine share.
//!
//! Promises: nothing is sent. Elsewhere: who asks there (`net::discovery`, `node::probe`).
//! Spec: `proto-notes/discovery.md`, "Multicast DNS".

use std::io::ErrorKind;
use std::net::UdpSocket;

/// The port of multicast DNS.
pub const MDNS_PORT: u16 = 5353;

/// Opens a socket on the port, beside those of other programs; [`ErrorKind::AddrInUse`] if one of them does not share it.
#[cfg(unix)]
pub fn open() -> std::io::Result<UdpSocket> {
    use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};
    use std::net::{Ipv4Addr, SocketAddrV4};
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, MDNS_PORT))?;
    Ok(UdpSocket::from(socket))
}

/// Elsewhere a port has one owner: the node's own discovery has this one.
#[cfg(not(unix))]
pub fn open() -> std::io::Result<UdpSocket> {
    Err(std::io::Error::from(ErrorKind::Unsupported))
}

/// Whether another program has the port for itself: the library that asks there goes on without a word then.
pub(super) fn is_taken() -> bool {
    open().is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}
