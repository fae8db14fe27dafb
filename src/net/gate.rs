//! The gate: it decides which inbound connections may begin, before any byte of them is read.
//!
//! Promises: no source exceeds its share of handshakes, connections or attempts; own dials do not pass the gate; the
//! memory for sources is bounded.
//! Elsewhere: the limit on all connections (`net::behaviour`), which peer must leave when it is reached (`net::peers`).
//! Spec: `proto-notes/discovery.md`, "Connections".

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Instant;

use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};
use libp2p::{Multiaddr, PeerId};
use thiserror::Error;

use crate::types::prefix::{Prefix, is_neighbour};
use crate::types::{Bucket, Rate, Time, Voice};

/// The most inbound handshakes under way. One neighbour may have half of them, so that it takes two silent machines to
/// block the gate. Each handshake costs a socket and some kilobytes, for ten seconds at most.
const PENDING_MAX: usize = 32;
/// The most handshakes of one neighbour. In a class room, forty nodes may start together on one machine, and a
/// handshake then takes a tenth of a second; a refused node tries again within 1.5 s.
const PENDING_PRIVATE_MAX: usize = 16;
/// The most handshakes of one distant voice.
const PENDING_PUBLIC_MAX: usize = 4;
/// The most connections of one neighbour, under way or established: all that there are, because a class room may share
/// one address.
const STANDING_PRIVATE_MAX: usize = 32;
/// The most connections of one distant voice: enough for a household.
const STANDING_PUBLIC_MAX: usize = 8;
/// Attempts per second for a source that returns again and again.
const ATTEMPTS_PER_SECOND: u64 = 10;
/// Attempts that a neighbour may make at once: as many as nodes on one machine may start together.
const BURST_PRIVATE: u64 = 40;
/// Attempts that a distant voice may make at once: what a household needs after a power cut.
const BURST_PUBLIC: u64 = 20;
/// The most sources whose attempts are remembered, 64 bytes each; the oldest is forgotten first.
const SOURCES_MAX: usize = 4096;

/// Why an inbound connection may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum GateRefusal {
    /// All sources together have too many handshakes under way.
    #[error("too many handshakes at once")]
    Crowd,
    /// The source has too many handshakes under way.
    #[error("too many handshakes from one address")]
    Handshakes,
    /// The source has too many connections.
    #[error("too many connections from one address")]
    Connections,
    /// The source makes attempts too often.
    #[error("too many attempts from one address")]
    Attempts,
}

/// The origin of a connection, as the gate counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ConnectionSource {
    /// A voice: one address or one distant network.
    Voice(Voice),
    /// An address of this machine's loopback interface.
    Local(IpAddr),
    /// An address that is not an IP address.
    Other,
}

impl ConnectionSource {
    /// The source of a remote address, as seen from a machine with these networks.
    pub(super) fn of(address: &Multiaddr, networks: &[Prefix]) -> Self {
        Self::at(ip_of(address), networks)
    }

    fn at(ip: Option<IpAddr>, networks: &[Prefix]) -> Self {
        let Some(ip) = ip else { return Self::Other };
        Voice::behind(ip, networks).map_or(Self::Local(ip), Self::Voice)
    }
}

fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(IpAddr::from(ip).to_canonical()),
        _ => None,
    }
}

/// The counters of the gate.
#[derive(Debug, Default)]
struct GateState {
    /// This machine's networks, which may change while connections are established.
    networks: Vec<Prefix>,
    pending: BTreeMap<ConnectionId, Option<IpAddr>>,
    standing: BTreeMap<ConnectionId, Option<IpAddr>>,
    buckets: BTreeMap<ConnectionSource, Bucket>,
    /// The time of the first attempt, from which the buckets count time.
    begun: Option<Instant>,
    /// The sources in the order of their first attempt.
    order: VecDeque<ConnectionSource>,
}

