//! How things look: colours or none, wide characters or plain ones, and how many columns there are.
//!
//! Promises: without colour no escape sequence is written; folded lines keep their words.
//! Elsewhere: what a terminal can do is found out by `node::screen`.

/// Columns of a terminal that does not tell.
pub const COLUMNS_DEFAULT: usize = 80;
/// Narrower than this nothing is folded any more: no terminal is.
pub const COLUMNS_MIN: usize = 20;

/// What the reader's side can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Escape sequences for colours.
    pub colour: bool,
    /// Characters beyond ASCII in drawings.
    pub unicode: bool,
    /// How wide the lines may be.
    pub columns: usize,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            colour: false,
            unicode: true,
            columns: COLUMNS_DEFAULT,
        }
    }
}

impl Look {
    fn painted(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Of little weight: stale blocks, hints.
    #[must_use]
    pub fn grey(self, text: &str) -> String {
        self.painted("90", text)
    }

    /// Good: accepted, active.
    #[must_use]
    pub fn green(self, text: &str) -> String {
        self.painted("32", text)
    }

    /// Refused.
    #[must_use]
    pub fn red(self, text: &str) -> String {
        self.painted("31", text)
    }

    /// A heading.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.painted("1", text)
    }

    /// Folds plain text at spaces; every line begins with `indent`. A word that is wider than a line stands alone.
    #[must_use]
    pub fn fold(self, indent: &str, text: &str) -> String {
        let width = self.columns.max(COLUMNS_MIN).saturating_sub(1);
        let mut lines: Vec<String> = Vec::new();
        let mut line = indent.to_owned();
        let mut is_empty = true;
        for word in text.split_whitespace() {
            let needed = line.chars().count() + usize::from(!is_empty) + word.chars().count();
            if !is_empty && needed > width {
                lines.push(core::mem::replace(&mut line, indent.to_owned()));
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line.push_str(word);
            is_empty = false;
        }
        lines.push(line);
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_at_the_width_and_none_is_lost() {
        let look = Look {
            columns: 24,
            ..Look::default()
        };
        let text = "a block of the network that is longer than one line";
        let folded = look.fold("  ", text);
        assert!(
            folded
                .lines()
                .all(|line| line.chars().count() < 24 && line.starts_with("  ")),
            "{folded}"
        );
        assert!(folded.lines().count() > 2);
        assert_eq!(
            folded.split_whitespace().collect::<Vec<_>>(),
            text.split_whitespace().collect::<Vec<_>>()
        );
        let long = "x".repeat(60);
        assert_eq!(look.fold("  ", &long), format!("  {long}"));
    }

    #[test]
    fn without_colour_there_is_no_escape_sequence() {
        assert_eq!(Look::default().grey("x"), "x");
        let look = Look {
            colour: true,
            ..Look::default()
        };
        assert_eq!(look.grey("x"), "\x1b[90mx\x1b[0m");
    }
}
