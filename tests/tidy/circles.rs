//! Within a room no file imports itself by way of others: what stands below can be read without what stands above.
//!
//! Promises: only `use` counts, as the compiler resolves it; a name that a room's `mod.rs` hands on counts as that file.
//! Elsewhere: which room may name which (`main`).

use std::collections::{BTreeMap, BTreeSet};

use crate::{Source, assert_none, layer, production, sources};

/// Rooms that still have a circle. None may be added, and one that has none any more leaves the list.
const WITH_CIRCLES: &[&str] = &[
    "chain", "console", "contract", "inspect", "net", "node", "pool", "store", "types",
];

/// What a file imports, by module paths such as `engine::parts::sync`.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// `src/a/b.rs` and `src/a/b/mod.rs` are `a::b`.
fn module(path: &str) -> String {
    let inner = path
        .trim_start_matches("src/")
        .trim_end_matches(".rs")
        .trim_end_matches("/mod");
    inner.replace('/', "::")
}

/// `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn expand(tree: &str) -> Vec<String> {
    let Some((before, rest)) = tree.split_once('{') else {
        return vec![tree.to_owned()];
    };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for letter in inner.chars() {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        match parts.last_mut() {
            Some(part) if letter != ',' || depth > 0 => part.push(letter),
            _ => parts.push(String::new()),
        }
    }
    let whole = parts.iter().flat_map(|part| expand(part));
    whole.map(|end| format!("{before}{end}")).collect()
}

/// The paths that a file imports, from the root of the crate.
fn imported(source: &Source) -> Vec<Vec<String>> {
    let text: String = production(source).into_iter().map(|(_, line)| line + "\n").collect();
    let here: Vec<String> = module(&source.path).split("::").map(str::to_owned).collect();
    let statements = text.split(';').filter_map(|statement| {
        let (before, tree) = statement.rsplit_once("use ")?;
        let is_statement = before
            .lines()
            .last()
            .unwrap_or_default()
            .trim()
            .chars()
            .all(|c| c != ' ');
        is_statement.then(|| tree.split_whitespace().collect::<String>())
    });
    let resolve = |path: String| {
        let words: Vec<String> = path.split("::").map(str::to_owned).collect();
        let ups = words.iter().take_while(|word| *word == "super").count();
        match words.first()?.as_str() {
            "crate" => Some(words[1..].to_vec()),
            "self" => Some([&here[..], &words[1..]].concat()),
            "super" => Some([&here[..here.len().checked_sub(ups)?], &words[ups..]].concat()),
            _ => Some([&here[..], &words[..]].concat()),
        }
    };
    statements.flat_map(|tree| expand(&tree)).filter_map(resolve).collect()
}

fn imports(room: &str) -> Imports {
    let sources = sources(&["src"]);
    let of_room = |source: &&Source| layer(&source.path) == room && !source.path.contains("tests");
    let files: Vec<(String, &Source)> = sources
        .iter()
        .filter(of_room)
        .map(|source| (module(&source.path), source))
        .collect();
    let known: BTreeSet<&String> = files.iter().map(|(name, _)| name).collect();
    // The longest beginning of a path that is a file is the file which the path leads to.
    let file_of = |path: &[String]| {
        let beginnings = (1..=path.len()).rev().map(|length| path[..length].join("::"));
        beginnings.into_iter().find(|name| known.contains(name))
    };
    files
        .iter()
        .map(|(name, source)| {
            let all = imported(source).into_iter().filter_map(|path| file_of(&path));
            (name.clone(), all.filter(|other| other != name).collect())
        })
        .collect()
}

/// The way from a file back to it, if there is one.
fn circle(imports: &Imports) -> Option<Vec<&String>> {
    imports.keys().find_map(|start| {
        let mut seen = BTreeSet::new();
        let mut ways = vec![vec![start]];
        while let Some(way) = ways.pop() {
            let last = *way.last()?;
            for next in imports.get(last).into_iter().flatten() {
                if next == start {
                    return Some([&way[..], &[start]].concat());
                }
                if seen.insert(next) {
                    ways.push([&way[..], &[next]].concat());
                }
            }
        }
        None
    })
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    let rooms: BTreeSet<String> = sources(&["src"])
        .iter()
        .map(|source| layer(&source.path).to_owned())
        .filter(|room| !["lib", "main", "fuzzing", "testing"].contains(&room.as_str()))
        .collect();
    let mut complaints = Vec::new();
    for room in &rooms {
        let imports = imports(room);
        match (circle(&imports), WITH_CIRCLES.contains(&room.as_str())) {
            (Some(way), false) => complaints.push(format!("{room}: {way:?}")),
            (None, true) => complaints.push(format!("{room} has no circle any more: take it off the list")),
            (Some(_), true) | (None, false) => {}
        }
    }
    assert_none(&complaints);
}

#[test]
fn a_part_of_the_engine_never_names_the_engine() {
    let mut complaints = Vec::new();
    for source in sources(&["src/engine/parts"]) {
        for (number, line) in production(&source) {
            if ["Engine<", "machine::", "engine::Engine"]
                .iter()
                .any(|name| line.contains(name))
            {
                complaints.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn imports_are_read_as_the_compiler_reads_them() {
    let source = |path: &str, text: &str| Source {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let file = source(
        "src/a/b.rs",
        "//! use x;\npub use y;\nuse super::{c, d::{E,\n F}};\npub(crate) use crate::g::H;\nuse inner::I;\nlet use_it = 1;\n",
    );
    let found: Vec<String> = imported(&file).iter().map(|path| path.join("::")).collect();
    assert_eq!(
        found,
        ["a::b::y", "a::c", "a::d::E", "a::d::F", "g::H", "a::b::inner::I"]
    );
    assert_eq!(
        (module("src/a/mod.rs").as_str(), module("src/a.rs").as_str()),
        ("a", "a")
    );
    let ring: Imports = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]
        .map(|(from, to)| (from.to_owned(), BTreeSet::from([to.to_owned()])))
        .into();
    assert_eq!(circle(&ring).map(|way| way.len()), Some(4));
}
