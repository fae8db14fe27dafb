//! Holds the Chinese README against the English one.
//!
//! Promises: a section, a step of the tour, a block of commands, a code span, a row of a table or a link that only one of the
//! two has fails the build, and the failure names the section and the difference.
//! Elsewhere: that the English one shows what the program prints (`tests/node/transcripts.rs`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The English README.
const ORIGINAL: &str = "README.md";
/// The same in Chinese.
const TRANSLATION: &str = "proto-notes/README.zh-CN.md";

/// A heading and what stands below it, up to the next heading of any level.
#[derive(Default)]
struct Section {
    level: usize,
    heading: String,
    /// The numbers of its steps: paragraphs that begin with a number in bold.
    steps: Vec<String>,
    /// Fenced blocks with their fences, and indented ones.
    blocks: Vec<String>,
    /// The cells of each row of its tables.
    rows: Vec<Vec<String>>,
    /// All text outside blocks.
    prose: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The block that begins at this line, and how many lines it has; none if it is no block.
fn block(lines: &[&str], at: usize) -> Option<(String, usize)> {
    let rest = &lines[at..];
    if rest[0].starts_with("```") {
        let inner = rest[1..].iter().take_while(|line| !line.starts_with("```")).count();
        let count = (inner + 2).min(rest.len());
        return Some((rest[..count].join("\n"), count));
    }
    let is_indented = |line: &&&str| line.starts_with("    ");
    let is_after_blank = at == 0 || lines[at - 1].trim().is_empty();
    let count = rest.iter().take_while(is_indented).count();
    (is_after_blank && count > 0).then(|| (rest[..count].join("\n"), count))
}

/// The number of a step such as "**3. The cable is pulled.**".
fn step(line: &str) -> Option<String> {
    let (number, _) = line.strip_prefix("**")?.split_once('.')?;
    number.parse::<u32>().is_ok().then(|| number.to_owned())
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_matches('|');
    inner.split('|').map(|cell| cell.trim().to_owned()).collect()
}

fn sections(text: &str) -> Vec<Section> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = vec![Section::default()];
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let section = found.last_mut().expect("it starts with one");
        if let Some((block, count)) = block(&lines, at) {
            section.blocks.push(block);
            at += count;
            continue;
        }
        let level = line.bytes().take_while(|byte| *byte == b'#').count();
        if level > 0 {
            found.push(Section {
                level,
                heading: line[level..].trim().to_owned(),
                ..Section::default()
            });
        } else {
            section.steps.extend(step(line));
            section.rows.extend(line.starts_with('|').then(|| cells(line)));
            section.prose.push_str(line);
            section.prose.push('\n');
        }
        at += 1;
    }
    // What stands before the first heading is nothing.
    found.remove(0);
    found
}

/// The code spans of a text in their order.
fn spans(text: &str) -> Vec<String> {
    let inner = text.split('`').skip(1).step_by(2);
    // A span may be broken at the end of a line.
    inner
        .map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// The targets of the links of a text, without the place in the file.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .map(|target| target.split('#').next().unwrap_or(target).to_owned())
        .collect()
}

fn is_relative(target: &str) -> bool {
    !target.is_empty() && !target.contains("://")
}

/// The file that a link of another file leads to, from the crate's root.
fn resolved(from: &str, target: &str) -> String {
    if !is_relative(target) {
        return target.to_owned();
    }
    let mut path = PathBuf::new();
    let folder = Path::new(from).parent().unwrap_or(Path::new(""));
    for part in folder.join(target).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{from}: {target} leads out of the repository"),
            other => path.push(other),
        }
    }
    path.to_string_lossy().replace('\\', "/")
}

/// The targets of a section's links, the link to the other language under one name in both.
fn targets(file: &str, section: &Section) -> Vec<String> {
    let all = links(&section.prose);
    let all = all.iter().map(|target| resolved(file, target));
    all.map(|path| {
        let is_other = [ORIGINAL, TRANSLATION].contains(&path.as_str()) && path != file;
        if is_other {
            "the other language".to_owned()
        } else {
            path
        }
    })
    .collect()
}

