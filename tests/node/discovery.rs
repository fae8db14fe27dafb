//! Nodes that find each other without being told, and the first minutes of a demo.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Node, binary, json_lines};
use crate::namespace::{Bridge, Interfaces, within};

/// A node with no flags but what makes it testable, in this home folder.
fn plain(home: &Path) -> Command {
    let mut command = binary();
    command
        .args(["--json", "--network", "dev"])
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("data"));
    command
}

fn three(home: &Path) -> [Node; 3] {
    let nodes = [(); 3].map(|()| Node::launch(plain(home)));
    for node in &nodes {
        node.wait_event("started", |_| true);
    }
    nodes
}

#[test]
fn three_nodes_with_the_cable_pulled_find_each_other_as_siblings() {
    within(
        "discovery::three_nodes_with_the_cable_pulled_find_each_other_as_siblings",
        Interfaces::Loopback,
        || {
            let home = tempfile::tempdir().expect("a folder");
            let mut nodes = three(home.path());
            for node in &mut nodes {
                node.ok("wait peers 2");
            }
            let found = nodes[0].ok("peers")["peers"][0]["found_by"].clone();
            assert!(found == "sibling" || found == "inbound", "{found}");
        },
    );
}

#[test]
fn a_payment_of_exec_waits_for_the_first_peer_and_what_nobody_heard_is_said_before_the_stop() {
    within(
        "discovery::a_payment_of_exec_waits_for_the_first_peer_and_what_nobody_heard_is_said_before_the_stop",
        Interfaces::Loopback,
        || {
            let exec = |home: &Path| {
                let mut command = plain(home);
                command
                    .args(["--name", "ben", "--exec", "tx zed bob 5"])
                    .stdin(Stdio::null());
                let output = command.output().expect("the binary runs");
                assert_eq!(output.status.code(), Some(0), "{output:?}");
                let lines = json_lines(&output);
                let is_unheard = |line: &&Value| line["code"] == "announced_to_nobody";
                (lines.iter().filter(is_unheard).count(), lines[lines.len() - 2].clone())
            };
            let alone = tempfile::tempdir().expect("a folder");
            let (count, last) = exec(alone.path());
            assert_eq!((count, &last["code"]), (1, &"announced_to_nobody".into()), "{last}");
            let home = tempfile::tempdir().expect("a folder");
            let mut command = plain(home.path());
            command.args(["--name", "anna"]);
            let anna = Node::spawn(command);
            assert_eq!(exec(home.path()).0, 0);
            anna.wait_event("transaction_accepted", |event| event["from"] == "zed");
        },
    );
}

#[test]
fn three_nodes_on_a_lan_pay_mine_and_agree() {
    within(
        "discovery::three_nodes_on_a_lan_pay_mine_and_agree",
        Interfaces::Lan,
        || {
            let homes = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
            let mut nodes = homes.each_ref().map(|home| Node::spawn(plain(home.path())));
            for node in &mut nodes {
                node.ok("wait peers 2");
            }
            let [first, second, third] = &mut nodes;
            let txid = first.ok("tx alice bob 5")["txid"].clone();
            second.wait_event("transaction_accepted", |event| event["txid"] == txid);
            second.ok("mine");
            third.ok("wait height 1");
            assert_eq!(third.ok("balance bob")["balance"], 5);
            first.ok("wait height 1");
            assert_eq!(third.refused("tx alice carol 1"), "not_owner");
            first.ok("tx alice carol 1");
        },
    );
}

#[test]
fn hosts_on_a_bridge_find_each_other_by_mdns_and_survive_a_pulled_cable() {
    within(
        "discovery::hosts_on_a_bridge_find_each_other_by_mdns_and_survive_a_pulled_cable",
        Interfaces::Loopback,
        || {
            let bridge = Bridge::with_hosts(2);
            let homes = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
            let start = |host: usize| Node::spawn(bridge.on(host, &plain(homes[host].path())));
            let (mut first, mut second) = (start(0), start(1));
            first.ok("wait peers 1");
            second.ok("wait peers 1");
            assert_eq!(second.ok("peers")["peers"].as_array().map(Vec::len), Some(1));
            bridge.cable(0, "down");
            first.ok("wait peers 0 120");
            second.ok("wait peers 0 120");
            first.ok("mine 3");
            bridge.cable(0, "up");
            second.ok("wait height 3 120");
        },
    );
}

#[test]
fn hosts_without_multicast_hear_of_each_other_from_the_one_that_both_dialled() {
    within(
        "discovery::hosts_without_multicast_hear_of_each_other_from_the_one_that_both_dialled",
        Interfaces::Loopback,
        || {
            let bridge = Bridge::with_hosts(3);
            let start = |host: usize, more: &[&str]| {
                let mut command = binary();
                command
                    .args(["--json", "--temp", "--network", "dev", "--no-mdns"])
                    .args(more);
                Node::spawn(bridge.on(host, &command))
            };
            let mut centre = start(2, &["--port", "4141"]);
            let mut first = start(0, &["--peer", "10.77.0.3:4141"]);
            let mut second = start(1, &["--peer", "10.77.0.3:4141"]);
            for node in [&mut first, &mut second, &mut centre] {
                node.ok("wait peers 2");
            }
            drop(centre);
            for node in [&mut first, &mut second] {
                node.wait_event("peer_disconnected", |_| true);
            }
            let txid = first.ok("tx alice bob 5")["txid"].clone();
            second.wait_event("transaction_accepted", |event| event["txid"] == txid);
            assert_eq!(first.ok("peers")["peers"].as_array().map(Vec::len), Some(1));
        },
    );
}

#[test]
fn transaction_made_before_the_first_peer_reaches_a_late_node() {
    let mut early = Node::alone();
    let reply = early.ok("tx alice bob 5");
    assert!(
        reply["notice"].as_str().is_some_and(|notice| !notice.is_empty()),
        "{reply}"
    );
    let address = early.loopback_address();
    let mut late = Node::start(["--temp", "--no-mdns", "--listen", "127.0.0.1:0", "--peer", &address]);
    late.ok("wait peers 1");
    late.wait_event("transaction_accepted", |event| event["txid"] == reply["txid"]);
    late.ok("mine");
    early.ok("wait height 1");
    assert_eq!(early.ok("balance bob")["balance"], 5);
}

#[test]
fn block_made_before_the_first_peer_reaches_a_late_node() {
    let mut early = Node::alone();
    early.mine(700);
    let mut late = Node::start([
        "--temp",
        "--no-mdns",
        "--listen",
        "127.0.0.1:0",
        "--peer",
        &early.loopback_address(),
    ]);
    late.ok("wait height 700");
    late.ok("wait synced");
    assert_eq!(late.ok("status")["tip"], early.ok("status")["tip"]);
    assert_eq!(late.events("block_connected").len(), 700);
}

#[test]
fn dial_answers_with_the_peer_or_after_ten_seconds_with_dial_failed() {
    let first = Node::alone();
    let mut second = Node::alone();
    let address = first.loopback_address();
    let answer = second.ok(&format!("dial {address}"));
    assert!(
        address.ends_with(answer["peer_id"].as_str().expect("a PeerId")),
        "{answer}"
    );
    assert_eq!(second.refused("dial 127.0.0.1:1"), "dial_failed");
}
