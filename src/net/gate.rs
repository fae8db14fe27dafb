//! The gate: which inbound connections may begin, before a byte of them is read.
//!
//! Promises: no source has more handshakes, connections or attempts than its share, whatever it does; own dials never
//! pass here; what is remembered of sources is bounded.
//! Elsewhere: how many connections stand in all (`net::behaviour`), who leaves when the house is full (`net::peers`).
//! Spec: `proto-notes/discovery.md`, "Connections".

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
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

use crate::types::Address;

/// Inbound handshakes under way: half for any one neighbour, so that two silent machines are needed to close the door.
/// Each costs a socket and some kilobytes, for ten seconds at most.
const PENDING_MAX: usize = 32;
/// Of one neighbour: in a class room on one machine forty nodes come up together, and a handshake takes a tenth of a
/// second while they do; who is refused comes back within 1.5 s.
const PENDING_PRIVATE_MAX: usize = 16;
/// Of one address elsewhere.
const PENDING_PUBLIC_MAX: usize = 4;
/// Connections of one neighbour, under way or standing: all that there are, since a class room may be one address.
const STANDING_PRIVATE_MAX: usize = 32;
/// Of one address elsewhere: a household.
const STANDING_PUBLIC_MAX: usize = 8;
/// Attempts of one source: ten a second for who returns again and again,
const ATTEMPTS_PER_SECOND: u64 = 10;
/// and at once as many as nodes on one machine may start together,
const BURST_PRIVATE: u64 = 40;
/// or, from elsewhere, what a household needs after a power cut.
const BURST_PUBLIC: u64 = 20;
/// Sources whose attempts are remembered, 64 bytes each; the longest silent one is forgotten first.
const SOURCES_MAX: usize = 4096;

/// Why an inbound connection may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    /// Too many handshakes are under way.
    #[error("too many handshakes at once")]
    Crowd,
    /// The source has too many handshakes under way.
    #[error("too many handshakes from one address")]
    Handshakes,
    /// The source has too many connections.
    #[error("too many connections from one address")]
    Connections,
    /// The source comes too often.
    #[error("too many attempts from one address")]
    Attempts,
}

/// Where connections come from: an IPv4 address, or the /64 of an IPv6 address, which one machine may hold whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// A host.
    Ip(IpAddr),
    /// Anything without an IP address.
    Other,
}

impl Source {
    /// The source of a remote address.
    pub(super) fn of(address: &Multiaddr) -> Self {
        match address.iter().next() {
            Some(Protocol::Ip4(ip)) => Self::Ip(ip.into()),
            Some(Protocol::Ip6(ip)) => Self::Ip(match ip.to_ipv4_mapped() {
                Some(ip) => ip.into(),
                None if ip.is_loopback() => ip.into(),
                None => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
            }),
            _ => Self::Other,
        }
    }

    fn is_neighbour(self) -> bool {
        let Self::Ip(ip) = self else { return false };
        Address::parse(&std::net::SocketAddr::new(ip, 1).to_string()).is_ok_and(|(address, _)| address.is_private())
    }
}

/// Attempts of a source: how many thousandths were taken and not given back yet.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    used: u64,
    at: Instant,
}

/// The gate's books.
#[derive(Debug, Default)]
struct Books {
    pending: BTreeMap<ConnectionId, Source>,
    standing: BTreeMap<ConnectionId, Source>,
    buckets: BTreeMap<Source, Bucket>,
    /// Sources in the order of their first attempt.
    order: VecDeque<Source>,
}

impl Books {
    fn admit(&mut self, now: Instant, id: ConnectionId, source: Source) -> Result<(), Refusal> {
        let is_neighbour = source.is_neighbour();
        let of_source = |map: &BTreeMap<_, Source>| map.values().filter(|other| **other == source).count();
        let pending = of_source(&self.pending);
        let (pending_max, standing_max, burst) = if is_neighbour {
            (PENDING_PRIVATE_MAX, STANDING_PRIVATE_MAX, BURST_PRIVATE)
        } else {
            (PENDING_PUBLIC_MAX, STANDING_PUBLIC_MAX, BURST_PUBLIC)
        };
        if !self.may_attempt(now, source, burst) {
            return Err(Refusal::Attempts);
        }
        if self.pending.len() >= PENDING_MAX {
            return Err(Refusal::Crowd);
        }
        if pending >= pending_max {
            return Err(Refusal::Handshakes);
        }
        if pending + of_source(&self.standing) >= standing_max {
            return Err(Refusal::Connections);
        }
        self.pending.insert(id, source);
        Ok(())
    }

