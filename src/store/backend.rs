//! Probation: what redb writes while it opens a file stays in memory until the content has been checked.
//!
//! Promises: until [`Probation::release`] the file below is only read and locked; if the check fails, the file is
//! unchanged, byte for byte. `release` replays the writes in their order, with their syncs, so that a crash in the
//! middle is the same as a crash in the middle of redb's own recovery. If the replay fails, nothing is written any
//! more.
//! Spec: `proto-notes/store.md`, "Opening".

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

/// The unit in bytes in which changes are kept.
const PAGE_BYTES: usize = 4096;

/// A storage whose changes wait until they are released.
#[derive(Clone, Debug)]
pub(crate) struct Probation(Arc<ProbationInner>);

#[derive(Debug)]
struct ProbationInner {
    below: Box<dyn StorageBackend>,
    state: Mutex<ProbationState>,
}

#[derive(Debug)]
enum ProbationState {
    /// Changes are kept in memory.
    Held(HeldChanges),
    /// Changes go to the storage below.
    Released,
    /// The replay failed half way, so the file is not what redb believes it to be.
    Broken,
}

#[derive(Debug)]
struct HeldChanges {
    /// The length of the file as redb sees it.
    len: u64,
    /// Below this offset, bytes outside `pages` are those of the storage below; above it they are zeros.
    kept: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE_BYTES]>>,
    log: Vec<HeldChange>,
}

#[derive(Debug)]
enum HeldChange {
    Len(u64),
    Write(u64, Vec<u8>),
    Sync,
}

impl Probation {
    /// Puts a storage on probation.
    pub(crate) fn new(below: Box<dyn StorageBackend>) -> io::Result<Self> {
        let len = below.len()?;
        let held = HeldChanges {
            len,
            kept: len,
            pages: BTreeMap::new(),
            log: Vec::new(),
        };
        Ok(Self(Arc::new(ProbationInner {
            below,
            state: Mutex::new(ProbationState::Held(held)),
        })))
    }

