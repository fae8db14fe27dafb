//! The chain's store on redb: one file, and one atomic and durable transaction for each commit.
//!
//! Promises: when [`RedbStore::commit`] returns, the disk has every batch; when it fails, none of them. A file that is
//! cut off, of another network or of a newer format is refused and unchanged. A panic inside redb, which trusts its
//! file, becomes [`StoreError::Damaged`].
//! Elsewhere: the byte layouts of records (`records`), the folder and its lock (`folder`).
//! Spec: `proto-notes/store.md`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::{ReadTransaction, ReadableDatabase, ReadableTableMetadata, StorageBackend};

use super::checked::rotten;
use super::histories::{self, Progress, STEP_BYTES};
use super::late::{Late, Turn};
use super::opening::{
    Open, create, identity, open_damaged, open_file, open_storage, open_to_read, refused, remove_sums, room,
};
use super::tables::{
    ACCOUNTS, BESIDE, EVERY_KEY, OWN, PEERS, SIDE, active, apply, collect, failed, get, tip, unpanicked, write,
};
use super::{OpenError, beside, blocks, files, index, records};
use crate::chain::{
    AccountState, AccountTag, Batch, Beside, Block, ChainStore, HistoryKey, NetworkParams, Spot, StoreError,
    StoredBlock,
};
use crate::types::layout::Reader;
use crate::types::{Account, Address, BlockHash, Height, PeerId, Txid};

/// A cheap handle to the chain file; clones share the file. Each read sees the last commit; a handle from
/// [`ChainStore::snapshot`] always sees the commit that was the last one then.
#[derive(Clone)]
pub struct RedbStore {
    shared: Arc<StoreInner>,
    /// The fixed state that this handle reads; none means the last commit.
    at: Option<Arc<Snapshot>>,
}

/// A fixed state of the store.
struct Snapshot {
    reading: ReadTransaction,
    /// What waited for the tables of the indexes then.
    late: Late,
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
struct StoreInner {
    path: PathBuf,
    params: NetworkParams,
    /// The open database; none after a failed attempt to reopen it.
    open: RwLock<Option<Open>>,
    /// Entries of the indexes that are not in their tables yet. A reader holds it from before its look at the file, so
    /// that it misses none which is just being written. It is locked after `open`.
    late: RwLock<Late>,
    /// The ids of the transactions in the blocks that were asked for last.
    recent: index::Recent,
    /// Held by the commit that is under way.
    committing: Mutex<()>,
    /// The damage that was found while the store was open; it stays set until the process ends.
    rot: OnceLock<String>,
    /// Whether the store was reopened after damage was found.
    reopened: AtomicBool,
    /// Whether promoted entries may not be in their places. It is set before the write that leaves them there, and
    /// never cleared, because a reader may still see an older state.
    may_be_unsettled: AtomicBool,
    /// Whether the keys in the file need no check any more.
    trusts_keys: AtomicBool,
}

impl Drop for StoreInner {
    fn drop(&mut self) {
        close(self.open.get_mut().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Closes the database. After a panic inside redb its locks may be poisoned, and closing panics too.
fn close(open: &mut Option<Open>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(open.take())));
}

impl RedbStore {
    /// Opens the chain file of a network, or creates one that holds the genesis block.
    ///
    /// # Errors
    /// [`OpenError`] with the reason; an existing file is unchanged then.
    pub fn open(path: &Path, params: &NetworkParams) -> Result<Self, OpenError> {
        Self::open_telling(path, params, &mut |_| ())
    }

    /// Opens as [`RedbStore::open`] does, and tells how far it is while it brings the file of an earlier version up to
    /// date. If that fails, the store is open without the index, which the next opening completes.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn open_telling(
        path: &Path,
        params: &NetworkParams,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<Self, OpenError> {
        if !files::exists(path).map_err(|error| OpenError::from_io(path, &error))? {
            create(path, params)?;
        }
        let store = Self::on(path, params, open_file(path, params)?);
        store.complete_history(tell)?;
        store.load_late()?;
        Ok(store)
    }

