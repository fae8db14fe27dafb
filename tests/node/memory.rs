//! A node on a machine with little memory.
//!
//! Promises: the limit is the system's, on what the process may write to; the node is not told of it.
//! Spec: `proto-notes/limits.md`.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{Node, PATIENCE, QUIET_JSON, binary};

/// What a small board or a container leaves to a node.
const MEMORY_BYTES: u64 = 256 * 1024 * 1024;
/// Blocks that it fetches when it starts.
const BLOCKS: usize = 300;
/// Who pays, and how often: close to what one account may have waiting.
const PAYERS: usize = 10;
const PAYMENTS: usize = 60;
/// Nodes that connect to it.
const PEERS: usize = 3;

/// A node whose data, heap and stacks together may have so many bytes; none where the system sets no such limit.
fn within_memory(bytes: u64, peer: &str) -> Option<Node> {
    let node = binary();
    let is_there = Command::new("prlimit").arg("--version").output();
    if !is_there.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let mut command = Command::new("prlimit");
    command.arg(format!("--data={bytes}")).arg("--").arg(node.get_program());
    command.args(QUIET_JSON).args(["--peer", peer]);
    for (name, _) in node.get_envs() {
        command.env_remove(name);
    }
    Some(Node::spawn(command))
}

#[test]
fn adv_p08_a_node_with_256_mib_fetches_a_chain_takes_payments_and_serves_peers() {
    let mut first = Node::alone();
    first.mine(BLOCKS);
    let Some(mut small) = within_memory(MEMORY_BYTES, &first.loopback_address()) else {
        return eprintln!("SKIPPED: this system has no prlimit, a node with little memory was NOT tested");
    };
    small.ok(&format!("wait height {BLOCKS}"));
    let last = (0..PAYERS * PAYMENTS)
        .map(|number| first.write(&format!("tx payer{} shop 1", number % PAYERS)))
        .last();
    assert_eq!(first.reply(last.expect("a payment"))["ok"], true);
    let deadline = Instant::now() + PATIENCE;
    while small.ok("status")["pending"] != PAYERS * PAYMENTS {
        assert!(Instant::now() < deadline, "the payments do not come");
        std::thread::sleep(Duration::from_millis(50));
    }
    small.ok("mine 2");
    let address = small.loopback_address();
    let mut late: Vec<Node> = (0..PEERS).map(|_| Node::alone_with(&["--peer", &address])).collect();
    for node in &mut late {
        node.ok(&format!("wait height {}", BLOCKS + 2));
        assert_eq!(node.ok("balance shop")["balance"], PAYERS * PAYMENTS);
    }
    let status = small.ok("status");
    assert_eq!(status["peers"], PEERS + 1, "{status}");
    let peak = small.memory_kib("VmHWM") * 1_024;
    println!("at most {} MiB", peak >> 20);
    assert!(peak < MEMORY_BYTES, "{peak} bytes");
}
