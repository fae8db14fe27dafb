//! Frames of yamux that no correct peer sends, and windows that nobody should get.

use super::bare::{ACK, Bare, DATA, PING, SYN, WINDOW_UPDATE};
use super::gossip;
use super::raw::{field, framed};
use super::*;

const KIB: u32 = 1024;
/// The first window of every stream, in bytes.
const FIRST_WINDOW: u32 = 256 * KIB;

/// Waits until the other side has closed the connection.
async fn ended(bare: &mut Bare) {
    let end = async { while bare.read().await.is_some() {} };
    timeout(PATIENCE, end).await.expect("the connection ends");
}

/// Whether a connection is served, that is, a ping of yamux is answered.
async fn is_served(bare: &mut Bare) -> bool {
    const MARK: u32 = 0x1234_5678;
    let answered = async {
        bare.write((PING, SYN), 0, MARK, &[]).await;
        while let Some((frame, _)) = bare.read().await {
            if (frame.kind, frame.flags, frame.length) == (PING, ACK, MARK) {
                return true;
            }
        }
        false
    };
    timeout(PATIENCE, answered).await.unwrap_or(false)
}

/// A frame: its kind and flags, its length field, its body.
type Parts = ((u8, u16), u32, Vec<u8>);

/// Frames that break the rules of flow control, in their order.
fn breaches() -> Vec<(&'static str, Vec<Parts>)> {
    let body = |length: u32| vec![0; usize::try_from(length).unwrap()];
    let data = |flags, length| ((DATA, flags), length, body(length));
    let credit = |flags, credit| ((WINDOW_UPDATE, flags), credit, Vec::new());
    vec![
        (
            "a first frame above the first window",
            vec![data(SYN, FIRST_WINDOW + 1)],
        ),
        (
            "a frame above all limits",
            vec![((DATA, SYN), 64 * 1024 * KIB, Vec::new())],
        ),
        ("a first credit beyond what can be counted", vec![credit(SYN, u32::MAX)]),
        ("a later credit beyond it", vec![credit(SYN, 0), credit(0, u32::MAX)]),
        ("a stream that is opened twice", vec![credit(SYN, 0), credit(SYN, 0)]),
    ]
}

#[tokio::test]
async fn adv_w23_a_breach_of_flow_control_ends_its_connection_and_no_other() {
    let (mut a, mut b) = (node(1, NETWORK).await, node(2, NETWORK).await);
    b.dial(&a).await;
    a.connected(b.id()).await;
    b.connected(a.id()).await;
    for (what, frames) in breaches() {
        let mut innocent = Bare::connect(1, &a.address).await;
        let mut guilty = Bare::connect(2, &a.address).await;
        assert!(is_served(&mut guilty).await, "{what}");
        for (kind, length, body) in frames {
            guilty.write(kind, 1, length, &body).await;
        }
        ended(&mut guilty).await;
        assert!(is_served(&mut innocent).await, "{what}");
    }
    let order = NetOrder::Request {
        id: 7,
        peer: b.id(),
        request: Request::GetPending { after: [0; 32] },
    };
    a.order(order).await;
    b.expect("request", |fact| matches!(fact, NetFact::Request { .. }).then_some(()))
        .await;
}

/// The widest window that the node grants to a gossip stream while it takes this many bytes from it.
async fn widest_window(bare: &mut Bare, bytes: usize) -> u32 {
    const STREAM: u32 = 1;
    let frame = framed(&field(15, &[0; 60_000]));
    assert!(bare.propose(STREAM, "/meshsub/1.1.0").await);
    // The proposal takes less than two hundred bytes of the window.
    let (mut credit, mut widest, mut sent) = (FIRST_WINDOW - 200, FIRST_WINDOW, 0);
    let size = u32::try_from(frame.len()).unwrap();
    while sent < bytes {
        if credit >= size {
            assert!(bare.data(0, STREAM, &frame).await);
            credit -= size;
            sent += frame.len();
            continue;
        }
        let (frame, _) = bare.read().await.expect("the connection stands");
        match (frame.kind, frame.stream) {
            (WINDOW_UPDATE, STREAM) => {
                credit += frame.length;
                widest = widest.max(credit);
            }
            // The answer to a ping measures how far the other side is.
            (PING, _) if frame.flags & SYN != 0 => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                bare.write((PING, ACK), 0, frame.length, &[]).await;
            }
            _ => {}
        }
    }
    widest
}

