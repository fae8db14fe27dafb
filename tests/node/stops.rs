//! How a node ends: signals, a closed output, the end of its input, and which status that gives.
//!
//! Spec: `proto-notes/events.md`, "Stopping".
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Node, PATIENCE, QUIET, QUIET_JSON, binary, run, signal};

/// A node whose standard output the test reads itself, after its first line.
fn unread() -> (Child, BufReader<ChildStdout>) {
    let mut command = binary();
    command.args(QUIET_JSON);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("the binary starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut first = String::new();
    stdout.read_line(&mut first).expect("a line");
    assert!(first.contains(r#""event":"started""#), "{first}");
    (child, stdout)
}

fn status(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("a child of this process") {
            return status.code();
        }
        assert!(Instant::now() < deadline, "the node does not stop");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn each_signal_that_stops_gives_0_and_a_last_line() {
    for name in ["TERM", "HUP", "INT"] {
        let mut node = Node::alone();
        node.signal(name);
        assert_eq!(node.wait().code(), Some(0), "SIG{name}");
        let lines = node.lines();
        assert_eq!(lines[0]["event"], "started", "SIG{name}");
        let last = lines.last().expect("a line");
        assert_eq!(last["event"], "stopped", "SIG{name}");
        assert_eq!(last["exit_status"], 0, "SIG{name}");
    }
}

#[test]
fn each_signal_during_a_command_interrupts_it_and_gives_0() {
    for (name, command) in [
        ("TERM", "mine 10000"),
        ("HUP", "wait peers 3 600"),
        ("INT", "dial 127.0.0.1:1"),
    ] {
        let mut node = Node::alone();
        let line = node.write(command);
        node.signal(name);
        node.wait();
        let lines = node.lines();
        let replies: Vec<_> = lines.iter().filter(|value| value["line"] == line).collect();
        // The signal may be faster than the line: then there is no reply at all.
        for reply in &replies {
            assert_eq!(reply["error"]["code"], "interrupted", "SIG{name}: {reply}");
        }
        assert!(replies.len() <= 1, "{replies:?}");
        assert_eq!(lines.last().expect("a line")["exit_status"], 0, "SIG{name}");
    }
}

#[test]
fn a_stop_after_a_failure_keeps_the_failures_status() {
    let mut node = Node::alone();
    node.refused("nonsense");
    node.signal("TERM");
    assert_eq!(node.wait().code(), Some(1));
    assert_eq!(node.lines().last().expect("a line")["exit_status"], 1);
}

#[test]
fn second_sigint_ends_at_once_with_130() {
    let (mut child, _unread) = unread();
    // Replies that nobody reads fill the pipe: the stop then waits a second or two for its last words.
    let mut stdin = child.stdin.take().expect("piped");
    let taken = Arc::new(AtomicUsize::new(0));
    let lines = Arc::clone(&taken);
    std::thread::spawn(move || {
        while stdin.write_all(b"help\n").is_ok() {
            lines.fetch_add(1, Ordering::SeqCst);
        }
    });
    // Full when no more lines are taken: then a reply waits for its reader.
    let deadline = Instant::now() + PATIENCE;
    let mut last = 0;
    while last == 0 || taken.load(Ordering::SeqCst) != last {
        assert!(Instant::now() < deadline, "the node reads without bound");
        last = taken.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(500));
    }
    // Signals of one kind that come before the first is looked at are one: whoever wants an end says it again.
    while child.try_wait().expect("a child of this process").is_none() {
        assert!(Instant::now() < deadline, "the node does not stop");
        signal(child.id(), "INT");
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(status(&mut child), Some(130));
}

#[test]
fn sigterm_before_the_start_is_no_kill() {
    // Whenever it comes: as soon as the node has its folder, it answers for its own end.
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("data");
    let mut command = binary();
    command.arg("--json").args(QUIET).arg("--data-dir").arg(&place);
    let mut node = Node::launch(command);
    let deadline = Instant::now() + PATIENCE;
    while !place.join("lock").exists() {
        assert!(Instant::now() < deadline, "no folder");
        std::thread::sleep(Duration::from_millis(1));
    }
    node.signal("TERM");
    assert_eq!(node.wait().code(), Some(0));
    let lines = node.lines();
    assert_eq!(lines.first().expect("a line")["event"], "started");
    assert_eq!(lines.last().expect("a line")["event"], "stopped");
}

#[test]
fn closed_output_stops_a_node_that_has_nothing_to_say() {
    let (mut child, mut stdout) = unread();
    let stdin = child.stdin.as_mut().expect("piped");
    // Without a network it does not even say that it is alone.
    stdin.write_all(b"net off\n").expect("it reads");
    let mut reply = String::new();
    stdout.read_line(&mut reply).expect("a line");
    assert!(reply.contains(r#""net":false"#), "{reply}");
    drop(stdout);
    // Its input stays open, and no event comes.
    assert_eq!(status(&mut child), Some(0));
}

#[test]
fn closed_output_stops_a_node_that_works() {
    let (mut child, stdout) = unread();
    let stdin = child.stdin.as_mut().expect("piped");
    stdin.write_all(b"mine 10000\n").expect("it reads");
    drop(stdout);
    assert_eq!(status(&mut child), Some(0));
}

#[test]
fn output_on_a_full_disk_is_a_failure_that_is_told() {
    for form in [&["--json"][..], &[]] {
        let mut command = binary();
        command
            .args(form)
            .args(QUIET)
            .args(["--temp", "--exec", "status; status"]);
        let full = std::fs::File::create("/dev/full").expect("Linux has one");
        let output = command.stdin(Stdio::null()).stdout(full).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert_eq!(told.matches("standard output cannot be written").count(), 1, "{told}");
    }
}

#[test]
fn stop_waits_for_a_reader_that_had_paused() {
    let (mut child, mut stdout) = unread();
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"mine 10000\nstatus\n").expect("it reads");
    // The pipe is full when nothing comes for a second.
    let deadline = Instant::now() + PATIENCE;
    let (mut filled, mut since) = (0, Instant::now());
    while filled < 16 * 1024 || since.elapsed() < Duration::from_secs(1) {
        let now = rustix::io::ioctl_fionread(stdout.get_ref()).expect("a pipe");
        if now > filled {
            (filled, since) = (now, Instant::now());
        }
        assert!(Instant::now() < deadline, "{filled} bytes");
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(child.id(), "TERM");
    // Longer than the stop itself takes, shorter than it waits for the reader.
    std::thread::sleep(Duration::from_millis(2_500));
    let mut text = String::new();
    stdout.read_to_string(&mut text).expect("UTF-8");
    assert_eq!(status(&mut child), Some(0));
    let lines: Vec<&str> = text.lines().collect();
    let replies: Vec<_> = lines.iter().filter(|line| line.contains(r#""type":"reply""#)).collect();
    assert_eq!(replies.len(), 1, "{replies:?}");
    assert!(replies[0].contains(r#""code":"interrupted""#), "{replies:?}");
    assert!(lines.last().is_some_and(|line| line.contains(r#""event":"stopped""#)));
}

#[test]
fn daemon_without_input_stays_and_costs_nothing() {
    let mut command = binary();
    command.args([&QUIET_JSON[..], &["--daemon"]].concat());
    let mut node = Node::spawn(command);
    node.ok("mine");
    node.close_input();
    assert!(node.runs_for(Duration::from_millis(500)));
    let before = ticks(node.pid());
    assert!(node.runs_for(Duration::from_secs(3)));
    let used = ticks(node.pid()).zip(before).map(|(after, before)| after - before);
    // Hundredths of a second: a loop that spins would use some 300.
    assert!(used.is_none_or(|used| used < 60), "{used:?} ticks in three seconds");
    node.signal("TERM");
    assert_eq!(node.wait().code(), Some(0));
}

/// Processor time of a process in ticks of a hundredth of a second, where the system tells.
fn ticks(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit(") ").next()?.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

#[test]
fn mining_ends_with_the_input() {
    let output = run(QUIET_JSON, "mine on\nwait height 2\n");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn of_two_failures_the_first_decides() {
    let of = |commands: &str| {
        let args = [&QUIET[..], &["--temp", "--exec", commands]].concat();
        run(args, "").status.code()
    };
    assert_eq!(of("wait peers 1 0; nonsense"), Some(5));
    assert_eq!(of("nonsense; wait peers 1 0"), Some(1));
    assert_eq!(of("wait peers 0; quit; nonsense"), Some(0));
}

/// The file of a network where a block at once makes the next one twenty doublings harder: a search of several seconds on any
/// machine.
pub(crate) fn steep_network(folder: &Path) -> String {
    let network = folder.join("steep.toml");
    let text = "name = \"steep\"\nspacing_ms = 20000\nhalflife_ms = 1000\ncredit_limit = 5\ndifficulty = \"adjusting\"\n\
                recipients = \"anyone\"\ngenesis_time_ms = 1767225600000\n";
    std::fs::write(&network, text).expect("written");
    network.to_str().expect("UTF-8").to_owned()
}

#[test]
fn long_search_tells_people_its_rate_and_programs_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let network = steep_network(folder.path());
    let network = network.as_str();
    let args = [
        "--network",
        network,
        "--temp",
        "--no-mdns",
        "--listen",
        "127.0.0.1:0",
        "--threads",
        "1",
    ];
    let output = run(args.iter().chain(&["--exec", "mine 2"]), "");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        log.contains("mining: ") && log.contains(" hashes a second, a block is expected "),
        "{log}"
    );
    assert_eq!(output.status.code(), Some(0), "{log}");
    let output = run(args.iter().chain(&["--json", "--exec", "mine 2"]), "");
    let lines = crate::harness::json_lines(&output);
    assert!(lines.iter().all(|line| line["command"] != "status"), "{lines:?}");
    assert!(
        !String::from_utf8_lossy(&output.stderr).contains("searching"),
        "{output:?}"
    );
}
