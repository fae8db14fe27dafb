//! `lanchain attach` at a real terminal: a prompt of its own, Ctrl-C and Ctrl-D leave the node alone.
//!
//! Spec: `proto-notes/control.md`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Node, PATIENCE, QUIET, binary, run};
use crate::pty::{CTRL_C, CTRL_D, Terminal};

/// A node, and a terminal attached to it.
fn attached() -> (Node, Terminal) {
    let node = Node::alone();
    let started = node.wait_event("started", |_| true);
    let folder = started["data_dir"].as_str().expect("a folder").to_owned();
    let mut terminal = Terminal::start(&["attach", "--data-dir", &folder]);
    terminal.wait_for("`detach` or Ctrl-D leaves it running");
    terminal.wait_for("attached> ");
    (node, terminal)
}

#[test]
fn prompt_shows_replies_refusals_and_events_of_others() {
    let (mut node, mut terminal) = attached();
    terminal.ask("balance bob", "bob owns 0 coins");
    terminal.ask("nonsense", "hint: help");
    terminal.ask("tx alice bob 5", "Transaction will be added to Block 1");
    node.ok("mine");
    terminal.wait_for("New Block Forged");
    terminal.ask("balance bob", "bob owns 5 coins");
    let screen = terminal.whole();
    let told = screen.matches("alice pays bob 5 coins").count();
    assert_eq!(told, 1, "the reply says it, no event again: {screen}");
    terminal.type_text("detach\r");
    assert_eq!(terminal.status(), Some(0));
    assert_eq!(node.ok("status")["height"], 1);
    assert!(node.stop().success());
}

#[test]
fn ctrl_c_cancels_the_nodes_command_and_ctrl_d_leaves_the_node_running() {
    let (mut node, mut terminal) = attached();
    terminal.type_text("mine 10000\r");
    // A quarter of a second after a line Ctrl-C is a key; before it is a signal. Both cancel.
    terminal.wait_for("New Block Forged");
    terminal.type_text(CTRL_C);
    terminal.wait_for("the command was interrupted");
    terminal.ask("balance zed", "zed owns 0 coins");
    terminal.type_text("mine 10000\r");
    terminal.wait_for("New Block Forged");
    // Ctrl-D is a key of the prompt alone.
    terminal.wait_for("attached… ");
    terminal.type_text(CTRL_D);
    assert_eq!(terminal.status(), Some(0));
    // The command that the terminal left behind is over: the node's own search is served.
    assert_eq!(node.ok("mine")["count"], 1);
    assert!(node.stop().success());
}

#[test]
fn tabulator_completes_what_the_node_has_seen() {
    let (mut node, mut terminal) = attached();
    node.ok("tx alice robert 5");
    let hash = node.ok("mine")["blocks"][0]["hash"]
        .as_str()
        .expect("a hash")
        .to_owned();
    // The client asks the node when something happens: until it knows, the key offers nothing.
    for (typed, whole) in [
        ("balance rob".to_owned(), "balance robert".to_owned()),
        (format!("block {}", &hash[..8]), format!("block {}", &hash[..12])),
    ] {
        terminal.type_text(&typed);
        let deadline = Instant::now() + PATIENCE;
        let is_completed = |rows: &[String]| rows.last().is_some_and(|row| *row == format!("attached> {whole}"));
        while !is_completed(&terminal.rows()) {
            assert!(Instant::now() < deadline, "{whole}: {:?}", terminal.rows());
            terminal.type_text("\t");
            std::thread::sleep(Duration::from_millis(100));
        }
        terminal.type_text("\r");
        terminal.wait_for("attached> ");
    }
    terminal.wait_for("alice pays robert 5 coins");
    assert!(node.stop().success());
}

#[test]
fn adv_c21_a_byte_that_is_no_utf_8_and_a_line_too_long_are_refused_and_the_session_goes_on() {
    let (node, mut terminal) = attached();
    crate::terminal::spoil_three_lines(&mut terminal);
    terminal.type_text(&format!("\x1b[200~balance {}\x1b[201~\r", "x".repeat(5_000)));
    terminal.wait_for("more than 4096 bytes");
    // Ctrl-C at an idle prompt detaches: nothing waits for a reply any more.
    terminal.ask("balance zed", "zed owns 0 coins");
    terminal.type_text(crate::pty::CTRL_C);
    assert_eq!(terminal.status(), Some(0));
    assert!(node.stop().success());
}

#[test]
fn watch_chooses_what_this_terminal_is_told_and_no_other() {
    let (mut node, mut terminal) = attached();
    terminal.ask("watch peers", "showing: peers");
    node.ok("mine");
    // What is told comes in order: the block would stand before this answer.
    terminal.ask("balance zed", "zed owns 0 coins");
    assert!(!terminal.whole().contains("New Block Forged"), "{}", terminal.whole());
    assert_eq!(
        node.ok("watch")["watching"].as_array().map(Vec::len),
        Some(3),
        "the node's own are as before"
    );
    terminal.ask("watch all", "showing: gossip, blocks, peers");
    node.ok("mine");
    terminal.wait_for("New Block Forged: height 2");
    // There is one log.
    terminal.ask("log debug", "log: debug (its lines come here, too)");
    assert_eq!(node.ok("watch")["log"], "debug");
    // A storm is folded here as at the node's own prompt.
    let mut other = Node::alone();
    other.mine(60);
    node.ok(&format!("dial {}", other.loopback_address()));
    terminal.wait_for(" more: blocks");
    assert!(node.stop().success());
}

