//! Changes that are not on disk yet, laid over the store: a read sees both as one.
//!
//! Promises: all changes of one step become visible together and leave in one batch, or vanish together.
//! Layers, newest first: the draft of the running step, the open batch, the batches on their way to the disk, the store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::block::Block;
use super::ledger::Accounts;
use super::store::{AccountState, Batch, Beside, ChainStore, Spot, StoreError, StoredBlock, TxPlace};
use crate::types::{Account, BlockHash, Height, Txid};

/// A store, and the changes that it does not have yet.
pub struct Overlay<S> {
    store: S,
    taken: VecDeque<Batch>,
    open: Batch,
    draft: Batch,
    last_id: u64,
    /// The bytes of the blocks in each batch on its way to the disk.
    unwritten: VecDeque<usize>,
    unwritten_bytes: usize,
}

/// How many positions are read for each one that is wanted, because a transaction seldom stood in more blocks than
/// this.
const STALE_FACTOR: usize = 4;

/// Selects one kind of record in a batch.
type Table<K, V> = fn(&Batch) -> &BTreeMap<K, Option<V>>;

impl<S: ChainStore> Overlay<S> {
    /// An overlay without any change.
    pub fn new(store: S) -> Self {
        Self {
            store,
            taken: VecDeque::new(),
            open: Batch::default(),
            draft: Batch::default(),
            last_id: 0,
            unwritten: VecDeque::new(),
            unwritten_bytes: 0,
        }
    }

    /// The store below the changes.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// The changes of the running step; all writes go here.
    pub const fn draft(&mut self) -> &mut Batch {
        &mut self.draft
    }

    /// Ends the running step: its changes become part of the open batch.
    pub fn keep(&mut self) {
        self.open.append(core::mem::take(&mut self.draft));
    }

    /// Ends the running step and drops its changes.
    pub fn discard(&mut self) {
        self.draft = Batch::default();
    }

    /// Hands the open batch over, if it holds any change. Reads still see it until [`Overlay::committed`] is called.
    pub fn take_batch(&mut self) -> Option<Batch> {
        self.open.id = 0;
        if self.open.is_empty() {
            return None;
        }
        self.last_id += 1;
        let mut batch = core::mem::take(&mut self.open);
        batch.id = self.last_id;
        let bytes = batch.blocks.values().flatten().map(|(_, bytes)| bytes.len()).sum();
        self.unwritten.push_back(bytes);
        self.unwritten_bytes += bytes;
        self.taken.push_back(batch.clone());
        Some(batch)
    }

    /// The bytes of blocks that were handed over and are not on disk yet.
    pub const fn unwritten_bytes(&self) -> usize {
        self.unwritten_bytes
    }

    /// Takes note that the disk has this batch and all before it.
    pub fn committed(&mut self, id: u64) {
        while self.taken.front().is_some_and(|batch| batch.id <= id) {
            self.taken.pop_front();
            self.unwritten_bytes -= self.unwritten.pop_front().unwrap_or(0);
        }
    }

    /// The ids of own unconfirmed transactions that the disk does not have yet.
    pub fn unwritten_own(&self) -> BTreeSet<Txid> {
        let changes = self.changes(|batch| &batch.own);
        let added = changes.into_iter().filter(|(_, kept)| kept.is_some());
        added.map(|(txid, _)| *txid).collect()
    }

    /// Drops every change that the disk does not have.
    pub fn reset(&mut self) {
        self.taken.clear();
        self.unwritten.clear();
        self.unwritten_bytes = 0;
        self.open = Batch::default();
        self.draft = Batch::default();
    }

    fn layers(&self) -> impl Iterator<Item = &Batch> {
        [&self.draft, &self.open].into_iter().chain(self.taken.iter().rev())
    }

