//! Crowds at the door: silent ones, and strangers that fill every place.

use tokio::net::{TcpSocket, TcpStream};

use super::raw::{Foreign, Manner};
use super::*;

pub(super) fn socket_address(address: &str) -> std::net::SocketAddr {
    let parts: Vec<_> = address.split('/').collect();
    format!("{}:{}", parts[2], parts[4]).parse().unwrap()
}

/// Connects from a host of the loopback network.
async fn silent(from: &str, to: &Address) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(socket_address(to.as_str())).await.unwrap()
}

/// Whether the other side has closed the connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 64];
    loop {
        if timeout(Duration::from_millis(100), stream.readable()).await.is_err() {
            return false;
        }
        match stream.try_read(&mut bytes) {
            Ok(0) => return true,
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return true,
            Ok(_) | Err(_) => {}
        }
    }
}

#[tokio::test]
#[cfg_attr(
    not(target_os = "linux"),
    ignore = "only there every address of 127.0.0.0/8 is the machine's own"
)]
async fn adv_w02_silent_connections_hold_half_the_door_and_honest_ones_come_in() {
    let (mut a, mut b) = (node(1, NETWORK).await, node(2, NETWORK).await);
    let mut crowd = Vec::new();
    for _ in 0..30 {
        crowd.push(silent("127.0.0.9", &a.address).await);
    }
    b.dial(&a).await;
    a.connected(b.id()).await;
    b.connected(a.id()).await;
    let mut open = 0;
    for stream in &mut crowd {
        open += usize::from(!is_closed(stream).await);
    }
    assert_eq!(open, 16, "of thirty");
    // The handshake's patience ends, and with it all of them.
    let gone = async {
        for stream in &mut crowd {
            while !is_closed(stream).await {}
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn adv_w01_random_bytes_instead_of_a_handshake_are_cut_off_and_take_no_place_at_the_door() {
    let (mut a, b) = (node(1, NETWORK).await, node(2, NETWORK).await);
    let noise: Vec<u8> = (0..65_536_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1])
        .collect();
    // More handshakes than one address may have under way; a connection that was closed does not count any more.
    for number in 0..20 {
        let mut stream = TcpStream::connect(socket_address(a.address.as_str())).await.unwrap();
        stream.writable().await.unwrap();
        assert!(stream.try_write(&noise[number..]).unwrap() > 0);
        let gone = async { while !is_closed(&mut stream).await {} };
        timeout(PATIENCE, gone).await.unwrap();
    }
    b.dial(&a).await;
    a.connected(b.id()).await;
}

#[tokio::test]
#[cfg_attr(
    not(target_os = "linux"),
    ignore = "only there every address of 127.0.0.0/8 is the machine's own"
)]
async fn adv_w04_w05_a_crowd_of_strangers_neither_pushes_out_an_old_peer_nor_keeps_out_a_new_one() {
    let (mut a, mut b) = (node(1, NETWORK).await, node(2, NETWORK).await);
    b.dial(&a).await;
    a.connected(b.id()).await;
    b.connected(a.id()).await;
    let mut crowd = Vec::new();
    for seed in 0..40 {
        // A refused one sees its connection closed before or during the handshake.
        if let Some(one) = Foreign::connect(seed, &a.address, None, Manner::default()).await {
            let outcome = timeout(PATIENCE, a.connected(one.peer)).await;
            assert!(outcome.is_ok());
            crowd.push(one);
        }
    }
    assert_eq!(crowd.len(), 31, "with the old peer the 32 of one address");
    let stranger = Foreign::connect(99, &a.address, Some("127.0.0.5"), Manner::default())
        .await
        .unwrap();
    let mut left = Vec::new();
    a.expect("stranger", |fact| match fact {
        NetFact::Connected { peer, .. } => (peer == stranger.peer).then_some(()),
        NetFact::Disconnected { peer, .. } => {
            left.push(peer);
            None
        }
        _ => None,
    })
    .await;
    if left.is_empty() {
        let gone = a.expect("one leaves", |fact| match fact {
            NetFact::Disconnected { peer, .. } => Some(peer),
            _ => None,
        });
        left.push(gone.await);
    }
    assert_eq!(left.len(), 1);
    assert!(
        crowd.iter().any(|one| one.peer == left[0]),
        "one of the crowd had to leave"
    );
    let request = Request::GetPending { after: [0; 32] };
    a.order(NetOrder::Request {
        id: 1,
        peer: b.id(),
        request,
    })
    .await;
    b.expect("request", |fact| matches!(fact, NetFact::Request { .. }).then_some(()))
        .await;
}
