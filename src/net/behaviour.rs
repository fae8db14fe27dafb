//! The swarm's behaviour: which protocols a node speaks, and with which limits.
//!
//! Promises: the parts that can refuse a connection come first; every message has an id made of its content; nothing
//! is forwarded before its verdict.
//! Elsewhere: what becomes of the events (`net::swarm`), discovery (`net::discovery`).
//! Spec: `proto-notes/gossip.md`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use libp2p::allow_block_list::{self, BlockedPeers};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{
    self, IdentTopic, MessageAuthenticity, MessageId, ValidationMode, WhitelistSubscriptionFilter,
};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{StreamProtocol, identify, identity, ping};

use super::NetError;
use super::codec::Codec;
use super::gate::Gate;
use crate::types::NetworkId;
use crate::types::hash::sha256;
use crate::types::prefix::Prefix;
use crate::wire::{GOSSIP_BLOCK_MAX_BYTES, GOSSIP_TX_MAX_BYTES, Topic};

/// All connections: a full neighbourhood of a class room, and little enough for a small machine.
const CONNECTIONS_MAX: u32 = 48;
/// Inbound ones; the rest is kept for own dials, so that strangers cannot choose all our neighbours.
pub(super) const CONNECTIONS_IN_MAX: u32 = 32;
/// Inbound ones above that, for a moment: a newcomer must be seen before it can be said who of all has to leave.
const NEWCOMERS_MAX: u32 = 4;
/// Own ones.
const CONNECTIONS_OUT_MAX: u32 = 16;
/// Own dials under way: what the dial manager starts in ten seconds, and room. Inbound handshakes are counted at the gate.
const PENDING_OUT_MAX: u32 = 48;
/// Two for a moment: with one, two nodes that dial each other at once end with none.
const CONNECTIONS_PER_PEER_MAX: u32 = 2;
/// A ping every five seconds and ten to answer it: a dead neighbour is noticed within fifteen.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// From the opening of a request's stream to the end of its answer, while bytes come: longer than the engine's longest
/// patience with a slow link. What stands still ends sooner (`net::codec`).
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(80);
/// Streams of requests and answers together, each connection; above it libp2p resets without an answer.
const STREAMS_MAX: usize = 16;
/// How long the bytes of an id count as seen: far beyond the time a block takes to reach everybody.
const DUPLICATE_CACHE: Duration = Duration::from_secs(600);
/// Heartbeats for which a message waits for its verdict.
pub(super) const VERDICT_HEARTBEATS: u8 = 12;
/// Messages that wait for a peer to read its gossip; what finds no place is brought by sync. One of a megabyte waits for
/// each reader in its own copy, whether it reads or not. The library counts messages alone, so the number is one that
/// blocks allow; payments that follow each other are gathered before they get here.
pub(super) const GOSSIP_WAITING_MAX: usize = 4;
/// How long they wait, own ones and forwarded ones alike: a block of a megabyte ahead of them takes seconds on a slow
/// wireless link.
const GOSSIP_WAITING: Duration = Duration::from_secs(5);
/// How often a peer is asked again who it is. What it told first is what counts.
const IDENTIFY_INTERVAL: Duration = Duration::from_secs(300);
/// Messages and ids in a frame. A page of 128 transactions is one message, and nobody has thousands to tell at once.
const GOSSIP_IN_FRAME_MAX: usize = 5000;
/// Room for the topic and the field headers around a message's bytes.
const FRAME_ROOM_BYTES: usize = 1024;

/// What a node speaks. Deniers first: a refused connection must not have been shown to the others.
#[derive(NetworkBehaviour)]
pub(super) struct Node {
    gate: Gate,
    limits: connection_limits::Behaviour,
    pub(super) blocked: allow_block_list::Behaviour<BlockedPeers>,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) gossip: gossipsub::Behaviour<gossipsub::IdentityTransform, WhitelistSubscriptionFilter>,
    pub(super) sync: request_response::Behaviour<Codec>,
}

/// The protocol version that identify tells: what makes two nodes of one network recognise each other.
pub(super) fn protocol_version(network: &NetworkId) -> String {
    format!("/lanchain/{network}/1")
}

