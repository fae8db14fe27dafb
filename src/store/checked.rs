//! Checked pages: every page of the chain file has a checksum in a second file, and is held against it when it is read.
//!
//! Promises: bytes that differ from what was written never reach redb. A page that rotted reads as zeros, which redb can
//! take for nothing, and is remembered ([`Checked::rot`]); from then on nothing is written. No error is given for the read itself: after one,
//! redb refuses everything, the sound pages too.
//! After a crash both files fit: sums are synced before the pages they belong to, and a page that redb may need is never
//! written in place. The one that is, the first page with redb's header, has two sums while it changes.
//! Elsewhere: what becomes of rot (`redb_store`), files on probation (`backend`).
//! Spec: `proto-notes/store.md`, "Page sums".

use std::collections::BTreeSet;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

/// What a checksum is for: redb's own page.
const PAGE: usize = 4096;
/// Sums start behind the head, so that a sector of the head is written alone.
const HEAD: usize = 4096;
/// Bytes of the head that mean something: less than what a disk writes whole.
const HEAD_BYTES: usize = 32;
const MAGIC: [u8; 16] = *b"lanchain sums 1\n";
/// Sums that are written together: a page of the second file.
const CHUNK: usize = PAGE / SUM;
/// Bytes of a sum.
const SUM: usize = 4;
/// Pages that are read together when all sums are made.
const BUILT_AT_ONCE: usize = 256;

/// A storage whose pages are checked. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Checked(Arc<Inner>);

/// Whether the second file knows the pages already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sums {
    /// Reads are checked.
    Known,
    /// The second file is new or makes no sense: nothing is checked before [`Checked::build`].
    Missing,
}

#[derive(Debug)]
struct Inner {
    file: Box<dyn StorageBackend>,
    sums: Box<dyn StorageBackend>,
    state: Mutex<State>,
    /// Held while the two files are synced.
    syncing: Mutex<()>,
    /// Reads that met a rotten page.
    met: AtomicU64,
}

#[derive(Debug)]
struct State {
    known: Sums,
    /// The sum of each page; that of the first page is in `first`.
    pages: Vec<u32>,
    /// Chunks of `pages` that the second file does not have.
    dirty: BTreeSet<usize>,
    /// What the first page's sum may be: as it is on disk, and as it is about to be.
    first: [u32; 2],
    /// The first page as redb wrote it last, if the file does not have it yet.
    held: Option<Vec<u8>>,
    /// The first rotten page that was met.
    rot: Option<usize>,
}

impl Checked {
    /// Puts a storage and its sums together.
    pub(crate) fn new(file: Box<dyn StorageBackend>, sums: Box<dyn StorageBackend>) -> io::Result<(Self, Sums)> {
        let pages = pages_of(file.len()?);
        let stored = usize::try_from(sums.len()?).unwrap_or(usize::MAX);
        let mut bytes = vec![0; stored.min(HEAD + pages * SUM)];
        sums.read(0, &mut bytes)?;
        let mut first = read_head(&bytes);
        if let Some(listed) = &mut first {
            // Of the two it may be, the one that is there. If it is neither, the first read of it finds that out.
            let mut page = vec![0; PAGE.min(to_usize(file.len()?))];
            file.read(0, &mut page)?;
            let sum = crc32fast::hash(&page);
            if listed.contains(&sum) {
                *listed = [sum; 2];
            }
        }
        let known = if first.is_some() { Sums::Known } else { Sums::Missing };
        let listed = bytes.get(HEAD..).unwrap_or_default().chunks_exact(SUM);
        let mut list: Vec<u32> = listed
            .map(|sum| u32::from_be_bytes(sum.try_into().expect("four bytes")))
            .collect();
        list.resize(pages, zero_sum());
        let state = State {
            known,
            pages: list,
            dirty: BTreeSet::new(),
            first: first.unwrap_or_default(),
            held: None,
            rot: None,
        };
        let inner = Inner {
            file,
            sums,
            state: Mutex::new(state),
            syncing: Mutex::new(()),
            met: AtomicU64::new(0),
        };
        Ok((Self(Arc::new(inner)), known))
    }

