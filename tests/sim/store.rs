//! A node's store in the simulation: the real one on a simulated disk, or tables in memory for big worlds.
//!
//! Promises: engine and writer share it; a crash keeps what was committed, and of a commit under way all or nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use lanchain::chain::memory_store::MemoryStore;
use lanchain::chain::{
    AccountState, AccountTag, Batch, ChainStore, HistoryKey, NetworkParams, Spot, StoreError, StoredBlock,
};
use lanchain::store::RedbStore;
use lanchain::testing::disk::{Disk, Files, Kept};
use lanchain::types::rng::Rng;
use lanchain::types::{Account, Address, BlockHash, Height, PeerId, Txid};

/// Which store a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Redb,
}

enum Inner {
    Memory {
        store: MemoryStore,
        fails_in: Option<u64>,
    },
    /// The store is none between a failed and a successful reopening.
    Redb {
        store: Option<RedbStore>,
        disk: Disk,
    },
}

/// A handle; clones share the store.
#[derive(Clone)]
pub(crate) struct SimStore {
    inner: Rc<RefCell<Inner>>,
    params: Rc<NetworkParams>,
}

impl SimStore {
    /// A new store with the genesis block.
    pub(crate) fn new(kind: Kind, params: &NetworkParams) -> Self {
        let inner = match kind {
            Kind::Memory => Inner::Memory {
                store: MemoryStore::new(params),
                fails_in: None,
            },
            Kind::Redb => {
                let disk = Disk::new(template(params));
                let store = disk.open(params).expect("a new chain file opens");
                Inner::Redb {
                    store: Some(store),
                    disk,
                }
            }
        };
        Self {
            inner: Rc::new(RefCell::new(inner)),
            params: Rc::new(params.clone()),
        }
    }

    /// The writer's commit.
    pub(crate) fn commit(&self, batches: &[Batch]) -> Result<(), StoreError> {
        match &mut *self.inner.borrow_mut() {
            Inner::Memory { store, fails_in } => {
                match fails_in {
                    Some(0) => return Err(StoreError::Io("no space left".into())),
                    Some(left) => *left -= 1,
                    None => {}
                }
                batches.iter().for_each(|batch| store.commit(batch));
                Ok(())
            }
            Inner::Redb { store, .. } => match store {
                Some(store) => store.commit(batches),
                None => Err(StoreError::Io("the store is closed".into())),
            },
        }
    }

    /// The writer's reopening after a failure.
    pub(crate) fn reopen(&self) -> Result<(), String> {
        match &mut *self.inner.borrow_mut() {
            Inner::Memory { fails_in, .. } if fails_in.is_some() => Err("no space left".into()),
            Inner::Memory { .. } => Ok(()),
            Inner::Redb { store, disk } => {
                close(store);
                *store = Some(disk.open(&self.params).map_err(|error| error.to_string())?);
                Ok(())
            }
        }
    }

    /// The disk takes so many more changes (memory: commits); none: as many as come.
    pub(crate) fn set_room(&self, changes: Option<u64>) {
        match &mut *self.inner.borrow_mut() {
            Inner::Memory { fails_in, .. } => *fails_in = changes.map(|count| count / 8),
            Inner::Redb { disk, .. } => disk.set_room(changes),
        }
    }

    /// Whether the disk takes no more changes, now or soon.
    pub(crate) fn is_full(&self) -> bool {
        match &*self.inner.borrow() {
            Inner::Memory { fails_in, .. } => fails_in.is_some(),
            Inner::Redb { disk, .. } => disk.has_little_room(),
        }
    }

