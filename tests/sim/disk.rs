//! A disk in memory with two files, a chain file and its sums: what is not synced may be lost in a power cut, in part and
//! torn.
//!
//! Promises: what was synced stays; of what came after, a cut keeps all, nothing, or any sectors in any order. Which of
//! them is decided by the seed and by where they lie, not by the order in which they were written.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lanchain::types::rng::Rng;
use redb::StorageBackend;

/// What a disk writes whole.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Change {
    Len(usize),
    Write(usize, Vec<u8>),
}

/// What is left of the writes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// All of them.
    All,
    /// None of them.
    Nothing,
    /// Any sectors, so that the last write may be torn.
    Part,
}

/// Both files' bytes: the chain file, and its sums.
pub(crate) type Files = [Vec<u8>; 2];

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
}

/// A handle on one of the files; clones share the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    inner: Arc<Mutex<Inner>>,
    file: usize,
}

impl Disk {
    pub(crate) fn new(files: Files) -> Self {
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

    /// The file with the sums.
    pub(crate) fn sums(&self) -> Self {
        Self {
            file: 1,
            ..self.clone()
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many changes succeed from now on; none: all.
    pub(crate) fn set_room(&self, changes: Option<u64>) {
        self.inner().room = changes;
    }

    pub(crate) fn has_little_room(&self) -> bool {
        self.inner().room.is_some()
    }

    /// The power goes after so many changes.
    pub(crate) fn cut_after(&self, changes: u64) {
        self.inner().power = Some(changes);
    }

    /// The disk as it is found after the power cut.
    pub(crate) fn after_cut(&self, kept: Kept, rng: &mut Rng) -> Self {
        let inner = self.inner();
        let salt = rng.next_u64();
        Self::new([0, 1].map(|file| inner.files[file].after_cut(kept, salt.wrapping_add(u64::from(file == 1)))))
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut inner = self.inner();
        spend(&mut inner)?;
        let file = &mut inner.files[self.file];
        apply(&mut file.bytes, &change);
        file.unsynced.push(change);
        Ok(())
    }
}

impl File {
    fn after_cut(&self, kept: Kept, salt: u64) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for change in &self.unsynced {
            match (kept, change) {
                (Kept::Nothing, _) => {}
                (Kept::All, change) => apply(&mut bytes, change),
                (Kept::Part, Change::Len(len)) => {
                    if keeps(salt, *len) {
                        apply(&mut bytes, change);
                    }
                }
                (Kept::Part, Change::Write(offset, data)) => {
                    for (number, sector) in data.chunks(SECTOR).enumerate() {
                        let at = offset + number * SECTOR;
                        if keeps(salt, at) {
                            apply(&mut bytes, &Change::Write(at, sector.to_vec()));
                        }
                    }
                }
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

fn keeps(salt: u64, place: usize) -> bool {
    Rng::new(salt ^ u64::try_from(place).unwrap_or(0)).below(2) == 0
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
        let mut inner = self.inner();
        spend(&mut inner)?;
        let file = &mut inner.files[self.file];
        let unsynced = std::mem::take(&mut file.unsynced);
        unsynced.iter().for_each(|change| apply(&mut file.synced, change));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(place(offset), data.to_vec()))
    }
}
