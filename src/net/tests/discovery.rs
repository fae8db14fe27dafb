//! Discovery, in a network namespace of its own: the machine's network never sees a packet of these tests.

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{NETWORK, NetConfig, NetFact, NetHandle, NetOrder, PATIENCE, config, launch};

const INSIDE: &str = "LANCHAIN_TEST_INSIDE_NAMESPACE";
const DONE: &str = "inside the namespace: ";
const SCRIPT: &str = "ip link set lo up && ip link add v0 type veth peer name v1 && ip addr add 10.77.0.1/24 dev v0 \
                      && ip link set v0 up && ip link set v1 up && ip route add default dev v0 && exec \"$@\"";

/// Runs the body in a fresh network namespace: the test's program starts itself again there. The body tells what it saw.
fn in_namespace(name: &str, body: impl FnOnce() -> String) {
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
        .args([
            "--exact",
            &format!("{}::{name}", module_path!().split_once("::").unwrap().1),
        ])
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

/// Waits until a node was told of all these peers.
async fn finds(node: &mut Node, mut missing: Vec<PeerId>) {
    missing.retain(|peer| *peer != node.0.peer_id);
    while !missing.is_empty() {
        let fact = timeout(PATIENCE, node.2.recv()).await.expect("found in time").unwrap();
        if let NetFact::Found { peer, address, .. } = fact {
            assert!(!address.is_loopback(), "{address}");
            missing.retain(|other| *other != peer);
        }
    }
}

#[test]
fn three_nodes_find_each_other_and_one_whose_cable_is_out_is_not_found() {
    in_namespace(
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

/// An answer that names an invented node and holds for 136 years.
fn spoofed(number: u32) -> Vec<u8> {
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
        [owner, &[0, kind, 0, 1], &[0xff; 4], &length, data].concat()
    };
    let [_, b, c, d] = number.to_be_bytes();
    let text = format!("dnsaddr=/ip4/10.{b}.{c}.{d}/tcp/4001/p2p/{}", PeerId::random());
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
                            sent += u32::from(socket.send_to(&spoofed(sent), "224.0.0.251:5353").is_ok());
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
