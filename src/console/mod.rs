//! The console: it reads lines, and writes replies and events, for people and for programs.
//!
//! Promises: input is bounded; replies are never lost; control characters from a peer never reach a terminal.
//! Elsewhere: what commands do (`engine`), the connection of the two (`node`).
//! Spec: `proto-notes/events.md`.

pub mod complete;
pub mod draw;
pub mod graph;
pub mod help;
mod history;
pub mod human;
pub mod input;
pub mod json;
pub mod look;
pub mod narrate;
pub mod output;
mod page;
pub mod parse;
mod persons;
pub mod prompt;
pub mod render;
pub mod watch;
pub mod zone;

pub use parse::Line;

use crate::contract::CommandError;
use input::{Content, RawLine};

/// A line of input that gets exactly one reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputLine {
    /// The number of the line in its input, from 1.
    pub number: u64,
    /// The canonical word of the command, as the reply repeats it; none if the line has no readable word.
    pub word: Option<String>,
    /// The parsed command, or why the line is not one.
    pub line: Result<Line, CommandError>,
    /// The text as it was typed; none if it could not be kept.
    pub text: Option<String>,
}

impl InputLine {
    /// Parses a line; none if it gets no reply.
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
            // An editor or a paste put this character in the place of bytes that are not text.
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
