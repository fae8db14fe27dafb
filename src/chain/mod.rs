//! The rules and the state they lead to: transactions, headers, blocks, ledger, block tree, mempool.
//!
//! Promises: pure and deterministic; every refusal is a named error that carries its values.
//! Spec: `proto-notes/consensus.md`, `proto-notes/encoding.md`.

pub mod block;
mod branch;
mod codes;
pub mod destination;
mod fairness;
pub mod ground;
pub mod header;
pub mod ledger;
mod long;
pub mod memory_store;
pub mod mempool;
pub mod merkle;
pub mod overlay;
pub mod params;
mod pool_error;
mod pool_order;
pub mod pool_rebuild;
mod pool_room;
mod pool_view;
mod rewind;
pub mod state;
pub mod store;
pub mod switch;
pub mod transaction;
pub mod tree;

pub use block::{Block, BlockError};
pub use destination::Destination;
pub use ground::Ground;
pub use header::{Header, HeaderError};
pub use ledger::{ApplyError, LedgerError};
pub use long::LongStep;
pub use mempool::{Added, Mempool, Origin, PoolChange, PoolError};
pub use params::{Difficulty, NetworkParams, Recipients};
pub use pool_rebuild::Rebuild;
pub use state::{AcceptError, Accepted, Chain, Scratch, Tip};
pub use store::{AccountState, Batch, Beside, ChainStore, Spot, StoreError, StoredBlock, TxPlace};
pub use switch::{Moved, Switch};
pub use transaction::{Claim, Reward, Transaction, TransactionError, Transfer};

#[cfg(test)]
pub(crate) mod tests;
