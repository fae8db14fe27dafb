//! Discovery, in a network namespace of its own: the machine's network never sees a packet of these tests.

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Address, NETWORK, NetConfig, NetFact, NetHandle, NetOrder, PATIENCE, Request, config, launch};

const INSIDE: &str = "LANCHAIN_TEST_INSIDE_NAMESPACE";
const DONE: &str = "inside the namespace: ";
const SCRIPT: &str = "ip link set lo up && ip link add v0 type veth peer name v1 && ip addr add 10.77.0.1/24 dev v0 \
                      && ip link set v0 up && ip link set v1 up && ip route add default dev v0 && exec \"$@\"";

/// Runs the body in a fresh network namespace, in which the test program starts itself again. The body returns what it
/// saw.
pub(super) fn in_namespace(module: &str, name: &str, body: impl FnOnce() -> String) {
    if std::env::var_os(INSIDE).is_some() {
        return println!("{DONE}{}", body());
    }
    let unshare = |program: &str| {
        let mut command = Command::new("unshare");
        command.args(["-Urn", "sh", "-c", SCRIPT, "sh", program]);
        command
    };
    if !unshare("true").output().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED {name}: network namespaces are not permitted here, discovery was NOT tested");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let output = unshare(program.to_str().unwrap())
        .args(["--exact", &format!("{}::{name}", module.split_once("::").unwrap().1)])
        .arg("--nocapture")
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let seen = told.lines().find_map(|line| Some(line.split_once(DONE)?.1));
    println!("{name}: {}", seen.expect("the test ran inside"));
}

type Node = (NetHandle, mpsc::Sender<NetOrder>, mpsc::Receiver<NetFact>);

fn node(seed: u8) -> Node {
    launch(&NetConfig {
        listen: Vec::new(),
        mdns: true,
        ..config(seed, NETWORK)
    })
    .unwrap()
}

/// Waits until a node was told of all these peers; returns the address of the last one.
async fn finds(node: &mut Node, mut missing: Vec<PeerId>) -> Option<Address> {
    missing.retain(|peer| *peer != node.0.peer_id);
    let mut last = None;
    while !missing.is_empty() {
        let fact = timeout(PATIENCE, node.2.recv()).await.expect("found in time").unwrap();
        if let NetFact::Found { peer, address, .. } = fact {
            assert!(!address.is_loopback(), "{address}");
            if missing.contains(&peer) {
                missing.retain(|other| *other != peer);
                last = Some(address);
            }
        }
    }
    last
}

#[test]
fn three_nodes_find_each_other_and_one_whose_cable_is_out_is_not_found() {
    in_namespace(
        module_path!(),
        "three_nodes_find_each_other_and_one_whose_cable_is_out_is_not_found",
        || {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let began = Instant::now();
                let mut nodes = [node(1), node(2), node(3)];
                let ids: Vec<_> = nodes.iter().map(|node| node.0.peer_id).collect();
                for node in &mut nodes {
                    finds(node, ids.clone()).await;
                }
                let took = began.elapsed();
                for node in &nodes {
                    node.1.send(NetOrder::Enable(false)).await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
                let mut late = node(4);
                let mut found = Vec::new();
                while let Ok(Some(fact)) = timeout(Duration::from_secs(2), late.2.recv()).await {
                    found.extend(matches!(fact, NetFact::Found { .. }).then_some(fact));
                }
                assert!(found.is_empty(), "{found:?}");
                nodes[0].1.send(NetOrder::Enable(true)).await.unwrap();
                finds(&mut late, vec![ids[0]]).await;
                format!("three nodes found each other within {} ms", took.as_millis())
            })
        },
    );
}

/// What a spoofed record is known by: of its address only the port is kept, the host is where it came from.
fn marked_port(number: u32) -> u32 {
    1024 + number % 60_000
}

/// The longest time to live of a record, 136 years in seconds.
const FOR_EVER: u32 = u32::MAX;

