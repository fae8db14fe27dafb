//! Why the pool refuses or drops a transaction, and what the user can do about it.

use thiserror::Error;

use super::mempool::{ACCOUNT_MAX_TRANSACTIONS, GAP_MAX};
use crate::chain::ledger::{ApplyError, LedgerError};
use crate::chain::store::StoreError;
use crate::chain::transaction::TransactionError;
use crate::types::{Account, Height, Txid};

/// Why the pool refuses or drops a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PoolError {
    /// The transaction is in the pool already.
    #[error("the transaction is waiting already")]
    AlreadyPending,
    /// The transaction is in the active chain, in the block at this height.
    #[error("the transaction is in block {0} already")]
    AlreadyConfirmed(Height),
    /// The transaction is a reward, which exists only in its block.
    #[error("a reward cannot wait for a block")]
    NoReward,
    /// The form or the signature of the transaction is wrong.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// The ledger would refuse the transaction.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Another transaction of the account with this sequence came first.
    #[error("sequence {sequence} of {account} is taken by {first}")]
    SequenceTaken {
        /// The account that pays or is claimed.
        account: Account,
        /// The sequence that both transactions carry.
        sequence: u64,
        /// The transaction that came first.
        first: Txid,
    },
    /// The sequence is too far ahead of the account's next one.
    #[error("sequence {got} of {account}, the next is {expected}, and gaps end at {GAP_MAX}")]
    SequenceGap {
        /// The account that pays or is claimed.
        account: Account,
        /// The sequence that the ledger expects next.
        expected: u64,
        /// The sequence in the transaction.
        got: u64,
    },
    /// The account has as many waiting transactions as strangers may send while the pool is more than half full.
    #[error("{ACCOUNT_MAX_TRANSACTIONS} transactions of {0} are waiting already, and the pool is more than half full")]
    AccountFull(Account),
    /// The pool is full, and no other voice holds more than the one that sent this transaction.
    #[error("the pool is full")]
    PoolFull,
    /// Later transactions pushed it out of the full pool. It is the reason of a dropped transaction.
    #[error("pushed out of the full pool")]
    PushedOut,
    /// The store failed, so the pool cannot judge the transaction.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PoolError {
    /// The error code of the JSON contract: the name of the innermost variant in `snake_case`.
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

    /// What the user can do about it: a line that can be typed at the prompt.
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
