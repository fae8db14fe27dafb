//! The two indexes in the chain file: where transactions stand, and which of them concern an account.
//!
//! Promises: reads see the tables and what waits in memory as one; what a crash loses of the latter is made anew from the
//! blocks above the mark when the file is opened.
//! Elsewhere: what waits, and when it is written (`late`), a file of an earlier version (`histories`).
//! Spec: `proto-notes/store.md`, "Indexes".

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableHandle as _, UntypedTableHandle,
    WriteTransaction,
};

use super::blocks::{self, body, open};
use super::histories;
use super::late::{Late, Turn};
use super::records::{self, HISTORY_KEY_BYTES, PLACE_BLOCK_BYTES, PLACE_KEY_BYTES, PLACE_TXID_BYTES};
use super::tables::{self, ACTIVE, META, TableBytes, active, collect, failed, get, put, tip, write};
use crate::chain::history::{ids, index_body};
use crate::chain::{AccountTag, Batch, Block, HistoryEntries, HistoryKey, Spot, StoreError, TxPlace};
use crate::types::layout::LayoutError;
use crate::types::{BlockHash, Height, Txid};

type PlaceKey = &'static [u8; PLACE_KEY_BYTES];
type EntryKey = &'static [u8; HISTORY_KEY_BYTES];

/// The index of transactions: where each of them stands.
const PLACES: TableDefinition<'_, PlaceKey, ()> = TableDefinition::new("transactions");
/// Which transactions of a block concern which account.
const ENTRIES: TableDefinition<'_, EntryKey, TableBytes> = TableDefinition::new("histories");
/// The same tables of earlier versions, which are deleted once the new ones are made.
const OLD_PLACES: tables::Definition = TableDefinition::new("places");
#[cfg(any(test, feature = "testing"))]
const OLD_HISTORY: tables::Definition = TableDefinition::new("history");
const OLD_TABLES: [&str; 2] = ["places", "history"];

/// The key in `meta` that names the block up to which the tables have all entries of active blocks: height and hash.
pub(super) const META_COVERED: &[u8] = b"covered";
/// The most blocks whose hashes begin alike that are looked at.
const ALIKE_MAX: usize = 16;
/// The blocks whose ids are kept in memory: 128 KiB for one of 4,096 transactions.
const RECENT_MAX: usize = 4;
/// The most stored positions of one transaction that are read: one for each branch that holds it.
const SPOTS_MAX: usize = 1_024;

/// Makes the empty tables.
pub(super) fn create(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(PLACES).map_err(failed)?;
    transaction.open_table(ENTRIES).map(drop).map_err(failed)
}

/// Checks that both tables are there.
pub(super) fn check(reading: &ReadTransaction) -> Result<(), StoreError> {
    reading.open_table(PLACES).map_err(failed)?;
    reading.open_table(ENTRIES).map(drop).map_err(failed)
}

/// Writes the ranges of a turn, and those batches that are too large to wait. The blocks of the batches come first,
/// because the mark depends on them.
pub(super) fn write_turn(transaction: &WriteTransaction, turn: &mut Turn, batches: &[Batch]) -> Result<(), StoreError> {
    put_ranges(transaction, turn)?;
    if turn.is_bulk {
        for batch in batches {
            put_all(transaction, &batch.places, &batch.history)?;
        }
    }
    if !turn.is_complete() {
        histories::set_incomplete(transaction)?;
    }
    let tip = tables::last_active(&transaction.open_table(ACTIVE).map_err(failed)?)?;
    if let Some(mark) = turn.set_tip(tip.0) {
        set_mark(transaction, mark)?;
    }
    Ok(())
}

fn put_ranges(transaction: &WriteTransaction, turn: &Turn) -> Result<(), StoreError> {
    if turn.ranges.is_empty() {
        return Ok(());
    }
    let mut places = transaction.open_table(PLACES).map_err(failed)?;
    for key in turn.ranges.iter().flat_map(|(_, range)| &range.places) {
        places.insert(key, ()).map_err(failed)?;
    }
    let mut entries = transaction.open_table(ENTRIES).map_err(failed)?;
    for (key, value) in turn.ranges.iter().flat_map(|(_, range)| range.history()) {
        entries.insert(&key, &value[..]).map_err(failed)?;
    }
    Ok(())
}

