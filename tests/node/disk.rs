//! A disk that fills up: nothing is promised that was not written, and the node recovers when room is made.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{Node, PATIENCE, binary};
use crate::namespace::{Interfaces, within};

/// Enough for a young chain, and soon full.
const DISK: &str = "size=2m";

/// A node whose data folder is a small disk of its own, and that folder as this process sees it.
fn on_small_disk(mount: &std::path::Path) -> (Node, PathBuf) {
    let node = binary();
    let mut command = Command::new("unshare");
    command.args([
        "-m",
        "sh",
        "-c",
        r#"mount -t tmpfs -o "$0" tmpfs "$1" && shift && exec "$@""#,
        DISK,
    ]);
    command.arg(mount).arg(node.get_program());
    command.args([
        "--json",
        "--network",
        "dev",
        "--no-mdns",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
    ]);
    command.arg(mount.join("data"));
    for (name, _) in node.get_envs() {
        command.env_remove(name);
    }
    let node = Node::spawn(command);
    let inside = PathBuf::from(format!("/proc/{}/root", node.pid()));
    let folder = inside.join(mount.strip_prefix("/").expect("an absolute path"));
    (node, folder)
}

#[test]
fn full_disk_makes_the_node_read_only_until_there_is_room() {
    within(
        "disk::full_disk_makes_the_node_read_only_until_there_is_room",
        Interfaces::Loopback,
        || {
            let mount = tempfile::tempdir().expect("a folder");
            let (mut node, folder) = on_small_disk(mount.path());
            node.ok("mine 3");
            let filler = folder.join("filler");
            // Stops at the first byte that does not fit.
            std::fs::write(&filler, vec![1; 8 * 1024 * 1024]).expect_err("the disk is full");

            let (refused, mined) = fill(&mut node);
            assert_eq!(refused["error"]["code"], "read_only", "{refused}");
            node.wait_event("warning", |event| event["code"] == "read_only");
            let acknowledged = node.ok("status")["height"].as_u64().expect("a height");
            assert_eq!(acknowledged, 3 + mined, "a refused block counts nowhere");

            std::fs::remove_file(&filler).expect("it is there");
            let deadline = Instant::now() + PATIENCE;
            while node.send("tx alice bob 1")["ok"] == false {
                assert!(Instant::now() < deadline, "the node stays read-only");
                std::thread::sleep(Duration::from_millis(200));
            }
            node.ok("mine");
            let height = node.ok("status")["height"].as_u64().expect("a height");
            assert!(height > acknowledged, "{height} after {acknowledged}");
            assert_eq!(node.stop().code(), Some(1), "a command had failed");
        },
    );
}

/// Works until the disk refuses; gives the refusal and how many blocks came before. Payments and blocks are refused
/// alike.
fn fill(node: &mut Node) -> (serde_json::Value, u64) {
    for mined in 0..3_000 {
        for command in ["tx alice bob 1", "mine"] {
            let reply = node.send(command);
            if reply["ok"] == false {
                return (reply, mined);
            }
        }
    }
    panic!("the disk never filled");
}
