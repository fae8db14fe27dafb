//! Turns libp2p's events into facts for the engine.
//!
//! Promises: facts about one peer come in the order `Connected`, everything else, `Disconnected`. If the engine has no
//! room, requests and messages are answered here.

use std::net::IpAddr;
use std::time::Instant;

use libp2p::core::ConnectedPoint;
use libp2p::gossipsub::{self, MessageAcceptance};
use libp2p::swarm::{ConnectionError, ConnectionId, DialError, ListenError, StreamUpgradeError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, identify, ping, request_response};

use super::super::behaviour::{CONNECTIONS_IN_MAX, NodeBehaviourEvent, topic};
use super::super::broken::{Break, break_by, disconnect_reason};
use super::super::codec::Raw;
use super::super::exchange::{Answered, Arrival, read_answer};
use super::super::links::Link;
use super::super::peers::{Closed, Membership};
use super::dials::why_failed;
use super::{NetTask, OTHER_PROGRAM};
use crate::contract::{DialFailure, Direction, DisconnectReason, FoundBy, Stranger};
use crate::engine::Fault;
use crate::engine::{NetFact, Verdict};
use crate::types::Address;
use crate::wire::{COMPACT_BLOCK_MAX_BYTES, GOSSIP_TX_MAX_BYTES, Request, Response, Topic};

/// The beginning of the names of all gossip protocols.
const GOSSIP: &str = "/meshsub/";

