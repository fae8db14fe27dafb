//! What is typed, and what is shown.

use std::io::Read;

use super::bytes::Bytes;
use crate::console::human::{escape, human_error};
use crate::console::input::{Content, LINE_MAX_BYTES, LineReader, split_exec};
use crate::console::json::{json_event, json_reply};
use crate::console::narrate::human_event;
use crate::console::parse::{ECHO_MAX, canonical_word, is_silent, parse_line};
use crate::console::{InputLine, Line};
use crate::contract::{CommandError, DisconnectReason, Event, Source};
use crate::types::SecretKey;
use crate::types::text::{is_utf16, without_mark};

/// Every code that reading a line may give (`proto-notes/events.md`, "Codes").
const CODES: [&str; 6] = [
    "unknown_command",
    "missing_values",
    "too_many_values",
    "bad_argument",
    "bad_amount",
    "bad_name",
];

pub(super) fn line(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let parsed = parse_line(&text);
    let word = canonical_word(&text);
    if let Some(word) = &word {
        assert!(word.chars().count() <= ECHO_MAX);
    }
    match &parsed {
        Ok(None) => assert!(is_silent(&text) || text.trim().is_empty()),
        Ok(Some(line)) => {
            // The word is one that the reply can carry, whatever case it was typed in.
            let word = word.unwrap();
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase()));
            let for_engine = matches!(line, Line::Engine(_) | Line::Telling(_));
            assert_eq!(word == "help" || word == "quit", !for_engine);
            // No number has a second form; a peer's name and the first digits of an id or a hash are no number.
            let mut numbers = text
                .split_whitespace()
                .filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
                .filter(|word| word.len() < 64);
            let lower = text.to_ascii_lowercase();
            let names_a_peer = ["ban", "unban", "drop"].contains(&word.as_str());
            let shortest = match (names_a_peer || lower.contains("transaction"), lower.contains("block")) {
                (true, _) => 1,
                (false, true) => 4,
                (false, false) => 64,
            };
            assert!(numbers.all(|word| word == "0" || word.len() >= shortest || !word.starts_with('0')));
        }
        Err(error) => {
            assert!(CODES.contains(&error.code) || error.code == "bad_address", "{error:?}");
            assert!(!error.message.is_empty());
            let hint = parse_line(&error.hint);
            assert!(matches!(hint, Ok(Some(_))), "the hint of {error:?} cannot be typed");
        }
    }
    // Blanks change nothing.
    let spread = format!("  {}\t", text.split_whitespace().collect::<Vec<_>>().join(" \t "));
    if !is_silent(&text) {
        assert_eq!(parse_line(&spread), parsed, "{spread:?}");
    }
}

/// Gives its bytes in pieces of sizes that the input chose.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: Vec<u8>,
    next: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let size = usize::from(self.sizes[self.next % self.sizes.len()]) * 17 + 1;
        self.next += 1;
        let size = size.min(out.len()).min(self.bytes.len());
        out[..size].copy_from_slice(&self.bytes[..size]);
        self.bytes = &self.bytes[size..];
        Ok(size)
    }
}

/// What a line is, from all of its bytes at once.
fn expected(line: &[u8], mark: usize, utf16: bool) -> &'static str {
    let kept = &line[mark..line.len().min(LINE_MAX_BYTES)];
    if utf16 {
        let is_blank = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
        return if kept.iter().all(is_blank) { "silent" } else { "utf-16" };
    }
    let too_long = line.len() > LINE_MAX_BYTES;
    let line = &line[mark..];
    let first = kept.iter().find(|byte| !byte.is_ascii_whitespace());
    if line.iter().all(u8::is_ascii_whitespace) || first == Some(&b'#') {
        return "silent";
    }
    if too_long {
        return "too long";
    }
    match core::str::from_utf8(line) {
        Ok(text) if text.trim_start().is_empty() || text.trim_start().starts_with('#') => "silent",
        Ok(_) => "text",
        Err(_) => "no text",
    }
}

