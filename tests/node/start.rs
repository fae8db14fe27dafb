//! Flags, environment, folders, and starts that fail: status and words.
//!
//! Spec: `proto-notes/events.md`, "Command line", "Stopping".
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::harness::{Node, QUIET, QUIET_JSON, binary, json_lines, replies, run};

/// Starts a node on a folder; it ends with the input, which is empty.
fn visit(folder: &Path) -> Output {
    let folder = folder.to_str().expect("UTF-8");
    run([&["--json", "--data-dir", folder], &QUIET[..]].concat(), "")
}

/// The start failed with this status, and only standard error says why.
fn refused(output: &Output, status: i32, words: &str) {
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("error: ") && text.contains("\nhint: ") && text.contains(words),
        "{text}"
    );
}

/// A folder that a node has used.
fn used_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(visit(folder.path()).status.code(), Some(0));
    folder
}

#[test]
fn key_that_others_can_read_ends_with_3() {
    let folder = used_folder();
    let key = folder.path().join("key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("its owner may");
    refused(&visit(folder.path()), 3, "chmod 600");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("its owner may");
    assert_eq!(visit(folder.path()).status.code(), Some(0));
}

#[test]
fn damaged_folder_ends_with_3() {
    let folder = used_folder();
    fs::write(folder.path().join("chain.redb"), b"no chain at all".repeat(1_000)).expect("written");
    refused(&visit(folder.path()), 3, "damaged");
}

#[test]
fn folder_of_a_newer_format_ends_with_3() {
    let folder = used_folder();
    let path = folder.path().join("network");
    let text = fs::read_to_string(&path).expect("the network's file");
    fs::write(&path, text.replacen("lanchain 2", "lanchain 99", 1)).expect("written");
    refused(&visit(folder.path()), 3, "format 99");
}

#[test]
fn the_time_of_day_stands_before_each_line_of_the_log_unless_that_is_not_wanted() {
    let begins_with_time = |line: &&str| {
        let clock = line.get(..9).unwrap_or_default();
        let is_digit = |at: usize| clock.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
        clock.ends_with(' ') && [0, 1, 3, 4, 6, 7].into_iter().all(is_digit) && clock.matches(':').count() == 2
    };
    for (variable, wanted) in [(None, true), (Some("1"), false)] {
        let mut node = binary();
        node.env_remove("LANCHAIN_NO_TIMES")
            .args(QUIET)
            .args(["--temp", "--exec", "tx alice bob 5; mine"]);
        if let Some(value) = variable {
            node.env("LANCHAIN_NO_TIMES", value);
        }
        let output = node.stdin(Stdio::null()).output().expect("it runs");
        let log = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("your payment of 5 coins"))
            .collect();
        assert_eq!(lines.len(), 1, "{log}");
        assert_eq!(lines.iter().all(begins_with_time), wanted, "{log}");
    }
}

#[test]
fn address_of_another_machine_ends_with_4() {
    let output = run(
        [
            "--json",
            "--network",
            "dev",
            "--temp",
            "--no-mdns",
            "--listen",
            "192.0.2.1:4001",
        ],
        "",
    );
    refused(&output, 4, "192.0.2.1");
}

#[test]
fn variables_stand_for_flags_and_flags_win() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = binary();
    command.env("LANCHAIN_DATA_DIR", folder.path());
    for (name, value) in [
        ("NETWORK", "dev:room"),
        ("NO_MDNS", "1"),
        ("LISTEN", "127.0.0.1:0"),
        ("NAME", "zoe"),
        ("JSON", "true"),
        ("EXEC", "status; nonsense; status"),
        ("STRICT", "yes"),
        ("MINE", "0"),
    ] {
        command.env(format!("LANCHAIN_{name}"), value);
    }
    let output = command
        .args(["--name", "Yan"])
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    let replies = replies(&output);
    assert_eq!(replies.len(), 2, "{replies:?}");
    assert_eq!(output.status.code(), Some(1));
    let status = &replies[0]["data"];
    assert_eq!(status["name"], "yan");
    assert_eq!(status["network"], "dev:room");
    assert_eq!(status["mining"], false);
    assert_eq!(status["data_dir"].as_str().map(Path::new), Some(folder.path()));
    assert_eq!(json_lines(&output)[0]["event"], "started");
}

#[test]
fn name_and_mine_take_effect_at_the_start() {
    let mut node = Node::alone_with(&["--name", "anna", "--mine"]);
    let started = node.wait_event("started", |_| true);
    assert_eq!(started["name"], "anna");
    assert_eq!(started["mining"], true);
    assert_eq!(
        started["account"], started["peer_id"],
        "until the name is confirmed rewards go to the key"
    );
    let claim = node.wait_event("transaction_accepted", |event| event["kind"] == "claim");
    assert_eq!(claim["from"], "anna");
    node.ok("wait height 2");
    let status = node.ok("status");
    assert_eq!(status["account"], "anna");
    assert_eq!(node.ok("balance")["account"], "anna");
    assert_eq!(node.ok("mine off")["mining"], false);
    assert_eq!(node.stop().code(), Some(0));
}

#[test]
fn name_of_another_key_brings_a_warning() {
    let mut owner = Node::alone_with(&["--name", "anna"]);
    owner.ok("mine");
    let peer = owner.loopback_address();
    let mut other = Node::alone_with(&["--name", "anna", "--peer", &peer]);
    other.ok("wait height 1");
    let warning = other.wait_event("warning", |event| event["code"] == "name_taken");
    let owner_id = owner.ok("status")["peer_id"].clone();
    let message = warning["message"].as_str().expect("text");
    assert!(message.contains(owner_id.as_str().expect("text")), "{message}");
    let status = other.ok("status");
    assert_eq!(status["account"], status["peer_id"]);
    owner.ok("wait peers 1");
    assert_eq!(owner.ok("peers")["peers"][0]["name_proven"], false);
    assert_eq!(other.ok("peers")["peers"][0]["name_proven"], true);
}

