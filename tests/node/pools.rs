//! Pools become equal among real processes: a joiner, a line and a mesh.
//!
//! The default sizes keep a test run short. The figures of the notes come from
//!
//!     LANCHAIN_BURST=10000 cargo test --locked --test node pools -- --nocapture --test-threads 1
//!
//! Promises: all sockets are on loopback, and nobody finds anybody but by `--peer`.
//! Elsewhere: the same in simulated time, with lost gossip (`src/engine/tests/pools.rs`).

use std::time::{Duration, Instant};

use crate::harness::Node;

/// How long after the last acknowledged payment all pools must be equal. Seconds are enough; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many payments a burst has.
fn burst(default: usize) -> usize {
    std::env::var("LANCHAIN_BURST").map_or(default, |text| text.parse().expect("a number"))
}

/// These nodes make so many payments together, from accounts that pay fifty each, and have acknowledged all of them.
fn pay(nodes: &mut [Node], count: usize) {
    let share = count / nodes.len();
    let last: Vec<u64> = nodes
        .iter_mut()
        .enumerate()
        .map(|(node, payer)| {
            let lines = (0..share).map(|number| payer.write(&format!("tx n{node}-{} bank 1", number / 50)));
            lines.last().expect("a payment")
        })
        .collect();
    for (node, line) in nodes.iter().zip(last) {
        assert_eq!(node.reply(line)["ok"], true);
    }
}

/// Waits until all have so many; how long that took.
fn equal(nodes: &mut [Node], count: usize) -> Duration {
    let began = Instant::now();
    loop {
        let pending: Vec<Option<u64>> = nodes
            .iter_mut()
            .map(|node| node.ok("status")["pending"].as_u64())
            .collect();
        if pending.iter().all(|waiting| *waiting == u64::try_from(count).ok()) {
            return began.elapsed();
        }
        assert!(began.elapsed() < PATIENCE, "after {PATIENCE:?}: {pending:?} of {count}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_joiner_has_all_that_waits() {
    for count in [20, burst(500)] {
        let mut nodes = vec![Node::alone()];
        pay(&mut nodes, count);
        let address = nodes[0].loopback_address();
        nodes.push(Node::alone_with(&["--peer", &address]));
        let time = equal(&mut nodes, count);
        println!("a joiner of {count}: {time:?}");
    }
}

#[test]
fn a_line_of_five_is_equal_after_a_burst_at_its_end() {
    let mut nodes = vec![Node::alone()];
    for _ in 1..5 {
        let before = nodes.last().expect("a node").loopback_address();
        nodes.push(Node::alone_with(&["--peer", &before]));
    }
    nodes.iter_mut().for_each(|node| {
        node.ok("wait peers 1");
    });
    let count = burst(500);
    pay(&mut nodes[..1], count);
    let time = equal(&mut nodes, count);
    println!("a line of five with {count}: {time:?}");
}

#[test]
fn a_mesh_of_five_is_equal_after_bursts_everywhere() {
    let mut nodes: Vec<Node> = Vec::new();
    for _ in 0..5 {
        let addresses: Vec<String> = nodes.iter().map(Node::loopback_address).collect();
        let peers: Vec<&str> = addresses.iter().flat_map(|address| ["--peer", address]).collect();
        nodes.push(Node::alone_with(&peers));
    }
    nodes.iter_mut().for_each(|node| {
        node.ok("wait peers 4");
    });
    let count = burst(500) / 5 * 5;
    pay(&mut nodes, count);
    let time = equal(&mut nodes, count);
    println!("a mesh of five with {count}: {time:?}");
}
