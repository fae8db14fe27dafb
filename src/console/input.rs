//! Reads lines from any input, with bounded memory.
//!
//! Promises: at most 4,096 bytes of a line are kept. The lines do not depend on how the bytes are cut into chunks.
//! Lines end with LF or CRLF; a last line without LF counts. Elsewhere: the meaning of a line (`console::parse`).
//! Spec: `proto-notes/events.md`, "Reading".

use std::io::{self, Read};
use std::time::Duration;

use super::InputLine;
use super::parse;
use crate::types::text::{is_utf16, without_mark};

/// The most bytes of a line before its LF. The longest sensible command has about 200; the rest is for comments.
pub const LINE_MAX_BYTES: usize = 4_096;

/// How long to wait for more from an input that another program made non-blocking.
const EMPTY_PAUSE: Duration = Duration::from_millis(20);

/// The content of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The text without its line end.
    Text(String),
    /// A blank line or a comment: it is counted, but gets no reply.
    Silent,
    /// The line has more than 4,096 bytes; the first word, if it could be read.
    TooLong(Option<String>),
    /// The line is not UTF-8; the first word, if it could be read.
    NotUtf8(Option<String>),
    /// The input is UTF-16 text, and this is one of its lines.
    Utf16,
}

/// A line with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawLine {
    /// The number of the line in the input, from 1.
    pub number: u64,
    /// The content of the line.
    pub content: Content,
}

/// Splits an input into lines.
pub struct LineReader<R> {
    input: R,
    chunk: Vec<u8>,
    at: usize,
    number: u64,
    line: Vec<u8>,
    /// Whether the line has more bytes than are kept.
    too_long: bool,
    /// The number of bytes in the line that are not blanks.
    ink: usize,
    /// The number of the line with which the text begins.
    first: u64,
    /// Whether the first line showed that the whole text is UTF-16.
    is_utf16: bool,
}

impl<R: Read> LineReader<R> {
    /// A reader that stands before line 1.
    pub fn new(input: R) -> Self {
        Self {
            input,
            chunk: Vec::new(),
            at: 0,
            number: 0,
            line: Vec::new(),
            too_long: false,
            ink: 0,
            first: 1,
            is_utf16: false,
        }
    }

