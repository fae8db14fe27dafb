//! Other implementations of libp2p may connect: of another network, of other gossip versions, or mute.

use super::raw::{Foreign, Manner};
use super::*;

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
            NetFact::DialFailed {
                peer, other_network, ..
            } => Some((peer, other_network)),
            NetFact::Connected { .. } => panic!("it is of another network"),
            _ => None,
        })
        .await;
    assert_eq!((failed, other), (Some(peer.peer), true));
    timeout(PATIENCE, peer.closed()).await.unwrap();
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
            other_network: true,
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
