//! Nodes over 127.0.0.1, without discovery.

use std::time::Duration;

use futures::StreamExt;
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, SwarmBuilder, identify, identity, noise, ping, tcp, yamux};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::codec::{Codec, Raw};
use super::{NetConfig, NetError, NetHandle, start};
use crate::contract::{Direction, Stranger};
use crate::engine::Fault;
use crate::engine::{NetFact, NetOrder, Verdict};
use crate::types::{Address, NetworkId, SecretKey};
use crate::wire::{Request, Response, Topic};

mod bare;
mod crowd;
mod discovery;
mod foreign;
mod frames;
mod gossip;
mod lan;
mod raw;
mod streams;
mod vectors;

const NETWORK: NetworkId = NetworkId::new([7; 32]);
const OTHER: NetworkId = NetworkId::new([8; 32]);
/// A time limit that nothing here exceeds, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct Net {
    handle: NetHandle,
    orders: mpsc::Sender<NetOrder>,
    facts: mpsc::Receiver<NetFact>,
    address: Address,
}

fn config(seed: u8, network_id: NetworkId) -> NetConfig {
    NetConfig {
        key: SecretKey::from_seed([seed; 32]),
        network_id,
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        port: 0,
        bind: Vec::new(),
        mdns: false,
    }
}

#[expect(clippy::result_large_err, reason = "the fact is given back as it came")]
fn launch(config: &NetConfig) -> Result<(NetHandle, mpsc::Sender<NetOrder>, mpsc::Receiver<NetFact>), NetError> {
    let (orders, receiver) = mpsc::channel(64);
    let (sink, facts) = mpsc::channel(256);
    let sink = Box::new(move |_, fact| {
        sink.try_send(fact).map_err(|error| match error {
            mpsc::error::TrySendError::Full(fact) | mpsc::error::TrySendError::Closed(fact) => fact,
        })
    });
    Ok((start(config, receiver, sink)?, orders, facts))
}

async fn node(seed: u8, network_id: NetworkId) -> Net {
    let (handle, orders, mut facts) = launch(&config(seed, network_id)).unwrap();
    let Some(NetFact::Listening(address)) = facts.recv().await else {
        panic!("the first fact is where it listens");
    };
    Net {
        handle,
        orders,
        facts,
        address,
    }
}

impl Net {
    fn id(&self) -> PeerId {
        self.handle.peer_id
    }

    async fn order(&self, order: NetOrder) {
        self.orders.send(order).await.unwrap();
    }

    async fn dial(&self, other: &Self) {
        let (peer, addresses) = (Some(other.id()), vec![other.address.clone()]);
        self.order(NetOrder::Dial { peer, addresses }).await;
    }

    /// Waits for the first fact that `pick` accepts, and drops all others.
    async fn expect<T>(&mut self, what: &str, mut pick: impl FnMut(NetFact) -> Option<T>) -> T {
        let wait = async {
            loop {
                let fact = self.facts.recv().await.expect("the network runs");
                if let Some(taken) = pick(fact) {
                    return taken;
                }
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("no {what}"))
    }

    async fn connected(&mut self, other: PeerId) -> (Address, Direction) {
        self.expect("connection", |fact| match fact {
            NetFact::Connected {
                peer,
                address,
                direction,
            } if peer == other => Some((address, direction)),
            _ => None,
        })
        .await
    }

    async fn disconnected(&mut self, other: PeerId) -> String {
        self.expect("disconnection", |fact| match fact {
            NetFact::Disconnected { peer, reason } if peer == other => Some(reason.to_string()),
            _ => None,
        })
        .await
    }
}

#[tokio::test]
async fn the_reason_of_a_failed_dial_is_one_that_the_doctor_knows() {
    use crate::contract::Cause;
    let mut a = node(1, NETWORK).await;
    let b = node(2, NETWORK).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |listener: &std::net::TcpListener| listener.local_addr().unwrap().port();
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        port(&listener)
    };
    let hangs_up = port(&closed);
    std::thread::spawn(move || closed.incoming().take(1).for_each(drop));
    let stranger = SecretKey::from_seed([9; 32]).public().peer_id();
    for (peer, port, cause) in [
        (None, nobody, Cause::Refused),
        (None, hangs_up, Cause::Closed),
        (Some(stranger), b.address.tcp().unwrap().1, Cause::OtherKey),
    ] {
        let addresses = vec![Address::parse(&format!("127.0.0.1:{port}")).unwrap().0];
        a.order(NetOrder::Dial { peer, addresses }).await;
        let reason = a
            .expect("failure", |fact| match fact {
                NetFact::DialFailed { reason, .. } => Some(reason),
                _ => None,
            })
            .await;
        assert_eq!(reason.cause(), cause, "{reason}");
    }
    // A name is looked up, and what it leads to is known by that name too.
    let name = Address::parse_typed(&format!("/dns4/localhost/tcp/{}", b.address.tcp().unwrap().1))
        .unwrap()
        .0;
    let addresses = vec![name.clone()];
    a.order(NetOrder::Dial { peer: None, addresses }).await;
    assert_eq!(a.connected(b.id()).await, (b.address.clone(), Direction::Out));
    let known = a
        .expect("the name", |fact| match fact {
            NetFact::DialFailed { peer, addresses, .. } => Some((peer, addresses)),
            _ => None,
        })
        .await;
    assert_eq!(known, (Some(b.id()), vec![name]));
}

