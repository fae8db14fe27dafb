//! The appearance of texts: with or without colour, Unicode or ASCII drawings, and the width.
//!
//! Promises: without colour no escape sequence is written; folded lines keep all their words; widths are columns, of which a
//! character such as 张 takes two.
//! Elsewhere: what a terminal can show (`node::screen` finds that out).

use unicode_width::UnicodeWidthChar;

use super::zone::Zone;

/// The columns of a terminal whose width is unknown.
pub const COLUMNS_DEFAULT: usize = 80;
/// The indentation from which a line counts as part of a column, below a heading or a word.
const COLUMN_MIN: usize = 8;
/// Below this width no text is folded any more; no real terminal is so narrow.
pub const COLUMNS_MIN: usize = 20;

/// The abilities of the reader's terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether colours may be written as escape sequences.
    pub colour: bool,
    /// Whether drawings may use characters beyond ASCII.
    pub unicode: bool,
    /// The width of a line, in columns.
    pub columns: usize,
    /// Whose clock times are told by.
    pub zone: Zone,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            colour: false,
            unicode: true,
            columns: COLUMNS_DEFAULT,
            zone: Zone::Utc,
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

    /// Paints something unimportant: stale blocks, hints.
    #[must_use]
    pub fn grey(self, text: &str) -> String {
        self.painted("90", text)
    }

    /// Paints something good: accepted, active.
    #[must_use]
    pub fn green(self, text: &str) -> String {
        self.painted("32", text)
    }

    /// Paints something that was refused.
    #[must_use]
    pub fn red(self, text: &str) -> String {
        self.painted("31", text)
    }

    fn lines(self, code: &str, text: &str) -> String {
        let lines = text.lines().map(|line| self.painted(code, line));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Paints what happened elsewhere: events that are no answers.
    #[must_use]
    pub fn event(self, text: &str) -> String {
        self.lines("36", text)
    }

    /// Paints what needs the user's attention.
    #[must_use]
    pub fn warning(self, text: &str) -> String {
        self.lines("33", text)
    }

    /// Paints an error: its first word, and the hint.
    #[must_use]
    pub fn error(self, text: &str) -> String {
        let paint = |line: &str| match line.strip_prefix("error:") {
            Some(rest) => format!("{}{rest}", self.painted("1;31", "error:")),
            None if line.starts_with("hint:") => self.painted("36", line),
            None => line.to_owned(),
        };
        text.lines().map(paint).collect::<Vec<_>>().join("\n")
    }

    /// Paints a heading in bold.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.painted("1", text)
    }

    /// Breaks lines that are too wide at spaces. The rest of a line is below its last column, or indented a little more
    /// than its beginning.
    #[must_use]
    pub fn wrap(self, text: &str) -> String {
        let width = self.columns.max(COLUMNS_MIN).saturating_sub(1);
        let lines = text.lines().map(|line| wrap_line(line, width));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Puts the time of day before a text, and breaks it as [`Look::wrap`] does; further lines stand below its beginning.
    #[must_use]
    pub fn behind(self, clock: &str, text: &str) -> String {
        let columns = self.columns.saturating_sub(width_of(clock) + 1);
        let body = Self { columns, ..self }.wrap(text);
        let indent = " ".repeat(width_of(clock));
        let lines = body.lines().enumerate();
        lines
            .map(|(at, line)| format!("{} {line}", if at == 0 { clock } else { &indent }))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Folds plain text at spaces; each line begins with `indent`. A word that is wider than a line gets its own.
    #[must_use]
    pub fn fold(self, indent: &str, text: &str) -> String {
        let width = self.columns.max(COLUMNS_MIN).saturating_sub(1);
        let mut lines: Vec<String> = Vec::new();
        let mut line = indent.to_owned();
        let mut is_empty = true;
        for word in text.split_whitespace() {
            let needed = width_of(&line) + usize::from(!is_empty) + width_of(word);
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

/// The columns that a text takes.
#[must_use]
pub fn width_of(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// The text with spaces behind it, so that what follows begins in the same column on every line.
#[must_use]
pub fn padded(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width_of(text));
    format!("{text}{}", " ".repeat(missing))
}

/// How many characters of a line fit into so many columns.
fn fitting(line: &[char], columns: usize) -> usize {
    let ends = line.iter().scan(0, |end, c| {
        *end += columns_of(*c);
        Some(*end)
    });
    ends.take_while(|end| *end <= columns).count()
}

/// The column at which the rest of a line begins: below the text after its last gap of two or more spaces, or at its
/// beginning if the line is such a column already.
fn hanging(line: &[char], width: usize) -> usize {
    let start = line.iter().take_while(|c| **c == ' ').count();
    if start >= COLUMN_MIN && start <= width / 2 {
        return start;
    }
    let mut gaps = (start..line.len().saturating_sub(2)).filter(|at| line[*at..*at + 2] == [' ', ' ']);
    let columns_to = |at: usize| line[..at].iter().copied().map(columns_of).sum::<usize>();
    let column = gaps.next_back().map_or(start + 2, |at| columns_to(at + 2));
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
    loop {
        let end = fitting(&rest, width);
        if end == rest.len() {
            break;
        }
        // A word that fills the line gets a line of its own.
        let from = fitting(&rest, hang) + usize::from(!lines.is_empty());
        let before = (from..=end).rev().find(|at| rest[*at] == ' ');
        let Some(at) = before.or_else(|| (end..rest.len()).find(|at| rest[*at] == ' ')) else {
            break;
        };
        let tail: Vec<char> = rest.split_off(at).into_iter().skip_while(|c| *c == ' ').collect();
        lines.push(rest.iter().collect::<String>().trim_end().to_owned());
        rest = core::iter::repeat_n(' ', hang).chain(tail).collect();
    }
    lines.push(rest.iter().collect());
    lines.join("\n")
}

/// A line without its colours, for readers that show none.
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
    fn wide_characters_take_two_columns_where_lines_are_folded_and_padded() {
        let look = Look {
            columns: 40,
            ..Look::default()
        };
        let folder = "  folder /home/张三/区块链/dev-9f2bcf84 张三";
        assert_eq!((folder.chars().count(), width_of(folder)), (37, 44));
        let fitted = "  folder /home/张三/区块链/dev-9f2bcf84";
        assert_eq!(width_of(fitted), 39, "the last column but one");
        assert_eq!(look.wrap(folder), format!("{fitted}\n    张三"));
        assert_eq!(look.fold("  ", folder), format!("{fitted}\n  张三"));
        let text = ["网卡 已断开"; 12].join(" ");
        for told in [look.wrap(&text), look.fold("  ", &text)] {
            assert!(told.lines().all(|line| width_of(line) < 40), "{told}");
            assert!(
                told.lines().all(|line| width_of(line) > 26 || told.ends_with(line)),
                "{told}"
            );
            assert!(told.split_whitespace().eq(text.split_whitespace()), "{told}");
        }
        // The rest of a line is below its last column, however wide the characters before it are.
        let columns = look.wrap("  以太网      10.77.0.1 192.168.1.7 fe80::1");
        assert_eq!(columns, "  以太网      10.77.0.1 192.168.1.7\n              fe80::1");
        assert_eq!(padded("以太网", 12), "以太网      ");
        assert_eq!((padded("eth0", 12).len(), padded("eth0", 2).as_str()), (12, "eth0"));
        let unbroken = "字".repeat(60);
        assert_eq!(
            (look.wrap(&unbroken), look.fold("", &unbroken)),
            (unbroken.clone(), unbroken)
        );
    }

    #[test]
    fn the_greeting_of_a_node_whose_folder_has_a_wide_name_fits_a_narrow_terminal() {
        let status = crate::contract::NodeStatus {
            data_dir: "/home/张三/区块链".into(),
            ..crate::testing::samples::status()
        };
        let look = Look {
            columns: 40,
            ..Look::default()
        };
        let told = look.wrap(&super::super::narrate::greeting(&status, 40));
        assert!(told.contains("  folder /home/张三/区块链\n"), "{told}");
        let is_one_word = |line: &str| line.split_whitespace().count() == 1;
        assert!(
            told.lines().all(|line| width_of(line) < 40 || is_one_word(line)),
            "{told}"
        );
    }

    #[test]
    fn the_time_of_day_stands_in_a_column_of_its_own() {
        let look = Look {
            columns: 50,
            ..Look::default()
        };
        let told = look.behind(
            "09:05:07",
            "tx     alice pays bob 5 coins, signed by anna; waits for a block",
        );
        let lines: Vec<&str> = told.lines().collect();
        assert!(
            lines.len() > 1 && lines.iter().all(|line| width_of(line) < 50),
            "{told}"
        );
        assert!(lines[0].starts_with("09:05:07 tx     alice"), "{told}");
        assert!(lines[1].starts_with("                "), "below the beginning: {told}");
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
