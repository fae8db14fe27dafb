//! Holds the import table of the design, the sizes of files and functions, and the presence of the documents.
//!
//! Promises: an arrow that points up, a clock in a pure layer or a function that no screen holds fails the build.
//! Elsewhere: what the layers are for (`src/lib.rs`).

mod circles;
mod limits;
mod translation;

use std::fs;
use std::path::{Path, PathBuf};

/// A file that is longer is two files.
const FILE_MAX_LINES: usize = 600;
/// A function fits a screen.
const FUNCTION_MAX_LINES: usize = 70;

/// Seeds of a fuzz target that are kept: the smallest that still reach everything, run by every `cargo test`.
const CORPUS_MAX_FILES: usize = 80;
/// The largest of them.
const CORPUS_MAX_BYTES: u64 = 4_096;

/// Which modules of the crate a layer may name besides itself. `node` and `main` may name all.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("threads", &[]),
    ("types", &[]),
    ("chain", &["types"]),
    ("wire", &["types", "chain"]),
    ("pool", &["types", "chain"]),
    ("contract", &["types", "chain"]),
    ("inspect", &["types", "chain", "pool", "contract"]),
    ("engine", &["types", "chain", "pool", "wire", "contract", "inspect"]),
    ("store", &["types", "chain"]),
    ("miner", &["types", "chain", "engine", "threads"]),
    ("net", &["types", "chain", "wire", "contract", "engine", "threads"]),
    ("console", &["types", "contract", "threads"]),
    ("web", &["types", "contract", "console", "threads"]),
    (
        "tools",
        &[
            "types", "chain", "contract", "inspect", "store", "console", "cli", "threads",
        ],
    ),
];

/// Rooms whose doc comments may still be as short as a name: `cli` holds the help texts that clap prints, the others are
/// not reworded yet.
const MAY_BE_TERSE: &[&str] = &["cli", "fuzzing", "node", "testing"];

/// Layers that no clock, thread, disk, socket or random number reaches.
const PURE: &[&str] = &["types", "chain", "pool", "wire", "contract", "inspect", "engine"];

/// What is as pure in a layer that is not: files whose path starts so.
const PURE_FILES: &[&str] = &["src/node/session"];

/// What pure layers never name.
const IMPURE: &[&str] = &[
    "tokio",
    "libp2p",
    "std::fs",
    "std::thread",
    "std::net",
    "std::time",
    "Instant",
    "SystemTime",
    "rand::",
    "getrandom",
    "HashMap",
    "HashSet",
    "Mutex",
    "RwLock",
    "mpsc",
    "redb",
];

/// The one pure file that may name libp2p: a PeerId is made of our key.
const MAY_NAME_LIBP2P: &str = "src/types/key.rs";

struct Source {
    /// Path from the crate's root, with `/`.
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders {
        collect(&root().join(folder), &mut paths);
    }
    paths.sort();
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        path: path
            .strip_prefix(root())
            .unwrap_or(&path)
            .to_string_lossy()
            .replace('\\', "/"),
    };
    paths.into_iter().map(read).collect()
}

