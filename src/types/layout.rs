//! Fixed byte layouts: what is hashed or signed is written and read here, big-endian, and nowhere else.

use strum::IntoStaticStr;
use thiserror::Error;

/// Why bytes do not follow a layout.
#[derive(Clone, Debug, PartialEq, Eq, Error, IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[strum(serialize_all = "snake_case")]
pub enum LayoutError {
    /// The bytes end before the last field.
    #[error("the bytes end too early")]
    Truncated,
    /// Bytes are left after the last field; the number says how many.
    #[error("{0} bytes too many")]
    TrailingBytes(usize),
    /// The tag byte stands for no variant of the layout.
    #[error("unknown tag {0}")]
    UnknownTag(u8),
    /// A field is longer than the layout allows.
    #[error("{size} bytes, at most {limit} are allowed")]
    TooLong {
        /// The length that was found, in bytes unless the field counts something else.
        size: usize,
        /// The largest length that the layout allows, in the same unit.
        limit: usize,
    },
    /// The type of a field refuses its value; the text says why.
    #[error("{0}")]
    BadField(String),
}

/// Reads a layout from front to back.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Whether the bytes come from the own store, which holds keys that were checked before they were written.
    trusts_keys: bool,
}

impl<'a> Reader<'a> {
    /// A reader that stands before the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            trusts_keys: false,
        }
    }

    /// A reader of bytes that this node wrote after it had checked them: keys are not decompressed again. `store` alone
    /// calls this, which `tests/tidy` holds; whatever comes from anywhere else is read with [`Reader::new`].
    #[must_use]
    pub(crate) const fn of_own_store(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            trusts_keys: true,
        }
    }

    /// Whether keys were checked before.
    pub(super) const fn trusts_keys(&self) -> bool {
        self.trusts_keys
    }

    /// The bytes not yet read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`LayoutError::Truncated`] if fewer are left.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], LayoutError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(LayoutError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`LayoutError::Truncated`] if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], LayoutError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(LayoutError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// [`LayoutError::Truncated`] if none is left.
    pub fn u8(&mut self) -> Result<u8, LayoutError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Reads four bytes as a big-endian number.
    ///
    /// # Errors
    /// [`LayoutError::Truncated`] if fewer are left.
    pub fn u32(&mut self) -> Result<u32, LayoutError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads eight bytes as a big-endian number.
    ///
    /// # Errors
    /// [`LayoutError::Truncated`] if fewer are left.
    pub fn u64(&mut self) -> Result<u64, LayoutError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Ends the reading and checks that nothing is left.
    ///
    /// # Errors
    /// [`LayoutError::TrailingBytes`] if any byte is left.
    pub const fn finish(self) -> Result<(), LayoutError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(LayoutError::TrailingBytes(count)),
        }
    }
}
