//! The network's task: it carries out the engine's orders, and turns libp2p's events into facts.
//!
//! Promises: it waits for nobody. A peer is `Connected` only after identify has confirmed its network and version, and
//! `Disconnected` after its last connection ended. Every dial ends in `Connected` or `DialFailed`.
//! Spec: `proto-notes/gossip.md`, `proto-notes/discovery.md`.

mod dials;
mod events;

use std::collections::BTreeMap;
use std::num::{NonZeroU8, NonZeroUsize};
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::transport::{Boxed, PortUse};
use libp2p::core::upgrade::Version;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::swarm::behaviour::ConnectionEstablished;
use libp2p::swarm::{self, ConnectionId, FromSwarm, NetworkBehaviour};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, Transport, identity, noise, tcp};
use tokio::sync::{OwnedMutexGuard, mpsc};

use self::dials::AwaitedNames;
use super::behaviour::{NodeBehaviour, protocol_version, sync_protocol, topic};
use super::broken::{OfSocket, of_dial};
use super::codec::{ByteCount, Raw};
use super::discovery::{Discovery, Elsewhere};
use super::exchange::RequestTable;
use super::interfaces;
use super::listen::Listeners;
use super::mdns::records::Sighting;
use super::names::{self, NameLookup};
use super::outbox::FactQueue;
use super::peers::{Due, Peers};
use super::repairs::Repairs;
use super::streams::{STREAMS_IN_MAX, Upgrade};
use super::supervisor::CarriedState;
use super::verdicts::Verdicts;
use super::{FactSink, NetConfig, NetError};
use crate::contract::{FoundBy, Stranger};
use crate::engine::{NetFact, NetOrder, Verdict};
use crate::threads::panic_point;
use crate::types::prefix::{Bind, Prefix};
use crate::types::{Address, NetworkId};
use crate::wire::{Request, Response, Topic};

/// This node's own rules decide when connections end, so libp2p's idle timer is set out of reach.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// The longest time for TCP and handshake together, enough for a network with a second of delay in each direction.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// The most addresses of a peer that are tried at the same time: all that the engine keeps.
const DIALLED_AT_ONCE: NonZeroU8 = NonZeroU8::new(8).expect("not zero");
/// The most events that wait between a connection and the task, in each direction: the library's default for one of
/// them.
const HANDLER_EVENTS: NonZeroUsize = NonZeroUsize::new(8).expect("not zero");
/// The most connections that the system has accepted and the task has not taken yet.
const LISTEN_BACKLOG: u32 = 1024;
/// The interval of the task's timer while something is measured in tenths of a second.
const TICK: Duration = Duration::from_millis(100);
/// The interval otherwise, because a hundred idle nodes on one machine already wake each other often enough.
const CALM_TICK: Duration = Duration::from_millis(400);
/// The most records from discovery that wait for the task.
const FOUND_MAX: usize = 256;
/// The most banned peers that are remembered.
const BANNED_MAX: usize = 4096;
/// When the task stops: the time for new announcements to leave, and then the time for connections to close.
const FLUSH: Duration = Duration::from_millis(300);
const CLOSE: Duration = Duration::from_millis(700);

/// The description of a peer that is not a node of any network.
const OTHER_PROGRAM: &str = "another libp2p program";

/// A dial under way.
#[derive(Debug)]
struct RunningDial {
    peer: Option<PeerId>,
    addresses: Vec<Address>,
}

/// The network's task and its state.
pub(super) struct NetTask {
    swarm: Swarm<NodeBehaviour>,
    lasting: OwnedMutexGuard<CarriedState>,
    outbox: FactQueue,
    network: NetworkId,
    version: String,
    protocol: StreamProtocol,
    listeners: Listeners,
    peers: Peers,
    repairs: Repairs,
    dials: BTreeMap<ConnectionId, RunningDial>,
    names: NameLookup,
    answers: mpsc::Receiver<names::Answer>,
    /// Dials that wait for a name look-up, by the number of the look-up.
    asked: BTreeMap<u64, AwaitedNames>,
    next_asked: u64,
    verdicts: Verdicts,
    exchange: RequestTable,
    mdns: bool,
    bind: Vec<Bind>,
    discovery: Option<Discovery>,
    found: mpsc::Receiver<Sighting>,
    finder: mpsc::Sender<Sighting>,
    /// The addresses outside this network that discovery ignored, as the engine was told last.
    elsewhere: Elsewhere,
    /// The networks of this machine, as the engine was told last.
    prefixes: Vec<Prefix>,
}

