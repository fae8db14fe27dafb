//! A terminal that changes: another width, closed, suspended and brought back; Ctrl-C in every state.
//!
//! Elsewhere: typing, pasting, history (`terminal`); the terminal itself (`pty`).
//! Spec: `proto-notes/events.md`, "Stopping".

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::harness::{Node, QUIET, binary};
use crate::pty::{CTRL_C, CTRL_D, CTRL_Z, Terminal};

/// A node on a folder, at a terminal of the usual width.
fn at_80_columns(folder: &Path, more: &[&str]) -> Terminal {
    let mut node = binary();
    node.args(QUIET)
        .arg("--data-dir")
        .arg(folder)
        .args(more)
        .env("NO_COLOR", "1");
    let mut terminal = Terminal::empty(80);
    terminal.run(&node);
    terminal.wait_rows("a prompt", is_at_prompt);
    terminal
}

/// A prompt is all that stands at the end of the screen.
fn is_at_prompt(rows: &[String]) -> Option<()> {
    let last = rows.iter().rev().find(|row| !row.is_empty())?;
    (last == ">").then_some(())
}

/// Waits until the screen ends with this text, on as many rows of this width as it needs.
fn wait_for_line(terminal: &Terminal, text: &str, columns: usize) {
    let count = text.chars().count().div_ceil(columns);
    terminal.wait_rows(&format!("\"{text}\" in {columns} columns"), |rows| {
        // A wider window needs fewer rows: those below are empty then.
        let end = rows.iter().rposition(|row| !row.is_empty())? + 1;
        let from = end.checked_sub(count)?;
        (rows[from..end].concat() == text).then_some(())
    });
}

#[test]
fn typed_line_stays_whole_in_a_window_of_another_width() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut terminal = at_80_columns(folder.path(), &[]);
    let typed = format!("transaction {}", "ab".repeat(31));
    terminal.type_text(&typed);
    wait_for_line(&terminal, &format!("> {typed}"), 80);
    terminal.resize(50);
    terminal.type_text("c");
    wait_for_line(&terminal, &format!("> {typed}c"), 50);
    terminal.resize(80);
    terminal.type_text("d");
    wait_for_line(&terminal, &format!("> {typed}cd"), 80);
    terminal.type_text("\r");
    terminal.wait_rows("the answer", |rows| {
        rows.iter().position(|row| row.starts_with("hint: "))?;
        is_at_prompt(rows)
    });
    // What is folded follows the window: the next answer is as wide as it is now.
    terminal.resize(50);
    terminal.type_text("help tx\r");
    terminal.wait_rows("the help in 50 columns", |rows| {
        let at = rows.iter().position(|row| row == "> help tx")?;
        rows.iter().position(|row| row.contains("example: tx alice bob 5"))?;
        is_at_prompt(rows)?;
        rows[at..].iter().all(|row| row.chars().count() < 50).then_some(())
    });
}

#[test]
fn closed_terminal_stops_the_node_with_0_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in ["tx alice bob 5", "mine 10000"] {
        let mut terminal = at_80_columns(folder.path(), &[]);
        terminal.type_text(&format!("{command}\r"));
        terminal.wait_for(if command.starts_with("tx") {
            "alice owes 5 then"
        } else {
            "New Block Forged"
        });
        terminal.hang_up();
        assert_eq!(terminal.status(), Some(0), "{command}");
    }
    let mut node = Node::in_folder(folder.path());
    let bob = node.ok("balance bob");
    assert_eq!(bob["balance"], 5, "the payment was first in a block: {bob}");
    assert!(node.ok("status")["height"].as_u64() >= Some(1));
    assert!(node.stop().success());
}

