//! Checked pages: every page of the chain file has a checksum in a second file, and each read is compared with it.
//!
//! Promises: redb never sees bytes that differ from those written. A damaged page reads as zeros, which redb can take
//! for an empty page, and is remembered ([`Checked::rot`]); nothing is written from then on. The read itself returns no
//! error, because after one redb would refuse all reads, also of sound pages.
//! The two files fit together after a crash: sums are synced before the pages they belong to, and a page that redb may
//! still need is never overwritten. The exception is the first page with redb's header, which has two valid sums while
//! it changes.
//! Elsewhere: the consequences of damage (`redb_store`), files on probation (`backend`).
//! Spec: `proto-notes/store.md`, "Page sums".

use std::collections::BTreeSet;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

/// The unit of a checksum in bytes: a page of redb.
const PAGE: usize = 4096;
/// The offset of the sums in the second file, so that a write of the head touches no sum.
const HEAD: usize = 4096;
/// The used bytes of the head: fewer than a disk writes in one piece.
const HEAD_BYTES: usize = 32;
const MAGIC: [u8; 16] = *b"lanchain sums 1\n";
/// The number of sums that are written together: one page of the second file.
const CHUNK: usize = PAGE / SUM;
/// The size of a sum in bytes.
const SUM: usize = 4;
/// The number of pages that are read at once when all sums are computed.
const BUILT_AT_ONCE: usize = 256;

/// A storage whose pages are checked. Clones share the same storage.
#[derive(Clone, Debug)]
pub(crate) struct Checked(Arc<CheckedInner>);

/// Whether the second file has the sums of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sums {
    /// The sums are known, so reads are checked.
    Known,
    /// The second file is new or invalid, so nothing is checked before [`Checked::build`].
    Missing,
}

#[derive(Debug)]
struct CheckedInner {
    file: Box<dyn StorageBackend>,
    sums: Box<dyn StorageBackend>,
    state: Mutex<CheckedState>,
    /// Locked while the two files are synced.
    syncing: Mutex<()>,
    /// The number of reads that met a damaged page.
    met: AtomicU64,
}

#[derive(Debug)]
struct CheckedState {
    known: Sums,
    /// The sum of each page, except that the sum of page 0 is in `first`.
    pages: Vec<u32>,
    /// The chunks of `pages` that are not in the second file yet.
    dirty: BTreeSet<usize>,
    /// The two sums that the first page may have: the one on disk, and the one it is about to get.
    first: [u32; 2],
    /// The first page as redb wrote it last, if the file does not have it yet.
    held: Option<Vec<u8>>,
    /// The number of the first damaged page that a read met.
    rot: Option<usize>,
}

impl Checked {
    /// Joins a storage and its sums.
    pub(crate) fn new(file: Box<dyn StorageBackend>, sums: Box<dyn StorageBackend>) -> io::Result<(Self, Sums)> {
        let pages = pages_of(file.len()?);
        let stored = usize::try_from(sums.len()?).unwrap_or(usize::MAX);
        let mut bytes = vec![0; stored.min(HEAD + pages * SUM)];
        sums.read(0, &mut bytes)?;
        let mut first = read_head(&bytes);
        if let Some(listed) = &mut first {
            // The valid one of the two sums is the one that fits the page on disk. If neither fits, the first read
            // finds the damage.
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
        let state = CheckedState {
            known,
            pages: list,
            dirty: BTreeSet::new(),
            first: first.unwrap_or_default(),
            held: None,
            rot: None,
        };
        let inner = CheckedInner {
            file,
            sums,
            state: Mutex::new(state),
            syncing: Mutex::new(()),
            met: AtomicU64::new(0),
        };
        Ok((Self(Arc::new(inner)), known))
    }

    /// Computes the sums of a file that another check found sound.
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
        // The head is written last: without it the file counts as missing.
        sums.write(0, &head([first; 2]))?;
        sums.sync_data()?;
        let mut state = self.state();
        state.pages = list;
        state.first = [first; 2];
        state.known = Sums::Known;
        Ok(())
    }

    /// The number of the first damaged page that a read met.
    pub(crate) fn rot(&self) -> Option<usize> {
        self.state().rot
    }

    /// How many reads met a damaged page. A caller that sees it grow knows that its read was affected.
    pub(crate) fn met(&self) -> u64 {
        self.0.met.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, CheckedState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads whole pages, or the rest of the file, and compares each with its sum.
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

    /// Refuses to change a damaged file, because the new content may be derived from the damaged page.
    fn check_sound(&self) -> io::Result<()> {
        match self.rot() {
            None => Ok(()),
            Some(page) => Err(io::Error::new(io::ErrorKind::InvalidData, rotten(page))),
        }
    }

    /// The number of the first page that a range of bytes touches, and the whole bytes of all these pages.
    fn surroundings(&self, offset: u64, size: usize) -> io::Result<(usize, Vec<u8>)> {
        let len = self.0.file.len()?;
        let first = to_usize(offset) / PAGE;
        let end = (to_usize(offset) + size).next_multiple_of(PAGE).min(to_usize(len));
        let mut bytes = vec![0; end.saturating_sub(first * PAGE)];
        self.read_pages(first, &mut bytes)?;
        Ok((first, bytes))
    }

    /// The parts of the second file that must be written before the pages are synced, with their offsets: the dirty
    /// chunks, and the head if the first page changed.
    fn take_dirty(state: &mut CheckedState) -> Vec<(u64, Vec<u8>)> {
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

/// The error text for a damaged page.
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

/// The sum of a page that was never written, which is all zeros.
fn zero_sum() -> u32 {
    crc32fast::hash(&[0; PAGE])
}

/// Builds the head: magic, the two sums of the first page, and the sum of these bytes.
fn head(first: [u32; 2]) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..16].copy_from_slice(&MAGIC);
    head[16..20].copy_from_slice(&first[0].to_be_bytes());
    head[20..24].copy_from_slice(&first[1].to_be_bytes());
    let sum = crc32fast::hash(&head[..24]);
    head[24..28].copy_from_slice(&sum.to_be_bytes());
    head
}

/// The two sums of the first page; none if the bytes are not a valid head.
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
        // The sum of the previous content is dropped, because otherwise that content could return unnoticed.
        let settled = [crc32fast::hash(&bytes); 2];
        state.first = settled;
        if state.held.as_ref() == Some(&bytes) {
            state.held = None;
        }
        drop(state);
        // If this write fails, the second file has both sums. That is safe after a crash, and the next sync writes it
        // again.
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
            // Only part of a page is written, so the rest of it is read first.
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