    /// Makes the sums of a file that was found sound in another way.
    pub(crate) fn build(&self) -> io::Result<()> {
        let len = self.0.file.len()?;
        let mut list = Vec::with_capacity(pages_of(len));
        let mut buffer = vec![0; BUILT_AT_ONCE * PAGE];
        let mut at = 0_u64;
        while at < len {
            let count = usize::try_from(len - at).unwrap_or(usize::MAX).min(buffer.len());
            self.0.file.read(at, &mut buffer[..count])?;
            list.extend(buffer[..count].chunks(PAGE).map(crc32fast::hash));
            at += to_u64(count);
        }
        let first = list.first().copied().unwrap_or_else(zero_sum);
        let bytes: Vec<u8> = list.iter().flat_map(|sum| sum.to_be_bytes()).collect();
        let sums = &self.0.sums;
        sums.set_len(to_u64(HEAD + bytes.len()))?;
        sums.write(to_u64(HEAD), &bytes)?;
        sums.sync_data()?;
        // The head last: without it the file is as good as missing.
        sums.write(0, &head([first; 2]))?;
        sums.sync_data()?;
        let mut state = self.state();
        state.pages = list;
        state.first = [first; 2];
        state.known = Sums::Known;
        Ok(())
    }

    /// The first rotten page that was met.
    pub(crate) fn rot(&self) -> Option<usize> {
        self.state().rot
    }

    /// How many reads met a rotten page: it grows while something asks for what is rotten.
    pub(crate) fn met(&self) -> u64 {
        self.0.met.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads whole pages, or the rest of the file, and holds each against its sum.
    fn read_pages(&self, first: usize, out: &mut [u8]) -> io::Result<()> {
        self.0.file.read(to_u64(first * PAGE), out)?;
        let mut state = self.state();
        if first == 0
            && let Some(held) = &state.held
        {
            let count = out.len().min(held.len());
            out[..count].copy_from_slice(&held[..count]);
        }
        if state.known == Sums::Missing {
            return Ok(());
        }
        let sound = |page: usize, bytes: &[u8]| {
            let sum = crc32fast::hash(bytes);
            match page {
                0 => state.held.is_some() || state.first.contains(&sum),
                _ => state.pages.get(page) == Some(&sum),
            }
        };
        let mut pages = (first..).zip(out.chunks(PAGE));
        let Some((rotten, _)) = pages.find(|(page, bytes)| !sound(*page, bytes)) else {
            return Ok(());
        };
        state.rot.get_or_insert(rotten);
        drop(state);
        self.0.met.fetch_add(1, Ordering::AcqRel);
        out.fill(0);
        Ok(())
    }

    /// Refuses to change a file of which a part is rotten: what is written may be made of it.
    fn check_sound(&self) -> io::Result<()> {
        match self.rot() {
            None => Ok(()),
            Some(page) => Err(io::Error::new(io::ErrorKind::InvalidData, rotten(page))),
        }
    }

    /// The pages that a range of bytes touches, whole.
    fn surroundings(&self, offset: u64, size: usize) -> io::Result<(usize, Vec<u8>)> {
        let len = self.0.file.len()?;
        let first = to_usize(offset) / PAGE;
        let end = (to_usize(offset) + size).next_multiple_of(PAGE).min(to_usize(len));
        let mut bytes = vec![0; end.saturating_sub(first * PAGE)];
        self.read_pages(first, &mut bytes)?;
        Ok((first, bytes))
    }

    /// What the second file must have before the pages are synced: the dirty chunks by their place, and the head if the
    /// first page changed.
    fn take_dirty(state: &mut State) -> Vec<(u64, Vec<u8>)> {
        let dirty = core::mem::take(&mut state.dirty);
        let chunk = |number: usize| {
            let sums = state.pages.iter().skip(number * CHUNK).take(CHUNK);
            let bytes: Vec<u8> = sums.flat_map(|sum| sum.to_be_bytes()).collect();
            (to_u64(HEAD + number * PAGE), bytes)
        };
        let mut writes: Vec<_> = dirty.into_iter().map(chunk).collect();
        if let Some(held) = &state.held {
            state.first = [state.first[0], crc32fast::hash(held)];
            writes.push((0, head(state.first).to_vec()));
        }
        writes
    }
}

/// What is said of a rotten page.
pub(crate) fn rotten(page: usize) -> String {
    format!("page {page} of the chain file is not what was written there")
}

fn pages_of(len: u64) -> usize {
    to_usize(len).div_ceil(PAGE)
}

fn to_u64(value: usize) -> u64 {
    u64::try_from(value).expect("at most 64 bits")
}

fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// The sum of a page that was never written.
fn zero_sum() -> u32 {
    crc32fast::hash(&[0; PAGE])
}

/// Magic, the first page's two sums, and the sum of these.
fn head(first: [u32; 2]) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..16].copy_from_slice(&MAGIC);
    head[16..20].copy_from_slice(&first[0].to_be_bytes());
    head[20..24].copy_from_slice(&first[1].to_be_bytes());
    let sum = crc32fast::hash(&head[..24]);
    head[24..28].copy_from_slice(&sum.to_be_bytes());
    head
}