    /// Ends the probation: the held changes go to the storage below, and so do all later ones.
    pub(crate) fn release(&self) -> io::Result<()> {
        let mut state = self.state();
        let ProbationState::Held(held) = std::mem::replace(&mut *state, ProbationState::Broken) else {
            return Err(broken());
        };
        for change in held.log {
            match change {
                HeldChange::Len(len) => self.0.below.set_len(len)?,
                HeldChange::Write(offset, bytes) => self.0.below.write(offset, &bytes)?,
                HeldChange::Sync => self.0.below.sync_data()?,
            }
        }
        *state = ProbationState::Released;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, ProbationState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn broken() -> io::Error {
    io::Error::other("the store must be opened again")
}

/// Splits a range of bytes by pages, into page number, offset in the page, and range in the bytes.
fn pieces(offset: u64, size: usize) -> impl Iterator<Item = (u64, usize, core::ops::Range<usize>)> {
    let page_bytes = u64::try_from(PAGE_BYTES).expect("4096");
    let mut done = 0;
    core::iter::from_fn(move || {
        if done == size {
            return None;
        }
        let at = offset + u64::try_from(done).ok()?;
        let inside = usize::try_from(at % page_bytes).ok()?;
        let count = (PAGE_BYTES - inside).min(size - done);
        let piece = (at / page_bytes, inside, done..done + count);
        done += count;
        Some(piece)
    })
}

impl HeldChanges {
    fn page(&self, below: &dyn StorageBackend, number: u64) -> io::Result<Box<[u8; PAGE_BYTES]>> {
        if let Some(page) = self.pages.get(&number) {
            return Ok(page.clone());
        }
        let mut page = Box::new([0; PAGE_BYTES]);
        let start = number * u64::try_from(PAGE_BYTES).expect("4096");
        let there = usize::try_from(self.kept.saturating_sub(start)).unwrap_or(usize::MAX);
        let count = there.min(PAGE_BYTES);
        if count > 0 {
            below.read(start, &mut page[..count])?;
        }
        Ok(page)
    }

    fn read(&self, below: &dyn StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = u64::try_from(out.len()).ok().and_then(|size| offset.checked_add(size));
        if end.is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, inside, range) in pieces(offset, out.len()) {
            let page = self.page(below, number)?;
            let count = range.len();
            out[range].copy_from_slice(&page[inside..inside + count]);
        }
        Ok(())
    }

    fn write(&mut self, below: &dyn StorageBackend, offset: u64, data: &[u8]) -> io::Result<()> {
        for (number, inside, range) in pieces(offset, data.len()) {
            let mut page = self.page(below, number)?;
            page[inside..inside + range.len()].copy_from_slice(&data[range]);
            self.pages.insert(number, page);
        }
        let end = offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        self.len = self.len.max(end);
        self.log.push(HeldChange::Write(offset, data.to_vec()));
        Ok(())
    }

    /// Cuts or extends the file. Bytes that were cut off are zeros if it grows again.
    fn set_len(&mut self, below: &dyn StorageBackend, len: u64) -> io::Result<()> {
        let page_bytes = u64::try_from(PAGE_BYTES).expect("4096");
        self.kept = self.kept.min(len);
        self.pages.retain(|number, _| *number <= len / page_bytes);
        if let Ok(inside) = usize::try_from(len % page_bytes)
            && self.pages.contains_key(&(len / page_bytes))
        {
            let mut page = self.page(below, len / page_bytes)?;
            page[inside..].fill(0);
            self.pages.insert(len / page_bytes, page);
        }
        self.len = len;
        self.log.push(HeldChange::Len(len));
        Ok(())
    }
}

impl StorageBackend for Probation {
    fn len(&self) -> io::Result<u64> {
        match &*self.state() {
            ProbationState::Held(held) => Ok(held.len),
            ProbationState::Released => self.0.below.len(),
            ProbationState::Broken => Err(broken()),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        match &*state {
            ProbationState::Held(held) => held.read(&*self.0.below, offset, out),
            ProbationState::Released => {
                drop(state);
                self.0.below.read(offset, out)
            }
            ProbationState::Broken => Err(broken()),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match &mut *self.state() {
            ProbationState::Held(held) => held.set_len(&*self.0.below, len),
            ProbationState::Released => self.0.below.set_len(len),
            ProbationState::Broken => Err(broken()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        match &mut *state {
            ProbationState::Held(held) => {
                held.log.push(HeldChange::Sync);
                Ok(())
            }
            ProbationState::Released => {
                // The lock is released first, so that readers do not wait for the disk.
                drop(state);
                self.0.below.sync_data()
            }
            ProbationState::Broken => Err(broken()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        match &mut *state {
            ProbationState::Held(held) => held.write(&*self.0.below, offset, data),
            ProbationState::Released => {
                drop(state);
                self.0.below.write(offset, data)
            }
            ProbationState::Broken => Err(broken()),
        }
    }

    fn close(&self) -> io::Result<()> {
        self.0.below.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.below.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.below.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.below.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.below.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.below.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.below.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::backends::InMemoryBackend;

    fn below(bytes: &[u8]) -> (Arc<InMemoryBackend>, Probation) {
        let memory = Arc::new(InMemoryBackend::new());
        memory.set_len(u64::try_from(bytes.len()).unwrap()).unwrap();
        memory.write(0, bytes).unwrap();
        let probation = Probation::new(Box::new(Shared(Arc::clone(&memory)))).unwrap();
        (memory, probation)
    }

    #[derive(Debug)]
    struct Shared(Arc<InMemoryBackend>);

    impl StorageBackend for Shared {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            self.0.sync_data()
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write(offset, data)
        }
    }

    fn content(storage: &dyn StorageBackend) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(storage.len().unwrap()).unwrap()];
        storage.read(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn held_changes_are_seen_above_and_not_below_until_the_release() {
        let original: Vec<u8> = (0..9_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let (memory, probation) = below(&original);
        let mut expected = original.clone();

        probation.write(4_090, &[7; 20]).unwrap();
        expected[4_090..4_110].fill(7);
        probation.set_len(8_200).unwrap();
        probation.set_len(12_000).unwrap();
        expected.truncate(8_200);
        expected.resize(12_000, 0);
        probation.write(11_000, &[9; 1_000]).unwrap();
        expected[11_000..].fill(9);
        probation.sync_data().unwrap();

        assert_eq!(content(&probation), expected);
        assert_eq!(content(&*memory), original);
        probation.release().unwrap();
        assert_eq!(content(&*memory), expected);
        assert_eq!(content(&probation), expected);
    }

    #[test]
    fn reading_behind_the_end_is_an_error() {
        let (_, probation) = below(&[1, 2, 3]);
        assert!(probation.read(2, &mut [0; 2]).is_err());
        assert!(probation.read(u64::MAX, &mut [0; 2]).is_err());
    }
}
