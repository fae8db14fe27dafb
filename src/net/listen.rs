//! The node's listeners: opening, closing, and opening again on the same port.
//!
//! Promises: a port in use by another program is noticed, although libp2p would share it with another node of the same
//! user; this also holds if both start at the same instant. After `net off` and `net on` the port is the same.
//! Listeners follow the addresses of the chosen interfaces.
//! Elsewhere: which ports are tried (`node`). Spec: `proto-notes/discovery.md`, "Listening".

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::Swarm;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use socket2::{Domain, Socket, Type};

use super::behaviour::NodeBehaviour;
use super::{NetConfig, NetError, interfaces};
use crate::types::prefix::Bind;

/// The interval between attempts to open a missing listener, and between looks at the chosen interfaces.
const LOOK: Duration = Duration::from_secs(1);
/// The interval between attempts to listen on IPv6 on a machine that has none.
const LOOK_FOR_IPV6: Duration = Duration::from_secs(60);
/// How often, and how long each time, to wait for another node that is just about to listen, which takes a millisecond.
const TURNS: u32 = 5;
const TURN: Duration = Duration::from_millis(10);

/// Whether the node needs a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// The node does not start without it.
    Must,
    /// The node goes on with its other listeners.
    May,
}

/// One address to listen on, and the listener there, if it is open.
#[derive(Debug)]
struct Listener {
    /// The address, with the real port as soon as it is known.
    wanted: Multiaddr,
    need: Need,
    id: Option<ListenerId>,
    /// The time before which it is not tried again.
    next: Option<Instant>,
}

/// All addresses to listen on.
#[derive(Debug)]
pub(super) struct Listeners {
    list: Vec<Listener>,
    bind: Vec<Bind>,
    /// Whether the user named every address.
    is_explicit: bool,
    looked: Instant,
}

impl Listeners {
    /// The listeners that the configuration asks for; none is open yet.
    pub(super) fn new(config: &NetConfig) -> Self {
        let on = |ip: IpAddr| Multiaddr::from(ip).with(Protocol::Tcp(config.port));
        let mut list: Vec<(Multiaddr, Need)> = Vec::new();
        if !config.listen.is_empty() {
            list.extend(config.listen.iter().map(|address| (address.clone(), Need::Must)));
        } else if config.bind.is_empty() {
            list.push((on(Ipv4Addr::UNSPECIFIED.into()), Need::Must));
            if cfg!(feature = "quic") {
                let udp = Multiaddr::from(Ipv4Addr::UNSPECIFIED).with(Protocol::Udp(config.port));
                list.push((udp.with(Protocol::QuicV1), Need::Must));
            }
            list.push((on(Ipv6Addr::UNSPECIFIED.into()), Need::May));
        } else {
            // The nodes of this machine find each other on the loopback address.
            list.push((on(Ipv4Addr::LOCALHOST.into()), Need::Must));
        }
        let mut listeners = Self {
            list: list
                .into_iter()
                .map(|(wanted, need)| Listener::new(wanted, need))
                .collect(),
            bind: if config.listen.is_empty() {
                config.bind.clone()
            } else {
                Vec::new()
            },
            is_explicit: !config.listen.is_empty(),
            looked: Instant::now(),
        };
        listeners.follow();
        if !listeners.bind.is_empty() && listeners.list.len() == 1 {
            tracing::warn!(target: "net", "no chosen interface has an address yet, it is waited for");
        }
        listeners
    }

