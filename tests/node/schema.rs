//! Everything that real nodes and tasks say is what `proto-notes/console.schema.json` says, and in an order that can be
//! replayed.
//!
//! Promises: every command and every event that honest nodes cause has been seen.
//! Elsewhere: each line is held against the schema where it is read (`harness`); every key, unit tests of `testing`.

use lanchain::testing::schema::CONSOLE;
use serde_json::Value;

use crate::harness::{Node, json_lines, run};

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
    anna.ok("status");
    ben.ok("status");
    let line = anna.write("quit");
    anna.reply(line);
    anna.wait();
    ben.close_input();
    ben.wait();
    hold_order(&anna.lines());
    hold_order(&ben.lines());
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
    "whoami",
    "history",
    "history me 2",
    "history bob",
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
    "web",
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
        let attached = run(["attach", "--json", "--data-dir", path], "mine\nnonsense\ndetach\n");
        let lines: Vec<Value> = json_lines(&attached);
        let first = lines[0]["seq"].as_u64().expect("the number of the last event");
        assert!(first >= 5, "started, two finds: {first}");
        hold_numbers(&lines, first);
        outputs.push(attached);
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
    outputs.iter().flat_map(json_lines).collect()
}

/// All events are of one run and numbered without a gap, from this number on.
fn hold_numbers(lines: &[Value], first: u64) {
    let events: Vec<&Value> = lines.iter().filter(|line| line["type"] == "event").collect();
    assert!(events.iter().all(|event| event["run"] == events[0]["run"]), "one run");
    let numbers = events.iter().filter_map(|event| event["seq"].as_u64());
    assert!(numbers.eq((first..).take(events.len())), "{events:?}");
}

/// What must hold between lines, not only inside one.
fn hold_order(lines: &[Value]) {
    hold_numbers(lines, 1);
    let of = |name: &'static str| {
        let all = lines.iter().enumerate();
        all.filter(move |(_, line)| line["event"] == name)
            .map(|(at, line)| (at, &line["hash"]))
    };
    for (at, hash) in of("mined") {
        let connected = of("block_connected").find(|(_, other)| *other == hash);
        assert!(
            connected.is_some_and(|(later, _)| later > at),
            "mined {hash} stands before its block_connected"
        );
    }
    let mut chain = vec![lines[0]["tip"].clone()];
    for line in lines {
        if line["event"] == "block_connected" {
            assert_eq!(chain.last(), Some(&line["previous_hash"]), "{line}");
            chain.push(line["hash"].clone());
        } else if line["event"] == "block_disconnected" {
            assert_eq!(chain.pop(), Some(line["hash"].clone()), "{line}");
        } else if line["event"] == "reorganized" {
            assert!(chain.contains(&line["new_tip"]), "{line}");
        }
    }
    let last = lines.iter().rfind(|line| line["command"] == "status");
    let tip = &last.expect("a status")["data"]["tip"];
    assert_eq!(chain.last(), Some(tip), "replaying the events gives the active chain");
    assert_eq!(lines.first().expect("a line")["event"], "started");
    assert_eq!(lines.last().expect("a line")["event"], "stopped");
    let replies = lines.iter().filter_map(|line| line["line"].as_u64());
    assert!(
        replies.clone().eq((1..).take(replies.count())),
        "exactly one reply a line, in order"
    );
}

/// The words that the schema allows at a place of it and that no line has under the key.
fn unseen(place: &str, key: &str, lines: &[Value]) -> Vec<String> {
    let schema: Value = serde_json::from_str(CONSOLE).expect("the schema is JSON");
    let words = schema
        .pointer(place)
        .and_then(Value::as_array)
        .expect("a list of words");
    let unseen = words
        .iter()
        .filter(|word| !lines.iter().any(|line| line[key] == **word && line["ok"] != false));
    unseen.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn everything_that_nodes_and_tasks_say_is_what_the_schema_says() {
    let lines = [two_nodes(), programs()].concat();
    let mut commands = unseen("/$defs/reply/allOf/1/then/properties/command/enum", "command", &lines);
    // It needs blocks from the future.
    commands.retain(|word| word != "rewind" && (cfg!(unix) || word != "detach"));
    assert_eq!(commands, Vec::<String>::new(), "never answered in the session");
    // Two honest nodes never cause them, or it is up to the network which of two falls behind, and how.
    let seldom = [
        "peer_found",
        "transaction_rejected",
        "transaction_dropped",
        "transactions_dropped",
        "payment_unconfirmed",
        "block_rejected",
        "block_stored",
        "warning",
    ];
    let mut events = unseen("/$defs/event/properties/event/enum", "event", &lines);
    events.retain(|name| !seldom.contains(&name.as_str()) && !name.starts_with("sync_"));
    events.retain(|name| cfg!(unix) || name != "attached");
    assert_eq!(events, Vec::<String>::new(), "never told in the session");
}
