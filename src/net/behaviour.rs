//! The swarm's behaviour: the protocols that a node speaks, and their limits.
//!
//! Promises: the parts that can refuse a connection come first; the id of a message depends on its content alone; no
//! message is forwarded before its verdict.
//! Elsewhere: the handling of the events (`net::swarm`), discovery (`net::discovery`).
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
use crate::chain::header::HEADER_BYTES;
use crate::types::NetworkId;
use crate::types::hash::sha256;
use crate::types::prefix::Prefix;
use crate::wire::{COMPACT_BLOCK_MAX_BYTES, GOSSIP_TX_MAX_BYTES, Topic};

/// The most connections: enough for all neighbours in a class room, and few enough for a small machine.
const CONNECTIONS_MAX: u32 = 48;
/// The most inbound connections. The rest is kept for own dials, so that strangers cannot choose all our neighbours.
pub(super) const CONNECTIONS_IN_MAX: u32 = 32;
/// Inbound connections above that for a moment, because a newcomer must be connected before the one to leave is chosen.
const NEWCOMERS_MAX: u32 = 4;
/// The most connections that this node dialled.
const CONNECTIONS_OUT_MAX: u32 = 16;
/// The most own dials under way: what the dial manager starts in ten seconds, and some more. The gate counts inbound
/// handshakes.
const PENDING_OUT_MAX: u32 = 48;
/// The most connections to one peer. With a limit of one, two nodes that dial each other at the same time would end
/// with none.
const CONNECTIONS_PER_PEER_MAX: u32 = 2;
/// The interval between pings, and the time to answer one: a dead neighbour is noticed within fifteen seconds.
const PING_INTERVAL: Duration = Duration::from_secs(7);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time from opening a request's stream to the end of its response, while bytes arrive. It is longer than
/// the engine's longest patience with a slow link. A stream without progress ends sooner (`net::codec`).
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(80);
/// The most streams for requests and responses on one connection; libp2p resets further ones without a response.
const STREAMS_MAX: usize = 16;
/// How long a message id counts as seen: much longer than a block needs to reach everybody.
const DUPLICATE_CACHE: Duration = Duration::from_secs(600);
/// How many heartbeats a message waits for its verdict.
pub(super) const VERDICT_HEARTBEATS: u8 = 12;
/// The most messages that wait until a peer reads its gossip; sync brings those that do not fit. Each waits in a separate
/// copy for each reader, whether it reads or not. Payments that follow each other are collected into one message before.
pub(super) const GOSSIP_WAITING_MAX: usize = 4;
/// How long these messages wait, own and forwarded ones: on a slow wireless link, an answer of a megabyte before them
/// takes seconds.
const GOSSIP_WAITING: Duration = Duration::from_secs(5);
/// How often identify asks a peer again who it is. Only its first answer counts.
const IDENTIFY_INTERVAL: Duration = Duration::from_secs(300);
/// The most messages and ids in a frame. A page of 128 transactions is one message, and nobody has thousands to
/// announce at once.
const GOSSIP_IN_FRAME_MAX: usize = 5000;
/// The end of the name of the topic for blocks.
const BLOCK_TOPIC: &str = "block/2";
/// Bytes for the topic and the field headers around a message.
const FRAME_ROOM_BYTES: usize = 1024;

/// The protocols of a node. The parts that can deny a connection come first, because the others must not see a denied
/// one.
#[derive(NetworkBehaviour)]
pub(super) struct NodeBehaviour {
    gate: Gate,
    limits: connection_limits::Behaviour,
    pub(super) blocked: allow_block_list::Behaviour<BlockedPeers>,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) gossip: gossipsub::Behaviour<gossipsub::IdentityTransform, WhitelistSubscriptionFilter>,
    pub(super) sync: request_response::Behaviour<Codec>,
}

/// The protocol version that identify sends, by which two nodes of one network recognise each other.
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
        Topic::Transactions => "tx/1",
        Topic::Blocks => BLOCK_TOPIC,
    };
    IdentTopic::new(format!("lanchain/{network}/{name}"))
}

/// The id of a message. It depends on topic and bytes alone, so that the same message from two peers has one id. That of a
/// block is its hash: of all lists with one header, the first is the one that goes on.
pub(super) fn message_id(message: &gossipsub::Message) -> MessageId {
    if message.topic.as_str().ends_with(BLOCK_TOPIC)
        && let Some(header) = message.data.first_chunk::<HEADER_BYTES>()
    {
        return MessageId::from(sha256(&[header]));
    }
    let digest = sha256(&[message.topic.as_str().as_bytes(), &message.data]);
    MessageId::from(&digest[..20])
}

impl NodeBehaviour {
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

impl NodeBehaviour {
    /// Takes note of this machine's present networks.
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
        .max_transmit_size(GOSSIP_TX_MAX_BYTES + FRAME_ROOM_BYTES)
        .max_transmit_size_for_topic(COMPACT_BLOCK_MAX_BYTES + FRAME_ROOM_BYTES, topics[1].hash())
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

/// Sets the library's default numbers for the mesh and for announcements to peers outside it. They suit a few hundred
/// nodes, and are set here so that a new version of the library cannot change them unnoticed.
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

/// Scores for a LAN: many honest nodes share one address, blocks are rare, and only invalid messages have much weight.
fn score_params(topics: &[IdentTopic]) -> gossipsub::PeerScoreParams {
    let topic = gossipsub::TopicScoreParams {
        topic_weight: 1.0,
        // Time in the mesh is worth one point at most; with the defaults it would outweigh any misbehaviour.
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 100.0,
        first_message_deliveries_weight: 0.05,
        first_message_deliveries_decay: 0.9,
        first_message_deliveries_cap: 100.0,
        // A topic may be silent for minutes, and nobody is at fault.
        mesh_message_deliveries_weight: 0.0,
        mesh_message_deliveries_decay: 0.5,
        mesh_message_deliveries_cap: 100.0,
        mesh_message_deliveries_threshold: 20.0,
        mesh_message_deliveries_window: Duration::from_millis(10),
        mesh_message_deliveries_activation: Duration::from_secs(5),
        mesh_failure_penalty_weight: 0.0,
        mesh_failure_penalty_decay: 0.5,
        // The penalty decays within an hour. Three invalid messages within ten minutes cross the graylist threshold.
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
        // With the defaults, more than ten nodes on one machine would stop listening to each other.
        ip_colocation_factor_weight: 0.0,
        ip_colocation_factor_threshold: 10.0,
        ip_colocation_factor_whitelist: HashSet::new(),
        // Grafts during a back-off and broken promises. Six are free, because a restarted node does not know its
        // back-offs.
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: 0.2,
        decay_interval: Duration::from_secs(1),
        decay_to_zero: 0.1,
        // A peer that comes back within the hour still has its score.
        retain_score: Duration::from_secs(3600),
        // A message that was dropped here for lack of room is not the reader's fault. With the default weight, one such
        // message removes the reader from the mesh for a minute, during which it receives everything late.
        slow_peer_weight: 0.0,
        slow_peer_threshold: 0.0,
        slow_peer_decay: 0.2,
    }
}