/// Builds the swarm that the task drives.
pub(super) fn build(config: &NetConfig) -> Result<Swarm<NodeBehaviour>, NetError> {
    let setup = |error: &dyn core::fmt::Display| NetError::Setup(error.to_string());
    let mut seed = config.key.seed();
    let key = identity::Keypair::ed25519_from_bytes(&mut *seed).map_err(|error| setup(&error))?;
    let node = NodeBehaviour::new(&key, &config.network_id)?;
    let swarm = swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE_TIMEOUT)
        // Set above the limit on open streams, so that a flood is counted there instead of staying unread.
        .with_max_negotiating_inbound_streams(2 * STREAMS_IN_MAX)
        .with_notify_handler_buffer_size(HANDLER_EVENTS)
        .with_per_connection_event_buffer_size(HANDLER_EVENTS.get())
        .with_dial_concurrency_factor(DIALLED_AT_ONCE);
    // Tries the better addresses of a peer first, instead of all at once.
    #[cfg(feature = "quic")]
    let swarm = swarm.with_smart_dial();
    let transport = transport(&key).map_err(|error| setup(&error))?;
    Ok(Swarm::new(transport, node, key.public().to_peer_id(), swarm))
}

/// The transport of the swarm, whose errors keep their kinds.
fn transport(key: &identity::Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let config = tcp::Config::default().nodelay(true).listen_backlog(LISTEN_BACKLOG);
    let transport = tcp::tokio::Transport::new(config)
        .map_err(OfSocket)
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(key)?)
        .multiplex(Upgrade::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    #[cfg(feature = "quic")]
    let transport = {
        let mut config = libp2p::quic::Config::new(key);
        config.max_concurrent_stream_limit = u32::try_from(STREAMS_IN_MAX).unwrap_or(u32::MAX);
        let quic = libp2p::quic::tokio::Transport::new(config);
        transport
            .or_transport(quic.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))))
            .map(|either, _| either.into_inner())
    };
    let limited = TransportTimeout::new(transport, DIAL_TIMEOUT);
    Ok(limited.map_err(of_dial).boxed())
}

impl NetTask {
    /// Sets up the protocols and starts listening.
    pub(super) fn new(
        config: &NetConfig,
        lasting: OwnedMutexGuard<CarriedState>,
        facts: FactSink,
    ) -> Result<Self, NetError> {
        let mut swarm = build(config)?;
        let mut listeners = Listeners::new(config);
        if lasting.enabled {
            listeners.open(&mut swarm)?;
        }
        let (finder, found) = mpsc::channel(FOUND_MAX);
        let (names, answers) = NameLookup::new();
        let mut task = Self {
            peers: Peers::new(*swarm.local_peer_id()),
            repairs: Repairs::default(),
            swarm,
            outbox: FactQueue::new(facts),
            network: config.network_id,
            version: protocol_version(&config.network_id),
            protocol: sync_protocol(&config.network_id)?,
            listeners,
            dials: BTreeMap::new(),
            names,
            answers,
            asked: BTreeMap::new(),
            next_asked: 0,
            verdicts: Verdicts::new(lasting.first_token()),
            exchange: RequestTable::new(lasting.first_token()),
            lasting,
            mdns: config.mdns,
            bind: config.bind.clone(),
            discovery: None,
            found,
            finder,
            elsewhere: Elsewhere::default(),
            prefixes: Vec::new(),
        };
        if task.lasting.enabled {
            task.start_discovery();
        }
        Ok(task)
    }

