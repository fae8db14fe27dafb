//! No hint is refused: what a refusal advises can be typed as it stands, on a node that owns nothing beside one that owns
//! alice.

use serde_json::Value;

use crate::harness::{Node, binary};

/// Lines that are refused on every network; some only where alice belongs to another node.
const WRONG: &[&str] = &[
    "balnce",
    "mien",
    "sned a b 1",
    "xyzzy",
    "exit now",
    "tx",
    "tx a",
    "tx zed bob five",
    "tx zed bob 0",
    "tx zed bob 5 6",
    "tx zed zed 1",
    "tx alice bob 1",
    "tx zed alice 2000000",
    "tx 0 bob 1",
    "tx 1x bob 1",
    "claim",
    "claim alice",
    "claim 1x",
    "claim me",
    "balance 1x",
    "balance a b",
    "transaction",
    "transaction 12",
    "transaction ffffffff",
    "mine 0",
    "mine x",
    "mine 1 2",
    "chain 0",
    "block",
    "block 99",
    "block zz",
    "block ffff0000",
    "tree 0",
    "explain",
    "explain block",
    "explain block 99",
    "explain transaction ffffffff",
    "explain foo 1",
    "tamper",
    "tamper 0",
    "tamper 99",
    "stats 0",
    "drop",
    "drop nobody",
    "ban nobody",
    "ban nobody 0",
    "unban nobody",
    "dial",
    "dial 0.0.0.0:1",
    "dial 127.0.0.1:1",
    "dial /ip4/127.0.0.1/udp/1/quic-v1",
    "join",
    "join abc",
    "wait",
    "wait peers",
    "wait peers x",
    "wait peers 9 0",
    "wait height 99 0",
    "wait confirmed 00 0",
    "watch nonsense",
    "log nonsense",
    "help nonsense",
    "net",
    "net maybe",
    "rewind",
    "resolve x",
    "invite x",
    "status x",
    "doctor x",
    "whoami x",
    "accounts x",
    "peers x",
    "pending x",
    "quit x",
];

fn on(network: &str, name: &str, more: &[&str]) -> Node {
    let mut command = binary();
    command.args([
        "--json",
        "--temp",
        "--no-mdns",
        "--listen",
        "127.0.0.1:0",
        "--network",
        network,
    ]);
    command.args(["--name", name]).args(more);
    Node::spawn(command)
}

/// Types each wrong line and then its hint; what happened to hints that were refused.
fn refused_hints(node: &mut Node) -> Vec<String> {
    let mut refused = Vec::new();
    for line in WRONG {
        let reply = node.send(line);
        assert_eq!(reply["ok"], false, "{line}: {reply}");
        let hint = reply["error"]["hint"].as_str().expect("a hint").to_owned();
        let second = node.send(&hint);
        // Nobody may be there to be reached or to be waited for.
        let is_excused = ["dial_failed", "timeout"]
            .map(Value::from)
            .contains(&second["error"]["code"]);
        if second["ok"] != true && !is_excused {
            refused.push(format!("{line} -> {hint}: {}", second["error"]));
        }
    }
    refused
}

fn hints_hold_on(network: &str) {
    let mut owner = on(network, "alice", &[]);
    owner.ok("mine");
    let mut node = on(network, "ben", &["--peer", &owner.loopback_address()]);
    node.ok("wait height 1 30");
    assert_eq!(refused_hints(&mut node), Vec::<String>::new());
    // Where there is no block yet, and nobody else.
    let mut alone = on(&format!("{network}:alone"), "ben", &[]);
    alone.ok("claim alice");
    // The last hint mines a block.
    for line in [
        "tamper 1",
        "explain block 1",
        "block 1",
        "transaction ffff",
        "resolve x",
        "tamper 0",
    ] {
        let reply = alone.send(line);
        let hint = reply["error"]["hint"].as_str().expect("a hint").to_owned();
        let second = alone.send(&hint);
        assert_eq!(second["ok"], true, "{line} -> {hint}: {second}");
    }
    assert!(alone.stop().success() || cfg!(unix));
    let _ = (node.stop(), owner.stop());
}

#[test]
fn every_hint_of_a_refusal_can_be_typed_on_dev() {
    hints_hold_on("dev");
}

#[test]
fn every_hint_of_a_refusal_can_be_typed_on_coin() {
    hints_hold_on("coin");
}
