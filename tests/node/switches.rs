//! Long switches of real processes: kills in the middle of one; on demand what they take of memory and time:
//!
//!     LANCHAIN_BLOCKS=160 cargo test --release --locked --test node long_switch_of -- --ignored --nocapture
//!
//! Spec: `proto-notes/decisions/switches.md`.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::branches::{ChainFile, End, Kept, Payments, extend};
use crate::harness::{Node, PATIENCE, QUIET, binary, run};

/// Payments of a block: as many as a page of an exercise book has lines, and more.
const FULL: u64 = 2_000;

/// What a switch may add to a node's memory.
const ADDED_MAX_KIB: u64 = 64 * 1024;

fn start(folder: &Path) -> Node {
    let mut command = binary();
    command.arg("--json").args(QUIET).arg("--data-dir").arg(folder);
    Node::spawn(command)
}

/// A folder in which a node has been.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(start(folder.path()).stop().success());
    folder
}

/// Asks a node the same thing again and again, by a session of its own.
struct Asker {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Instant, Duration, Value)>>,
}

impl Asker {
    fn start(folder: &Path, line: &str, pause: Duration) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ended);
        let mut stream = UnixStream::connect(folder.join("control")).expect("the node has a socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut lines = BufReader::new(stream.try_clone().expect("a socket"));
        let line = format!("{line}\n");
        let thread = std::thread::spawn(move || {
            let mut answers = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let asked = Instant::now();
                if stream.write_all(line.as_bytes()).is_err() {
                    break;
                }
                let mut text = String::new();
                if !matches!(lines.read_line(&mut text), Ok(1..)) {
                    break;
                }
                let answered = Instant::now();
                let reply: Value = serde_json::from_str(&text).expect("JSON");
                answers.push((answered, answered - asked, reply));
                std::thread::sleep(pause.saturating_sub(asked.elapsed()));
            }
            answers
        });
        Self { ended, thread }
    }

    fn stop(self) -> Vec<(Instant, Duration, Value)> {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic")
    }
}

/// A node on the old branch that knows the new one but for its last blocks, and a peer on the new one.
struct Fork {
    node: TempDir,
    peer: TempDir,
    old: End,
    new: End,
}

/// `missing` blocks of the new branch are at the peer alone.
fn fork(count: u64, missing: u64, payments: Payments) -> Fork {
    let (node, peer) = (folder(), folder());
    let (mut here, mut there) = (ChainFile::open(node.path()), ChainFile::open(peer.path()));
    let branch = |miner| (miner, payments);
    let mut shared = End::genesis();
    let both = &mut [(&mut here, Kept::Active), (&mut there, Kept::Active)];
    extend(&mut shared, branch(2), 2, both);
    let (mut old, mut new) = (shared.clone(), shared);
    extend(&mut old, branch(3), count, &mut [(&mut here, Kept::Active)]);
    let both = &mut [(&mut there, Kept::Active), (&mut here, Kept::Aside)];
    extend(&mut new, branch(4), count + 1 - missing, both);
    extend(&mut new, branch(4), missing, &mut [(&mut there, Kept::Active)]);
    Fork { node, peer, old, new }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn longest(answers: &[(Instant, Duration, Value)], from: Instant, to: Instant) -> (usize, Duration, Duration) {
    let within: Vec<_> = answers.iter().filter(|(at, ..)| *at >= from && *at <= to).collect();
    let gaps = within.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let waits = within.iter().map(|(_, wait, _)| *wait);
    (
        within.len(),
        gaps.max().unwrap_or_default(),
        waits.max().unwrap_or_default(),
    )
}

#[test]
#[ignore = "a measurement: figures of a release build only, minutes to prepare"]
fn long_switch_of_full_blocks_takes_little_memory_and_keeps_nobody_waiting() {
    let count = number("LANCHAIN_BLOCKS", 40);
    let payments = match number("LANCHAIN_FRESH", 0) {
        0 => Payments::Ring(FULL),
        fresh => Payments::Fresh(fresh),
    };
    let began = Instant::now();
    let fork = fork(count, number("LANCHAIN_MISSING", 1), payments);
    println!("made in {:?}", began.elapsed());
    let peer = start(fork.peer.path());
    let mut node = start(fork.node.path());
    assert_eq!(node.ok("status")["tip"], fork.old.hash().as_str());
    let socket: PathBuf = fork.node.path().to_path_buf();
    let statuses = Asker::start(&socket, "status", Duration::from_millis(10));
    let payments = Asker::start(&socket, "tx me carol 1", Duration::from_millis(250));
    std::thread::sleep(Duration::from_secs(1));
    let before = node.memory_kib("VmRSS");
    std::fs::write(format!("/proc/{}/clear_refs", node.pid()), "5").expect("an own process");
    let dialled = Instant::now();
    node.ok(&format!("dial {}", peer.loopback_address()));
    let tip = fork.new.hash();
    let deadline = dialled + Duration::from_secs(1_200);
    let told = loop {
        if let Some(told) = node.events("reorganized").pop() {
            break told;
        }
        assert!(Instant::now() < deadline, "no switch");
        std::thread::sleep(Duration::from_millis(1));
    };
    let over = Instant::now();
    std::thread::sleep(Duration::from_secs(2));
    let (statuses, payments) = (statuses.stop(), payments.stop());
    let added = node.memory_kib("VmHWM").saturating_sub(before);
    let syncing = statuses.iter().find(|(_, _, reply)| reply["data"]["syncing"] == true);
    let first = syncing.map_or(dialled, |(at, ..)| *at);
    let end = over + Duration::from_secs(1);
    println!(
        "{count} off, {} on, depth {}: {:?} from the dial, {:?} from the first status that says it; {before} KiB before, +{added} KiB",
        count + 1,
        told["depth"],
        over - dialled,
        over - first,
    );
    for (what, answers) in [("status", &statuses), ("tx", &payments)] {
        let (asked, gap, wait) = longest(answers, dialled, end);
        let late = answers
            .iter()
            .filter(|(_, wait, _)| *wait > Duration::from_millis(100))
            .count();
        println!(
            "{what}: {asked} answers, the longest gap {gap:?}, the longest wait {wait:?}, {late} of more than 100 ms"
        );
        assert!(answers.iter().all(|(_, _, reply)| reply["ok"] == true));
    }
    let hashing = |(_, _, reply): &(Instant, Duration, Value)| {
        reply["data"]["syncing"] == true && reply["data"]["hash_rate"].as_u64() != Some(0)
    };
    assert!(!statuses.iter().any(hashing), "it mines on the old tip");
    assert_eq!(node.ok("status")["tip"], tip.as_str());
    assert!(added < ADDED_MAX_KIB, "{added} KiB");
}

/// Copies what a node that is not running has in its folder.
fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a kind").is_file() {
            std::fs::copy(entry.path(), to.path().join(entry.file_name())).expect("copied");
        }
    }
    to
}

