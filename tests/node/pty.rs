//! A program at a pseudo-terminal: keys go in, the screen comes out.
//!
//! Promises: a terminal of the test's own; waiting has a condition and a deadline; a test that fails prints the screen.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::harness::{PATIENCE, QUIET, binary};
use crate::vt::{MARK, Rows};

pub(crate) const CTRL_C: &str = "\u{3}";
pub(crate) const CTRL_D: &str = "\u{4}";
pub(crate) const CTRL_Z: &str = "\u{1a}";
pub(crate) const UP: &str = "\u{1b}[A";

/// How often the reading thread looks whether the terminal is to be closed.
const LOOK_EVERY_MS: u16 = 50;

/// What came out of a terminal so far.
struct Shown {
    rows: Rows,
    /// The other end is closed.
    ended: bool,
}

type Screen = Arc<(Mutex<Shown>, Condvar)>;

/// A terminal, and what runs there.
pub(crate) struct Terminal {
    child: Option<Child>,
    keyboard: Option<File>,
    /// The program's end, kept open where one program follows another.
    end: Option<File>,
    screen: Screen,
    closing: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    /// How much of the text was waited for already.
    read: usize,
    /// What the last program wrote has been read to its end.
    is_told: bool,
}

impl Terminal {
    /// Starts a node on a throw-away folder and waits for its first prompt.
    pub(crate) fn open() -> Self {
        let mut terminal = Self::start(&[&QUIET[..], &["--temp"]].concat());
        terminal.wait_for("all commands: help");
        terminal.wait_for("> ");
        terminal
    }

    /// Starts the program with these words at a wide terminal.
    pub(crate) fn start(words: &[&str]) -> Self {
        let mut node = binary();
        // Without hints: a line that is painted anew at each key would be taken for a new prompt.
        node.args(words).env("NO_COLOR", "1");
        let mut terminal = Self::empty(200);
        terminal.run(&node);
        // Nothing follows: the terminal ends with the program.
        terminal.end = None;
        terminal
    }

    /// A terminal of this width where nothing runs yet.
    pub(crate) fn empty(columns: u16) -> Self {
        let (keyboard, end) = pseudo_terminal(columns);
        let shown = Shown {
            rows: Rows::new(usize::from(columns)),
            ended: false,
        };
        let screen = Screen::new((Mutex::new(shown), Condvar::new()));
        let closing = Arc::new(AtomicBool::new(false));
        let output = keyboard.try_clone().expect("a copy");
        let reader = std::thread::spawn({
            let (screen, closing) = (Arc::clone(&screen), Arc::clone(&closing));
            move || collect(output, &screen, &closing)
        });
        Self {
            child: None,
            keyboard: Some(keyboard),
            end: Some(end),
            screen,
            closing,
            reader: Some(reader),
            read: 0,
            is_told: false,
        }
    }

    /// Runs a command there.
    pub(crate) fn run(&mut self, command: &Command) {
        // Ctrl-C between two prompts is a signal to the terminal's session: the program leads one of its own.
        let mut session = Command::new("setsid");
        session
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        session.env("TERM", "xterm");
        let end = self.end.as_ref().expect("the terminal is open");
        let copy = || end.try_clone().expect("a copy");
        session.stdin(copy()).stdout(copy()).stderr(copy());
        self.is_told = false;
        self.child = Some(session.spawn().expect("setsid is there"));
    }

    pub(crate) fn type_text(&mut self, text: &str) {
        self.type_bytes(text.as_bytes());
    }

    /// Types what need not be text.
    pub(crate) fn type_bytes(&mut self, bytes: &[u8]) {
        let keyboard = self.keyboard.as_mut().expect("the terminal is there");
        keyboard.write_all(bytes).expect("the terminal is there");
    }

    /// Types a line and waits for what it brings.
    pub(crate) fn ask(&mut self, line: &str, answer: &str) {
        self.type_text(&format!("{line}\r"));
        self.wait_for(answer);
        self.wait_for("> ");
    }

    /// Shows a text that no program wrote.
    pub(crate) fn show(&self, text: &str) {
        let mut shown = self.screen.0.lock().expect("no reader panics");
        shown.rows.feed(text.as_bytes());
        self.screen.1.notify_all();
    }

