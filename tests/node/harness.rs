//! Runs a node as a child process and speaks to it in JSON lines.
//!
//! Promises: nothing that the node wrote is lost or read twice; a line that the schema of the console does not allow
//! fails the test that reads it; a test that fails prints what the node logged.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lanchain::testing::schema::Schema;
use serde_json::Value;

/// Patience for anything that a healthy node does in a second: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A node that finds nobody by itself and listens on loopback alone, on the network of tests.
pub(crate) const QUIET: [&str; 5] = ["--network", "dev", "--no-mdns", "--listen", "127.0.0.1:0"];
/// The same on a folder that goes with it, for programs.
pub(crate) const QUIET_JSON: [&str; 7] = [
    "--json",
    "--temp",
    "--network",
    "dev",
    "--no-mdns",
    "--listen",
    "127.0.0.1:0",
];

/// What a node wrote so far.
#[derive(Default)]
struct Log {
    lines: Vec<Value>,
    /// Lines that are not as the schema says, with what is wrong.
    wrong: Vec<String>,
    ended: bool,
}

type Shared = Arc<(Mutex<Log>, Condvar)>;

/// A running node in `--json` mode.
pub(crate) struct Node {
    child: Child,
    stdin: Option<ChildStdin>,
    log: Shared,
    stderr: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    sent: u64,
    /// Its lines are those of the contract.
    is_held: bool,
}

/// The command that starts the real binary with a clean environment; `LANCHAIN_PROGRAM` names another one, such as a
/// release build.
pub(crate) fn binary() -> Command {
    let built = || env!("CARGO_BIN_EXE_lanchain").into();
    let mut command = Command::new(std::env::var_os("LANCHAIN_PROGRAM").unwrap_or_else(built));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LANCHAIN_") {
            command.env_remove(name);
        }
    }
    // Words are compared with what is written down.
    command.env("LANCHAIN_NO_TIMES", "1");
    command
}

/// Runs the binary to its end with this standard input.
pub(crate) fn run<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>, input: &str) -> Output {
    let mut command = binary();
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("piped");
    // A node that stops early (`--strict`, wrong flags) closes the pipe: that is no failure of the test.
    stdin.write_all(input.as_bytes()).unwrap_or_default();
    drop(stdin);
    child.wait_with_output().expect("the binary ends")
}

/// Sends a process a signal, by its name without `SIG`.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(status.expect("kill runs").success(), "SIG{name} to {pid}");
}

/// Makes a file that this user alone can read, in the place of one that is there.
#[cfg(unix)]
pub(crate) fn write_private(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, bytes).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its owner may");
}

/// The JSON lines of an output.
pub(crate) fn json_lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    let mut schema = Schema::console();
    let mut parse = |line| {
        schema.hold(line);
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    text.lines().map(&mut parse).collect()
}

/// The replies of an output.
pub(crate) fn replies(output: &Output) -> Vec<Value> {
    let lines = json_lines(output);
    lines.into_iter().filter(|line| line["type"] == "reply").collect()
}

impl Node {
    /// Starts a node on a throw-away folder, with neither mDNS nor siblings.
    pub(crate) fn alone() -> Self {
        Self::alone_with(&[])
    }

    /// The same with more arguments.
    pub(crate) fn alone_with(more: &[&str]) -> Self {
        let mut command = binary();
        command.args(QUIET_JSON).args(more);
        Self::spawn(command)
    }

