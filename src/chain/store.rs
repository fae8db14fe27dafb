//! The reads that the core needs from a disk, and the changes that it hands over. `store` implements both on redb.
//!
//! Promises: reads see every committed batch; a batch is applied whole or not at all.
//! Spec: `proto-notes/store.md`.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::block::Block;
use super::header::Header;
use super::history::{AccountTag, HistoryEntries, HistoryKey};
use crate::types::{Account, Address, Balance, BlockHash, Height, PeerId, PublicKey, Txid, Work};

/// The ledger entry of an account. An account that was never used has no entry.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AccountState {
    /// The coins of the account; below zero, its debt.
    pub balance: Balance,
    /// The sequence that the account's next transaction must carry.
    pub next_sequence: u64,
    /// The key that owns a name; always none for a key account, which belongs to its key.
    pub owner: Option<PublicKey>,
}

/// The header of a stored block and what was computed from it. The body is read separately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// The header of the block.
    pub header: Header,
    /// The branch's work up to and including this block.
    pub work: Work,
    /// The size of the block's canonical bytes.
    pub size_bytes: u64,
}

/// The position of a confirmed transaction in the active chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TxPlace {
    /// The height of the block that holds it.
    pub height: Height,
    /// The index in the block, from 0; the reward has index 0.
    pub index: u32,
}

/// The position of a transaction in a block that may be active or not. The block is named by the start of its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The first eight bytes of the block's hash.
    pub block: [u8; 8],
    /// The height of the block and the index in it.
    pub place: TxPlace,
}

impl Spot {
    /// The position that sorts before every other one.
    pub(crate) const FIRST: Self = Self {
        block: [0; 8],
        place: TxPlace {
            height: Height::GENESIS,
            index: 0,
        },
    };

    /// The position of a transaction in the block with this hash.
    #[must_use]
    pub fn new(hash: &BlockHash, place: TxPlace) -> Self {
        let mut block = [0; 8];
        block.copy_from_slice(&hash.as_bytes()[..8]);
        Self { block, place }
    }

    /// Whether the transaction is confirmed here: `active` is the active block at this height, and it is this one.
    #[must_use]
    pub fn is_in(&self, active: Option<&BlockHash>) -> bool {
        active.is_some_and(|hash| hash.as_bytes().starts_with(&self.block))
    }
}

/// Why a store cannot answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The disk is full.
    #[error("the store failed: the disk is full")]
    Full,
    /// The operating system refused a read or a write; the text is its reason.
    #[error("the store failed: {0}")]
    Io(String),
    /// The stored bytes contradict each other or follow no layout.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

/// Changes to be written in one atomic step. Maps hold the last value for each key; `None` deletes the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The running number of the batch, from 1. The disk reports it back once the batch is written.
    pub id: u64,
    /// Blocks of any branch: header with work, and canonical bytes.
    pub blocks: BTreeMap<BlockHash, Option<(StoredBlock, Vec<u8>)>>,
    /// The hash of the active block at each height.
    pub active: BTreeMap<Height, Option<BlockHash>>,
    /// Blocks that are stored but not active, so that side branches are found at the start.
    pub side: BTreeMap<BlockHash, Option<()>>,
    /// The changed entries of the ledger.
    pub accounts: BTreeMap<Account, Option<AccountState>>,
    /// Positions of transactions in blocks of any branch. They are never deleted: [`Spot::is_in`] says which of them
    /// count.
    pub places: BTreeSet<(Txid, Spot)>,
    /// What concerns an account in a block of any branch. Entries are never deleted: [`HistoryKey::is_in`] says which of
    /// them count.
    pub history: HistoryEntries,
    /// Ledger entries for the end of a long switch, kept beside the ledger. See [`Beside`].
    pub shadow: BTreeMap<Account, Option<AccountState>>,
    /// What happens to the entries beside the ledger, before all other changes of this batch.
    pub beside: Beside,
    /// Own unconfirmed transactions: a running number, which gives their order, and canonical bytes.
    pub own: BTreeMap<Txid, Option<(u64, Vec<u8>)>>,
    /// Remembered peers with their addresses.
    pub peers: BTreeMap<PeerId, Option<Vec<Address>>>,
}

/// What a batch does with the entries beside the ledger, which a long switch writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beside {
    /// The entries stay beside the ledger.
    #[default]
    Keep,
    /// The entries are deleted, because the switch was dropped.
    Drop,
    /// The entries become entries of the ledger. A store may leave them beside it and look there first; then this takes
    /// the same time for any number of entries, and [`ChainStore::is_unsettled`] reports it.
    Promote,
    /// The store moves at most this many of the promoted entries to their places in the ledger. No reader sees a
    /// difference.
    Settle(u16),
}

