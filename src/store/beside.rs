//! The ledger entries of a long switch: they are written beside the ledger, become part of it, and are then moved to
//! their places.
//!
//! Promises: one write makes all entries of a switch part of the ledger, however many there are. From then on reads
//! look beside the ledger first. Later writes move the entries to their places, some at a time, and no reader sees a
//! difference.
//! Elsewhere: the other tables (`tables`). Spec: `proto-notes/store.md`, "Tables".

use std::collections::BTreeMap;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::records;
use super::tables::{ACCOUNTS, BESIDE, META, failed, get, put, put_all};
use crate::chain::{AccountState, Batch, Beside, StoreError};
use crate::types::Account;

/// The key in `meta` that marks the entries of `beside` as part of the ledger, before those of `accounts`.
const META_PROMOTED: &[u8] = b"promoted";

/// Writes the changes of the ledger and of the entries beside it. Of batches that change only the ledger the last value
/// of each account is written.
pub(super) fn apply_accounts(transaction: &WriteTransaction, batches: &[Batch]) -> Result<(), StoreError> {
    let is_plain = |batch: &Batch| batch.beside == Beside::Keep && batch.shadow.is_empty();
    if batches.iter().all(is_plain) {
        let changes: BTreeMap<&Account, &Option<AccountState>> =
            batches.iter().flat_map(|batch| &batch.accounts).collect();
        return put_accounts(transaction, changes);
    }
    batches.iter().try_for_each(|batch| apply_batch(transaction, batch))
}

fn apply_batch(transaction: &WriteTransaction, batch: &Batch) -> Result<(), StoreError> {
    let keeps = matches!(batch.beside, Beside::Keep | Beside::Settle(_)) && batch.shadow.is_empty();
    if !keeps {
        // Promoted entries are moved first, so that they are not taken for entries of the new switch.
        settle(transaction, usize::MAX)?;
    }
    match batch.beside {
        Beside::Keep => {}
        Beside::Settle(most) => settle(transaction, most.into())?,
        Beside::Promote => promote(transaction)?,
        Beside::Drop => clear(transaction)?,
    }
    let shadow = batch.shadow.iter();
    if batch.beside == Beside::Promote && !batch.shadow.is_empty() {
        // These entries belong to a new switch, so the promoted ones are moved first.
        settle(transaction, usize::MAX)?;
    }
    put_all(
        transaction,
        BESIDE,
        shadow.map(|(account, state)| {
            (
                records::account_key(account),
                Some(records::beside_value(state.as_ref())),
            )
        }),
    )?;
    put_accounts(transaction, &batch.accounts)
}

fn put_accounts<'a>(
    transaction: &WriteTransaction,
    accounts: impl IntoIterator<Item = (&'a Account, &'a Option<AccountState>)>,
) -> Result<(), StoreError> {
    let entries = accounts.into_iter().map(|(account, state)| {
        let value = state.as_ref().map(records::state_value);
        (records::account_key(account), value)
    });
    let entries: Vec<_> = entries.collect();
    if !entries.is_empty() && is_promoted_in(transaction)? {
        // The newer value is in `accounts`, so the older one beside it is deleted; otherwise reads would find that
        // first.
        let keys = entries.iter().map(|(key, _)| key);
        put_all(transaction, BESIDE, keys.map(|key| (key, None::<&[u8]>)))?;
    }
    put_all(transaction, ACCOUNTS, entries)
}

fn is_promoted_in(transaction: &WriteTransaction) -> Result<bool, StoreError> {
    let meta = transaction.open_table(META).map_err(failed)?;
    let mark = meta.get(META_PROMOTED).map_err(failed)?;
    Ok(mark.is_some())
}

fn promote(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let beside = transaction.open_table(BESIDE).map_err(failed)?;
    if !beside.is_empty().map_err(failed)? {
        put(&mut transaction.open_table(META).map_err(failed)?, META_PROMOTED, &[])?;
    }
    Ok(())
}

/// Moves at most `most` of the promoted entries to their places.
fn settle(transaction: &WriteTransaction, most: usize) -> Result<(), StoreError> {
    if !is_promoted_in(transaction)? {
        return Ok(());
    }
    let mut accounts = transaction.open_table(ACCOUNTS).map_err(failed)?;
    let mut beside = transaction.open_table(BESIDE).map_err(failed)?;
    for _ in 0..most {
        let Some((key, value)) = beside.pop_first().map_err(failed)? else {
            break;
        };
        match records::beside_bytes(value.value())? {
            Some(state) => put(&mut accounts, key.value(), state)?,
            None => accounts.remove(key.value()).map(drop).map_err(failed)?,
        }
    }
    if beside.is_empty().map_err(failed)? {
        let mut meta = transaction.open_table(META).map_err(failed)?;
        meta.remove(META_PROMOTED).map(drop).map_err(failed)?;
    }
    Ok(())
}

fn clear(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let is_empty = transaction
        .open_table(BESIDE)
        .map_err(failed)?
        .is_empty()
        .map_err(failed)?;
    if !is_empty {
        transaction.delete_table(BESIDE).map_err(failed)?;
        transaction.open_table(BESIDE).map(drop).map_err(failed)?;
    }
    Ok(())
}

/// Whether some promoted entries are not in their places yet.
pub(super) fn is_promoted(reading: &ReadTransaction) -> Result<bool, StoreError> {
    Ok(get(reading, META, META_PROMOTED)?.is_some())
}

/// Reads a ledger entry, which may not be in its place yet.
pub(super) fn account(reading: &ReadTransaction, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    if is_promoted(reading)?
        && let Some(value) = get(reading, BESIDE, key)?
    {
        return Ok(records::beside_bytes(&value)?.map(<[u8]>::to_vec));
    }
    get(reading, ACCOUNTS, key)
}

/// The number of accounts, and the first of them, while some promoted entries are not in their places.
pub(super) fn accounts(
    reading: &ReadTransaction,
    limit: usize,
) -> Result<(u64, Vec<(Account, AccountState)>), StoreError> {
    let placed = reading.open_table(ACCOUNTS).map_err(failed)?;
    let beside = reading.open_table(BESIDE).map_err(failed)?;
    let mut total = placed.len().map_err(failed)?;
    let mut first = std::collections::BTreeMap::new();
    for entry in placed.iter().map_err(failed)? {
        let (key, value) = entry.map_err(failed)?;
        if first.len() >= limit {
            break;
        }
        if beside.get(key.value()).map_err(failed)?.is_none() {
            first.insert(key.value().to_vec(), records::state(value.value())?);
        }
    }
    for entry in beside.iter().map_err(failed)? {
        let (key, value) = entry.map_err(failed)?;
        let was = placed.get(key.value()).map_err(failed)?.is_some();
        let state = records::beside_bytes(value.value())?;
        match (was, state) {
            (false, Some(_)) => total = total.saturating_add(1),
            (true, None) => total = total.saturating_sub(1),
            (true, Some(_)) | (false, None) => {}
        }
        if let Some(state) = state {
            first.insert(key.value().to_vec(), records::state(state)?);
            if first.len() > limit {
                first.pop_last();
            }
        }
    }
    let first = first.into_iter();
    let read = first.map(|(key, state)| Ok((records::account(&key)?, state)));
    Ok((total, read.collect::<Result<_, StoreError>>()?))
}