    /// Takes over the entries of the indexes that the opening made. If it could not make all, some are written first.
    fn load_late(&self) -> Result<(), OpenError> {
        let path = &self.shared.path;
        let mut open = self.shared.open.write().unwrap_or_else(PoisonError::into_inner);
        let taken = open.as_mut().and_then(|open| open.late.take());
        drop(open);
        let loaded = self.with(|open| {
            let reading = open.database.begin_read().map_err(failed)?;
            let taken = match taken {
                // An earlier version wrote the file, and now it is up to date.
                Some((late, _)) if !late.is_complete() && histories::is_complete(&reading)? => index::load(&reading)?,
                Some(taken) => taken,
                None => return Ok(Late::incomplete()),
            };
            drop(reading);
            index::write_first(&open.database, taken)
        });
        *self.late_mut() = loaded.map_err(|error| refused(path, error))?;
        Ok(())
    }

    fn late(&self) -> RwLockReadGuard<'_, Late> {
        self.shared.late.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn late_mut(&self) -> RwLockWriteGuard<'_, Late> {
        self.shared.late.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the indexes, if an earlier version wrote the file.
    fn complete_history(&self, tell: &mut dyn FnMut(Progress)) -> Result<(), OpenError> {
        // In tests even a small chain takes several steps.
        let step_bytes = if cfg!(test) { 1_024 } else { STEP_BYTES };
        let complete = |open: &Open| histories::complete(&open.database, step_bytes, tell);
        if self.with(complete).is_ok() {
            return Ok(());
        }
        // After a failed write redb answers nothing until it is opened again. Damage stays reported.
        match self.reopen() {
            Err(error) if self.damage().is_none() => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Opens a damaged chain file for reading only: the file is not changed, and its sound parts can be read.
    ///
    /// # Errors
    /// [`OpenError`] if nothing can be read, or if it belongs to another network.
    pub fn open_damaged(path: &Path, params: &NetworkParams) -> Result<Self, OpenError> {
        let open = open_damaged(path, params)?;
        Ok(Self::on(path, params, open))
    }

    fn on(path: &Path, params: &NetworkParams, open: Open) -> Self {
        let reading = open.database.begin_read().map_err(failed);
        let may_be_unsettled = reading
            .and_then(|reading| beside::is_promoted(&reading))
            .unwrap_or(true);
        let shared = Arc::new(StoreInner {
            path: path.to_path_buf(),
            params: params.clone(),
            open: RwLock::new(Some(open)),
            late: RwLock::new(Late::incomplete()),
            recent: index::Recent::default(),
            committing: Mutex::new(()),
            rot: OnceLock::new(),
            reopened: AtomicBool::new(false),
            may_be_unsettled: AtomicBool::new(may_be_unsettled),
            trusts_keys: AtomicBool::new(false),
        });
        Self { shared, at: None }
    }

    /// Opens a chain file for reading only: nothing is written to it, not even redb's repair after a crash.
    pub(super) fn open_to_read(path: &Path, params: &NetworkParams) -> Result<impl ChainStore + use<>, OpenError> {
        let store = Self::on(path, params, open_to_read(path, params)?);
        store.load_late()?;
        Ok(store)
    }

    /// Opens the store on two storages that the caller provides, for the chain file and its sums; used for simulated
    /// disks. The checks and promises are those of a file, except that [`RedbStore::reopen`] finds no file: such a
    /// store is dropped and made anew.
    ///
    /// # Errors
    /// [`OpenError`] with the reason.
    pub fn on_storage(
        storage: Box<dyn StorageBackend>,
        sums: Box<dyn StorageBackend>,
        params: &NetworkParams,
    ) -> Result<Self, OpenError> {
        let path = PathBuf::from("in memory");
        let (database, pages, late) = open_storage(storage, sums, &path, params)?;
        let open = Open {
            database,
            pages,
            late: Some(late),
            identity: None,
        };
        let store = Self::on(&path, params, open);
        store.complete_history(&mut |_| ())?;
        store.load_late()?;
        Ok(store)
    }

    /// Closes the file and opens it again, after a failed commit. All handles use the new opening.
    ///
    /// # Errors
    /// [`OpenError`] with the reason; reads and commits fail until a later call succeeds. A store with a damaged page
    /// is not reopened, so that its sound pages can still be read.
    pub fn reopen(&self) -> Result<(), OpenError> {
        let rot = self.shared.rot.get();
        if let (Some(reason), true) = (rot, self.shared.reopened.load(Ordering::Acquire)) {
            return Err(OpenError::damaged(&self.shared.path, reason));
        }
        let mut open = self.shared.open.write().unwrap_or_else(PoisonError::into_inner);
        close(&mut open);
        *open = Some(open_file(&self.shared.path, &self.shared.params)?);
        drop(open);
        match rot {
            None => self.load_late(),
            Some(reason) => {
                // After a write met the damage, redb refuses all reads. Reopening once makes the sound pages readable
                // again.
                self.shared.reopened.store(true, Ordering::Release);
                Err(OpenError::damaged(&self.shared.path, reason))
            }
        }
    }

    /// Writes batches in one atomic step, and returns when they are on disk.
    ///
    /// # Errors
    /// [`StoreError`]; readers then see none of the batches, and [`RedbStore::reopen`] must come before the next
    /// commit. If the disk failed in the very last write, all batches may be there after the reopening.
    pub fn commit(&self, batches: &[Batch]) -> Result<(), StoreError> {
        if let Some(reason) = self.shared.rot.get() {
            return Err(StoreError::Damaged(reason.clone()));
        }
        if batches.iter().any(|batch| batch.beside == Beside::Promote) {
            self.shared.may_be_unsettled.store(true, Ordering::Release);
        }
        self.write(|late| late.begin(batches), batches)
    }

    /// Writes the entries of the indexes that wait in memory, so that the next opening need not make them anew. To be
    /// called before the store is closed.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is lost.
    pub fn write_indexes(&self) -> Result<(), StoreError> {
        match self.shared.rot.get() {
            Some(reason) => Err(StoreError::Damaged(reason.clone())),
            None if self.late().is_empty() => Ok(()),
            None => self.write(|late| Ok(late.all()), &[]),
        }
    }

    fn write(
        &self,
        begin: impl FnOnce(&mut Late) -> Result<Turn, StoreError>,
        batches: &[Batch],
    ) -> Result<(), StoreError> {
        let _committing = self.shared.committing.lock().unwrap_or_else(PoisonError::into_inner);
        self.with(|open| {
            if identity(&self.shared.path) != open.identity {
                let path = self.shared.path.display();
                return Err(StoreError::Io(format!("{path} was moved or deleted")));
            }
            let mut turn = begin(&mut self.late_mut())?;
            write(&open.database, |transaction| {
                apply(transaction, batches)?;
                index::write_turn(transaction, &mut turn, batches)
            })?;
            self.late_mut().done(turn);
            Ok(())
        })
    }

    /// In bytes: what the file and its page sums use on the disk, what this user may still write there, and the size of
    /// the disk. None where the system does not say.
    #[must_use]
    pub fn room(&self) -> Option<(u64, u64, u64)> {
        room(&self.shared.path)
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&Open) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let open = self.shared.open.read().unwrap_or_else(PoisonError::into_inner);
        let open = open
            .as_ref()
            .ok_or_else(|| StoreError::Io("the store is closed".into()))?;
        let met = open.pages.met();
        let result = unpanicked(|| work(open));
        let Some(page) = open.pages.rot() else { return result };
        let reason = self.shared.rot.get_or_init(|| rotten(page));
        match result {
            // The result came from the cache or from sound pages.
            Ok(_) | Err(StoreError::Full | StoreError::Io(_)) if open.pages.met() == met => result,
            Ok(_) | Err(_) => Err(StoreError::Damaged(reason.clone())),
        }
    }

    /// The keys in the file need no check from now on.
    pub(super) fn set_trusted(&self) {
        self.shared.trusts_keys.store(true, Ordering::Release);
    }

    /// A reader of a value of this file.
    fn reader<'a>(&self, bytes: &'a [u8]) -> Reader<'a> {
        match self.shared.trusts_keys.load(Ordering::Acquire) {
            true => Reader::of_own_store(bytes),
            false => Reader::new(bytes),
        }
    }

