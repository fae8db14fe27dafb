//! Gossip against peers that abuse it, and a class room behind one address.

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::muxing::SubstreamBox;

use super::raw::{Foreign, Manner, field, framed, number};
use super::*;

fn name(kind: Topic) -> String {
    super::super::behaviour::topic(&NETWORK, kind).to_string()
}

pub(super) fn subscribe(topic: Topic) -> Vec<u8> {
    subscription(&name(topic))
}

fn subscription(topic: &str) -> Vec<u8> {
    field(1, &[number(1, 1), field(2, topic.as_bytes())].concat())
}

fn control(parts: &[Vec<u8>]) -> Vec<u8> {
    field(3, &parts.concat())
}

fn message(kind: Topic, data: &[u8], extra: &[u8]) -> Vec<u8> {
    let topic = name(kind);
    field(
        2,
        &[field(2, data), field(4, topic.as_bytes()), extra.to_vec()].concat(),
    )
}

/// Sends one gossip frame; returns whether it was taken. A stream that is not read takes its first window and then
/// nothing.
pub(super) async fn send(stream: &mut SubstreamBox, rpc: &[u8]) -> bool {
    let frame = framed(rpc);
    let write = async { stream.write_all(&frame).await.is_ok() && stream.flush().await.is_ok() };
    timeout(Duration::from_secs(2), write).await.unwrap_or(false)
}

async fn gossiper(net: &mut Net, seed: u8) -> (Foreign, SubstreamBox) {
    let peer = Foreign::connect(seed, &net.address, None, Manner::default())
        .await
        .unwrap();
    net.connected(peer.peer).await;
    let mut stream = peer.speak("/meshsub/1.1.0").await.unwrap();
    send(
        &mut stream,
        &[subscribe(Topic::Blocks), subscribe(Topic::Transactions)].concat(),
    )
    .await;
    (peer, stream)
}

/// Waits for a gossip message and returns its bytes.
async fn gossip(net: &mut Net) -> Vec<u8> {
    net.expect("gossip", |fact| match fact {
        NetFact::Gossip { bytes, .. } => Some(bytes),
        _ => None,
    })
    .await
}

/// Whether the node still serves: an honest newcomer's message arrives, with nothing else before it.
async fn serves(net: &mut Net, seed: u8, first: &[u8]) {
    let (_peer, mut stream) = gossiper(net, seed).await;
    send(&mut stream, &message(Topic::Blocks, first, &[])).await;
    assert_eq!(gossip(net).await, first);
}

#[tokio::test]
async fn adv_g23_a_message_with_an_author_a_number_or_a_signature_is_not_taken() {
    let mut a = node(1, NETWORK).await;
    for (seed, extra) in [
        (1, field(1, b"author")),
        (2, field(3, &[0; 8])),
        (3, field(5, &[1; 64])),
    ] {
        let (peer, mut stream) = gossiper(&mut a, seed).await;
        assert!(send(&mut stream, &message(Topic::Blocks, &[7; 100], &extra)).await);
        // What is the same but anonymous arrives, and is the first that does.
        assert!(send(&mut stream, &message(Topic::Blocks, &[7 + seed; 100], &[])).await);
        assert_eq!(gossip(&mut a).await, [7 + seed; 100]);
        assert!(peer.is_connected().await);
    }
}

#[tokio::test]
async fn adv_g11_a_transaction_message_above_its_limit_is_not_taken() {
    let mut a = node(1, NETWORK).await;
    let (_peer, mut stream) = gossiper(&mut a, 1).await;
    send(&mut stream, &message(Topic::Transactions, &[7; 64 * 1024 + 1], &[])).await;
    // What comes behind it on the same stream is the first that is heard.
    send(&mut stream, &message(Topic::Transactions, &[8; 100], &[])).await;
    assert_eq!(gossip(&mut a).await, [8; 100]);
}

#[tokio::test]
async fn adv_g11_a_frame_above_all_limits_ends_its_stream_and_is_not_taken() {
    let mut a = node(1, NETWORK).await;
    let (_peer, mut stream) = gossiper(&mut a, 1).await;
    send(
        &mut stream,
        &message(Topic::Transactions, &vec![7; 2 * 1024 * 1024], &[]),
    )
    .await;
    timeout(PATIENCE, stream.read_to_end(&mut Vec::new()))
        .await
        .expect("the stream ends")
        .ok();
    while let Ok(fact) = a.facts.try_recv() {
        assert!(!matches!(fact, NetFact::Gossip { .. }));
    }
    serves(&mut a, 2, &[1; 50]).await;
}

#[tokio::test]
async fn adv_g25_invented_ids_are_asked_for_within_a_budget_and_the_node_serves_on() {
    let mut a = node(1, NETWORK).await;
    let (mut peer, mut stream) = gossiper(&mut a, 1).await;
    let topic = name(Topic::Blocks);
    let ids = |from: u32| -> Vec<u8> {
        let list = (from..from + 700).flat_map(|id| field(2, &[&[9; 16][..], &id.to_be_bytes()].concat()));
        [field(1, topic.as_bytes()), list.collect()].concat()
    };
    for call in 0..30 {
        send(&mut stream, &control(&[field(1, &ids(call * 700))])).await;
    }
    let mut asked = 0;
    while let Ok(Some(frame)) = timeout(Duration::from_secs(3), peer.heard.recv()).await {
        asked += frame.windows(16).filter(|part| **part == [9; 16]).count();
    }
    assert!((1..=5_000).contains(&asked), "{asked} of 21000 were asked for");
    serves(&mut a, 2, &[1; 50]).await;
}

