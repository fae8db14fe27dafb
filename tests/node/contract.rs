//! The console contract over pipes: exit statuses, order and number of replies, how lines are read.
//!
//! Spec: `proto-notes/events.md`.

use serde_json::Value;

use crate::harness::{Node, binary, json_lines, replies, run};

const ALONE: [&str; 7] = [
    "--temp",
    "--no-mdns",
    "--json",
    "--network",
    "dev",
    "--listen",
    "127.0.0.1:0",
];

fn alone_with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ALONE.iter().chain(more).copied().collect()
}

fn codes(replies: &[Value]) -> Vec<String> {
    let code = |reply: &Value| reply["error"]["code"].as_str().unwrap_or("ok").to_owned();
    replies.iter().map(code).collect()
}

#[test]
fn three_commands_pay_mine_and_show_the_balance() {
    let output = run(alone_with(&["--exec", "tx alice bob 5; mine; balance bob"]), "");
    let replies = replies(&output);
    assert_eq!(codes(&replies), ["ok", "ok", "ok"], "{output:?}");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(replies[0]["data"]["message"], "Transaction will be added to Block 1");
    assert_eq!(replies[1]["data"]["message"], "New Block Forged");
    assert_eq!(replies[2]["data"]["balance"], 5);
}

#[test]
fn first_line_is_started_and_last_line_is_stopped() {
    let output = run(alone_with(&[]), "status\n");
    let lines = json_lines(&output);
    let first = lines.first().expect("a first line");
    let last = lines.last().expect("a last line");
    assert_eq!(first["event"], "started", "{first}");
    assert_eq!(last["event"], "stopped", "{last}");
    assert_eq!(last["exit_status"], 0, "{last}");
    assert!(lines.iter().all(|line| line["v"] == 1), "{lines:?}");
}