impl NetTask {
    pub(super) fn happened(&mut self, event: SwarmEvent<NodeBehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(NodeBehaviourEvent::Identify(event)) => self.identified(event),
            SwarmEvent::Behaviour(NodeBehaviourEvent::Ping(event)) => self.pinged(event),
            SwarmEvent::Behaviour(NodeBehaviourEvent::Gossip(event)) => self.gossiped(event),
            SwarmEvent::Behaviour(NodeBehaviourEvent::Sync(event)) => self.exchanged(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => self.connected(peer_id, connection_id, endpoint),
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                cause,
                ..
            } => self.closed(peer_id, connection_id, cause.as_ref()),
            SwarmEvent::OutgoingConnectionError {
                connection_id, error, ..
            } => {
                if let Some(dial) = self.dials.remove(&connection_id) {
                    // The node that answered there has our own key; the engine knows which addresses are ours.
                    let is_us = matches!(error, DialError::LocalPeerId { .. });
                    let peer = if is_us { Some(self.peer_id()) } else { dial.peer };
                    self.dial_failed(peer, dial.addresses, why_failed(&error), None);
                }
            }
            SwarmEvent::NewListenAddr { listener_id, address } => {
                self.listeners.told(listener_id, &address);
                self.open_listeners();
                self.tell_discovery();
                self.listens(&address, NetFact::Listening);
                self.tell_networks();
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.tell_discovery();
                self.tell_networks();
                self.listens(&address, NetFact::NotListening);
            }
            SwarmEvent::ListenerClosed {
                listener_id,
                addresses,
                reason,
            } => {
                if let Err(error) = reason {
                    tracing::warn!(target: "net", %error, "a listener closed, it is opened again");
                }
                self.listeners.closed(listener_id);
                self.tell_discovery();
                for address in &addresses {
                    self.listens(address, NetFact::NotListening);
                }
            }
            SwarmEvent::IncomingConnectionError {
                error: ListenError::LocalPeerId { .. },
                send_back_addr,
                ..
            } => self.called_by_twin(&send_back_addr),
            other => tracing::trace!(target: "net", event = ?other, "swarm"),
        }
    }

    /// Handles a connection from a node with this node's own key: another machine, unless this node called itself.
    fn called_by_twin(&mut self, from: &Multiaddr) {
        let Some(address) = read_address(from) else { return };
        let is_own = |ip: IpAddr| ip.is_loopback() || self.prefixes.iter().any(|prefix| prefix.ip() == ip);
        if address.ip().is_some_and(|ip| !is_own(ip)) {
            self.dial_failed(Some(self.peer_id()), vec![address], DialFailure::OwnKey, None);
        }
    }

    fn listens(&mut self, address: &Multiaddr, fact: impl FnOnce(Address) -> NetFact) {
        let is_told = |address: &Address| address.ip().is_some_and(|ip| self.listeners.is_worth_telling(ip));
        if let Some(address) = read_address(address).filter(is_told) {
            self.outbox.keep(fact(address));
        }
    }

    fn connected(&mut self, peer: PeerId, connection: ConnectionId, endpoint: ConnectedPoint) {
        let direction = if endpoint.is_dialer() {
            Direction::Out
        } else {
            Direction::In
        };
        let address = endpoint.get_remote_address().clone();
        let now = Instant::now();
        let known = self
            .peers
            .connected(peer, connection, Link::new(direction, address, now));
        if let Some(dial) = self.dials.remove(&connection) {
            match known.membership {
                Membership::Unconfirmed => {
                    known.wanted = true;
                    known.named.extend(dial.addresses.into_iter().filter(Address::is_name));
                }
                Membership::Confirmed => {
                    self.dial_failed(Some(peer), dial.addresses, DialFailure::AlreadyConnected, None);
                }
                Membership::Foreign { stranger, .. } => self.met_stranger(peer, dial.addresses, stranger),
            }
        }
        if !self.lasting.enabled {
            self.disconnect(peer, "the network is off");
        }
        // Act at once: until the older connection of a peer that came back ends, everything sent on it is lost.
        if let Some(due) = self.peers.due_of(&peer, now) {
            self.act_on(due, now);
        }
        if let Some(surplus) = self.peers.surplus(CONNECTIONS_IN_MAX, &self.prefixes) {
            self.disconnect(surplus, "too many others are connected");
        }
    }

    fn closed(&mut self, peer: PeerId, connection: ConnectionId, cause: Option<&ConnectionError>) {
        let link = self
            .peers
            .get_mut(&peer)
            .and_then(|known| known.links.get(&connection).cloned());
        let gone = match self.peers.closed(&peer, connection, Instant::now()) {
            Closed::Last(gone) => gone,
            Closed::OneLeft(left, address) => {
                self.moved(peer);
                return self.announce(peer, left, address);
            }
            Closed::Other => return,
        };
        if cause.is_some_and(|cause| break_by(cause) == Break::StreamFlood) {
            self.malformed(peer, Fault::Low, "it opened too many streams".into());
        }
        let reason = match (gone.reason, cause) {
            (Some(reason), _) => DisconnectReason::from(reason),
            (None, Some(cause)) => disconnect_reason(cause),
            (None, None) => DisconnectReason::from("closed"),
        };
        match gone.membership {
            Membership::Confirmed => self.outbox.keep(NetFact::Disconnected { peer, reason }),
            Membership::Unconfirmed if gone.wanted => {
                let remote = link.and_then(|link| read_address(&link.address));
                let addresses = gone.named.into_iter().chain(remote).collect();
                self.dial_failed(Some(peer), addresses, DialFailure::Lost(reason), None);
            }
            Membership::Unconfirmed | Membership::Foreign { .. } => {}
        }
    }

    fn identified(&mut self, event: identify::Event) {
        match event {
            identify::Event::Received {
                connection_id,
                peer_id,
                info,
            } if self.is_of_this_network(&info) => self.confirm(peer_id, connection_id, &info),
            identify::Event::Received { peer_id, info, .. } => {
                let (stranger, reason) = self.difference(&info.protocol_version);
                self.foreign(peer_id, stranger, reason);
            }
            identify::Event::Error { peer_id, error, .. } => {
                if matches!(error, StreamUpgradeError::NegotiationFailed) {
                    self.peers.declined(&peer_id, Instant::now());
                }
            }
            identify::Event::Sent { .. } | identify::Event::Pushed { .. } => {}
        }
    }

    /// How a peer with this version differs from this node; a stranger's words are cut and escaped.
    fn difference(&self, told: &str) -> (Stranger, String) {
        let of_our_network = |told| {
            let (network, ours) = self.version.rsplit_once('/')?;
            let theirs = str::strip_prefix(told, network)?.strip_prefix('/')?;
            Some((theirs, ours))
        };
        match of_our_network(told) {
            Some((theirs, ours)) => {
                let reason = format!("it speaks protocol {}, we speak {ours}", shown(theirs));
                (Stranger::Network, reason)
            }
            None if told.starts_with("/lanchain/") => {
                let reason = format!("a node of another network ({})", shown(told));
                (Stranger::Network, reason)
            }
            None => (Stranger::Program, format!("{OTHER_PROGRAM} ({})", shown(told))),
        }
    }

    /// Either property is enough, because some libraries do not let a program choose the version that identify sends.
    fn is_of_this_network(&self, info: &identify::Info) -> bool {
        info.protocol_version == self.version || info.protocols.contains(&self.protocol)
    }

    fn confirm(&mut self, peer: PeerId, connection: ConnectionId, info: &identify::Info) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let link = match known.links.contains_key(&connection) {
            true => known.links.get_mut(&connection),
            false => known.links.values_mut().next(),
        };
        let Some(link) = link else { return };
        let direction = link.direction;
        let remote = read_address(&link.address);
        let listens = match direction {
            Direction::Out => None,
            Direction::In => listen_address(remote.as_ref(), &info.listen_addrs),
        };
        link.listens.clone_from(&listens);
        if known.membership != Membership::Unconfirmed {
            return self.moved(peer);
        }
        let address = listens.clone().or(remote);
        known.told.clone_from(&address);
        let speaks_gossip = info.protocols.iter().any(|known| known.as_ref().starts_with(GOSSIP));
        self.peers.confirmed(&peer, speaks_gossip, Instant::now());
        let named = self
            .peers
            .get_mut(&peer)
            .map_or_else(Vec::new, |known| core::mem::take(&mut known.named));
        let Some(address) = address else {
            return self.disconnect(peer, "its address cannot be named");
        };
        if let Some(address) = listens {
            // The address at which it can be dialled again, and which other peers may be told.
            let (by, from) = (FoundBy::Inbound, address.ip());
            self.outbox.keep(NetFact::Found {
                peer,
                address,
                by,
                from,
            });
        }
        self.outbox.keep(NetFact::Connected {
            peer,
            address,
            direction,
        });
        let agent = shown(&info.agent_version);
        self.outbox.keep(NetFact::Agent { peer, agent });
        if !named.is_empty() {
            // As after a dial to a connected peer: the typed name leads to this peer.
            self.dial_failed(Some(peer), named, DialFailure::AlreadyConnected, None);
        }
        for (token, request) in self.exchange.release(&peer) {
            self.ask_engine(token, peer, request);
        }
    }

    /// Reports the present address of a peer that came back from another address, of which one connection is left.
    fn moved(&mut self, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let mut links = known.links.values();
        let (Some(link), None) = (links.next(), links.next()) else {
            return;
        };
        let host = |address: &Option<Address>| address.as_ref().and_then(Address::ip);
        let address = link.listens.clone().or_else(|| read_address(&link.address));
        let has_moved = known.told.is_some() && host(&known.told) != host(&address);
        let direction = link.direction;
        let Some(address) = address.filter(|_| has_moved && known.membership == Membership::Confirmed) else {
            return;
        };
        known.told = Some(address.clone());
        self.outbox.keep(NetFact::Connected {
            peer,
            address,
            direction,
        });
    }

    pub(super) fn foreign(&mut self, peer: PeerId, stranger: Stranger, reason: String) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        match known.membership {
            Membership::Foreign { .. } => {}
            Membership::Confirmed => self.disconnect(peer, "it changed its network"),
            Membership::Unconfirmed => {
                let since = Instant::now();
                known.membership = Membership::Foreign { since, stranger };
                let addresses = known.links.values().filter_map(|link| read_address(&link.address));
                let addresses = core::mem::take(&mut known.named)
                    .into_iter()
                    .chain(addresses.collect::<Vec<_>>());
                let addresses = addresses.collect();
                self.dial_failed(Some(peer), addresses, DialFailure::Foreign(reason), Some(stranger));
            }
        }
    }

    fn pinged(&mut self, event: ping::Event) {
        if event.result.is_ok() {
            self.peers.heard(&event.peer, event.connection, Instant::now());
        }
        match event.result {
            Ok(time) if self.peers.is_confirmed(&event.peer) => {
                let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                self.peers.answered(&event.peer, time);
                // If it is dropped, the next one comes in five seconds.
                self.outbox.offer(NetFact::Latency { peer: event.peer, ms });
            }
            Ok(_) => {}
            Err(ping::Failure::Unsupported) => self.peers.note_mute(&event.peer, event.connection, Instant::now()),
            Err(ping::Failure::Timeout | ping::Failure::Other { .. }) => {
                if !self.peers.carries(&event.peer, event.connection, Instant::now()) {
                    self.close_silent(event.peer, event.connection);
                }
            }
        }
    }

    fn gossiped(&mut self, event: gossipsub::Event) {
        let gossipsub::Event::Message {
            propagation_source: peer,
            message_id: id,
            message,
        } = event
        else {
            return;
        };
        let kinds = [Topic::Transactions, Topic::Blocks];
        let Some(kind) = kinds
            .into_iter()
            .find(|kind| topic(&self.network, *kind).hash() == message.topic)
        else {
            return self.report(&id, &peer, Verdict::Reject);
        };
        let bytes = message.data;
        let limit = match kind {
            Topic::Transactions => GOSSIP_TX_MAX_BYTES,
            Topic::Blocks => COMPACT_BLOCK_MAX_BYTES,
        };
        if bytes.len() > limit {
            let reason = format!("message over {limit} bytes");
            self.malformed(peer, Fault::Fatal, reason);
            return self.report(&id, &peer, Verdict::Reject);
        }
        // Before identify has answered, the engine does not know the peer; `Status` brings later what is dropped here.
        let token = if self.peers.is_confirmed(&peer) {
            let (now, size) = (Instant::now(), bytes.len());
            let from = (peer, self.peers.voice(&peer, &self.prefixes));
            self.verdicts.insert(now, kind, id.clone(), from, size)
        } else {
            None
        };
        let Some(token) = token else {
            return self.report(&id, &peer, Verdict::Ignore);
        };
        let fact = NetFact::Gossip {
            token,
            peer,
            topic: kind,
            bytes,
        };
        if !self.outbox.offer(fact) {
            self.verdicts.take(token);
            self.report(&id, &peer, Verdict::Ignore);
        }
    }

    pub(super) fn report(&mut self, id: &gossipsub::MessageId, source: &PeerId, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Reject => MessageAcceptance::Reject,
            Verdict::Ignore => MessageAcceptance::Ignore,
        };
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if !gossip.report_message_validation_result(id, source, acceptance) {
            tracing::debug!(target: "net", %id, "the verdict came too late");
        }
    }

    fn exchanged(&mut self, event: request_response::Event<Raw, Raw>) {
        use request_response::{Event, InboundFailure, Message, OutboundFailure};
        match event {
            Event::Message {
                peer,
                connection_id,
                message:
                    Message::Request {
                        request_id,
                        request,
                        channel,
                    },
            } => {
                let confirmed = self.peers.is_confirmed(&peer);
                let from = (peer, connection_id, self.peers.voice(&peer, &self.prefixes));
                let arrival = self.exchange.arrived(from, request_id, &request, channel, confirmed);
                self.arrived(peer, arrival);
            }
            Event::Message {
                peer,
                connection_id,
                message: Message::Response { request_id, response },
            } => {
                self.peers.replied(&peer, connection_id, Instant::now());
                let response = match read_answer(&response) {
                    Answered::Response(response) => Some(response),
                    Answered::Nothing => None,
                    Answered::Malformed(reason) => {
                        self.malformed(peer, Fault::Fatal, reason);
                        None
                    }
                };
                self.ended(request_id, peer, response);
            }
            Event::OutboundFailure {
                peer,
                connection_id,
                request_id,
                error,
            } => {
                if matches!(error, OutboundFailure::UnsupportedProtocols) {
                    self.peers.replied(&peer, connection_id, Instant::now());
                }
                tracing::debug!(target: "net", %peer, %error, "a request failed");
                self.ended(request_id, peer, None);
            }
            Event::InboundFailure {
                peer,
                request_id,
                error,
                ..
            } => {
                let is_late = match &error {
                    InboundFailure::Timeout => true,
                    InboundFailure::Io(error) => error.kind() == std::io::ErrorKind::TimedOut,
                    _ => false,
                };
                if is_late && self.exchange.lapsed(request_id) {
                    self.malformed(
                        peer,
                        Fault::Limit,
                        "it does not read the answers that it asked for".into(),
                    );
                }
                self.exchange.done(request_id);
            }
            Event::ResponseSent { request_id, .. } => self.exchange.sent(request_id),
        }
    }

    fn malformed(&mut self, peer: PeerId, fault: Fault, reason: String) {
        self.outbox.keep(NetFact::Malformed { peer, fault, reason });
    }

    fn ended(&mut self, id: request_response::OutboundRequestId, peer: PeerId, response: Option<Response>) {
        if response.is_some() {
            self.peers.carried(&peer, Instant::now());
        }
        if let Some(id) = self.exchange.ended(id) {
            self.outbox.keep(NetFact::Response { id, peer, response });
        }
    }

    fn arrived(&mut self, peer: PeerId, arrival: Arrival) {
        self.peers.carried(&peer, Instant::now());
        match arrival {
            Arrival::Ask(token, request) => self.ask_engine(token, peer, request),
            Arrival::Answer(channel, response) => {
                let bytes = Raw::Whole(response.encode());
                // An error means that the peer no longer waits.
                let _ = self.swarm.behaviour_mut().sync.send_response(channel, bytes);
            }
            Arrival::Malformed(fault, reason) => self.malformed(peer, fault, reason),
            Arrival::Held | Arrival::Nothing => {}
        }
    }

    fn ask_engine(&mut self, token: u64, peer: PeerId, request: Request) {
        if !self.outbox.offer(NetFact::Request { token, peer, request }) {
            self.answer(token, &Response::Busy);
        }
    }
}

