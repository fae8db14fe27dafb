//! A disk in memory with two files, a chain file and its sums: what is not synced may be lost in a power cut, in part and
//! torn.
//!
//! Promises: what was synced stays; of what came after, a cut keeps all, nothing, or any sectors in any order, as the
//! seed decides; a full disk refuses every change. A disk that records can be had as it was after any change.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::chain::NetworkParams;
use crate::store::{OpenError, RedbStore};
use crate::types::rng::Rng;

/// What a disk writes whole.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Change {
    Len(usize),
    Write(usize, Vec<u8>),
    Sync,
}

/// What is left of the writes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// All of them.
    All,
    /// None of them.
    Nothing,
    /// Any sectors, so that the last write may be torn; which is decided by where they lie, not by the order in which
    /// they were written.
    Part,
    /// Any sectors of any writes, each for itself: an older write of a sector may stay where a newer one is lost.
    Any,
}

/// Both files' bytes: the chain file, and its sums.
pub type Files = [Vec<u8>; 2];

#[derive(Debug, Default)]
struct File {
    /// As the running process sees it.
    bytes: Vec<u8>,
    /// As a power cut would leave it at least.
    synced: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug, Default)]
struct Inner {
    files: [File; 2],
    /// So many changes succeed yet; none: all of them.
    room: Option<u64>,
    /// After so many changes the power goes; none: it stays.
    power: Option<u64>,
    /// How many changes succeeded.
    changes: usize,
    record: Option<Record>,
}

/// Every change since the start, with the file that it is of.
#[derive(Debug)]
struct Record {
    start: Files,
    changes: Vec<(usize, Change)>,
}

/// A handle on one of the files; clones share the disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    inner: Arc<Mutex<Inner>>,
    file: usize,
}

impl Disk {
    pub fn new(files: Files) -> Self {
        let files = files.map(|bytes| File {
            synced: bytes.clone(),
            bytes,
            unsynced: Vec::new(),
        });
        let inner = Inner {
            files,
            ..Inner::default()
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            file: 0,
        }
    }

    /// A disk that keeps what was done to it.
    pub fn recording(files: Files) -> Self {
        let disk = Self::new(files.clone());
        disk.inner().record = Some(Record {
            start: files,
            changes: Vec::new(),
        });
        disk
    }

    /// The store that these files are.
    pub fn open(&self, params: &NetworkParams) -> Result<RedbStore, OpenError> {
        RedbStore::on_storage(Box::new(self.clone()), Box::new(self.sums()), params)
    }

    /// Both files as the running process sees them.
    pub fn files(&self) -> Files {
        self.inner().files.each_ref().map(|file| file.bytes.clone())
    }

    /// How many changes succeeded so far.
    pub fn changes(&self) -> usize {
        self.inner().changes
    }

    /// The disk as it was after so many changes of those that were recorded.
    pub fn as_of(&self, changes: usize) -> Self {
        let inner = self.inner();
        let record = inner.record.as_ref().expect("a disk that records");
        let disk = Self::new(record.start.clone());
        for (file, change) in &record.changes[..changes] {
            disk.inner().files[*file].take(change.clone());
        }
        disk
    }

    /// The file with the sums.
    pub fn sums(&self) -> Self {
        Self {
            file: 1,
            ..self.clone()
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many changes succeed from now on; none: all.
    pub fn set_room(&self, changes: Option<u64>) {
        self.inner().room = changes;
    }

    pub fn has_little_room(&self) -> bool {
        self.inner().room.is_some()
    }

    /// The power goes after so many changes.
    pub fn cut_after(&self, changes: u64) {
        self.inner().power = Some(changes);
    }

    /// What is found on the disk after the power cut.
    pub fn after_cut(&self, kept: Kept, rng: &mut Rng) -> Files {
        let inner = self.inner();
        let salt = rng.next_u64();
        [0, 1].map(|file| inner.files[file].after_cut(kept, salt.wrapping_add(u64::from(file == 1))))
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut inner = self.inner();
        spend(&mut inner)?;
        inner.changes += 1;
        if let Some(record) = &mut inner.record {
            record.changes.push((self.file, change.clone()));
        }
        inner.files[self.file].take(change);
        Ok(())
    }
}

impl File {
    fn take(&mut self, change: Change) {
        if matches!(change, Change::Sync) {
            let unsynced = std::mem::take(&mut self.unsynced);
            unsynced.iter().for_each(|change| apply(&mut self.synced, change));
        } else {
            apply(&mut self.bytes, &change);
            self.unsynced.push(change);
        }
    }

    fn after_cut(&self, kept: Kept, salt: u64) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        let mut rng = Rng::new(salt);
        let mut keeps = |at: usize| match kept {
            Kept::All => true,
            Kept::Nothing => false,
            Kept::Part => Rng::new(salt ^ u64::try_from(at).unwrap_or(0)).below(2) == 0,
            Kept::Any => rng.below(2) == 0,
        };
        for change in &self.unsynced {
            match change {
                Change::Write(offset, data) => {
                    for (number, sector) in data.chunks(SECTOR).enumerate() {
                        let at = offset + number * SECTOR;
                        if keeps(at) {
                            apply(&mut bytes, &Change::Write(at, sector.to_vec()));
                        }
                    }
                }
                Change::Len(len) if keeps(*len) => apply(&mut bytes, change),
                Change::Len(_) | Change::Sync => {}
            }
        }
        bytes
    }
}

/// Whether the disk takes one more change.
fn spend(inner: &mut Inner) -> io::Result<()> {
    match &mut inner.power {
        Some(0) => return Err(io::Error::other("the power is gone")),
        Some(left) => *left -= 1,
        None => {}
    }
    match &mut inner.room {
        Some(0) => Err(io::ErrorKind::StorageFull.into()),
        Some(left) => {
            *left -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Len(len) => bytes.resize(*len, 0),
        Change::Write(offset, data) => {
            let end = offset + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*offset..end].copy_from_slice(data);
        }
        Change::Sync => {}
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).expect("simulated disks are small")
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.inner().files[self.file].bytes.len()).unwrap_or(u64::MAX))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.inner();
        let end = place(offset) + out.len();
        let bytes = inner.files[self.file].bytes.get(place(offset)..end);
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Len(place(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(Change::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(place(offset), data.to_vec()))
    }
}