/// The request-response protocol of a network.
pub(super) fn sync_protocol(network: &NetworkId) -> Result<StreamProtocol, NetError> {
    StreamProtocol::try_from_owned(format!("/lanchain/{network}/sync/1"))
        .map_err(|error| NetError::Setup(error.to_string()))
}

/// The gossip topic of a network.
pub(super) fn topic(network: &NetworkId, topic: Topic) -> IdentTopic {
    let name = match topic {
        Topic::Transactions => "tx",
        Topic::Blocks => "block",
    };
    IdentTopic::new(format!("lanchain/{network}/{name}/1"))
}

/// A message's id: of its topic and bytes alone, so that the same message from two peers is one.
pub(super) fn message_id(message: &gossipsub::Message) -> MessageId {
    let digest = sha256(&[message.topic.as_str().as_bytes(), &message.data]);
    MessageId::from(&digest[..20])
}

impl Node {
    /// Builds the behaviour of a node of this network.
    pub(super) fn new(key: &identity::Keypair, network: &NetworkId) -> Result<Self, NetError> {
        let limits = ConnectionLimits::default()
            .with_max_established(Some(CONNECTIONS_MAX + NEWCOMERS_MAX))
            .with_max_established_incoming(Some(CONNECTIONS_IN_MAX + NEWCOMERS_MAX))
            .with_max_established_outgoing(Some(CONNECTIONS_OUT_MAX))
            .with_max_pending_outgoing(Some(PENDING_OUT_MAX))
            .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX));
        let identify = identify::Config::new(protocol_version(network), key.public())
            .with_agent_version(concat!("lanchain/", env!("CARGO_PKG_VERSION")).to_owned())
            .with_interval(IDENTIFY_INTERVAL)
            .with_push_listen_addr_updates(false)
            .with_hide_listen_addrs(false)
            .with_cache_size(0);
        let ping = ping::Config::new()
            .with_interval(PING_INTERVAL)
            .with_timeout(PING_TIMEOUT);
        let protocol = sync_protocol(network)?;
        let exchange = request_response::Config::default()
            .with_request_timeout(REQUEST_TIMEOUT)
            .with_max_concurrent_streams(STREAMS_MAX);
        Ok(Self {
            gate: Gate::default(),
            limits: connection_limits::Behaviour::new(limits),
            blocked: allow_block_list::Behaviour::default(),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping),
            gossip: gossip(network)?,
            sync: request_response::Behaviour::with_codec(
                Codec::default(),
                [(protocol, ProtocolSupport::Full)],
                exchange,
            ),
        })
    }
}

impl Node {
    /// This machine's own networks are others now.
    pub(super) fn set_networks(&mut self, networks: Vec<Prefix>) {
        self.gate.set_networks(networks);
    }
}

fn gossip(
    network: &NetworkId,
) -> Result<gossipsub::Behaviour<gossipsub::IdentityTransform, WhitelistSubscriptionFilter>, NetError> {
    let setup = |error: &dyn core::fmt::Display| NetError::Setup(error.to_string());
    let topics = [topic(network, Topic::Transactions), topic(network, Topic::Blocks)];
    let mut config = gossipsub::ConfigBuilder::default();
    mesh(&mut config);
    let config = config
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(message_id)
        .validate_messages()
        .flood_publish(false)
        .allow_self_origin(false)
        .history_length(usize::from(VERDICT_HEARTBEATS))
        .duplicate_cache_time(DUPLICATE_CACHE)
        .connection_handler_queue_len(GOSSIP_WAITING_MAX)
        .publish_queue_duration(GOSSIP_WAITING)
        .forward_queue_duration(GOSSIP_WAITING)
        .heartbeat_interval(Duration::from_secs(1))
        .heartbeat_initial_delay(Duration::from_millis(100))
        .max_transmit_size(GOSSIP_BLOCK_MAX_BYTES)
        .max_transmit_size_for_topic(GOSSIP_TX_MAX_BYTES + FRAME_ROOM_BYTES, topics[0].hash())
        .build()
        .map_err(|error| setup(&error))?;
    let whitelist = WhitelistSubscriptionFilter(topics.iter().map(IdentTopic::hash).collect());
    let mut gossip =
        gossipsub::Behaviour::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, whitelist)
            .map_err(|error| setup(&error))?;
    gossip
        .with_peer_score(score_params(&topics), score_thresholds())
        .map_err(|error| setup(&error))?;
    for topic in &topics {
        gossip.subscribe(topic).map_err(|error| setup(&error))?;
    }
    Ok(gossip)
}

