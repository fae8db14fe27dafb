//! The tables of the chain file: reading them, and writing batches into them.
//!
//! Spec: `proto-notes/store.md`, "Tables".

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{
    Database, Durability, ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction,
};

use super::error::is_full;
use super::{beside, blocks, records};
use crate::chain::{Batch, StoreError};
use crate::types::{BlockHash, Height};

pub(super) type TableBytes = &'static [u8];
pub(super) type Definition = TableDefinition<'static, TableBytes, TableBytes>;
pub(super) type ReadTable = ReadOnlyTable<TableBytes, TableBytes>;
pub(super) type WriteTable<'a> = Table<'a, TableBytes, TableBytes>;

pub(super) const META: Definition = TableDefinition::new("meta");
pub(super) const ACTIVE: Definition = TableDefinition::new("active");
pub(super) const SIDE: Definition = TableDefinition::new("side");
pub(super) const ACCOUNTS: Definition = TableDefinition::new("accounts");
/// Ledger entries for the end of a long switch, kept beside the ledger.
pub(super) const BESIDE: Definition = TableDefinition::new("beside");
pub(super) const OWN: Definition = TableDefinition::new("own");
pub(super) const PEERS: Definition = TableDefinition::new("peers");
/// The tables of every file, besides those of blocks (`blocks`) and of the indexes (`index`).
pub(super) const TABLES: [Definition; 7] = [META, ACTIVE, SIDE, ACCOUNTS, BESIDE, OWN, PEERS];

/// The size of one piece of a body in bytes. With its key it fits a page of 16 KiB. A longer value would get a page of
/// the next power of two: 512 KiB for a body of 300 KiB.
pub(super) const PIECE_BYTES: usize = 16 * 1024 - 64;

/// Turns a panic of redb, which trusts what it reads, into an error.
pub(super) fn unpanicked<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(StoreError::Damaged("its pages contradict each other".into())))
}

/// Converts an error of redb.
pub(super) fn failed(error: impl Into<redb::Error>) -> StoreError {
    let error = error.into();
    let text = error.to_string();
    match error {
        redb::Error::Corrupted(text) => StoreError::Damaged(text),
        redb::Error::Io(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) => {
            StoreError::Damaged(text)
        }
        redb::Error::Io(error) if is_full(error.kind()) => StoreError::Full,
        redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableIsNotMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::UpgradeRequired(_) => StoreError::Damaged(text),
        // All other errors, also those that redb may add later, are refusals of the system.
        _ => StoreError::Io(text),
    }
}

/// Runs one durable transaction. Quick repair implies two-phase commit, which is safe with contents from strangers.
pub(super) fn write(
    database: &Database,
    work: impl FnOnce(&WriteTransaction) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut transaction = database.begin_write().map_err(failed)?;
    transaction.set_quick_repair(true);
    transaction.set_durability(Durability::Immediate).map_err(failed)?;
    match work(&transaction) {
        Ok(()) => transaction.commit().map_err(failed),
        Err(error) => {
            // The first error is the one to report.
            let _ = transaction.abort();
            Err(error)
        }
    }
}

pub(super) fn get(reading: &ReadTransaction, table: Definition, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let table: ReadTable = reading.open_table(table).map_err(failed)?;
    let value = table.get(key).map_err(failed)?;
    Ok(value.map(|value| value.value().to_vec()))
}

pub(super) fn tip(reading: &ReadTransaction) -> Result<(Height, BlockHash), StoreError> {
    last_active(&reading.open_table(ACTIVE).map_err(failed)?)
}

/// The last entry of the table of active blocks.
pub(super) fn last_active(
    table: &impl ReadableTable<TableBytes, TableBytes>,
) -> Result<(Height, BlockHash), StoreError> {
    let (height, hash) = table
        .last()
        .map_err(failed)?
        .ok_or_else(|| records::damaged("active chain", "it is empty"))?;
    Ok((
        records::height(height.value())?,
        records::hash("active block", hash.value()).map(BlockHash::new)?,
    ))
}

pub(super) fn active(reading: &ReadTransaction, height: Height) -> Result<Option<BlockHash>, StoreError> {
    get(reading, ACTIVE, &records::height_key(height))?
        .map(|value| records::hash("active block", &value).map(BlockHash::new))
        .transpose()
}

/// Reads at most `limit` entries of a range of keys, in order.
pub(super) fn collect<T>(
    reading: &ReadTransaction,
    table: Definition,
    (from, to): (&[u8], &[u8]),
    limit: usize,
    read: impl Fn(&[u8], &[u8]) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let table = reading.open_table(table).map_err(failed)?;
    let entries = table.range::<&[u8]>(from..=to).map_err(failed)?;
    entries
        .take(limit)
        .map(|entry| {
            let (key, value) = entry.map_err(failed)?;
            read(key.value(), value.value())
        })
        .collect()
}

/// A key above every key of every table; no key is longer than 65 bytes.
pub(super) const LAST_KEY: [u8; 66] = [0xff; 66];
pub(super) const EVERY_KEY: (&[u8], &[u8]) = (&[], &LAST_KEY);

pub(super) fn put(table: &mut WriteTable<'_>, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    table.insert(key, value).map(drop).map_err(failed)
}

/// Writes or deletes each entry of a map. Without entries the table is not even opened.
pub(super) fn put_all<K, V>(
    transaction: &WriteTransaction,
    table: Definition,
    entries: impl IntoIterator<Item = (K, Option<V>)>,
) -> Result<(), StoreError>
where
    K: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    let mut entries = entries.into_iter().peekable();
    if entries.peek().is_none() {
        return Ok(());
    }
    let mut table = transaction.open_table(table).map_err(failed)?;
    for (key, value) in entries {
        match value {
            Some(value) => put(&mut table, key.as_ref(), value.as_ref())?,
            None => table.remove(key.as_ref()).map(drop).map_err(failed)?,
        }
    }
    Ok(())
}

/// Writes all that batches change, except for the indexes. Each table is written for all batches together.
pub(super) fn apply(transaction: &WriteTransaction, batches: &[Batch]) -> Result<(), StoreError> {
    apply_blocks(transaction, batches)?;
    beside::apply_accounts(transaction, batches)?;
    let own = batches.iter().flat_map(|batch| &batch.own);
    put_all(
        transaction,
        OWN,
        own.map(|(txid, own)| {
            let value = own.as_ref().map(|(number, bytes)| records::own_value(*number, bytes));
            (txid.as_bytes(), value)
        }),
    )?;
    let peers = batches.iter().flat_map(|batch| &batch.peers);
    put_all(
        transaction,
        PEERS,
        peers.map(|(peer, addresses)| {
            let value = addresses.as_ref().map(|addresses| records::addresses_value(addresses));
            (peer.to_bytes(), value)
        }),
    )
}

fn apply_blocks(transaction: &WriteTransaction, batches: &[Batch]) -> Result<(), StoreError> {
    blocks::apply(transaction, batches)?;
    let active = batches.iter().flat_map(|batch| &batch.active);
    put_all(
        transaction,
        ACTIVE,
        active.map(|(height, hash)| (records::height_key(*height), hash.as_ref().map(BlockHash::as_bytes))),
    )?;
    let side = batches.iter().flat_map(|batch| &batch.side);
    put_all(
        transaction,
        SIDE,
        side.map(|(hash, there)| (hash.as_bytes(), there.map(|()| []))),
    )
}
