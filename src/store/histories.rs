//! Brings a chain file of an earlier version up to date: both indexes are made anew.
//!
//! Promises: the indexes come from the file's own blocks, in steps of bounded size; each step is durable, and the next
//! opening goes on behind the last one. Only the last step makes the file one of this version and deletes the tables of
//! the earlier one, so until then that version can open it too.
//! Elsewhere: the indexes (`index`).
//! Spec: `proto-notes/store.md`, "Opening".

use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};

use super::opening::META_FORMAT;
use super::tables::{META, failed, get, put, tip, unpanicked, write};
use super::{CHAIN_FORMAT, index};
use crate::chain::{HistoryEntries, StoreError};
use crate::types::Height;

/// The key in `meta` under which earlier versions noted how far their index of histories was.
const META_INDEXED: &[u8] = b"indexed";
/// The key in `meta` that marks a file of this format whose indexes are not complete.
const META_INCOMPLETE: &[u8] = b"incomplete";
/// The bytes of blocks after which a step ends. A step holds their entries in memory, some 10 MiB for full blocks;
/// larger steps write fewer pages twice.
pub(super) const STEP_BYTES: usize = 8 * 1024 * 1024;

/// How far the indexes were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The height of the last block with entries in the indexes.
    pub height: Height,
    /// The height of the newest block.
    pub last: Height,
}

/// Whether this version made the indexes of the file.
pub(super) fn is_complete(reading: &ReadTransaction) -> Result<bool, StoreError> {
    let is_new = get(reading, META, META_FORMAT)?.is_some_and(|format| format == CHAIN_FORMAT.to_be_bytes());
    Ok(is_new && get(reading, META, META_INCOMPLETE)?.is_none())
}

/// Takes note that this version wrote blocks to a file whose indexes could not be made: the earlier version would not
/// find them.
pub(super) fn set_incomplete(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let mut meta = transaction.open_table(META).map_err(failed)?;
    put(&mut meta, META_INCOMPLETE, &[])?;
    put(&mut meta, META_FORMAT, &CHAIN_FORMAT.to_be_bytes())
}

/// Makes the indexes of a file of an earlier version, and tells after each step how far it is. Complete ones are left
/// alone.
///
/// # Errors
/// [`StoreError`]; what is there stays, and the next call goes on behind it.
pub(super) fn complete(
    database: &Database,
    step_bytes: usize,
    tell: &mut dyn FnMut(Progress),
) -> Result<(), StoreError> {
    unpanicked(|| {
        while step(database, step_bytes, tell)? {}
        Ok(())
    })
}

/// Makes the entries of the next blocks; whether some are left.
fn step(database: &Database, step_bytes: usize, tell: &mut dyn FnMut(Progress)) -> Result<bool, StoreError> {
    let reading = database.begin_read().map_err(failed)?;
    if is_complete(&reading)? {
        return Ok(false);
    }
    let (last, _) = tip(&reading)?;
    let mut height = index::mark(&reading)?;
    let (mut places, mut history, mut bytes) = (Vec::new(), HistoryEntries::new(), 0);
    while height < last && bytes < step_bytes {
        height = height.next();
        bytes += index::of_block(&reading, height, (&mut places, &mut history))?;
    }
    drop(reading);
    places.sort_unstable();
    let is_last = height == last;
    write(database, |transaction| {
        index::put_all(transaction, &places, &history)?;
        index::set_mark(transaction, height)?;
        if is_last {
            index::delete_old(transaction)?;
            let mut meta = transaction.open_table(META).map_err(failed)?;
            meta.remove(META_INDEXED).map_err(failed)?;
            meta.remove(META_INCOMPLETE).map_err(failed)?;
            put(&mut meta, META_FORMAT, &CHAIN_FORMAT.to_be_bytes())?;
        }
        Ok(())
    })?;
    tell(Progress { height, last });
    Ok(!is_last)
}
