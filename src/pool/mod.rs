//! Transactions that wait for a block: which are taken, in what order they enter one, and what a new tip does to them.
//!
//! Promises: bounded; pure; what a ledger would refuse does not wait; fair between voices and signers when room is scarce.
//! Elsewhere: the rules (`chain`), how pools of neighbours become equal (`engine::pools`).
//! Spec: `proto-notes/mempool.md`.

// A new variant stops the build, here as everywhere in the pure layers.
#![cfg_attr(
    not(test),
    deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)
)]

mod error;
mod fairness;
pub mod forecast;
pub mod mempool;
mod order;
pub mod rebuild;
mod room;
mod view;

pub use error::PoolError;
pub use forecast::Forecast;
pub use mempool::{Added, Mempool, Origin, PoolChange};
pub use rebuild::Rebuild;

#[cfg(test)]
mod tests;