/// Sets the mark to the active block at a height.
pub(super) fn set_mark(transaction: &WriteTransaction, height: Height) -> Result<(), StoreError> {
    let active = transaction.open_table(ACTIVE).map_err(failed)?;
    let hash = active.get(&records::height_key(height)[..]).map_err(failed)?;
    let hash = hash.ok_or_else(|| records::damaged("active chain", format_args!("height {height} is missing")))?;
    let value = records::mark_value(
        height,
        &records::hash("active block", hash.value()).map(BlockHash::new)?,
    );
    put(&mut transaction.open_table(META).map_err(failed)?, META_COVERED, &value)
}

/// Writes entries straight to the tables.
pub(super) fn put_all<'a>(
    transaction: &WriteTransaction,
    places: impl IntoIterator<Item = &'a (Txid, Spot)>,
    history: &HistoryEntries,
) -> Result<(), StoreError> {
    let mut table = transaction.open_table(PLACES).map_err(failed)?;
    for (txid, spot) in places {
        table.insert(&records::place_key(txid, spot)?, ()).map_err(failed)?;
    }
    let mut table = transaction.open_table(ENTRIES).map_err(failed)?;
    for (key, indices) in history {
        let value = records::history_value(indices);
        table.insert(&records::history_key(key)?, &value[..]).map_err(failed)?;
    }
    Ok(())
}

/// Deletes the tables of earlier versions.
pub(super) fn delete_old(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let tables: Vec<UntypedTableHandle> = transaction.list_tables().map_err(failed)?.collect();
    for table in tables.into_iter().filter(|table| OLD_TABLES.contains(&table.name())) {
        transaction.delete_table(table).map_err(failed)?;
    }
    Ok(())
}

/// The block that the mark names and its height; genesis, which has no transaction, if there is no mark, or if it names
/// a block that is not active any more.
pub(super) fn mark(reading: &ReadTransaction) -> Result<Height, StoreError> {
    let Some(value) = get(reading, META, META_COVERED)? else {
        return Ok(Height::GENESIS);
    };
    let (height, hash) = records::mark(&value)?;
    let is_active = active(reading, height)? == Some(hash);
    Ok(if is_active { height } else { Height::GENESIS })
}

/// The entries of the active block at a height, from its body; the number of its bytes.
pub(super) fn of_block(
    reading: &ReadTransaction,
    height: Height,
    into: (&mut Vec<(Txid, Spot)>, &mut HistoryEntries),
) -> Result<usize, StoreError> {
    let missing = |what| records::damaged("index", format_args!("block {height} has no {what}"));
    let hash = active(reading, height)?.ok_or_else(|| missing("hash"))?;
    let bytes = body(reading, &hash)?.ok_or_else(|| missing("body"))?;
    index_body(into, &hash, &bytes).map_err(|error| records::damaged("index", error))?;
    Ok(bytes.len())
}

/// What waits in a file that is opened: the entries of the blocks above the mark. They end where they are too many, which
/// is so after a crash in the wake of a long switch: then [`write_first`] must write some.
pub(super) fn load(reading: &ReadTransaction) -> Result<(Late, Height), StoreError> {
    let (last, _) = tip(reading)?;
    let mut height = mark(reading)?;
    let mut late = Late::new(height);
    while height < last && !late.is_overfull() {
        height = height.next();
        let (mut places, mut history) = (Vec::new(), HistoryEntries::new());
        of_block(reading, height, (&mut places, &mut history))?;
        late.add(&places, &history)?;
    }
    Ok((late, height))
}

/// Writes what waits up to a height that is below the tip, and then loads what follows, until all is loaded.
pub(super) fn write_first(database: &Database, (late, height): (Late, Height)) -> Result<Late, StoreError> {
    let (mut late, mut height) = (late, height);
    loop {
        let reading = database.begin_read().map_err(failed)?;
        if tip(&reading)?.0 == height {
            return Ok(late);
        }
        drop(reading);
        let turn = late.all();
        write(database, |transaction| {
            put_ranges(transaction, &turn)?;
            set_mark(transaction, height)
        })?;
        (late, height) = load(&database.begin_read().map_err(failed)?)?;
    }
}

