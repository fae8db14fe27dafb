//! The rules and the state they lead to: transactions, headers, blocks, ledger, block tree, mempool.
//!
//! Promises: pure and deterministic; every refusal is a named error that carries its values.
//! Spec: `proto-notes/consensus.md`, `proto-notes/encoding.md`.

pub mod block;
#[cfg(test)]
mod form_tests;
pub mod header;
pub mod merkle;
pub mod params;
pub mod store;
pub mod transaction;
#[cfg(test)]
mod vectors;

pub use block::{Block, BlockError};
pub use header::{Header, HeaderError};
pub use params::{Difficulty, NetworkParams, Recipients};
pub use store::{AccountState, Batch, ChainStore, StoreError, StoredBlock, TxPlace, Undo};
pub use transaction::{Claim, Reward, Transaction, TransactionError, Transfer};
