//! Plays transcripts on real nodes: each machine has a network namespace of its own, each terminal is a real one.
//!
//! Promises: the text is taken as it stands, the README's too; what a terminal shows and the text does not tell, or the
//! other way round, fails the test with both.
//! Elsewhere: what fits what (`transcript`).
//! Spec: `tests/transcripts/README.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, binary};
use crate::namespace::{Bridge, Interfaces, within};
use crate::pty::Terminal;
use crate::transcript::{Bindings, Block, Line, blocks, matches};

/// A terminal as most people have it.
const COLUMNS: u16 = 80;
/// With this variable set, what the terminals show is printed: to write a transcript, or to bring one up to date.
const SHOW: &str = "LANCHAIN_TRANSCRIPT_SHOW";

/// How that warning begins.
const ALONE: &str = "warning: no other node was found yet";

/// A terminal of the text.
struct Place {
    terminal: Terminal,
    /// Rows that earlier blocks have told.
    told: usize,
    started: bool,
}

/// What must be at the end of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// Nothing runs there.
    Over,
    /// This prompt waits.
    Prompt(&'static str),
    /// Either.
    Quiet,
}

struct Stage {
    file: &'static str,
    homes: tempfile::TempDir,
    machines: Vec<String>,
    bridge: Bridge,
    places: BTreeMap<String, Place>,
    bindings: Bindings,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn machine(terminal: &str) -> &str {
    terminal.split(' ').next().unwrap_or_default()
}

fn play(file: &'static str) {
    let text = std::fs::read_to_string(root().join(file)).expect("the transcript is there");
    let blocks = blocks(&text);
    assert!(!blocks.is_empty(), "{file} shows no terminal");
    let mut machines: Vec<String> = Vec::new();
    for block in &blocks {
        let machine = machine(&block.terminal).to_owned();
        if !machines.contains(&machine) {
            machines.push(machine);
        }
    }
    let mut stage = Stage {
        file,
        homes: tempfile::tempdir().expect("a folder"),
        bridge: Bridge::with_hosts(machines.len()),
        machines,
        places: BTreeMap::new(),
        bindings: Bindings::default(),
    };
    for block in &blocks {
        stage.play(block);
    }
}

impl Stage {
    fn home(&self, machine: &str) -> PathBuf {
        self.homes.path().join(machine)
    }

    fn play(&mut self, block: &Block) {
        self.places.entry(block.terminal.clone()).or_insert_with(|| Place {
            terminal: Terminal::empty(COLUMNS),
            told: 0,
            started: false,
        });
        // What came since the block before may have come at any time.
        let mut lines = vec![Line::Gap];
        for line in &block.lines {
            match line {
                Line::Start(command) => {
                    self.wait(block, &lines, Until::Over);
                    self.start(&block.terminal, command);
                }
                Line::Typed(prompt, command) => {
                    self.wait(block, &lines, Until::Prompt(prompt));
                    let command = self.real(&block.terminal, command);
                    let place = self.places.get_mut(&block.terminal).expect("it was made above");
                    place.terminal.type_text(&format!("{command}\r"));
                }
                Line::Gap | Line::Shown(_) => {}
            }
            lines.push(line.clone());
        }
        let rows = self.wait(block, &lines, Until::Quiet);
        let place = self.places.get_mut(&block.terminal).expect("it was made above");
        if std::env::var_os(SHOW).is_some() {
            let shown = &place.terminal.rows()[place.told..];
            eprintln!("```{}\n{}\n```\n", block.terminal, shown.join("\n"));
        }
        place.told += rows;
    }

    /// A command of the text as it is typed here.
    fn real(&self, terminal: &str, command: &str) -> String {
        let machine = machine(terminal);
        let home = self.home(machine).display().to_string();
        self.bindings
            .translate(command)
            .replace(&format!("/home/{machine}"), &home)
    }

