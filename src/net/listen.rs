//! Where the node listens: opening, closing, and opening again on the same port.
//!
//! Promises: a port that another program holds is noticed, although libp2p would share it with another node of the same
//! user; after `net off` and `net on` the port is the same.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use libp2p::Multiaddr;
use libp2p::Swarm;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;

use super::behaviour::Node;
use super::{NetConfig, NetError};

/// One address to listen on.
#[derive(Debug)]
pub(super) struct Listener {
    /// With the real port as soon as it is known.
    wanted: Multiaddr,
    id: Option<ListenerId>,
}

/// All addresses to listen on.
#[derive(Debug)]
pub(super) struct Listeners(Vec<Listener>);

impl Listeners {
    /// What the configuration asks for.
    pub(super) fn new(config: &NetConfig) -> Self {
        let any = Multiaddr::from(Ipv4Addr::UNSPECIFIED);
        let addresses = if config.listen.is_empty() {
            let tcp = any.clone().with(Protocol::Tcp(config.port));
            let quic = any.with(Protocol::Udp(config.port)).with(Protocol::QuicV1);
            let count = if cfg!(feature = "quic") { 2 } else { 1 };
            [tcp, quic].into_iter().take(count).collect()
        } else {
            config.listen.clone()
        };
        Self(
            addresses
                .into_iter()
                .map(|wanted| Listener { wanted, id: None })
                .collect(),
        )
    }

    /// Opens what is not open.
    pub(super) fn open(&mut self, swarm: &mut Swarm<Node>) -> Result<(), NetError> {
        for listener in self.0.iter_mut().filter(|listener| listener.id.is_none()) {
            listener.id = Some(listen(swarm, &listener.wanted)?);
        }
        Ok(())
    }

    /// Closes everything.
    pub(super) fn close(&mut self, swarm: &mut Swarm<Node>) {
        for id in self.0.iter_mut().filter_map(|listener| listener.id.take()) {
            swarm.remove_listener(id);
        }
    }

    /// A listener has told its address: its port is kept.
    pub(super) fn told(&mut self, id: ListenerId, address: &Multiaddr) {
        let real = port(address);
        for listener in self.0.iter_mut().filter(|listener| listener.id == Some(id)) {
            if port(&listener.wanted) == Some(0) {
                listener.wanted = listener
                    .wanted
                    .iter()
                    .map(|part| match (part, real) {
                        (Protocol::Tcp(_), Some(real)) => Protocol::Tcp(real),
                        (Protocol::Udp(_), Some(real)) => Protocol::Udp(real),
                        (other, _) => other,
                    })
                    .collect();
            }
        }
    }

    /// A listener has closed by itself or on our order.
    pub(super) fn closed(&mut self, id: ListenerId) {
        for listener in self.0.iter_mut().filter(|listener| listener.id == Some(id)) {
            listener.id = None;
        }
    }

    /// Whether something that should be open is not.
    pub(super) fn is_incomplete(&self) -> bool {
        self.0.iter().any(|listener| listener.id.is_none())
    }
}

fn port(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| match part {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        _ => None,
    })
}

fn listen(swarm: &mut Swarm<Node>, address: &Multiaddr) -> Result<ListenerId, NetError> {
    let refused = |reason: String| NetError::Listen {
        address: address.to_string(),
        reason,
    };
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
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
        Some(Protocol::Ip6(ip)) => IpAddr::V6(ip),
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) => TcpListener::bind(SocketAddr::new(ip, port)).map(drop),
        _ => Ok(()),
    }
}
