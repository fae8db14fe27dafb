//! A disk in memory that keeps what was done to it in order.
//!
//! Promises: a power cut leaves everything before the last sync, and of what came after any part in any order, torn at
//! 512 bytes; a full disk refuses every change.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

use crate::chain::NetworkParams;
use crate::store::{OpenError, RedbStore};
use crate::types::rng::Rng;

/// What a disk writes whole.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
pub(crate) enum Change {
    Len(usize),
    Write(usize, Vec<u8>),
    Sync,
}

#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// Before the first change.
    start: Vec<u8>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) changes: Vec<Change>,
    /// So many changes succeed yet; none: all of them.
    pub(crate) room: Option<usize>,
}

/// A handle; clones share the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Disk>>);

impl Recorder {
    pub(crate) fn on(bytes: &[u8]) -> Self {
        let recorder = Self::default();
        recorder.disk().start = bytes.to_vec();
        recorder.disk().bytes = bytes.to_vec();
        recorder
    }

    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    pub(crate) fn open(&self, params: &NetworkParams) -> Result<RedbStore, OpenError> {
        RedbStore::on_storage(Box::new(self.clone()), params)
    }

    /// What a power cut after the first of the changes may leave.
    pub(crate) fn cut_after(&self, changes: usize, rng: &mut Rng) -> Vec<u8> {
        let disk = self.disk();
        let changes = &disk.changes[..changes];
        let synced = changes.iter().rposition(|change| matches!(change, Change::Sync));
        let (safe, unsafe_) = changes.split_at(synced.unwrap_or(0));
        let mut bytes = disk.start.clone();
        safe.iter().for_each(|change| apply(&mut bytes, change));
        for change in unsafe_ {
            match change {
                Change::Write(offset, data) => {
                    for (number, sector) in data.chunks(SECTOR).enumerate() {
                        if rng.below(2) == 0 {
                            apply(&mut bytes, &Change::Write(offset + number * SECTOR, sector.to_vec()));
                        }
                    }
                }
                Change::Len(_) if rng.below(2) == 0 => apply(&mut bytes, change),
                Change::Len(_) | Change::Sync => {}
            }
        }
        bytes
    }

    /// What a power cut may leave now.
    pub(crate) fn cut(&self, rng: &mut Rng) -> Vec<u8> {
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
        apply(&mut disk.bytes, &change);
        disk.changes.push(change);
        Ok(())
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
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Recorder {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.disk().bytes.len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.disk();
        let end = place(offset) + out.len();
        let bytes = disk.bytes.get(place(offset)..end);
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
