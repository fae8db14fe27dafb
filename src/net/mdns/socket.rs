//! One socket for each link and IP version, which receives and sends multicast on that link alone.
//!
//! Promises: no call waits; the port is shared with other programs. Elsewhere: the links (`net::interfaces`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use socket2::Socket;

use super::packet::PACKET_MAX_BYTES;
use crate::net::multicast::{self, MDNS_PORT};

/// The multicast groups of multicast DNS (RFC 6762).
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// A socket that has joined the group on one link.
#[derive(Debug)]
pub(in crate::net) struct GroupSocket {
    socket: UdpSocket,
    /// The addresses to send from; each packet is sent once from each.
    from: Vec<Ipv4Addr>,
    group: SocketAddr,
}

impl GroupSocket {
    /// Joins the IPv4 group on the interface that has these addresses.
    pub(in crate::net) fn open_v4(from: &[Ipv4Addr]) -> io::Result<Self> {
        let socket = Socket::from(multicast::open()?);
        let first = from.first().ok_or(io::ErrorKind::AddrNotAvailable)?;
        socket.join_multicast_v4(&GROUP_V4, first)?;
        // Without this, Linux delivers packets of every group that any socket of the machine has joined on any
        // interface.
        #[cfg(target_os = "linux")]
        socket.set_multicast_all_v4(false)?;
        socket.set_multicast_loop_v4(true)?;
        socket.set_multicast_ttl_v4(255)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: socket.into(),
            from: from.to_vec(),
            group: SocketAddr::from((GROUP_V4, MDNS_PORT)),
        })
    }

    /// Joins the IPv6 group on the interface with this index.
    pub(in crate::net) fn open_v6(index: u32) -> io::Result<Self> {
        let socket = multicast::open_v6()?;
        socket.join_multicast_v6(&GROUP_V6, index)?;
        #[cfg(target_os = "linux")]
        socket.set_multicast_all_v6(false)?;
        socket.set_multicast_if_v6(index)?;
        socket.set_multicast_loop_v6(true)?;
        socket.set_multicast_hops_v6(255)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: socket.into(),
            from: Vec::new(),
            group: SocketAddrV6::new(GROUP_V6, MDNS_PORT, 0, index).into(),
        })
    }

    /// The descriptor on which the caller waits for the next packet.
    #[cfg(unix)]
    pub(in crate::net) fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.socket)
    }

    /// The next waiting packet with the address of its sender; none if no packet waits.
    pub(in crate::net) fn hear<'a>(&self, room: &'a mut [u8; PACKET_MAX_BYTES]) -> Option<(&'a [u8], IpAddr)> {
        let (size, from) = self.socket.recv_from(room).ok()?;
        Some((&room[..size], from.ip()))
    }

    /// Sends a packet to the group, once from each own address.
    pub(in crate::net) fn say(&self, packet: &[u8]) -> io::Result<()> {
        if self.from.is_empty() {
            return self.socket.send_to(packet, self.group).map(drop);
        }
        let socket = socket2::SockRef::from(&self.socket);
        let mut result = Ok(());
        for from in &self.from {
            socket.set_multicast_if_v4(from)?;
            result = result.and(self.socket.send_to(packet, self.group).map(drop));
        }
        result
    }
}