/// The first page's sums, if this is a head.
fn read_head(bytes: &[u8]) -> Option<[u32; 2]> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + SUM)?.try_into().ok()?));
    let first = [number(16)?, number(20)?];
    (bytes.get(..HEAD_BYTES)? == head(first)).then_some(first)
}

impl StorageBackend for Checked {
    fn len(&self) -> io::Result<u64> {
        self.0.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inside = to_usize(offset) % PAGE;
        let end = offset
            .checked_add(to_u64(out.len()))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let len = self.0.file.len()?;
        if end > len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if inside == 0 && (out.len().is_multiple_of(PAGE) || end == len) {
            return self.read_pages(to_usize(offset) / PAGE, out);
        }
        let (_, bytes) = self.surroundings(offset, out.len())?;
        out.copy_from_slice(&bytes[inside..inside + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_sound()?;
        self.0.file.set_len(len)?;
        let mut state = self.state();
        state.pages.resize(pages_of(len), zero_sum());
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check_sound()?;
        let _alone = self.0.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let (writes, held) = {
            let mut state = self.state();
            (Self::take_dirty(&mut state), state.held.clone())
        };
        let end = writes.iter().map(|(offset, bytes)| offset + to_u64(bytes.len())).max();
        if let Some(end) = end
            && self.0.sums.len()? < end
        {
            self.0.sums.set_len(end)?;
        }
        for (offset, bytes) in &writes {
            self.0.sums.write(*offset, bytes)?;
        }
        if !writes.is_empty() {
            self.0.sums.sync_data()?;
        }
        if let Some(bytes) = &held {
            self.0.file.write(0, bytes)?;
        }
        self.0.file.sync_data()?;
        let Some(bytes) = held else { return Ok(()) };
        let mut state = self.state();
        // The sum of what stood there before is forgotten: else that could come back unseen.
        let settled = [crc32fast::hash(&bytes); 2];
        state.first = settled;
        if state.held.as_ref() == Some(&bytes) {
            state.held = None;
        }
        drop(state);
        // If it fails, the second file knows both: that is safe after a crash, and the next sync brings it.
        let _ = self.0.sums.write(0, &head(settled));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check_sound()?;
        if offset == 0 && data.len() <= PAGE {
            let there = to_usize(self.0.file.len()?).min(PAGE);
            let mut page = vec![0; there.max(data.len())];
            self.read_pages(0, &mut page[..there])?;
            page[..data.len()].copy_from_slice(data);
            self.state().held = Some(page);
            return Ok(());
        }
        let inside = to_usize(offset) % PAGE;
        let first = to_usize(offset) / PAGE;
        let sums: Vec<u32> = if inside == 0 && data.len().is_multiple_of(PAGE) {
            data.chunks(PAGE).map(crc32fast::hash).collect()
        } else {
            // A part of a page: the rest of it stays.
            let (_, mut bytes) = self.surroundings(offset, data.len())?;
            bytes.resize(bytes.len().max(inside + data.len()), 0);
            bytes[inside..inside + data.len()].copy_from_slice(data);
            bytes.chunks(PAGE).map(crc32fast::hash).collect()
        };
        self.0.file.write(offset, data)?;
        let mut state = self.state();
        let least = (first + sums.len()).max(state.pages.len());
        state.pages.resize(least, zero_sum());
        for (page, sum) in (first..).zip(sums) {
            state.pages[page] = sum;
            state.dirty.insert(page / CHUNK);
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.0.sums.close()?;
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}
