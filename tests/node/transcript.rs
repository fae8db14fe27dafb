//! Transcripts: Markdown whose fenced blocks show terminals, and how their lines are compared with what real ones show.
//!
//! Promises: every character counts but for what varies from run to run; a hash, a PeerId or a port stands for the same
//! real one in the whole text, and two of them for two. Elsewhere: who types and waits (`transcripts`).
//! Spec: `tests/transcripts/README.md`.

use std::collections::BTreeMap;

/// Digits by which a hash is known; replies shorten to as many.
const HASH_DIGITS: usize = 12;
/// Characters by which a PeerId is known, and how long a whole one is.
const PEER_CHARS: usize = 8;
const PEER_WHOLE_CHARS: usize = 52;
/// Stands for any text within a line.
const ANY: &str = "[..]";
/// Either may be the one who calls.
const CALLS: [&str; 2] = ["it called from", "we called"];
/// What follows a measured number.
const UNITS: [&str; 6] = [" ms", " s", " attempts", " hashes a second", " min", " came in"];
/// What stands before a number that was searched for; columns behind it move with its length.
const SEARCHED: &str = "nonce ";

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Exactly(char),
    /// What varies and comes again: kind and length, and by which characters it is known.
    Bound(char, usize, String),
    /// What varies.
    Free,
    Any,
}

/// What the text's hashes, PeerIds and ports stand for, and the other way round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bindings {
    real: BTreeMap<String, String>,
    told: BTreeMap<String, String>,
}

impl Bindings {
    fn bind(&mut self, told: &str, real: &str) -> bool {
        let is_known =
            |map: &BTreeMap<String, String>, key: &str, value: &str| map.get(key).is_none_or(|known| known == value);
        let fits = is_known(&self.real, told, real) && is_known(&self.told, real, told);
        if fits {
            self.real.insert(told.to_owned(), real.to_owned());
            self.told.insert(real.to_owned(), told.to_owned());
        }
        fits
    }

    /// A command of the text with what its hashes, PeerIds and ports stand for.
    pub(crate) fn translate(&self, command: &str) -> String {
        let mut text = command.to_owned();
        for (told, real) in &self.real {
            text = text.replace(told, real);
        }
        text
    }
}

/// A line of a block.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    /// Lines that are left out.
    Gap,
    /// A program is started.
    Start(String),
    /// Typed at this prompt.
    Typed(&'static str, String),
    /// What is shown.
    Shown(String),
}

impl Line {
    fn read(text: &str) -> Self {
        let typed = |prompt: &'static str| text.strip_prefix(prompt).map(|rest| (prompt, rest.to_owned()));
        if text == "…" {
            return Self::Gap;
        }
        if let Some((_, command)) = typed("$ ") {
            return Self::Start(command);
        }
        match typed("> ").or_else(|| typed("attached> ")) {
            Some((prompt, command)) => Self::Typed(prompt, command),
            None => Self::Shown(text.to_owned()),
        }
    }

    /// As the terminal shows it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Gap => "…".to_owned(),
            Self::Start(command) => format!("$ {command}"),
            Self::Typed(prompt, command) => format!("{prompt}{command}"),
            Self::Shown(text) => text.clone(),
        }
    }
}

/// A fenced block: what one terminal shows.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// The terminal's name; its first word is the machine's.
    pub(crate) terminal: String,
    /// The number of its first line in the text.
    pub(crate) number: usize,
    pub(crate) lines: Vec<Line>,
}

/// The blocks of a text that name a terminal.
pub(crate) fn blocks(markdown: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut inside = false;
    for (index, line) in markdown.lines().enumerate() {
        match (inside, line.strip_prefix("```")) {
            (false, Some(terminal)) => {
                inside = true;
                found.push(Block {
                    terminal: terminal.trim().to_owned(),
                    number: index + 2,
                    lines: Vec::new(),
                });
            }
            (true, Some(_)) => inside = false,
            (true, None) => found.last_mut().expect("one was begun").lines.push(Line::read(line)),
            (false, None) => {}
        }
    }
    found.retain(|block| !block.terminal.is_empty());
    found
}

