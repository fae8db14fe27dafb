//! Stops of every kind: what was acknowledged is there afterwards.

use std::path::PathBuf;

use lanchain::testing::old_folder;

use crate::harness::{Node, QUIET_JSON, binary};

#[test]
fn ancestor_fault_restart_keeps_key_chain_and_pool() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut node = Node::in_folder(folder.path());
    let peer_id = node.ok("status")["peer_id"].clone();
    node.ok("tx alice bob 5");
    node.ok("mine 3");
    let pending = node.ok("tx alice carol 2")["txid"].clone();
    let tip = node.ok("status")["tip"].clone();
    assert_eq!(node.stop().code(), Some(0));

    let mut again = Node::in_folder(folder.path());
    let status = again.ok("status");
    assert_eq!(status["peer_id"], peer_id);
    assert_eq!(status["tip"], tip);
    assert_eq!(status["height"], 3);
    assert_eq!(again.ok("pending")["transactions"][0]["txid"], pending);
    assert_eq!(again.ok("balance bob")["balance"], 5);
}

#[test]
fn kill_loses_no_acknowledged_block_or_transaction() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut acknowledged_height = 0;
    let mut payments = Vec::new();
    for round in 0..4_u64 {
        let mut node = Node::in_folder(folder.path());
        let status = node.ok("status");
        let height = status["height"].as_u64().expect("a height");
        assert!(height >= acknowledged_height, "{height} < {acknowledged_height}");
        for txid in &payments {
            let known = node.ok(&format!("transaction {txid}"));
            assert_ne!(known["status"], "dropped", "{known}");
        }
        payments.push(node.ok("tx alice bob 1")["txid"].as_str().expect("a txid").to_owned());
        node.ok("mine 2");
        payments.push(node.ok("tx alice carol 1")["txid"].as_str().expect("a txid").to_owned());
        acknowledged_height = node.ok("status")["height"].as_u64().expect("a height");
        // In the middle of whatever comes then: at once, or so many blocks later.
        node.write("mine 1000");
        let later = acknowledged_height + 40 * round;
        if round > 0 {
            node.wait_event("mined", |event| event["height"].as_u64() >= Some(later));
        }
        node.kill();
    }
}

#[test]
fn temporary_folder_is_gone_after_the_stop() {
    let node = Node::alone();
    let folder = node.wait_event("started", |_| true)["data_dir"]
        .as_str()
        .expect("a path")
        .to_owned();
    assert!(std::path::Path::new(&folder).is_dir(), "{folder}");
    assert_eq!(node.stop().code(), Some(0));
    assert!(!std::path::Path::new(&folder).exists(), "{folder}");
}

#[cfg(unix)]
#[test]
fn temporary_folder_that_a_kill_left_goes_at_the_next_start() {
    let place = tempfile::tempdir().expect("a folder");
    let start = || {
        let mut command = binary();
        command.args(QUIET_JSON);
        command.env("TMPDIR", place.path());
        let node = Node::spawn(command);
        let folder = node.wait_event("started", |_| true)["data_dir"]
            .as_str()
            .expect("a path")
            .to_owned();
        (node, PathBuf::from(folder))
    };
    let (running, kept) = start();
    let (killed, left) = start();
    killed.kill();
    assert!(left.join("lock").exists(), "a kill leaves it");
    let (third, own) = start();
    assert!(!left.exists(), "{left:?}");
    assert!(kept.join("lock").exists() && own.join("lock").exists());
    assert!(third.stop().success() && running.stop().success());
    assert_eq!(std::fs::read_dir(place.path()).expect("a folder").count(), 0);
}

#[test]
fn a_folder_of_the_version_before_is_brought_up_to_date_and_keeps_its_own_payments() {
    let folder = tempfile::tempdir().expect("a folder");
    old_folder::leave(folder.path());
    let mut node = Node::in_folder(folder.path());
    node.wait_log("the index of histories is complete");
    let status = node.ok("status");
    assert_eq!((&status["height"], &status["pending"]), (&10.into(), &2.into()));
    let history = node.ok("history 1000");
    let entries = history["entries"].as_array().expect("a list");
    assert_eq!(history["total"], entries.len(), "{history}");
    let changes: i64 = entries
        .iter()
        .map(|entry| entry["change"].as_i64().expect("a number"))
        .sum();
    assert_eq!(entries[0]["balance"], changes, "{history}");
    let waiting = entries.iter().filter(|entry| entry["status"] == "pending").count();
    assert_eq!((waiting, changes), (2, 3 - 3 - 5 - 4 - 7), "{history}");
    node.ok("mine");
    assert_eq!(node.stop().code(), Some(0));

    // At once, without another word.
    let mut again = Node::in_folder(folder.path());
    assert_eq!(again.ok("history alice")["entries"][0]["height"], 11);
    assert_eq!(again.log_count("index of histories"), 0);
}