impl Batch {
    /// Whether the batch changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Self {
            id: self.id,
            ..Self::default()
        } == *self
    }

    /// Whether no reader sees a difference after this batch, because it only prepares a long switch.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let shows_none = self.blocks.is_empty() && self.active.is_empty() && self.side.is_empty();
        let keeps_none = self.accounts.is_empty() && self.own.is_empty() && self.peers.is_empty();
        shows_none && keeps_none && self.beside != Beside::Promote && !self.is_empty()
    }

    /// Adds the changes of a later batch, so that this one has the effect of both.
    pub fn append(&mut self, other: Self) {
        self.id = other.id;
        match other.beside {
            Beside::Keep => {}
            Beside::Drop => {
                self.shadow.clear();
                if matches!(self.beside, Beside::Keep | Beside::Settle(_)) {
                    self.beside = Beside::Drop;
                }
            }
            Beside::Settle(_) if self.beside != Beside::Keep => {}
            Beside::Settle(most) => self.beside = Beside::Settle(most),
            Beside::Promote => {
                self.accounts.extend(core::mem::take(&mut self.shadow));
                if matches!(self.beside, Beside::Keep | Beside::Settle(_)) {
                    self.beside = Beside::Promote;
                }
            }
        }
        self.shadow.extend(other.shadow);
        self.blocks.extend(other.blocks);
        self.active.extend(other.active);
        self.side.extend(other.side);
        self.accounts.extend(other.accounts);
        self.places.extend(other.places);
        self.history.extend(other.history);
        self.own.extend(other.own);
        self.peers.extend(other.peers);
    }
}

/// The reads that the core needs. Each sees a consistent state of committed batches.
///
/// A new store holds the genesis block as active block 0.
pub trait ChainStore {
    /// The height and hash of the active tip.
    ///
    /// # Errors
    /// [`StoreError`], as for all reads here.
    fn tip(&self) -> Result<(Height, BlockHash), StoreError>;
    /// A block's header, work and size; none if it is not stored.
    fn block(&self, hash: &BlockHash) -> Result<Option<StoredBlock>, StoreError>;
    /// A block's canonical bytes; none if it is not stored. Those of the genesis block are stored too.
    fn body(&self, hash: &BlockHash) -> Result<Option<Vec<u8>>, StoreError>;
    /// A block, read from its body; none if it is not stored. A store that knows that the block was checked before it was
    /// written need not check its keys again.
    fn whole_block(&self, hash: &BlockHash) -> Result<Option<Block>, StoreError> {
        let Some(bytes) = self.body(hash)? else {
            return Ok(None);
        };
        Block::from_bytes(&bytes)
            .map(Some)
            .map_err(|error| StoreError::Damaged(format!("block {hash}: {error}")))
    }
    /// The hash of the active block at a height; none above the tip.
    fn active(&self, height: Height) -> Result<Option<BlockHash>, StoreError>;
    /// The hashes of all blocks that are stored but not active.
    fn side(&self) -> Result<Vec<BlockHash>, StoreError>;
    /// Hashes of stored blocks that start with these hex digits (lower case), at most `limit`.
    fn blocks_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<BlockHash>, StoreError>;
    /// The ledger entry of an account; none if it was never used.
    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError>;
    /// The number of all accounts, and the first `limit` of them: names in order, then keys.
    fn accounts(&self, limit: usize) -> Result<(u64, Vec<(Account, AccountState)>), StoreError>;
    /// An entry beside the ledger. Outer none: there is no such entry. Inner none: the account will have no entry.
    fn shadow(&self, account: &Account) -> Result<Option<Option<AccountState>>, StoreError>;
    /// Whether promoted entries still wait for [`Beside::Settle`].
    fn is_unsettled(&self) -> Result<bool, StoreError> {
        Ok(false)
    }
    /// All stored positions of a transaction; [`Spot::is_in`] says which of them count.
    fn spots(&self, txid: &Txid) -> Result<Vec<Spot>, StoreError>;
    /// Transactions whose ids start with these hex digits (lower case), with their stored positions, at most `limit`.
    fn spots_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<(Txid, Spot)>, StoreError>;
    /// The position of a transaction in the active chain; none if it is not confirmed.
    fn place(&self, txid: &Txid) -> Result<Option<TxPlace>, StoreError> {
        for spot in self.spots(txid)? {
            if spot.is_in(self.active(spot.place.height)?.as_ref()) {
                return Ok(Some(spot.place));
            }
        }
        Ok(None)
    }
    /// The entries of the index of histories with this tag, the newest height first, at most `limit`: those below a key,
    /// or from the newest on. [`HistoryKey::is_in`] says which of them count.
    fn history(
        &self,
        tag: AccountTag,
        below: Option<HistoryKey>,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u16>)>, StoreError>;
    /// All entries of the index of histories in the order of their keys, at most `limit`: those above a key, or from the
    /// first on.
    fn history_above(&self, above: Option<HistoryKey>, limit: usize)
    -> Result<Vec<(HistoryKey, Vec<u16>)>, StoreError>;
    /// Whether the index of histories has the entries of all active blocks. It lacks some while the file of an earlier
    /// version was not brought up to date.
    fn has_history(&self) -> Result<bool, StoreError> {
        Ok(true)
    }
    /// Own unconfirmed transactions as canonical bytes, with their running numbers.
    fn own(&self) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;
    /// The remembered peers and their addresses.
    fn peers(&self) -> Result<Vec<(PeerId, Vec<Address>)>, StoreError>;
    /// A snapshot of the store, which later commits do not change. The default is a clone, for stores whose clones
    /// share nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    fn snapshot(&self) -> Result<Self, StoreError>
    where
        Self: Sized + Clone,
    {
        Ok(self.clone())
    }
    /// The damage that was found since the store was opened; none if there is none. It stays reported until the store
    /// is opened again, because nobody knows what the damaged page held.
    fn damage(&self) -> Option<String> {
        None
    }
}
