//! A data folder that is only read: on a read-only disk, of another user, or one that no node uses now.
//!
//! Promises: nothing in the folder is created, changed or removed. A folder that a node holds is refused, if its lock
//! can be seen.
//! Elsewhere: locking a folder for a node (`folder`).
//! Spec: `proto-notes/store.md`, "Folders".

use std::fs::{File, TryLockError};
use std::io;
use std::ops::Bound;
use std::path::Path;

use redb::{BackendError, StorageBackend};

use super::files::{self, Access, Owner};
use super::folder::{CHAIN_FILE, LOCK_FILE, check_network, process};
use super::{OpenError, RedbStore};
use crate::chain::{ChainStore, NetworkParams};

/// A folder that is being read. No node can take it while this value lives.
#[derive(Debug)]
pub struct Reading {
    _lock: Option<File>,
}

impl Reading {
    /// Opens a folder and its chain. The caller must drop the store first.
    ///
    /// # Errors
    /// [`OpenError`]: the folder is of another network, in use, damaged, or unreadable for this user.
    pub fn open(folder: &Path, network: &NetworkParams) -> Result<(impl ChainStore + use<>, Self), OpenError> {
        check_network(folder, network, Owner::Anybody)?;
        let lock = lock(folder)?;
        let store = RedbStore::open_to_read(&folder.join(CHAIN_FILE), network)?;
        Ok((store, Self { _lock: lock }))
    }
}

/// Locks the folder against nodes where that is possible. A copy may have no lock file, or this user may not open it.
fn lock(folder: &Path) -> Result<Option<File>, OpenError> {
    let path = folder.join(LOCK_FILE);
    let file = match files::open(&path, Access::Read, Owner::Anybody) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            return Ok(None);
        }
        Err(error) => return Err(OpenError::from_io(&path, &error)),
    };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: folder.to_path_buf(),
            pid: process(&path),
        }),
        // A node cannot run on a disk without locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(file)),
    }
}

/// A file that is opened for reading. It lies below a probation, which keeps all writes in memory.
#[derive(Debug)]
pub(super) struct FileToRead(pub(super) File);

fn refused() -> io::Error {
    io::ErrorKind::ReadOnlyFilesystem.into()
}

impl StorageBackend for FileToRead {
    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_exact_at(&self.0, out, offset);
        #[cfg(not(unix))]
        {
            let mut done = 0;
            while done < out.len() {
                let at = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
                match std::os::windows::fs::FileExt::seek_read(&self.0, &mut out[done..], at)? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    size => done += size,
                }
            }
            Ok(())
        }
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(refused())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(refused())
    }

    // redb asks for an exclusive lock, but the system grants one only to users that may write.
    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(false)
    }
}
