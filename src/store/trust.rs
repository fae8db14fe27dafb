//! Trust in the keys of the own chain file: what this node checked before it wrote it is not decompressed at each read.
//!
//! Promises: a store checks every key that it reads until [`RedbStore::trust_keys`] succeeded; that call checks every
//! key of a file whose last node was of another version, and refuses the file if one is no usable key. Pages have sums
//! (`checked`), so a key that changed on the disk is found either way.
//! Elsewhere: who reads without a check (`records`, `redb_store`), the check of everything (`tools::verify`).
//! Spec: `proto-notes/store.md`, "Opening".

use redb::{ReadTransaction, ReadableDatabase, ReadableTable};

use super::blocks::body;
use super::opening::Open;
use super::redb_store::RedbStore;
use super::tables::{ACCOUNTS, BESIDE, META, OWN, SIDE, active, failed, get, put, tip, write};
use super::{Progress, records};
use crate::chain::{Block, StoreError, Transaction};
use crate::types::{BlockHash, Height};

/// The key in `meta` that names the version of the program that checked all keys, or wrote them.
pub(super) const META_KEYS: &[u8] = b"keys";
/// The version of this program, as the mark names it.
pub(super) const VERSION: &[u8] = env!("CARGO_PKG_VERSION").as_bytes();
/// Blocks between two reports about the progress.
const TELL_EVERY: u64 = 1_024;

impl RedbStore {
    /// From now on the keys in this file are not checked again when they are read. If the last node on this file was of
    /// another version, they are all checked first, and `tell` hears how far that is.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if a key in the file is not usable; another [`StoreError`] if the file cannot be read or
    /// written. Keys are checked at each read then, as before.
    pub fn trust_keys(&self, tell: &mut dyn FnMut(Progress)) -> Result<(), StoreError> {
        self.with(|open| {
            let reading = open.database.begin_read().map_err(failed)?;
            if get(&reading, META, META_KEYS)?.as_deref() == Some(VERSION) {
                return Ok(());
            }
            check_all(&reading, tell)?;
            drop(reading);
            mark(open)
        })?;
        self.set_trusted();
        Ok(())
    }
}

fn mark(open: &Open) -> Result<(), StoreError> {
    write(&open.database, |transaction| {
        put(&mut transaction.open_table(META).map_err(failed)?, META_KEYS, VERSION)
    })
}

/// Reads every account, own transaction and block with all checks of their keys.
fn check_all(reading: &ReadTransaction, tell: &mut dyn FnMut(Progress)) -> Result<(), StoreError> {
    for entry in reading.open_table(ACCOUNTS).map_err(failed)?.iter().map_err(failed)? {
        let (key, value) = entry.map_err(failed)?;
        records::account(key.value())?;
        records::state(value.value())?;
    }
    for entry in reading.open_table(BESIDE).map_err(failed)?.iter().map_err(failed)? {
        let (key, value) = entry.map_err(failed)?;
        records::account(key.value())?;
        let state = records::beside_bytes(value.value())?;
        state.map(records::state).transpose()?;
    }
    for entry in reading.open_table(OWN).map_err(failed)?.iter().map_err(failed)? {
        let (_, value) = entry.map_err(failed)?;
        let (_, bytes) = records::own(value.value())?;
        Transaction::from_bytes(&bytes).map_err(|error| records::damaged("own transaction", error))?;
    }
    for entry in reading.open_table(SIDE).map_err(failed)?.iter().map_err(failed)? {
        let (key, _) = entry.map_err(failed)?;
        check_block(reading, &records::hash("side block", key.value()).map(BlockHash::new)?)?;
    }
    let (last, _) = tip(reading)?;
    for at in 0..=last.get() {
        let height = Height::new(at);
        let missing = || records::damaged("active chain", format_args!("height {height} has no block"));
        check_block(reading, &active(reading, height)?.ok_or_else(missing)?)?;
        if at % TELL_EVERY == TELL_EVERY - 1 {
            tell(Progress { height, last });
        }
    }
    Ok(())
}

fn check_block(reading: &ReadTransaction, hash: &BlockHash) -> Result<(), StoreError> {
    let named = |error: &dyn core::fmt::Display| records::damaged("body", format_args!("block {hash}: {error}"));
    let bytes = body(reading, hash)?.ok_or_else(|| named(&"it is missing"))?;
    Block::from_bytes(&bytes).map(drop).map_err(|error| named(&error))
}
