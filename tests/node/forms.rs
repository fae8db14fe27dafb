//! Every reply and every event of a busy session of two nodes, held against the contract's table of keys and values.
//!
//! Promises: a key that is missing, new, or of another form fails here. Elsewhere: forms that two honest nodes never
//! bring about (`console::json`, unit tests). Spec: `proto-notes/events.md`, "Values", "Replies", "Events".

use serde_json::{Map, Value};

use crate::harness::Node;

/// Name of a form and its keys: `key:kind`, `?` for "or null", `[…]` for a list.
const FORMS: &[(&str, &str)] = &[
    (
        "TX",
        "txid:hash kind:kind from:payer to:account? to_owner:hash? amount:int sequence:int? public_key:hash? \
         signature:signature? raw:bytes",
    ),
    (
        "BLOCK",
        "hash:hash height:int previous_hash:hash merkle_root:hash version:int time_ms:int bits:int nonce:decimal \
         work:hash active:bool header:header transactions:[TX]",
    ),
    ("STEP", "side:side hash:hash"),
    ("ACCOUNT", "account:account balance:signed owner:peer?"),
    (
        "PEER",
        "peer_id:peer name:name? name_proven:bool address:address height:int work:hash latency_ms:int? found_by:found_by",
    ),
    ("TIP", "hash:hash height:int work:hash active:bool fork_height:int"),
    (
        "TREEBLOCK",
        "hash:hash height:int previous_hash:hash time_ms:int adds_work:hash work:hash active:bool miner:account? \
         below:hash? skipped:int",
    ),
    ("BAN", "peer_id:peer name:name? name_proven:bool left_ms:int"),
    ("PART", "name:text offset:int length:int hex:bytes value:text"),
    ("PATHSTEP", "side:side left:hash right:hash hash:hash"),
    (
        "INCLUSION",
        "block_hash:hash height:int index:int transactions:int path:[PATHSTEP] root:hash merkle_root:hash",
    ),
    (
        "CHANGE",
        "change:text hash:hash accepted:bool code:text? message:text? lesson:text",
    ),
    (
        "INTERVALS",
        "count:int shortest_ms:int median_ms:int mean_ms:int longest_ms:int",
    ),
    ("MINER", "account:account blocks:int"),
    ("FILLER", "account:account transactions:int bytes:int"),
    ("GROWTH", "bytes:int bytes_per_hour:int? fillers:[FILLER]"),
    ("DISK", "chain_bytes:int free_bytes:int"),
    (
        "INTERFACE",
        "name:text addresses:[text] used:bool reason:text? multicast:text?",
    ),
    (
        "FAILURE",
        "peer_id:peer? address:text? reason:text other_network:bool ago_ms:int",
    ),
    (
        "STATUS",
        "peer_id:peer name:name? account:account network:text network_id:hash height:int tip:hash work:hash bits:int \
         peers:int pending:int addresses:[address] data_dir:text mining:bool hash_rate:int syncing:bool net:bool",
    ),
];

/// The data of each command's reply.
const REPLIES: &[(&str, &str)] = &[
    ("tx", "TX block:int message:text notice:text?"),
    ("claim", "TX block:int message:text notice:text?"),
    ("mine", "message:text count:int blocks:[BLOCK]"),
    ("mine on", "mining:bool"),
    ("mine off", "mining:bool"),
    ("chain", "length:int blocks:[BLOCK]"),
    ("block", "BLOCK"),
    (
        "transaction",
        "TX status:status reason:text? height:int? block_hash:hash? confirmations:int? proof:[STEP]? \
         known_to_neighbour:bool?",
    ),
    ("pending", "transactions:[TX]"),
    (
        "balance",
        "account:account balance:signed pending:signed owner:peer? next_sequence:int",
    ),
    ("accounts", "total:int own:[ACCOUNT] accounts:[ACCOUNT]"),
    ("peers", "peers:[PEER] banned:[BAN]"),
    ("status", "STATUS"),
    ("dial", "peer_id:peer address:address message:text"),
    ("invite", "ticket:text network:text addresses:[address] message:text"),
    ("join", "peer_id:peer address:address message:text"),
    ("resolve", "replaced:bool message:text notice:text? height:int tip:hash"),
    ("rewind", "removed:int message:text height:int tip:hash"),
    ("net", "net:bool"),
    ("tree", "tips:[TIP] blocks:[TREEBLOCK]"),
    (
        "explain block",
        "hash:hash height:int active:bool header:header parts:[PART] target:hash hash_zero_bits:int \
         target_zero_bits:int share_of_target_ppm:int? expected_attempts:int parent_time_ms:int? parent_bits:int? \
         adds_work:hash work:hash transactions:int",
    ),
    (
        "explain transaction",
        "txid:hash kind:kind status:status raw:bytes parts:[PART] signed:bytes? signed_parts:[PART] public_key:hash? \
         signature:signature? signature_valid:bool? inclusion:INCLUSION?",
    ),
    ("tamper", "height:int hash:hash changes:[CHANGE] message:text"),
    (
        "stats",
        "from_height:int to_height:int transactions:int spacing_ms:int halflife_ms:int intervals:INTERVALS? bits:[int] \
         miners:[MINER] miners_total:int richest:[ACCOUNT] accounts_total:int growth:GROWTH disk:DISK?",
    ),
    (
        "drop",
        "peer_id:peer name:name? name_taken:bool banned_ms:int? message:text",
    ),
    (
        "ban",
        "peer_id:peer name:name? name_taken:bool banned_ms:int? message:text",
    ),
    (
        "unban",
        "peer_id:peer name:name? name_taken:bool banned_ms:int? message:text",
    ),
    (
        "doctor",
        "peers:int net:bool discovery:bool interfaces:[INTERFACE] multicast_heard:int multicast_ago_ms:int? multicast_dropped:int others_heard:int? \
         failures:[FAILURE] same_key:bool same_key_at:text? clock_ahead_ms:signed? dial:text? advice:[text]",
    ),
    ("watch", "watching:[text] log:text"),
    ("log", "watching:[text] log:text"),
    ("wait", "waited_ms:int"),
    ("help", "text:text"),
    ("quit", ""),
];

