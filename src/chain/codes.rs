//! The error codes of the JSON contract: each error's innermost variant in `snake_case`, for replies and events.

use super::block::BlockError;
use super::header::HeaderError;
use super::store::StoreError;
use super::transaction::TransactionError;
use crate::types::layout::LayoutError;

impl HeaderError {
    /// The error code: the variant's name in `snake_case`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl BlockError {
    /// The error code: the innermost variant's name in `snake_case`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Layout(error) => error.code(),
            Self::Transaction { error, .. } => error.code(),
            Self::TooManyTransactions(_) => "too_many_transactions",
            Self::TooManyBytes { .. } => "too_many_bytes",
            Self::BadMerkleRoot { .. } => "bad_merkle_root",
            Self::BadReward(_) => "bad_reward",
        }
    }
}

impl TransactionError {
    /// The error code: the innermost variant's name in `snake_case`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl LayoutError {
    /// The error code: the variant's name in `snake_case`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl StoreError {
    /// The error code for a failure of this node's own store.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Full | Self::Io(_) => "read_only",
            Self::Damaged(_) => "internal",
        }
    }
}
