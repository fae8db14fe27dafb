//! Holds the numbers of `proto-notes/limits.md` against the constants in the code.
//!
//! Promises: a constant that changes without its row, a row that names what is not there, and a maximum of the code that no
//! row names fail the build. A row's last column names its constants; each stands in a file of the column before, and its
//! value, in a unit that fits, in the second column.
//! Elsewhere: why the numbers are what they are (beside the constants).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Rows without a number that is one constant's value, and why.
const WITHOUT_CONSTANTS: &[(&str, &str)] = &[
    ("height by time and bits", "a formula"),
    ("peers asked for one body at once", "two places in a structure"),
    (
        "starts of a failed network, of failed discovery",
        "a list of pauses and its length",
    ),
    ("core dump", "a call of the system"),
];

/// Maxima that only the own user or machine can reach, or that bound a wait or a text of our own: they stand beside their use.
const OF_THE_OWN: &[(&str, &str)] = &[
    ("cli.rs", "THREADS_MAX"),
    ("cli/web.rs", "HOST_MAX_BYTES"),
    ("cli/values.rs", "NETWORK_FILE_MAX_BYTES"),
    ("console/human.rs", "WHOLE_BLOCKS_MAX"),
    ("console/parse.rs", "MINE_MAX"),
    ("console/parse.rs", "WAIT_MAX_SECONDS"),
    ("console/parse.rs", "ECHO_MAX"),
    ("console/parse.rs", "CORRECTED_MAX_BYTES"),
    ("console/parse/visible.rs", "BAN_MAX_MINUTES"),
    ("engine/parts/mining.rs", "JOBS_MAX"),
    ("node/control_client/several.rs", "LISTED_MAX"),
    ("node/control_client/several.rs", "ANSWER_MAX_BYTES"),
    ("node/hearers.rs", "FIRST_PEER_MAX"),
    ("node/identities.rs", "ACCOUNTS_MAX"),
    ("node/identities.rs", "IDENTITIES_MAX"),
    ("node/identities.rs", "LISTED_MAX"),
    ("node/page.rs", "ELSEWHERE_MAX"),
    ("node/second.rs", "COMMANDS_MAX"),
    ("engine/peering.rs", "SHOWN_MAX"),
    ("engine/parts/pools/side.rs", "REST_MAX_MS"),
    ("engine/parts/pools/side.rs", "REST_MAX_EACH_MS"),
    ("inspect/stats.rs", "TOP_MAX"),
    ("net/codec.rs", "TOLD_PEER_MAX_BYTES"),
    ("node.rs", "LAST_WORDS_MAX"),
    ("web/server.rs", "STOP_MAX"),
    ("node/control.rs", "LEAVE_MAX"),
    ("node/control.rs", "LAST_WORDS_MAX"),
    ("node/control_client/attach.rs", "LAST_WORDS_MAX"),
    ("node/control_client/lines.rs", "START_MAX_BYTES"),
    ("node/engine_thread.rs", "STOP_MAX"),
    ("node/history.rs", "FILE_MAX_BYTES"),
    ("node/screen.rs", "FIRST_WORDS_MAX"),
    ("pool/rebuild.rs", "ROUNDS_MAX"),
    ("store/key.rs", "KEY_FILE_MAX_ROOM"),
    ("store/older.rs", "ACCOUNTS_MAX"),
    ("store/older.rs", "NAMES_MAX"),
    ("store/opening.rs", "LABEL_SHOWN_MAX"),
    ("store/places.rs", "NETWORKS_MAX"),
    ("threads/in_order.rs", "THREADS_MAX"),
    ("threads/in_order.rs", "WAITING_MAX"),
    ("tools/key.rs", "KEY_MAX_BYTES"),
    ("types/account.rs", "NAME_MAX_BYTES"),
    ("types/amount.rs", "MAX"),
    ("types/prefix.rs", "INTERFACE_MAX_BYTES"),
    ("types/target.rs", "HALFLIFE_MAX_MS"),
    ("types/target.rs", "MAX_DOUBLINGS"),
    ("types/typed.rs", "HOST_MAX_BYTES"),
    ("types/typed.rs", "LABEL_MAX_BYTES"),
    ("types/typed.rs", "TYPED_MAX_BYTES"),
];

/// Units of the table.
const UNITS: [&str; 6] = ["KiB", "MiB", "ms", "s", "min", "h"];

struct Constant {
    of_time: bool,
    expression: String,
}

/// The constants of a file before its tests, by name.
type Constants = BTreeMap<String, Constant>;

struct Row {
    what: String,
    maximum: String,
    files: Vec<String>,
    constants: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the sources").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" && name != "testing" {
            collect(&path, found);
        } else if name.ends_with(".rs") && !name.contains("test") {
            found.push(path);
        }
    }
}

