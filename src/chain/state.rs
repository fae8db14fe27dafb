//! The chain as this node sees it: the active branch, its ledger, the side branches, and reads of them.
//!
//! Promises: the active tip is the stored valid block whose branch has the most work; at equal work the smaller hash
//! wins. Every step is whole or leaves no trace. Reads see changes that the disk does not have yet.
//! Elsewhere: how a block is accepted (`chain::branch`), the layers of changes (`chain::overlay`).
//! Spec: `proto-notes/consensus.md`, "Branch choice".

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use thiserror::Error;

use super::block::{Block, BlockError};
use super::checks::BodyRules;
use super::header::{Header, HeaderError};
use super::ledger::{Accounts, Ledger, LedgerError};
use super::long::{Long, LongLimits};
use super::overlay::Overlay;
use super::params::NetworkParams;
use super::store::{AccountState, Batch, ChainStore, StoreError, StoredBlock, TxPlace};
use super::switch::{Owner, Switch};
use super::transaction::Transaction;
use super::tree::{InvalidSet, SideBlock, SideTree};
use super::young::Young;
use crate::types::hash::{HashMany, sha256};
use crate::types::{Account, AccountName, Address, BlockHash, Height, NetworkId, PeerId, PublicKey, Txid, Work};

/// The most hashes in a locator: dense near the tip, then doubling steps, which is enough for any height.
pub const LOCATOR_MAX: usize = 32;
/// The hashes of a locator before its steps begin to double; most forks are shallow.
const LOCATOR_DENSE: usize = 8;
/// The first running number of own transactions. New ones count up from it; those that return from undone blocks, down.
const OWN_START: u64 = 1 << 32;

/// The end of the active branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The hash of the tip block.
    pub hash: BlockHash,
    /// The header of the tip block.
    pub header: Header,
    /// The branch's work up to and including the tip.
    pub work: Work,
}

/// The result of accepting a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The block was stored before; nothing changed.
    AlreadyKnown,
    /// The block is kept on a side branch. Its transactions are not checked against a ledger yet.
    Stored {
        /// The branch's work up to and including the block.
        work: Work,
    },
    /// The block is the new tip.
    Switched(Box<Switch>),
}

/// Why a block was not accepted. Nothing has changed, except that an invalid block is remembered as such.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AcceptError {
    /// The header breaks a rule, or its time is too far ahead of the clock.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The body breaks a rule that needs no ledger.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The parent is not stored.
    #[error("the parent {parent} is unknown")]
    UnknownParent {
        /// The hash of the missing parent.
        parent: BlockHash,
    },
    /// The ledger refuses a transaction of this block, or of a stored block below it.
    #[error("transaction {index} of block {block}: {error}")]
    Ledger {
        /// The hash of the invalid block.
        block: BlockHash,
        /// The index of the transaction in that block, from 0.
        index: usize,
        /// The rule of the ledger that it breaks.
        error: Box<LedgerError>,
    },
    /// The block or its parent was found invalid before.
    #[error("block {0} is known to be invalid")]
    KnownInvalid(BlockHash),
    /// The side branches are full, and all of them have more work than this one.
    #[error("side branches are full, and this one has the lowest work")]
    LowWork {
        /// The branch's work up to and including the block.
        work: Work,
    },
    /// The store failed; nothing is known about the block.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A trial ledger on top of the tip; its changes are dropped.
pub type Scratch<'a, S> = Ledger<'a, Overlay<S>>;

/// The end of a branch: hash, height, work, whether it is active, and the height of the last active block below it.
pub type BranchEnd = (BlockHash, Height, Work, bool, Height);

/// The block tree, its active branch and the ledger that results from it.
pub struct Chain<S> {
    pub(super) params: NetworkParams,
    pub(super) network_id: NetworkId,
    pub(super) rules: BodyRules,
    pub(super) owner: Owner,
    pub(super) overlay: Overlay<S>,
    pub(super) tip: Tip,
    pub(super) tree: SideTree,
    pub(super) invalid: InvalidSet,
    /// The running numbers of own transactions that are in use: the first, and one past the last.
    pub(super) own_numbers: (u64, u64),
    /// The accounts that the last blocks created.
    pub(super) young: Young,
    /// A long switch, if one is under way.
    pub(super) long: Option<Long>,
    pub(super) long_limits: LongLimits,
    /// Whether entries that the last long switch left beside the ledger may not be in their places yet.
    pub(super) unsettled: bool,
    /// The tip that is on disk.
    written: Tip,
    /// For each batch on its way to the disk: its number, and the tip after it.
    handed: VecDeque<(u64, Tip)>,
}

