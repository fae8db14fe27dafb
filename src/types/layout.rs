//! Fixed byte layouts: what is hashed or signed is written and read here, big-endian, and nowhere else.

use strum::IntoStaticStr;
use thiserror::Error;

/// Why bytes do not follow a layout.
#[derive(Clone, Debug, PartialEq, Eq, Error, IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[strum(serialize_all = "snake_case")]
pub enum LayoutError {
    /// The bytes end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// There are bytes behind the end.
    #[error("{0} bytes too many")]
    TrailingBytes(usize),
    /// A tag that no layout has.
    #[error("unknown tag {0}")]
    UnknownTag(u8),
    /// Longer than the layout allows.
    #[error("{size} bytes, at most {limit} are allowed")]
    TooLong {
        /// What was found.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A field has a value that its type refuses.
    #[error("{0}")]
    BadField(String),
}

/// Reads a layout from front to back.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
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

    /// One byte.
    ///
    /// # Errors
    /// [`LayoutError::Truncated`] if none is left.
    pub fn u8(&mut self) -> Result<u8, LayoutError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// [`LayoutError::Truncated`] if fewer are left.
    pub fn u32(&mut self) -> Result<u32, LayoutError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// [`LayoutError::Truncated`] if fewer are left.
    pub fn u64(&mut self) -> Result<u64, LayoutError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Ends the reading.
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
