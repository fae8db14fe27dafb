//! A disk in memory with two files, the chain file and its sums, that keeps what was done to them in order.
//!
//! Promises: a power cut leaves everything before a file's last sync, and of what came after any part in any order, torn
//! at 512 bytes; a full disk refuses every change.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

use crate::chain::NetworkParams;
use crate::store::{OpenError, RedbStore};
use crate::types::rng::Rng;

/// What a disk writes whole.
const SECTOR: usize = 512;

/// Both files' bytes: the chain file, and its sums.
pub(crate) type Files = [Vec<u8>; 2];

/// What was done to a file, by its place in [`Files`].
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Len(usize, usize),
    Write(usize, usize, Vec<u8>),
    Sync(usize),
}

#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// Before the first change.
    start: Files,
    pub(crate) files: Files,
    pub(crate) changes: Vec<Change>,
    /// So many changes succeed yet; none: all of them.
    pub(crate) room: Option<usize>,
}

/// A handle on one of the files; clones share the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder {
    disk: Arc<Mutex<Disk>>,
    file: usize,
}

impl Recorder {
    pub(crate) fn on(files: &Files) -> Self {
        let recorder = Self::default();
        recorder.disk().start.clone_from(files);
        recorder.disk().files.clone_from(files);
        recorder
    }

    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }

    pub(crate) fn open(&self, params: &NetworkParams) -> Result<RedbStore, OpenError> {
        let sums = Self {
            file: 1,
            ..self.clone()
        };
        RedbStore::on_storage(Box::new(self.clone()), Box::new(sums), params)
    }

    /// What a power cut after the first of the changes may leave.
    pub(crate) fn cut_after(&self, changes: usize, rng: &mut Rng) -> Files {
        let disk = self.disk();
        let changes = &disk.changes[..changes];
        let synced = |file| {
            changes
                .iter()
                .rposition(|change| matches!(change, Change::Sync(at) if *at == file))
        };
        let safe = [synced(0), synced(1)];
        let mut files = disk.start.clone();
        for (at, change) in changes.iter().enumerate() {
            let (Change::Len(file, _) | Change::Write(file, ..) | Change::Sync(file)) = change;
            if safe[*file].is_some_and(|safe| at < safe) {
                apply(&mut files, change);
                continue;
            }
            match change {
                Change::Write(file, offset, data) => {
                    for (number, sector) in data.chunks(SECTOR).enumerate() {
                        if rng.below(2) == 0 {
                            let offset = offset + number * SECTOR;
                            apply(&mut files, &Change::Write(*file, offset, sector.to_vec()));
                        }
                    }
                }
                Change::Len(..) if rng.below(2) == 0 => apply(&mut files, change),
                Change::Len(..) | Change::Sync(_) => {}
            }
        }
        files
    }

    /// What a power cut may leave now.
    pub(crate) fn cut(&self, rng: &mut Rng) -> Files {
        let changes = self.disk().changes.len();
        self.cut_after(changes, rng)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut disk = self.disk();
        match &mut disk.room {
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(room) => *room -= 1,
            None => {}
        }
        apply(&mut disk.files, &change);
        disk.changes.push(change);
        Ok(())
    }
}

fn apply(files: &mut Files, change: &Change) {
    match change {
        Change::Len(file, len) => files[*file].resize(*len, 0),
        Change::Write(file, offset, data) => {
            let bytes = &mut files[*file];
            let end = offset + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*offset..end].copy_from_slice(data);
        }
        Change::Sync(_) => {}
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Recorder {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.disk().files[self.file].len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.disk();
        let end = place(offset) + out.len();
        let bytes = disk.files[self.file].get(place(offset)..end);
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Len(self.file, place(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(Change::Sync(self.file))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(self.file, place(offset), data.to_vec()))
    }
}