#[test]
fn closed_terminal_of_a_client_leaves_the_node_running() {
    let mut node = Node::alone();
    let started = node.wait_event("started", |_| true);
    let folder = started["data_dir"].as_str().expect("a folder").to_owned();
    let mut terminal = Terminal::start(&["attach", "--data-dir", &folder]);
    terminal.wait_for("attached> ");
    terminal.type_text("mine 10000\r");
    terminal.wait_for("New Block Forged");
    terminal.hang_up();
    terminal.status();
    // Its command is over, long before its end: blocks came a thousand a second.
    let mut height = || node.ok("status")["height"].as_u64().expect("a number");
    let mut last = height();
    loop {
        std::thread::sleep(Duration::from_millis(200));
        match height() {
            now if now == last => break,
            now => last = now,
        }
    }
    assert!(last < 10_000, "the search of a client that is gone went on");
    assert_eq!(node.ok("mine")["count"], 1);
    assert!(node.stop().success());
}

#[test]
fn ctrl_c_cancels_a_wait_at_once_and_later_and_spares_it_while_text_is_typed() {
    let mut terminal = Terminal::open();
    // At once it is a signal, for the prompt is not back yet; later it is a key.
    terminal.type_text("wait peers 3 600\r");
    terminal.wait_for("wait peers 3 600");
    terminal.type_text(CTRL_C);
    terminal.wait_for("the command was interrupted");
    terminal.wait_for("> ");
    terminal.type_text("wait peers 3 600\r");
    terminal.wait_for("wait peers 3 600");
    terminal.wait_for("… ");
    terminal.type_text("half a line");
    terminal.wait_for("half a line");
    terminal.type_text(CTRL_C);
    terminal.wait_for("… ");
    let told = |terminal: &Terminal| terminal.whole().matches("the command was interrupted").count();
    assert_eq!(told(&terminal), 1, "the typed line is gone, the command goes on");
    terminal.type_text(CTRL_C);
    terminal.wait_for("the command was interrupted");
    terminal.ask("balance zed", "zed owns 0 coins");
    assert_eq!(told(&terminal), 2);
    terminal.type_text(CTRL_C);
    assert_eq!(terminal.status(), Some(0));
}

#[test]
fn suspended_node_comes_back_with_its_line_and_its_peers() {
    let mut other = Node::alone();
    let node = binary();
    let mut shell = Command::new("sh");
    // A shell with job control, as people have: only such a one brings a program back.
    shell
        .args(["-i"])
        .env("PS1", "shell% ")
        .env("NO_COLOR", "1")
        .env("HOME", "/");
    for (name, _) in node.get_envs() {
        shell.env_remove(name);
    }
    let mut terminal = Terminal::empty(200);
    terminal.run(&shell);
    terminal.wait_for("shell% ");
    let program = node.get_program().to_string_lossy().into_owned();
    let peer = other.loopback_address();
    terminal.type_text(&format!("{program} {} --temp --peer {peer}\r", QUIET.join(" ")));
    terminal.wait_for("connected: we called");
    terminal.wait_for("> ");
    terminal.type_text("balance z");
    terminal.wait_for("balance z");
    terminal.type_text(CTRL_Z);
    terminal.wait_for("shell% ");
    // What happens meanwhile is made up for.
    other.ok("mine 3");
    terminal.type_text("fg\r");
    terminal.wait_for("> balance z");
    terminal.type_text("ed\r");
    terminal.wait_for("zed owns 0 coins");
    terminal.ask("wait height 3", "waited");
    terminal.ask("wait peers 1", "waited");
    // Also while a command runs.
    terminal.type_text("wait height 4 600\r");
    terminal.wait_for("… ");
    terminal.type_text(CTRL_Z);
    terminal.wait_for("shell% ");
    other.ok("mine");
    terminal.type_text("fg\r");
    terminal.wait_for("waited ");
    terminal.type_text(CTRL_D);
    terminal.wait_for("shell% ");
    other.ok("wait peers 0");
    terminal.type_text("exit\r");
    terminal.status();
    assert!(other.stop().success());
}

#[test]
fn paste_during_a_storm_loses_no_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut terminal = at_80_columns(folder.path(), &["--mine"]);
    terminal.wait_for("New Block Forged");
    let paste: String = (0..200).map(|number| format!("balance n{number}\r")).collect();
    terminal.type_text(&paste);
    terminal.wait_for("n199 owns 0 coins");
    assert_eq!(terminal.whole().matches(" owns 0 coins").count(), 200);
    terminal.ask("mine off", "mining is off");
}