/// All stored positions of a transaction, in order.
pub(super) fn spots(
    reading: &ReadTransaction,
    late: &Late,
    recent: &Recent,
    txid: &Txid,
) -> Result<Vec<Spot>, StoreError> {
    let start = &txid.as_bytes()[..PLACE_TXID_BYTES];
    let (first, last) = (records::filled(start, 0), records::filled(start, 0xff));
    let found = positions(reading, late, recent, (first, last), SPOTS_MAX)?;
    let mut spots: BTreeSet<Spot> = found.filter(|(id, _)| id == txid).map(|(_, spot)| spot).collect();
    if !late.is_complete() && open(reading, OLD_PLACES)?.is_some() {
        let last = [&txid.as_bytes()[..], &[0xff; 8]].concat();
        let old = collect(
            reading,
            OLD_PLACES,
            (txid.as_bytes(), &last),
            SPOTS_MAX,
            records::old_spot,
        )?;
        spots.extend(old);
    }
    Ok(spots.into_iter().collect())
}

/// The stored transactions whose ids begin with these hex digits, with their positions, at most `limit`.
pub(super) fn spots_by_prefix(
    reading: &ReadTransaction,
    late: &Late,
    recent: &Recent,
    (prefix, limit): (&str, usize),
) -> Result<Vec<(Txid, Spot)>, StoreError> {
    let Some((first, last)) = records::prefix_range(prefix) else {
        return Ok(Vec::new());
    };
    let range = (
        records::filled(&first[..PLACE_TXID_BYTES], 0),
        records::filled(&last[..PLACE_TXID_BYTES], 0xff),
    );
    let found: BTreeSet<(Txid, Spot)> = positions(reading, late, recent, range, limit)?.collect();
    let fits = |(txid, _): &(Txid, Spot)| txid.to_string().starts_with(prefix);
    Ok(found.into_iter().filter(fits).take(limit).collect())
}

/// The transactions whose positions are in a range of keys, at least `limit` if there are so many. A key has only the
/// start of an id and of a hash: the blocks themselves have the rest.
fn positions(
    reading: &ReadTransaction,
    late: &Late,
    recent: &Recent,
    (first, last): ([u8; PLACE_KEY_BYTES], [u8; PLACE_KEY_BYTES]),
    limit: usize,
) -> Result<impl Iterator<Item = (Txid, Spot)> + use<>, StoreError> {
    // Those that wait are few, and some of them may be in the table too.
    let mut keys: BTreeSet<[u8; PLACE_KEY_BYTES]> = late.places(first, last).copied().collect();
    if let Some(table) = open(reading, PLACES)? {
        let range = table.range::<&[u8; PLACE_KEY_BYTES]>(&first..=&last).map_err(failed)?;
        for entry in range.take(limit) {
            keys.insert(*entry.map_err(failed)?.0.value());
        }
    }
    let mut found = Vec::new();
    for key in keys {
        let (start, index) = records::place_of(&key);
        for block in recent.blocks(reading, start)? {
            let txid = block.ids.get(usize::from(index));
            // Another block may begin with the same bytes.
            if let Some(txid) = txid.filter(|txid| txid.as_bytes().starts_with(&key[..PLACE_TXID_BYTES])) {
                let (height, index) = (block.height, index.into());
                found.push((*txid, Spot::new(&block.hash, TxPlace { height, index })));
            }
        }
    }
    Ok(found.into_iter())
}

/// The ids of a block's transactions.
#[derive(Debug)]
struct Ids {
    hash: BlockHash,
    height: Height,
    ids: Vec<Txid>,
}

/// The ids of the blocks that were asked for last: questions about the transactions of one block come together.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<Arc<Ids>>>);

impl Recent {
    /// The stored blocks whose hashes begin with these bytes: one, or none, as good as always.
    fn blocks(&self, reading: &ReadTransaction, start: [u8; PLACE_BLOCK_BYTES]) -> Result<Vec<Arc<Ids>>, StoreError> {
        let range: ([u8; 32], [u8; 32]) = (records::filled(&start, 0), records::filled(&start, 0xff));
        let hashes = blocks::between(reading, (&range.0, &range.1), ALIKE_MAX)?;
        let mut blocks = Vec::with_capacity(hashes.len());
        for hash in hashes {
            if let Some(block) = self.block(reading, hash)? {
                blocks.push(block);
            }
        }
        Ok(blocks)
    }

