//! Other implementations of libp2p may connect: of another network, of other gossip versions, or mute.

use std::sync::Arc;

use futures::AsyncReadExt;
use tokio::sync::Notify;

use super::raw::{Foreign, IDENTIFY, Manner};
use super::*;
use crate::contract::Stranger;

#[tokio::test]
async fn a_foreign_peer_of_another_protocol_version_is_let_go_and_never_a_peer() {
    let mut a = node(1, NETWORK).await;
    let manner = Manner {
        version: Some("ipfs/0.1.0".into()),
        ..Manner::default()
    };
    let peer = Foreign::connect(1, &a.address, None, manner).await.unwrap();
    let (failed, other) = a
        .expect("refusal", |fact| match fact {
            NetFact::DialFailed { peer, stranger, .. } => Some((peer, stranger)),
            NetFact::Connected { .. } => panic!("it is of another network"),
            _ => None,
        })
        .await;
    assert_eq!((failed, other), (Some(peer.peer), Some(Stranger::Program)));
    timeout(PATIENCE, peer.closed()).await.unwrap();
}

/// The reason for which a peer with this version is refused.
async fn refusal(seed: u8, version: String) -> (Stranger, String) {
    let mut a = node(1, NETWORK).await;
    let manner = Manner {
        version: Some(version),
        ..Manner::default()
    };
    let peer = Foreign::connect(seed, &a.address, None, manner).await.unwrap();
    let told = a
        .expect("refusal", |fact| match fact {
            NetFact::DialFailed {
                stranger: Some(stranger),
                reason,
                ..
            } => Some((stranger, reason.to_string())),
            NetFact::Connected { .. } => panic!("it speaks another version"),
            _ => None,
        })
        .await;
    timeout(PATIENCE, peer.closed()).await.unwrap();
    told
}

#[tokio::test]
async fn adv_w17_a_peer_of_another_major_version_is_let_go_and_both_versions_are_named() {
    let told = refusal(1, format!("/lanchain/{NETWORK}/2")).await;
    let expected = "it speaks protocol 2, we speak 1".to_owned();
    assert_eq!(told, (Stranger::Network, expected));
}

#[tokio::test]
async fn another_program_is_told_from_a_node_of_another_network() {
    let told = refusal(2, "ipfs/0.1.0".into()).await;
    let expected = "another libp2p program (ipfs/0.1.0)".to_owned();
    assert_eq!(told, (Stranger::Program, expected));
    let told = refusal(3, "/lanchain/0123/1".into()).await;
    let expected = "a node of another network (/lanchain/0123/1)".to_owned();
    assert_eq!(told, (Stranger::Network, expected));
}

#[tokio::test]
async fn adv_w27_a_version_with_escapes_is_shown_cut_and_escaped() {
    let evil = format!("\u{1b}[2J\r\n\u{202e}{}", "x".repeat(1_000));
    for version in [evil.clone(), format!("/lanchain/{NETWORK}/{evil}")] {
        let (_, reason) = refusal(1, version).await;
        assert!(reason.chars().all(|letter| (' '..='~').contains(&letter)), "{reason:?}");
        assert!(reason.len() < 120 && reason.contains("[2J"), "{reason:?}");
    }
}

#[tokio::test]
async fn adv_w27_an_agent_with_escapes_is_a_peer_like_any_other_and_told_cut_and_escaped() {
    let mut a = node(1, NETWORK).await;
    let manner = Manner {
        agent: "\u{1b}[2J\u{1b}]0;mark\u{7}\r\n".into(),
        ..Manner::default()
    };
    let peer = Foreign::connect(1, &a.address, None, manner).await.unwrap();
    let (mut told, mut agents) = (Vec::new(), Vec::new());
    a.expect("connection, then a ping", |fact| {
        let is_ping = matches!(fact, NetFact::Latency { .. });
        if let NetFact::Agent { agent, .. } = &fact {
            agents.push(agent.clone());
        }
        told.push(format!("{fact:?}"));
        is_ping.then_some(())
    })
    .await;
    assert!(told.iter().any(|fact| fact.starts_with("Connected")), "{told:?}");
    assert_eq!(agents.len(), 1, "{told:?}");
    let is_plain = |agent: &String| agent.chars().all(|letter| (' '..='~').contains(&letter)) && agent.len() < 120;
    assert!(agents.iter().all(is_plain), "{agents:?}");
    assert!(peer.is_connected().await);
}