/// Every file's constants, by its path below `src`.
fn constants() -> BTreeMap<String, Constants> {
    let mut paths = Vec::new();
    collect(&root().join("src"), &mut paths);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source is text");
        let below = path.strip_prefix(root().join("src")).expect("it lies there");
        let name = below.to_string_lossy().replace('\\', "/");
        let product = text.split("\nmod tests {").next().unwrap_or_default();
        (name, constants_of(product))
    };
    paths.into_iter().map(read).collect()
}

fn constants_of(text: &str) -> Constants {
    let declared = text.split("const ").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once(": ")?;
        let is_name = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        let (kind, rest) = rest.split_once('=').filter(|_| is_name)?;
        let of_time = kind.contains("Duration") || name.split('_').any(|word| word == "MS");
        let expression = rest.split(';').next()?.trim().to_owned();
        Some((name.to_owned(), Constant { of_time, expression }))
    });
    declared.collect()
}

/// The rows of the first table.
fn rows() -> Vec<Row> {
    let text = fs::read_to_string(root().join("proto-notes/limits.md")).expect("the limits");
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let lines = text.lines().skip_while(|line| !line.starts_with("| what | maximum"));
    let table = lines.skip(2).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [what, maximum, _, files, constants] = cells[..] else {
            panic!("five cells: {line}");
        };
        Row {
            what: what.to_owned(),
            maximum: maximum.to_owned(),
            files: quoted(files),
            constants: quoted(constants),
        }
    };
    table.map(row).collect()
}

/// What stands between two numbers.
type Operation = fn(i128, i128) -> Option<i128>;

/// What a constant is, in its smallest unit: milliseconds for times. None if it is no number.
fn value(all: &BTreeMap<String, Constants>, file: &str, expression: &str) -> Option<i128> {
    let expression = expression.trim();
    for (call, factor) in [
        ("Duration::from_secs(", 1_000),
        ("Duration::from_millis(", 1),
        ("Some(", 1),
    ] {
        if let Some(inner) = expression.strip_prefix(call) {
            return Some(value(all, file, inner.strip_suffix(')')?)? * factor);
        }
    }
    if let Some((left, right)) = expression.split_once(" << ") {
        return Some(value(all, file, left)? << value(all, file, right)?);
    }
    // No difference stands behind a sum here, and no quotient behind a product.
    let signs: [(&str, Operation); 3] = [
        (" + ", i128::checked_add),
        (" * ", i128::checked_mul),
        (" / ", i128::checked_div),
    ];
    for (sign, of) in signs {
        if let Some((left, right)) = split_outside(expression, sign) {
            return of(value(all, file, left)?, value(all, file, right)?);
        }
    }
    if let Some(inner) = expression.strip_prefix('(') {
        return value(all, file, inner.strip_suffix(')')?);
    }
    let word = expression.rsplit("::").next().unwrap_or(expression);
    if word.starts_with(|c: char| c.is_ascii_uppercase()) {
        return value(
            all,
            nearest(all, file, word)?,
            &all[nearest(all, file, word)?][word].expression,
        );
    }
    let digits: String = expression.chars().filter(|c| *c != '_').collect();
    digits.trim_end_matches("u64").trim_end_matches("u32").parse().ok()
}

/// The two sides of the last such sign that stands in no brackets.
fn split_outside<'a>(text: &'a str, sign: &str) -> Option<(&'a str, &'a str)> {
    let mut places = text.rmatch_indices(sign);
    let is_outside = |at: usize| text[..at].matches('(').count() == text[..at].matches(')').count();
    let (at, _) = places.find(|(at, _)| is_outside(*at))?;
    Some((&text[..at], &text[at + sign.len()..]))
}

/// The file that declares the constant which this file means: itself, or the one that lies nearest.
fn nearest<'a>(all: &'a BTreeMap<String, Constants>, file: &str, name: &str) -> Option<&'a str> {
    let shared = |other: &str| other.bytes().zip(file.bytes()).take_while(|(a, b)| a == b).count();
    let declaring = all.iter().filter(|(_, constants)| constants.contains_key(name));
    let best = declaring.max_by_key(|(other, _)| (*other == file, shared(other)))?;
    Some(best.0)
}

