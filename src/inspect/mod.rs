//! Reads of chain and pool for replies: blocks, transactions, accounts, the tree, statistics, explanations, and the
//! doctor's judgement.
//!
//! Promises: nothing here changes anything; the reads for one answer are bounded.
//! Elsewhere: the types of the answers (`contract`), who asks (`engine`).
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
pub mod history;
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

/// The things that replies are made from: the chain, the pool, and the identity of the node.
pub struct View<'a, S> {
    /// The chain with its tip and side branches.
    pub chain: &'a Chain<S>,
    /// The pool of waiting transactions.
    pub pool: &'a Mempool,
    /// The key of the node, which says which accounts are its own.
    pub me: PublicKey,
    /// The name that the node announces; none if it has none.
    pub name: Option<&'a AccountName>,
}

impl<S: ChainStore> View<'_, S> {
    /// The account that gets block rewards: the own name if the chain says that this key owns it, otherwise the key
    /// account.
    #[must_use]
    pub fn reward_account(&self) -> Account {
        let name = self.name.map(|name| Account::Name(name.clone()));
        let is_ours = |account: &Account| self.chain.owner(account) == Ok(Some(self.me));
        name.filter(is_ours).unwrap_or(Account::Key(self.me))
    }
}

/// The error if the store cannot be read.
#[must_use]
pub fn store_error(error: StoreError) -> CommandError {
    CommandError::new(
        error.code(),
        format!("{error}; look at the disk of the data folder, then restart the node"),
        "status",
    )
}

/// The error if no block has the hash or height.
#[must_use]
pub fn no_block() -> CommandError {
    CommandError::new("unknown_block", "no such block is known here", "chain")
}