    /// Must be read while a read transaction is open: whoever sees the state of a write also sees what was set before
    /// it.
    fn may_be_unsettled(&self) -> bool {
        self.shared.may_be_unsettled.load(Ordering::Acquire)
    }

    fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.with(|open| match &self.at {
            Some(at) => work(&at.reading),
            None => work(&open.database.begin_read().map_err(failed)?),
        })
    }

    fn read_index<T>(
        &self,
        work: impl FnOnce(&ReadTransaction, &Late) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with(|open| match &self.at {
            Some(at) => work(&at.reading, &at.late),
            None => {
                let late = self.late();
                work(&open.database.begin_read().map_err(failed)?, &late)
            }
        })
    }
}

/// Puts a newly made chain file in the place of a damaged one.
///
/// # Errors
/// The error of the system; one of the two files is in the place then.
pub fn replace(path: &Path, by: &Path) -> std::io::Result<()> {
    // The old sums are removed first, because they do not fit the new file, which the next opening checks completely.
    remove_sums(path)?;
    std::fs::rename(by, path)?;
    files::sync_folder_of(path)
}

impl ChainStore for RedbStore {
    fn tip(&self) -> Result<(Height, BlockHash), StoreError> {
        self.read(tip)
    }

    fn block(&self, hash: &BlockHash) -> Result<Option<StoredBlock>, StoreError> {
        self.read(|reading| blocks::block(reading, hash))
    }