pub(super) fn input(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let sizes = vec![bytes.u8(), bytes.u8(), bytes.u8()];
    // Long lines from short inputs.
    let blown = usize::from(bytes.u8()) * 33;
    let text = [&vec![b'a'; blown], bytes.rest()].concat();
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    let pieces = Pieces {
        bytes: &text,
        sizes,
        next: 0,
    };
    let utf16 = lines.first().is_some_and(|line| is_utf16(line));
    let mut reader = LineReader::new(pieces);
    for (number, line) in (1..).zip(&lines) {
        let raw = reader.next_line().unwrap().unwrap();
        assert_eq!(raw.number, number);
        let mark = if number == 1 {
            line.len() - without_mark(line).len()
        } else {
            0
        };
        let kind = match &raw.content {
            Content::Text(text) => {
                let bytes = line[mark..].strip_suffix(b"\r").unwrap_or(&line[mark..]);
                assert_eq!(text.as_bytes(), bytes);
                "text"
            }
            Content::Silent => "silent",
            Content::TooLong(_) => "too long",
            Content::NotUtf8(_) => "no text",
            Content::Utf16 => "utf-16",
        };
        assert_eq!(kind, expected(line, mark, utf16), "line {number}");
        let silent = raw.content == Content::Silent;
        let read = InputLine::read(raw);
        assert_eq!(read.is_none(), silent);
        if let Some(Err(error)) = read.map(|read| read.line) {
            assert!(!error.hint.is_empty());
        }
    }
    assert_eq!(reader.next_line().unwrap(), None);
    if let Ok(text) = core::str::from_utf8(&text) {
        let commands = text.split(';').filter(|piece| !is_silent(piece)).count();
        assert!(split_exec(text).len() <= commands);
    }
}

/// Whether a terminal would do more with the text than show it.
fn moves_cursor(text: &str) -> bool {
    text.contains(|c: char| c.is_control() && c != '\n')
        || text.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{ad}'])
}

/// Texts that strangers chose: escaped on a terminal, one line of JSON.
pub(super) fn words(input: &[u8]) {
    let text = String::from_utf8_lossy(input).into_owned();
    let safe = escape(&text);
    assert!(!moves_cursor(&safe) && !safe.contains('\n'));
    assert_eq!(escape(&safe), safe);
    let error = CommandError {
        code: "internal",
        message: text.clone(),
        hint: text.clone(),
    };
    let shown = human_error(Some(1), &error);
    assert!(!moves_cursor(&shown) && shown.lines().count() == 2);
    let line = json_reply::<()>(1, Some(&text), &Err(error));
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(!moves_cursor(&line), "{line:?}");
    assert!(!line.contains('\n') && value["command"] == text.as_str() && value["error"]["message"] == text.as_str());
    let peer = SecretKey::from_seed([1; 32]).public().peer_id();
    let events = [
        Event::Warning {
            code: "x",
            message: text.clone(),
        },
        Event::PeerFound {
            peer_id: peer.to_string(),
            address: text.clone(),
            found_by: crate::contract::FoundBy::Mdns,
        },
        Event::PeerDisconnected {
            peer_id: text.clone(),
            name: None,
            name_taken: false,
            reason: DisconnectReason::Own(text.clone().into()),
        },
        Event::PeerNamed {
            peer_id: text.clone(),
            name: None,
            name_proven: false,
            name_taken: true,
            address: text.clone(),
        },
        Event::TransactionRejected {
            txid: None,
            code: "x",
            message: text.clone(),
            source: Source::Peer(peer),
        },
        Event::BlockRejected {
            hash: None,
            height: None,
            code: "x",
            message: text,
            source: Source::Peer(peer),
        },
    ];
    for event in events {
        if let Some(told) = human_event(&event) {
            assert!(!moves_cursor(&told) && !told.contains('\n'), "{told:?}");
        }
        let line = json_event(&event, crate::testing::samples::stamp(7, 1));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(
            !moves_cursor(&line) && value["type"] == "event" && value["time_ms"] == 7,
            "{line}"
        );
    }
}