    /// The process ends, with the power if `kept` says so, in the middle of writing these batches.
    pub(crate) fn crash(&self, writing: &[Batch], kept: Kept, rng: &mut Rng) {
        match &mut *self.inner.borrow_mut() {
            Inner::Memory { store, fails_in } => {
                if kept == Kept::All || kept == Kept::Part && rng.below(2) == 0 {
                    writing.iter().for_each(|batch| store.commit(batch));
                }
                *fails_in = None;
            }
            Inner::Redb { store, disk } => {
                disk.set_room(None);
                let steps = rng.below(40);
                if let (Some(open), false) = (store.as_ref(), writing.is_empty()) {
                    disk.cut_after(steps);
                    let _ = open.commit(writing);
                }
                disk.cut_after(0);
                let left = disk.after_cut(kept, rng);
                close(store);
                *disk = Disk::new(left);
            }
        }
    }

    /// Opens what a crash or a stop left.
    pub(crate) fn restart(&self) -> Result<(), String> {
        match &mut *self.inner.borrow_mut() {
            Inner::Memory { .. } => Ok(()),
            Inner::Redb { store, disk } => {
                close(store);
                *store = Some(disk.open(&self.params).map_err(|error| error.to_string())?);
                Ok(())
            }
        }
    }

    fn read<T>(&self, work: impl FnOnce(&dyn ChainStore) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &*self.inner.borrow() {
            Inner::Memory { store, .. } => work(store),
            Inner::Redb { store: Some(store), .. } => work(store),
            Inner::Redb { store: None, .. } => Err(StoreError::Io("the store is closed".into())),
        }
    }
}

/// A process that ends closes nothing; here the handle must go, and redb may not like how the disk ended.
fn close(store: &mut Option<RedbStore>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(store.take())));
}

/// The bytes of a fresh chain file and of its sums, made once for each network.
fn template(params: &NetworkParams) -> Files {
    static MADE: Mutex<BTreeMap<[u8; 32], Files>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.entry(*params.network_id().as_bytes())
        .or_insert_with(|| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("chain.redb");
            drop(RedbStore::open(&path, params).expect("a new chain file"));
            [path.clone(), path.with_extension("sums")]
                .map(|path| std::fs::read(path).expect("a file that was just made"))
        })
        .clone()
}

impl ChainStore for SimStore {
    fn tip(&self) -> Result<(Height, BlockHash), StoreError> {
        self.read(|store| store.tip())
    }
    fn block(&self, hash: &BlockHash) -> Result<Option<StoredBlock>, StoreError> {
        self.read(|store| store.block(hash))
    }
    fn body(&self, hash: &BlockHash) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|store| store.body(hash))
    }
    fn active(&self, height: Height) -> Result<Option<BlockHash>, StoreError> {
        self.read(|store| store.active(height))
    }
    fn side(&self) -> Result<Vec<BlockHash>, StoreError> {
        self.read(|store| store.side())
    }
    fn blocks_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<BlockHash>, StoreError> {
        self.read(|store| store.blocks_by_prefix(prefix, limit))
    }
    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError> {
        self.read(|store| store.account(account))
    }
    fn accounts(&self, limit: usize) -> Result<(u64, Vec<(Account, AccountState)>), StoreError> {
        self.read(|store| store.accounts(limit))
    }
    fn shadow(&self, account: &Account) -> Result<Option<Option<AccountState>>, StoreError> {
        self.read(|store| store.shadow(account))
    }
    fn spots(&self, txid: &Txid) -> Result<Vec<Spot>, StoreError> {
        self.read(|store| store.spots(txid))
    }
    fn spots_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<(Txid, Spot)>, StoreError> {
        self.read(|store| store.spots_by_prefix(prefix, limit))
    }
    fn history(
        &self,
        tag: AccountTag,
        below: Option<HistoryKey>,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u16>)>, StoreError> {
        self.read(|store| store.history(tag, below, limit))
    }
    fn history_above(
        &self,
        above: Option<HistoryKey>,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u16>)>, StoreError> {
        self.read(|store| store.history_above(above, limit))
    }
    fn own(&self) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.read(|store| store.own())
    }
    fn peers(&self) -> Result<Vec<(PeerId, Vec<Address>)>, StoreError> {
        self.read(|store| store.peers())
    }
}