/// Whether these lines, and nothing else, are in the rows; what they then bind.
pub(crate) fn matches(lines: &[Line], rows: &[String], bindings: &Bindings) -> Option<Bindings> {
    let Some((line, rest)) = lines.split_first() else {
        return rows.is_empty().then(|| bindings.clone());
    };
    if matches!(line, Line::Gap) {
        return (0..=rows.len()).find_map(|skipped| matches(rest, &rows[skipped..], bindings));
    }
    let (row, below) = rows.split_first()?;
    let bound = line_matches(&pieces(&line.text()), &pieces(row), bindings)?;
    matches(rest, below, &bound)
}

fn line_matches(told: &[Piece], real: &[Piece], bindings: &Bindings) -> Option<Bindings> {
    match (told.split_first(), real.split_first()) {
        (None, None) => Some(bindings.clone()),
        (Some((Piece::Any, rest)), _) => {
            (0..=real.len()).find_map(|skipped| line_matches(rest, &real[skipped..], bindings))
        }
        (Some((Piece::Bound(kind, size, told), rest)), Some((Piece::Bound(other, length, real), behind))) => {
            let mut bound = bindings.clone();
            let fits = (kind, size) == (other, length) && bound.bind(told, real);
            fits.then(|| line_matches(rest, behind, &bound)).flatten()
        }
        (Some((piece, rest)), Some((other, behind))) if piece == other => line_matches(rest, behind, bindings),
        _ => None,
    }
}

/// Cuts a line where something varies.
fn pieces(line: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let before = &line[..line.len() - rest.len()];
        let is_inside = before.ends_with(|c: char| c.is_ascii_alphanumeric());
        let word = if is_inside { "" } else { word_of(rest) };
        let (piece, size) = if let Some(call) = CALLS.into_iter().find(|call| rest.starts_with(call)) {
            (Piece::Free, call.len())
        } else if rest.starts_with(ANY) {
            (Piece::Any, ANY.len())
        } else if let Some(piece) = varying(before, word, &rest[word.len()..]) {
            (piece, word.len())
        } else {
            (Piece::Exactly(first), first.len_utf8())
        };
        rest = &rest[size..];
        if before.ends_with(SEARCHED) {
            rest = rest.trim_start();
        }
        found.push(piece);
    }
    found
}

fn word_of(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    &text[..end]
}

