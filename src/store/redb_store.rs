//! The chain's store on redb: one file, one atomic and durable transaction for each commit.
//!
//! Promises: when [`RedbStore::commit`] returns, the disk has every batch; when it fails, none of them. A file that is
//! cut off, of another network or of a newer format is refused and left as it was. A panic inside redb, which trusts
//! its file, becomes [`StoreError::Damaged`].
//! Elsewhere: the bytes of records (`records`), the folder and its lock (`folder`).
//! Spec: `proto-notes/store.md`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use redb::{ReadTransaction, ReadableDatabase, ReadableTableMetadata, StorageBackend};

use super::checked::rotten;
use super::opening::{Open, create, identity, open_damaged, open_file, open_storage, open_to_read, remove_sums, room};
use super::tables::{
    ACCOUNTS, BESIDE, EVERY_KEY, HEADERS, OWN, PEERS, PLACES, SIDE, active, apply, body, collect, failed, get, tip,
    unpanicked, write,
};
use super::{OpenError, beside, files, records};
use crate::chain::{AccountState, Batch, Beside, Block, ChainStore, NetworkParams, Spot, StoreError, StoredBlock};
use crate::types::{Account, Address, BlockHash, Height, PeerId, Txid};

/// Blocks in which a transaction stood that are looked at: branches that held it, the active one among them.
const SPOTS_MAX: usize = 1_024;

/// A cheap handle to the chain file; clones share it. Each read sees the last commit, or, through a handle from
/// [`ChainStore::snapshot`], what was there then.
#[derive(Clone)]
pub struct RedbStore {
    shared: Arc<Inner>,
    /// The state that is read; none: the last one.
    at: Option<Arc<ReadTransaction>>,
}

impl core::fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RedbStore")
            .field("shared", &self.shared)
            .field("is_snapshot", &self.at.is_some())
            .finish()
    }
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    params: NetworkParams,
    /// None after a reopening failed.
    open: RwLock<Option<Open>>,
    /// What rotted while the store was open: it stays so until the process ends.
    rot: OnceLock<String>,
    /// It was opened again after something rotted.
    reopened: AtomicBool,
    /// Entries of the ledger may not be in their places. Set before the write that leaves them there, and for good: a
    /// reader may see an older state.
    may_be_unsettled: AtomicBool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        close(self.open.get_mut().unwrap_or_else(PoisonError::into_inner));
    }
}

/// After a panic inside it redb's own locks may be poisoned, and closing panics too.
fn close(open: &mut Option<Open>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(open.take())));
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
        Ok(Self::on(path, params, open_file(path, params)?))
    }

    /// Opens a damaged chain file as far as that goes, for reading alone: it stays as it is, and what is sound can be read.
    ///
    /// # Errors
    /// [`OpenError`] if nothing can be read, or if it is another network's.
    pub fn open_damaged(path: &Path, params: &NetworkParams) -> Result<Self, OpenError> {
        let open = open_damaged(path, params)?;
        Ok(Self::on(path, params, open))
    }

    fn on(path: &Path, params: &NetworkParams, open: Open) -> Self {
        let reading = open.database.begin_read().map_err(failed);
        let may_be_unsettled = reading
            .and_then(|reading| beside::is_promoted(&reading))
            .unwrap_or(true);
        let shared = Arc::new(Inner {
            path: path.to_path_buf(),
            params: params.clone(),
            open: RwLock::new(Some(open)),
            rot: OnceLock::new(),
            reopened: AtomicBool::new(false),
            may_be_unsettled: AtomicBool::new(may_be_unsettled),
        });
        Self { shared, at: None }
    }

    /// Opens a chain file that may only be read: nothing is written to it, not even redb's repair after a crash.
    pub(super) fn open_to_read(path: &Path, params: &NetworkParams) -> Result<impl ChainStore + use<>, OpenError> {
        Ok(Self::on(path, params, open_to_read(path, params)?))
    }

    /// Opens the store on storages of the caller's own, for a chain file and its sums: for simulated disks. What is
    /// checked and promised is the same as for a file, except that [`RedbStore::reopen`] finds no file: such a store is
    /// dropped and made anew.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn on_storage(
        storage: Box<dyn StorageBackend>,
        sums: Box<dyn StorageBackend>,
        params: &NetworkParams,
    ) -> Result<Self, OpenError> {
        let path = PathBuf::from("in memory");
        let (database, pages) = open_storage(storage, sums, &path, params)?;
        let open = Open {
            database,
            pages,
            identity: None,
        };
        Ok(Self::on(&path, params, open))
    }

    /// Closes the file and opens it again, after a failed commit. The other handles follow.
    ///
    /// # Errors
    /// [`OpenError`]; reads and commits fail until another try succeeds. A store of which a page rotted is not opened again:
    /// what is sound can still be read.
    pub fn reopen(&self) -> Result<(), OpenError> {
        let rot = self.shared.rot.get();
        if let (Some(reason), true) = (rot, self.shared.reopened.load(Ordering::Acquire)) {
            return Err(OpenError::damaged(&self.shared.path, reason));
        }
        let mut open = self.shared.open.write().unwrap_or_else(PoisonError::into_inner);
        close(&mut open);
        *open = Some(open_file(&self.shared.path, &self.shared.params)?);
        match rot {
            None => Ok(()),
            Some(reason) => {
                // A write that met rot ended in an error, after which redb reads nothing either: once, for the readers.
                self.shared.reopened.store(true, Ordering::Release);
                Err(OpenError::damaged(&self.shared.path, reason))
            }
        }
    }

    /// Writes batches in one atomic step, and returns when the disk has them.
    ///
    /// # Errors
    /// [`StoreError`]; then readers see nothing of them, and [`RedbStore::reopen`] comes before the next commit. Were the
    /// disk to fail in the very last write, they may be there, all of them, after the reopening.
    pub fn commit(&self, batches: &[Batch]) -> Result<(), StoreError> {
        if let Some(reason) = self.shared.rot.get() {
            return Err(StoreError::Damaged(reason.clone()));
        }
        if batches.iter().any(|batch| batch.beside == Beside::Promote) {
            self.shared.may_be_unsettled.store(true, Ordering::Release);
        }
        self.with(|open| {
            if identity(&self.shared.path) != open.identity {
                let path = self.shared.path.display();
                return Err(StoreError::Io(format!("{path} was moved or deleted")));
            }
            write(&open.database, |transaction| apply(transaction, batches))
        })
    }

    /// What the file takes of its disk with the sums of its pages, what this user may still write there, and the size of the
    /// disk, in bytes; none where the system does not tell.
    #[must_use]
    pub fn room(&self) -> Option<(u64, u64, u64)> {
        room(&self.shared.path)
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    fn with<T>(&self, work: impl FnOnce(&Open) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let open = self.shared.open.read().unwrap_or_else(PoisonError::into_inner);
        let open = open
            .as_ref()
            .ok_or_else(|| StoreError::Io("the store is closed".into()))?;
        let met = open.pages.met();
        let result = unpanicked(|| work(open));
        let Some(page) = open.pages.rot() else { return result };
        let reason = self.shared.rot.get_or_init(|| rotten(page));
        match result {
            // What was read before, or is sound.
            Ok(_) | Err(StoreError::Full | StoreError::Io(_)) if open.pages.met() == met => result,
            Ok(_) | Err(_) => Err(StoreError::Damaged(reason.clone())),
        }
    }

    /// To be asked while a state is read: whoever sees that of a write sees what was set before it.
    fn may_be_unsettled(&self) -> bool {
        self.shared.may_be_unsettled.load(Ordering::Acquire)
    }

    fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.with(|open| match &self.at {
            Some(reading) => work(reading),
            None => work(&open.database.begin_read().map_err(failed)?),
        })
    }
}