impl GateState {
    fn admit(&mut self, now: Instant, id: ConnectionId, from: &Multiaddr) -> Result<(), GateRefusal> {
        let ip = ip_of(from);
        let source = ConnectionSource::at(ip, &self.networks);
        let is_same = |other: &Option<IpAddr>| ConnectionSource::at(*other, &self.networks) == source;
        let pending = self.pending.values().filter(|other| is_same(other)).count();
        let standing = self.standing.values().filter(|other| is_same(other)).count();
        let is_near = ip.is_some_and(|ip| is_neighbour(ip, &self.networks));
        let (pending_max, standing_max, burst) = if is_near {
            (PENDING_PRIVATE_MAX, STANDING_PRIVATE_MAX, BURST_PRIVATE)
        } else {
            (PENDING_PUBLIC_MAX, STANDING_PUBLIC_MAX, BURST_PUBLIC)
        };
        if !self.may_attempt(now, source, burst) {
            return Err(GateRefusal::Attempts);
        }
        if self.pending.len() >= PENDING_MAX {
            return Err(GateRefusal::Crowd);
        }
        if pending >= pending_max {
            return Err(GateRefusal::Handshakes);
        }
        if pending + standing >= standing_max {
            return Err(GateRefusal::Connections);
        }
        self.pending.insert(id, ip);
        Ok(())
    }

    fn may_attempt(&mut self, now: Instant, source: ConnectionSource, burst: u64) -> bool {
        let passed = now.saturating_duration_since(*self.begun.get_or_insert(now));
        let now = Time::default().plus(passed);
        if !self.buckets.contains_key(&source) {
            if self.buckets.len() >= SOURCES_MAX
                && let Some(first) = self.order.pop_front()
            {
                self.buckets.remove(&first);
            }
            self.order.push_back(source);
        }
        let bucket = self.buckets.entry(source).or_insert(Bucket::full(now));
        bucket.take(now, 1, Rate::per_second(ATTEMPTS_PER_SECOND, burst))
    }

    fn established(&mut self, id: ConnectionId) {
        if let Some(ip) = self.pending.remove(&id) {
            self.standing.insert(id, ip);
        }
    }

    fn ended(&mut self, id: ConnectionId) {
        self.pending.remove(&id);
        self.standing.remove(&id);
    }
}

/// The libp2p behaviour that applies the gate to inbound connections.
#[derive(Debug, Default)]
pub(super) struct Gate(GateState);