#[test]
fn lines_of_the_log_come_to_the_terminal_that_asked_for_them() {
    let (mut node, mut terminal) = attached();
    let other = Node::alone();
    let line = format!("dial {}", other.loopback_address());
    node.ok(&line);
    terminal.ask("balance zed", "zed owns 0 coins");
    // The network's own account of a connection; nobody asked for it so far.
    assert!(!terminal.whole().contains("TRACE"), "{}", terminal.whole());
    terminal.ask("log trace", "log: trace (its lines come here, too)");
    node.ok("net off");
    node.ok("net on");
    node.ok(&line);
    terminal.wait_for("TRACE net: swarm");
    terminal.ask("log info", "log: info (its lines come here, too)");
    assert!(node.stop().success());
    assert!(other.stop().success());
}

#[test]
fn client_without_a_terminal_switches_the_node_s_own_console() {
    let mut node = Node::alone();
    let folder = node.wait_event("started", |_| true)["data_dir"]
        .as_str()
        .expect("text")
        .to_owned();
    let told = run(["ctl", "--data-dir", &folder, "--json", "watch", "blocks"], "");
    assert!(told.status.success(), "{told:?}");
    assert_eq!(node.ok("watch")["watching"], serde_json::json!(["blocks"]));
    assert!(node.stop().success());
}

#[test]
fn quit_stops_the_node_and_the_terminal_is_given_back() {
    let (mut node, mut terminal) = attached();
    terminal.type_text("quit\r");
    assert_eq!(terminal.status(), Some(0));
    assert_eq!(node.wait().code(), Some(0));
}

#[test]
fn node_s_own_prompt_shows_what_others_had_it_do() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().to_str().expect("text");
    let flags = [&QUIET[..], &["--data-dir", path]].concat();
    let mut terminal = Terminal::start(&flags);
    terminal.wait_for("all commands: help");
    terminal.ask("tx alice bob 5", "Transaction will be added to Block 1");
    let mined = run(["ctl", "--data-dir", path, "mine"], "");
    assert!(mined.status.success(), "{mined:?}");
    terminal.wait_for("New Block Forged");
    terminal.type_text(CTRL_D);
    assert_eq!(terminal.status(), Some(0));
}

/// A client of this node whose parts fail when the file holds their names.
fn fragile_client(node: &Node, file: &Path) -> Command {
    let started = node.wait_event("started", |_| true);
    let folder = started["data_dir"].as_str().expect("a folder").to_owned();
    let mut command = binary();
    command.args(["attach", "--data-dir", &folder]).env("NO_COLOR", "1");
    command.env("LANCHAIN_PANIC_FILE", file);
    command
}

#[test]
fn a_client_at_a_terminal_one_of_whose_threads_fails_says_so_and_ends_with_a_failure() {
    let mut node = Node::alone();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("panic");
    for (part, told) in [
        ("client-names", "what completes names failed"),
        ("client-interrupts", "what hears Ctrl-C failed"),
        ("prompt", "the prompt failed"),
        ("output", "the prompt failed: the writing thread failed"),
    ] {
        let mut terminal = Terminal::empty(200);
        // The one that hears Ctrl-C does so before it hears anything; the others once they have something to do.
        let at_once = part == "client-interrupts";
        if at_once {
            std::fs::write(&file, part).expect("a file");
        }
        terminal.run(&fragile_client(&node, &file));
        if !at_once {
            terminal.wait_for("attached> ");
            std::fs::write(&file, part).expect("a file");
            terminal.type_text("mine\r");
        }
        assert_eq!(terminal.status(), Some(1), "{part}: {}", terminal.whole());
        terminal.wait_for(told);
        terminal.wait_for("a test asked for this");
        assert!(!file.exists(), "{part} failed as it was asked to");
    }
    node.ok("status");
    assert!(node.stop().success());
}

#[test]
fn a_client_without_a_terminal_whose_reader_fails_says_so_and_ends_with_a_failure() {
    let node = Node::alone();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("panic");
    std::fs::write(&file, "client-input").expect("a file");
    let mut client = fragile_client(&node, &file);
    // The input stays open: nothing but the failure ends the client.
    client
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut client = client.spawn().expect("it starts");
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = client.try_wait().expect("a child") {
            break status;
        }
        if Instant::now() > deadline {
            client.kill().expect("it runs");
            panic!("the client waits for a reader that is no more");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let told = std::io::read_to_string(client.stderr.take().expect("piped")).expect("text");
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(
        told.contains("what reads the input failed: a test asked for this"),
        "{told}"
    );
    assert!(node.stop().success());
}
