//! The pool of transactions that wait for a block: what it accepts, their order in a block, and the effect of a new
//! tip.
//!
//! Promises: bounded and pure. It refuses what the ledger would refuse, and shares scarce room fairly between voices
//! and signers.
//! Elsewhere: the rules (`chain`), how the pools of neighbours become equal (`engine::parts::pools`).
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
pub use mempool::{Added, Departed, Mempool, Origin, PoolChange};
pub use rebuild::Rebuild;

#[cfg(test)]
mod tests;