impl<S: ChainStore> Chain<S> {
    /// Opens the chain: reads the tip and the side branches. `secret` seeds the check of signatures in batches.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails, or holds the chain of another network.
    pub fn open(params: NetworkParams, store: S, secret: [u8; 32]) -> Result<Self, StoreError> {
        let mut chain = Self::unread(params, store, secret);
        chain.load()?;
        chain.load_young()?;
        Ok(chain)
    }

    /// Opens the chain of a store that nobody writes to meanwhile. What only the acceptance of blocks needs is not
    /// read.
    ///
    /// # Errors
    /// As [`Chain::open`].
    pub fn open_to_read(params: NetworkParams, store: S) -> Result<Self, StoreError> {
        let mut chain = Self::unread(params, store, [0; 32]);
        chain.load()?;
        Ok(chain)
    }

    fn unread(params: NetworkParams, store: S, secret: [u8; 32]) -> Self {
        let genesis = params.genesis();
        let tip = Tip {
            hash: genesis.hash(),
            header: genesis,
            work: Work::ZERO,
        };
        Self {
            network_id: params.network_id(),
            rules: BodyRules::new(&params, secret, HashMany::default()),
            owner: Owner::default(),
            overlay: Overlay::new(store),
            long: None,
            long_limits: LongLimits::default(),
            unsettled: false,
            written: tip.clone(),
            handed: VecDeque::new(),
            tip,
            params,
            tree: SideTree::default(),
            invalid: InvalidSet::default(),
            own_numbers: (OWN_START, OWN_START),
            young: Young::default(),
        }
    }

    /// The store below the changes that the disk does not have yet.
    pub const fn store(&self) -> &S {
        self.overlay.store()
    }

    /// A snapshot of the store with every committed batch, for reads on another thread.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn snapshot(&self) -> Result<S, StoreError>
    where
        S: Clone,
    {
        self.overlay.store().snapshot()
    }

    /// The damage that was found on the disk since the store was opened; none if there is none.
    pub fn damage(&self) -> Option<String> {
        self.overlay.store().damage()
    }

    /// Sets the key of this node. Transactions that it signed are kept as own ones when their block is undone.
    pub const fn set_own_key(&mut self, key: PublicKey) {
        self.owner.key = Some(key);
    }

    /// Sets the name that this node announces. Payments to it count as own while nobody owns it.
    pub fn set_own_name(&mut self, name: Option<AccountName>) {
        self.owner.name = name;
    }

    /// Sets a faster way to hash many messages.
    pub const fn set_hash_many(&mut self, many: HashMany) {
        self.rules.set_hash_many(many);
    }

    /// The way in which this chain hashes many messages.
    pub const fn hash_many(&self) -> HashMany {
        self.rules.hash_many()
    }

    /// Drops the changes that the disk does not have, and reads the tip anew.
    ///
    /// # Errors
    /// [`StoreError`] if the store still fails.
    pub fn reload(&mut self) -> Result<(), StoreError> {
        self.overlay.reset();
        self.load()?;
        self.load_young()
    }

    /// Drops the changes that the disk does not have, after a failed write; this also works while the store cannot be
    /// read. Returns the own transactions among them. The caller must call [`Chain::reload`] before the next block.
    pub fn forget_unwritten(&mut self) -> BTreeSet<Txid> {
        let lost = self.overlay.unwritten_own();
        self.tip = self.written.clone();
        self.handed.clear();
        // The tip is known already; the rest is read again at the latest when the store is open again.
        let _ = self.reload();
        lost
    }

    fn load(&mut self) -> Result<(), StoreError> {
        let genesis = BlockHash::new(*self.network_id.as_bytes());
        if self.overlay.active(Height::GENESIS)? != Some(genesis) {
            return Err(StoreError::Damaged("it holds the chain of another network".into()));
        }
        let (_, hash) = self.overlay.store().tip()?;
        let stored = self.expect_block(&hash)?;
        let mut tree = SideTree::default();
        for hash in self.overlay.side()? {
            tree.insert(side_block(hash, &self.expect_block(&hash)?));
        }
        let own = self.overlay.own(id_of)?;
        let first = own.first_key_value().map_or(OWN_START, |(number, _)| *number);
        let last = own
            .last_key_value()
            .map_or(OWN_START, |(number, _)| number.saturating_add(1));
        self.own_numbers = (first, last);
        self.unsettled = self.overlay.store().is_unsettled()?;
        self.long = None;
        self.tree = tree;
        self.tip = Tip {
            hash,
            header: stored.header,
            work: stored.work,
        };
        self.written = self.tip.clone();
        self.handed.clear();
        Ok(())
    }

    /// The parameters of the network.
    pub const fn params(&self) -> &NetworkParams {
        &self.params
    }