    /// Whether an address is worth reporting. Nobody can dial a link-local IPv6 address, because it has no zone here,
    /// and the IPv4 loopback address makes the IPv6 one unnecessary.
    pub(super) fn is_worth_telling(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(_) => true,
            IpAddr::V6(ip) => self.is_explicit || !(ip.is_unicast_link_local() || ip.is_loopback()),
        }
    }

    /// The port of the first listener; none before it is known.
    fn port(&self) -> Option<u16> {
        self.list
            .first()
            .and_then(|first| port(&first.wanted))
            .filter(|port| *port != 0)
    }

    /// Wants a listener on each address of the chosen interfaces. Returns the listeners to close.
    fn follow(&mut self) -> Vec<ListenerId> {
        if self.bind.is_empty() {
            return Vec::new();
        }
        let there = interfaces::addresses(&self.bind);
        let ip_of = |listener: &Listener| ip(&listener.wanted);
        let (stay, gone): (Vec<_>, Vec<_>) = self
            .list
            .drain(..)
            .partition(|known| known.need == Need::Must || ip_of(known).is_some_and(|ip| there.contains(&ip)));
        self.list = stay;
        for new in there {
            if !self.list.iter().any(|known| ip_of(known) == Some(new)) {
                let wanted = Multiaddr::from(new).with(Protocol::Tcp(self.port().unwrap_or(0)));
                self.list.push(Listener::new(wanted, Need::May));
            }
        }
        gone.into_iter().filter_map(|listener| listener.id).collect()
    }

    /// Opens the missing listeners. Those that the node does not need wait until the port of the first is known.
    pub(super) fn open(&mut self, swarm: &mut Swarm<NodeBehaviour>) -> Result<(), NetError> {
        let (first, now) = (self.port(), Instant::now());
        for listener in self.list.iter_mut().filter(|listener| listener.id.is_none()) {
            if listener.need == Need::Must {
                listener.id = Some(listen(swarm, &listener.wanted)?);
                continue;
            }
            let Some(first) = first.filter(|_| listener.next.is_none_or(|next| next <= now)) else {
                continue;
            };
            listener.take_port(first);
            match listen(swarm, &listener.wanted) {
                Ok(id) => listener.id = Some(id),
                // Possible reasons: the machine has no IPv6, the address is just leaving, or its port is taken.
                Err(error) => {
                    tracing::debug!(target: "net", %error, "not listened on");
                    let is_any = ip(&listener.wanted).is_some_and(|ip| ip.is_unspecified());
                    listener.next = Some(now + if is_any { LOOK_FOR_IPV6 } else { LOOK });
                }
            }
        }
        Ok(())
    }

    /// Follows the chosen interfaces, at most once a second.
    pub(super) fn look(&mut self, swarm: &mut Swarm<NodeBehaviour>) {
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            for gone in self.follow() {
                swarm.remove_listener(gone);
            }
        }
    }

    /// Closes all listeners, so that their ports are free.
    pub(super) fn close(&mut self, swarm: &mut Swarm<NodeBehaviour>) {
        for id in self.list.iter_mut().filter_map(|listener| listener.id.take()) {
            swarm.remove_listener(id);
        }
    }

    /// Takes note of a listener's address, and keeps its port.
    pub(super) fn told(&mut self, id: ListenerId, address: &Multiaddr) {
        if let Some(real) = port(address) {
            let told = self.list.iter_mut().filter(|listener| listener.id == Some(id));
            told.for_each(|listener| listener.take_port(real));
        }
    }

    /// Takes note that a listener has closed, by itself or on our order.
    pub(super) fn closed(&mut self, id: ListenerId) {
        for listener in self.list.iter_mut().filter(|listener| listener.id == Some(id)) {
            listener.id = None;
        }
    }

    /// Whether a listener that should be open is not.
    pub(super) fn is_incomplete(&self) -> bool {
        self.list.iter().any(|listener| listener.id.is_none())
    }
}

impl Listener {
    const fn new(wanted: Multiaddr, need: Need) -> Self {
        Self {
            wanted,
            need,
            id: None,
            next: None,
        }
    }

    /// Sets the real port where the port was 0.
    fn take_port(&mut self, real: u16) {
        if port(&self.wanted) != Some(0) {
            return;
        }
        let with_port = self.wanted.iter().map(|part| match part {
            Protocol::Tcp(_) => Protocol::Tcp(real),
            Protocol::Udp(_) => Protocol::Udp(real),
            other => other,
        });
        self.wanted = with_port.collect();
    }
}

fn port(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| match part {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        _ => None,
    })
}

fn ip(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

fn listen(swarm: &mut Swarm<NodeBehaviour>, address: &Multiaddr) -> Result<ListenerId, NetError> {
    let refused = |reason: String| NetError::Listen {
        address: address.to_string(),
        reason,
    };
    let _turn = tcp(address).and_then(|place| turn(place.port()));
    probe(address).map_err(|error| match (error.kind(), port(address)) {
        (io::ErrorKind::AddrInUse, Some(port)) => NetError::PortInUse { port },
        _ if is_too_many_files(&error) => NetError::TooManyFiles {
            address: address.to_string(),
        },
        _ => refused(error.to_string()),
    })?;
    swarm
        .listen_on(address.clone())
        .map_err(|error| refused(error.to_string()))
}

/// The socket address of a TCP listener; none for other transports.
fn tcp(address: &Multiaddr) -> Option<SocketAddr> {
    let ip = ip(address)?;
    match address.iter().nth(1)? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

/// Takes a lock that one process on the machine can hold at a time (a UDP port on the loopback interface), from the
/// check that the port is free until the node listens there. Otherwise two nodes that start together would both find
/// the port free and share it. If the lock is not free for 50 ms, another program has that UDP port, and the node goes
/// on without a lock.
fn turn(port: u16) -> Option<UdpSocket> {
    if port == 0 {
        return None;
    }
    (0..TURNS).find_map(|number| {
        if number > 0 {
            std::thread::sleep(TURN);
        }
        UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()
    })
}

/// Whether this process or the machine has too many open files.
fn is_too_many_files(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let codes = [Errno::MFILE.raw_os_error(), Errno::NFILE.raw_os_error()];
        error.raw_os_error().is_some_and(|code| codes.contains(&code))
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}

/// Binds a TCP port for a moment. libp2p opens its listeners with `SO_REUSEPORT`, by which a second node would get the
/// same port without an error, and half of the first one's connections.
fn probe(address: &Multiaddr) -> io::Result<()> {
    let Some(place) = tcp(address) else { return Ok(()) };
    let socket = Socket::new(Domain::for_address(place), Type::STREAM, None)?;
    if place.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // As every server does, because connections of the last run may still linger. On Windows the option would share the
    // port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&place.into())?;
    socket.listen(1)
}