    fn may_attempt(&mut self, now: Instant, source: Source, burst: u64) -> bool {
        if !self.buckets.contains_key(&source) {
            if self.buckets.len() >= SOURCES_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.buckets.remove(&oldest);
            }
            self.order.push_back(source);
            self.buckets.insert(source, Bucket { used: 0, at: now });
        }
        let Some(bucket) = self.buckets.get_mut(&source) else {
            return false;
        };
        let passed = u64::try_from(now.saturating_duration_since(bucket.at).as_millis()).unwrap_or(u64::MAX);
        bucket.used = bucket.used.saturating_sub(passed.saturating_mul(ATTEMPTS_PER_SECOND));
        bucket.at = now;
        if bucket.used + 1000 > burst * 1000 {
            return false;
        }
        bucket.used += 1000;
        true
    }

    fn established(&mut self, id: ConnectionId) {
        if let Some(source) = self.pending.remove(&id) {
            self.standing.insert(id, source);
        }
    }

    fn ended(&mut self, id: ConnectionId) {
        self.pending.remove(&id);
        self.standing.remove(&id);
    }
}

/// The behaviour that asks the books.
#[derive(Debug, Default)]
pub(super) struct Gate(Books);

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.0
            .admit(Instant::now(), id, Source::of(remote))
            .map_err(ConnectionDenied::new)
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

    fn source(text: &str) -> Source {
        Source::of(&text.parse().unwrap())
    }

    /// How many of so many connections that begin at once may, each finishing its handshake if told so.
    fn admitted(books: &mut Books, now: Instant, from: Source, count: usize, finish: bool) -> usize {
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
            let (mut books, now) = (Books::default(), Instant::now());
            assert_eq!(admitted(&mut books, now, source(one), 100, false), count, "{one}");
            assert_eq!(admitted(&mut books, now, source("/ip4/10.0.0.9/tcp/5"), 5, false), 5);
        }
    }

    #[test]
    fn adv_w02_not_more_than_32_handshakes_are_under_way() {
        let (mut books, now) = (Books::default(), Instant::now());
        let all: usize = (1..=50)
            .map(|host| admitted(&mut books, now, source(&format!("/ip4/10.0.0.{host}/tcp/1")), 2, false))
            .sum();
        assert_eq!(all, PENDING_MAX);
        let one = *books.pending.keys().next().unwrap();
        books.ended(one);
        assert_eq!(admitted(&mut books, now, source("/ip4/10.0.1.1/tcp/1"), 2, false), 1);
    }

    #[test]
    fn adv_w04_one_address_has_32_connections_or_8_from_elsewhere() {
        let (mut books, now) = (Books::default(), Instant::now());
        assert_eq!(admitted(&mut books, now, source("/ip4/127.0.0.1/tcp/1"), 40, true), 32);
        assert_eq!(admitted(&mut books, now, source("/ip4/8.8.8.8/tcp/1"), 20, true), 8);
        let one = *books
            .standing
            .iter()
            .find(|(_, from)| **from == source("/ip4/127.0.0.1/tcp/1"))
            .unwrap()
            .0;
        books.ended(one);
        let later = now + Duration::from_secs(1);
        assert_eq!(admitted(&mut books, later, source("/ip4/127.0.0.1/tcp/1"), 5, true), 1);
    }

    #[test]
    fn adv_w06_who_returns_again_and_again_is_let_in_ten_times_a_second() {
        let (mut books, start) = (Books::default(), Instant::now());
        let mut admitted = 0;
        for attempt in 0..1_000_u32 {
            let now = start + Duration::from_millis(10) * attempt;
            let number = usize::try_from(attempt).unwrap();
            if books.admit(now, id(number), source("/ip4/10.0.0.1/tcp/1")).is_ok() {
                admitted += 1;
                books.established(id(number));
                books.ended(id(number));
            }
        }
        assert!((130..=145).contains(&admitted), "{admitted} of 1000 within ten seconds");
    }

    #[test]
    fn adv_w06_what_is_remembered_of_sources_is_bounded() {
        let (mut books, now) = (Books::default(), Instant::now());
        for host in 0..10_000_u32 {
            let address = format!("/ip4/10.1.{}.{}/tcp/1", host / 250, host % 250);
            let number = usize::try_from(host).unwrap();
            let _ = books.admit(now, id(number), source(&address));
            books.ended(id(number));
        }
        assert_eq!((books.buckets.len(), books.order.len()), (SOURCES_MAX, SOURCES_MAX));
        assert!(books.pending.is_empty() && books.standing.is_empty());
    }

    #[test]
    fn an_ipv6_network_of_one_machine_is_one_source() {
        let (mut books, now) = (Books::default(), Instant::now());
        let hosts = 1..=40;
        let let_in = hosts.filter(|host| {
            books
                .admit(now, id(*host), source(&format!("/ip6/2001:db8::{host}/tcp/1")))
                .is_ok()
        });
        assert_eq!(let_in.count(), PENDING_PUBLIC_MAX);
        assert_eq!(source("/ip6/::ffff:10.0.0.1/tcp/1"), source("/ip4/10.0.0.1/tcp/9"));
    }
}