/// What one list has more often than the other, whatever the order.
fn compare(what: &str, english: &[String], chinese: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<&String, i32> = BTreeMap::new();
    english.iter().for_each(|one| *counts.entry(one).or_default() += 1);
    chinese.iter().for_each(|one| *counts.entry(one).or_default() -= 1);
    let told = counts.into_iter().filter(|(_, count)| *count != 0);
    told.map(|(one, count)| {
        let (file, more) = if count > 0 {
            (TRANSLATION, count)
        } else {
            (ORIGINAL, -count)
        };
        format!("{file} lacks {more} time(s) the {what} \"{one}\"")
    })
    .collect()
}

/// As [`compare`], and the first place at which the order differs.
fn compare_in_order(what: &str, english: &[String], chinese: &[String]) -> Vec<String> {
    let complaints = compare(what, english, chinese);
    let swapped = english.iter().zip(chinese).find(|(one, other)| one != other);
    match swapped {
        Some((one, _)) if complaints.is_empty() => vec![format!("{TRANSLATION} has the {what} \"{one}\" elsewhere")],
        _ => complaints,
    }
}

/// The first line that differs of each block, or the blocks that only one of the two has.
fn compare_blocks(english: &[String], chinese: &[String]) -> Vec<String> {
    if english.len() != chinese.len() {
        return compare("block", english, chinese);
    }
    let mut complaints = Vec::new();
    for (index, (ours, theirs)) in english.iter().zip(chinese).enumerate() {
        let (mut ours, mut theirs) = (ours.lines(), theirs.lines());
        let mut pairs = core::iter::from_fn(|| match (ours.next(), theirs.next()) {
            (None, None) => None,
            (one, other) => Some((one.unwrap_or_default(), other.unwrap_or_default())),
        });
        if let Some((one, other)) = pairs.find(|(one, other)| one != other) {
            let number = index + 1;
            complaints.push(format!(
                "block {number}: the line \"{one}\" is \"{other}\" in {TRANSLATION}"
            ));
        }
    }
    complaints
}

fn compare_rows(english: &Section, chinese: &Section) -> Vec<String> {
    let count = |section: &Section| section.rows.len();
    if count(english) != count(chinese) {
        let (ours, theirs) = (count(english), count(chinese));
        return vec![format!(
            "{ours} rows of tables in {ORIGINAL}, {theirs} in {TRANSLATION}"
        )];
    }
    let mut complaints = Vec::new();
    for (ours, theirs) in english.rows.iter().zip(&chinese.rows) {
        if ours.len() != theirs.len() {
            complaints.push(format!("{} cells, not {}: {}", theirs.len(), ours.len(), ours[0]));
        }
        if spans(&ours[0]) != spans(&theirs[0]) {
            complaints.push(format!("the row \"{}\" is \"{}\" in {TRANSLATION}", ours[0], theirs[0]));
        }
    }
    complaints
}