    fn block(&self, reading: &ReadTransaction, hash: BlockHash) -> Result<Option<Arc<Ids>>, StoreError> {
        let known = self.list().iter().find(|block| block.hash == hash).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let Some(bytes) = body(reading, &hash)? else {
            return Ok(None);
        };
        let read = || Ok((Block::header_of(&bytes)?, ids(&bytes)?));
        let (header, ids) = read().map_err(|error: LayoutError| records::damaged("body", error))?;
        if header.hash() != hash {
            return Err(records::damaged("body", format_args!("it is not that of block {hash}")));
        }
        let height = header.height;
        let block = Arc::new(Ids { hash, height, ids });
        let mut list = self.list();
        list.truncate(RECENT_MAX - 1);
        list.push_front(Arc::clone(&block));
        Ok(Some(block))
    }

    fn list(&self) -> MutexGuard<'_, VecDeque<Arc<Ids>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Entries = Vec<(HistoryKey, Vec<u16>)>;

/// The entries of a tag below a key, or from the newest on, at most `limit`, the newest first.
pub(super) fn newest(
    reading: &ReadTransaction,
    late: &Late,
    (tag, below): (AccountTag, Option<HistoryKey>),
    limit: usize,
) -> Result<Entries, StoreError> {
    let mut found = late.history(tag, below);
    if let Some(table) = open(reading, ENTRIES)? {
        let first = records::filled(&tag.bytes(), 0);
        let last = records::filled(&tag.bytes(), 0xff);
        let entries = match below.map(|below| records::history_key(&below)).transpose()? {
            Some(below) => table.range::<&[u8; HISTORY_KEY_BYTES]>(&first..&below),
            None => table.range::<&[u8; HISTORY_KEY_BYTES]>(&first..=&last),
        };
        for entry in entries.map_err(failed)?.rev().take(limit) {
            let (key, value) = entry.map_err(failed)?;
            let (key, indices) = records::history(key.value(), value.value())?;
            found.entry(key).or_insert(indices);
        }
    }
    Ok(found.into_iter().rev().take(limit).collect())
}

/// The entries above a key, or from the first on, in the order of their keys, at most `limit`.
pub(super) fn above(
    reading: &ReadTransaction,
    late: &Late,
    above: Option<HistoryKey>,
    limit: usize,
) -> Result<Entries, StoreError> {
    let mut found = late.history_above(above, limit);
    if let Some(table) = open(reading, ENTRIES)? {
        let first = above.as_ref().map(records::history_key).transpose()?;
        let first = first.unwrap_or([0; HISTORY_KEY_BYTES]);
        // The key itself may be the first of them.
        for entry in table
            .range::<&[u8; HISTORY_KEY_BYTES]>(&first..)
            .map_err(failed)?
            .take(limit.saturating_add(1))
        {
            let (key, value) = entry.map_err(failed)?;
            let (key, indices) = records::history(key.value(), value.value())?;
            if Some(key) != above {
                found.entry(key).or_insert(indices);
            }
        }
    }
    Ok(found.into_iter().take(limit).collect())
}

/// Replaces the indexes by those of format 3.
#[cfg(any(test, feature = "testing"))]
pub(super) fn write_old(
    transaction: &WriteTransaction,
    places: &[(Txid, Spot)],
    history: &[(HistoryKey, Vec<u16>)],
) -> Result<(), StoreError> {
    transaction.delete_table(PLACES).map_err(failed)?;
    transaction.delete_table(ENTRIES).map_err(failed)?;
    let mut table = transaction.open_table(OLD_PLACES).map_err(failed)?;
    for (txid, spot) in places {
        let value = [
            &spot.place.height.get().to_be_bytes()[..],
            &spot.place.index.to_be_bytes(),
        ]
        .concat();
        put(&mut table, &[&txid.as_bytes()[..], &spot.block].concat(), &value)?;
    }
    let mut table = transaction.open_table(OLD_HISTORY).map_err(failed)?;
    for (key, indices) in history {
        let height = key.height.get().to_be_bytes();
        let key = [&key.tag.bytes()[..], &height, &key.block].concat();
        put(&mut table, &key, &records::history_value(indices))?;
    }
    let mut meta = transaction.open_table(META).map_err(failed)?;
    meta.remove(META_COVERED).map(drop).map_err(failed)
}
