//! What a change of the active branch did: enough for all who follow it, whatever its depth.
//!
//! Promises: no bodies are held; of the blocks that left, at most [`UNDONE_MAX`] transactions, the oldest of them.
//! Elsewhere: how a switch is made (`chain::branch`), what it does to the pool (`pool::order`).

use std::collections::{BTreeSet, VecDeque};

use super::block::Block;
use super::transaction::Transaction;
use crate::types::{Account, BlockHash, Height, Txid};

/// The most transactions that a switch hands back: the pool has no room for more. Own ones lie in the store besides.
pub const UNDONE_MAX: usize = 10_000;

/// A block that joined or left the active branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Its hash.
    pub hash: BlockHash,
    /// Its height.
    pub height: Height,
    /// Its parent.
    pub previous: BlockHash,
    /// How many transactions it holds, the reward included.
    pub transactions: usize,
}

/// A change of the active branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// The height of the last block that both branches share.
    pub fork: Height,
    /// The tip before.
    pub old_tip: BlockHash,
    /// The tip now.
    pub new_tip: BlockHash,
    /// Blocks that left the active branch, the old tip first.
    pub disconnected: Vec<Moved>,
    /// Blocks that joined it, in order.
    pub connected: Vec<Moved>,
    /// The signed transactions of the blocks that left.
    pub undone: Undone,
    /// If no block left: what the new ones did.
    pub done: Done,
}

/// Signed transactions of blocks that left the active branch.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Undone {
    oldest: VecDeque<Transaction>,
    beyond: usize,
}

/// What blocks on top of the tip did.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Done {
    /// Their transactions.
    pub confirmed: Vec<Txid>,
    /// The accounts that these name.
    pub touched: BTreeSet<Account>,
    /// It was more than is listed: whatever waits is to be checked anew.
    pub is_more: bool,
}

impl Moved {
    /// What is kept of a block.
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
    /// Adds a block's transactions. Blocks leave from the tip down, so each call brings older ones.
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

    /// The kept ones, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Transaction> {
        self.oldest.iter()
    }

    /// How many more there were.
    #[must_use]
    pub const fn beyond(&self) -> usize {
        self.beyond
    }
}

impl Done {
    /// Adds a block's transactions, whose ids are at hand.
    pub fn add(&mut self, block: &Block, txids: &[Txid]) {
        self.confirmed.extend(txids);
        for transaction in &block.transactions {
            self.touched.extend(transaction.accounts());
        }
    }
}