    /// The value in the newest layer that knows the key. Outer none: no layer knows it. Inner none: it is deleted.
    fn find<'a, K: Ord + 'a, V>(&'a self, table: Table<K, V>, key: &K) -> Option<Option<&'a V>> {
        self.layers()
            .find_map(|batch| table(batch).get(key))
            .map(Option::as_ref)
    }

    /// All changes of one kind, with the newest value for each key.
    fn changes<'a, K: Ord + 'a, V>(&'a self, table: Table<K, V>) -> BTreeMap<&'a K, Option<&'a V>> {
        let batches = self.taken.iter().chain([&self.open, &self.draft]);
        batches
            .flat_map(|batch| table(batch).iter().map(|(key, value)| (key, value.as_ref())))
            .collect()
    }

    /// Reads as [`ChainStore::block`] does, with the changes on top.
    ///
    /// # Errors
    /// [`StoreError`], as for all reads here.
    pub fn block(&self, hash: &BlockHash) -> Result<Option<StoredBlock>, StoreError> {
        match self.find(|batch| &batch.blocks, hash) {
            Some(found) => Ok(found.map(|(block, _)| block.clone())),
            None => self.store.block(hash),
        }
    }

    /// Reads as [`ChainStore::body`] does, with the changes on top.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn body(&self, hash: &BlockHash) -> Result<Option<Vec<u8>>, StoreError> {
        match self.find(|batch| &batch.blocks, hash) {
            Some(found) => Ok(found.map(|(_, bytes)| bytes.clone())),
            None => self.store.body(hash),
        }
    }