/// What a word is that is another one in each run.
fn varying(before: &str, word: &str, behind: &str) -> Option<Piece> {
    let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let is_hex = word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_short_peer = before.ends_with('…') && word.len() == PEER_CHARS;
    let is_peer = word.starts_with("12D3KooW") && word.len() == PEER_WHOLE_CHARS;
    let bound = |kind, known: &str| Some(Piece::Bound(kind, word.len(), known.to_owned()));
    if is_short_peer || is_peer {
        return bound('p', &word[word.len() - PEER_CHARS..]);
    }
    if is_number && before.ends_with("/tcp/") {
        return bound('t', word);
    }
    if is_hex && word.len() >= HASH_DIGITS {
        return bound('h', &word[..HASH_DIGITS]);
    }
    let is_unit = |unit: &&str| behind.starts_with(*unit) && !behind[unit.len()..].starts_with(char::is_alphanumeric);
    let is_measured = before.ends_with(SEARCHED) || UNITS.iter().any(is_unit);
    (is_number && is_measured).then_some(Piece::Free)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<Line> {
        text.lines().map(Line::read).collect()
    }

    fn fits(text: &str, real: &[&str]) -> bool {
        let rows: Vec<String> = real.iter().map(ToString::to_string).collect();
        matches(&told(text), &rows, &Bindings::default()).is_some()
    }

    #[test]
    fn every_character_counts() {
        assert!(fits("bob owns 5 coins", &["bob owns 5 coins"]));
        assert!(!fits("bob owns 5 coins", &["bob owns 6 coins"]));
        assert!(!fits(
            "bob owns 5 coins",
            &["bob owns 5 coins", "  nobody owns this name yet"]
        ));
        assert!(!fits("bob owns 5 coins\n  more", &["bob owns 5 coins"]));
    }

    #[test]
    fn a_hash_stands_for_one_and_two_for_two() {
        let (a, b) = ("0000aaaaaaaa", "0000bbbbbbbb");
        assert!(fits(
            "x 000011111111\ny 000011111111",
            &[&format!("x {a}"), &format!("y {a}")]
        ));
        assert!(!fits(
            "x 000011111111\ny 000011111111",
            &[&format!("x {a}"), &format!("y {b}")]
        ));
        assert!(!fits(
            "x 000011111111\ny 000022222222",
            &[&format!("x {a}"), &format!("y {a}")]
        ));
        assert!(!fits("x 000011111111", &[&format!("x {a}0000")]), "of another length");
        let whole = format!("y {a}{}", "c".repeat(52));
        let text = format!("x 000011111111\ny 000011111111{}", "d".repeat(52));
        assert!(
            fits(&text, &[&format!("x {a}"), &whole]),
            "short and whole are one hash"
        );
    }

    #[test]
    fn peers_ports_times_and_who_called_may_differ() {
        let text = "peer   ben (…aaaaaaaa) connected: we called /ip4/10.77.0.2/tcp/40000";
        assert!(fits(
            text,
            &["peer   ben (…zZ345678) connected: it called from /ip4/10.77.0.2/tcp/41234"]
        ));
        assert!(!fits(
            text,
            &["peer   ben (…zZ345678) connected: we called /ip4/10.77.0.3/tcp/41234"]
        ));
        assert!(!fits(
            text,
            &["peer   ben (zZ345678) connected: we called /ip4/10.77.0.2/tcp/41234"]
        ));
        assert!(fits("waited 12 ms", &["waited 1903 ms"]));
        assert!(!fits("waited 12 msgs", &["waited 13 msgs"]));
        assert!(fits("height 1   nonce 34016", &["height 1   nonce 7"]));
        assert!(!fits("height 1   nonce 34016", &["height 2   nonce 7"]));
        assert!(fits(
            "nonce 34016       3 transactions",
            &["nonce 7           3 transactions"]
        ));
    }

    #[test]
    fn what_is_left_out_is_told() {
        assert!(fits("a\n…\nd", &["a", "b", "c", "d"]));
        assert!(fits("a\n…\nd", &["a", "d"]));
        assert!(!fits("a\n…\nd", &["a", "b", "c"]));
        assert!(fits("it begins with [..] zeros", &["it begins with 19 zeros"]));
        assert!(!fits("it begins with [..] zeros", &["it begins with 19 ones"]));
        assert!(
            !fits("… 88 more: blocks", &["… 87 more: blocks"]),
            "only a line of its own is a gap"
        );
    }

    #[test]
    fn commands_are_typed_with_what_the_text_stands_for() {
        let rows = [
            "waits; 84de0ccc4376".to_owned(),
            "dial /ip4/10.77.0.1/tcp/40999".to_owned(),
        ];
        let text = told("waits; 111111111111\ndial /ip4/10.77.0.1/tcp/40000");
        let bindings = matches(&text, &rows, &Bindings::default()).expect("they fit");
        assert_eq!(
            bindings.translate("transaction 111111111111"),
            "transaction 84de0ccc4376"
        );
        assert_eq!(
            bindings.translate("dial /ip4/10.77.0.1/tcp/40000"),
            "dial /ip4/10.77.0.1/tcp/40999"
        );
    }

    #[test]
    fn blocks_are_what_stands_in_fences_with_a_name() {
        let text = "prose\n\n```anna 2\n$ lanchain\n> mine\n…\nForged\n```\n```\nno\n```\n    > mine\n";
        let found = blocks(text);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].terminal.as_str(), found[0].number), ("anna 2", 4));
        let lines: Vec<String> = found[0].lines.iter().map(Line::text).collect();
        assert_eq!(lines, ["$ lanchain", "> mine", "…", "Forged"]);
    }
}