    /// The PeerId of this node.
    pub(super) fn peer_id(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    /// Runs until the orders end.
    pub(super) async fn run(mut self) {
        let tick = tokio::time::sleep(TICK);
        tokio::pin!(tick);
        loop {
            tokio::select! {
                order = self.lasting.orders.recv() => match order {
                    Some(order) => {
                        let goes_out = matches!(order, NetOrder::Publish { .. } | NetOrder::Verdict { .. });
                        self.carry_out(order);
                        if goes_out {
                            // Lets the connections take it now, so that a burst does not fill their short queues.
                            tokio::task::yield_now().await;
                        }
                    }
                    None => break,
                },
                event = self.swarm.select_next_some(), if self.outbox.has_room() => self.happened(event),
                Some(answer) = self.answers.recv() => self.named(answer),
                Some(sighting) = self.found.recv(), if self.lasting.enabled => self.discovered(sighting),
                () = &mut tick => {
                    self.tick(Instant::now());
                    tick.as_mut().reset(tokio::time::Instant::now() + self.pause());
                }
            }
        }
        self.stop().await;
    }

    /// Lets announcements leave, then closes every connection.
    async fn stop(mut self) {
        self.discovery = None;
        self.listeners.close(&mut self.swarm);
        if !self.peers.ids().is_empty() {
            self.drive(FLUSH, |_| false).await;
        }
        self.disconnect_all("this node stops");
        self.drive(CLOSE, |task| task.peers.ids().is_empty()).await;
    }

    async fn drive(&mut self, time: Duration, until: impl Fn(&Self) -> bool) {
        let end = tokio::time::sleep(time);
        tokio::pin!(end);
        while !until(self) {
            tokio::select! {
                () = &mut end => return,
                event = self.swarm.select_next_some() => self.happened(event),
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        panic_point("network");
        if let Some(discovery) = &self.discovery {
            for fact in discovery.failures() {
                self.outbox.keep(NetFact::Part(fact));
            }
        }
        self.outbox.flush();
        while let Some(message) = self.verdicts.lapsed(now) {
            self.report(&message.id, &message.source, Verdict::Ignore);
        }
        for peer in self.exchange.moved() {
            self.peers.carried(&peer, now);
        }
        for due in self.peers.due(now) {
            self.act_on(due, now);
        }
        self.tell_elsewhere();
        self.give_up_names(now);
        if self.lasting.enabled {
            self.listeners.look(&mut self.swarm);
            self.open_listeners();
        }
    }

    /// The time until the next tick.
    fn pause(&self) -> Duration {
        let is_calm = self.outbox.is_empty()
            && self.peers.are_settled()
            && self.asked.is_empty()
            && !self.listeners.is_incomplete();
        if is_calm { CALM_TICK } else { TICK }
    }

    fn open_listeners(&mut self) {
        if self.lasting.enabled && self.listeners.is_incomplete() {
            // The listener that is just being closed may still hold the port; the next tick tries again.
            if let Err(error) = self.listeners.open(&mut self.swarm) {
                tracing::debug!(target: "net", %error, "cannot listen again yet");
            }
        }
    }

    fn act_on(&mut self, due: Due, now: Instant) {
        match due {
            Due::Silent(peer) => self.disconnect(peer, "it did not tell its network"),
            Due::Declined(peer) => self.foreign(peer, Stranger::Network, "it does not tell its network".into()),
            Due::Foreign(peer) => self.disconnect(peer, "it is of another network"),
            Due::Spare(peer, connection) => {
                tracing::debug!(target: "net", %peer, %connection, "one of two connections is closed");
                self.swarm.close_connection(connection);
            }
            Due::Quiet(peer, connection) => self.close_silent(peer, connection),
            Due::Topics(peer) => {
                let mut known = self.swarm.behaviour().gossip.all_peers();
                let is_deaf = known.any(|(id, topics)| *id == peer && topics.is_empty());
                drop(known);
                if is_deaf && self.repairs.grant(peer, now) {
                    tracing::debug!(target: "net", %peer, "it announced no topic, it is connected again");
                    self.disconnect(peer, "it announced no topic");
                }
            }
        }
    }

    fn close_silent(&mut self, peer: PeerId, connection: ConnectionId) {
        // If there are two connections, the other one stays, and so does the peer.
        if let Some(known) = self.peers.get_mut(&peer).filter(|known| known.links.len() == 1) {
            known.reason = Some("it was silent");
        }
        self.swarm.close_connection(connection);
    }

    /// Announces this node's topics to a peer once more. Gossip does so only on the first connection to a peer, and
    /// that connection may have been dead already. So gossip is told of the remaining connection as if it were the
    /// first. This has no other effect, and a peer that knows the topics loses nothing.
    fn announce(&mut self, peer: PeerId, connection: ConnectionId, address: Multiaddr) {
        let endpoint = ConnectedPoint::Dialer {
            address,
            role_override: Endpoint::Dialer,
            port_use: PortUse::New,
        };
        let made = ConnectionEstablished {
            peer_id: peer,
            connection_id: connection,
            endpoint: &endpoint,
            failed_addresses: &[],
            other_established: 0,
        };
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip.on_swarm_event(FromSwarm::ConnectionEstablished(made));
    }

    // ---- orders ----

    fn carry_out(&mut self, order: NetOrder) {
        match order {
            NetOrder::Dial { peer, addresses } => self.dial(peer, addresses),
            NetOrder::Disconnect { peer } => self.disconnect(peer, "disconnected by this node"),
            NetOrder::Ban { peer, banned } => self.ban(peer, banned),
            NetOrder::Publish { topic, bytes } => self.publish(topic, bytes),
            NetOrder::Verdict { token, verdict } => {
                if let Some(message) = self.verdicts.take(token) {
                    if message.topic == Topic::Blocks && verdict == Verdict::Accept {
                        self.peers.brought_block(&message.source);
                    }
                    self.report(&message.id, &message.source, verdict);
                }
            }
            NetOrder::Protect { peer } => self.peers.protect(&peer),
            NetOrder::Request { id, peer, request } => self.request(id, peer, &request),
            NetOrder::Answer { token, response } => self.answer(token, &response),
            NetOrder::Enable(true) => self.enable(),
            NetOrder::Enable(false) => self.disable(),
        }
    }

    fn disconnect(&mut self, peer: PeerId, reason: &'static str) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.reason = Some(reason);
        }
        // An error means that the peer is not connected, which is the wanted state.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    fn disconnect_all(&mut self, reason: &'static str) {
        for peer in self.peers.ids() {
            self.disconnect(peer, reason);
        }
    }

    fn ban(&mut self, peer: PeerId, banned: bool) {
        let blocked = &mut self.swarm.behaviour_mut().blocked;
        if !banned {
            blocked.unblock_peer(peer);
            return;
        }
        if blocked.blocked_peers().len() >= BANNED_MAX
            && let Some(any) = blocked.blocked_peers().iter().next().copied()
        {
            blocked.unblock_peer(any);
        }
        blocked.block_peer(peer);
        self.disconnect(peer, "refused by this node");
    }

    fn publish(&mut self, kind: Topic, bytes: Vec<u8>) {
        let topic = topic(&self.network, kind);
        if let Err(error) = self.swarm.behaviour_mut().gossip.publish(topic, bytes) {
            // Gossip need not be reliable: `Status` and sync bring what it misses.
            tracing::debug!(target: "net", ?kind, %error, "not published");
        }
    }

    fn request(&mut self, id: u64, peer: PeerId, request: &Request) {
        if !self.peers.is_confirmed(&peer) {
            let response = None;
            return self.outbox.keep(NetFact::Response { id, peer, response });
        }
        let sync = &mut self.swarm.behaviour_mut().sync;
        let read = ByteCount::default();
        let sent = sync.send_request(&peer, Raw::Watched(request.encode(), read.clone()));
        self.exchange.asked(sent, id, (peer, read));
    }

    fn answer(&mut self, token: u64, response: &Response) {
        if let Some((channel, bytes)) = self.exchange.answer(token, response) {
            // An error means that the peer no longer waits; `InboundFailure` has reported that.
            let _ = self.swarm.behaviour_mut().sync.send_response(channel, bytes);
        }
    }

    fn enable(&mut self) {
        if self.lasting.enabled {
            return;
        }
        self.lasting.enabled = true;
        self.start_discovery();
        self.tick(Instant::now());
    }

    fn disable(&mut self) {
        self.lasting.enabled = false;
        self.discovery = None;
        while self.found.try_recv().is_ok() {}
        self.listeners.close(&mut self.swarm);
        self.disconnect_all("the network is off");
    }

    // ---- discovery ----

    fn start_discovery(&mut self) {
        if !self.mdns {
            return;
        }
        match Discovery::start(self.peer_id(), self.bind.clone(), self.finder.clone()) {
            Ok(discovery) => self.discovery = Some(discovery),
            Err(error) => tracing::warn!(target: "net", %error, "no discovery on this machine, use --peer or dial"),
        }
        self.tell_discovery();
    }

    fn tell_discovery(&self) {
        if let Some(discovery) = &self.discovery {
            discovery.set_addresses(self.swarm.listeners().filter_map(events::read_address).collect());
        }
    }

    /// Reports this machine's networks if they have changed.
    fn tell_networks(&mut self) {
        let prefixes = interfaces::prefixes();
        if prefixes != self.prefixes {
            self.prefixes.clone_from(&prefixes);
            self.swarm.behaviour_mut().set_networks(prefixes.clone());
            self.outbox.keep(NetFact::Networks(prefixes));
        }
    }

    /// Reports the addresses that discovery ignored if there are more of them.
    fn tell_elsewhere(&mut self) {
        let Some(elsewhere) = self.discovery.as_ref().map(Discovery::elsewhere) else {
            return;
        };
        if elsewhere != self.elsewhere
            && let Some(source) = elsewhere.source
            && self.outbox.offer(NetFact::Elsewhere {
                count: elsewhere.count,
                source,
            })
        {
            self.elsewhere = elsewhere;
        }
    }

    fn discovered(&mut self, sighting: Sighting) {
        let Sighting { peer, address, source } = sighting;
        let (by, from) = (FoundBy::Mdns, Some(source));
        // If it is dropped, it is repeated in ten seconds.
        self.outbox.offer(NetFact::Found {
            peer,
            address,
            by,
            from,
        });
    }
}
