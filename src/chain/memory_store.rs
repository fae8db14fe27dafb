//! A store in memory, for tests and simulations. Its clones share their contents.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::block::Block;
use super::history::{AccountTag, HistoryEntries, HistoryKey};
use super::params::NetworkParams;
use super::store::{AccountState, Batch, Beside, ChainStore, Spot, StoreError, StoredBlock};
use crate::types::{Account, Address, BlockHash, Height, PeerId, Txid, Work};

/// A [`ChainStore`] whose tables are maps in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryStore {
    tables: Rc<RefCell<Tables>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tables {
    blocks: BTreeMap<BlockHash, (StoredBlock, Vec<u8>)>,
    active: BTreeMap<Height, BlockHash>,
    side: BTreeMap<BlockHash, ()>,
    accounts: BTreeMap<Account, AccountState>,
    shadow: BTreeMap<Account, Option<AccountState>>,
    /// How many entries count as unsettled, although this store moves them to their places at once.
    unsettled: usize,
    places: BTreeSet<(Txid, Spot)>,
    history: HistoryEntries,
    own: BTreeMap<Txid, (u64, Vec<u8>)>,
    peers: BTreeMap<PeerId, Vec<Address>>,
    damage: Option<String>,
}

fn write<K: Ord + Clone, V: Clone>(table: &mut BTreeMap<K, V>, changes: &BTreeMap<K, Option<V>>) {
    for (key, value) in changes {
        match value {
            Some(value) => table.insert(key.clone(), value.clone()),
            None => table.remove(key),
        };
    }
}

impl MemoryStore {
    /// A new store that holds the network's genesis block.
    #[must_use]
    pub fn new(params: &NetworkParams) -> Self {
        let header = params.genesis();
        let hash = header.hash();
        let genesis = Block {
            header: header.clone(),
            transactions: Vec::new(),
        };
        let bytes = genesis.to_bytes();
        let stored = StoredBlock {
            header,
            work: Work::ZERO,
            size_bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        };
        let mut tables = Tables::default();
        tables.blocks.insert(hash, (stored, bytes));
        tables.active.insert(Height::GENESIS, hash);
        Self {
            tables: Rc::new(RefCell::new(tables)),
        }
    }

    /// Applies a batch at once.
    pub fn commit(&self, batch: &Batch) {
        let mut tables = self.tables.borrow_mut();
        match batch.beside {
            Beside::Keep => {}
            Beside::Drop => tables.shadow.clear(),
            Beside::Settle(most) => tables.unsettled = tables.unsettled.saturating_sub(most.into()),
            Beside::Promote => {
                let shadow = core::mem::take(&mut tables.shadow);
                tables.unsettled = shadow.len();
                write(&mut tables.accounts, &shadow);
            }
        }
        tables.shadow.extend(batch.shadow.clone());
        write(&mut tables.blocks, &batch.blocks);
        write(&mut tables.active, &batch.active);
        write(&mut tables.side, &batch.side);
        write(&mut tables.accounts, &batch.accounts);
        tables.places.extend(batch.places.iter().copied());
        tables.history.extend(batch.history.clone());
        write(&mut tables.own, &batch.own);
        write(&mut tables.peers, &batch.peers);
    }

    /// Reports damage from now on, as a disk with a damaged page would; the contents stay as they are.
    #[cfg(test)]
    pub(crate) fn spoil(&self, what: &str) {
        self.tables.borrow_mut().damage = Some(what.into());
    }

    /// An independent store with the same contents.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            tables: Rc::new(RefCell::new(self.tables.borrow().clone())),
        }
    }
}

impl ChainStore for MemoryStore {
    fn snapshot(&self) -> Result<Self, StoreError> {
        Ok(self.copy())
    }

    fn tip(&self) -> Result<(Height, BlockHash), StoreError> {
        let tables = self.tables.borrow();
        let last = tables.active.last_key_value().map(|(height, hash)| (*height, *hash));
        last.ok_or_else(|| StoreError::Damaged("no active block".into()))
    }

    fn block(&self, hash: &BlockHash) -> Result<Option<StoredBlock>, StoreError> {
        Ok(self.tables.borrow().blocks.get(hash).map(|(block, _)| block.clone()))
    }

    fn body(&self, hash: &BlockHash) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables.borrow().blocks.get(hash).map(|(_, bytes)| bytes.clone()))
    }

    fn active(&self, height: Height) -> Result<Option<BlockHash>, StoreError> {
        Ok(self.tables.borrow().active.get(&height).copied())
    }

    fn side(&self) -> Result<Vec<BlockHash>, StoreError> {
        Ok(self.tables.borrow().side.keys().copied().collect())
    }

    fn blocks_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<BlockHash>, StoreError> {
        let tables = self.tables.borrow();
        let fits = |hash: &&BlockHash| hash.to_string().starts_with(prefix);
        Ok(tables.blocks.keys().filter(fits).take(limit).copied().collect())
    }

    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError> {
        Ok(self.tables.borrow().accounts.get(account).cloned())
    }

    fn accounts(&self, limit: usize) -> Result<(u64, Vec<(Account, AccountState)>), StoreError> {
        let tables = self.tables.borrow();
        let total = u64::try_from(tables.accounts.len()).unwrap_or(u64::MAX);
        let first = tables.accounts.iter().take(limit);
        Ok((
            total,
            first.map(|(account, state)| (account.clone(), state.clone())).collect(),
        ))
    }

    fn shadow(&self, account: &Account) -> Result<Option<Option<AccountState>>, StoreError> {
        Ok(self.tables.borrow().shadow.get(account).cloned())
    }

    fn is_unsettled(&self) -> Result<bool, StoreError> {
        Ok(self.tables.borrow().unsettled > 0)
    }

    fn spots(&self, txid: &Txid) -> Result<Vec<Spot>, StoreError> {
        let tables = self.tables.borrow();
        let later = tables.places.range((*txid, Spot::FIRST)..);
        let all = later.take_while(|(known, _)| known == txid);
        Ok(all.map(|(_, spot)| *spot).collect())
    }

    fn spots_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<(Txid, Spot)>, StoreError> {
        let tables = self.tables.borrow();
        let fits = |(txid, _): &&(Txid, Spot)| txid.to_string().starts_with(prefix);
        Ok(tables.places.iter().filter(fits).take(limit).copied().collect())
    }

    fn history(
        &self,
        tag: AccountTag,
        below: Option<HistoryKey>,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u16>)>, StoreError> {
        let tables = self.tables.borrow();
        let (first, last) = HistoryKey::range(tag);
        let older = tables.history.range(first..=last).rev();
        let older = older.filter(|(key, _)| below.is_none_or(|below| **key < below));
        Ok(older.take(limit).map(|(key, list)| (*key, list.clone())).collect())
    }

    fn history_above(
        &self,
        above: Option<HistoryKey>,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u16>)>, StoreError> {
        let tables = self.tables.borrow();
        let later = tables.history.iter();
        let later = later.filter(|(key, _)| above.is_none_or(|above| **key > above));
        Ok(later.take(limit).map(|(key, list)| (*key, list.clone())).collect())
    }

    fn own(&self) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let mut own: Vec<_> = self.tables.borrow().own.values().cloned().collect();
        own.sort_unstable();
        Ok(own)
    }

    fn peers(&self) -> Result<Vec<(PeerId, Vec<Address>)>, StoreError> {
        let tables = self.tables.borrow();
        Ok(tables.peers.iter().map(|(peer, list)| (*peer, list.clone())).collect())
    }

    fn damage(&self) -> Option<String> {
        self.tables.borrow().damage.clone()
    }
}
