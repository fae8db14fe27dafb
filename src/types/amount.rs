//! Amounts and balances.

use core::fmt;

use serde::Serialize;
use thiserror::Error;

/// What a transfer moves: 1 to 2^53 - 1 coins, so that every amount is exact in JSON readers that use doubles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Amount(u64);

/// What an account owns; below zero what it owes.
pub type Balance = i64;

/// Why a number is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Nothing would move.
    #[error("the amount is 0; the smallest is 1")]
    Zero,
    /// Above 2^53 - 1.
    #[error("the amount {0} is above the largest, 9007199254740991")]
    TooLarge(u64),
}

impl Amount {
    /// The smallest amount.
    pub const ONE: Self = Self(1);
    /// The largest amount.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// Checks the range.
    ///
    /// # Errors
    /// [`AmountError`] outside 1 to 2^53 - 1.
    pub const fn new(value: u64) -> Result<Self, AmountError> {
        match value {
            0 => Err(AmountError::Zero),
            1..=9_007_199_254_740_991 => Ok(Self(value)),
            _ => Err(AmountError::TooLarge(value)),
        }
    }

    /// The number of coins.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of coins as a change of a balance.
    #[must_use]
    pub const fn signed(self) -> Balance {
        // At most 2^53 - 1 by construction.
        self.0.cast_signed()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
