//! What tests of the engine build: the nodes' keys and blocks of theirs.
//!
//! Elsewhere: payments and chains (`testing::blocks`), what liars say (`testing::statuses`).

use crate::chain::{Block, Header, NetworkParams, Transaction};
use crate::testing::blocks::mine_for;
use crate::types::{Account, SecretKey};

pub(super) fn key(node: usize) -> SecretKey {
    SecretKey::from_seed([u8::try_from(node + 1).unwrap(); 32])
}

/// A block with these transactions whose reward goes to this node's key.
pub(super) fn mine(
    params: &NetworkParams,
    parent: &Header,
    later: u64,
    miner: usize,
    content: Vec<Transaction>,
) -> Block {
    mine_for(params, parent, later, Account::Key(key(miner).public()), content)
}
