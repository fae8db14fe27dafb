//! Networks whose packets are smaller or larger than Ethernet's.
//!
//! Promises: each size has a bridge, cables and hosts of its own.
//! Spec: `proto-notes/discovery.md`, "Multicast DNS".

use std::path::Path;
use std::process::Command;

use crate::harness::{Node, binary};
use crate::namespace::{Bridge, Interfaces, ip, within};

/// Payments in the block: more bytes than a jumbo frame has, less than what one account may have waiting.
const PAYMENTS: usize = 60;
const HOSTS: usize = 3;

/// Hosts whose cables carry packets of so many bytes at most.
fn hosts_with_packets_of(bytes: u32) -> Bridge {
    let bridge = Bridge::with_hosts(HOSTS);
    for host in 0..HOSTS {
        ip(&format!("link set cable{} mtu {bytes}", host + 1));
        let mut inside = Command::new("ip");
        // One packet at a time: the system would hand several on in one piece, larger than any packet may be.
        let words = format!("link set eth0 mtu {bytes} gso_max_segs 1");
        inside.args(words.split(' '));
        let status = bridge.on(host, &inside).status();
        assert!(status.is_ok_and(|status| status.success()), "{words} on host {host}");
    }
    ip(&format!("link set bridge0 mtu {bytes}"));
    bridge
}

fn node(home: &Path) -> Command {
    let mut command = binary();
    command.args(["--json", "--network", "dev"]);
    command.env("HOME", home).env("XDG_DATA_HOME", home);
    command
}

/// A block larger than several packets reaches a neighbour as it is made, and another one that comes later.
fn large_block_crosses(bytes: u32) {
    let bridge = hosts_with_packets_of(bytes);
    let homes = [(); HOSTS].map(|()| tempfile::tempdir().expect("a folder"));
    let start = |host: usize| Node::spawn(bridge.on(host, &node(homes[host].path())));
    let (mut first, mut second) = (start(0), start(1));
    first.ok("wait peers 1");
    second.ok("wait peers 1");
    let raws: usize = (0..PAYMENTS)
        .map(|_| first.ok("tx alice bob 1")["raw"].as_str().map_or(0, str::len) / 2)
        .sum();
    let packet = usize::try_from(bytes).expect("a small number");
    assert!(raws > packet, "{raws} bytes of payments fill more than one packet");
    first.ok("mine");
    second.ok("wait height 1");
    let mut third = start(2);
    third.ok("wait height 1");
    for node in [&mut second, &mut third] {
        let block = node.ok("block 1");
        assert_eq!(
            block["transactions"].as_array().map(Vec::len),
            Some(PAYMENTS + 1),
            "{block}"
        );
        assert_eq!(node.ok("balance bob")["balance"], PAYMENTS);
    }
}

#[test]
fn adv_p11_nodes_find_each_other_and_pass_a_large_block_in_packets_of_576_bytes() {
    within(
        "mtu::adv_p11_nodes_find_each_other_and_pass_a_large_block_in_packets_of_576_bytes",
        Interfaces::Loopback,
        || large_block_crosses(576),
    );
}

#[test]
fn adv_p11_nodes_find_each_other_and_pass_a_large_block_in_packets_of_9000_bytes() {
    within(
        "mtu::adv_p11_nodes_find_each_other_and_pass_a_large_block_in_packets_of_9000_bytes",
        Interfaces::Loopback,
        || large_block_crosses(9_000),
    );
}
