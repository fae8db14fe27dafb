//! Opens the chain file of a folder, and tells how far it is while the file of an earlier version is brought up to date.
//!
//! Elsewhere: what is done to it (`store::histories`).

use std::path::Path;
use std::time::{Duration, Instant};

use crate::chain::{ChainStore, NetworkParams, StoreError};
use crate::store::{OpenError, Progress, RedbStore};

/// The interval between two lines about the progress.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Opens the chain file.
///
/// # Errors
/// As [`RedbStore::open`].
pub(super) fn open(path: &Path, network: &NetworkParams) -> Result<RedbStore, OpenError> {
    let mut told: Option<Instant> = None;
    let store = RedbStore::open_telling(path, network, &mut |Progress { height, last }| {
        if height == last {
            tracing::info!(target: "store", %height, "the index of histories is complete: `history` can be asked");
        } else if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            told = Some(Instant::now());
            tracing::info!(
                target: "store", %height, %last,
                "an earlier version wrote this chain: its index of histories is being made, once"
            );
        }
    })?;
    trust_keys(path, &store)?;
    Ok(store)
}

/// Lets the node read its own keys without a check, after all were checked once in a file that another version wrote.
fn trust_keys(path: &Path, store: &RedbStore) -> Result<(), OpenError> {
    let mut told = Instant::now();
    let trusted = store.trust_keys(&mut |Progress { height, last }| {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            tracing::info!(target: "store", %height, %last, "another version wrote this chain: its keys are checked, once");
        }
    });
    match trusted {
        Err(StoreError::Damaged(reason)) => Err(OpenError::damaged(path, reason)),
        // Each key is checked when it is read then, as in a file that nobody vouches for.
        Ok(()) | Err(StoreError::Full | StoreError::Io(_)) => Ok(()),
    }
}

/// The warning about a file that could not be brought up to date.
pub(super) fn warning(store: &RedbStore) -> Option<(&'static str, String)> {
    let message =
        "the index of histories could not be completed, so `history` is refused; the next start goes on with it";
    matches!(store.has_history(), Ok(false)).then(|| ("no_history", message.to_owned()))
}
