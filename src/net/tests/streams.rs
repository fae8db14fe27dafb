//! Streams of requests and answers against peers that break them.

use super::raw::{Foreign, IDENTIFY, Manner, sync_protocol};
use super::*;
use crate::wire::Status;
use futures::{AsyncReadExt, AsyncWriteExt};

async fn foreign(net: &mut Net, seed: u8, manner: Manner) -> Foreign {
    let foreign = Foreign::connect(seed, &net.address, None, manner).await.unwrap();
    net.connected(foreign.peer).await;
    foreign
}

async fn fault(net: &mut Net, of: PeerId) -> Fault {
    net.expect("fault", |fact| match fact {
        NetFact::Malformed { peer, fault, .. } if peer == of => Some(fault),
        _ => None,
    })
    .await
}

async fn request(net: &mut Net) -> (u64, Request) {
    net.expect("request", |fact| match fact {
        NetFact::Request { token, request, .. } => Some((token, request)),
        _ => None,
    })
    .await
}

fn pending(byte: u8) -> Request {
    Request::GetPending { after: [byte; 32] }
}

fn status() -> Status {
    Status {
        instance: 0,
        ..crate::testing::statuses::empty([0; 32], 0)
    }
}

#[tokio::test]
async fn a_foreign_peer_that_closes_its_direction_is_answered_up_to_the_end_of_ours() {
    let mut a = node(1, NETWORK).await;
    let peer = foreign(&mut a, 1, Manner::default()).await;
    let asked = tokio::spawn(async move { peer.ask(&pending(3).encode()).await });
    let (token, asked_for) = request(&mut a).await;
    assert_eq!(asked_for, pending(3));
    let response = Response::Pending(vec![vec![5; 400_000]]);
    let answer = response.encode();
    a.order(NetOrder::Answer { token, response }).await;
    assert_eq!(timeout(PATIENCE, asked).await.unwrap().unwrap(), Some(answer));
}

#[tokio::test]
async fn adv_w08_a_request_without_end_is_cut_at_64_kib_and_fatal() {
    let mut a = node(1, NETWORK).await;
    let peer = foreign(&mut a, 1, Manner::default()).await;
    let mut stream = peer.speak(&sync_protocol()).await.unwrap();
    let endless = tokio::spawn(async move {
        let mut sent = 0_usize;
        let second = Duration::from_secs(1);
        while matches!(timeout(second, stream.write_all(&[0; 1024])).await, Ok(Ok(()))) {
            let _ = timeout(second, stream.flush()).await;
            sent += 1024;
        }
        sent
    });
    assert_eq!(fault(&mut a, peer.peer).await, Fault::Fatal);
    let sent = timeout(PATIENCE, endless).await.unwrap().unwrap();
    assert!(sent <= 512 * 1024, "{sent} bytes were taken");
}

#[tokio::test]
async fn adv_w09_a_request_that_ends_early_is_a_lesser_fault_than_bytes_behind_it() {
    let mut a = node(1, NETWORK).await;
    let peer = foreign(&mut a, 1, Manner::default()).await;
    let bytes = pending(3).encode();
    assert_eq!(peer.ask(&bytes[..20]).await, Some(Vec::new()));
    assert_eq!(fault(&mut a, peer.peer).await, Fault::Mid);
    let behind = [&bytes[..], &[0]].concat();
    assert_eq!(peer.ask(&behind).await, Some(Vec::new()));
    assert_eq!(fault(&mut a, peer.peer).await, Fault::Fatal);
}

#[tokio::test]
async fn adv_w14_an_answer_longer_than_its_question_allows_is_cut_and_fatal() {
    let mut a = node(1, NETWORK).await;
    let manner = Manner {
        answer: Some(vec![1; 100_000]),
        ..Manner::default()
    };
    let peer = foreign(&mut a, 1, manner).await;
    for (id, request) in [Request::Status(status()), Request::GetHeaders { locator: Vec::new() }]
        .into_iter()
        .enumerate()
    {
        let id = u64::try_from(id).unwrap();
        let order = NetOrder::Request {
            id,
            peer: peer.peer,
            request,
        };
        a.order(order).await;
        let (mut fault, mut ended) = (None, false);
        a.expect("fault and end", |fact| {
            match fact {
                NetFact::Malformed {
                    fault: told, reason, ..
                } if reason.contains("longer") => fault = Some(told),
                NetFact::Response { id: told, response, .. } => ended = told == id && response.is_none(),
                _ => {}
            }
            (fault.is_some() && ended).then_some(())
        })
        .await;
        assert_eq!(fault, Some(Fault::Fatal));
    }
}

