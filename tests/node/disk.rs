//! A disk that fills up: blocks are refused before it is full, nothing is promised that was not written, and the node goes on
//! when room is made.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{Node, PATIENCE, binary};
use crate::namespace::{Interfaces, within};

/// Soon full, and large enough for a young chain and the sixteenth that is kept.
const DISK: &str = "size=8m";
/// What is left for blocks when the warning is due: less than a sixteenth of the disk.
const LEFT_BYTES: u64 = 300 * 1024;

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

fn height(node: &mut Node) -> u64 {
    node.ok("status")["height"].as_u64().expect("a height")
}

#[test]
fn full_disk_makes_the_node_read_only_until_there_is_room() {
    within(
        "disk::full_disk_makes_the_node_read_only_until_there_is_room",
        Interfaces::Loopback,
        || {
            let mount = tempfile::tempdir().expect("a folder");
            let (mut node, folder) = on_small_disk(mount.path());
            let mut neighbour = Node::alone();
            node.ok("mine 3");
            neighbour.ok(&format!("dial {}", node.loopback_address()));
            neighbour.wait_event("block_connected", |event| event["height"] == 3);

            // Somebody else needs the disk: blocks are refused before it is full, whoever makes them.
            let filler = folder.join("filler");
            let free = node.ok("stats")["disk"]["free_bytes"].as_u64().expect("bytes");
            let size = usize::try_from(free - LEFT_BYTES).expect("a small disk");
            std::fs::write(&filler, vec![1; size]).expect("it fits");
            node.wait_event("warning", |event| event["code"] == "disk_low");
            assert_eq!(node.refused("mine"), "disk_low");
            neighbour.ok("mine 2");
            let mut paid = 1;
            node.ok("tx alice bob 1");
            neighbour.wait_event("transaction_accepted", |event| event["from"] == "alice");
            assert_eq!(height(&mut node), 3);
            let disk = node.ok("stats")["disk"].clone();
            assert!(disk["free_bytes"].as_u64() < Some(8 * 1024 * 1024 / 16), "{disk}");
            assert!(disk["chain_bytes"].as_u64() > Some(0), "{disk}");

            // Then it is full to the last byte, and own payments are refused too.
            std::fs::write(folder.join("rest"), vec![1; 8 * 1024 * 1024]).expect_err("the disk is full");
            let refused = (0..3_000).find_map(|_| {
                let reply = node.send("tx alice bob 1");
                paid += u64::from(reply["ok"] == true);
                (reply["ok"] == false).then_some(reply)
            });
            let refused = refused.expect("the disk is full");
            assert_eq!(refused["error"]["code"], "read_only", "{refused}");
            node.wait_event("warning", |event| event["code"] == "read_only");

            for name in ["filler", "rest"] {
                std::fs::remove_file(folder.join(name)).expect("it is there");
            }
            node.wait_event("warning", |event| event["code"] == "disk_room");
            let deadline = Instant::now() + PATIENCE;
            while height(&mut node) < 5 || node.send("mine")["ok"] == false {
                assert!(Instant::now() < deadline, "the node stays as it was");
                std::thread::sleep(Duration::from_millis(200));
            }
            let balance = node.ok("balance bob")["balance"].as_u64().expect("what was paid");
            assert_eq!(
                balance, paid,
                "what was acknowledged is there, and nothing that was refused"
            );
            for side in [&node, &neighbour] {
                let blamed = |event: &serde_json::Value| {
                    let code = event["code"].as_str().unwrap_or_default();
                    code.starts_with("peer_")
                };
                assert!(!side.events("warning").iter().any(blamed), "{:?}", side.lines());
                assert!(side.events("block_rejected").is_empty(), "{:?}", side.lines());
            }
            assert_eq!(node.stop().code(), Some(1), "a command had failed");
            assert_eq!(neighbour.stop().code(), Some(0));
        },
    );
}
