//! The chain's store on redb: one file, one atomic and durable transaction for each commit.
//!
//! Promises: when [`RedbStore::commit`] returns, the disk has every batch; when it fails, none of them. A file that is
//! cut off, of another network or of a newer format is refused and left as it was. A panic inside redb, which trusts
//! its file, becomes [`StoreError::Damaged`].
//! Elsewhere: the bytes of records (`records`), the folder and its lock (`folder`).
//! Spec: `proto-notes/store.md`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{ReadTransaction, ReadableDatabase, ReadableTableMetadata, StorageBackend};

use super::files::{Access, Owner};
use super::opening::{Open, check_file, create, identity, open_file, open_on_probation, open_storage};
use super::reading::FileToRead;
use super::tables::{
    ACCOUNTS, BODIES, EVERY_KEY, HEADERS, OWN, OWNERS, PEERS, PLACES, SIDE, UNDO, active, apply, collect, failed, get,
    tip, unpanicked, write,
};
use super::{OpenError, files, records};
use crate::chain::{AccountState, Batch, Block, ChainStore, NetworkParams, StoreError, StoredBlock, TxPlace, Undo};
use crate::types::{Account, AccountName, Address, BlockHash, Height, PeerId, PublicKey, Txid};

/// A cheap handle to the chain file; clones share it. Each read sees the last commit.
#[derive(Clone, Debug)]
pub struct RedbStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    params: NetworkParams,
    /// None after a reopening failed.
    open: RwLock<Option<Open>>,
}

impl RedbStore {
    /// Opens a network's chain file, or makes one that holds the genesis block.
    ///
    /// # Errors
    /// [`OpenError`]; an existing file is then as it was before.
    pub fn open(path: &Path, params: &NetworkParams) -> Result<Self, OpenError> {
        if !files::exists(path).map_err(|error| OpenError::from_io(path, &error))? {
            create(path, params)?;
        }
        let open = open_file(path, params)?;
        Ok(Self(Arc::new(Inner {
            path: path.to_path_buf(),
            params: params.clone(),
            open: RwLock::new(Some(open)),
        })))
    }

    /// Opens a chain file that may only be read: nothing is written to it, not even redb's repair after a crash.
    pub(super) fn open_to_read(path: &Path, params: &NetworkParams) -> Result<impl ChainStore + use<>, OpenError> {
        let file = check_file(path, Access::Read, Owner::Anybody)?;
        let (database, _held) = open_on_probation(Box::new(FileToRead(file)), path, params)?;
        let open = Open {
            database,
            identity: None,
        };
        Ok(Self(Arc::new(Inner {
            path: path.to_path_buf(),
            params: params.clone(),
            open: RwLock::new(Some(open)),
        })))
    }

    /// Opens the store on a storage of the caller's own, which holds a chain: for simulated disks. What is
    /// checked and promised is the same as for a file, except that [`RedbStore::reopen`] finds no file: such a store is
    /// dropped and made anew.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn on_storage(storage: Box<dyn StorageBackend>, params: &NetworkParams) -> Result<Self, OpenError> {
        let path = PathBuf::from("in memory");
        let database = open_storage(storage, &path, params)?;
        let open = Open {
            database,
            identity: None,
        };
        Ok(Self(Arc::new(Inner {
            path,
            params: params.clone(),
            open: RwLock::new(Some(open)),
        })))
    }

    /// Closes the file and opens it again, after a failed commit. The other handles follow.
    ///
    /// # Errors
    /// [`OpenError`]; reads and commits fail until another try succeeds.
    pub fn reopen(&self) -> Result<(), OpenError> {
        let mut open = self.0.open.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = open.take() {
            // After a panic inside it redb's own locks may be poisoned, and closing panics too.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(old)));
        }
        *open = Some(open_file(&self.0.path, &self.0.params)?);
        Ok(())
    }

    /// Writes batches in one atomic step, and returns when the disk has them.
    ///
    /// # Errors
    /// [`StoreError`]; then readers see nothing of them, and [`RedbStore::reopen`] comes before the next commit. Were the
    /// disk to fail in the very last write, they may be there, all of them, after the reopening.
    pub fn commit(&self, batches: &[Batch]) -> Result<(), StoreError> {
        self.with(|open| {
            if identity(&self.0.path) != open.identity {
                let path = self.0.path.display();
                return Err(StoreError::Io(format!("{path} was moved or deleted")));
            }
            write(&open.database, |transaction| apply(transaction, batches))
        })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    fn with<T>(&self, work: impl FnOnce(&Open) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let open = self.0.open.read().unwrap_or_else(PoisonError::into_inner);
        let open = open
            .as_ref()
            .ok_or_else(|| StoreError::Io("the store is closed".into()))?;
        unpanicked(|| work(open))
    }

    fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.with(|open| work(&open.database.begin_read().map_err(failed)?))
    }
}

impl ChainStore for RedbStore {
    fn tip(&self) -> Result<(Height, BlockHash), StoreError> {
        self.read(tip)
    }