#[tokio::test]
async fn adv_w21_a_peer_that_feigns_a_long_way_gets_no_wide_window() {
    let a = node(1, NETWORK).await;
    let mut far = Bare::connect(1, &a.address).await;
    let widest = timeout(PATIENCE, widest_window(&mut far, 6 * 1024 * 1024))
        .await
        .unwrap();
    // Unbounded, six megabytes make a window of eight.
    let most = u32::try_from(super::super::streams::WINDOW_GROWTH_BYTES).unwrap() + FIRST_WINDOW;
    assert!(widest <= most, "{} KiB", widest / KIB);
    assert!(widest > FIRST_WINDOW, "a slow link needs more than the first window");
}

#[tokio::test]
async fn adv_w21_gossip_that_a_peer_does_not_read_waits_in_few_places_and_others_get_it() {
    use super::raw::{Foreign, Manner};
    const SENT: usize = 60;
    const BYTES: usize = 60_000;
    let (mut a, mut b) = (node(1, NETWORK).await, node(2, NETWORK).await);
    b.dial(&a).await;
    a.connected(b.id()).await;
    let reads = std::sync::Arc::new(tokio::sync::Notify::new());
    let manner = Manner {
        reads_when: Some(reads.clone()),
        ..Manner::default()
    };
    let mut deaf = Foreign::connect(1, &a.address, None, manner).await.unwrap();
    a.connected(deaf.peer).await;
    let mut stream = deaf.speak("/meshsub/1.1.0").await.unwrap();
    gossip::send(&mut stream, &gossip::subscribe(Topic::Blocks)).await;
    for number in 0..SENT {
        let bytes = vec![u8::try_from(number).unwrap(); BYTES];
        // What nobody was there for may be published again.
        loop {
            let (topic, bytes) = (Topic::Blocks, bytes.clone());
            a.order(NetOrder::Publish { topic, bytes }).await;
            let heard = b.expect("gossip", |fact| match fact {
                NetFact::Gossip { bytes, token, .. } => Some((bytes[0], token)),
                _ => None,
            });
            if let Ok((first, token)) = timeout(Duration::from_millis(500), heard).await {
                let verdict = Verdict::Ignore;
                b.order(NetOrder::Verdict { token, verdict }).await;
                assert_eq!(usize::from(first), number);
                break;
            }
        }
    }
    reads.notify_one();
    let mut read = 0;
    while let Ok(Some(frame)) = timeout(Duration::from_secs(3), deaf.heard.recv()).await {
        read += usize::from(frame.len() > BYTES);
    }
    // One more was on its way, one in the hands of the connection, and as many as the stream's window of 256 KiB takes.
    let most = super::super::behaviour::GOSSIP_WAITING_MAX + 2 + (256 * 1_024) / BYTES;
    assert!((1..=most).contains(&read), "{read} of {SENT}");
}

#[tokio::test]
async fn a_burst_of_gossip_reaches_a_peer_that_reads_to_the_last_message() {
    const BURST: u8 = 60;
    let (mut a, mut b) = (node(1, NETWORK).await, node(2, NETWORK).await);
    b.dial(&a).await;
    a.connected(b.id()).await;
    let first = |fact| match fact {
        NetFact::Gossip { bytes, token, .. } => Some((bytes[0], token)),
        _ => None,
    };
    let publish = |number: u8| NetOrder::Publish {
        topic: Topic::Transactions,
        bytes: vec![number; 30_000],
    };
    // Subscriptions arrive a moment after the connection.
    loop {
        a.order(publish(255)).await;
        if timeout(Duration::from_millis(300), b.expect("gossip", first))
            .await
            .is_ok()
        {
            break;
        }
    }
    let mut missing: std::collections::BTreeSet<_> = (0..BURST).collect();
    for number in 0..BURST {
        a.order(publish(number)).await;
    }
    while !missing.is_empty() {
        let (number, token) = b.expect("the whole burst", first).await;
        missing.remove(&number);
        let verdict = Verdict::Ignore;
        b.order(NetOrder::Verdict { token, verdict }).await;
    }
}
