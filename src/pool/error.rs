//! Why a transaction does not wait for a block, and what can be done about it.

use thiserror::Error;

use super::mempool::{ACCOUNT_MAX_TRANSACTIONS, GAP_MAX};
use crate::chain::ledger::{ApplyError, LedgerError};
use crate::chain::store::StoreError;
use crate::chain::transaction::TransactionError;
use crate::types::{Account, Height, Txid};

/// Why a transaction does not wait for a block.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PoolError {
    /// It waits already.
    #[error("the transaction is waiting already")]
    AlreadyPending,
    /// It is in the active chain.
    #[error("the transaction is in block {0} already")]
    AlreadyConfirmed(Height),
    /// Rewards come with their block.
    #[error("a reward cannot wait for a block")]
    NoReward,
    /// Its form or signature is wrong.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// The ledger would refuse it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Another transaction with this sequence came first.
    #[error("sequence {sequence} of {account} is taken by {first}")]
    SequenceTaken {
        /// The sender.
        account: Account,
        /// The sequence.
        sequence: u64,
        /// Who came first.
        first: Txid,
    },
    /// Too far ahead of the account's next sequence.
    #[error("sequence {got} of {account}, the next is {expected}, and gaps end at {GAP_MAX}")]
    SequenceGap {
        /// The sender.
        account: Account,
        /// The next free sequence.
        expected: u64,
        /// What the transaction says.
        got: u64,
    },
    /// The account has as many waiting as strangers may bring while the pool is more than half full.
    #[error("{ACCOUNT_MAX_TRANSACTIONS} transactions of {0} are waiting already, and the pool is more than half full")]
    AccountFull(Account),
    /// No room, and who brought it holds the most.
    #[error("the pool is full")]
    PoolFull,
    /// Pushed out by others; used as a reason.
    #[error("pushed out of the full pool")]
    PushedOut,
    /// The disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PoolError {
    /// The contract's code: the innermost variant's name in `snake_case`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlreadyPending => "already_pending",
            Self::AlreadyConfirmed(_) => "already_confirmed",
            Self::NoReward => "no_reward",
            Self::Transaction(error) => error.code(),
            Self::Ledger(error) => error.code(),
            Self::SequenceTaken { .. } => "sequence_taken",
            Self::SequenceGap { .. } => "sequence_gap",
            Self::AccountFull(_) => "account_full",
            Self::PoolFull => "pool_full",
            Self::PushedOut => "pushed_out",
            Self::Store(error) => error.code(),
        }
    }

    /// What can be done about it: a line that can be typed at the prompt.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Ledger(error) => error.hint(),
            Self::SequenceTaken { account, .. } | Self::SequenceGap { account, .. } => {
                format!("balance {account}")
            }
            Self::AlreadyPending | Self::PushedOut => "pending".into(),
            Self::AlreadyConfirmed(height) => format!("block {height}"),
            Self::Transaction(_) => "help tx".into(),
            Self::NoReward | Self::AccountFull(_) | Self::PoolFull => "mine".into(),
            Self::Store(_) => "status".into(),
        }
    }
}

impl From<ApplyError> for PoolError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Ledger(error) => Self::Ledger(error),
            ApplyError::Store(error) => Self::Store(error),
        }
    }
}
