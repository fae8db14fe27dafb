//! The result of a change of the active branch: enough for everybody who follows it, at any depth.
//!
//! Promises: it holds no bodies; of the blocks that left, it holds at most [`UNDONE_MAX`] transactions, the oldest of
//! them.
//! Elsewhere: how a switch is made (`chain::branch`), and its effect on the pool (`pool::order`).

use std::collections::{BTreeSet, VecDeque};

use super::block::Block;
use super::header::Header;
use super::params::NetworkParams;
use super::transaction::{Transaction, Transfer};
use crate::types::{Account, AccountName, BlockHash, Height, PublicKey, Txid, Work};

/// The most transactions that a switch hands back, because the pool has no room for more. Own ones are also in the
/// store.
pub const UNDONE_MAX: usize = 10_000;

/// The most own payments of each kind that a switch lists: no single block has more.
const OWN_LISTED_MAX: usize = 4_096;

/// What is told of a block: one that joined or left the active branch, or is kept beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The hash of the block.
    pub hash: BlockHash,
    /// The header of the block.
    pub header: Header,
    /// The work that the block adds to its branch.
    pub adds_work: Work,
    /// The work of its branch up to and including it.
    pub work: Work,
    /// The account that got the reward; none for genesis.
    pub miner: Option<Account>,
    /// The number of its transactions, the reward included.
    pub transactions: usize,
}

/// The accounts whose payments a switch lists: those of this node.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Owner {
    /// The key of this node.
    pub key: Option<PublicKey>,
    /// The name that this node announces.
    pub name: Option<AccountName>,
}

/// A payment to or from this node's accounts that joined or left the active branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnMove {
    /// The id of the payment.
    pub txid: Txid,
    /// The payment that joined or left.
    pub transfer: Transfer,
    /// The height of the block that holds it, or held it.
    pub height: Height,
}

/// The payments to and from this node's accounts in the blocks of a switch, at most 4,096 of each kind.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct OwnMoves {
    /// Those of the blocks that joined.
    pub joined: Vec<OwnMove>,
    /// Those of the blocks that left.
    pub left: Vec<OwnMove>,
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
    /// The payments to and from this node's accounts.
    pub own: OwnMoves,
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
    /// What is told of a block whose branch has this work; `parent` is the header of its parent.
    #[must_use]
    pub fn new(hash: BlockHash, block: &Block, work: Work, parent: &Header, params: &NetworkParams) -> Self {
        Self {
            hash,
            header: block.header.clone(),
            adds_work: Header::weight(parent, params),
            work,
            miner: block.miner().cloned(),
            transactions: block.transactions.len(),
        }
    }

    /// What is told of a block on top of this one.
    #[must_use]
    pub fn next(&self, hash: BlockHash, block: &Block, params: &NetworkParams) -> Self {
        let work = self.work.plus(Header::weight(&self.header, params));
        Self::new(hash, block, work, &self.header, params)
    }
}

impl Owner {
    /// Whether a payment is to or from an account of this node.
    fn concerns(&self, transfer: &Transfer) -> bool {
        let Some(key) = self.key else { return false };
        let is_announced = || match &transfer.to {
            Account::Name(name) => transfer.to_owner.is_none() && self.name.as_ref() == Some(name),
            Account::Key(to) => *to == key,
        };
        transfer.public_key == key || transfer.to_owner == Some(key) || is_announced()
    }
}

impl OwnMoves {
    /// Adds the payments of a block that joined.
    pub fn join(&mut self, owner: &Owner, block: &Block) {
        Self::add(&mut self.joined, owner, block);
    }

    /// Adds the payments of a block that left.
    pub fn leave(&mut self, owner: &Owner, block: &Block) {
        Self::add(&mut self.left, owner, block);
    }

    fn add(list: &mut Vec<OwnMove>, owner: &Owner, block: &Block) {
        for transaction in &block.transactions {
            if let Transaction::Transfer(transfer) = transaction
                && owner.concerns(transfer)
                && list.len() < OWN_LISTED_MAX
            {
                list.push(OwnMove {
                    txid: transaction.txid(),
                    transfer: transfer.clone(),
                    height: block.header.height,
                });
            }
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