    /// Starts a node on this folder, with neither mDNS nor siblings.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let mut command = binary();
        command.arg("--json").args(QUIET).arg("--data-dir").arg(folder);
        Self::spawn(command)
    }

    /// Starts a node with `--json`, `--network dev` and these arguments.
    pub(crate) fn start<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Self {
        let mut command = binary();
        command.args(["--json", "--network", "dev"]).args(args);
        Self::spawn(command)
    }

    /// Starts what the command says and waits for its first line, `started`.
    pub(crate) fn spawn(command: Command) -> Self {
        let node = Self::launch(command);
        node.wait_event("started", |_| true);
        node
    }

    /// As [`Node::spawn`], without waiting.
    pub(crate) fn launch(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let log = Shared::default();
        let stderr = Arc::new(Mutex::new(String::new()));
        let stdout = child.stdout.take().expect("piped");
        let errors = child.stderr.take().expect("piped");
        let readers = vec![
            std::thread::spawn({
                let log = Arc::clone(&log);
                move || collect_lines(stdout, &log)
            }),
            std::thread::spawn({
                let stderr = Arc::clone(&stderr);
                move || collect_text(errors, &stderr)
            }),
        ];
        Self {
            stdin: child.stdin.take(),
            child,
            log,
            stderr,
            readers,
            sent: 0,
            is_held: true,
        }
    }

    /// A program that writes lines of this form, but is no node: they are not held against the schema.
    pub(crate) fn foreign(mut self) -> Self {
        self.is_held = false;
        self
    }

    /// The process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line and gives its number.
    pub(crate) fn write(&mut self, line: &str) -> u64 {
        let stdin = self.stdin.as_mut().expect("the input is open");
        writeln!(stdin, "{line}").expect("the node reads its input");
        self.sent += 1;
        self.sent
    }

    /// Writes a command and waits for its reply.
    pub(crate) fn send(&mut self, command: &str) -> Value {
        let line = self.write(command);
        self.reply(line)
    }

    /// Waits for the reply to a line.
    pub(crate) fn reply(&self, line: u64) -> Value {
        self.wait_line(&format!("reply to line {line}"), PATIENCE, |value| {
            value["type"] == "reply" && value["line"] == line
        })
    }

    /// Writes a command that must succeed and gives its data.
    pub(crate) fn ok(&mut self, command: &str) -> Value {
        let reply = self.send(command);
        assert_eq!(reply["ok"], true, "{command}: {reply}");
        reply["data"].clone()
    }

    /// A figure of the system about this process's memory, in KiB: `VmHWM` is the most at once, `VmRSS` what it has now.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("Linux");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .expect("a field");
        let word = line.trim_start_matches(':').split_whitespace().next();
        word.expect("a figure").parse().expect("a number")
    }

    /// Mines many blocks, some at a time: mining gives way to all other load of the machine, and has patience for each.
    pub(crate) fn mine(&mut self, blocks: usize) {
        const AT_ONCE: usize = 50;
        for first in (0..blocks).step_by(AT_ONCE) {
            self.ok(&format!("mine {}", AT_ONCE.min(blocks - first)));
        }
    }

    /// Writes a command that must fail and gives its code.
    pub(crate) fn refused(&mut self, command: &str) -> String {
        let reply = self.send(command);
        assert_eq!(reply["ok"], false, "{command}: {reply}");
        let hint = reply["error"]["hint"].as_str().expect("a hint");
        assert!(!hint.is_empty(), "{reply}");
        reply["error"]["code"].as_str().expect("a code").to_owned()
    }

    /// The first event of this name, since the start, for which `wanted` holds.
    pub(crate) fn wait_event(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_line(&format!("event {name}"), PATIENCE, |value| {
            value["type"] == "event" && value["event"] == name && wanted(value)
        })
    }

    /// Every event of this name so far.
    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        let log = self.log.0.lock().expect("no reader panics");
        let of_name = |value: &&Value| value["type"] == "event" && value["event"] == name;
        log.lines.iter().filter(of_name).cloned().collect()
    }

    /// All that the node wrote to standard output so far.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.log.0.lock().expect("no reader panics").lines.clone()
    }

    /// Sends a signal, by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    fn wait_line(&self, what: &str, patience: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + patience;
        let mut log = self.log.0.lock().expect("no reader panics");
        let mut read = 0;
        loop {
            if let Some(found) = log.lines[read..].iter().find(|value| wanted(value)) {
                return found.clone();
            }
            read = log.lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            let over = log.ended || left.is_zero();
            assert!(
                !over,
                "waited in vain for {what}; the output so far:\n{}",
                tail(&log.lines)
            );
            log = self.log.1.wait_timeout(log, left).expect("no reader panics").0;
        }
    }

    /// Waits until the node's log, its standard error, holds these words.
    pub(crate) fn wait_log(&self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.stderr.lock().expect("no reader panics").contains(words) {
            assert!(Instant::now() < deadline, "waited in vain for the log to say {words:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How often the log says these words so far.
    pub(crate) fn log_count(&self, words: &str) -> usize {
        self.stderr.lock().expect("no reader panics").matches(words).count()
    }

    /// The multiaddr on loopback, with the PeerId.
    pub(crate) fn loopback_address(&self) -> String {
        let started = self.wait_event("started", |_| true);
        let addresses = started["addresses"].as_array().expect("a list").clone();
        let texts = addresses.iter().filter_map(Value::as_str);
        let found = texts.into_iter().find(|text| text.starts_with("/ip4/127.0.0.1/"));
        found
            .unwrap_or_else(|| panic!("no loopback address: {started}"))
            .to_owned()
    }

    /// Ends the input and waits for the end of the process.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.stdin.take();
        self.wait()
    }

    /// Waits for the end of the process, which was asked for before.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of this process") {
                for reader in self.readers.drain(..) {
                    reader.join().expect("no reader panics");
                }
                return status;
            }
            assert!(Instant::now() < deadline, "the node does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the input.
    pub(crate) fn close_input(&mut self) {
        self.stdin.take();
    }

    /// Whether the process still runs after this time.
    pub(crate) fn runs_for(&mut self, time: Duration) -> bool {
        std::thread::sleep(time);
        self.child.try_wait().expect("a child of this process").is_none()
    }

    /// Ends the process as a power failure would, as far as the process can tell.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a child of this process");
        self.child.wait().expect("a child of this process");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().ok();
        if !std::thread::panicking() && self.is_held {
            let log = self.log.0.lock().expect("no reader panics");
            assert_eq!(log.wrong, Vec::<String>::new(), "against the schema of the console");
        } else if std::thread::panicking() {
            let stderr = self.stderr.lock().expect("no reader panics");
            eprintln!("--- the node's log ---\n{stderr}--- end of log ---");
        }
    }
}

fn tail(lines: &[Value]) -> String {
    let from = lines.len().saturating_sub(40);
    lines[from..].iter().map(|line| format!("{line}\n")).collect()
}

fn collect_lines(stdout: impl Read, log: &Shared) {
    let mut schema = Schema::console();
    for line in BufReader::new(stdout).lines() {
        let Ok(line) = line else { break };
        let wrong = schema.check(&line);
        let value = serde_json::from_str(&line).unwrap_or(Value::String(format!("NO JSON: {line}")));
        let mut entry = log.0.lock().expect("no reader panics");
        if !wrong.is_empty() {
            entry.wrong.push(format!("{line}\n{}", wrong.join("\n")));
        }
        entry.lines.push(value);
        drop(entry);
        log.1.notify_all();
    }
    log.0.lock().expect("no reader panics").ended = true;
    log.1.notify_all();
}

fn collect_text(stderr: impl Read, text: &Mutex<String>) {
    for line in BufReader::new(stderr).lines() {
        let Ok(line) = line else { break };
        let mut text = text.lock().expect("no reader panics");
        text.push_str(&line);
        text.push('\n');
    }
}
