//! The side door of a running node: one command by `ctl`, a session by `attach`, both through the socket in the folder.
//!
//! Spec: `proto-notes/control.md`.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Node, PATIENCE, binary, run};

fn folder_of(node: &Node) -> PathBuf {
    let started = node.wait_event("started", |_| true);
    PathBuf::from(started["data_dir"].as_str().expect("a folder"))
}

fn ctl(folder: &Path, words: &[&str]) -> Output {
    let folder = folder.to_str().expect("text");
    run(["ctl", "--data-dir", folder].iter().chain(words), "")
}

/// The reply of a command that `ctl --json` gave.
fn ctl_json(folder: &Path, command: &str) -> Value {
    let output = ctl(folder, &["--json", command]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A client that speaks to the socket itself.
struct Client {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Client {
    fn connect(folder: &Path) -> Self {
        let stream = UnixStream::connect(folder.join("control")).expect("the node has a socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let lines = BufReader::new(stream.try_clone().expect("a socket"));
        Self { stream, lines }
    }

    fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("the node reads");
    }

    /// The next line; none at the end.
    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        let size = self.lines.read_line(&mut line).expect("the node answers in time");
        (size > 0).then(|| serde_json::from_str(&line).expect("JSON"))
    }

    fn next_reply(&mut self) -> Value {
        loop {
            let line = self.next().expect("the connection stands");
            if line["type"] == "reply" {
                return line;
            }
        }
    }
}

#[test]
fn ctl_answers_as_the_console_does_and_ends_with_its_status() {
    let mut node = Node::alone();
    let folder = folder_of(&node);
    let reply = ctl_json(&folder, "tx alice bob 5");
    assert_eq!(reply["ok"], true, "{reply}");
    assert_eq!((&reply["line"], &reply["command"]), (&1.into(), &"tx".into()));
    assert_eq!(node.ok("pending")["transactions"][0]["txid"], reply["data"]["txid"]);
    assert_eq!(ctl_json(&folder, "balance bob")["data"], node.ok("balance bob"));

    let words = ctl(&folder, &["balance", "bob"]);
    assert_eq!(words.status.code(), Some(0));
    assert!(text(&words.stdout).contains("bob"), "{words:?}");
    assert!(words.stderr.is_empty(), "{words:?}");

    let refused = ctl(&folder, &["tx", "alice", "bob", "-5"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.stdout.is_empty() && text(&refused.stderr).contains("hint: "),
        "{refused:?}"
    );
    assert_eq!(ctl(&folder, &["wait", "peers", "1", "0"]).status.code(), Some(5));
    for usage in [&["#", "x"][..], &["status\nstatus"], &[]] {
        let output = ctl(&folder, usage);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    assert!(node.stop().success());
}

#[test]
fn without_a_node_ctl_and_attach_end_with_3_and_say_where_they_looked() {
    let folder = tempfile::tempdir().expect("a folder");
    for task in ["ctl", "attach"] {
        let path = folder.path().to_str().expect("text");
        let words = [task, "--data-dir", path, "status"];
        let output = run(&words[..if task == "ctl" { 4 } else { 3 }], "");
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let message = text(&output.stderr);
        assert!(message.contains(path) && message.contains("hint: "), "{message}");
    }
}

#[test]
fn the_only_node_of_a_network_needs_no_name_and_several_are_listed() {
    let home = tempfile::tempdir().expect("a folder");
    let at_home = |words: &[&str]| {
        let mut command = binary();
        command.env("XDG_DATA_HOME", home.path()).args(words);
        command
    };
    let node = |name| {
        let command = at_home(&[
            "--json",
            "--network",
            "dev",
            "--no-mdns",
            "--listen",
            "127.0.0.1:0",
            "--name",
            name,
        ]);
        Node::spawn(command)
    };
    let output = |words: &[&str]| at_home(words).stdin(Stdio::null()).output().expect("the binary runs");
    let anna = node("anna");
    let only = output(&["ctl", "--network", "dev", "--json", "status"]);
    let only: Value = serde_json::from_slice(&only.stdout).expect("JSON");
    assert_eq!(only["data"]["name"], "anna");
    let elsewhere = output(&["ctl", "status"]);
    assert_eq!(elsewhere.status.code(), Some(3));
    assert!(text(&elsewhere.stderr).contains("/anna"), "{elsewhere:?}");

    let ben = node("ben");
    let several = output(&["ctl", "--network", "dev", "status"]);
    assert_eq!(several.status.code(), Some(3));
    let message = text(&several.stderr);
    for (number, name) in [(1, "ben"), (2, "anna")] {
        let row = message.lines().find(|row| row.contains(&format!("{number}. {name} ")));
        let row = row.unwrap_or_else(|| panic!("{message}"));
        assert!(
            row.contains("port ") && row.contains("height 0") && row.ends_with(&format!("--name {name}")),
            "{row}"
        );
    }
    assert!(
        message.contains("hint: choose one: lanchain ctl --network dev --name ben COMMAND"),
        "{message}"
    );
    let named = output(&["ctl", "--network", "dev", "--name", "ben", "--json", "status"]);
    let named: Value = serde_json::from_slice(&named.stdout).expect("JSON");
    assert_eq!(named["data"]["name"], "ben");
    drop((anna, ben));
}

#[test]
fn the_socket_is_for_its_owner_alone_and_gone_after_the_stop() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("new");
    let node = Node::in_folder(&folder);
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&folder.join("control")), 0o600);
    assert_eq!(mode(&folder), 0o700);
    assert!(node.stop().success());
    assert!(!folder.join("control").exists());
}

#[test]
fn an_attached_program_sees_the_state_then_every_event_and_only_its_own_replies() {
    let mut node = Node::alone();
    let folder = folder_of(&node);
    node.ok("mine 2");
    let mut client = Client::connect(&folder);
    client.say("session events\n");
    let attached = client.next().expect("a first line");
    assert_eq!(attached["event"], "attached", "{attached}");
    let mut tip = (attached["tip"].clone(), attached["height"].clone());
    assert_eq!(tip.1, 2);

    node.ok("mine 3");
    client.say("status\n");
    loop {
        let line = client.next().expect("the connection stands");
        if line["event"] == "block_connected" {
            assert_eq!(line["previous_hash"], tip.0, "{line}");
            tip = (line["hash"].clone(), line["height"].clone());
        }
        if line["type"] == "reply" {
            assert_eq!(
                (&line["line"], &line["command"]),
                (&1.into(), &"status".into()),
                "{line}"
            );
            assert_eq!((line["data"]["tip"].clone(), line["data"]["height"].clone()), tip);
            break;
        }
    }
    let mut silent = Client::connect(&folder);
    silent.say("mine\n\n# a comment\nbalance\n");
    assert_eq!(silent.next().expect("a line")["command"], "mine");
    let second = silent.next().expect("a line");
    assert_eq!((&second["line"], &second["command"]), (&4.into(), &"balance".into()));
    node.wait_event("block_connected", |event| event["height"] == 6);
    assert!(node.stop().success());
    let mut last = Value::Null;
    while let Some(line) = client.next() {
        last = line;
    }
    assert_eq!(last["event"], "stopped", "{last}");
    assert_eq!(silent.next(), None);
}

#[test]
fn attach_takes_its_input_as_the_console_does_and_leaves_the_node_running() {
    let mut node = Node::alone();
    let folder = folder_of(&node);
    let path = folder.to_str().expect("text");
    let output = run(
        ["attach", "--json", "--quiet", "--data-dir", path],
        "status\n\nnonsense\nwait peers 1 0\nbalance",
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let replies: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let lines: Vec<_> = replies
        .iter()
        .map(|reply| (reply["line"].as_u64(), reply["ok"].as_bool()))
        .collect();
    let expected = [(1, true), (3, false), (4, false), (5, true)].map(|(line, ok)| (Some(line), Some(ok)));
    assert_eq!(lines, expected, "{replies:?}");

    let strict = run(
        ["attach", "--strict", "--quiet", "--data-dir", path],
        "wait peers 1 0\nmine\n",
    );
    assert_eq!(strict.status.code(), Some(5), "{strict:?}");
    let words = run(["attach", "--data-dir", path], "balance bob\ndetach\nmine\n");
    assert_eq!(words.status.code(), Some(0), "{words:?}");
    assert!(text(&words.stdout).contains("bob"), "{words:?}");
    assert!(
        text(&words.stderr).contains("detach"),
        "the banner says how to leave: {words:?}"
    );
    assert_eq!(node.ok("status")["height"], 0);
    assert!(node.stop().success());
}

#[test]
fn a_command_is_cancelled_by_the_line_of_ctrl_c_while_others_wait_behind_it() {
    let node = Node::alone();
    let mut client = Client::connect(&folder_of(&node));
    client.say("wait peers 1 3600\nbalance\n\u{3}\n");
    let first = client.next_reply();
    assert_eq!(first["error"]["code"], "interrupted", "{first}");
    let second = client.next_reply();
    assert_eq!((&second["line"], &second["ok"]), (&2.into(), &true.into()), "{second}");
    client.say(&format!("{}\nstatus\n", "x".repeat(100_000)));
    let long = client.next_reply();
    assert_eq!(
        (&long["error"]["code"], &long["line"]),
        (&"line_too_long".into(), &3.into())
    );
    assert_eq!(client.next_reply()["line"], 4);
}

/// A client that was let in and whose command runs on and on.
fn waiting_client(folder: &Path) -> Client {
    let mut client = Client::connect(folder);
    client.say("balance\nwait peers 1 3600\n");
    assert_eq!(client.next_reply()["ok"], true);
    client
}

#[test]
fn clients_are_bounded_and_one_that_is_gone_makes_room() {
    let node = Node::alone();
    let folder = folder_of(&node);
    let mut clients: Vec<Client> = (0..16).map(|_| waiting_client(&folder)).collect();
    let refused = ctl_json(&folder, "status");
    assert_eq!(refused["error"]["code"], "too_many_clients", "{refused}");
    assert_eq!((&refused["line"], &refused["command"]), (&0.into(), &Value::Null));
    drop(clients.pop());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = ctl_json(&folder, "status");
        if reply["ok"] == true {
            break;
        }
        assert!(Instant::now() < deadline, "{reply}");
    }

    // The node's stop interrupts the others, each with its reply.
    assert!(node.stop().success());
    for mut client in clients {
        let reply = client.next_reply();
        assert_eq!(
            (&reply["error"]["code"], &reply["line"]),
            (&"interrupted".into(), &2.into()),
            "{reply}"
        );
        assert_eq!(client.next(), None);
    }
}

#[test]
fn a_client_that_never_reads_holds_nobody_up() {
    let mut node = Node::alone();
    let folder = folder_of(&node);
    let mut stalled = Client::connect(&folder);
    stalled.say("session events\n");
    stalled.stream.set_nonblocking(true).expect("a socket");
    // Answers of some megabytes; the node stops reading when the first of them are not taken.
    let mut sent = 0_usize;
    let deadline = Instant::now() + PATIENCE;
    let mut idle = 0;
    while sent < 4_000_000 && idle < 100 && Instant::now() < deadline {
        match stalled.stream.write(b"help\n".repeat(200).as_slice()) {
            Ok(size) => (sent, idle) = (sent + size, 0),
            Err(_) => {
                idle += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
    assert!(sent < 4_000_000, "the node reads without bound");
    let begun = Instant::now();
    assert_eq!(node.ok("mine 5")["count"], 5);
    assert_eq!(ctl_json(&folder, "status")["ok"], true);
    assert!(node.stop().success());
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    let mut rest = Vec::new();
    stalled.stream.set_nonblocking(false).expect("a socket");
    stalled.stream.read_to_end(&mut rest).ok();
    assert!(!rest.is_empty());
}

#[test]
fn a_long_search_is_told_to_who_attached_and_asked_for_words_and_events() {
    let home = tempfile::tempdir().expect("a folder");
    let network = crate::stops::steep_network(home.path());
    let mut command = binary();
    command.args([
        "--json",
        "--network",
        &network,
        "--temp",
        "--no-mdns",
        "--listen",
        "127.0.0.1:0",
    ]);
    command.args(["--threads", "1"]);
    let node = Node::spawn(command);
    let folder = folder_of(&node);
    let (mut people, mut program) = (Client::connect(&folder), Client::connect(&folder));
    program.say("session events\nmine 10000\n");
    people.say("session words events\n");
    // It is cancelled as soon as it was told about.
    people.say("mine 10000\n");
    let told = loop {
        let line = people.next().expect("the connection stands");
        assert_ne!(line["type"], "reply", "{line}");
        if line["event"] == "searching" {
            break line;
        }
    };
    let text = told["text"].as_str().expect("words");
    assert!(
        text.starts_with("mining: ") && text.contains(" a block is expected "),
        "{told}"
    );
    for client in [&mut people, &mut program] {
        client.say("\u{3}\n");
        loop {
            let line = client.next().expect("the connection stands");
            let told_to_a_program =
                line["type"] == "event" && line["event"] == "searching" && line.get("text").is_none();
            assert!(!told_to_a_program && line["command"] != "status", "{line}");
            if line["type"] == "reply" {
                break;
            }
        }
    }
    assert!(node.stop().success());
}

#[test]
fn quit_by_ctl_stops_the_node_with_status_0_and_interrupts_its_console() {
    let mut node = Node::alone();
    let folder = folder_of(&node);
    let line = node.write("wait peers 1 3600");
    let reply = ctl_json(&folder, "quit");
    assert_eq!(
        (&reply["command"], &reply["ok"]),
        (&"quit".into(), &true.into()),
        "{reply}"
    );
    assert_eq!(node.reply(line)["error"]["code"], "interrupted");
    assert_eq!(node.wait().code(), Some(0));
    assert_eq!(node.events("stopped").len(), 1);
}