impl Gate {
    /// Takes note of this machine's present networks.
    pub(super) fn set_networks(&mut self, networks: Vec<Prefix>) {
        self.0.networks = networks;
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.0.admit(Instant::now(), id, remote).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(made) if matches!(made.endpoint, ConnectedPoint::Listener { .. }) => {
                self.0.established(made.connection_id);
            }
            FromSwarm::ConnectionClosed(closed) => self.0.ended(closed.connection_id),
            FromSwarm::ListenFailure(failed) => self.0.ended(failed.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    static NEXT: AtomicUsize = AtomicUsize::new(1_000_000);

    fn id(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    fn source(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    /// How many of `count` connections that begin at the same time may begin, if each finishes its handshake or none
    /// does.
    fn admitted(books: &mut GateState, now: Instant, from: &Multiaddr, count: usize, finish: bool) -> usize {
        (0..count)
            .filter(|_| {
                let number = id(NEXT.fetch_add(1, Ordering::Relaxed));
                let admitted = books.admit(now, number, from).is_ok();
                if admitted && finish {
                    books.established(number);
                }
                admitted
            })
            .count()
    }

    #[test]
    fn adv_w02_silent_handshakes_of_one_address_leave_room_for_others() {
        for (one, count) in [("/ip4/192.168.1.5/tcp/1", 16), ("/ip4/8.8.8.8/tcp/1", 4)] {
            let (mut books, now) = (GateState::default(), Instant::now());
            assert_eq!(admitted(&mut books, now, &source(one), 100, false), count, "{one}");
            assert_eq!(admitted(&mut books, now, &source("/ip4/10.0.0.9/tcp/5"), 5, false), 5);
        }
    }

    #[test]
    fn adv_w02_not_more_than_32_handshakes_are_under_way() {
        let (mut books, now) = (GateState::default(), Instant::now());
        let all: usize = (1..=50)
            .map(|host| admitted(&mut books, now, &source(&format!("/ip4/10.0.0.{host}/tcp/1")), 2, false))
            .sum();
        assert_eq!(all, PENDING_MAX);
        let one = *books.pending.keys().next().unwrap();
        books.ended(one);
        assert_eq!(admitted(&mut books, now, &source("/ip4/10.0.1.1/tcp/1"), 2, false), 1);
    }

    #[test]
    fn adv_w04_one_address_has_32_connections_or_8_from_elsewhere() {
        let (mut books, now) = (GateState::default(), Instant::now());
        assert_eq!(admitted(&mut books, now, &source("/ip4/127.0.0.1/tcp/1"), 40, true), 32);
        assert_eq!(admitted(&mut books, now, &source("/ip4/8.8.8.8/tcp/1"), 20, true), 8);
        let one = *books
            .standing
            .iter()
            .find(|(_, from)| **from == ip_of(&source("/ip4/127.0.0.1/tcp/1")))
            .unwrap()
            .0;
        books.ended(one);
        let later = now + Duration::from_secs(1);
        assert_eq!(admitted(&mut books, later, &source("/ip4/127.0.0.1/tcp/1"), 5, true), 1);
    }

    #[test]
    fn adv_w06_who_returns_again_and_again_is_let_in_ten_times_a_second() {
        let (mut books, start) = (GateState::default(), Instant::now());
        let mut admitted = 0;
        for attempt in 0..1_000_u32 {
            let now = start + Duration::from_millis(10) * attempt;
            let number = usize::try_from(attempt).unwrap();
            if books.admit(now, id(number), &source("/ip4/10.0.0.1/tcp/1")).is_ok() {
                admitted += 1;
                books.established(id(number));
                books.ended(id(number));
            }
        }
        assert!((130..=145).contains(&admitted), "{admitted} of 1000 within ten seconds");
    }

    #[test]
    fn adv_w06_what_is_remembered_of_sources_is_bounded() {
        let (mut books, now) = (GateState::default(), Instant::now());
        for host in 0..10_000_u32 {
            let address = format!("/ip4/10.1.{}.{}/tcp/1", host / 250, host % 250);
            let number = usize::try_from(host).unwrap();
            let _ = books.admit(now, id(number), &source(&address));
            books.ended(id(number));
        }
        assert_eq!((books.buckets.len(), books.order.len()), (SOURCES_MAX, SOURCES_MAX));
        assert!(books.pending.is_empty() && books.standing.is_empty());
    }

    /// How many addresses of an IPv6 network are let in, with one connection each.
    fn let_in(books: &mut GateState, now: Instant, network: &str, hosts: usize) -> usize {
        let from = (1..=hosts).map(|host| source(&format!("/ip6/{network}::{host:x}/tcp/1")));
        from.map(|from| admitted(books, now, &from, 1, true)).sum()
    }

    #[test]
    fn an_ipv6_network_elsewhere_is_one_source() {
        let (mut books, now) = (GateState::default(), Instant::now());
        assert_eq!(let_in(&mut books, now, "2001:db8:0:1", 40), STANDING_PUBLIC_MAX);
        assert_eq!(let_in(&mut books, now, "2001:db8:0:2", 40), STANDING_PUBLIC_MAX);
        let of = |text| ConnectionSource::of(&source(text), &[]);
        assert_eq!(of("/ip6/::ffff:10.0.0.1/tcp/1"), of("/ip4/10.0.0.1/tcp/9"));
    }

    #[test]
    fn thirty_neighbours_of_an_own_ipv6_network_are_let_in_while_it_is_an_own_one() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        assert_eq!(let_in(&mut gate.0, now, "2001:db8:0:1", 30), STANDING_PUBLIC_MAX);
        // The cable is plugged in, so from now on existing connections count by their addresses too.
        let own = Prefix::new("2001:db8:0:1::ff".parse().unwrap(), 64);
        gate.set_networks(vec![own]);
        assert_eq!(let_in(&mut gate.0, now, "2001:db8:0:1", 30), 30);
        assert_eq!(let_in(&mut gate.0, now, "2001:db8:0:2", 30), STANDING_PUBLIC_MAX);
        let one = source("/ip6/2001:db8:0:1::77/tcp/1");
        assert_eq!(
            admitted(&mut gate.0, now, &one, 40, true),
            STANDING_PRIVATE_MAX,
            "a class behind one router"
        );
        // The cable is pulled, so they are strangers again, and more than a household may have.
        gate.set_networks(Vec::new());
        let later = now + Duration::from_secs(60);
        assert_eq!(let_in(&mut gate.0, later, "2001:db8:0:1", 30), 0);
    }

    #[test]
    fn of_ipv4_an_address_of_an_own_network_is_a_neighbour_also_outside_private_ranges() {
        let mut books = GateState {
            networks: vec![Prefix::new("198.51.100.1".parse().unwrap(), 24)],
            ..GateState::default()
        };
        let now = Instant::now();
        let near = source("/ip4/198.51.100.7/tcp/1");
        let far = source("/ip4/198.51.101.7/tcp/1");
        assert_eq!(admitted(&mut books, now, &near, 40, true), STANDING_PRIVATE_MAX);
        assert_eq!(admitted(&mut books, now, &far, 40, true), STANDING_PUBLIC_MAX);
    }
}