/// The library's own numbers for the mesh and for what is told to others than it. They suit a few hundred nodes; they
/// are named here so that a new version of the library changes none of them unseen.
fn mesh(config: &mut gossipsub::ConfigBuilder) {
    config
        .mesh_n(6)
        .mesh_n_low(5)
        .mesh_n_high(12)
        .mesh_outbound_min(2)
        .retain_scores(4)
        .gossip_lazy(6)
        .gossip_factor(0.25)
        .history_gossip(3)
        .gossip_retransimission(3)
        .iwant_followup_time(Duration::from_secs(3))
        .max_ihave_messages_heartbeat(10)
        .max_publish_messages(GOSSIP_IN_FRAME_MAX)
        .max_control_messages_sent(GOSSIP_IN_FRAME_MAX)
        .max_control_message_size(16 * 1024)
        .prune_peers(0)
        .prune_backoff(Duration::from_secs(60))
        .unsubscribe_backoff(Duration::from_secs(10))
        .backoff_slack(1)
        .graft_flood_threshold(Duration::from_secs(10))
        .opportunistic_graft_ticks(60)
        .opportunistic_graft_peers(2)
        .fanout_ttl(Duration::from_secs(60))
        .check_explicit_peers_ticks(300)
        .idontwant_message_size_threshold(1000)
        .idontwant_on_publish(false);
}

fn score_thresholds() -> gossipsub::PeerScoreThresholds {
    gossipsub::PeerScoreThresholds {
        gossip_threshold: -40.0,
        publish_threshold: -80.0,
        graylist_threshold: -160.0,
        accept_px_threshold: 0.0,
        opportunistic_graft_threshold: 1.0,
    }
}

/// Scores for a LAN: many honest nodes share one address, blocks are rare, and only invalid messages weigh much.
fn score_params(topics: &[IdentTopic]) -> gossipsub::PeerScoreParams {
    let topic = gossipsub::TopicScoreParams {
        topic_weight: 1.0,
        // Sitting in the mesh is worth a point at most; the defaults would let it outweigh any misdeed.
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 100.0,
        first_message_deliveries_weight: 0.05,
        first_message_deliveries_decay: 0.9,
        first_message_deliveries_cap: 100.0,
        // A topic may be silent for minutes without anybody's fault.
        mesh_message_deliveries_weight: 0.0,
        mesh_message_deliveries_decay: 0.5,
        mesh_message_deliveries_cap: 100.0,
        mesh_message_deliveries_threshold: 20.0,
        mesh_message_deliveries_window: Duration::from_millis(10),
        mesh_message_deliveries_activation: Duration::from_secs(5),
        mesh_failure_penalty_weight: 0.0,
        mesh_failure_penalty_decay: 0.5,
        // Forgotten within an hour: the third invalid message of ten minutes crosses the graylist threshold.
        invalid_message_deliveries_weight: -38.0,
        invalid_message_deliveries_decay: gossipsub::score_parameter_decay(Duration::from_secs(3600)),
    };
    gossipsub::PeerScoreParams {
        topics: topics
            .iter()
            .map(|name| (name.hash(), topic.clone()))
            .collect::<HashMap<_, _>>(),
        topic_score_cap: 10.0,
        app_specific_weight: 0.0,
        // With the defaults, more than ten nodes on one machine would silence each other.
        ip_colocation_factor_weight: 0.0,
        ip_colocation_factor_threshold: 10.0,
        ip_colocation_factor_whitelist: HashSet::new(),
        // Grafts against a back-off and broken promises: six are free, as a node that was restarted knows of none.
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: 0.2,
        decay_interval: Duration::from_secs(1),
        decay_to_zero: 0.1,
        // Who comes back within the hour finds its score again.
        retain_score: Duration::from_secs(3600),
        // A message that found no room at this end is no fault of the reader. With the default weight one of them puts
        // it out of the mesh for a minute, where it hears everything late.
        slow_peer_weight: 0.0,
        slow_peer_threshold: 0.0,
        slow_peer_decay: 0.2,
    }
}