#[test]
fn blank_lines_and_comments_count_and_have_no_reply() {
    let output = run(
        alone_with(&[]),
        "\n# a comment\r\n   # another\nstatus\r\n\n  BALANCE Alice\nhelp",
    );
    let replies = replies(&output);
    let lines: Vec<_> = replies
        .iter()
        .map(|reply| reply["line"].as_u64().unwrap_or(0))
        .collect();
    let words: Vec<_> = replies
        .iter()
        .map(|reply| reply["command"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(lines, [4, 6, 7], "{replies:?}");
    assert_eq!(words, ["status", "balance", "help"], "{replies:?}");
    assert_eq!(replies[1]["data"]["account"], "alice");
}

#[test]
fn failures_are_ordinary_replies_and_the_status_is_1() {
    let input =
        "minee\ntx alice bob\ntx alice bob 5 6\ntx alice alice 5\ntx alice bob 1.5\ntx 0 bob 5\nblock 77\nstatus\n";
    let output = run(alone_with(&[]), input);
    let replies = replies(&output);
    let expected = [
        "unknown_command",
        "missing_values",
        "too_many_values",
        "self_transfer",
        "bad_amount",
        "bad_name",
        "unknown_block",
        "ok",
    ];
    assert_eq!(codes(&replies), expected, "{replies:?}");
    assert_eq!(replies[0]["command"], "minee");
    let missing = replies[1]["error"]["message"].as_str().expect("a message");
    assert!(missing.starts_with("Missing values"), "{missing}");
    let failures = replies.iter().filter(|reply| reply["ok"] == false);
    assert!(
        failures
            .clone()
            .all(|reply| reply["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()))
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn strict_stops_at_the_first_failure() {
    let output = run(alone_with(&["--strict"]), "status\nnonsense\nstatus\n");
    assert_eq!(codes(&replies(&output)), ["ok", "unknown_command"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn long_line_is_skipped_whole_and_reading_goes_on() {
    let long = "x".repeat(100_000);
    let output = run(alone_with(&[]), &format!("{long}\nstatus\n"));
    let replies = replies(&output);
    assert_eq!(codes(&replies), ["line_too_long", "ok"], "{replies:?}");
    assert_eq!(replies[1]["line"], 2);
}

#[test]
fn wait_that_runs_out_ends_with_5() {
    let output = run(alone_with(&["--exec", "wait peers 1 0; status"]), "");
    assert_eq!(codes(&replies(&output)), ["timeout", "ok"]);
    assert_eq!(output.status.code(), Some(5));
}

#[test]
fn first_failure_decides_the_status() {
    let output = run(alone_with(&["--exec", "nonsense; wait peers 1 0"]), "");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn wrong_usage_ends_with_2_and_writes_nothing_to_standard_output() {
    let output = run(["--port", "70000"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(!output.stderr.is_empty());
}

#[test]
fn bench_prints_one_line_touches_no_folder_and_ends_with_0() {
    let home = tempfile::tempdir().expect("a folder");
    let mut command = binary();
    command.args(["bench", "--json", "--threads", "1"]);
    let output = command
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path())
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(0));
    let [line] = &json_lines(&output)[..] else {
        panic!("one line: {output:?}")
    };
    assert_eq!(
        (line["type"].as_str(), line["threads"].as_u64()),
        (Some("bench"), Some(1))
    );
    assert!(line["hash_rate"].as_u64().is_some_and(|rate| rate > 0), "{line}");
    assert_eq!(std::fs::read_dir(home.path()).expect("it is there").count(), 0);
}

#[test]
fn folder_in_use_ends_with_3_and_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::in_folder(folder.path());
    let path = folder.path().to_str().expect("UTF-8");
    let output = run(
        [
            "--no-mdns",
            "--listen",
            "127.0.0.1:0",
            "--network",
            "dev",
            "--data-dir",
            path,
        ],
        "",
    );
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains(path), "{stderr}");
    assert_eq!(node.stop().code(), Some(0));
}

#[test]
fn folder_of_another_network_ends_with_3() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let of = |network| {
        run(["--no-mdns", "--data-dir", path, "--network", network], "")
            .status
            .code()
    };
    assert_eq!(of("dev"), Some(0));
    assert_eq!(of("dev:other"), Some(3));
}

#[test]
fn port_in_use_ends_with_4() {
    let taken = std::net::TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let output = run(["--temp", "--no-mdns", "--network", "dev", "--port", &port], "");
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&port), "{output:?}");
}

#[test]
fn quit_stops_the_node_and_leaves_the_rest_unread() {
    let output = run(alone_with(&[]), "status\nquit\nstatus\n");
    let words: Vec<_> = replies(&output).iter().map(|reply| reply["command"].clone()).collect();
    assert_eq!(words.first().and_then(Value::as_str), Some("status"));
    assert!(words.len() <= 2, "{words:?}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn end_of_input_lets_the_last_command_finish() {
    let output = run(alone_with(&[]), "mine 5");
    let replies = replies(&output);
    assert_eq!(replies[0]["data"]["count"], 5, "{replies:?}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn reply_comes_behind_the_events_of_its_command() {
    let output = run(alone_with(&["--exec", "mine 2"]), "");
    let lines = json_lines(&output);
    let at = |wanted: &dyn Fn(&Value) -> bool| lines.iter().position(wanted).expect("the line is there");
    let mined = at(&|line| line["event"] == "mined" && line["height"] == 2);
    let connected = at(&|line| line["event"] == "block_connected" && line["height"] == 2);
    let reply = at(&|line| line["type"] == "reply");
    assert!(mined < connected && connected < reply, "{lines:?}");
}

#[test]
fn human_answers_go_to_standard_output_and_errors_to_standard_error() {
    let args = [
        "--temp",
        "--no-mdns",
        "--network",
        "dev",
        "--exec",
        "tx alice bob 5; nonsense",
    ];
    let output = run(args, "");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stdout.contains("Transaction will be added to Block 1"), "{stdout}");
    assert!(stderr.contains("line 2:") && stderr.contains("hint:"), "{stderr}");
    assert!(!stdout.contains("hint:"), "{stdout}");
    assert_eq!(output.status.code(), Some(1));
}

#[cfg(unix)]
#[test]
fn sigterm_during_a_command_interrupts_it_and_ends_with_0() {
    let mut node = Node::alone();
    let line = node.write("mine 10000");
    // It runs: a signal that is faster than the line leaves no command to interrupt.
    node.wait_event("mined", |_| true);
    let pid = node.pid().to_string();
    assert!(
        std::process::Command::new("kill")
            .arg(pid)
            .status()
            .expect("kill runs")
            .success()
    );
    assert_eq!(node.reply(line)["error"]["code"], "interrupted");
    assert_eq!(node.wait().code(), Some(0));
    assert!(node.events("stopped").iter().all(|event| event["exit_status"] == 0));
}

#[test]
fn daemon_stays_when_its_input_ends() {
    let mut command = binary();
    command.args(["--daemon"]).args(ALONE);
    let mut node = Node::spawn(command);
    node.close_input();
    // Half a second is far more than a stop takes; a stop that comes later than this goes unnoticed, never wrongly noticed.
    assert!(node.runs_for(std::time::Duration::from_millis(500)));
}

/// Commands that are refused, one for each reason that a lonely node can meet.
const REFUSED: [(&str, &str); 29] = [
    ("minee", "unknown_command"),
    ("frobnicate", "unknown_command"),
    ("tx alice bob", "missing_values"),
    ("tx", "missing_values"),
    ("tx alice bob 5 6", "too_many_values"),
    ("status now", "too_many_values"),
    ("tx alice bob 0", "bad_amount"),
    ("tx alice bob 05", "bad_amount"),
    ("tx alice bob +5", "bad_amount"),
    ("tx alice bob 9007199254740992", "bad_amount"),
    ("tx 0 bob 5", "bad_name"),
    ("tx alice coinbase 5", "bad_name"),
    ("claim me", "bad_name"),
    ("balance 9lives", "bad_name"),
    ("tx alice alice 5", "self_transfer"),
    ("tx alice bob 1001", "overdraft"),
    ("claim alice", "already_claimed"),
    ("mine 10001", "bad_argument"),
    ("chain 1001", "bad_argument"),
    ("wait height 1 86401", "bad_argument"),
    ("wait peers 1 0", "timeout"),
    ("wait height 9 0", "timeout"),
    ("dial /nowhere", "bad_address"),
    ("dial 0.0.0.0", "bad_address"),
    ("join ticket1", "bad_ticket"),
    ("block 77", "unknown_block"),
    ("block abcd", "unknown_block"),
    (
        "transaction 0000000000000000000000000000000000000000000000000000000000000000",
        "unknown_transaction",
    ),
    ("block abc", "bad_argument"),
];

#[test]
fn every_refusal_has_its_code_and_a_hint_that_can_be_typed() {
    let mut node = Node::alone();
    node.ok("tx alice bob 5");
    let mut hints = Vec::new();
    for (command, code) in REFUSED {
        let reply = node.send(command);
        assert_eq!(reply["error"]["code"], code, "{command}: {reply}");
        hints.push((command, reply["error"]["hint"].as_str().expect("text").to_owned()));
    }
    let unreadable = [
        "unknown_command",
        "missing_values",
        "too_many_values",
        "bad_argument",
        "bad_name",
        "bad_amount",
        "bad_address",
    ];
    for (command, hint) in hints {
        // What a hint does is another matter; that it is a command at all is not.
        if !["dial", "mine", "wait"].iter().any(|word| hint.starts_with(word)) {
            let reply = node.send(&hint);
            let code = reply["error"]["code"].as_str().unwrap_or("ok");
            assert!(
                !unreadable.contains(&code),
                "{command} is answered with {hint}: {reply}"
            );
        }
    }
}

#[test]
fn pulled_cable_leaves_everything_else_at_work_and_is_back_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut other = Node::alone();
    let mut node = Node::in_folder(folder.path());
    let address = other.loopback_address();
    let dialled = node.ok(&format!("dial {address}"));
    assert_eq!(dialled["message"], "New nodes have been added");
    assert_eq!(dialled["address"].as_str(), Some(&*address));
    let own = node.loopback_address();
    let port: u16 = own
        .split('/')
        .nth(4)
        .and_then(|port| port.parse().ok())
        .expect("a port");

    assert_eq!(node.ok("net off")["net"], false);
    assert_eq!(node.ok("net off")["net"], false, "twice is no error");
    node.ok("wait peers 0");
    other.ok("wait peers 0");
    let status = node.ok("status");
    assert_eq!(
        (&status["net"], &status["addresses"], &status["peers"]),
        (&false.into(), &Value::Array(Vec::new()), &0.into())
    );
    assert_eq!(node.refused(&format!("dial {address}")), "dial_failed");
    let deadline = std::time::Instant::now() + crate::harness::PATIENCE;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(std::time::Instant::now() < deadline, "it still listens");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let paid = node.ok("tx alice bob 5");
    assert!(
        paid["notice"]
            .as_str()
            .is_some_and(|notice| notice.contains("no peer yet")),
        "{paid}"
    );
    node.ok("mine 2");
    let resolved = node.ok("resolve");
    assert_eq!(
        (&resolved["replaced"], &resolved["message"]),
        (&false.into(), &"Our chain is authoritative".into())
    );
    node.stop();

    let mut again = Node::in_folder(folder.path());
    assert_eq!(again.ok("status")["net"], true);
    again.ok("wait peers 1");
    other.ok("wait height 2");
}

#[test]
fn notice_is_for_unclaimed_recipients_and_lonely_nodes_alone() {
    let mut node = Node::alone();
    let address = node.loopback_address();
    let mut other = Node::alone_with(&["--peer", &address, "--name", "ben"]);
    other.ok("mine");
    node.ok("wait peers 1");
    node.ok("wait height 1");
    // Alice is new and owes afterwards: that is for people, not a warning.
    assert_eq!(node.ok("tx alice ben 5")["notice"], Value::Null);
    assert!(
        node.ok("tx alice nobody 5")["notice"]
            .as_str()
            .is_some_and(|notice| notice.contains("nobody owns nobody"))
    );
    let refused = node.send("tx ben alice 1");
    let owner = other.ok("status")["peer_id"].clone();
    assert_eq!(refused["error"]["code"], "not_owner");
    let message = refused["error"]["message"].as_str().expect("text");
    assert!(
        message.contains(owner.as_str().expect("text")),
        "a refusal names the owner: {message}"
    );
}