/// Puts a chain file that was made anew in the place of a damaged one.
///
/// # Errors
/// Of the system; one of the two files is in the place then.
pub fn replace(path: &Path, by: &Path) -> std::io::Result<()> {
    // First: the sums are not those of the new file. At the next opening that is checked whole.
    remove_sums(path)?;
    std::fs::rename(by, path)?;
    files::sync_folder_of(path)
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
        let body = self.read(|reading| body(reading, hash))?;
        match &body {
            Some(bytes) if !Block::header_of(bytes).is_ok_and(|header| header.hash() == *hash) => {
                Err(records::damaged("body", format_args!("it is not that of block {hash}")))
            }
            Some(_) | None => Ok(body),
        }
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
        let key = records::account_key(account);
        let value = self.read(|reading| match self.may_be_unsettled() {
            true => beside::account(reading, &key),
            false => get(reading, ACCOUNTS, &key),
        })?;
        value.map(|value| records::state(&value)).transpose()
    }

    fn accounts(&self, limit: usize) -> Result<(u64, Vec<(Account, AccountState)>), StoreError> {
        self.read(|reading| {
            if self.may_be_unsettled() && beside::is_promoted(reading)? {
                return beside::accounts(reading, limit);
            }
            let total = reading.open_table(ACCOUNTS).map_err(failed)?.len().map_err(failed)?;
            let first = collect(reading, ACCOUNTS, EVERY_KEY, limit, |key, value| {
                Ok((records::account(key)?, records::state(value)?))
            })?;
            Ok((total, first))
        })
    }

    fn shadow(&self, account: &Account) -> Result<Option<Option<AccountState>>, StoreError> {
        let key = records::account_key(account);
        let value = self.read(
            |reading| match self.may_be_unsettled() && beside::is_promoted(reading)? {
                true => Ok(None),
                false => get(reading, BESIDE, &key),
            },
        )?;
        let Some(value) = value else { return Ok(None) };
        records::beside_bytes(&value)?.map(records::state).transpose().map(Some)
    }

    fn is_unsettled(&self) -> Result<bool, StoreError> {
        Ok(self.may_be_unsettled() && self.read(beside::is_promoted)?)
    }

    fn spots(&self, txid: &Txid) -> Result<Vec<Spot>, StoreError> {
        let first = txid.as_bytes();
        let last = [&first[..], &[0xff; 8]].concat();
        self.read(|reading| {
            collect(reading, PLACES, (first, &last), SPOTS_MAX, |key, value| {
                records::spot(key, value).map(|(_, spot)| spot)
            })
        })
    }

    fn spots_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<(Txid, Spot)>, StoreError> {
        let Some((first, last)) = records::prefix_range(prefix) else {
            return Ok(Vec::new());
        };
        let last = [&last[..], &[0xff; 8]].concat();
        self.read(|reading| collect(reading, PLACES, (&first, &last), limit, records::spot))
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

    fn snapshot(&self) -> Result<Self, StoreError> {
        let at = self.with(|open| open.database.begin_read().map_err(failed))?;
        Ok(Self {
            shared: Arc::clone(&self.shared),
            at: Some(Arc::new(at)),
        })
    }

    fn damage(&self) -> Option<String> {
        self.shared.rot.get().cloned()
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