fn differences(english: &Section, chinese: &Section) -> Vec<String> {
    let with_code = |section: &Section| spans(&format!("{}\n\n{}", section.heading, section.prose));
    let (ours, theirs) = (targets(ORIGINAL, english), targets(TRANSLATION, chinese));
    let mut all = compare_in_order("step", &english.steps, &chinese.steps);
    all.extend(compare_blocks(&english.blocks, &chinese.blocks));
    all.extend(compare_rows(english, chinese));
    all.extend(compare("code", &with_code(english), &with_code(chinese)));
    all.extend(compare("link to", &ours, &theirs));
    let place = format!("\"{}\" ({}): ", english.heading, chinese.heading);
    all.into_iter().map(|told| format!("{place}{told}")).collect()
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn the_chinese_readme_has_the_headings_commands_and_links_of_the_english_one() {
    let (english, chinese) = (sections(&read(ORIGINAL)), sections(&read(TRANSLATION)));
    assert!(english.len() > 5, "the README has sections");
    let outline = |sections: &[Section]| {
        let lines = sections
            .iter()
            .map(|one| format!("{} {}", "#".repeat(one.level), one.heading));
        lines.collect::<Vec<_>>()
    };
    let levels = |sections: &[Section]| sections.iter().map(|one| one.level).collect::<Vec<_>>();
    assert_eq!(
        levels(&english),
        levels(&chinese),
        "the headings differ:\n{:#?}\n{:#?}",
        outline(&english),
        outline(&chinese)
    );
    let pairs = english.iter().zip(&chinese);
    let complaints: Vec<String> = pairs.flat_map(|(ours, theirs)| differences(ours, theirs)).collect();
    assert_none(&complaints);
}

#[test]
fn both_readmes_begin_with_a_link_to_each_other() {
    for (file, other) in [(ORIGINAL, TRANSLATION), (TRANSLATION, ORIGINAL)] {
        let text = read(file);
        let below_title = text.lines().skip(1).find(|line| !line.trim().is_empty());
        let leads_there = |target: &String| resolved(file, target) == other;
        let links = links(below_title.unwrap_or_default());
        assert!(
            links.iter().any(leads_there),
            "{file}: no link to {other} below the title"
        );
    }
}

#[test]
fn every_link_of_both_readmes_leads_to_a_file() {
    let mut complaints = Vec::new();
    for file in [ORIGINAL, TRANSLATION] {
        for section in sections(&read(file)) {
            for target in links(&section.prose).iter().filter(|target| is_relative(target)) {
                if !root().join(resolved(file, target)).exists() {
                    complaints.push(format!("{file}, \"{}\": there is no {target}", section.heading));
                }
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn a_difference_of_the_readmes_is_named_with_its_section() {
    let text = "# A `x`\n\n**1. One.** Type `mine`.\n\n    mine\n\n```sh\n# no heading\nmine\n```\n\n| `a` | b |\n|---|---|\n| c | [d](http://e) |\n";
    let told = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let (english, chinese) = (sections(text), sections(&text.replacen(from, to, 1)));
        assert_eq!((english.len(), chinese.len()), (1, 1));
        differences(&english[0], &chinese[0])
    };
    assert_eq!(told("mine", "mine"), Vec::<String>::new());
    let cases = [
        ("# A `x`", "# A", "the code \"x\""),
        ("**1. ", "**2. ", "the step \"1\""),
        ("`mine`", "`mine 2`", "the code \"mine\""),
        (
            "    mine",
            "    mine 2",
            "block 1: the line \"    mine\" is \"    mine 2\"",
        ),
        ("    mine\n\n", "", "lacks 1 time(s) the block \"    mine\""),
        (
            "no heading",
            "a comment",
            "block 2: the line \"# no heading\" is \"# a comment\"",
        ),
        ("mine\n```\n", "```\n", "block 2: the line \"mine\" is \"```\""),
        ("```sh", "```", "block 2: the line \"```sh\""),
        ("| `a` |", "| `b` |", "the row \"`a`\""),
        ("| c | [d](http://e) |\n", "", "3 rows of tables in README.md, 2"),
        ("| c |", "| c | c |", "3 cells, not 2: c"),
        ("//e", "//f", "the link to \"http://e\""),
    ];
    for (from, to, wanted) in cases {
        let all = told(from, to);
        let is_named = |told: &String| told.starts_with("\"A") && told.contains(wanted);
        assert!(all.iter().any(is_named), "{from}: {all:?}");
    }
    assert_eq!(resolved(TRANSLATION, "../LICENSE"), resolved(ORIGINAL, "LICENSE"));
    assert_eq!(
        resolved(TRANSLATION, "events.md"),
        resolved(ORIGINAL, "proto-notes/events.md")
    );
}
