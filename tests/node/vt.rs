//! What a terminal shows: the rows that somebody in front of it would see, scrolled ones included.
//!
//! Promises: it understands what the line editor writes (cursor up, down, left, right, to a column; erase to the end of the
//! line or of the screen; a row that is full goes on below) and takes no notice of the rest, colours among it.

/// A terminal's rows.
#[derive(Debug)]
pub(crate) struct Rows {
    columns: usize,
    /// All that was written, without escape sequences.
    text: String,
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// The last column was written to: the next character goes on below.
    full: bool,
    escape: Escape,
    /// Bytes of a character that is not whole yet.
    partial: Vec<u8>,
    /// Times that [`MARK`] came.
    marks: usize,
}

/// Shows nothing: who writes it behind something else can see when that has come.
pub(crate) const MARK: &str = "\u{1b}[0n";

#[derive(Debug)]
enum Escape {
    None,
    Begun,
    Control(String),
}

impl Rows {
    /// An empty terminal of this width.
    pub(crate) fn new(columns: usize) -> Self {
        Self {
            columns,
            text: String::new(),
            rows: vec![Vec::new()],
            row: 0,
            column: 0,
            full: false,
            escape: Escape::None,
            partial: Vec::new(),
            marks: 0,
        }
    }

    /// Another width from now on. Rows stay as they are, as in xterm.
    pub(crate) fn resize(&mut self, columns: usize) {
        self.columns = columns;
        self.column = self.column.min(columns - 1);
        self.full = false;
    }

    /// All rows, without spaces at their ends.
    pub(crate) fn texts(&self) -> Vec<String> {
        let text = |row: &Vec<char>| row.iter().collect::<String>().trim_end().to_owned();
        self.rows.iter().map(text).collect()
    }

    /// How often the mark came.
    pub(crate) fn marks(&self) -> usize {
        self.marks
    }

    /// All that was written so far, without escape sequences.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Takes what was written to the terminal.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.partial.push(*byte);
            if let Ok(text) = std::str::from_utf8(&self.partial) {
                let c = text.chars().next().expect("a byte is there");
                self.partial.clear();
                self.take(c);
            } else if self.partial.len() > 3 {
                self.partial.clear();
            }
        }
    }

    fn take(&mut self, c: char) {
        if matches!(self.escape, Escape::None) && c != '\u{1b}' {
            self.text.push(c);
        }
        match (std::mem::replace(&mut self.escape, Escape::None), c) {
            (Escape::None, '\u{1b}') => self.escape = Escape::Begun,
            (Escape::None, '\r') => self.go_to(self.row, 0),
            (Escape::None, '\n') => self.go_to(self.row + 1, self.column),
            (Escape::None, '\u{8}') => self.go_to(self.row, self.column.saturating_sub(1)),
            (Escape::None, c) if c.is_control() => {}
            (Escape::None, c) => self.print(c),
            (Escape::Begun, '[') => self.escape = Escape::Control(String::new()),
            (Escape::Begun, _) => {}
            (Escape::Control(values), '@'..='~') => self.control(&values, c),
            (Escape::Control(values), c) => self.escape = Escape::Control(format!("{values}{c}")),
        }
    }

    fn control(&mut self, values: &str, end: char) {
        let first: usize = values
            .split(';')
            .next()
            .and_then(|value| value.parse().ok())
            .unwrap_or(0);
        let count = first.max(1);
        match end {
            'A' => self.go_to(self.row.saturating_sub(count), self.column),
            'B' => self.go_to(self.row + count, self.column),
            'C' => self.go_to(self.row, self.column + count),
            'D' => self.go_to(self.row, self.column.saturating_sub(count)),
            'G' => self.go_to(self.row, count - 1),
            'K' | 'J' => {
                let from = if first == 2 { 0 } else { self.column };
                self.rows[self.row].truncate(from);
                if end == 'J' {
                    self.rows.truncate(self.row + 1);
                }
            }
            'n' => self.marks += 1,
            _ => {}
        }
    }

    fn go_to(&mut self, row: usize, column: usize) {
        self.full = false;
        self.row = row;
        self.column = column.min(self.columns - 1);
        while self.rows.len() <= row {
            self.rows.push(Vec::new());
        }
    }

    fn print(&mut self, c: char) {
        if self.full {
            self.go_to(self.row + 1, 0);
        }
        let row = &mut self.rows[self.row];
        while row.len() <= self.column {
            row.push(' ');
        }
        row[self.column] = c;
        self.full = self.column + 1 == self.columns;
        self.column = (self.column + 1).min(self.columns - 1);
    }
}

#[test]
fn rows_are_what_somebody_would_see() {
    let mut rows = Rows::new(10);
    rows.feed("> typ\r\x1b[Kan event\r\n> typ\u{2026}".as_bytes());
    assert_eq!(rows.texts(), ["an event", "> typ\u{2026}"]);
    rows.feed(b"\r\x1b[2Cabcdefgh");
    assert_eq!(rows.texts()[1], "> abcdefgh");
    // A full row goes on below only with the next character.
    rows.feed(b"\r\n");
    rows.feed(b"0123456789ab\x1b[A\r\x1b[Jx\x1b[1;31my\x1b[0m");
    assert_eq!(rows.texts(), ["an event", "> abcdefgh", "xy"]);
    rows.feed(b"\x1b[?2004h\x1b[Gz\x1b[3D\x08");
    assert_eq!(rows.texts()[2], "zy");
    assert!(rows.text().ends_with("xyz\u{8}"), "{}", rows.text());
}
