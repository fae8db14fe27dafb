//! Amounts and balances.

use core::fmt;

use serde::Serialize;
use thiserror::Error;

/// The coins that a transfer moves: 1 to 2^53 - 1, so that every amount is exact in JSON readers that use doubles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Amount(u64);

/// The coins that an account owns; a negative balance is a debt.
pub type Balance = i64;

/// Why a number is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AmountError {
    /// The number is 0, so the transfer would move nothing.
    #[error("the amount is 0; the smallest is 1")]
    Zero,
    /// The number is above 2^53 - 1.
    #[error("the amount {0} is above the largest, 9007199254740991")]
    TooLarge(u64),
}

impl Amount {
    /// The smallest amount, one coin.
    pub const ONE: Self = Self(1);
    /// The largest amount, 2^53 - 1: the largest whole number that a double can hold with all its smaller ones.
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