    /// The id of the network.
    pub const fn network_id(&self) -> NetworkId {
        self.network_id
    }

    /// The end of the active branch.
    pub const fn tip(&self) -> &Tip {
        &self.tip
    }

    /// The header, work and size of a stored block of any branch; none if it is not stored.
    ///
    /// # Errors
    /// [`StoreError`], as for all reads.
    pub fn block(&self, hash: &BlockHash) -> Result<Option<StoredBlock>, StoreError> {
        self.overlay.block(hash)
    }

    /// The canonical bytes of a stored block; none if it is not stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn body(&self, hash: &BlockHash) -> Result<Option<Vec<u8>>, StoreError> {
        self.overlay.body(hash)
    }

    /// A stored block; none if it is not stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn whole_block(&self, hash: &BlockHash) -> Result<Option<Block>, StoreError> {
        self.overlay.whole_block(hash)
    }

    /// The hash of the active block at a height; none above the tip.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn active(&self, height: Height) -> Result<Option<BlockHash>, StoreError> {
        self.overlay.active(height)
    }

    /// Whether a block is on the active branch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn is_active(&self, hash: &BlockHash) -> Result<bool, StoreError> {
        match self.overlay.block(hash)? {
            Some(stored) => Ok(self.overlay.active(stored.header.height)? == Some(*hash)),
            None => Ok(false),
        }
    }

    /// The state of an account at the tip; the default if it was never used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn account(&self, account: &Account) -> Result<AccountState, StoreError> {
        Ok(self.overlay.account(account)?.unwrap_or_default())
    }

    /// The key that owns an account at the tip; none for a free name. A key account belongs to its key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn owner(&self, account: &Account) -> Result<Option<PublicKey>, StoreError> {
        match account {
            Account::Key(key) => Ok(Some(*key)),
            Account::Name(_) => Ok(self.account(account)?.owner),
        }
    }

    /// The number of all accounts, and the first `limit` of them: names in order, then keys.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn accounts(&self, limit: usize) -> Result<(u64, Vec<(Account, AccountState)>), StoreError> {
        self.overlay.accounts(limit)
    }

    /// The position of a transaction in the active branch; none if it is not confirmed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn place(&self, txid: &Txid) -> Result<Option<TxPlace>, StoreError> {
        self.overlay.place(txid)
    }

    /// Ids of confirmed transactions that start with these hex digits (lower case), at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn places_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<Txid>, StoreError> {
        self.overlay.places_by_prefix(prefix, limit)
    }

    /// Hashes of stored blocks that start with these hex digits (lower case), at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn blocks_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<BlockHash>, StoreError> {
        self.overlay.blocks_by_prefix(prefix, limit)
    }

    /// Own unconfirmed transactions with their running numbers, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn own(&self) -> Result<Vec<(u64, Transaction)>, StoreError> {
        own_transactions(self.overlay.own(id_of)?)
    }

    /// Stops keeping own transactions that are confirmed.
    pub fn forget_own(&mut self, txids: &[Txid]) {
        let draft = self.overlay.draft();
        draft.own.extend(txids.iter().map(|txid| (*txid, None)));
        self.overlay.keep();
    }

    /// The ends of at most `limit` branches: the active one first, then the others, the most work first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tips(&self, limit: usize) -> Result<Vec<BranchEnd>, StoreError> {
        let height = self.tip.header.height;
        let mut tips = vec![(self.tip.hash, height, self.tip.work, true, height)];
        for block in self.tree.tips().take(limit.saturating_sub(1)) {
            let (_, fork) = self.tree.path_down(block.hash);
            let fork_height = self.expect_block(&fork)?.header.height;
            tips.push((block.hash, block.height, block.work, false, fork_height));
        }
        tips.truncate(limit);
        Ok(tips)
    }

    /// Hashes of active blocks by which a peer finds the last block that it shares: newest first, genesis last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn locator(&self) -> Result<Vec<BlockHash>, StoreError> {
        let mut locator = Vec::new();
        let mut height = self.tip.header.height.get();
        let mut step = 1_u64;
        while height > 0 && locator.len() < LOCATOR_MAX - 1 {
            locator.push(self.expect_active(Height::new(height))?);
            if locator.len() >= LOCATOR_DENSE {
                step = step.saturating_mul(2);
            }
            height = height.saturating_sub(step);
        }
        locator.push(self.expect_active(Height::GENESIS)?);
        Ok(locator)
    }

    /// Headers of the active branch after the first locator hash that is on it, or after genesis if none is; at most
    /// `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn headers_after(&self, locator: &[BlockHash], limit: usize) -> Result<Vec<Header>, StoreError> {
        let mut height = Height::GENESIS;
        for hash in locator.iter().take(LOCATOR_MAX) {
            if self.is_active(hash)? {
                height = self.expect_block(hash)?.header.height;
                break;
            }
        }
        let mut headers = Vec::new();
        while headers.len() < limit {
            height = height.next();
            let Some(hash) = self.active(height)? else { break };
            headers.push(self.expect_block(&hash)?.header);
        }
        Ok(headers)
    }

    /// Whether the block is remembered as invalid.
    pub fn is_invalid(&self, hash: &BlockHash) -> bool {
        self.invalid.contains(hash)
    }

    /// Whether a branch with this work and end wins over the active one.
    pub fn is_better(&self, work: Work, hash: &BlockHash) -> bool {
        work > self.tip.work || (work == self.tip.work && *hash < self.tip.hash)
    }

    /// A trial ledger on top of the tip; its changes are dropped.
    pub const fn scratch(&self) -> Scratch<'_, S> {
        Ledger::new(&self.params, &self.overlay)
    }

    /// Keeps an own transaction across restarts until it is confirmed.
    pub fn keep_own(&mut self, transaction: &Transaction) {
        let (_, next) = self.own_numbers;
        let entry = Some((next, transaction.to_bytes()));
        self.overlay.draft().own.insert(transaction.txid(), entry);
        self.own_numbers.1 = next.saturating_add(1);
        self.overlay.keep();
    }

    /// Remembers a peer's addresses across restarts; none deletes the peer.
    pub fn remember_peer(&mut self, peer: PeerId, addresses: Option<Vec<Address>>) {
        self.overlay.draft().peers.insert(peer, addresses);
        self.overlay.keep();
    }

    /// Protects the blocks of a branch that is being fetched, and all below them, from eviction. The branch's headers
    /// have proven more work than the active one has, which pays for the room. None ends the protection.
    pub fn set_protected(&mut self, hashes: Option<BTreeSet<BlockHash>>) {
        self.tree.protect(hashes.unwrap_or_default());
    }

    /// Sets a small cap on side blocks for tests: to mine as many as the real one allows takes too long.
    #[cfg(test)]
    pub(crate) const fn set_side_max(&mut self, blocks: usize) {
        self.tree.max_blocks = blocks;
    }

    /// The bytes of blocks that the disk does not have yet.
    pub const fn unwritten_bytes(&self) -> usize {
        self.overlay.unwritten_bytes()
    }

    /// The changes since the last call, to be written; none if there are none.
    pub fn take_batch(&mut self) -> Option<Batch> {
        let batch = self.overlay.take_batch()?;
        self.handed.push_back((batch.id, self.tip.clone()));
        Some(batch)
    }

    /// Takes note that the disk has this batch and all before it.
    pub fn committed(&mut self, id: u64) {
        self.overlay.committed(id);
        while self.handed.front().is_some_and(|(batch, _)| *batch <= id) {
            self.written = self
                .handed
                .pop_front()
                .map_or_else(|| self.written.clone(), |(_, tip)| tip);
        }
    }

    /// A block that the chain needs; its absence means that the store is damaged.
    pub(super) fn expect_block(&self, hash: &BlockHash) -> Result<StoredBlock, StoreError> {
        let found = self.overlay.block(hash)?;
        found.ok_or_else(|| StoreError::Damaged(format!("block {hash} is missing")))
    }

    fn expect_active(&self, height: Height) -> Result<BlockHash, StoreError> {
        let found = self.overlay.active(height)?;
        found.ok_or_else(|| StoreError::Damaged(format!("no active block at height {height}")))
    }
}

/// The entry of a stored block in the side tree.
pub(super) const fn side_block(hash: BlockHash, stored: &StoredBlock) -> SideBlock {
    SideBlock {
        hash,
        previous: stored.header.previous,
        height: stored.header.height,
        work: stored.work,
        size_bytes: stored.size_bytes,
    }
}

/// Decodes own transactions; they stay in the order of their running numbers.
pub(super) fn own_transactions(own: BTreeMap<u64, Vec<u8>>) -> Result<Vec<(u64, Transaction)>, StoreError> {
    let read = |(number, bytes): (u64, Vec<u8>)| match Transaction::from_bytes(&bytes) {
        Ok(transaction) => Ok((number, transaction)),
        Err(error) => Err(StoreError::Damaged(format!("own transaction: {error}"))),
    };
    own.into_iter().map(read).collect()
}

pub(super) fn id_of(bytes: &[u8]) -> Option<Txid> {
    // What was kept are the canonical bytes of a transaction, which its id is the hash of.
    Some(Txid::new(sha256(&[&[0], bytes])))
}
