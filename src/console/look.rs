//! How things look: colours or none, wide characters or plain ones, and how many columns there are.
//!
//! Promises: without colour no escape sequence is written; folded lines keep their words.
//! Elsewhere: what a terminal can do is found out by `node::screen`.

/// Columns of a terminal that does not tell.
pub const COLUMNS_DEFAULT: usize = 80;
/// Lines that are indented by as much stand in a column, below a heading or a word.
const COLUMN_MIN: usize = 8;
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

    /// Breaks lines that are too wide at spaces. What goes on stands below the last column of the line, or a little
    /// to the right of its beginning.
    #[must_use]
    pub fn wrap(self, text: &str) -> String {
        let width = self.columns.max(COLUMNS_MIN).saturating_sub(1);
        let lines = text.lines().map(|line| wrap_line(line, width));
        lines.collect::<Vec<_>>().join("\n")
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

/// Where a line goes on: below what follows its last gap of two spaces or more; where it begins if it is such a column
/// already.
fn hanging(line: &[char], width: usize) -> usize {
    let start = line.iter().take_while(|c| **c == ' ').count();
    if start >= COLUMN_MIN && start <= width / 2 {
        return start;
    }
    let mut gaps = (start..line.len().saturating_sub(2)).filter(|at| line[*at..*at + 2] == [' ', ' ']);
    let column = gaps.next_back().map_or(start + 2, |at| at + 2);
    if column > width / 2 {
        (start + 2).min(width / 2)
    } else {
        column
    }
}

fn wrap_line(line: &str, width: usize) -> String {
    let mut rest: Vec<char> = line.chars().collect();
    let mut lines: Vec<String> = Vec::new();
    let hang = hanging(&rest, width);
    while rest.len() > width {
        // A word that fills the line stands alone.
        let from = if lines.is_empty() { hang } else { hang + 1 };
        let before = (from..=width).rev().find(|at| rest[*at] == ' ');
        let Some(at) = before.or_else(|| (width..rest.len()).find(|at| rest[*at] == ' ')) else {
            break;
        };
        let tail: Vec<char> = rest.split_off(at).into_iter().skip_while(|c| *c == ' ').collect();
        lines.push(rest.iter().collect::<String>().trim_end().to_owned());
        rest = core::iter::repeat_n(' ', hang).chain(tail).collect();
    }
    lines.push(rest.iter().collect());
    lines.join("\n")
}

/// A line without its colours: for readers that have none.
#[must_use]
pub fn without_colour(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        plain + part.split_once('m').map_or(part, |(_, rest)| rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_loses_its_colours_and_nothing_else() {
        let look = Look {
            colour: true,
            ..Look::default()
        };
        let line = format!("{} some {}", look.grey("a minute"), look.grey("m"));
        assert_eq!(without_colour(&line), "a minute some m");
        assert_eq!(without_colour("mmm"), "mmm");
    }

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
    fn long_lines_go_on_below_their_last_column() {
        let look = Look {
            columns: 40,
            ..Look::default()
        };
        let text =
            "short\n  tree [N]    draw all branches, the active one first\ntx     ben: alice pays bob 5 coins; waits";
        let wanted = "short\n  tree [N]    draw all branches, the\n              active one first\ntx     ben: alice pays bob 5 coins;\n       waits";
        assert_eq!(look.wrap(text), wanted);
        let word = format!("  dial {} and more", "x".repeat(60));
        let wrapped = look.wrap(&word);
        assert_eq!(
            wrapped.split_whitespace().collect::<Vec<_>>(),
            word.split_whitespace().collect::<Vec<_>>()
        );
        assert_eq!(look.wrap(&"y".repeat(90)), "y".repeat(90));
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
