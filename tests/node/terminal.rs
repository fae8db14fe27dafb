//! The prompt at a real terminal: what is typed stays whole, Ctrl-C and Ctrl-D do what they promise.
//!
//! Promises: a pseudo-terminal of the test's own; waiting has a condition and a deadline.
//! Spec: `proto-notes/events.md`, "Stopping".

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::harness::{PATIENCE, binary};

pub(crate) const CTRL_C: &str = "\u{3}";
pub(crate) const CTRL_D: &str = "\u{4}";
const UP: &str = "\u{1b}[A";

/// What the screen received, without escape sequences, and whether the other end is closed.
type Screen = Arc<(Mutex<(String, bool)>, Condvar)>;

/// A node at a terminal.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    screen: Screen,
    /// How much of the screen was waited for already.
    read: usize,
}

impl Terminal {
    /// Starts a node and waits for its first prompt.
    fn open() -> Self {
        let mut terminal = Self::start(&["--temp", "--no-mdns", "--network", "dev", "--listen", "127.0.0.1:0"]);
        terminal.wait_for("all commands: help");
        terminal.wait_for("> ");
        terminal
    }

    /// Starts the program with these words.
    pub(crate) fn start(words: &[&str]) -> Self {
        let (keyboard, end) = pseudo_terminal();
        let node = binary();
        // Ctrl-C between two prompts is a signal to the terminal's session: the node leads one of its own.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(node.get_program());
        command.args(words);
        for (name, _) in node.get_envs() {
            command.env_remove(name);
        }
        // Without hints: a line that is painted anew at each key would be taken for a new prompt.
        command.env("TERM", "xterm").env("NO_COLOR", "1");
        command.stdin(end.try_clone().expect("a copy"));
        command.stdout(end.try_clone().expect("a copy")).stderr(end);
        let child = command.spawn().expect("setsid is there");
        let screen = Screen::default();
        let mut output = keyboard.try_clone().expect("a copy");
        let shared = Arc::clone(&screen);
        std::thread::spawn(move || collect(&mut output, &shared));
        Self {
            child,
            keyboard,
            screen,
            read: 0,
        }
    }

    pub(crate) fn type_text(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("the terminal is there");
    }

    /// Types a line and waits for what it brings.
    pub(crate) fn ask(&mut self, line: &str, answer: &str) {
        self.type_text(&format!("{line}\r"));
        self.wait_for(answer);
        self.wait_for("> ");
    }

    /// Waits until this stands on the screen behind what was waited for before.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut screen = self.screen.0.lock().expect("no reader panics");
        loop {
            if let Some(at) = screen.0[self.read..].find(text) {
                self.read += at + text.len();
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !screen.1 && !left.is_zero(),
                "waited in vain for \"{text}\" behind:\n{}",
                &screen.0[self.read..]
            );
            screen = self.screen.1.wait_timeout(screen, left).expect("no reader panics").0;
        }
    }

    pub(crate) fn whole(&self) -> String {
        self.screen.0.lock().expect("no reader panics").0.clone()
    }

    pub(crate) fn status(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of this process") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the node does not stop:\n{}", self.whole());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Both ends of a terminal: the test's and the node's.
fn pseudo_terminal() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
    grantpt(&master)
        .and_then(|()| unlockpt(&master))
        .expect("its other end");
    let size = Winsize {
        ws_row: 50,
        ws_col: 200,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&master, size).expect("a terminal");
    let name = ptsname(&master, Vec::new())
        .expect("its name")
        .into_string()
        .expect("UTF-8");
    let end = OpenOptions::new()
        .read(true)
        .write(true)
        .open(name)
        .expect("its other end");
    (File::from(master), end)
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().ok();
    }
}

fn collect(output: &mut File, screen: &Screen) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    while let Ok(size @ 1..) = output.read(&mut chunk) {
        bytes.extend_from_slice(&chunk[..size]);
        screen.0.lock().expect("no waiter panics").0 = plain(&String::from_utf8_lossy(&bytes));
        screen.1.notify_all();
    }
    screen.0.lock().expect("no waiter panics").1 = true;
    screen.1.notify_all();
}

/// The text without the sequences that move the cursor.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // "[", values, and a letter that ends it.
            chars.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

#[test]
fn typed_line_stays_whole_while_the_log_storms() {
    let mut terminal = Terminal::open();
    terminal.type_text("mine 10000\r");
    terminal.wait_for("New Block Forged: index 20,");
    for key in "balance zed".chars() {
        terminal.type_text(&key.to_string());
        terminal.wait_for("New Block Forged: index ");
    }
    terminal.wait_for("balance zed");
    terminal.type_text("\r");
    // The line waits for its turn, so Ctrl-C means the search.
    std::thread::sleep(Duration::from_millis(300));
    terminal.type_text(CTRL_C);
    terminal.wait_for("the command was interrupted");
    terminal.wait_for("zed owns 0 coins");
}

