//! Real nodes against the hostile peer of `tests/hostile`, on a bridge of namespaces with an address for each.
//!
//! The short form keeps a test run short; `LANCHAIN_HOSTILE=long` runs each threat at its full size, and `--nocapture`
//! shows the figures.
//! Promises: every flood is bounded in count and time; waiting has a condition and a deadline. Spec:
//! `proto-notes/threats.md`.

mod crowds;
mod discovery;
mod floods;
mod past;
mod words;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lanchain::chain::NetworkParams;
use lanchain::miner::kernel::KERNEL_VARIABLE;
use lanchain::types::{Account, AccountName, PublicKey};
use serde_json::Value;

use crate::harness::{Node, PATIENCE, binary};
use crate::namespace::Bridge;

/// How long a block may take.
const MINING: Duration = Duration::from_secs(240);

/// A bridge with hosts, and the network that all nodes on it are of.
struct Field {
    bridge: Bridge,
    network: String,
    folder: tempfile::TempDir,
}

impl Field {
    /// So many machines, on the network `dev`.
    fn with_hosts(count: usize) -> Self {
        Self {
            bridge: Bridge::with_hosts(count),
            network: "dev".to_owned(),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// All nodes from now on are of a network with blocks and rooms as small as they may be, and work as little.
    fn with_small_blocks(mut self) -> Self {
        let path = self.folder.path().join("small.toml");
        let text = "name = \"small\"\nspacing_ms = 10000\nhalflife_ms = 120000\ncredit_limit = 1000\n\
            difficulty = \"floor\"\nrecipients = \"anyone\"\ngenesis_time_ms = 1767225600000\n\
            block_bytes_max = 65536\nnew_accounts_max = 64\n";
        std::fs::write(&path, text).expect("a file");
        self.network = path.to_str().expect("UTF-8").to_owned();
        self
    }

    /// An honest node that finds nobody by itself.
    fn honest(&self, host: usize, more: &[&str]) -> Node {
        self.node(host, &[&["--no-mdns"], more].concat())
    }

    /// The same on a chain of so many blocks, whose rewards went to the node with this PeerId, or to a name.
    fn honest_with_past(&self, host: usize, blocks: u64, rewarded: Option<&str>, more: &[&str]) -> Node {
        let params = match self.network.strip_suffix(".toml") {
            Some(_) => NetworkParams::from_toml(&std::fs::read_to_string(&self.network).expect("a file")),
            None => NetworkParams::built_in(&self.network),
        };
        let key = |id: &str| PublicKey::from_peer_id(&id.parse().expect("a PeerId")).expect("a key");
        let name = || Account::Name(AccountName::new("before").expect("a name"));
        let to = rewarded.map_or_else(name, |id| Account::Key(key(id)));
        let file = self.folder.path().join(format!("past{host}"));
        std::fs::write(&file, past::lines(&params.expect("a network"), blocks, &to)).expect("a file");
        let home = self.folder.path().join(format!("home{host}"));
        let home = home.to_str().expect("UTF-8");
        let file = file.to_str().expect("UTF-8");
        let import = ["import", file, "--data-dir", home, "--network", &self.network];
        assert!(crate::harness::run(import, "").status.success());
        let mut command = binary();
        command.args(["--json", "--data-dir", home, "--port", "4141", "--no-mdns"]);
        command.args(["--network", &self.network]).args(more);
        command.env(KERNEL_VARIABLE, "portable");
        Node::spawn(self.bridge.on(host, &command))
    }

    fn node(&self, host: usize, more: &[&str]) -> Node {
        let mut command = binary();
        command.args(["--json", "--temp", "--port", "4141", "--network", &self.network]);
        command.env(KERNEL_VARIABLE, "portable");
        Node::spawn(self.bridge.on(host, command.args(more)))
    }

    /// The hostile peer: what it says has the form of a node's events.
    fn hostile(&self, host: usize, to: &[usize], more: &[&str]) -> Node {
        let mut command = Command::new(program());
        command.args(["--network", &self.network, "--seed", &format!("{}", host + 1)]);
        for target in to {
            command.args(["--to", &address(*target)]);
        }
        Node::launch(self.bridge.on(host, command.args(more))).foreign()
    }
}

/// Where the node on a host listens.
fn address(host: usize) -> String {
    format!("/ip4/10.77.0.{}/tcp/4141", host + 1)
}

fn program() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_lanchain"))
        .with_file_name("examples")
        .join("hostile");
    assert!(
        path.is_file(),
        "{} is missing: run cargo build --locked --example hostile",
        path.display()
    );
    path
}

/// Whether each threat comes at its full size.
fn is_long() -> bool {
    std::env::var("LANCHAIN_HOSTILE").is_ok_and(|text| text == "long")
}

/// The size in an ordinary run, or the full one.
fn size(short: usize, long: usize) -> String {
    (if is_long() { long } else { short }).to_string()
}

/// Waits for a condition; says what it was if it never comes.
fn wait_for(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    began.elapsed()
}

/// How many peers a node has.
fn peers(node: &mut Node) -> u64 {
    node.ok("status")["peers"].as_u64().expect("a count")
}

fn peer_id(node: &mut Node) -> String {
    node.ok("status")["peer_id"].as_str().expect("a PeerId").to_owned()
}

/// Nothing that a node warned of has to do with this peer: it lost neither points nor the connection.
fn assert_blameless(watcher: &Node, peer: &str) {
    for warning in watcher.events("warning") {
        assert!(
            !warning["message"].as_str().is_some_and(|text| text.contains(peer)),
            "{warning}"
        );
    }
    for event in watcher.events("peer_disconnected") {
        assert_ne!(event["peer_id"], peer, "{event}");
    }
}

/// A block that a node finds itself. Its miner gives way to all other load of the machine, here also to the flood's, so
/// that this takes seconds, or minutes where the machine does other work too.
fn mine(node: &mut Node) -> Value {
    let line = node.write("mine");
    let began = Instant::now();
    while !node.lines().iter().any(|value| value["line"] == line) {
        assert!(began.elapsed() < MINING, "no block after {MINING:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let reply = node.reply(line);
    assert_eq!(reply["ok"], true, "{reply}");
    reply["data"]["blocks"][0].clone()
}

/// Processor time that a process took so far.
fn cpu(node: &Node) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", node.pid())).expect("Linux");
    let behind_name = stat.rsplit(')').next().expect("fields");
    let ticks = behind_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|text| text.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

/// When a node connected a block, by its own clock.
fn connected_at(node: &Node, hash: &Value) -> u64 {
    let event = node.wait_event("block_connected", |event| event["hash"] == *hash);
    event["time_ms"].as_u64().expect("a time")
}