/// The part of a line that is code: neither a comment nor within quotes on that line.
fn code(line: &str) -> String {
    let line = line.split("//").next().unwrap_or("");
    line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// The lines of a file before its tests, numbered from 1.
fn production(source: &Source) -> Vec<(usize, String)> {
    let is_test_file = source.path.ends_with("tests.rs") || source.path.contains("/tests/");
    let before_tests = |line: &&str| !is_test_file && line.trim_end() != "mod tests {";
    let lines = source.text.lines().take_while(before_tests);
    lines.enumerate().map(|(index, line)| (index + 1, code(line))).collect()
}

/// The layer of `src/x.rs` and of everything in `src/x/`.
fn layer(path: &str) -> &str {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
}

/// Modules of this crate that a line names: `crate::x`, also in `use crate::{x, y::z}`.
fn named_modules(line: &str) -> Vec<String> {
    let mut names = Vec::new();
    for rest in line.split("crate::").skip(1) {
        let list = rest.strip_prefix('{').and_then(|inner| inner.split('}').next());
        let items: Vec<&str> = list.map_or_else(|| vec![rest], |inner| inner.split(',').collect());
        for item in items {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            names.push(item.trim().chars().take_while(|&c| is_word(c)).collect());
        }
    }
    names
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn imports_point_down() {
    let layers: Vec<&str> = MAY_IMPORT
        .iter()
        .map(|(name, _)| *name)
        .chain(["node", "cli"])
        .collect();
    let mut complaints = Vec::new();
    for source in sources(&["src"]) {
        let own = layer(&source.path);
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == own) else {
            continue;
        };
        for (number, line) in production(&source) {
            for module in named_modules(&line) {
                let is_layer = layers.contains(&module.as_str());
                if is_layer && module != own && !allowed.contains(&module.as_str()) {
                    complaints.push(format!("{}:{number}: {own} must not name {module}", source.path));
                }
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_layer_has_its_row_in_the_table() {
    let known = |name: &str| MAY_IMPORT.iter().any(|(row, _)| *row == name);
    let free = ["main", "lib", "node", "cli", "testing"];
    let stray: Vec<String> = sources(&["src"])
        .iter()
        .map(|source| layer(&source.path).to_owned())
        .filter(|name| !known(name) && !free.contains(&name.as_str()))
        .collect();
    assert_none(&stray);
}

#[test]
fn pure_layers_name_nothing_impure() {
    let mut complaints = Vec::new();
    for source in sources(&["src"]) {
        let is_pure_file = PURE_FILES.iter().any(|start| source.path.starts_with(start));
        if !is_pure_file && !PURE.contains(&layer(&source.path)) {
            continue;
        }
        for (number, line) in production(&source) {
            for word in IMPURE {
                let excused = *word == "libp2p" && source.path == MAY_NAME_LIBP2P;
                // "multiaddr" and "libp2p_identity" style names would contain the words: only whole paths count.
                if !excused && names_word(&line, word) {
                    complaints.push(format!("{}:{number}: a pure layer names {word}", source.path));
                }
            }
        }
    }
    assert_none(&complaints);
}

/// Whether the word stands in the line with no letter, digit or underscore directly before or after it.
fn names_word(line: &str, word: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_inner);
        let after = !word.ends_with(':') && line[at + word.len()..].chars().next().is_some_and(is_inner);
        !before && !after
    })
}

#[test]
fn files_are_short() {
    let mut complaints = Vec::new();
    for source in sources(&["src", "tests", "benches", "examples", "fuzz/src", "fuzz/bodies"]) {
        let lines = source.text.lines().count();
        if lines > FILE_MAX_LINES {
            complaints.push(format!("{}: {lines} lines, at most {FILE_MAX_LINES}", source.path));
        }
    }
    assert_none(&complaints);
}

/// Where a function starts and its indentation, if the line opens one (formatted code only).
fn opens_function(line: &str) -> Option<usize> {
    let words = line.trim_start();
    let before = words.split("fn ").next().filter(|before| before.len() < words.len())?;
    let qualifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern"];
    let is_qualifier = |word: &str| qualifiers.contains(&word);
    before
        .split_whitespace()
        .all(is_qualifier)
        .then(|| line.len() - words.len())
}

#[test]
fn functions_fit_a_screen() {
    let mut complaints = Vec::new();
    for source in sources(&["src", "tests", "benches", "fuzz/src", "fuzz/bodies"]) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let Some(indent) = opens_function(line) else { continue };
            let closing = format!("{}}}", " ".repeat(indent));
            let ends = |line: &&str| {
                **line == closing || (line.ends_with(';') && line.len() - line.trim_start().len() == indent)
            };
            let Some(length) = lines[start..].iter().position(ends) else {
                continue;
            };
            if length >= FUNCTION_MAX_LINES {
                let name = line.trim();
                complaints.push(format!("{}:{}: {} lines: {name}", source.path, start + 1, length + 1));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_source_file_says_what_it_promises() {
    let headless: Vec<String> = sources(&["src", "tests", "fuzz/src", "fuzz/bodies"])
        .iter()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| format!("{}: starts without a header", source.path))
        .collect();
    assert_none(&headless);
}

#[test]
fn documents_that_the_code_points_to_exist() {
    let mut complaints = Vec::new();
    for source in sources(&["src"]) {
        for (index, line) in source.text.lines().enumerate() {
            for part in line
                .split('`')
                .filter(|part| part.starts_with("proto-notes/") && part.ends_with(".md"))
            {
                if !root().join(part).is_file() {
                    complaints.push(format!("{}:{}: {part} does not exist", source.path, index + 1));
                }
            }
        }
    }
    if !root().join("README.md").is_file() {
        complaints.push("README.md does not exist".into());
    }
    assert_none(&complaints);
}

/// Older ones can be stopped from afar: remote panics in gossipsub and yamux, a timer of tokio that mDNS trips.
const FLOORS: &[(&str, [u32; 3])] = &[
    ("libp2p", [0, 57, 1]),
    ("libp2p-gossipsub", [0, 50, 1]),
    ("yamux", [0, 13, 10]),
    ("tokio", [1, 54, 0]),
    ("quinn-proto", [0, 11, 14]),
];

#[test]
fn locked_dependencies_are_not_older_than_their_last_known_hole() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is committed");
    let mut complaints = Vec::new();
    for (name, floor) in FLOORS {
        let entry = format!("name = \"{name}\"\nversion = \"");
        for (at, _) in lock.match_indices(&entry) {
            let version = lock[at + entry.len()..].split('"').next().unwrap_or("");
            let numbers: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
            if numbers.as_slice() < floor.as_slice() {
                complaints.push(format!("{name} {version} is older than {floor:?}"));
            }
        }
    }
    assert!(lock.contains("name = \"libp2p\""), "the lock file names libp2p");
    assert_none(&complaints);
}

/// Names of what a package depends on, by a lock file.
fn locked_dependencies(lock: &str, package: &str) -> Vec<String> {
    let entry = lock.split(&format!("name = \"{package}\"\n")).nth(1).unwrap_or("");
    let entry = entry.split("[[package]]").next().unwrap_or("");
    let names = entry.lines().filter_map(|line| line.trim().strip_prefix('"'));
    names
        .map(|rest| rest.split(['"', ' ']).next().unwrap_or("").to_owned())
        .collect()
}

#[test]
fn the_fuzz_crates_lock_file_knows_every_dependency_of_the_node() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("a lock file");
    let (own, fuzz) = (read("Cargo.lock"), read("fuzz/Cargo.lock"));
    let theirs = locked_dependencies(&fuzz, "lanchain");
    assert!(theirs.len() > 20, "{theirs:?}");
    let for_tests = ["lanchain", "proptest", "tempfile"];
    let missing: Vec<String> = locked_dependencies(&own, "lanchain")
        .into_iter()
        .filter(|name| !theirs.contains(name) && !for_tests.contains(&name.as_str()))
        .map(|name| format!("fuzz/Cargo.lock lacks {name}: run cargo metadata --offline in fuzz"))
        .collect();
    assert_none(&missing);
}

/// The fuzz crate is built with other flags: the node's lock file, tests and lints must not know it.
#[test]
fn the_fuzz_crate_stands_beside_the_node_and_keeps_its_corpus_small() {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("the fuzz crate has a manifest");
    assert!(manifest.contains("\n[workspace]\n"), "a workspace of its own");
    assert!(root().join("fuzz/Cargo.lock").is_file(), "a lock file of its own");
    let own = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest is there");
    assert!(!own.contains("libfuzzer"), "the node does not depend on the fuzzer");
    let mut complaints = Vec::new();
    for target in fs::read_dir(root().join("fuzz/corpus"))
        .expect("the corpus is there")
        .flatten()
    {
        let files: Vec<_> = fs::read_dir(target.path())
            .expect("a folder a target")
            .flatten()
            .collect();
        let sizes: Vec<u64> = files
            .iter()
            .filter_map(|file| Some(file.metadata().ok()?.len()))
            .collect();
        let largest = sizes.iter().max().copied().unwrap_or(0);
        if sizes.is_empty() || sizes.len() > CORPUS_MAX_FILES || largest > CORPUS_MAX_BYTES {
            let path = target.path();
            complaints.push(format!(
                "{}: {} files, the largest of {largest} bytes",
                path.display(),
                sizes.len()
            ));
        }
    }
    assert_none(&complaints);
}

/// The rows of the catalogue of hostile and faulty events: every one has its tests or the reason why not.
const ROWS: &str = "W01 W02 W04 W05 W06 W07 W08 W09 W10 W11 W12 W14 W16 W17 W18 W19 W20 W21 W23 W24 W25 W27 W28 \
    D01 D02 D04 D05 D07 D08 D09 D12 D13 D14 D15 D16 \
    G01 G02 G04 G05 G06 G07 G08 G10 G11 G12 G14 G16 G17 G18 G19 G20 G21 G23 G25 G26 G28 G29 G30 G31 G32 G33 G34 G35 G36 G37 \
    S01 S02 S03 S04 S06 S07 S09 S10 S11 S13 S14 S15 S16 S17 S19 S21 S22 S23 S24 S25 S27 S28 \
    L01 L02 L03 L04 L05 L06 L08 L09 L10 L11 L12 L15 L16 L17 L18 L20 L21 L22 L23 L24 L27 L29 L30 L31 L32 L33 L34 L35 L36 \
    T01 T02 T03 T05 T07 T08 T09 T10 T12 T13 T15 T16 T17 T18 T19 T21 T22 T23 T26 \
    C01 C02 C03 C04 C06 C08 C09 C10 C12 C14 C16 C17 C18 C20 C21 \
    P02 P03 P04 P05 P06 P08 P09 P10 P11 P13 P15 P16 P17 P18 P19 P20 K01 K03 K05 K07 K08 K09 K10 K11 K12 K13";

/// A row of the catalogue: its id, and the tests that it names.
struct Row {
    id: String,
    tests: Vec<String>,
    says: String,
}

fn is_row_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 3 && bytes[0].is_ascii_uppercase() && bytes[1..].iter().all(u8::is_ascii_digit)
}