/// The numbers of a cell, each with the unit that follows it or the list of numbers in which it stands.
fn numbers(cell: &str) -> Vec<(i128, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == ',' || c == '−' || c == ';' || c == ':';
    let words: Vec<&str> = cell
        .split(|c: char| !is_part(c))
        .filter(|word| !word.is_empty())
        .collect();
    let bare = |word: &str| word.trim_matches([',', ';', ':', '−']).replace(',', "");
    let number = |word: &str| bare(word).parse::<i128>().ok();
    let unit = |at: usize| {
        for (word, before) in words[at + 1..].iter().zip(&words[at..]) {
            let name = word.trim_matches([',', ';', ':']);
            if before.ends_with([';', ':']) {
                return "";
            }
            if let Some(unit) = UNITS.iter().find(|unit| **unit == name) {
                return unit;
            }
            if number(word).is_none() && !["and", "to", "or"].contains(&name) {
                return "";
            }
        }
        ""
    };
    let found = words.iter().enumerate();
    found.filter_map(|(at, word)| Some((number(word)?, unit(at)))).collect()
}

/// How a value may be written.
fn writings(value: i128, of_time: bool) -> Vec<(i128, &'static str)> {
    let units: &[(i128, &str)] = if of_time {
        &[(1, "ms"), (1_000, "s"), (60_000, "min"), (3_600_000, "h")]
    } else {
        &[(1, ""), (1_024, "KiB"), (1_024 * 1_024, "MiB")]
    };
    let value = value.abs();
    let fitting = units.iter().filter(|(size, _)| value % size == 0);
    fitting.map(|(size, unit)| (value / size, *unit)).collect()
}

/// The files that a row names; a folder stands for all in it.
fn files<'a>(all: &'a BTreeMap<String, Constants>, row: &Row) -> Vec<&'a str> {
    let is_named = |file: &str| {
        let names = |named: &String| named == file || (named.ends_with('/') && file.starts_with(named.as_str()));
        row.files.iter().any(names)
    };
    all.keys().map(String::as_str).filter(|file| is_named(file)).collect()
}

#[test]
fn every_limit_has_the_number_of_its_constant() {
    let all = constants();
    let mut complaints = Vec::new();
    for row in rows() {
        let written = numbers(&row.maximum);
        let files = files(&all, &row);
        for name in &row.files {
            let exists = root().join("src").join(name).exists();
            complaints.extend((!exists).then(|| format!("{}: there is no {name}", row.what)));
        }
        for name in &row.constants {
            let mut declared = files.iter().filter(|file| all[**file].contains_key(name)).peekable();
            if declared.peek().is_none() {
                complaints.push(format!("{}: no file of the row has {name}", row.what));
                continue;
            }
            let is_written = |file: &&&str| {
                let constant = &all[**file][name];
                let value = value(&all, file, &constant.expression);
                value.is_some_and(|value| {
                    writings(value, constant.of_time)
                        .iter()
                        .any(|way| written.contains(way))
                })
            };
            if !declared.any(|file| is_written(&file)) {
                complaints.push(format!(
                    "{}: the value of {name} is not in \"{}\"",
                    row.what, row.maximum
                ));
            }
        }
        let without = WITHOUT_CONSTANTS.iter().any(|(what, _)| *what == row.what);
        if row.constants.is_empty() != without {
            complaints.push(format!(
                "{}: a row names constants, or stands among those without",
                row.what
            ));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_maximum_of_the_code_has_a_row_or_is_the_own_users() {
    let (all, rows) = (constants(), rows());
    let mut complaints = Vec::new();
    for (file, constants) in &all {
        for name in constants
            .keys()
            .filter(|name| name.split('_').any(|word| word == "MAX"))
        {
            let is_told = |row: &Row| row.constants.contains(name) && files(&all, row).contains(&file.as_str());
            let is_own = OF_THE_OWN.contains(&(file.as_str(), name.as_str()));
            if rows.iter().any(is_told) == is_own {
                complaints.push(format!(
                    "src/{file}: {name} has a row in limits.md, or is the own user's"
                ));
            }
        }
    }
    let gone = OF_THE_OWN
        .iter()
        .filter(|(file, name)| !all.get(*file).is_some_and(|known| known.contains_key(*name)));
    complaints.extend(gone.map(|(file, name)| format!("src/{file} has no {name} any more")));
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn numbers_are_read_with_their_units() {
    assert_eq!(numbers("1, 10 and 60 s"), [(1, "s"), (10, "s"), (60, "s")]);
    assert_eq!(
        numbers("16; 1 MiB of 10,000 at −20"),
        [(16, ""), (1, "MiB"), (10_000, ""), (20, "")]
    );
    let all = BTreeMap::new();
    assert_eq!(value(&all, "", "2 + 65 * (1_024 + 1)"), Some(66_627));
    assert_eq!(value(&all, "", "Duration::from_secs(3_600)"), Some(3_600_000));
    assert_eq!(writings(120_000, true), [(120_000, "ms"), (120, "s"), (2, "min")]);
}
