//! Headers and bodies in the chain file.
//!
//! Their keys begin with the height, so that new blocks stand at the end of their tables: a random key would dirty a page
//! of its own for each block, and leave a third of the pages empty. A block is asked for by its hash alone, so a third
//! table says at which height a hash stands.
//!
//! Promises: a file of an earlier version keeps its blocks where they are, and they are read there.
//! Elsewhere: what belongs to a block (`records`), the other tables (`tables`).
//! Spec: `proto-notes/store.md`, "Tables".

use redb::{Key, ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, TableError, Value, WriteTransaction};

use super::records::{self, BLOCK_KEY_BYTES, HEIGHT_KEY_BYTES, PIECE_KEY_BYTES};
use super::tables::{self, PIECE_BYTES, TableBytes, failed};
use crate::chain::{Batch, StoreError, StoredBlock};
use crate::types::BlockHash;

const HEADERS: TableDefinition<'_, &[u8; BLOCK_KEY_BYTES], TableBytes> = TableDefinition::new("chain");
const PIECES: TableDefinition<'_, &[u8; PIECE_KEY_BYTES], TableBytes> = TableDefinition::new("pieces");
const HEIGHTS: TableDefinition<'_, &[u8; HEIGHT_KEY_BYTES], ()> = TableDefinition::new("heights");
/// The tables of earlier versions, which have the hash alone as key.
const OLD_HEADERS: tables::Definition = TableDefinition::new("headers");
const OLD_BODIES: tables::Definition = TableDefinition::new("bodies");

/// Makes the empty tables.
pub(super) fn create(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(HEADERS).map_err(failed)?;
    transaction.open_table(PIECES).map_err(failed)?;
    transaction.open_table(HEIGHTS).map(drop).map_err(failed)
}