fn catalogue() -> Vec<Row> {
    let text = fs::read_to_string(root().join("proto-notes/threats.md")).expect("the catalogue is there");
    let mut rows = Vec::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if let [id, _, says] = cells.as_slice()
            && is_row_id(id)
        {
            let words = says.split('`').skip(1).step_by(2);
            rows.push(Row {
                id: (*id).to_owned(),
                tests: words
                    .filter(|word| word.matches('_').count() > 2)
                    .map(str::to_owned)
                    .collect(),
                says: (*says).to_owned(),
            });
        }
    }
    rows
}

/// Names of functions in the code, `fn` before each.
fn functions() -> Vec<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let all = sources(&["src", "tests"]);
    let lines = all.iter().flat_map(|source| source.text.lines());
    let named = lines.filter_map(|line| {
        line.trim_start()
            .strip_prefix("fn ")
            .or(line.trim_start().strip_prefix("async fn "))
    });
    named
        .map(|rest| rest.chars().take_while(|&c| is_word(c)).collect())
        .collect()
}

/// The rows that a test says it was written for: `adv_l09_l10_forged_…` is for L09 and L10.
fn rows_of(test: &str) -> Vec<String> {
    let words = test.split('_').skip(1).map(str::to_uppercase);
    words.take_while(|word| is_row_id(word)).collect()
}