/// A node without `--data-dir`, under a data directory of its own.
fn in_slot(home: &Path, more: &[&str]) -> Command {
    let mut command = binary();
    command.env("XDG_DATA_HOME", home).env("HOME", home);
    command.arg("--json").args(QUIET).args(more);
    command
}

#[test]
fn nodes_without_flags_take_the_first_free_folder() {
    let home = tempfile::tempdir().expect("a folder");
    let mut nodes = Vec::new();
    for (more, expected) in [(&[][..], "node"), (&[][..], "node-2"), (&["--name", "zoe"][..], "zoe")] {
        let node = Node::spawn(in_slot(home.path(), more));
        let started = node.wait_event("started", |_| true);
        let folder = Path::new(started["data_dir"].as_str().expect("text")).to_owned();
        assert!(folder.starts_with(home.path()), "{folder:?}");
        assert_eq!(folder.file_name().and_then(|name| name.to_str()), Some(expected));
        nodes.push(node);
    }
    let output = in_slot(home.path(), &["--name", "zoe"])
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    refused(&output, 3, "zoe");
}

#[test]
fn exec_replaces_standard_input_and_counts_its_commands() {
    let args = [
        &QUIET_JSON[..],
        &[
            "--exec",
            "tx alice bob 5;; # nothing ;\n BALANCE Bob ;nonsense; status ",
        ],
    ]
    .concat();
    let output = run(args, "mine\nmine\n");
    let replies = replies(&output);
    let seen: Vec<_> = replies
        .iter()
        .map(|reply| {
            (
                reply["line"].as_u64().unwrap_or(0),
                reply["command"].as_str().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(seen, [(1, "tx"), (2, "balance"), (3, "nonsense"), (4, "status")]);
    assert_eq!(replies[3]["data"]["height"], 0);
}

#[test]
fn line_of_4096_bytes_is_read_and_of_4097_is_not() {
    let line = |bytes: usize| format!("status{}", " ".repeat(bytes - 6));
    let comment = format!("#{}", "x".repeat(9_000));
    let blank = " ".repeat(9_000);
    let input = format!(
        "{}\n{}\n{}\r\n{comment}\n{blank}\nstatus",
        line(4_096),
        line(4_097),
        line(4_095)
    );
    let output = run(QUIET_JSON, &input);
    let seen: Vec<_> = replies(&output)
        .iter()
        .map(|reply| {
            (
                reply["line"].as_u64().unwrap_or(0),
                reply["error"]["code"].as_str().unwrap_or("ok").to_owned(),
            )
        })
        .collect();
    let expected = [(1, "ok"), (2, "line_too_long"), (3, "ok"), (6, "ok")].map(|(line, code)| (line, code.to_owned()));
    assert_eq!(seen, expected);
}

#[test]
fn exec_beside_a_running_node_is_refused_with_the_line_for_it_and_piped_commands_go_on_with_a_warning() {
    let home = tempfile::tempdir().expect("a folder");
    let first = Node::spawn(in_slot(home.path(), &[]));
    assert!(
        first
            .events("warning")
            .iter()
            .all(|warning| warning["code"] != "second_node")
    );
    let folder = |name: &str| home.path().join("lanchain/dev-9f2bcf84").join(name);
    assert!(folder("node").exists());
    let exec = |more: &[&str]| {
        let words = [more, &["--exec", "balance bob; mine"]].concat();
        let mut command = in_slot(home.path(), &words);
        command.stdin(Stdio::null()).output().expect("the binary runs")
    };
    let output = exec(&[]);
    refused(
        &output,
        3,
        "lanchain ctl --network dev --json balance bob; lanchain ctl --network dev --json mine",
    );
    assert!(!folder("node-2").exists(), "nothing was made");
    assert_eq!(
        exec(&["--name", "zoe"]).status.code(),
        Some(0),
        "a second node is wanted"
    );
    assert_eq!(exec(&["--temp"]).status.code(), Some(0));

    // Nobody used the second folder; the third one holds a claim.
    let second = Node::spawn(in_slot(home.path(), &[]));
    let warning = second.wait_event("warning", |warning| warning["code"] == "second_node");
    let message = warning["message"].as_str().expect("text");
    assert!(message.contains("lanchain ctl --network dev"), "{message}");
    assert!(folder("node-2").exists());
    let mut third = Node::spawn(in_slot(home.path(), &[]));
    third.ok("claim alice");
    for node in [second, third] {
        assert!(node.stop().success());
    }
    assert!(!folder("node-2").exists() && folder("node-3").exists());
    assert!(first.stop().success());
    assert!(folder("node").exists());
}

#[test]
fn a_node_that_ends_because_there_is_no_input_says_so() {
    let warned = |input: &str, more: &[&str]| {
        let output = run([&QUIET_JSON[..], more].concat(), input);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let lines = json_lines(&output);
        lines.iter().any(|line| {
            line["code"] == "no_input" && line["message"].as_str().is_some_and(|text| text.contains("--daemon"))
        })
    };
    assert!(warned("", &[]));
    assert!(warned("# nothing\n\n", &[]));
    assert!(!warned("status\n", &[]));
    assert!(!warned("", &["--exec", "status"]));
}
