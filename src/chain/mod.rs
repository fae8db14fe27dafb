//! The rules of the chain and its state: transactions, headers, blocks, ledger, block tree.
//!
//! Promises: pure and deterministic; every refusal is an error variant with the values that explain it.
//! Spec: `proto-notes/consensus.md`, `proto-notes/encoding.md`.

// A new variant stops the build, here as everywhere in the pure layers.
#![cfg_attr(
    not(test),
    deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)
)]

pub mod block;
mod branch;
pub mod checks;
mod codes;
pub mod destination;
pub mod ground;
pub mod header;
pub mod history;
pub mod ledger;
mod long;
pub mod memory_store;
pub mod merkle;
pub mod overlay;
pub mod params;
mod rewind;
pub mod stages;
pub mod state;
pub mod store;
pub mod switch;
pub mod transaction;
pub mod tree;
mod young;

pub use block::{Block, BlockError};
pub use checks::{BodyRules, Verdict};
pub use destination::Destination;
pub use ground::Ground;
pub use header::{Header, HeaderError};
pub use history::{AccountTag, HistoryEntries, HistoryKey};
pub use ledger::{ApplyError, LedgerError};
pub use long::LongStep;
pub use params::{Difficulty, NetworkParams, Recipients};
pub use state::{AcceptError, Accepted, Chain, Scratch, Tip};
pub use store::{AccountState, Batch, Beside, ChainStore, Spot, StoreError, StoredBlock, TxPlace};
pub use switch::{Moved, OwnMove, OwnMoves, Switch};
pub use transaction::{Claim, Reward, Transaction, TransactionError, Transfer};

#[cfg(test)]
pub(crate) mod tests;
