//! How payments get to everybody: own ones that are announced, and pools that are compared.

use super::own::OwnPayments;
use super::pools::Pools;

/// The parts that spread payments.
#[derive(Debug)]
pub(crate) struct Payments {
    /// Own payments: those that are gathered, announced, not heard of yet, or wait in the store alone.
    pub(crate) own: OwnPayments,
    /// The comparison with neighbours' pools.
    pub(crate) pools: Pools,
}