/// What follows `time_ms` in each event.
const EVENTS: &[(&str, &str)] = &[
    ("started", "STATUS"),
    ("peer_found", "peer_id:peer address:address found_by:found_by"),
    (
        "peer_connected",
        "peer_id:peer name:name? name_taken:bool address:address direction:direction found_by:found_by",
    ),
    (
        "peer_named",
        "peer_id:peer name:name? name_proven:bool name_taken:bool address:address",
    ),
    (
        "peer_disconnected",
        "peer_id:peer name:name? name_taken:bool reason:text",
    ),
    (
        "transaction_accepted",
        "txid:hash kind:kind from:payer to:account? amount:int sequence:int? source:source",
    ),
    (
        "transaction_rejected",
        "txid:hash? code:text message:text source:source",
    ),
    ("mined", "hash:hash height:int"),
    (
        "block_connected",
        "hash:hash height:int previous_hash:hash transactions:int source:source",
    ),
    ("block_disconnected", "hash:hash height:int"),
    ("block_stored", "hash:hash height:int work:hash source:source"),
    (
        "block_rejected",
        "hash:hash? height:int? code:text message:text source:source",
    ),
    (
        "reorganized",
        "depth:int fork_height:int old_tip:hash new_tip:hash returned:[hash]",
    ),
    ("sync_started", "peer_id:peer height:int target_height:int"),
    ("sync_progress", "peer_id:peer height:int target_height:int"),
    ("sync_finished", "peer_id:peer height:int target_height:int"),
    ("warning", "code:text message:text"),
    ("stopped", "exit_status:int"),
];

fn find(table: &[(&'static str, &'static str)], name: &str) -> &'static str {
    let found = table.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("the contract knows no \"{name}\"")).1
}

/// The keys of a form, forms inside it unfolded.
fn keys(form: &'static str) -> Vec<(&'static str, &'static str)> {
    form.split_whitespace()
        .flat_map(|word| match word.split_once(':') {
            Some(pair) => vec![pair],
            None => keys(find(FORMS, word)),
        })
        .collect()
}

fn hold_object(place: &str, object: &Map<String, Value>, form: &'static str) {
    let keys = keys(form);
    for (key, kind) in &keys {
        let value = object.get(*key).unwrap_or_else(|| panic!("{place} has no {key}"));
        hold(&format!("{place}.{key}"), value, kind);
    }
    for key in object.keys() {
        assert!(keys.iter().any(|(known, _)| known == key), "{place} has {key} too");
    }
}

