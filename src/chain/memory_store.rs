//! A store without a disk, for tests and simulations. Clones share their contents.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::block::Block;
use super::params::NetworkParams;
use super::store::{AccountState, Batch, ChainStore, StoreError, StoredBlock, TxPlace, Undo};
use crate::types::{Account, AccountName, Address, BlockHash, Height, PeerId, PublicKey, Txid, Work};

/// Tables in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryStore {
    tables: Rc<RefCell<Tables>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tables {
    blocks: BTreeMap<BlockHash, (StoredBlock, Vec<u8>)>,
    undo: BTreeMap<BlockHash, Undo>,
    active: BTreeMap<Height, BlockHash>,
    side: BTreeMap<BlockHash, ()>,
    accounts: BTreeMap<Account, AccountState>,
    places: BTreeMap<Txid, TxPlace>,
    own: BTreeMap<Txid, (u64, Vec<u8>)>,
    peers: BTreeMap<PeerId, Vec<Address>>,
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

    /// Applies a batch.
    pub fn commit(&self, batch: &Batch) {
        let mut tables = self.tables.borrow_mut();
        write(&mut tables.blocks, &batch.blocks);
        write(&mut tables.undo, &batch.undo);
        write(&mut tables.active, &batch.active);
        write(&mut tables.side, &batch.side);
        write(&mut tables.accounts, &batch.accounts);
        write(&mut tables.places, &batch.places);
        write(&mut tables.own, &batch.own);
        write(&mut tables.peers, &batch.peers);
    }

    /// A store of its own with the same contents.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            tables: Rc::new(RefCell::new(self.tables.borrow().clone())),
        }
    }
}

impl ChainStore for MemoryStore {
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

    fn undo(&self, hash: &BlockHash) -> Result<Option<Undo>, StoreError> {
        Ok(self.tables.borrow().undo.get(hash).cloned())
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

    fn names_of(&self, owner: &PublicKey, limit: usize) -> Result<Vec<AccountName>, StoreError> {
        let tables = self.tables.borrow();
        let owned = tables.accounts.iter().filter_map(|(account, state)| match account {
            Account::Name(name) if state.owner == Some(*owner) => Some(name.clone()),
            Account::Name(_) | Account::Key(_) => None,
        });
        Ok(owned.take(limit).collect())
    }

    fn place(&self, txid: &Txid) -> Result<Option<TxPlace>, StoreError> {
        Ok(self.tables.borrow().places.get(txid).copied())
    }

    fn places_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<Txid>, StoreError> {
        let tables = self.tables.borrow();
        let fits = |txid: &&Txid| txid.to_string().starts_with(prefix);
        Ok(tables.places.keys().filter(fits).take(limit).copied().collect())
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
}
