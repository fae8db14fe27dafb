//! What tests do to a chain file that a node never does.

use redb::WriteTransaction;

use super::super::opening::META_FORMAT;
use super::super::tables::{META, put};
use super::*;

/// Applies batches and then fails, as a full disk would.
pub(crate) fn fail_after(store: &RedbStore, batches: &[Batch]) -> Result<(), StoreError> {
    store.with(|open| {
        write(&open.database, |transaction| {
            apply(transaction, batches)?;
            Err(StoreError::Io("the disk is full".into()))
        })
    })
}

/// Writes another format number, as if a newer version had written the file.
pub(crate) fn set_format(store: &RedbStore, format: u32) {
    let set = |transaction: &WriteTransaction| {
        let mut meta = transaction.open_table(META).map_err(failed)?;
        put(&mut meta, META_FORMAT, &format.to_be_bytes())
    };
    store.with(|open| write(&open.database, set)).unwrap();
}

/// Writes which version of the program has checked the keys.
pub(crate) fn set_checked_by(store: &RedbStore, version: &[u8]) {
    let set = |transaction: &WriteTransaction| {
        let mut meta = transaction.open_table(META).map_err(failed)?;
        put(&mut meta, super::super::trust::META_KEYS, version)
    };
    store.with(|open| write(&open.database, set)).unwrap();
}

/// Removes the mark of the indexes.
pub(crate) fn forget_mark(store: &RedbStore) {
    let unset = |transaction: &WriteTransaction| {
        let mut meta = transaction.open_table(META).map_err(failed)?;
        meta.remove(index::META_COVERED).map(drop).map_err(failed)
    };
    store.with(|open| write(&open.database, unset)).unwrap();
}

/// Makes the indexes anew, as if an earlier version had written the file.
pub(crate) fn remake_history(store: &RedbStore, step_bytes: usize) {
    set_format(store, 2);
    forget_mark(store);
    let complete = |open: &Open| histories::complete(&open.database, step_bytes, &mut |_| ());
    store.with(complete).unwrap();
}

/// The number of entries that wait for the tables of the indexes.
pub(crate) fn waiting(store: &RedbStore) -> usize {
    store.late().len()
}

/// Opens the file of an earlier version as it is, as if there was no room to bring it up to date.
pub(crate) fn open_as_it_is(path: &Path, params: &NetworkParams) -> Result<RedbStore, OpenError> {
    let store = RedbStore::on(path, params, open_file(path, params)?);
    store.load_late()?;
    Ok(store)
}

/// Gives the file the indexes of format 3.
pub(crate) fn as_format_3(store: &RedbStore) {
    let transactions = store.spots_by_prefix("", usize::MAX).unwrap();
    let history = store.history_above(None, usize::MAX).unwrap();
    let write_old = |transaction: &WriteTransaction| index::write_old(transaction, &transactions, &history);
    store.with(|open| write(&open.database, write_old)).unwrap();
    set_format(store, 3);
}

/// The pages of each table in bytes, and in the last place all pages in use.
pub(crate) fn table_bytes(store: &RedbStore) -> Vec<(String, u64)> {
    use redb::TableHandle;
    let read = |reading: &ReadTransaction| {
        let mut found = Vec::new();
        for table in reading.list_tables().map_err(failed)? {
            let name = table.name().to_owned();
            let stats = reading
                .open_untyped_table(table)
                .map_err(failed)?
                .stats()
                .map_err(failed)?;
            let bytes = stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes();
            found.push((name, bytes));
        }
        found.push(("all".into(), found.iter().map(|(_, bytes)| bytes).sum()));
        Ok(found)
    };
    store.read(read).unwrap()
}

/// Creates a new chain file in a storage that the test provides.
pub(crate) fn create_on(storage: impl StorageBackend, params: &NetworkParams) -> Result<(), StoreError> {
    super::super::opening::create_in(storage, params)
}