/// A table; none if the file has no such table.
pub(super) fn open<K: Key, V: Value>(
    reading: &ReadTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<Option<ReadOnlyTable<K, V>>, StoreError> {
    match reading.open_table(table) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// The key of a block among the headers; none if it is not stored, or in a table of an earlier version.
fn key_of(reading: &ReadTransaction, hash: &BlockHash) -> Result<Option<[u8; BLOCK_KEY_BYTES]>, StoreError> {
    let (Some(heights), Some(headers)) = (open(reading, HEIGHTS)?, open(reading, HEADERS)?) else {
        return Ok(None);
    };
    let (first, last) = records::height_keys(hash);
    for entry in heights
        .range::<&[u8; HEIGHT_KEY_BYTES]>(&first..=&last)
        .map_err(failed)?
    {
        let key = records::block_key_at(entry.map_err(failed)?.0.value(), hash);
        // Another block may begin with the same bytes.
        if headers.get(&key).map_err(failed)?.is_some() {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// Reads header, work and size of a block.
pub(super) fn block(reading: &ReadTransaction, hash: &BlockHash) -> Result<Option<StoredBlock>, StoreError> {
    let value = match (key_of(reading, hash)?, open(reading, HEADERS)?) {
        (Some(key), Some(table)) => {
            let value = table.get(&key).map_err(failed)?;
            value.map(|value| value.value().to_vec())
        }
        _ => match open(reading, OLD_HEADERS)? {
            Some(table) => {
                let value = table.get(&hash.as_bytes()[..]).map_err(failed)?;
                value.map(|value| value.value().to_vec())
            }
            None => None,
        },
    };
    value.map(|value| records::block(hash, &value)).transpose()
}

/// Reads a body and joins its pieces.
pub(super) fn body(reading: &ReadTransaction, hash: &BlockHash) -> Result<Option<Vec<u8>>, StoreError> {
    let mut body = Vec::new();
    if let (Some(key), Some(table)) = (key_of(reading, hash)?, open(reading, PIECES)?) {
        for number in 0..=u16::MAX {
            let piece = table.get(&records::piece_key(&key, number)).map_err(failed)?;
            let Some(piece) = piece else { break };
            body.extend_from_slice(piece.value());
            if piece.value().len() < PIECE_BYTES {
                break;
            }
        }
    } else if let Some(table) = open(reading, OLD_BODIES)? {
        for number in 0..=u16::MAX {
            let piece = table.get(&records::old_piece_key(hash, number)[..]).map_err(failed)?;
            let Some(piece) = piece else { break };
            body.extend_from_slice(piece.value());
            if piece.value().len() < PIECE_BYTES {
                break;
            }
        }
    }
    Ok((!body.is_empty()).then_some(body))
}

/// The stored blocks whose hashes are in a range, both ends included, in order, at most `limit`.
pub(super) fn between(
    reading: &ReadTransaction,
    (first, last): (&[u8; 32], &[u8; 32]),
    limit: usize,
) -> Result<Vec<BlockHash>, StoreError> {
    let mut found = Vec::new();
    if let (Some(heights), Some(headers)) = (open(reading, HEIGHTS)?, open(reading, HEADERS)?) {
        let (lowest, _) = records::height_keys(&BlockHash::new(*first));
        let (_, highest) = records::height_keys(&BlockHash::new(*last));
        let entries = heights.range::<&[u8; HEIGHT_KEY_BYTES]>(&lowest..=&highest);
        for entry in entries.map_err(failed)? {
            let key = *entry.map_err(failed)?.0.value();
            // The table has the start of a hash; those that begin alike stand in the order of their heights.
            if found.len() >= limit && !found.last().is_some_and(|hash| records::begins_alike(&key, hash)) {
                break;
            }
            let (from, to) = records::block_keys(&key);
            let alike = headers.range::<&[u8; BLOCK_KEY_BYTES]>(&from..=&to);
            for entry in alike.map_err(failed)? {
                let hash = records::block_of(entry.map_err(failed)?.0.value());
                if (first..=last).contains(&hash.as_bytes()) {
                    found.push(hash);
                }
            }
        }
    }
    if open(reading, OLD_HEADERS)?.is_some() {
        found.extend(tables::collect(
            reading,
            OLD_HEADERS,
            (first, last),
            limit,
            |key, _| records::hash("header", key).map(BlockHash::new),
        )?);
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(limit);
    Ok(found)
}

/// Writes and deletes the blocks of batches.
pub(super) fn apply(transaction: &WriteTransaction, batches: &[Batch]) -> Result<(), StoreError> {
    let blocks = || batches.iter().flat_map(|batch| &batch.blocks);
    if blocks().next().is_none() {
        return Ok(());
    }
    let mut headers = transaction.open_table(HEADERS).map_err(failed)?;
    let mut pieces = transaction.open_table(PIECES).map_err(failed)?;
    let mut heights = transaction.open_table(HEIGHTS).map_err(failed)?;
    for (hash, block) in blocks() {
        let Some((stored, body)) = block else {
            let (first, last) = records::height_keys(hash);
            let entries = heights.range::<&[u8; HEIGHT_KEY_BYTES]>(&first..=&last);
            let entries = entries
                .map_err(failed)?
                .map(|entry| Ok(*entry.map_err(failed)?.0.value()));
            for at in entries.collect::<Result<Vec<_>, StoreError>>()? {
                let key = records::block_key_at(&at, hash);
                if headers.remove(&key).map_err(failed)?.is_none() {
                    continue;
                }
                remove_pieces(|number| {
                    Ok(pieces
                        .remove(&records::piece_key(&key, number))
                        .map_err(failed)?
                        .is_some())
                })?;
                // Another block with the same start at the same height keeps the entry.
                let (from, to) = records::block_keys(&at);
                let mut alike = headers.range::<&[u8; BLOCK_KEY_BYTES]>(&from..=&to).map_err(failed)?;
                if alike.next().is_none() {
                    drop(alike);
                    heights.remove(&at).map_err(failed)?;
                }
            }
            continue;
        };
        let key = records::block_key(stored.header.height, hash)?;
        headers
            .insert(&key, &records::block_value(stored)[..])
            .map_err(failed)?;
        heights.insert(&records::height_key_of(&key), ()).map_err(failed)?;
        for (number, piece) in (0_u16..).zip(body.chunks(PIECE_BYTES)) {
            pieces
                .insert(&records::piece_key(&key, number), piece)
                .map_err(failed)?;
        }
    }
    drop((headers, pieces, heights));
    let gone = blocks().filter(|(_, block)| block.is_none()).map(|(hash, _)| hash);
    remove_old(transaction, gone)
}

/// Removes blocks from the tables of earlier versions, if the file has these.
fn remove_old<'a>(
    transaction: &WriteTransaction,
    mut gone: impl Iterator<Item = &'a BlockHash>,
) -> Result<(), StoreError> {
    let Some(first) = gone.next() else { return Ok(()) };
    let names: Vec<_> = transaction.list_tables().map_err(failed)?.collect();
    if !names.iter().any(|table| redb::TableHandle::name(table) == "headers") {
        return Ok(());
    }
    let mut headers = transaction.open_table(OLD_HEADERS).map_err(failed)?;
    let mut bodies = transaction.open_table(OLD_BODIES).map_err(failed)?;
    for hash in std::iter::once(first).chain(gone) {
        if headers.remove(&hash.as_bytes()[..]).map_err(failed)?.is_some() {
            remove_pieces(|number| {
                let removed = bodies.remove(&records::old_piece_key(hash, number)[..]);
                Ok(removed.map_err(failed)?.is_some())
            })?;
        }
    }
    Ok(())
}

/// Removes pieces from the first on, until there is none.
fn remove_pieces(mut remove: impl FnMut(u16) -> Result<bool, StoreError>) -> Result<(), StoreError> {
    for number in 0..=u16::MAX {
        if !remove(number)? {
            break;
        }
    }
    Ok(())
}