    fn start(&mut self, terminal: &str, command: &str) {
        let machine = machine(terminal);
        let home = self.home(machine);
        std::fs::create_dir_all(&home).expect("a folder");
        let program = binary();
        let folder = Path::new(program.get_program()).parent().expect("it lies in a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("cd; {}", self.real(terminal, command))]);
        shell
            .env("HOME", &home)
            .env("PATH", format!("{}:{path}", folder.display()));
        for name in ["XDG_DATA_HOME", "NO_COLOR", "COLUMNS"] {
            shell.env_remove(name);
        }
        for (name, _) in program.get_envs() {
            shell.env_remove(name);
        }
        // What is written down has no time of day.
        shell.env("LANCHAIN_NO_TIMES", "1");
        let host = self
            .machines
            .iter()
            .position(|known| known == machine)
            .expect("all were counted");
        let place = self.places.get_mut(terminal).expect("the block made it");
        place.terminal.show(&format!("$ {command}\r\n"));
        place.terminal.run(&self.bridge.on(host, &shell));
        place.started = true;
    }

    /// Waits until the terminal shows these lines and nothing else since the last block; gives their number.
    fn wait(&mut self, block: &Block, lines: &[Line], until: Until) -> usize {
        let machine = machine(&block.terminal);
        let home = self.home(machine).display().to_string();
        let deadline = Instant::now() + PATIENCE;
        let place = self.places.get_mut(&block.terminal).expect("the block made it");
        loop {
            // Whether it is over comes first: what it wrote is there by then, and what comes later is looked at again.
            let over = !place.started || place.terminal.is_over();
            let mut rows = place.terminal.rows().split_off(place.told);
            for row in &mut rows {
                *row = row.replace(&home, &format!("/home/{machine}"));
            }
            let last = rows.pop().unwrap_or_default();
            let shown = rows.len();
            let rows = without_alone(rows);
            let is_at = |prompt: &str| !over && last == prompt.trim_end();
            let is_quiet = match until {
                Until::Over => over && last.is_empty(),
                Until::Prompt(prompt) => is_at(prompt),
                Until::Quiet => over && last.is_empty() || is_at("> ") || is_at("attached> "),
            };
            if is_quiet && let Some(bindings) = matches(lines, &rows, &self.bindings) {
                self.bindings = bindings;
                return shown;
            }
            if Instant::now() >= deadline {
                complain(self.file, block, lines, &[rows, vec![last]].concat());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A node that has been alone for ten seconds says so, once: when that is depends on the machine.
fn without_alone(rows: Vec<String>) -> Vec<String> {
    let mut inside = false;
    let is_other = |row: &String| {
        inside = row.starts_with(ALONE) || inside && row.starts_with("  ");
        !inside
    };
    rows.into_iter().filter(is_other).collect()
}

fn complain(file: &str, block: &Block, lines: &[Line], rows: &[String]) -> ! {
    let told: Vec<String> = lines.iter().skip(1).map(Line::text).collect();
    panic!(
        "{file}, line {}: the terminal \"{}\" shows something else.\n--- told ---\n{}\n--- shown ---\n{}\n---",
        block.number + told.len(),
        block.terminal,
        told.join("\n"),
        rows.join("\n")
    );
}

macro_rules! played {
    ($($test:ident: $file:literal),+ $(,)?) => {
        $(
            #[test]
            fn $test() {
                within(concat!("transcripts::", stringify!($test)), Interfaces::Loopback, || play($file));
            }
        )+

        #[test]
        fn every_transcript_is_played() {
            let played = [$($file),+];
            for entry in std::fs::read_dir(root().join("tests/transcripts")).expect("a folder").flatten() {
                let file = format!("tests/transcripts/{}", entry.file_name().to_string_lossy());
                let is_notation = file.ends_with("/README.md");
                assert!(is_notation || played.contains(&file.as_str()), "nobody plays {file}");
            }
        }
    };
}

played! {
    the_readme_s_tour_goes_as_it_is_written: "README.md",
    a_second_terminal_gives_commands: "tests/transcripts/attach.md",
    names_belong_to_who_signs_first: "tests/transcripts/names.md",
    refusals_say_what_to_type: "tests/transcripts/refusals.md",
    the_chain_is_made_visible: "tests/transcripts/visible.md",
}