    fn block(&self, hash: &BlockHash) -> Result<Option<StoredBlock>, StoreError> {
        let value = self.read(|reading| get(reading, HEADERS, hash.as_bytes()))?;
        value.map(|value| records::block(hash, &value)).transpose()
    }

    fn body(&self, hash: &BlockHash) -> Result<Option<Vec<u8>>, StoreError> {
        let body = self.read(|reading| get(reading, BODIES, hash.as_bytes()))?;
        match &body {
            Some(bytes) if !Block::header_of(bytes).is_ok_and(|header| header.hash() == *hash) => {
                Err(records::damaged("body", format_args!("it is not that of block {hash}")))
            }
            Some(_) | None => Ok(body),
        }
    }

    fn undo(&self, hash: &BlockHash) -> Result<Option<Undo>, StoreError> {
        let value = self.read(|reading| get(reading, UNDO, hash.as_bytes()))?;
        value.map(|value| records::undo(&value)).transpose()
    }

    fn active(&self, height: Height) -> Result<Option<BlockHash>, StoreError> {
        self.read(|reading| active(reading, height))
    }

    fn side(&self) -> Result<Vec<BlockHash>, StoreError> {
        self.read(|reading| {
            collect(reading, SIDE, EVERY_KEY, usize::MAX, |key, _| {
                records::hash("side block", key).map(BlockHash::new)
            })
        })
    }

    fn blocks_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<BlockHash>, StoreError> {
        let Some((first, last)) = records::prefix_range(prefix) else {
            return Ok(Vec::new());
        };
        self.read(|reading| {
            collect(reading, HEADERS, (&first, &last), limit, |key, _| {
                records::hash("header", key).map(BlockHash::new)
            })
        })
    }

    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError> {
        let value = self.read(|reading| get(reading, ACCOUNTS, &records::account_key(account)))?;
        value.map(|value| records::state(&value)).transpose()
    }

    fn accounts(&self, limit: usize) -> Result<(u64, Vec<(Account, AccountState)>), StoreError> {
        self.read(|reading| {
            let total = reading.open_table(ACCOUNTS).map_err(failed)?.len().map_err(failed)?;
            let first = collect(reading, ACCOUNTS, EVERY_KEY, limit, |key, value| {
                Ok((records::account(key)?, records::state(value)?))
            })?;
            Ok((total, first))
        })
    }

    fn names_of(&self, owner: &PublicKey, limit: usize) -> Result<Vec<AccountName>, StoreError> {
        let first = owner.as_bytes();
        let last = [&first[..], &[0xff; 33]].concat();
        self.read(|reading| {
            collect(reading, OWNERS, (first, &last), limit, |key, _| {
                records::owned_name(key)
            })
        })
    }

    fn place(&self, txid: &Txid) -> Result<Option<TxPlace>, StoreError> {
        let value = self.read(|reading| get(reading, PLACES, txid.as_bytes()))?;
        value.map(|value| records::place(&value)).transpose()
    }

    fn places_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<Txid>, StoreError> {
        let Some((first, last)) = records::prefix_range(prefix) else {
            return Ok(Vec::new());
        };
        self.read(|reading| {
            collect(reading, PLACES, (&first, &last), limit, |key, _| {
                records::hash("place", key).map(Txid::new)
            })
        })
    }

    fn own(&self) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let mut own =
            self.read(|reading| collect(reading, OWN, EVERY_KEY, usize::MAX, |_, value| records::own(value)))?;
        own.sort_unstable();
        Ok(own)
    }

    fn peers(&self) -> Result<Vec<(PeerId, Vec<Address>)>, StoreError> {
        self.read(|reading| collect(reading, PEERS, EVERY_KEY, usize::MAX, records::peer))
    }
}

/// What only tests do to a store.
#[cfg(any(test, feature = "fuzzing"))]
#[allow(
    clippy::unwrap_used,
    dead_code,
    reason = "tests alone call it, and not each build has all tests"
)]
pub(crate) mod testing {
    use redb::WriteTransaction;

    use super::super::opening::META_FORMAT;
    use super::super::tables::{META, put};
    use super::*;

    /// Applies batches and then fails, as a full disk would.
    pub(crate) fn fail_after(store: &RedbStore, batches: &[Batch]) -> Result<(), StoreError> {
        store.with(|open| {
            write(&open.database, |transaction| {
                apply(transaction, batches)?;
                Err(StoreError::Io("the disk is full".into()))
            })
        })
    }

    /// Pretends that a newer version wrote the file.
    pub(crate) fn set_format(store: &RedbStore, format: u32) {
        let set = |transaction: &WriteTransaction| {
            let mut meta = transaction.open_table(META).map_err(failed)?;
            put(&mut meta, META_FORMAT, &format.to_be_bytes())
        };
        store.with(|open| write(&open.database, set)).unwrap();
    }

    /// Makes a new chain file in a storage of the test's own.
    pub(crate) fn create_on(storage: impl StorageBackend, params: &NetworkParams) -> Result<(), StoreError> {
        super::super::opening::create_in(storage, params)
    }
}