fn hold(place: &str, value: &Value, kind: &'static str) {
    if let Some(kind) = kind.strip_suffix('?') {
        if !value.is_null() {
            hold(place, value, kind);
        }
        return;
    }
    if let Some(inner) = kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')) {
        let list = value
            .as_array()
            .unwrap_or_else(|| panic!("{place} is no list: {value}"));
        return list.iter().for_each(|entry| hold(place, entry, inner));
    }
    if kind.chars().all(|c| c.is_ascii_uppercase()) {
        let object = value
            .as_object()
            .unwrap_or_else(|| panic!("{place} is no object: {value}"));
        return hold_object(place, object, find(FORMS, kind));
    }
    let text = value.as_str().unwrap_or_default();
    let holds = match kind {
        "int" => value.as_u64().is_some_and(|number| number < 1 << 53),
        "signed" => value.as_i64().is_some(),
        "bool" => value.is_boolean(),
        "text" => !text.is_empty(),
        "decimal" => text.parse::<u64>().is_ok_and(|number| number.to_string() == text),
        "hash" => is_hex(text, 32),
        "signature" => is_hex(text, 64),
        "header" => is_hex(text, 96),
        "bytes" => text.len() >= 2 && is_hex(text, text.len() / 2),
        "peer" => is_peer(text),
        "name" => is_name(text),
        "account" => is_name(text) || is_peer(text),
        "payer" => text == "0" || is_name(text) || is_peer(text),
        "source" => text == "local" || is_peer(text),
        "address" => is_address(text),
        "kind" => ["transfer", "claim", "reward"].contains(&text),
        "side" => ["left", "right"].contains(&text),
        "status" => ["pending", "confirmed", "dropped"].contains(&text),
        "direction" => ["in", "out"].contains(&text),
        "found_by" => ["mdns", "sibling", "manual", "remembered", "inbound", "told"].contains(&text),
        other => panic!("the table knows no kind \"{other}\""),
    };
    assert!(holds, "{place} is no {kind}: {value}");
}

