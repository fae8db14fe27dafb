//! The first line of a client: how it reads.
//!
//! Promises: what a client says is read as it was meant; an unknown wish is an error, not a guess.
//! Elsewhere: the session that follows (`node::session`).
//! Spec: `proto-notes/control.md`, "A session".

use crate::console::look::Look;
use crate::console::zone::Zone;
use crate::contract::CommandError;

/// The word that says how a client reads, in its first line.
pub(super) const HELLO: &str = "session";
/// The word by which a client leaves.
pub(super) const DETACH: &str = "detach";
/// What a client says of its width.
const COLUMNS: &str = "columns=";

/// How a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The lines of `--json`.
    Json,
    /// A text for people in place of the data.
    Words,
}

/// What a client says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// JSON or words.
    pub form: Form,
    /// The node's events come, too.
    pub events: bool,
    /// Somebody types at a prompt and reads the words.
    pub prompt: bool,
    /// Ends the session at the first failure.
    pub strict: bool,
    /// Words are coloured.
    pub colour: bool,
    /// How wide drawings may be.
    pub columns: u16,
}

impl Hello {
    /// Without a word: JSON, no events.
    pub(super) const SILENT: Self = Self {
        form: Form::Json,
        events: false,
        prompt: false,
        strict: false,
        colour: false,
        columns: 80,
    };

    /// The first line; none if it is an ordinary one. An unknown wish is an error.
    pub(super) fn read(text: &str) -> Option<Result<Self, CommandError>> {
        let mut words = text.split_whitespace();
        if words.next() != Some(HELLO) {
            return None;
        }
        let mut hello = Self::SILENT;
        for word in words {
            match word {
                "words" => hello.form = Form::Words,
                "events" => hello.events = true,
                "prompt" => hello.prompt = true,
                "strict" => hello.strict = true,
                "colour" => hello.colour = true,
                _ => match word.strip_prefix(COLUMNS).and_then(|columns| columns.parse().ok()) {
                    Some(columns) => hello.columns = columns,
                    None => return Some(Err(unknown_wish(word))),
                },
            }
        }
        Some(Ok(hello))
    }

    /// The line that says it.
    pub(super) fn line(self) -> String {
        let words = [
            (self.form == Form::Words, " words"),
            (self.events, " events"),
            (self.prompt, " prompt"),
            (self.strict, " strict"),
            (self.colour, " colour"),
        ];
        let wanted = words.iter().filter(|(wanted, _)| *wanted).map(|(_, word)| *word);
        let columns = match self.columns {
            columns if columns == Self::SILENT.columns => String::new(),
            columns => format!(" {COLUMNS}{columns}"),
        };
        format!("{HELLO}{}{columns}", wanted.collect::<String>())
    }

    pub(super) fn look(self) -> Look {
        Look {
            colour: self.colour,
            columns: usize::from(self.columns),
            zone: Zone::Local,
            ..Look::default()
        }
    }
}

fn unknown_wish(word: &str) -> CommandError {
    let word: String = word.chars().take(32).collect();
    CommandError {
        code: "bad_argument",
        message: format!("this node knows no session with \"{word}\""),
        hint: "use the same version of lanchain as the node".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_read_as_it_is_written() {
        for (form, events, strict, columns) in [
            (Form::Json, false, false, 80),
            (Form::Words, true, false, 50),
            (Form::Json, true, true, 200),
        ] {
            let hello = Hello {
                form,
                events,
                prompt: strict,
                strict,
                colour: events,
                columns,
            };
            assert_eq!(Hello::read(&hello.line()), Some(Ok(hello)));
        }
        assert_eq!(Hello::read("status"), None);
        assert_eq!(
            Hello::read("session colours").map(|hello| hello.map_err(|error| error.code)),
            Some(Err("bad_argument"))
        );
        let narrow = Hello::read("session columns=x").map(|hello| hello.map_err(|error| error.code));
        assert_eq!(narrow, Some(Err("bad_argument")));
    }
}
