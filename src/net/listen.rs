//! Where the node listens: opening, closing, and opening again on the same port.
//!
//! Promises: a port that another program holds is noticed, although libp2p would share it with another node of the same
//! user, also when both start at the same instant; after `net off` and `net on` the port is the same; chosen interfaces
//! are followed as their addresses come and go.
//! Elsewhere: which ports are tried (`node`). Spec: `proto-notes/discovery.md`, "Listening".

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::Swarm;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use socket2::{Domain, Socket, Type};

use super::behaviour::Node;
use super::{NetConfig, NetError, interfaces};
use crate::types::prefix::Bind;

/// How often what is missing is tried again, and chosen interfaces are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often IPv6 is tried again on a machine that has none.
const LOOK_FOR_IPV6: Duration = Duration::from_secs(60);
/// How often and how long it is waited for another node that is just about to listen: it takes a millisecond.
const TURNS: u32 = 5;
const TURN: Duration = Duration::from_millis(10);

/// Whether the node does without a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// It does not start without.
    Must,
    /// It is content with the others.
    May,
}

/// One address to listen on.
#[derive(Debug)]
struct Listener {
    /// With the real port as soon as it is known.
    wanted: Multiaddr,
    need: Need,
    id: Option<ListenerId>,
    /// Not tried again before.
    next: Option<Instant>,
}

/// All addresses to listen on.
#[derive(Debug)]
pub(super) struct Listeners {
    list: Vec<Listener>,
    bind: Vec<Bind>,
    /// A user named every address.
    is_explicit: bool,
    looked: Instant,
}

impl Listeners {
    /// What the configuration asks for.
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
            // The nodes of this machine meet there.
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

    /// Whether an address is worth telling: nobody can dial a link-local one of IPv6, which has no zone here, and the
    /// loopback's of IPv4 is there too.
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

    /// Wants a listener on each address of the chosen interfaces. Gives those that are to be closed.
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

    /// Opens what is not open. Those that the node does without wait for the port of the first.
    pub(super) fn open(&mut self, swarm: &mut Swarm<Node>) -> Result<(), NetError> {
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
                // A machine without IPv6, an address that is just leaving, a port that is taken there.
                Err(error) => {
                    tracing::debug!(target: "net", %error, "not listened on");
                    let is_any = ip(&listener.wanted).is_some_and(|ip| ip.is_unspecified());
                    listener.next = Some(now + if is_any { LOOK_FOR_IPV6 } else { LOOK });
                }
            }
        }
        Ok(())
    }

    /// Looks at the chosen interfaces, once a second.
    pub(super) fn look(&mut self, swarm: &mut Swarm<Node>) {
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            for gone in self.follow() {
                swarm.remove_listener(gone);
            }
        }
    }

    /// Closes everything.
    pub(super) fn close(&mut self, swarm: &mut Swarm<Node>) {
        for id in self.list.iter_mut().filter_map(|listener| listener.id.take()) {
            swarm.remove_listener(id);
        }
    }

    /// A listener has told its address: its port is kept.
    pub(super) fn told(&mut self, id: ListenerId, address: &Multiaddr) {
        if let Some(real) = port(address) {
            let told = self.list.iter_mut().filter(|listener| listener.id == Some(id));
            told.for_each(|listener| listener.take_port(real));
        }
    }

    /// A listener has closed by itself or on our order.
    pub(super) fn closed(&mut self, id: ListenerId) {
        for listener in self.list.iter_mut().filter(|listener| listener.id == Some(id)) {
            listener.id = None;
        }
    }

    /// Whether something that should be open is not.
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

    /// Puts the port in where it may be any.
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

fn listen(swarm: &mut Swarm<Node>, address: &Multiaddr) -> Result<ListenerId, NetError> {
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

/// The place of a TCP listener.
fn tcp(address: &Multiaddr) -> Option<SocketAddr> {
    let ip = ip(address)?;
    match address.iter().nth(1)? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

/// A token that one process of the machine has at a time, from looking whether the port is free until it listens there:
/// else two nodes that start together would both find it free and share it. Without one for 50 ms another program has
/// that UDP port, and nothing is kept apart.
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

/// Whether this process, or the machine, may open no more.
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

/// Takes a TCP port for a moment. libp2p opens its listeners with `SO_REUSEPORT`, with which a second node would get
/// the same port without an error and half of the first one's connections.
fn probe(address: &Multiaddr) -> io::Result<()> {
    let Some(place) = tcp(address) else { return Ok(()) };
    let socket = Socket::new(Domain::for_address(place), Type::STREAM, None)?;
    if place.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // As every server does, for connections of the last run that still linger; on Windows it would mean to share.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&place.into())?;
    socket.listen(1)
}