#[tokio::test]
async fn adv_w16_protocols_that_are_unknown_are_declined_and_the_connection_stays() {
    let mut a = node(1, NETWORK).await;
    let peer = foreign(&mut a, 1, Manner::default()).await;
    for protocol in ["/lanchain/sync/2", "/ipfs/kad/1.0.0", "/x"] {
        assert!(peer.speak(protocol).await.is_none(), "{protocol}");
    }
    let newer = peer.ask(&[99, 0, 0, 0, 1, 2]).await.unwrap();
    assert_eq!(newer, Response::Unsupported.encode());
    assert!(peer.is_connected().await && peer.speak(IDENTIFY).await.is_some());
}

#[tokio::test]
async fn adv_w19_w20_a_flood_of_streams_ends_its_connection_and_no_other() {
    let (mut a, mut b) = (node(1, NETWORK).await, node(2, NETWORK).await);
    b.dial(&a).await;
    a.connected(b.id()).await;
    b.connected(a.id()).await;
    let peer = foreign(&mut a, 1, Manner::default()).await;
    let mut streams = Vec::new();
    // Not a word on any of them: they are never negotiated.
    for _ in 0..512 {
        let Some(mut stream) = peer.stream().await else { break };
        let _ = stream.write_all(&[19]).await;
        let _ = stream.flush().await;
        streams.push(stream);
    }
    assert_eq!(fault(&mut a, peer.peer).await, Fault::Low);
    a.disconnected(peer.peer).await;
    timeout(PATIENCE, peer.closed()).await.unwrap();
    let order = NetOrder::Request {
        id: 7,
        peer: b.id(),
        request: pending(1),
    };
    a.order(order).await;
    request(&mut b).await;
}

#[tokio::test]
async fn sixteen_waiting_streams_and_one_more_again_and_again_end_the_connection() {
    let mut a = node(1, NETWORK).await;
    let peer = foreign(&mut a, 1, Manner::default()).await;
    let mut waiting = Vec::new();
    for _ in 0..16 {
        let mut stream = peer.stream().await.unwrap();
        stream.write_all(&[19]).await.unwrap();
        stream.flush().await.unwrap();
        waiting.push(stream);
    }
    for _ in 0..1_000 {
        let Some(mut stream) = peer.stream().await else { break };
        let _ = stream.write_all(&[19]).await;
        let _ = stream.flush().await;
    }
    assert_eq!(fault(&mut a, peer.peer).await, Fault::Low);
    a.disconnected(peer.peer).await;
}

#[tokio::test]
async fn streams_of_an_honest_number_stay_open_and_others_are_served_meanwhile() {
    let mut a = node(1, NETWORK).await;
    let peer = foreign(&mut a, 1, Manner::default()).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = peer.stream().await.unwrap();
        stream.write_all(&[19]).await.unwrap();
        stream.flush().await.unwrap();
        streams.push(stream);
        assert!(peer.ask(&[99, 0, 0, 0, 1, 2]).await.is_some());
    }
    assert!(peer.is_connected().await);
}

#[tokio::test]
async fn adv_w21_a_peer_that_reads_nothing_of_a_long_answer_is_counted_and_one_that_reads_is_not() {
    let mut a = node(1, NETWORK).await;
    let (deaf, slow) = (
        foreign(&mut a, 1, Manner::default()).await,
        foreign(&mut a, 2, Manner::default()).await,
    );
    let mut open = Vec::new();
    for peer in [&deaf, &slow] {
        let mut stream = peer.speak(&sync_protocol()).await.unwrap();
        stream.write_all(&pending(1).encode()).await.unwrap();
        stream.close().await.unwrap();
        open.push(stream);
        let (token, _) = request(&mut a).await;
        let response = Response::Pending(vec![vec![5; 512]; 3_000]);
        a.order(NetOrder::Answer { token, response }).await;
    }
    // The slow one takes a third of it, and no more.
    open[1].read_exact(&mut vec![0; 500_000]).await.unwrap();
    assert_eq!(fault(&mut a, deaf.peer).await, Fault::Limit);
    while let Ok(fact) = timeout(Duration::from_millis(2_000), a.facts.recv()).await {
        assert!(!matches!(fact, Some(NetFact::Malformed { .. })), "{fact:?}");
    }
    assert!(deaf.is_connected().await && slow.is_connected().await);
}
