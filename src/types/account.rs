//! Accounts: names, and keys written as PeerIds.

use core::fmt;

use serde::{Serialize, Serializer};
use thiserror::Error;

use super::key::PublicKey;
use super::layout::{LayoutError, Reader};

/// The longest account name, in bytes.
pub const NAME_MAX_BYTES: usize = 32;

/// What a name may look like, with an example that can be typed.
pub const NAME_RULE: &str = "a name has 1 to 32 of a-z, 0-9, _ and -, and starts with a letter, as zhang-san does";

/// Words that cannot be account names, because the prompt or the reward's origin uses them.
pub const RESERVED: [&str; 2] = ["me", "coinbase"];

/// A name: `[a-z][a-z0-9_-]{0,31}`, not reserved. Its owner is the first key that signs for it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(Box<str>);

/// Why a text is not an account name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// The text is empty.
    #[error("the name is empty")]
    Empty,
    /// The text has more than 32 characters, each of them allowed; the field says how many.
    #[error("it has {0} characters; {rule}", rule = NAME_RULE)]
    TooLong(usize),
    /// A byte outside the alphabet, or a first byte that is no letter.
    #[error("{rule}", rule = NAME_RULE)]
    Alphabet,
    /// The text is one of [`RESERVED`].
    #[error("\"{0}\" is reserved")]
    Reserved(String),
}

impl AccountName {
    /// Checks the form; upper case is refused here (the prompt folds it before).
    ///
    /// # Errors
    /// [`NameError`] with the reason.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let first = *bytes.first().ok_or(NameError::Empty)?;
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
        if text == "0" || RESERVED.contains(&text) {
            return Err(NameError::Reserved(text.to_owned()));
        }
        if !first.is_ascii_lowercase() || !bytes.iter().all(inner) {
            return Err(NameError::Alphabet);
        }
        // After the alphabet: each byte is a character then, and the length of another text says nothing.
        if bytes.len() > NAME_MAX_BYTES {
            return Err(NameError::TooLong(bytes.len()));
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Appends the length (one byte) and then the bytes of the name.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::try_from(self.0.len()).expect("a name has at most 32 bytes"));
        out.extend_from_slice(self.0.as_bytes());
    }

    /// Reads the length (one byte) and then the bytes of the name.
    ///
    /// # Errors
    /// [`LayoutError`] if the bytes end early or are no name.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, LayoutError> {
        let size = usize::from(reader.u8()?);
        if size > NAME_MAX_BYTES {
            return Err(LayoutError::TooLong {
                size,
                limit: NAME_MAX_BYTES,
            });
        }
        let bad = |error: NameError| LayoutError::BadField(error.to_string());
        let text = core::str::from_utf8(reader.bytes(size)?).map_err(|_| bad(NameError::Alphabet))?;
        Self::new(text).map_err(bad)
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for AccountName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The owner of coins: a sender or a recipient.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// A registered name; the chain says which key owns it.
    Name(AccountName),
    /// A public key, which needs no registration: whoever holds the secret key is the owner.
    Key(PublicKey),
}

impl Account {
    /// The tag of a name in a layout.
    pub(crate) const TAG_NAME: u8 = 1;
    /// The tag of a key in a layout.
    pub(crate) const TAG_KEY: u8 = 2;

    /// Appends the tag (one byte), then the name or the key.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Name(name) => {
                out.push(Self::TAG_NAME);
                name.write(out);
            }
            Self::Key(key) => {
                out.push(Self::TAG_KEY);
                out.extend_from_slice(key.as_bytes());
            }
        }
    }

    /// Reads what [`Account::write`] wrote.
    ///
    /// # Errors
    /// [`LayoutError`] for an unknown tag, a bad name or a key that is refused.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, LayoutError> {
        match reader.u8()? {
            Self::TAG_NAME => AccountName::read(reader).map(Self::Name),
            Self::TAG_KEY => PublicKey::read(reader).map(Self::Key),
            tag => Err(LayoutError::UnknownTag(tag)),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Key(key) => key.peer_id().fmt(f),
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_of_a_name_says_what_a_name_may_look_like() {
        let long = ("张".repeat(20), "x".repeat(33));
        for text in [
            "张三",
            "José",
            "Jose\u{301}",
            "Alice Smith",
            "1abc",
            "-x",
            "a.b",
            &long.0,
        ] {
            assert_eq!(AccountName::new(text), Err(NameError::Alphabet), "{text}");
        }
        assert_eq!(NameError::Alphabet.to_string(), NAME_RULE);
        let told = AccountName::new(&long.1).unwrap_err().to_string();
        assert_eq!(told, format!("it has 33 characters; {NAME_RULE}"));
        assert!(NAME_RULE.contains(&format!("1 to {NAME_MAX_BYTES} of")));
    }

    #[test]
    fn the_example_in_the_refusal_of_a_name_is_a_name() {
        let mut words = NAME_RULE.split_whitespace().rev();
        assert_eq!(words.next(), Some("does"));
        let example = words.next().expect("a word before the last");
        assert!(AccountName::new(example).is_ok(), "{example}");
    }
}