/// Converts a multiaddr to an address if a node can be dialled at it. Host names are refused here: they are for users
/// to type, not for peers to report.
pub(super) fn read_address(address: &Multiaddr) -> Option<Address> {
    let (address, _) = Address::parse(&address.to_string()).ok()?;
    (!address.is_name()).then_some(address)
}

/// Of the addresses that an inbound peer claims to listen on, the one on the host that it called from.
fn listen_address(remote: Option<&Address>, listens: &[Multiaddr]) -> Option<Address> {
    let host = remote?.ip()?;
    let listens: Vec<Address> = listens.iter().take(64).filter_map(read_address).collect();
    let here = listens.iter().find(|address| address.ip() == Some(host)).cloned();
    // The peer may not know how it is seen from here. Its listening port is more likely to answer than the port it
    // called from.
    here.or_else(|| listens.iter().find_map(|address| seen_at(host, address)))
}

/// The TCP port of an address on another host.
fn seen_at(host: IpAddr, address: &Address) -> Option<Address> {
    let version = if host.is_ipv4() { "ip4" } else { "ip6" };
    let (_, port) = address.as_str().split_once("/tcp/")?;
    Address::parse(&format!("/{version}/{host}/tcp/{port}"))
        .ok()
        .map(|(address, _)| address)
}

/// A stranger's words, cut and escaped.
fn shown(words: &str) -> String {
    words.chars().take(32).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_calls_is_known_by_where_it_listens() {
        let address = |text: &str| Address::parse(text).expect("an address").0;
        let listens =
            ["/ip4/127.0.0.1/tcp/4001", "/ip4/10.0.0.7/tcp/4002"].map(|text| text.parse().expect("a multiaddr"));
        let from = |remote: &str| listen_address(Some(&address(remote)), &listens);
        assert_eq!(from("/ip4/10.0.0.7/tcp/50000"), Some(address("/ip4/10.0.0.7/tcp/4002")));
        assert_eq!(
            from("/ip4/172.17.0.1/tcp/50000"),
            Some(address("/ip4/172.17.0.1/tcp/4001"))
        );
        assert_eq!(from("/ip6/fd00::1/tcp/50000"), Some(address("/ip6/fd00::1/tcp/4001")));
        assert_eq!(listen_address(Some(&address("/ip4/10.0.0.7/tcp/50000")), &[]), None);
    }
}