    /// Reads as [`ChainStore::whole_block`] does, with the changes on top.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn whole_block(&self, hash: &BlockHash) -> Result<Option<Block>, StoreError> {
        match self.find(|batch| &batch.blocks, hash) {
            Some(None) => Ok(None),
            Some(Some((_, bytes))) => Block::from_bytes(bytes)
                .map(Some)
                .map_err(|error| StoreError::Damaged(format!("block {hash}: {error}"))),
            None => self.store.whole_block(hash),
        }
    }

    /// Reads as [`ChainStore::active`] does, with the changes on top.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn active(&self, height: Height) -> Result<Option<BlockHash>, StoreError> {
        match self.find(|batch| &batch.active, &height) {
            Some(found) => Ok(found.copied()),
            None => self.store.active(height),
        }
    }

    /// Reads as [`ChainStore::blocks_by_prefix`] does, with the changes on top.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn blocks_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<BlockHash>, StoreError> {
        let changes = self.changes(|batch| &batch.blocks);
        let stored = self
            .store
            .blocks_by_prefix(prefix, limit.saturating_add(changes.len()))?;
        let mut found: Vec<BlockHash> = stored.into_iter().filter(|hash| !changes.contains_key(hash)).collect();
        let added = changes.iter().filter(|(_, block)| block.is_some());
        found.extend(
            added
                .map(|(hash, _)| **hash)
                .filter(|hash| hash.to_string().starts_with(prefix)),
        );
        found.sort_unstable();
        found.truncate(limit);
        Ok(found)
    }

    /// Reads as [`ChainStore::accounts`] does, with the changes on top.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn accounts(&self, limit: usize) -> Result<(u64, Vec<(Account, AccountState)>), StoreError> {
        if self.layers().any(|batch| batch.beside == Beside::Promote) || self.store.is_unsettled()? {
            // For a moment after a long switch, its accounts can be read one by one, but not be listed.
            return Err(StoreError::Io(
                "a long switch is being written, ask again in a moment".into(),
            ));
        }
        let changes = self.changes(|batch| &batch.accounts);
        let (mut total, stored) = self.store.accounts(limit.saturating_add(changes.len()))?;
        let mut all: BTreeMap<Account, AccountState> = stored.into_iter().collect();
        for (account, state) in changes {
            let was = self.store.account(account)?.is_some();
            match state {
                Some(state) => all.insert(account.clone(), state.clone()),
                None => all.remove(account),
            };
            match (was, state.is_some()) {
                (false, true) => total = total.saturating_add(1),
                (true, false) => total = total.saturating_sub(1),
                (true, true) | (false, false) => {}
            }
        }
        Ok((total, all.into_iter().take(limit).collect()))
    }

    /// The position of a transaction in the active branch; none if it is not confirmed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn place(&self, txid: &Txid) -> Result<Option<TxPlace>, StoreError> {
        self.place_where(txid, |height| self.active(height))
    }

    /// The position of a transaction in the branch whose blocks `active` gives.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn place_where(
        &self,
        txid: &Txid,
        active: impl Fn(Height) -> Result<Option<BlockHash>, StoreError>,
    ) -> Result<Option<TxPlace>, StoreError> {
        let from = (*txid, Spot::FIRST);
        let layers = self.layers().flat_map(|batch| {
            let known = batch.places.range(from..);
            known.take_while(|(known, _)| known == txid)
        });
        let mut spots: Vec<Spot> = layers.map(|(_, spot)| *spot).collect();
        spots.extend(self.store.spots(txid)?);
        for spot in spots {
            if spot.is_in(active(spot.place.height)?.as_ref()) {
                return Ok(Some(spot.place));
            }
        }
        Ok(None)
    }

    /// Ids of confirmed transactions that start with these hex digits (lower case), at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn places_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<Txid>, StoreError> {
        let unwritten = self.layers().flat_map(|batch| &batch.places);
        let fits = |(txid, _): &&(Txid, Spot)| txid.to_string().starts_with(prefix);
        let mut spots: Vec<(Txid, Spot)> = unwritten.filter(fits).copied().collect();
        // Some of the positions of each transaction may be in blocks that are not active any more.
        spots.extend(self.store.spots_by_prefix(prefix, limit.saturating_mul(STALE_FACTOR))?);
        let mut found = BTreeSet::new();
        for (txid, spot) in spots {
            if spot.is_in(self.active(spot.place.height)?.as_ref()) {
                found.insert(txid);
            }
        }
        Ok(found.into_iter().take(limit).collect())
    }

    /// Reads an entry beside the ledger. See [`ChainStore::shadow`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn shadow(&self, account: &Account) -> Result<Option<Option<AccountState>>, StoreError> {
        self.shadow_below(0, account)
    }

    /// The entry beside the ledger in the layers from number `newest` on, the newest layer being 0.
    fn shadow_below(&self, newest: usize, account: &Account) -> Result<Option<Option<AccountState>>, StoreError> {
        for batch in self.layers().skip(newest) {
            if let Some(state) = batch.shadow.get(account) {
                return Ok(Some(state.clone()));
            }
            if !matches!(batch.beside, Beside::Keep | Beside::Settle(_)) {
                return Ok(None);
            }
        }
        self.store.shadow(account)
    }

    /// Whether a batch on its way to the disk changes the ledger or the entries beside it.
    pub fn is_ledger_on_the_way(&self) -> bool {
        let changes =
            |batch: &Batch| !batch.accounts.is_empty() || !batch.shadow.is_empty() || batch.beside != Beside::Keep;
        self.taken.iter().any(changes)
    }

    /// Whether a batch that is not on disk yet makes the entries beside the ledger part of it, or moves them to their
    /// places.
    pub fn is_settling(&self) -> bool {
        self.layers()
            .any(|batch| matches!(batch.beside, Beside::Promote | Beside::Settle(_)))
    }

    /// How many batches on their way to the disk are large: with positions, entries of the index of histories, entries beside the ledger, moves of such
    /// entries, or more than `own` own transactions.
    pub fn bulk_on_the_way(&self, own: usize) -> usize {
        let is_bulk = |batch: &&Batch| {
            let settles = matches!(batch.beside, Beside::Settle(_));
            settles
                || !batch.places.is_empty()
                || !batch.history.is_empty()
                || !batch.shadow.is_empty()
                || batch.own.len() > own
        };
        self.taken.iter().filter(is_bulk).count()
    }

    /// Own unconfirmed transactions by running number. The changes are keyed by id, so `id` computes it from the bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn own(&self, id: impl Fn(&[u8]) -> Option<Txid>) -> Result<BTreeMap<u64, Vec<u8>>, StoreError> {
        let changes = self.changes(|batch| &batch.own);
        let mut all = BTreeMap::new();
        for (number, bytes) in self.store.own()? {
            let changed = id(&bytes).is_some_and(|txid| changes.contains_key(&txid));
            if !changed {
                all.insert(number, bytes);
            }
        }
        all.extend(changes.into_values().flatten().cloned());
        Ok(all)
    }

    /// The hashes of all blocks that are stored but not active.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn side(&self) -> Result<Vec<BlockHash>, StoreError> {
        let changes = self.changes(|batch| &batch.side);
        let mut side = self.store.side()?;
        side.retain(|hash| !changes.contains_key(hash));
        side.extend(
            changes
                .iter()
                .filter(|(_, kept)| kept.is_some())
                .map(|(hash, _)| **hash),
        );
        Ok(side)
    }
}

impl<S: ChainStore> Accounts for Overlay<S> {
    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError> {
        for (place, batch) in self.layers().enumerate() {
            if let Some(state) = batch.accounts.get(account) {
                return Ok(state.clone());
            }
            // Read before the ledger: once the disk has the batch, the ledger holds the entry.
            if batch.beside == Beside::Promote
                && let Some(state) = self.shadow_below(place + 1, account)?
            {
                return Ok(state);
            }
        }
        self.store.account(account)
    }
}