#[tokio::test]
async fn two_nodes_connect_without_discovery_and_name_their_listen_addresses() {
    let (mut a, mut b) = (node(1, NETWORK).await, node(2, NETWORK).await);
    a.dial(&b).await;
    assert_eq!(a.connected(b.id()).await, (b.address.clone(), Direction::Out));
    assert_eq!(b.connected(a.id()).await, (a.address.clone(), Direction::In));
    let gone = a.id();
    drop(a.orders);
    a.handle.stopped().await;
    b.disconnected(gone).await;
}

#[tokio::test]
async fn an_address_without_a_peer_can_be_dialled() {
    let (mut a, b) = (node(1, NETWORK).await, node(2, NETWORK).await);
    let addresses = vec![b.address.clone()];
    a.order(NetOrder::Dial { peer: None, addresses }).await;
    a.connected(b.id()).await;
}

#[tokio::test]
async fn a_dead_address_ends_in_dial_failed() {
    let mut a = node(1, NETWORK).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let addresses = vec![Address::parse(&free.to_string()).unwrap().0];
    let peer = Some(PeerId::random());
    let order = NetOrder::Dial {
        peer,
        addresses: addresses.clone(),
    };
    a.order(order).await;
    let failed = a
        .expect("failure", |fact| match fact {
            NetFact::DialFailed {
                peer,
                addresses,
                stranger,
                ..
            } => Some((peer, addresses, stranger)),
            _ => None,
        })
        .await;
    assert_eq!(failed, (peer, addresses, None));
}

#[tokio::test]
async fn gossip_reaches_the_third_node_through_the_second_only_after_its_verdict() {
    let (mut a, mut b, mut c) = (node(1, NETWORK).await, node(2, NETWORK).await, node(3, NETWORK).await);
    a.dial(&b).await;
    c.dial(&b).await;
    a.connected(b.id()).await;
    c.connected(b.id()).await;
    // Subscriptions arrive a moment after the connection: what nobody heard is followed by another message, since the same one
    // is published once only.
    let taken = |fact| match fact {
        NetFact::Gossip {
            token,
            topic,
            bytes,
            peer,
        } => Some((token, topic, bytes, peer)),
        _ => None,
    };
    let mut heard = None;
    for number in 0..100 {
        let publish = NetOrder::Publish {
            topic: Topic::Blocks,
            bytes: vec![number; 2000],
        };
        a.order(publish).await;
        heard = timeout(Duration::from_millis(300), b.expect("gossip", taken))
            .await
            .ok();
        if heard.is_some() {
            break;
        }
    }
    let (token, topic, bytes, from) = heard.expect("one of a hundred messages arrives");
    assert_eq!((topic, from), (Topic::Blocks, a.id()));
    assert!(bytes.len() == 2000 && bytes.iter().all(|byte| *byte == bytes[0]));
    // Without a verdict nothing is forwarded.
    assert!(
        timeout(Duration::from_millis(300), c.expect("gossip", taken))
            .await
            .is_err()
    );
    let verdict = Verdict::Accept;
    b.order(NetOrder::Verdict { token, verdict }).await;
    let (_, topic, got, from) = c.expect("gossip", taken).await;
    assert_eq!((topic, got, from), (Topic::Blocks, bytes, b.id()));
}

