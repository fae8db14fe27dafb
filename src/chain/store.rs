//! What the core asks of a disk, and the changes it hands over. `store` implements it on redb.
//!
//! Promises: reads see every batch that was committed; a batch is applied whole or not at all.
//! Spec: `proto-notes/store.md`.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::header::Header;
use crate::types::{Account, Address, Balance, BlockHash, Height, PeerId, PublicKey, Txid, Work};

/// A ledger entry. An account that was never used has none.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AccountState {
    /// What it owns, or owes below zero.
    pub balance: Balance,
    /// The sequence of its next transaction.
    pub next_sequence: u64,
    /// Who owns a name; always none for key accounts, which own themselves.
    pub owner: Option<PublicKey>,
}

/// A stored block's header and what was computed of it. Bodies are read apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// The header.
    pub header: Header,
    /// The branch's work up to and including this block.
    pub work: Work,
    /// The size of the block's canonical bytes.
    pub size_bytes: u64,
}

/// Where a confirmed transaction stands in the active chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TxPlace {
    /// The block's height.
    pub height: Height,
    /// Its place in the block, from 0.
    pub index: u32,
}

/// Where a transaction stands if a block is active: that block by the start of its hash, and the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The first bytes of the block's hash.
    pub block: [u8; 8],
    /// The block's height, and the place in it.
    pub place: TxPlace,
}

impl Spot {
    /// Before every other.
    pub(crate) const FIRST: Self = Self {
        block: [0; 8],
        place: TxPlace {
            height: Height::GENESIS,
            index: 0,
        },
    };

    /// A transaction's place in a block.
    #[must_use]
    pub fn new(hash: &BlockHash, place: TxPlace) -> Self {
        let mut block = [0; 8];
        block.copy_from_slice(&hash.as_bytes()[..8]);
        Self { block, place }
    }

    /// Whether it counts: the active block at its height is the one that is meant.
    #[must_use]
    pub fn is_in(&self, active: Option<&BlockHash>) -> bool {
        active.is_some_and(|hash| hash.as_bytes().starts_with(&self.block))
    }
}

/// Why a store cannot answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The disk has no room.
    #[error("the store failed: the disk is full")]
    Full,
    /// The disk refused.
    #[error("the store failed: {0}")]
    Io(String),
    /// What is stored makes no sense.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

/// Changes to be written in one atomic step. Maps hold the last value of each key; `None` deletes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Running number, from 1; reported back when the disk has it.
    pub id: u64,
    /// Blocks of any branch: header, work and canonical bytes.
    pub blocks: BTreeMap<BlockHash, Option<(StoredBlock, Vec<u8>)>>,
    /// The active chain by height.
    pub active: BTreeMap<Height, Option<BlockHash>>,
    /// Blocks that are stored but not active (so that side branches are found at the start).
    pub side: BTreeMap<BlockHash, Option<()>>,
    /// The ledger.
    pub accounts: BTreeMap<Account, Option<AccountState>>,
    /// Where transactions stand, or will once their block is active. None is ever taken back: see [`Spot::is_in`].
    pub places: BTreeSet<(Txid, Spot)>,
    /// Entries of the ledger that a long switch leads to, beside the ledger. See [`Beside`].
    pub shadow: BTreeMap<Account, Option<AccountState>>,
    /// What becomes of the entries beside the ledger, before all else in this batch.
    pub beside: Beside,
    /// Own transactions that are not confirmed: a running number (their order) and canonical bytes.
    pub own: BTreeMap<Txid, Option<(u64, Vec<u8>)>>,
    /// Peers to be remembered, with their addresses.
    pub peers: BTreeMap<PeerId, Option<Vec<Address>>>,
}

/// What a batch does with the ledger entries of a long switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beside {
    /// They stay.
    #[default]
    Keep,
    /// They are dropped: the switch did not come about.
    Drop,
    /// They become entries of the ledger, and are none beside it any more. A store may keep them apart and look there
    /// first: then this costs the same however many there are, and [`ChainStore::is_unsettled`] says so.
    Promote,
    /// The store puts at most so many of those that became entries of the ledger in their places. Nobody sees a difference.
    Settle(u16),
}

impl Batch {
    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Self {
            id: self.id,
            ..Self::default()
        } == *self
    }

    /// Whether nobody who looks sees a difference once it is written: it only prepares a long switch.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let shows_none = self.blocks.is_empty() && self.active.is_empty() && self.side.is_empty();
        let keeps_none = self.accounts.is_empty() && self.own.is_empty() && self.peers.is_empty();
        shows_none && keeps_none && self.beside != Beside::Promote && !self.is_empty()
    }

    /// The batch that has the effect of this one and then the other.
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
        self.own.extend(other.own);
        self.peers.extend(other.peers);
    }
}

/// The reads that the core needs. Each sees a consistent state of committed batches.
///
/// A new store holds the genesis block as active block 0.
pub trait ChainStore {
    /// The highest active block.
    ///
    /// # Errors
    /// [`StoreError`], as all of these.
    fn tip(&self) -> Result<(Height, BlockHash), StoreError>;
    /// A block's header and work.
    fn block(&self, hash: &BlockHash) -> Result<Option<StoredBlock>, StoreError>;
    /// A block's canonical bytes. The genesis block's are stored too.
    fn body(&self, hash: &BlockHash) -> Result<Option<Vec<u8>>, StoreError>;
    /// The active block at a height.
    fn active(&self, height: Height) -> Result<Option<BlockHash>, StoreError>;
    /// Every block that is stored but not active.
    fn side(&self) -> Result<Vec<BlockHash>, StoreError>;
    /// Hashes of stored blocks that start with these nibbles (lower-case hex), at most `limit`.
    fn blocks_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<BlockHash>, StoreError>;
    /// A ledger entry.
    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError>;
    /// How many accounts there are, and the first of them: names in order, then keys.
    fn accounts(&self, limit: usize) -> Result<(u64, Vec<(Account, AccountState)>), StoreError>;
    /// An entry beside the ledger: outer none, there is none; inner none, the account is to have no entry.
    fn shadow(&self, account: &Account) -> Result<Option<Option<AccountState>>, StoreError>;
    /// Whether entries of the ledger wait for [`Beside::Settle`].
    fn is_unsettled(&self) -> Result<bool, StoreError> {
        Ok(false)
    }
    /// Where a transaction may stand: see [`Spot::is_in`].
    fn spots(&self, txid: &Txid) -> Result<Vec<Spot>, StoreError>;
    /// Transactions whose ids start with these nibbles (lower-case hex) with where they may stand, at most `limit`.
    fn spots_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<(Txid, Spot)>, StoreError>;
    /// Where a confirmed transaction stands.
    fn place(&self, txid: &Txid) -> Result<Option<TxPlace>, StoreError> {
        for spot in self.spots(txid)? {
            if spot.is_in(self.active(spot.place.height)?.as_ref()) {
                return Ok(Some(spot.place));
            }
        }
        Ok(None)
    }
    /// Own unconfirmed transactions by running number.
    fn own(&self) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;
    /// Remembered peers.
    fn peers(&self) -> Result<Vec<(PeerId, Vec<Address>)>, StoreError>;
    /// What the store holds now, whatever is committed later. For a store whose clones share nothing, a clone.
    ///
    /// # Errors
    /// [`StoreError`].
    fn snapshot(&self) -> Result<Self, StoreError>
    where
        Self: Sized + Clone,
    {
        Ok(self.clone())
    }
    /// What was found rotten since the store was opened. It stays so: what a read of it would have said is unknown.
    fn damage(&self) -> Option<String> {
        None
    }
}