    /// Waits until this stands on the screen behind what was waited for before.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let read = self.read;
        let at = self.wait_until(
            |shown| shown.rows.text()[read..].find(text),
            |shown| format!("waited in vain for \"{text}\" behind:\n{}", &shown.rows.text()[read..]),
        );
        self.read += at + text.len();
    }

    /// Waits until the rows satisfy a condition.
    pub(crate) fn wait_rows<T>(&self, what: &str, found: impl Fn(&[String]) -> Option<T>) -> T {
        self.wait_until(
            |shown| found(&shown.rows.texts()),
            |shown| {
                format!(
                    "waited in vain for {what}; the screen:\n{}",
                    shown.rows.texts().join("\n")
                )
            },
        )
    }

    fn wait_until<T>(&self, found: impl Fn(&Shown) -> Option<T>, complaint: impl Fn(&Shown) -> String) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut shown = self.screen.0.lock().expect("no reader panics");
        loop {
            if let Some(found) = found(&shown) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!shown.ended && !left.is_zero(), "{}", complaint(&shown));
            shown = self.screen.1.wait_timeout(shown, left).expect("no reader panics").0;
        }
    }

    /// Everything that was written, without escape sequences.
    pub(crate) fn whole(&self) -> String {
        self.screen.0.lock().expect("no reader panics").rows.text().to_owned()
    }

    /// What somebody sees.
    pub(crate) fn rows(&self) -> Vec<String> {
        self.screen.0.lock().expect("no reader panics").rows.texts()
    }

    /// Makes the window another width; the program is told by SIGWINCH.
    pub(crate) fn resize(&self, columns: u16) {
        let keyboard = self.keyboard.as_ref().expect("the terminal is there");
        self.screen
            .0
            .lock()
            .expect("no reader panics")
            .rows
            .resize(usize::from(columns));
        set_size(keyboard, columns);
    }

    /// Closes the window: what runs there gets SIGHUP and no terminal any more.
    pub(crate) fn hang_up(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        self.reader.take().expect("only once").join().expect("no reader panics");
        self.keyboard = None;
    }

    /// Whether what ran there has ended. All that it wrote is on the screen then.
    pub(crate) fn is_over(&mut self) -> bool {
        let child = self.child.as_mut().expect("something was started");
        let is_over = child.try_wait().expect("a child of this process").is_some();
        if is_over && !std::mem::replace(&mut self.is_told, true) {
            let marks = self.screen.0.lock().expect("no reader panics").rows.marks();
            let end = self.end.as_mut().expect("the terminal is open");
            end.write_all(MARK.as_bytes()).expect("the terminal is there");
            self.wait_until(
                |shown| (shown.rows.marks() > marks).then_some(()),
                |_| "the terminal does not show what was written".to_owned(),
            );
        }
        is_over
    }

    /// Waits for the end of what runs there.
    pub(crate) fn status(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let child = self.child.as_mut().expect("something was started");
            if let Some(status) = child.try_wait().expect("a child of this process") {
                return status.code();
            }
            assert!(
                Instant::now() < deadline,
                "the program does not stop:\n{}",
                self.whole()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        if let Some(reader) = self.reader.take() {
            reader.join().ok();
        }
        self.keyboard = None;
        self.end = None;
        if let Some(child) = &mut self.child {
            child.kill().unwrap_or_default();
            child.wait().ok();
        }
    }
}

/// Both ends of a terminal: the test's and the program's.
pub(crate) fn pseudo_terminal(columns: u16) -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pseudo-terminal");
    grantpt(&master)
        .and_then(|()| unlockpt(&master))
        .expect("its other end");
    let name = ptsname(&master, Vec::new())
        .expect("its name")
        .into_string()
        .expect("UTF-8");
    let end = OpenOptions::new()
        .read(true)
        .write(true)
        .open(name)
        .expect("its other end");
    let master = File::from(master);
    set_size(&master, columns);
    (master, end)
}

fn set_size(terminal: &File, columns: u16) {
    let size = Winsize {
        ws_row: 50,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).expect("a terminal");
}

fn collect(mut output: File, screen: &Screen, closing: &AtomicBool) {
    let mut chunk = [0; 4_096];
    while !closing.load(Ordering::SeqCst) {
        let mut watched = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        if !matches!(poll(&mut watched, PollTimeout::from(LOOK_EVERY_MS)), Ok(1..)) {
            continue;
        }
        let Ok(size @ 1..) = output.read(&mut chunk) else { break };
        screen.0.lock().expect("no waiter panics").rows.feed(&chunk[..size]);
        screen.1.notify_all();
    }
    screen.0.lock().expect("no waiter panics").ended = true;
    screen.1.notify_all();
}
