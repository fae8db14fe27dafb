//! Nodes as child processes, for benchmarks that time them from outside.
//!
//! Promises: nodes listen on loopback alone, without multicast and without asking for peers; folders stand in memory where there is
//! `/dev/shm`, so that no disk is measured, and are removed at the end.

// Each benchmark uses a part of it.
#![allow(dead_code)]

pub(crate) mod chart;
pub(crate) mod ear;

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Patience for anything but a fault.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Lines of a node that wait to be read: those of some bursts of payments.
pub(crate) const LINES_MAX: usize = 200_000;

/// A folder that is removed at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// A new one, in memory if there is such a place.
    pub(crate) fn new(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        let base = match memory.is_dir() {
            true => memory.to_owned(),
            false => std::env::temp_dir(),
        };
        Self(base.join(format!("lanchain-{name}-{}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

/// A node of the network `dev` as a child process.
pub(crate) struct Node {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<(Instant, String)>,
}

impl Node {
    /// Starts a program with this folder, which dials the peer.
    pub(crate) fn start(program: &str, folder: &Path, peer: Option<&str>) -> Self {
        let mut command = Command::new(program);
        let network = [
            "--network",
            "dev",
            "--listen",
            "127.0.0.1:0",
            "--no-mdns",
            "--no-exchange",
        ];
        command.args(["--json", "--log", "off"]).args(network);
        command.arg("--data-dir").arg(folder);
        if let Some(peer) = peer {
            command.args(["--peer", peer]);
        }
        Self::run(command)
    }

    /// Another client of the node in this folder.
    pub(crate) fn attach(program: &str, folder: &Path) -> Self {
        let mut command = Command::new(program);
        command
            .args(["--network", "dev", "--json", "attach", "--data-dir"])
            .arg(folder);
        Self::run(command)
    }

    fn run(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let output = child.stdout.take().expect("piped");
        let (tell, lines) = sync_channel(LINES_MAX);
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if tell.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Self {
            input: child.stdin.take(),
            child,
            output: lines,
        }
    }

    /// The next line that holds these words, and when it came.
    pub(crate) fn wait(&self, words: &str) -> (Instant, Value) {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let (at, line) = self.output.recv_timeout(left).expect("the node says it in time");
            if line.contains(words) {
                return (at, serde_json::from_str(&line).expect("JSON"));
            }
        }
    }

    /// Types lines, each with its line end, without waiting for replies.
    pub(crate) fn write(&mut self, text: &str) {
        let input = self.input.as_mut().expect("it runs");
        input.write_all(text.as_bytes()).expect("the node reads");
    }

    /// Types one line, and returns how long its reply took, with its data.
    pub(crate) fn ask(&mut self, line: &str) -> (Duration, Value) {
        let begun = Instant::now();
        let word = line.split(' ').next().unwrap_or(line);
        self.write(&format!("{line}\n"));
        let (at, reply) = self.wait(&format!("\"command\":\"{word}\""));
        (at - begun, reply["data"].clone())
    }

    /// The address at which it listens.
    pub(crate) fn address(&mut self) -> String {
        let addresses = &self.ask("status").1["addresses"];
        addresses[0].as_str().expect("it listens").to_owned()
    }

    /// CPU time so far of all its threads, user and system.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        let behind = stat.rsplit(')').next().unwrap_or_default();
        let field = |at: usize| {
            behind
                .split_whitespace()
                .nth(at)
                .and_then(|text| text.parse::<u64>().ok())
        };
        // Clock ticks are hundredths of a second wherever Linux runs.
        Duration::from_millis(10 * (field(11).unwrap_or(0) + field(12).unwrap_or(0)))
    }

    /// Resident memory in MB.
    pub(crate) fn resident_mb(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("");
        let kb = line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok());
        kb.unwrap_or(0) / 1_024
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default()
    }

    /// Ends it, and waits until it has written everything.
    pub(crate) fn stop(mut self) {
        drop(self.input.take());
        self.child.wait().expect("it ends");
    }
}
