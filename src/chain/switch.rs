//! The result of a change of the active branch: enough for everybody who follows it, at any depth.
//!
//! Promises: it holds no bodies; of the blocks that left, it holds at most [`UNDONE_MAX`] transactions, the oldest of
//! them.
//! Elsewhere: how a switch is made (`chain::branch`), and its effect on the pool (`pool::order`).

use std::collections::{BTreeSet, VecDeque};

use super::block::Block;
use super::transaction::Transaction;
use crate::types::{Account, BlockHash, Height, Txid};

/// The most transactions that a switch hands back, because the pool has no room for more. Own ones are also in the
/// store.
pub const UNDONE_MAX: usize = 10_000;

/// A block that joined or left the active branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The hash of the block.
    pub hash: BlockHash,
    /// The height of the block.
    pub height: Height,
    /// The hash of its parent.
    pub previous: BlockHash,
    /// The number of its transactions, the reward included.
    pub transactions: usize,
}

/// A change of the active branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// The height of the last block that both branches share.
    pub fork: Height,
    /// The hash of the tip before the switch.
    pub old_tip: BlockHash,
    /// The hash of the tip after the switch.
    pub new_tip: BlockHash,
    /// The blocks that left the active branch, the old tip first.
    pub disconnected: Vec<Moved>,
    /// The blocks that joined the active branch, in the order of their heights.
    pub connected: Vec<Moved>,
    /// The signed transactions of the blocks that left.
    pub undone: Undone,
    /// The effect of the new blocks; filled only if no block left.
    pub done: ConnectedEffects,
}

/// The signed transactions of blocks that left the active branch.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Undone {
    oldest: VecDeque<Transaction>,
    beyond: usize,
}

/// The effect of blocks that were added on top of the tip.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConnectedEffects {
    /// The ids of their transactions.
    pub confirmed: Vec<Txid>,
    /// The accounts that these transactions name.
    pub touched: BTreeSet<Account>,
    /// Whether the lists are incomplete, so that every waiting transaction must be checked anew.
    pub is_more: bool,
}

impl Moved {
    /// The record of a block that joined or left.
    #[must_use]
    pub const fn new(hash: BlockHash, block: &Block) -> Self {
        Self {
            hash,
            height: block.header.height,
            previous: block.header.previous,
            transactions: block.transactions.len(),
        }
    }
}

impl Undone {
    /// Adds a block's transactions. Blocks leave from the tip down, so each call adds older ones.
    pub fn put_before(&mut self, block: Block) {
        for transaction in block.transactions.into_iter().rev() {
            if transaction.signer().is_some() {
                self.oldest.push_front(transaction);
            }
        }
        while self.oldest.len() > UNDONE_MAX {
            self.oldest.pop_back();
            self.beyond += 1;
        }
    }

    /// The kept transactions, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Transaction> {
        self.oldest.iter()
    }

    /// How many younger transactions were dropped because the limit was reached.
    #[must_use]
    pub const fn beyond(&self) -> usize {
        self.beyond
    }
}

impl ConnectedEffects {
    /// Adds the transactions of a block; `txids` are their ids, in the same order.
    pub fn add(&mut self, block: &Block, txids: &[Txid]) {
        self.confirmed.extend(txids);
        for transaction in &block.transactions {
            self.touched.extend(transaction.accounts());
        }
    }
}