    fn body(&self, hash: &BlockHash) -> Result<Option<Vec<u8>>, StoreError> {
        let body = self.read(|reading| blocks::body(reading, hash))?;
        match &body {
            Some(bytes) if !Block::header_of(bytes).is_ok_and(|header| header.hash() == *hash) => {
                Err(records::damaged("body", format_args!("it is not that of block {hash}")))
            }
            Some(_) | None => Ok(body),
        }
    }

    fn whole_block(&self, hash: &BlockHash) -> Result<Option<Block>, StoreError> {
        let Some(bytes) = self.body(hash)? else {
            return Ok(None);
        };
        Block::read(self.reader(&bytes))
            .map(Some)
            .map_err(|error| records::damaged("body", format_args!("block {hash}: {error}")))
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
        self.read(|reading| blocks::between(reading, (&first, &last), limit))
    }

    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError> {
        let key = records::account_key(account);
        let value = self.read(|reading| match self.may_be_unsettled() {
            true => beside::account(reading, &key),
            false => get(reading, ACCOUNTS, &key),
        })?;
        value.map(|value| records::state_from(self.reader(&value))).transpose()
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
        let state = records::beside_bytes(&value)?;
        state
            .map(|bytes| records::state_from(self.reader(bytes)))
            .transpose()
            .map(Some)
    }

    fn is_unsettled(&self) -> Result<bool, StoreError> {
        Ok(self.may_be_unsettled() && self.read(beside::is_promoted)?)
    }

    fn spots(&self, txid: &Txid) -> Result<Vec<Spot>, StoreError> {
        self.read_index(|reading, late| index::spots(reading, late, &self.shared.recent, txid))
    }

    fn spots_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<(Txid, Spot)>, StoreError> {
        self.read_index(|reading, late| index::spots_by_prefix(reading, late, &self.shared.recent, (prefix, limit)))
    }

    fn history(
        &self,
        tag: AccountTag,
        below: Option<HistoryKey>,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u16>)>, StoreError> {
        self.read_index(|reading, late| index::newest(reading, late, (tag, below), limit))
    }

    fn history_above(
        &self,
        above: Option<HistoryKey>,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u16>)>, StoreError> {
        self.read_index(|reading, late| index::above(reading, late, above, limit))
    }

    fn has_history(&self) -> Result<bool, StoreError> {
        self.read(histories::is_complete)
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
        let at = self.with(|open| {
            let late = self.late();
            let reading = open.database.begin_read().map_err(failed)?;
            let late = late.clone();
            Ok(Snapshot { reading, late })
        })?;
        Ok(Self {
            shared: Arc::clone(&self.shared),
            at: Some(Arc::new(at)),
        })
    }

    fn damage(&self) -> Option<String> {
        self.shared.rot.get().cloned()
    }
}

#[cfg(any(test, feature = "testing"))]
#[allow(
    clippy::unwrap_used,
    dead_code,
    reason = "tests alone call it, and not each build has all tests"
)]
pub(crate) mod testing;