    /// Reads the next line; none at the end of the input.
    ///
    /// # Errors
    /// The error of the input. After an interruption or "nothing there yet" the reader tries again instead.
    pub fn next_line(&mut self) -> io::Result<Option<RawLine>> {
        let mut started = false;
        loop {
            if self.at == self.chunk.len() && !self.fill()? {
                return Ok(started.then(|| self.finish()));
            }
            started = true;
            let rest = &self.chunk[self.at..];
            match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.take(end);
                    self.at += 1;
                    return Ok(Some(self.finish()));
                }
                None => self.take(rest.len()),
            }
        }
    }

    /// Marks the next line as the beginning of a new text, where a byte order mark is allowed.
    pub(crate) const fn begin_text(&mut self) {
        self.first = self.number + 1;
    }

    /// Reads the next chunk; false at the end of the input.
    fn fill(&mut self) -> io::Result<bool> {
        self.chunk.resize(LINE_MAX_BYTES, 0);
        self.at = 0;
        loop {
            match self.input.read(&mut self.chunk) {
                Ok(size) => {
                    self.chunk.truncate(size);
                    return Ok(size > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(EMPTY_PAUSE),
                Err(error) => {
                    self.chunk.clear();
                    return Err(error);
                }
            }
        }
    }

    /// Moves bytes from the chunk to the line, as many as fit.
    fn take(&mut self, size: usize) {
        let bytes = &self.chunk[self.at..self.at + size];
        let ink = bytes.iter().filter(|byte| !byte.is_ascii_whitespace()).count();
        self.ink = self.ink.saturating_add(ink);
        let room = LINE_MAX_BYTES - self.line.len();
        self.too_long |= size > room;
        self.line.extend_from_slice(&bytes[..size.min(room)]);
        self.at += size;
    }

    fn finish(&mut self) -> RawLine {
        self.number += 1;
        if self.number == self.first {
            self.is_utf16 = is_utf16(&self.line);
            let mark = self.line.len() - without_mark(&self.line).len();
            self.line.drain(..mark);
            self.ink -= mark;
        }
        let content = if self.is_utf16 {
            self.content_of_utf16()
        } else {
            self.content()
        };
        self.line.clear();
        self.too_long = false;
        self.ink = 0;
        RawLine {
            number: self.number,
            content,
        }
    }

    /// A line end in UTF-16 leaves a zero byte at the beginning of the next line.
    fn content_of_utf16(&self) -> Content {
        let is_blank = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
        if self.line.iter().all(is_blank) {
            Content::Silent
        } else {
            Content::Utf16
        }
    }

    fn content(&self) -> Content {
        let first = self.line.iter().find(|byte| !byte.is_ascii_whitespace());
        if self.ink == 0 || first == Some(&b'#') {
            return Content::Silent;
        }
        if self.too_long {
            return Content::TooLong(first_word(&self.line));
        }
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        match core::str::from_utf8(line) {
            Ok(text) if parse::is_silent(text) => Content::Silent,
            Ok(text) => Content::Text(text.to_owned()),
            Err(_) => Content::NotUtf8(first_word(line)),
        }
    }
}

/// The canonical first word of a line, of which only the beginning need be text.
fn first_word(bytes: &[u8]) -> Option<String> {
    let word = bytes.split(u8::is_ascii_whitespace).find(|word| !word.is_empty())?;
    parse::canonical_word(core::str::from_utf8(word).ok()?)
}

/// Splits the text of `--exec` at each `;`. Blank pieces and comments are not commands and are not counted.
#[must_use]
pub fn split_exec(text: &str) -> Vec<InputLine> {
    let pieces = text.split(';').filter(|piece| !parse::is_silent(piece));
    (1..)
        .zip(pieces)
        .filter_map(|(number, piece)| {
            let content = if piece.len() > LINE_MAX_BYTES {
                Content::TooLong(parse::canonical_word(piece))
            } else {
                Content::Text(piece.to_owned())
            };
            InputLine::read(RawLine { number, content })
        })
        .collect()
}

/// Passes each command of an input to `deliver`, until that returns false. `None` means the end of the input.
///
/// This blocks, so it needs a thread of its own. An error of the input ends it.
pub fn read_all(input: impl Read, mut deliver: impl FnMut(Option<InputLine>) -> bool) {
    let mut reader = LineReader::new(input);
    while let Ok(Some(raw)) = reader.next_line() {
        if let Some(line) = InputLine::read(raw)
            && !deliver(Some(line))
        {
            return;
        }
    }
    deliver(None);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A reader that gives its bytes in pieces of the given sizes.
    struct Pieces<'a> {
        bytes: &'a [u8],
        sizes: Vec<usize>,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let wanted = self.sizes.pop().unwrap_or(usize::MAX).max(1);
            let size = wanted.min(out.len()).min(self.bytes.len());
            out[..size].copy_from_slice(&self.bytes[..size]);
            self.bytes = &self.bytes[size..];
            Ok(size)
        }
    }

    fn lines(bytes: &[u8], sizes: Vec<usize>) -> Vec<Content> {
        let mut reader = LineReader::new(Pieces { bytes, sizes });
        let mut all = Vec::new();
        while let Some(line) = reader.next_line().expect("memory does not fail") {
            assert!(reader.line.capacity() <= 2 * LINE_MAX_BYTES);
            assert!(reader.chunk.capacity() <= 2 * LINE_MAX_BYTES);
            all.push(line.content);
            assert_eq!(u64::try_from(all.len()).expect("small"), line.number);
        }
        all
    }

    fn text(text: &str) -> Content {
        Content::Text(text.to_owned())
    }

    #[test]
    fn lf_crlf_and_a_last_line_without_either_count() {
        let found = lines(b"mine\r\nchain\n\n# no\n  #x\nstatus", vec![]);
        let silent = Content::Silent;
        assert_eq!(
            found,
            [
                text("mine"),
                text("chain"),
                silent.clone(),
                silent.clone(),
                silent,
                text("status")
            ]
        );
        assert_eq!(lines(b"", vec![]), []);
        assert_eq!(lines(b"\n", vec![]), [Content::Silent]);
    }

    #[test]
    fn a_line_may_have_4096_bytes_and_no_more() {
        let longest = "a".repeat(LINE_MAX_BYTES);
        assert_eq!(
            lines(format!("{longest}\nmine").as_bytes(), vec![]),
            [text(&longest), text("mine")]
        );
        let found = lines(format!("tx {longest}\nmine").as_bytes(), vec![]);
        assert_eq!(found, [Content::TooLong(Some("tx".into())), text("mine")]);
        let found = lines(format!("{longest}a").as_bytes(), vec![]);
        assert_eq!(found, [Content::TooLong(Some("a".repeat(32)))]);
    }

    #[test]
    fn long_comments_and_long_blanks_have_no_answer() {
        let long = format!("#{}\n{}\nmine", "x".repeat(9_000), " ".repeat(9_000));
        assert_eq!(
            lines(long.as_bytes(), vec![]),
            [Content::Silent, Content::Silent, text("mine")]
        );
        let late = format!("{}mine", " ".repeat(9_000));
        assert_eq!(lines(late.as_bytes(), vec![]), [Content::TooLong(None)]);
    }

    #[test]
    fn what_is_no_text_is_an_error_and_no_end() {
        let found = lines(b"mine \xff\n\xff\xfe\n# \xff\nchain", vec![]);
        assert_eq!(
            found,
            [
                Content::NotUtf8(Some("mine".into())),
                Content::NotUtf8(None),
                Content::Silent,
                text("chain")
            ]
        );
    }

    #[test]
    fn a_byte_order_mark_belongs_to_no_command() {
        let found = lines(b"\xef\xbb\xbfmine\nchain", vec![1, 1, 1, 1]);
        assert_eq!(found, [text("mine"), text("chain")]);
        assert_eq!(lines(b"\xef\xbb\xbf# no\n\xef\xbb\xbf", vec![])[0], Content::Silent);
        assert_eq!(lines(b"\xef\xbb\xbf", vec![]), [Content::Silent]);
        assert_eq!(lines(b"\xef\xbb\xbf \r\nmine", vec![]), [Content::Silent, text("mine")]);
        let mut reader = LineReader::new(&b"hello\n\xef\xbb\xbfmine\n"[..]);
        assert!(reader.next_line().is_ok());
        reader.begin_text();
        let line = reader.next_line().expect("no error").expect("a line");
        assert_eq!((line.number, line.content), (2, text("mine")));
    }

    #[test]
    fn utf_16_is_named_line_by_line_whichever_way_round() {
        let little: fn(u16) -> [u8; 2] = u16::to_le_bytes;
        let big: fn(u16) -> [u8; 2] = u16::to_be_bytes;
        for (mark, to_bytes) in [("\u{feff}", little), ("\u{feff}", big), ("", little), ("", big)] {
            let bytes: Vec<u8> = format!("{mark}mine\r\n\r\nchain\r\n")
                .encode_utf16()
                .flat_map(to_bytes)
                .collect();
            let expected = [Content::Utf16, Content::Silent, Content::Utf16];
            assert_eq!(lines(&bytes, vec![])[..3], expected, "{bytes:?}");
        }
    }

    #[test]
    fn an_input_that_does_not_block_has_not_ended() {
        struct Slow(Vec<io::Result<&'static [u8]>>);
        impl Read for Slow {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let bytes = self.0.pop().unwrap_or(Ok(b""))?;
                out[..bytes.len()].copy_from_slice(bytes);
                Ok(bytes.len())
            }
        }
        let later = || Err(io::ErrorKind::WouldBlock.into());
        let again = || Err(io::ErrorKind::Interrupted.into());
        let mut reader = LineReader::new(Slow(vec![Ok(b"ne\n"), again(), Ok(b"mi"), later()]));
        let line = reader.next_line().expect("no error").expect("a line");
        assert_eq!(line.content, text("mine"));
        assert_eq!(reader.next_line().expect("no error"), None);
    }

    #[test]
    fn exec_counts_its_commands_from_one() {
        let found = split_exec("mine; ;chain 2;; # no ; nonsense;");
        let numbers: Vec<_> = found.iter().map(|line| (line.number, line.word.clone())).collect();
        let expected = [(1, "mine"), (2, "chain"), (3, "nonsense")].map(|(n, word)| (n, Some(word.to_owned())));
        assert_eq!(numbers, expected);
        assert!(found[1].line.is_ok() && found[2].line.is_err());
    }

    #[test]
    fn the_end_of_input_is_told_once() {
        let mut ends = 0;
        let mut commands = 0;
        read_all(&b"mine\n\nbad word\nquit"[..], |line| {
            match line {
                Some(_) => commands += 1,
                None => ends += 1,
            }
            true
        });
        assert_eq!((commands, ends), (3, 1));
    }

    proptest! {
        /// For all bytes and all ways to cut them, the lines are the same, one for each LF.
        #[test]
        fn chunking_changes_nothing(
            words in prop::collection::vec(prop_oneof![
                Just(b"\n".to_vec()), Just(b"\r\n".to_vec()), Just(b"mine ".to_vec()), Just(b"#".to_vec()),
                Just(vec![b'a'; 4_090]), Just(vec![b' '; 4_096]), Just(vec![0xff]), prop::collection::vec(any::<u8>(), 0..20),
            ], 0..30),
            sizes in prop::collection::vec(1_usize..6_000, 0..60),
        ) {
            let bytes = words.concat();
            let whole = lines(&bytes, vec![]);
            prop_assert_eq!(&lines(&bytes, sizes), &whole);
            let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
            let open = usize::from(bytes.last().is_some_and(|byte| *byte != b'\n'));
            prop_assert_eq!(whole.len(), ends + open);
            for content in whole {
                if let Content::Text(text) = content {
                    prop_assert!(text.len() <= LINE_MAX_BYTES && !parse::is_silent(&text));
                }
            }
        }

        /// No line makes the parser panic, and the hint of each error is a valid line.
        #[test]
        fn every_hint_can_be_typed(line in "(tx|claim|mine|chain|block|wait|dial|net|help|balance|[a-z]{1,6})( [ -~]{0,8}){0,5}") {
            if let Err(error) = parse::parse_line(&line) {
                prop_assert!(matches!(parse::parse_line(&error.hint), Ok(Some(_))), "{:?}", error);
                prop_assert!(!error.message.is_empty());
            }
        }
    }
}
