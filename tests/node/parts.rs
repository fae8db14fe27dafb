//! Parts of a node that fail: the tests make them panic, the node says so and goes on, or stops with a sound store.
//!
//! Promises: the program under test has the feature `panics`; a part fails when a file holds its name.
//! Spec: `proto-notes/events.md`, "Parts that fail".

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Node, QUIET, binary};

/// The exit status of a node that cannot go on.
const BROKEN: i32 = 6;

/// A node whose parts fail on demand, on a folder of its own.
struct Fragile {
    folder: tempfile::TempDir,
    node: Node,
}

impl Fragile {
    fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let node = start_in(folder.path(), more);
        Self { folder, node }
    }

    /// Makes a part fail, the next time it does something.
    fn fail(&self, part: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, part).expect("a file");
        std::fs::rename(new, panic_file(self.folder.path())).expect("a file");
    }

    fn warning(&self, code: &str, words: &str) -> Value {
        self.node.wait_event("warning", |event| {
            event["code"] == code && event["message"].as_str().is_some_and(|text| text.contains(words))
        })
    }
}

fn panic_file(folder: &Path) -> PathBuf {
    folder.join("panic")
}

fn start_in(folder: &Path, more: &[&str]) -> Node {
    let mut command = binary();
    command.env("LANCHAIN_PANIC_FILE", panic_file(folder));
    command.arg("--json").args(QUIET).args(more);
    command.arg("--data-dir").arg(folder.join("data"));
    Node::spawn(command)
}

#[test]
fn a_failed_network_is_told_and_started_anew_and_what_was_paid_meanwhile_arrives() {
    let mut ben = Node::alone();
    let mut anna = Fragile::start(&["--peer", &ben.loopback_address()]);
    anna.node.ok("wait peers 1");
    anna.fail("network");
    anna.warning(
        "part_failed",
        "the network part of this node failed: a test asked for this",
    );
    anna.node.wait_event("peer_disconnected", |_| true);
    let paid = anna.node.ok("tx me bob 5");
    anna.warning("part_restarted", "the network part of this node runs again");
    let txid = paid["txid"].as_str().expect("an id").to_owned();
    ben.wait_event("transaction_accepted", |event| event["txid"] == txid.as_str());
    anna.node.ok("wait peers 1");
    ben.ok("mine");
    anna.node.ok(&format!("wait confirmed {txid}"));
    assert_eq!(anna.node.events("warning").len(), 2, "each is told once");
    assert_eq!(anna.node.stop().code(), Some(0));
}

#[test]
fn a_network_that_was_switched_off_stays_off_when_it_was_started_anew() {
    let mut anna = Fragile::start(&[]);
    anna.node.ok("net off");
    anna.fail("network");
    anna.warning("part_restarted", "");
    let status = anna.node.ok("status");
    assert_eq!(
        (&status["net"], &status["addresses"]),
        (&Value::Bool(false), &Value::Array(Vec::new()))
    );
    anna.node.ok("net on");
    let listens = || {
        !anna.node.ok("status")["addresses"]
            .as_array()
            .expect("a list")
            .is_empty()
    };
    wait_until(listens);
}

#[test]
fn a_failed_writer_stops_the_node_and_what_it_acknowledged_is_there_at_the_next_start() {
    let mut anna = Fragile::start(&[]);
    let paid = anna.node.ok("tx me bob 5");
    anna.fail("writer");
    assert_eq!(anna.node.send("tx me bob 6")["ok"], false);
    anna.warning("part_failed", "the writer of this node failed");
    let last = anna.node.wait_event("stopped", |_| true);
    assert_eq!(
        (last["exit_status"].as_i64(), anna.node.wait().code()),
        (Some(6), Some(BROKEN))
    );
    let mut again = start_in(anna.folder.path(), &[]);
    let waiting = again.ok("pending");
    let waiting = waiting["transactions"].as_array().expect("a list");
    assert_eq!((waiting.len(), &waiting[0]["txid"]), (1, &paid["txid"]));
}

#[test]
fn a_failed_engine_stops_the_node_with_a_sound_store() {
    let mut anna = Fragile::start(&[]);
    anna.node.ok("mine 3");
    anna.fail("engine");
    anna.warning("part_failed", "the engine of this node failed");
    assert_eq!(anna.node.wait().code(), Some(BROKEN));
    assert_eq!(start_in(anna.folder.path(), &[]).ok("status")["height"], 3);
}

#[test]
fn a_failed_reader_of_commands_stops_the_node() {
    let anna = Fragile::start(&["--daemon"]);
    anna.fail("reader");
    let mut anna = anna;
    anna.node.write("status");
    anna.warning("part_failed", "the reader of commands of this node failed");
    assert_eq!(anna.node.wait().code(), Some(BROKEN));
}

#[test]
fn a_failed_mining_thread_ends_the_search_and_the_rest_works() {
    let mut anna = Fragile::start(&["--threads", "1"]);
    anna.fail("miner");
    assert_eq!(anna.node.refused("mine"), "internal");
    anna.warning("part_failed", "a mining thread failed");
    assert_eq!(anna.node.refused("mine on"), "internal");
    anna.node.ok("tx me bob 5");
    assert_eq!(anna.node.ok("status")["mining"], false);
}

#[test]
fn a_failed_search_for_siblings_is_told() {
    let anna = Fragile::start(&[]);
    anna.fail("housekeeper");
    anna.warning("part_failed", "the search for other nodes of this machine failed");
}

#[cfg(unix)]
#[test]
fn a_failed_hearer_of_signals_is_told_and_hears_the_next_signal() {
    let mut anna = Fragile::start(&[]);
    anna.fail("signals");
    anna.node.signal("TERM");
    anna.warning(
        "part_failed",
        "what hears the system's signals failed: a test asked for this",
    );
    anna.node.ok("tx me bob 5");
    anna.node.signal("TERM");
    assert_eq!(anna.node.wait().code(), Some(0));
}

#[test]
fn a_failed_look_up_of_a_name_ends_its_dial() {
    let mut anna = Fragile::start(&[]);
    anna.fail("names");
    assert_eq!(anna.node.refused("dial nobody.example:4141"), "dial_failed");
    anna.node.ok("status");
}

#[test]
fn a_doctor_whose_look_around_fails_answers_all_the_same() {
    let mut anna = Fragile::start(&[]);
    anna.fail("doctor");
    anna.node.ok("doctor");
}

#[test]
fn a_reading_of_the_chain_that_fails_ends_its_command_with_an_error() {
    let mut anna = Fragile::start(&[]);
    for command in ["stats", "chain", "tamper 1"] {
        anna.fail("errand");
        assert_eq!(anna.node.refused(command), "internal");
    }
    anna.node.ok("chain");
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + crate::harness::PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "waited in vain");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