/// An answer that names an invented node and is valid for `seconds`.
fn spoofed(number: u32, seconds: u32) -> Vec<u8> {
    let name = |labels: &[&str]| {
        let mut bytes: Vec<u8> = Vec::new();
        for label in labels {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend(label.as_bytes());
        }
        bytes.push(0);
        bytes
    };
    let record = |owner: &[u8], kind: u8, data: &[u8]| {
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        [owner, &[0, kind, 0, 1], &seconds.to_be_bytes(), &length, data].concat()
    };
    let [_, b, c, d] = number.to_be_bytes();
    let port = marked_port(number);
    let text = format!("dnsaddr=/ip4/10.{b}.{c}.{d}/tcp/{port}/p2p/{}", PeerId::random());
    let label = format!("spoofed{number}");
    let (service, peer) = (
        name(&["_p2p", "_udp", "local"]),
        name(&[&label, "_p2p", "_udp", "local"]),
    );
    let txt = [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let head = [0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    [&head[..], &record(&service, 12, &peer), &record(&peer, 16, &txt)].concat()
}

/// The processor time of all threads of discovery, in hundredths of a second.
fn discovery_ticks() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok())
        .filter_map(|stat| {
            let (_, rest) = stat.split_once("(mdns) ")?;
            let numbers: Vec<u64> = rest.split(' ').map(|word| word.parse().unwrap_or(0)).collect();
            Some(numbers[11] + numbers[12])
        })
        .sum()
}

#[test]
fn adv_d01_a_flood_of_spoofed_answers_takes_little_and_ends_without_a_trace() {
    in_namespace(
        module_path!(),
        "adv_d01_a_flood_of_spoofed_answers_takes_little_and_ends_without_a_trace",
        || {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let mut early = node(1);
                let (before, began) = (discovery_ticks(), Instant::now());
                let flood = std::thread::spawn(move || {
                    let socket = UdpSocket::bind("10.77.0.1:0").unwrap();
                    let mut sent = 0;
                    while began.elapsed() < Duration::from_secs(5) {
                        for _ in 0..50 {
                            sent += u32::from(socket.send_to(&spoofed(sent, FOR_EVER), "224.0.0.251:5353").is_ok());
                        }
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    sent
                });
                let mut found = 0;
                while !flood.is_finished() {
                    let fact = timeout(Duration::from_millis(100), early.2.recv()).await;
                    found += usize::from(matches!(fact, Ok(Some(NetFact::Found { .. }))));
                }
                let sent = flood.join().unwrap();
                let share = (discovery_ticks() - before) * 1000 / u64::try_from(began.elapsed().as_millis()).unwrap();
                assert!(found > 0, "the flood is heard at all");
                assert!(found < 2_000, "{found} of {sent} records were handed on");
                assert!(share <= 15, "discovery took {share} % of a core");
                let mut late = node(2);
                let (one, two) = (early.0.peer_id, late.0.peer_id);
                finds(&mut early, vec![two]).await;
                finds(&mut late, vec![one]).await;
                format!("{sent} spoofed records, {found} handed on, {share} % of a core")
            })
        },
    );
}

/// Sends packets to the multicast group.
fn shout(socket: &UdpSocket, packet: &[u8]) {
    socket.send_to(packet, "224.0.0.251:5353").unwrap();
}

/// Waits until the node reports a record from this socket, which shows that it receives our packets.
async fn hears(node: &mut Node, socket: &UdpSocket, number: u32) {
    let mark = format!("/tcp/{}", marked_port(number));
    let heard = async {
        loop {
            shout(socket, &spoofed(number, 120));
            let fact = timeout(Duration::from_millis(200), node.2.recv()).await;
            if matches!(fact, Ok(Some(NetFact::Found { address, .. })) if address.as_str().ends_with(&mark)) {
                return;
            }
        }
    };
    timeout(PATIENCE, heard).await.expect("discovery is deaf");
}