#[tokio::test]
async fn a_request_comes_back_with_its_answer_and_a_request_to_nobody_with_none() {
    let (mut a, mut b) = (node(1, NETWORK).await, node(2, NETWORK).await);
    a.dial(&b).await;
    a.connected(b.id()).await;
    let request = Request::GetPending { after: [3; 32] };
    let order = NetOrder::Request {
        id: 5,
        peer: b.id(),
        request: request.clone(),
    };
    a.order(order).await;
    let (token, asked) = b
        .expect("request", |fact| match fact {
            NetFact::Request { token, request, .. } => Some((token, request)),
            NetFact::Malformed { reason, .. } => panic!("{reason}"),
            _ => None,
        })
        .await;
    assert_eq!(asked, request);
    let response = Response::Pending(vec![vec![9; 300]]);
    let answer = NetOrder::Answer {
        token,
        response: response.clone(),
    };
    b.order(answer).await;
    let ended = |fact| match fact {
        NetFact::Response { id, response, .. } => Some((id, response)),
        _ => None,
    };
    assert_eq!(a.expect("answer", ended).await, (5, Some(response)));
    let nobody = NetOrder::Request {
        id: 6,
        peer: PeerId::random(),
        request,
    };
    a.order(nobody).await;
    assert_eq!(a.expect("answer", ended).await, (6, None));
}

#[derive(NetworkBehaviour)]
struct OtherProgram {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    sync: request_response::Behaviour<Codec>,
}

/// Speaks the protocol, sends raw requests, and gives the answers' bytes. Identify tells a version that is none of ours, as
/// with libraries that do not let a program choose it: the protocol alone shows the network.
async fn raw_requests(to: Multiaddr, peer: PeerId, requests: Vec<Raw>) -> Vec<Option<Raw>> {
    let protocol = StreamProtocol::try_from_owned(format!("/lanchain/{NETWORK}/sync/1")).unwrap();
    let mut swarm = SwarmBuilder::with_existing_identity(identity::Keypair::ed25519_from_bytes([9; 32]).unwrap())
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|key| OtherProgram {
            identify: identify::Behaviour::new(identify::Config::new("ipfs/0.1.0".to_owned(), key.public())),
            ping: ping::Behaviour::default(),
            sync: request_response::Behaviour::with_codec(
                Codec::default(),
                [(protocol, ProtocolSupport::Full)],
                request_response::Config::default(),
            ),
        })
        .unwrap()
        .build();
    swarm.add_peer_address(peer, to);
    let count = requests.len();
    for request in requests {
        swarm.behaviour_mut().sync.send_request(&peer, request);
    }
    let mut answers = Vec::new();
    while answers.len() < count {
        match swarm.select_next_some().await {
            SwarmEvent::Behaviour(OtherProgramEvent::Sync(request_response::Event::Message {
                message: request_response::Message::Response { response, .. },
                ..
            })) => answers.push(Some(response)),
            SwarmEvent::Behaviour(OtherProgramEvent::Sync(request_response::Event::OutboundFailure { .. })) => {
                answers.push(None);
            }
            _ => {}
        }
    }
    answers
}

#[tokio::test]
async fn a_malformed_request_is_reported_with_its_sender() {
    let mut a = node(1, NETWORK).await;
    let to = a.address.as_str().parse().unwrap();
    let mut trailing = Request::GetPending { after: [0; 32] }.encode();
    trailing.push(0);
    let asked = tokio::spawn(raw_requests(to, a.id(), vec![Raw::Whole(trailing)]));
    let (peer, fault) = a
        .expect("report", |fact| match fact {
            NetFact::Malformed { peer, fault, .. } => Some((peer, fault)),
            _ => None,
        })
        .await;
    let stranger = identity::Keypair::ed25519_from_bytes([9; 32]).unwrap();
    assert_eq!((peer, fault), (stranger.public().to_peer_id(), Fault::Fatal));
    // No answer: an empty stream, which is no message.
    let nothing = matches!(&asked.await.unwrap()[..], [None] | [Some(Raw::Whole(_))]);
    assert!(nothing);
}

#[tokio::test]
async fn adv_w16_a_request_of_a_newer_kind_is_answered_with_unsupported() {
    let a = node(1, NETWORK).await;
    let to = a.address.as_str().parse().unwrap();
    let answers = raw_requests(to, a.id(), vec![Raw::Whole(vec![99, 0, 0, 0, 1, 2])]).await;
    assert_eq!(answers, [Some(Raw::Whole(Response::Unsupported.encode()))]);
}

#[tokio::test]
async fn a_ninth_request_in_process_is_answered_with_busy() {
    let mut a = node(1, NETWORK).await;
    let to = a.address.as_str().parse().unwrap();
    let requests = (0..9).map(|i| Raw::Whole(Request::GetPending { after: [i; 32] }.encode()));
    let asked = tokio::spawn(raw_requests(to, a.id(), requests.collect()));
    let mut tokens = Vec::new();
    while tokens.len() < 8 {
        tokens.push(
            a.expect("request", |fact| match fact {
                NetFact::Request { token, .. } => Some(token),
                _ => None,
            })
            .await,
        );
    }
    for token in tokens {
        let response = Response::Pending(Vec::new());
        a.order(NetOrder::Answer { token, response }).await;
    }
    let answers = asked.await.unwrap();
    let busy = Some(Raw::Whole(Response::Busy.encode()));
    assert_eq!(
        answers.iter().filter(|answer| **answer == busy).count(),
        1,
        "{answers:?}"
    );
}

