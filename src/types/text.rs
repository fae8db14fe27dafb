//! Checks on text: byte order marks, UTF-16, and characters that deceive the reader.
//!
//! Promises: no allocation, and an answer for any bytes. Elsewhere: lines (`console::input`), escaping (`console`).
//! Spec: `proto-notes/events.md`, "Reading".

/// The byte order mark that some editors write before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The bytes after the byte order mark, or all of them if there is none.
#[must_use]
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// Whether the bytes begin like UTF-16 text: with its byte order mark, or with a letter beside a zero byte.
#[must_use]
pub fn is_utf16(bytes: &[u8]) -> bool {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [0, letter, ..] | [letter, 0, ..] => letter.is_ascii_graphic(),
        _ => false,
    }
}

/// Whether a character moves the cursor, is invisible, or changes the order of others: control characters, line and
/// paragraph separators, and the characters that Unicode calls default ignorable.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}')
        || matches!(c, '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_cut_off_once_and_utf_16_is_known_with_and_without_its_mark() {
        assert_eq!(without_mark(b"\xef\xbb\xbfmine"), b"mine");
        assert_eq!(without_mark(b"\xef\xbb\xbf\xef\xbb\xbf"), BYTE_ORDER_MARK);
        assert_eq!(without_mark(b"mine\xef\xbb\xbf"), b"mine\xef\xbb\xbf");
        for bytes in [&b"\xff\xfem\0"[..], b"\xfe\xff\0m", b"m\0i\0", b"\0m\0i"] {
            assert!(is_utf16(bytes), "{bytes:?}");
        }
        for bytes in [&b""[..], b"m", b"mine", b"\0\0", b"\xef\xbb\xbfm", b"\xff\xff"] {
            assert!(!is_utf16(bytes), "{bytes:?}");
        }
    }
}