/// Packets that are not DNS, or whose counts and lengths are wrong.
fn malformed() -> Vec<Vec<u8>> {
    let head = |counts: [u16; 4]| {
        let counts = counts.iter().flat_map(|count| count.to_be_bytes());
        [vec![0, 0, 0x84, 0], counts.collect()].concat()
    };
    let answer = |name: &[u8], length: u16, data: &[u8]| {
        let fixed = [0, 12, 0, 1, 0, 0, 0, 120];
        [&head([0, 1, 0, 0])[..], name, &fixed, &length.to_be_bytes(), data].concat()
    };
    let service = b"\x04_p2p\x04_udp\x05local\0";
    vec![
        Vec::new(),
        vec![0],
        vec![0xff; 11],
        vec![0xff; 9_000],
        // Names: one that points at itself, two at each other, one ahead, one past the end, labels of 64 and of 191.
        answer(&[0xc0, 12], 2, &[0xc0, 12]),
        answer(&[0xc0, 24], 2, &[0xc0, 12]),
        answer(&[0xc0, 40], 2, &[0xc0, 30]),
        answer(&[0xff, 0xff], 2, &[0xff, 0xff]),
        answer(&[&[64][..], &[b'a'; 64], &[0]].concat(), 2, &[0xc0, 12]),
        answer(&[&[191][..], &[b'a'; 191], &[0]].concat(), 2, &[0xc0, 12]),
        answer(&[1, b'a'].repeat(200), 2, &[0xc0, 12]),
        // Counts of 65,535, with nothing behind them or with one record.
        head([u16::MAX; 4]),
        [
            &head([0, u16::MAX, u16::MAX, u16::MAX])[..],
            &answer(service, 2, &[0xc0, 12])[12..],
        ]
        .concat(),
        // Data that ends before its length, is empty, or holds a name of another length.
        answer(service, 500, &[1; 20]),
        answer(service, 0, &[]),
        answer(service, 1, &[0xc0]),
        // The right service, answered with text that has no end.
        spoofed(1, 120)[..60].to_vec(),
        [&spoofed(1, 120)[..], &[0xff; 300]].concat(),
    ]
}

#[test]
fn adv_d05_malformed_packets_leave_discovery_alive() {
    in_namespace(
        module_path!(),
        "adv_d05_malformed_packets_leave_discovery_alive",
        || {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let socket = UdpSocket::bind("10.77.0.1:0").unwrap();
                let mut early = node(1);
                hears(&mut early, &socket, 50_001).await;
                let packets = malformed();
                for packet in packets.iter().cycle().take(50 * packets.len()) {
                    shout(&socket, packet);
                    std::thread::sleep(Duration::from_micros(500));
                }
                hears(&mut early, &socket, 50_002).await;
                let mut late = node(2);
                let (one, two) = (early.0.peer_id, late.0.peer_id);
                finds(&mut early, vec![two]).await;
                finds(&mut late, vec![one]).await;
                format!("{} kinds of malformed packets", packets.len())
            })
        },
    );
}

#[test]
fn adv_d02_records_that_expire_at_once_neither_end_discovery_nor_a_connection() {
    in_namespace(
        module_path!(),
        "adv_d02_records_that_expire_at_once_neither_end_discovery_nor_a_connection",
        || {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let socket = UdpSocket::bind("10.77.0.1:0").unwrap();
                let (mut a, mut b) = (node(1), node(2));
                let (one, two) = (a.0.peer_id, b.0.peer_id);
                let addresses = vec![finds(&mut a, vec![two]).await.unwrap()];
                let peer = Some(two);
                a.1.send(NetOrder::Dial { peer, addresses }).await.unwrap();
                let began = Instant::now();
                let mut sent = 0;
                while began.elapsed() < Duration::from_secs(4) {
                    for _ in 0..20 {
                        shout(&socket, &spoofed(sent, sent % 2));
                        sent += 1;
                    }
                    let fact = timeout(Duration::from_millis(10), a.2.recv()).await;
                    assert!(!matches!(fact, Ok(Some(NetFact::Disconnected { .. }))), "{fact:?}");
                }
                hears(&mut a, &socket, 50_003).await;
                let mut late = node(3);
                let three = late.0.peer_id;
                finds(&mut late, vec![one, two]).await;
                finds(&mut b, vec![three]).await;
                let request = Request::GetPending { after: [0; 32] };
                let order = NetOrder::Request {
                    id: 1,
                    peer: two,
                    request,
                };
                a.1.send(order).await.unwrap();
                let asked = async { while !matches!(b.2.recv().await, Some(NetFact::Request { .. })) {} };
                timeout(PATIENCE, asked).await.expect("the connection stands");
                format!("{sent} records that expire at once")
            })
        },
    );
}