#[tokio::test]
async fn adv_g26_w24_topics_prunes_and_grafts_of_no_sense_change_nothing() {
    let mut a = node(1, NETWORK).await;
    let (peer, mut stream) = gossiper(&mut a, 1).await;
    for call in 0..20 {
        let topics: Vec<_> = (0..200).map(|n| subscription(&format!("{call}-{n}"))).collect();
        send(&mut stream, &topics.concat()).await;
    }
    let blocks = name(Topic::Blocks);
    for backoff in [
        u64::MAX,
        u64::MAX / 2,
        i64::MAX.unsigned_abs(),
        i64::MAX.unsigned_abs() - 1,
        0,
    ] {
        for topic in [blocks.as_str(), "never joined"] {
            let prune = field(4, &[field(1, topic.as_bytes()), number(3, backoff)].concat());
            send(&mut stream, &control(&[prune])).await;
        }
    }
    let grafts: Vec<_> = (0..500)
        .map(|n| field(3, &field(1, format!("topic {n}").as_bytes())))
        .collect();
    for _ in 0..40 {
        assert!(send(&mut stream, &control(&grafts)).await);
    }
    // More than two heartbeats, in which back-offs and meshes are worked on.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(peer.is_connected().await);
    serves(&mut a, 2, &[1; 50]).await;
}

#[tokio::test]
async fn adv_g26_of_a_peers_subscriptions_our_two_topics_are_kept() {
    let mut swarm = super::super::swarm::build(&config(1, NETWORK)).unwrap();
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break Address::parse(&address.to_string()).unwrap().0;
        }
    };
    let flood = tokio::spawn(async move {
        let peer = Foreign::connect(1, &address, None, Manner::default()).await.unwrap();
        let mut stream = peer.speak("/meshsub/1.1.0").await.unwrap();
        for call in 0..50 {
            let topics = (0..200).map(|n| subscription(&format!("{call}-{n}")));
            let both = [subscribe(Topic::Blocks), subscribe(Topic::Transactions)];
            let all: Vec<_> = both.into_iter().chain(topics).collect();
            send(&mut stream, &all.concat()).await;
        }
        // When this is heard, all before it was.
        send(&mut stream, &message(Topic::Blocks, b"last", &[])).await;
        (peer, stream)
    });
    let heard = async {
        use super::super::behaviour::NodeBehaviourEvent;
        loop {
            let event = swarm.select_next_some().await;
            if let SwarmEvent::Behaviour(NodeBehaviourEvent::Gossip(libp2p::gossipsub::Event::Message { .. })) = event {
                return;
            }
        }
    };
    timeout(PATIENCE, heard).await.unwrap();
    let (peer, _stream) = flood.await.unwrap();
    let gossip = &swarm.behaviour().gossip;
    let (_, topics) = gossip.all_peers().find(|(id, _)| **id == peer.peer).unwrap();
    assert_eq!(topics.len(), 2, "of 10002");
}

#[tokio::test]
async fn adv_g29_forty_nodes_behind_one_address_are_one_mesh() {
    let mut nodes = Vec::new();
    for seed in 1..=40 {
        nodes.push(node(seed, NETWORK).await);
    }
    // A ring with chords: sixteen neighbours each; gossipsub's defaults would shun all of them.
    for (index, net) in nodes.iter().enumerate() {
        for step in [1, 2, 3, 5, 7, 11, 13, 17] {
            net.dial(&nodes[(index + step) % 40]).await;
        }
    }
    for net in &mut nodes {
        net.expect("neighbours", {
            let mut count = 0;
            move |fact| {
                count += usize::from(matches!(fact, NetFact::Connected { .. }));
                (count >= 16).then_some(())
            }
        })
        .await;
    }
    let first = nodes.remove(0);
    let (orders, publisher) = (first.orders.clone(), first);
    let mut readers = Vec::new();
    for mut net in nodes {
        readers.push(tokio::spawn(async move {
            // A node that receives it forwards it.
            let (token, bytes) = net
                .expect("gossip", |fact| match fact {
                    NetFact::Gossip { token, bytes, .. } => Some((token, bytes)),
                    _ => None,
                })
                .await;
            let verdict = Verdict::Accept;
            net.order(NetOrder::Verdict { token, verdict }).await;
            (net, bytes)
        }));
    }
    let bytes = vec![29; 1_500];
    while readers.iter().any(|reader| !reader.is_finished()) && !orders.is_closed() {
        let publish = NetOrder::Publish {
            topic: Topic::Blocks,
            bytes: bytes.clone(),
        };
        orders.send(publish).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap().1, bytes);
    }
    drop(publisher);
}
