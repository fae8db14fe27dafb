//! Everything that real nodes say in a session of two is what `proto-notes/console.schema.json` says, key by key.
//!
//! Promises: each reply and each event has been seen at least once; those that two honest nodes never cause are made.

use lanchain::console::json::{events_dropped, json_event};
use lanchain::contract::{Event, FoundBy, Source};
use lanchain::types::{BlockHash, Height, SecretKey};
use serde_json::Value;

use crate::harness::{Node, run};
use crate::json_schema::Schema;

const SCHEMA: &str = include_str!("../../proto-notes/console.schema.json");

fn check(schema: &mut Schema, line: &Value) {
    let wrong = schema.check(line);
    assert!(wrong.is_empty(), "{line}\n{}", wrong.join("\n"));
}

/// Pays, mines, shows; a fork that heals; refusals. Every command is there.
fn two_nodes() -> Vec<Value> {
    let node = |name| Node::alone_with(&["--name", name]);
    let (mut anna, mut ben) = (node("anna"), node("ben"));
    let address = anna.loopback_address();
    ben.ok(&format!("dial {address}"));
    anna.ok("wait peers 1");
    let invited = anna.ok("invite");
    ben.ok(&format!("join {}", invited["ticket"].as_str().expect("a ticket")));
    anna.ok("mine");
    let paid = anna.ok("tx anna bob 5");
    let txid = paid["txid"].as_str().expect("an id").to_owned();
    all_ok(&mut anna, &txid, PAY_AND_SHOW);
    ben.ok("wait synced");
    // Both mine alone: one of them has side blocks and reorganises.
    ben.ok("net off");
    anna.ok("wait peers 0");
    anna.ok("tx anna bob 1");
    anna.ok("mine 3");
    ben.ok("tx ben dora 1");
    ben.ok("mine 8");
    ben.ok("net on");
    let tip = ben.ok("status")["tip"].clone();
    anna.wait_event("block_connected", |event| event["hash"] == tip);
    ben.ok("wait synced");
    let peer = ben.ok("status")["peer_id"].as_str().expect("an id").to_owned();
    anna.ok("wait peers 1");
    all_ok(&mut anna, &txid, EXPLAIN);
    all_ok(&mut anna, &peer, WATCH_AND_BAN);
    for command in REFUSED {
        anna.refused(command);
    }
    let line = anna.write("quit");
    anna.reply(line);
    anna.wait();
    ben.close_input();
    ben.wait();
    [anna.lines(), ben.lines()].concat()
}

/// Runs commands that must succeed; `ID` stands for the given one.
fn all_ok(node: &mut Node, id: &str, commands: &[&str]) {
    for command in commands {
        node.ok(&command.replace("ID", id));
    }
}

const PAY_AND_SHOW: &[&str] = &[
    "pending",
    "transaction ID",
    "claim carol",
    "mine 2",
    "transaction ID",
    "block 1",
    "mine on",
    "mine off",
    "chain 1000",
    "balance",
    "balance me",
    "balance bob",
    "accounts",
    "peers",
    "status",
];

const EXPLAIN: &[&str] = &[
    "tree",
    "resolve",
    "help",
    "help tx",
    "explain block 1",
    "explain transaction ID",
    "tamper 2",
    "stats",
];

const WATCH_AND_BAN: &[&str] = &[
    "doctor",
    "watch blocks",
    "log info",
    "ban ID 1",
    "wait peers 0",
    "peers",
    "unban ID",
    "wait peers 1",
    "drop ID",
];

const REFUSED: &[&str] = &[
    "nonsense",
    "tx a",
    "block 999999",
    "wait peers 9 0",
    "dial /ip4/127.0.0.1/tcp/1",
    "tx anna anna 1",
];

/// What attached programs and tasks say.
fn programs() -> Vec<Value> {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("node");
    let path = folder.to_str().expect("text");
    let export = home.path().join("blocks");
    let mut outputs = Vec::new();
    let mut node = Node::in_folder(&folder);
    node.ok("mine 2");
    if cfg!(unix) {
        outputs.push(run(
            ["attach", "--json", "--data-dir", path],
            "mine\nnonsense\ndetach\n",
        ));
    }
    assert!(node.stop().success());
    let file = export.to_str().expect("text");
    for words in [
        &["export", file][..],
        &["import", file],
        &["verify"],
        &["key", "show"],
        &["paths"],
        &["export", file],
    ] {
        let flags = ["--json", "--network", "dev", "--data-dir", path];
        outputs.push(run(flags.iter().chain(words), ""));
    }
    outputs.push(run(["bench", "--json", "--threads", "1"], ""));
    let lines = |output: &std::process::Output| {
        let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
        assert!(!text.is_empty(), "{output:?}");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect::<Vec<Value>>()
    };
    outputs.iter().flat_map(lines).collect()
}

/// Events that two honest nodes on a healthy machine do not cause.
fn made() -> Vec<Value> {
    let stranger = SecretKey::from_seed([1; 32]).public().peer_id();
    let (code, message) = ("bad_signature", "the signature is wrong".to_owned());
    let source = Source::Peer(stranger);
    let events = [
        Event::PeerFound {
            peer_id: stranger.to_string(),
            address: format!("/ip4/10.0.0.1/tcp/4001/p2p/{stranger}"),
            found_by: FoundBy::Mdns,
        },
        Event::TransactionRejected {
            txid: None,
            code,
            message: message.clone(),
            source,
        },
        Event::BlockRejected {
            hash: Some(BlockHash::new([7; 32])),
            height: Some(Height::new(3)),
            code,
            message: message.clone(),
            source,
        },
        Event::BlockRejected {
            hash: None,
            height: None,
            code,
            message: message.clone(),
            source: Source::Local,
        },
        Event::Warning { code, message },
    ];
    let mut lines: Vec<String> = events.iter().map(|event| json_event(event, 1)).collect();
    lines.push(events_dropped(5, 1));
    lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn everything_that_nodes_and_tasks_say_is_what_the_schema_says() {
    let mut schema = Schema::new(SCHEMA);
    for line in [two_nodes(), programs(), made()].concat() {
        check(&mut schema, &line);
    }
    let mut unseen = schema.unused("");
    // It needs blocks from the future.
    unseen.retain(|name| name != "data_rewind");
    // Which of two nodes falls behind, and how, is up to the network.
    unseen.retain(|name| !name.starts_with("event_sync_") && name != "event_block_stored");
    if !cfg!(unix) {
        unseen.retain(|name| !matches!(name.as_str(), "data_detach" | "event_attached"));
    }
    assert_eq!(unseen, Vec::<String>::new(), "never seen in the session");
}

#[test]
fn the_schema_tells_a_wrong_line_from_a_right_one() {
    let right =
        serde_json::json!({"v": 1, "type": "reply", "line": 1, "command": "net", "ok": true, "data": {"net": true}});
    let mut schema = Schema::new(SCHEMA);
    assert_eq!(schema.check(&right), Vec::<String>::new());
    let changes: [fn(&mut Value); 7] = [
        |line| line["v"] = 2.into(),
        |line| line["data"]["net"] = "on".into(),
        |line| line["data"] = serde_json::json!({}),
        |line| line["data"]["more"] = 1.into(),
        |line| line["command"] = "nonsense".into(),
        |line| line["ok"] = false.into(),
        |line| line["line"] = Value::Null,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut wrong = right.clone();
        change(&mut wrong);
        assert_ne!(schema.check(&wrong), Vec::<String>::new(), "change {number}: {wrong}");
    }
}