fn is_hex(text: &str, bytes: usize) -> bool {
    text.len() == 2 * bytes && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_peer(text: &str) -> bool {
    text.len() == 52 && text.starts_with("12D3KooW")
}

fn is_name(text: &str) -> bool {
    let fits = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    (1..=32).contains(&text.len())
        && text.bytes().all(fits)
        && text.as_bytes()[0].is_ascii_lowercase()
        && text != "me"
        && text != "coinbase"
}

fn is_address(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let port = parts.iter().skip_while(|part| **part != "tcp").nth(1);
    text.starts_with("/ip")
        && port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
        && matches!(parts.as_slice(), [.., "p2p", peer] if is_peer(peer))
}

/// Holds every line of a finished session against the tables.
fn hold_lines(lines: &[Value], sent: &[String]) {
    for line in lines {
        let mut object = line.as_object().unwrap_or_else(|| panic!("no object: {line}")).clone();
        assert_eq!(object.remove("v"), Some(Value::from(1)), "{line}");
        let kind = object.remove("type").expect("a type");
        if kind == "event" {
            let name = object.remove("event").expect("a name");
            let name = name.as_str().expect("text");
            hold(name, &object.remove("time_ms").expect("a time"), "int");
            hold_object(name, &object, find(EVENTS, name));
        } else {
            assert_eq!(kind, "reply", "{line}");
            hold_reply(&mut object, sent);
        }
    }
    let replies: Vec<u64> = lines.iter().filter_map(|line| line["line"].as_u64()).collect();
    let expected: Vec<u64> = (1..).take(sent.len()).collect();
    assert_eq!(replies, expected, "exactly one reply a line, in order");
}

fn hold_reply(object: &mut Map<String, Value>, sent: &[String]) {
    let line = object.remove("line").and_then(|line| line.as_u64()).expect("a line");
    let typed = &sent[usize::try_from(line).expect("small") - 1];
    let word = object.remove("command").expect("a command");
    let word = word.as_str().expect("every line of this test has a word");
    if object.remove("ok").expect("ok") == true {
        let form = match typed.as_str() {
            "mine on" | "mine off" => typed.as_str(),
            explain if explain.starts_with("explain block") => "explain block",
            explain if explain.starts_with("explain transaction") => "explain transaction",
            _ => word,
        };
        let data = object.remove("data").expect("data");
        hold_object(typed, data.as_object().expect("an object"), find(REPLIES, form));
    } else {
        let error = object.remove("error").expect("an error");
        let form = "code:text message:text hint:text";
        hold_object(typed, error.as_object().expect("an object"), form);
    }
    assert!(object.is_empty(), "more keys: {object:?}");
}

/// What must hold between events, not only inside one.
fn hold_order(lines: &[Value]) {
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
    let last = lines
        .iter()
        .rfind(|line| line["command"] == "status")
        .expect("a status");
    assert_eq!(
        chain.last(),
        Some(&last["data"]["tip"]),
        "replaying the events gives the active chain"
    );
    assert_eq!(lines.first().expect("a line")["event"], "started");
    assert_eq!(lines.last().expect("a line")["event"], "stopped");
}

/// A node and what was typed to it.
struct Talk {
    node: Node,
    sent: Vec<String>,
}

impl Talk {
    fn start(args: &[&str]) -> Self {
        let args = [&["--temp", "--no-mdns", "--listen", "127.0.0.1:0"], args].concat();
        Self {
            node: Node::start(args),
            sent: Vec::new(),
        }
    }

    fn say(&mut self, line: &str) -> Value {
        self.sent.push(line.to_owned());
        self.node.send(line)
    }

    fn ok(&mut self, line: &str) -> Value {
        let reply = self.say(line);
        assert_eq!(reply["ok"], true, "{line}: {reply}");
        reply["data"].clone()
    }

    fn end(mut self) -> Vec<Value> {
        self.say("quit");
        self.node.wait();
        hold_lines(&self.node.lines(), &self.sent);
        hold_order(&self.node.lines());
        self.node.lines()
    }
}

#[test]
fn every_reply_and_event_of_two_busy_nodes_has_the_contracts_keys_and_forms() {
    let mut anna = Talk::start(&["--name", "anna"]);
    let address = anna.node.loopback_address();
    let mut ben = Talk::start(&["--name", "ben", "--peer", &address]);
    ben.ok("wait peers 1");
    anna.ok("wait peers 1");
    anna.ok("mine 2");
    ben.ok("wait height 2");
    let txid = anna.ok("tx Anna Bob 5")["txid"].clone();
    let txid = txid.as_str().expect("text");
    ben.node
        .wait_event("transaction_accepted", |event| event["txid"] == txid);
    ben.ok("mine");
    anna.ok(&format!("wait confirmed {txid}"));
    for line in [
        "peers",
        "status",
        "chain",
        "block 3",
        "block 0",
        "balance",
        "balance bob",
        "accounts",
        "tree",
        "resolve",
    ] {
        anna.ok(line);
    }
    anna.ok(&format!("transaction {txid}"));
    anna.ok(&format!("register {address}").replace(&address, &ben.node.loopback_address()));
    partition(&mut anna, &mut ben);
    make_visible(&mut anna, &mut ben, txid);
    for line in [
        "nonsense",
        "tx a b",
        "help",
        "help tx",
        "mine on",
        "mine off",
        "wait peers 9 0",
        "pending",
        "status",
    ] {
        anna.say(line);
        ben.say(line);
    }
    let lines = [anna.end(), ben.end()].concat();
    let seldom = [
        "peer_found",
        "transaction_rejected",
        "block_rejected",
        "sync_progress",
        "warning",
    ];
    for (name, _) in EVENTS.iter().filter(|(name, _)| !seldom.contains(name)) {
        assert!(
            lines.iter().any(|line| line["event"] == *name),
            "no {name} in this session"
        );
    }
}

/// Everything that shows how the chain is made, and a split by hand.
fn make_visible(anna: &mut Talk, ben: &mut Talk, txid: &str) {
    for line in [
        "explain block 0",
        "explain block 3",
        "tamper 3",
        "stats",
        "doctor",
        "invite",
        "watch off",
        "log warn",
        "watch all",
    ] {
        anna.ok(line);
    }
    let told = anna.ok(&format!("explain transaction {}", &txid[..12]));
    assert_eq!(told["txid"], txid);
    assert_eq!(told["inclusion"]["root"], told["inclusion"]["merkle_root"]);
    assert_eq!(anna.ok(&format!("transaction {}", &txid[..12]))["txid"], txid);
    let tree = anna.ok("tree");
    assert!(
        tree["blocks"]
            .as_array()
            .is_some_and(|blocks| blocks.iter().any(|block| block["active"] == false))
    );
    let address = ben.node.loopback_address();
    let id = address.rsplit('/').next().expect("a PeerId");
    anna.ok(&format!("drop {}", &id[44..]));
    anna.ok(&format!("ban {id} 5"));
    anna.ok("wait peers 0");
    assert_eq!(anna.ok("peers")["banned"][0]["peer_id"], id);
    anna.ok(&format!("unban {id}"));
    let ticket = ben.ok("invite")["ticket"].clone();
    let ticket = ticket.as_str().expect("a ticket");
    anna.ok(&format!("join {ticket}"));
    assert_eq!(anna.say(&format!("unban {id}"))["error"]["code"], "unknown_peer");
}

/// Two branches and their end.
fn partition(anna: &mut Talk, ben: &mut Talk) {
    anna.ok("net off");
    ben.ok("wait peers 0");
    let paid = anna.ok("tx anna carol 1")["txid"].clone();
    let paid = paid.as_str().expect("text");
    anna.ok("claim dora");
    anna.ok("pending");
    anna.ok("mine 2");
    anna.ok("status");
    ben.ok("mine 4");
    anna.ok("net on");
    anna.ok("wait height 7");
    anna.ok("wait synced");
    anna.ok("tree 3");
    anna.ok(&format!("transaction {paid}"));
    anna.ok("peers");
    anna.ok("status");
}
