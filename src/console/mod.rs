//! The console: lines in, replies and events out, for people and for programs.
//!
//! Promises: what is read has a bound; replies are never lost; nothing that a peer sent reaches a terminal with its
//! control characters. Elsewhere: what commands do (`engine`), who connects the two (`node`).
//! Spec: `proto-notes/events.md`.

pub mod complete;
pub mod draw;
pub mod graph;
pub mod help;
pub mod human;
pub mod input;
pub mod json;
pub mod look;
pub mod narrate;
pub mod output;
pub mod parse;
pub mod prompt;
pub mod render;
pub mod watch;

pub use parse::Line;

use crate::contract::CommandError;
use input::{Content, RawLine};

/// A line that wants one reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputLine {
    /// Which line of the input, from 1.
    pub number: u64,
    /// The reply's `command`.
    pub word: Option<String>,
    /// What to do, or why not.
    pub line: Result<Line, CommandError>,
    /// What was typed; none if that could not be kept.
    pub text: Option<String>,
}

impl InputLine {
    /// Parses a line; none if it wants no reply.
    #[must_use]
    pub fn read(raw: RawLine) -> Option<Self> {
        let number = raw.number;
        let refused = |word, error| {
            Some(Self {
                number,
                word,
                line: Err(error),
                text: None,
            })
        };
        match raw.content {
            Content::Silent => None,
            Content::TooLong(word) => refused(word, parse::line_too_long()),
            Content::NotUtf8(word) => refused(word, parse::not_utf8()),
            Content::Utf16 => refused(None, parse::utf16()),
            // What an editor or a paste puts in the place of bytes that are no text.
            Content::Text(text) if text.contains(char::REPLACEMENT_CHARACTER) => {
                refused(parse::canonical_word(&text), parse::not_utf8())
            }
            Content::Text(text) => {
                let word = parse::canonical_word(&text);
                let line = parse::parse_line(&text).transpose()?;
                let text = Some(text);
                Some(Self {
                    number,
                    word,
                    line,
                    text,
                })
            }
        }
    }
}