#[test]
fn tabulator_completes_commands_and_names() {
    let mut terminal = Terminal::open();
    terminal.ask("tx alice robert 5", "Transaction will be added to Block 1");
    terminal.type_text("bal\t");
    terminal.wait_for("balance ");
    terminal.type_text("rob\t");
    terminal.wait_for("robert ");
    terminal.type_text("\r");
    terminal.wait_for("robert owns 0 coins");
    terminal.type_text("balance al\t");
    terminal.wait_for("balance alice ");
}

#[test]
fn ctrl_c_cancels_then_clears_then_stops() {
    let mut terminal = Terminal::open();
    terminal.type_text("mine 10000\r");
    terminal.wait_for("New Block Forged");
    // A quarter of a second after a line the prompt is back, and Ctrl-C is a key again; before it is a signal.
    terminal.type_text(CTRL_C);
    terminal.wait_for("the command was interrupted");
    terminal.wait_for("hint: ");
    terminal.wait_for("> ");
    terminal.type_text("balance nobody");
    terminal.wait_for("balance nobody");
    terminal.type_text(CTRL_C);
    terminal.wait_for("> ");
    terminal.ask("balance zed", "zed owns 0 coins");
    assert!(!terminal.whole().contains("nobody owns 0"), "{}", terminal.whole());
    terminal.type_text(CTRL_C);
    assert_eq!(terminal.status(), Some(0));
}

#[test]
fn ctrl_d_stops_and_failures_do_not_count() {
    let mut terminal = Terminal::open();
    terminal.ask("nonsense", "hint: help");
    terminal.type_text(CTRL_D);
    assert_eq!(terminal.status(), Some(0));
}

#[test]
fn history_brings_a_line_back() {
    let mut terminal = Terminal::open();
    terminal.ask("balance zed", "zed owns 0 coins");
    terminal.type_text(UP);
    terminal.wait_for("balance zed");
    terminal.type_text("\r");
    terminal.wait_for("zed owns 0 coins");
}

#[test]
fn paste_of_200_lines_executes_200() {
    let mut terminal = Terminal::open();
    let paste: String = (0..200).map(|number| format!("balance n{number}\r")).collect();
    terminal.type_text(&paste);
    terminal.wait_for("n199 owns 0 coins");
    assert_eq!(terminal.whole().matches(" owns 0 coins").count(), 200);
}

#[test]
fn people_see_each_own_block_and_payment_once() {
    let mut terminal = Terminal::open();
    terminal.ask("tx alice bob 5", "nobody owns bob yet");
    terminal.ask("mine", "New Block Forged");
    terminal.ask("mine 2", "index 3   proof");
    let screen = terminal.whole();
    assert_eq!(
        screen.matches("alice pays bob 5 coins").count(),
        2,
        "the payment, and its block: {screen}"
    );
    assert!(!screen.contains("added to the chain"), "{screen}");
    assert_eq!(screen.matches("index 1 ").count(), 1, "{screen}");
    assert!(
        screen.contains("alice is yours from now on") && screen.contains("alice owes 5 then"),
        "{screen}"
    );
}

#[test]
fn start_that_fails_at_a_terminal_is_told_on_standard_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut terminal = Terminal::open();
    terminal.ask("status", "folder /");
    let path = terminal.whole();
    let path = path
        .split("folder ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    let path = path.expect("the banner names the folder").to_owned();
    let errors = folder.path().join("errors");
    let node = binary();
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(node.get_program());
    command.args([
        "--no-mdns",
        "--network",
        "dev",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        &path,
    ]);
    let (mut screen, end) = pseudo_terminal();
    command.stdin(end.try_clone().expect("a copy")).stdout(end);
    command.stderr(File::create(&errors).expect("a file"));
    let mut child = command.spawn().expect("setsid is there");
    drop(command);
    assert_eq!(child.wait().expect("a child of this process").code(), Some(3));
    let told = std::fs::read_to_string(&errors).expect("a file");
    assert!(told.contains(&path) && told.contains("hint: "), "{told}");
    let mut shown = Vec::new();
    // The end of a terminal is an error, not an end of file.
    screen.read_to_end(&mut shown).unwrap_or_default();
    assert_eq!(String::from_utf8_lossy(&shown), "");
}