#[test]
fn every_row_of_the_catalogue_has_its_tests_or_its_reason() {
    let (rows, functions) = (catalogue(), functions());
    let mut complaints = Vec::new();
    for id in ROWS.split_whitespace() {
        let found = rows.iter().filter(|row| row.id == id).count();
        if found != 1 {
            complaints.push(format!("{id} stands in threats.md {found} times"));
        }
    }
    for row in &rows {
        if !ROWS.split_whitespace().any(|id| id == row.id) {
            complaints.push(format!("{} is no row", row.id));
        }
        for test in row.tests.iter().filter(|test| !functions.contains(test)) {
            complaints.push(format!("{} names {test}, which does not exist", row.id));
        }
        let excused = ["not covered: ", "does not apply: "]
            .iter()
            .any(|word| row.says.starts_with(word));
        if row.tests.is_empty() && !excused {
            complaints.push(format!("{} has neither a test nor a reason", row.id));
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_test_that_was_written_for_a_row_stands_in_it() {
    let rows = catalogue();
    let mut complaints = Vec::new();
    let written: Vec<String> = functions()
        .into_iter()
        .filter(|name| name.starts_with("adv_"))
        .collect();
    assert!(written.len() > 60, "{}", written.len());
    for test in written {
        let of = rows_of(&test);
        if of.is_empty() {
            complaints.push(format!("{test} names no row"));
        }
        for id in of {
            if !rows.iter().any(|row| row.id == id && row.tests.contains(&test)) {
                complaints.push(format!("{test} does not stand in row {id}"));
            }
        }
    }
    assert_none(&complaints);
}

fn doc_comment(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("///").map(str::trim)
}

/// A doc comment of three words says no more than the name below it.
#[test]
fn doc_comments_say_more_than_a_name() {
    let mut complaints = Vec::new();
    for source in sources(&["src"]) {
        let comments: Vec<Option<&str>> = source.text.lines().map(doc_comment).collect();
        for (index, comment) in comments.iter().enumerate() {
            let Some(text) = comment else { continue };
            let is_comment = |at: usize| comments.get(at).copied().flatten().is_some();
            let is_alone = !is_comment(index.wrapping_sub(1)) && !is_comment(index + 1);
            if is_alone && text.split_whitespace().count() <= 3 && !MAY_BE_TERSE.contains(&layer(&source.path)) {
                complaints.push(format!("{}:{} says only \"{text}\"", source.path, index + 1));
            }
        }
    }
    assert_none(&complaints);
}

/// Where keys may be read without a check, and where that is defined.
const MAY_TRUST_KEYS: &[&str] = &["src/store/", "src/types/layout.rs"];

#[test]
fn only_the_store_reads_keys_without_a_check() {
    let trusts = |source: &&Source| source.text.contains("of_own_store");
    let elsewhere = |source: &&Source| !MAY_TRUST_KEYS.iter().any(|place| source.path.starts_with(place));
    let sources = sources(&["src"]);
    let found: Vec<&str> = sources
        .iter()
        .filter(trusts)
        .filter(elsewhere)
        .map(|source| source.path.as_str())
        .collect();
    assert!(found.is_empty(), "{found:?}");
    assert!(sources.iter().filter(trusts).count() > 1, "the name has changed");
}
