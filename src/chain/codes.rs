//! The contract's codes: each error's innermost variant in `snake_case`, for replies and events.

use super::block::BlockError;
use super::header::HeaderError;
use super::store::StoreError;
use super::transaction::TransactionError;
use crate::types::layout::LayoutError;

impl HeaderError {
    /// The variant's name in `snake_case`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadVersion(_) => "bad_version",
            Self::NotLinked { .. } => "not_linked",
            Self::BadHeight { .. } => "bad_height",
            Self::TimeTooOld { .. } => "time_too_old",
            Self::BadTarget { .. } => "bad_target",
            Self::BadProofOfWork(_) => "bad_proof_of_work",
            Self::TimeTooNew { .. } => "time_too_new",
            Self::ChainTooLong { .. } => "chain_too_long",
        }
    }
}

impl BlockError {
    /// The innermost variant's name in `snake_case`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
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
    /// The innermost variant's name in `snake_case`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Layout(error) => error.code(),
            Self::SelfTransfer(_) => "self_transfer",
            Self::WrongKey => "wrong_key",
            Self::WrongRecipientOwner => "wrong_recipient_owner",
            Self::BadSignature => "bad_signature",
        }
    }
}

impl LayoutError {
    /// The variant's name in `snake_case`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::TrailingBytes(_) => "trailing_bytes",
            Self::TooLong { .. } => "too_long",
            Self::UnknownTag(_) => "unknown_tag",
            Self::BadField(_) => "bad_field",
        }
    }
}

impl StoreError {
    /// What the contract calls a failure of this node itself.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Full | Self::Io(_) => "read_only",
            Self::Damaged(_) => "internal",
        }
    }
}