#[tokio::test]
async fn adv_w27_an_agent_of_a_megabyte_is_not_read_and_its_peer_let_go() {
    let (mut a, b) = (node(1, NETWORK).await, node(2, NETWORK).await);
    let manner = Manner {
        agent: "x".repeat(1_000_000),
        ..Manner::default()
    };
    let peer = Foreign::connect(1, &a.address, None, manner).await.unwrap();
    timeout(PATIENCE, peer.closed()).await.unwrap();
    b.dial(&a).await;
    a.expect("connection", |fact| match fact {
        NetFact::Connected { peer: other, .. } => {
            assert_ne!(other, peer.peer, "it never told its network");
            (other == b.id()).then_some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn a_peer_without_identify_is_let_go_as_of_another_network() {
    let mut a = node(1, NETWORK).await;
    let manner = Manner {
        version: None,
        ..Manner::default()
    };
    let peer = Foreign::connect(1, &a.address, None, manner).await.unwrap();
    a.expect("refusal", |fact| match fact {
        NetFact::DialFailed {
            stranger: Some(Stranger::Network),
            reason,
            ..
        } => Some(reason),
        NetFact::Connected { .. } => panic!("it told nothing"),
        _ => None,
    })
    .await;
    timeout(PATIENCE, peer.closed()).await.unwrap();
}

#[tokio::test]
async fn a_peer_without_the_sync_protocol_stays_and_each_request_to_it_ends_with_nothing() {
    let mut a = node(1, NETWORK).await;
    let peer = Foreign::connect(1, &a.address, None, Manner::default()).await.unwrap();
    a.connected(peer.peer).await;
    for id in 0..3 {
        let request = Request::GetPending { after: [0; 32] };
        a.order(NetOrder::Request {
            id,
            peer: peer.peer,
            request,
        })
        .await;
        let ended = a
            .expect("end", |fact| match fact {
                NetFact::Response { id, response, .. } => Some((id, response)),
                NetFact::Malformed { reason, .. } => panic!("{reason}"),
                _ => None,
            })
            .await;
        assert_eq!(ended, (id, None));
    }
    assert!(peer.is_connected().await);
}

#[tokio::test]
async fn peers_of_every_gossip_version_get_a_published_message() {
    for (seed, version) in [(1, "/meshsub/1.0.0"), (2, "/meshsub/1.1.0"), (3, "/meshsub/1.2.0")] {
        let mut a = node(1, NETWORK).await;
        let manner = Manner {
            gossip: Some(version),
            ..Manner::default()
        };
        let mut peer = Foreign::connect(seed, &a.address, None, manner).await.unwrap();
        a.connected(peer.peer).await;
        let mut stream = peer.speak(version).await.unwrap();
        gossip::send(&mut stream, &gossip::subscribe(Topic::Blocks)).await;
        let bytes = vec![seed; 3_000];
        // The subscription arrives at some time; what nobody hears may be published again.
        let came = async {
            loop {
                let publish = NetOrder::Publish {
                    topic: Topic::Blocks,
                    bytes: bytes.clone(),
                };
                a.order(publish).await;
                let wait = timeout(Duration::from_millis(200), peer.heard.recv()).await;
                let has = |frame: &Vec<u8>| frame.windows(bytes.len()).any(|part| part == bytes);
                if wait.is_ok_and(|frame| frame.as_ref().is_some_and(has)) {
                    return;
                }
            }
        };
        timeout(PATIENCE, came)
            .await
            .unwrap_or_else(|_| panic!("nothing by {version}"));
    }
}

/// Passes if a peer is neither lost nor blamed for a while.
async fn stays(net: &mut Net, time: Duration) {
    let until = tokio::time::Instant::now() + time;
    while let Ok(Some(fact)) = tokio::time::timeout_at(until, net.facts.recv()).await {
        let is_lost = matches!(fact, NetFact::Disconnected { .. } | NetFact::Malformed { .. });
        assert!(!is_lost, "{fact:?}");
    }
}

#[tokio::test]
async fn a_peer_of_identify_and_sync_alone_stays_with_or_without_ping() {
    for (seed, pings) in [(1, true), (2, false)] {
        let mut a = node(1, NETWORK).await;
        let told = Arc::new(Notify::new());
        let manner = Manner {
            gossip: None,
            answer: Some(Response::Pending(Vec::new()).encode()),
            pings,
            reads_when: Some(Arc::clone(&told)),
            ..Manner::default()
        };
        let peer = Foreign::connect(seed, &a.address, None, manner).await.unwrap();
        a.connected(peer.peer).await;
        // A peer that asked for this node's protocols is told again when gossip is declined, and declines that, too.
        let mut stream = peer.speak(IDENTIFY).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        told.notify_one();
        let request = Request::GetPending { after: [0; 32] };
        let (id, to) = (7, peer.peer);
        a.order(NetOrder::Request { id, peer: to, request }).await;
        let answer = a
            .expect("answer", |fact| match fact {
                NetFact::Response { response, .. } => Some(response),
                NetFact::Disconnected { reason, .. } => panic!("{reason}"),
                _ => None,
            })
            .await;
        assert_eq!(answer, Some(Response::Pending(Vec::new())));
        stays(&mut a, Duration::from_secs(2)).await;
        assert!(peer.is_connected().await);
    }
}

/// The node's announcement of a topic, as it stands in a frame.
fn announcement() -> String {
    super::super::behaviour::topic(&NETWORK, Topic::Blocks).to_string()
}

#[tokio::test]
async fn a_peer_that_comes_back_hears_the_topics_on_its_new_connection_and_loses_the_old_one() {
    let mut a = node(1, NETWORK).await;
    let connect = || Foreign::connect(1, &a.address, None, Manner::default());
    let (mut first, to) = (connect().await.unwrap(), announcement());
    assert!(timeout(PATIENCE, first.hears(to.as_bytes())).await.unwrap());
    let mut second = connect().await.unwrap();
    assert!(timeout(PATIENCE, second.hears(to.as_bytes())).await.unwrap());
    timeout(PATIENCE, first.closed()).await.unwrap();
    a.connected(second.peer).await;
    stays(&mut a, Duration::from_millis(500)).await;
    assert!(second.is_connected().await);
}

#[tokio::test]
async fn a_peer_that_lists_gossip_and_announces_no_topic_is_connected_again_once_and_then_stays() {
    let mut a = node(1, NETWORK).await;
    let manner = Manner {
        lists: Some("/meshsub/1.1.0"),
        ..Manner::default()
    };
    let peer = Foreign::connect(1, &a.address, None, manner.clone()).await.unwrap();
    a.connected(peer.peer).await;
    assert_eq!(a.disconnected(peer.peer).await, "it announced no topic");
    let peer = Foreign::connect(1, &a.address, None, manner.clone()).await.unwrap();
    a.connected(peer.peer).await;
    // Another one that announces itself is left in peace from the beginning.
    let speaker = Foreign::connect(2, &a.address, None, manner).await.unwrap();
    let mut stream = speaker.speak("/meshsub/1.1.0").await.unwrap();
    gossip::send(&mut stream, &gossip::subscribe(Topic::Blocks)).await;
    a.connected(speaker.peer).await;
    stays(&mut a, Duration::from_secs(4)).await;
    assert!(peer.is_connected().await && speaker.is_connected().await);
}