/// What `verify` says of a folder: the tip of a chain that is whole.
fn verified_tip(folder: &Path) -> Value {
    let path = folder.to_str().expect("text");
    let output = run(["--json", "--network", "dev", "--data-dir", path, "verify"], "");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(output.status.code(), Some(0), "{found}");
    found["data"]["tip"].clone()
}

/// A number below `most`, the next of its seed.
fn random(seed: &mut u64, most: u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % most
}

/// A node that was killed in the middle of something.
struct Killed {
    folder: TempDir,
    /// The ids of its own payments that it had acknowledged.
    paid: Vec<String>,
    /// The block that it had found.
    found: Option<Value>,
    had_switched: bool,
}

/// Starts a node on a copy of a folder, has it pay and mine, and kills it after this time.
fn kill(folder: &Path, after: Duration) -> Killed {
    let folder = copy(folder);
    let mut node = Node::in_folder(folder.path());
    let at = Instant::now() + after;
    let mut miner = UnixStream::connect(folder.path().join("control")).expect("the node has a socket");
    miner.write_all(b"mine\n").expect("the node reads");
    let mut lines = vec![node.write("tx me carol 1")];
    while Instant::now() < at {
        std::thread::sleep(Duration::from_millis(10));
        lines.push(node.write("tx me carol 1"));
    }
    let replies = node.lines();
    let had_switched = !node.events("reorganized").is_empty();
    node.kill();
    let mut text = String::new();
    // Whoever was killed ends the connection in one way or another.
    BufReader::new(miner).read_line(&mut text).unwrap_or_default();
    let mined = serde_json::from_str::<Value>(&text).ok();
    let is_answer = |reply: &&Value| {
        lines
            .iter()
            .any(|line| reply["type"] == "reply" && reply["line"] == *line)
    };
    let paid = replies.iter().filter(is_answer).map(|reply| {
        let txid = reply["data"]["txid"].as_str();
        txid.unwrap_or_else(|| panic!("{reply}")).to_owned()
    });
    Killed {
        paid: paid.collect(),
        found: mined.map(|reply| reply["data"]["blocks"][0]["hash"].clone()),
        had_switched,
        folder,
    }
}

#[test]
fn kills_in_the_middle_of_a_long_switch_leave_the_old_branch_or_the_new_one_and_what_was_acknowledged() {
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").subsec_nanos();
    let mut seed = number("LANCHAIN_SEED", now.into());
    println!("LANCHAIN_SEED={seed}");
    // The whole branch is stored: a start makes the switch.
    let fork = fork(40, 0, Payments::Ring(120));
    let (old, new) = (Value::from(fork.old.hash()), Value::from(fork.new.hash()));
    let began = Instant::now();
    let whole = copy(fork.node.path());
    let node = start(whole.path());
    let told = node.wait_event("reorganized", |_| true);
    let lasts = u64::try_from(began.elapsed().as_millis()).expect("seconds");
    assert_eq!(
        (&told["depth"], &told["old_tip"], &told["new_tip"]),
        (&40.into(), &old, &new)
    );
    assert!(node.stop().success());
    assert_eq!(verified_tip(whole.path()), new);
    let mut middle = 0;
    for _ in 0..10 {
        let after = Duration::from_millis(random(&mut seed, 2 * lasts));
        let killed = kill(fork.node.path(), after);
        let tip = verified_tip(killed.folder.path());
        println!(
            "killed after {after:?} with {} payments acknowledged: {tip}",
            killed.paid.len()
        );
        assert!(killed.found.is_none() || killed.had_switched, "found on the old branch");
        assert!(tip != old || !killed.had_switched, "it was told");
        middle += usize::from(tip == old);
        let mut again = Node::in_folder(killed.folder.path());
        for txid in &killed.paid {
            let known = again.ok(&format!("transaction {txid}"));
            assert_ne!(known["status"], "dropped", "{known}");
        }
        again.ok(&format!("wait height {}", fork.new.height()));
        let chain = again.ok("chain 3");
        let blocks = chain["blocks"].as_array().expect("a list");
        let active: Vec<_> = blocks.iter().map(|block| &block["hash"]).collect();
        assert!(active.contains(&&new), "{active:?}");
        assert!(killed.found.is_none_or(|hash| active.contains(&&hash)), "{active:?}");
        again.kill();
    }
    assert!(middle > 0, "no kill was in the middle");
}
