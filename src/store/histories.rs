//! The index of histories in the chain file: reading it, and making it for a file of an earlier version.
//!
//! Promises: the file of an earlier version gets its index from its own blocks, in steps of bounded size; each step is
//! durable, and the next opening goes on behind the last one. Only the last step makes the file one of this version, so
//! until then the earlier version can open it too.
//! Elsewhere: what an entry means (`chain::history`), who writes entries for new blocks (`tables`).
//! Spec: `proto-notes/store.md`, "Tables" and "Opening".

use redb::{Database, ReadTransaction, ReadableDatabase, TableError};

use super::opening::META_FORMAT;
use super::tables::{HISTORY, META, ReadTable, active, body, failed, get, put, put_history, tip, unpanicked, write};
use super::{CHAIN_FORMAT, records};
use crate::chain::history::add_body;
use crate::chain::{AccountTag, HistoryEntries, HistoryKey, StoreError};
use crate::types::{BlockHash, Height};

/// The key in `meta` that names the last block whose entries a file of an earlier version has: height and hash.
const META_INDEXED: &[u8] = b"indexed";
/// The bytes of blocks after which a step ends. A step holds their entries in memory, some 10 MiB for full blocks;
/// larger steps write fewer pages twice.
pub(super) const STEP_BYTES: usize = 8 * 1024 * 1024;

/// How far the index of histories was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The height of the last block with entries in the index.
    pub height: Height,
    /// The height of the newest block.
    pub last: Height,
}

/// The table; none in a file of an earlier version.
fn table(reading: &ReadTransaction) -> Result<Option<ReadTable>, StoreError> {
    match reading.open_table(HISTORY) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

type Entries = Vec<(HistoryKey, Vec<u16>)>;

/// The entries of a tag below a key, or from the newest on, at most `limit`.
pub(super) fn newest(
    reading: &ReadTransaction,
    tag: AccountTag,
    below: Option<HistoryKey>,
    limit: usize,
) -> Result<Entries, StoreError> {
    let Some(table) = table(reading)? else {
        return Ok(Vec::new());
    };
    let (first, last) = HistoryKey::range(tag);
    let (first, last) = (records::history_key(&first), records::history_key(&last));
    let entries = match below.map(|below| records::history_key(&below)) {
        Some(below) => table.range::<&[u8]>(&first[..]..&below[..]),
        None => table.range::<&[u8]>(&first[..]..=&last[..]),
    };
    let entries = entries.map_err(failed)?.rev().take(limit);
    entries
        .map(|entry| {
            let (key, value) = entry.map_err(failed)?;
            records::history(key.value(), value.value())
        })
        .collect()
}

/// The entries above a key, or from the first on, in the order of their keys, at most `limit`.
pub(super) fn above(reading: &ReadTransaction, above: Option<HistoryKey>, limit: usize) -> Result<Entries, StoreError> {
    let Some(table) = table(reading)? else {
        return Ok(Vec::new());
    };
    let from = above.map(|above| records::history_key(&above));
    let entries = table.range::<&[u8]>(from.as_ref().map_or(&[][..], |key| &key[..])..);
    let entries = entries.map_err(failed)?.map(|entry| {
        let (key, value) = entry.map_err(failed)?;
        records::history(key.value(), value.value())
    });
    let is_above = |entry: &Result<(HistoryKey, Vec<u16>), StoreError>| {
        entry.as_ref().map_or(true, |(key, _)| Some(*key) != above)
    };
    entries.filter(is_above).take(limit).collect()
}

/// Whether the file has the entries of all active blocks.
pub(super) fn is_complete(reading: &ReadTransaction) -> Result<bool, StoreError> {
    Ok(get(reading, META, META_FORMAT)?.is_some_and(|format| format == CHAIN_FORMAT.to_be_bytes()))
}

/// Makes the index of a file of an earlier version, and tells after each step how far it is. A complete one is left
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
    let (mut height, mut hash) = indexed(&reading)?;
    let (mut entries, mut bytes) = (HistoryEntries::new(), 0);
    while height < last && bytes < step_bytes {
        height = height.next();
        let missing = |what| records::damaged("history", format_args!("block {height} has no {what}"));
        hash = active(&reading, height)?.ok_or_else(|| missing("hash"))?;
        let block = body(&reading, &hash)?.ok_or_else(|| missing("body"))?;
        bytes += block.len();
        add_body(&mut entries, &hash, &block).map_err(|error| records::damaged("history", error))?;
    }
    drop(reading);
    let is_last = height == last;
    write(database, |transaction| {
        put_history(transaction, &entries)?;
        let mut meta = transaction.open_table(META).map_err(failed)?;
        if is_last {
            meta.remove(META_INDEXED).map_err(failed)?;
            return put(&mut meta, META_FORMAT, &CHAIN_FORMAT.to_be_bytes());
        }
        let mark = [&records::height_key(height)[..], hash.as_bytes()].concat();
        put(&mut meta, META_INDEXED, &mark)
    })?;
    tell(Progress { height, last });
    Ok(!is_last)
}

/// The last block whose entries are there, and whose ancestors' entries are. It is genesis, which has no transaction, if
/// the mark is missing or names a block that is not active any more.
fn indexed(reading: &ReadTransaction) -> Result<(Height, BlockHash), StoreError> {
    let genesis = active(reading, Height::GENESIS)?.unwrap_or(BlockHash::ZERO);
    let mark = get(reading, META, META_INDEXED)?;
    let mark = mark.as_deref().and_then(|mark| mark.split_at_checked(8));
    let Some((height, hash)) = mark else {
        return Ok((Height::GENESIS, genesis));
    };
    let (height, hash) = (
        records::height(height)?,
        records::hash("mark", hash).map(BlockHash::new)?,
    );
    let is_active = active(reading, height)? == Some(hash);
    Ok(if is_active {
        (height, hash)
    } else {
        (Height::GENESIS, genesis)
    })
}
