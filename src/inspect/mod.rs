//! What can be read of chain and pool: blocks, transactions, accounts, the tree, statistics, explanations, and what the
//! doctor makes of the facts.
//!
//! Promises: nothing here changes anything; what is read for one answer has a bound.
//! Elsewhere: the words of the answers (`contract`), who is asked (`engine`).
//! Spec: `proto-notes/events.md`, "Replies".

// A new variant stops the build, here as everywhere in the pure layers.
#![cfg_attr(
    not(test),
    deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)
)]

pub mod accounts;
mod advice;
pub mod blocks;
pub mod doctor;
pub mod explain;
pub mod query;
pub mod stats;
pub mod tamper;
pub mod transactions;
pub mod tree;

use crate::chain::state::Chain;
use crate::chain::{ChainStore, StoreError};
use crate::contract::CommandError;
use crate::pool::mempool::Mempool;
use crate::types::{Account, AccountName, PublicKey};

/// What is read: the chain, the pool, and whose node it is.
pub struct View<'a, S> {
    /// The chain that is read, tip and side branches.
    pub chain: &'a Chain<S>,
    /// The transactions that wait.
    pub pool: &'a Mempool,
    /// The key of the node, which says what is its own.
    pub me: PublicKey,
    /// The node's announced name.
    pub name: Option<&'a AccountName>,
}

impl<S: ChainStore> View<'_, S> {
    /// Where rewards go: the own name once it is confirmed as this key's, else the key account.
    #[must_use]
    pub fn reward_account(&self) -> Account {
        let name = self.name.map(|name| Account::Name(name.clone()));
        let is_ours = |account: &Account| self.chain.owner(account) == Ok(Some(self.me));
        name.filter(is_ours).unwrap_or(Account::Key(self.me))
    }
}

/// The store cannot be read.
#[must_use]
pub fn store_error(error: StoreError) -> CommandError {
    CommandError::new(
        error.code(),
        format!("{error}; look at the disk of the data folder, then restart the node"),
        "status",
    )
}

/// No block has the hash or height.
#[must_use]
pub fn no_block() -> CommandError {
    CommandError::new("unknown_block", "no such block is known here", "chain")
}