#[tokio::test]
async fn adv_w18_a_node_of_another_network_is_refused_politely_by_both() {
    let (mut a, mut b) = (node(1, NETWORK).await, node(2, OTHER).await);
    a.dial(&b).await;
    let refused = |fact| match fact {
        NetFact::DialFailed { peer, stranger, .. } => Some((peer, stranger)),
        NetFact::Connected { .. } => panic!("another network is no peer"),
        _ => None,
    };
    assert_eq!(
        a.expect("refusal", refused).await,
        (Some(b.id()), Some(Stranger::Network))
    );
    assert_eq!(
        b.expect("refusal", refused).await,
        (Some(a.id()), Some(Stranger::Network))
    );
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_it() {
    let a = node(1, NETWORK).await;
    let taken: Multiaddr = a.address.as_str().parse().unwrap();
    let Some(Protocol::Tcp(port)) = taken.iter().nth(1) else {
        panic!("a TCP address");
    };
    let second = NetConfig {
        listen: vec![taken],
        ..config(2, NETWORK)
    };
    assert_eq!(launch(&second).unwrap_err(), NetError::PortInUse { port });
    let any = NetConfig {
        listen: Vec::new(),
        port,
        ..config(2, NETWORK)
    };
    assert_eq!(launch(&any).unwrap_err(), NetError::PortInUse { port });
}

#[tokio::test]
async fn the_cable_can_be_pulled_and_plugged_in_again_on_the_same_port() {
    let (mut a, mut b) = (node(1, NETWORK).await, node(2, NETWORK).await);
    a.dial(&b).await;
    a.connected(b.id()).await;
    b.connected(a.id()).await;
    b.order(NetOrder::Enable(false)).await;
    a.disconnected(b.id()).await;
    let (mut gone, mut closed) = (false, false);
    b.expect("end", |fact| {
        gone |= matches!(fact, NetFact::Disconnected { .. });
        closed |= matches!(fact, NetFact::NotListening(_));
        (gone && closed).then_some(())
    })
    .await;
    b.dial(&a).await;
    b.expect("refusal", |fact| {
        matches!(fact, NetFact::DialFailed { .. }).then_some(())
    })
    .await;
    b.order(NetOrder::Enable(true)).await;
    let again = b
        .expect("listener", |fact| match fact {
            NetFact::Listening(address) => Some(address),
            _ => None,
        })
        .await;
    assert_eq!(again, b.address);
    a.dial(&b).await;
    a.connected(b.id()).await;
    b.connected(a.id()).await;
}

#[tokio::test]
async fn adv_w28_a_mutual_dial_ends_with_one_connection() {
    let (mut a, mut b) = (node(1, NETWORK).await, node(2, NETWORK).await);
    tokio::join!(a.dial(&b), b.dial(&a));
    a.connected(b.id()).await;
    b.connected(a.id()).await;
    // Pings tell the connections: after the spare one has gone, one answer comes for each five seconds.
    let until = tokio::time::Instant::now() + Duration::from_secs(8);
    while let Ok(Some(fact)) = tokio::time::timeout_at(until, a.facts.recv()).await {
        assert!(!matches!(fact, NetFact::Disconnected { .. }), "{fact:?}");
    }
    let mut pings = 0;
    let until = tokio::time::Instant::now() + Duration::from_millis(9_500);
    while let Ok(Some(fact)) = tokio::time::timeout_at(until, a.facts.recv()).await {
        assert!(!matches!(fact, NetFact::Disconnected { .. }), "{fact:?}");
        pings += usize::from(matches!(fact, NetFact::Latency { .. }));
    }
    assert!((1..=2).contains(&pings), "{pings} pings");
}

#[tokio::test]
async fn a_banned_peer_is_closed_and_refused_until_it_is_allowed_again() {
    let (mut a, mut b) = (node(1, NETWORK).await, node(2, NETWORK).await);
    a.dial(&b).await;
    a.connected(b.id()).await;
    b.connected(a.id()).await;
    let peer = b.id();
    a.order(NetOrder::Ban { peer, banned: true }).await;
    assert_eq!(a.disconnected(peer).await, "refused by this node");
    b.disconnected(a.id()).await;
    a.dial(&b).await;
    a.expect("refusal", |fact| {
        matches!(fact, NetFact::DialFailed { .. }).then_some(())
    })
    .await;
    a.order(NetOrder::Ban { peer, banned: false }).await;
    a.dial(&b).await;
    a.connected(peer).await;
}
