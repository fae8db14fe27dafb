//! Who has to leave when the pool has no room: never an own transaction, and the newest of whoever holds most.
//!
//! Promises: a voice that holds little is not pushed out by those that hold much; what makes accounts has places of its
//! own number, so that a flood of new names leaves the others theirs. Elsewhere: what enters at all (`pool::mempool`).
//! Spec: `proto-notes/mempool.md`.

use std::collections::BTreeMap;

use super::error::PoolError;
use super::mempool::{Entry, Mempool, Origin, POOL_MAX_BYTES, POOL_MAX_TRANSACTIONS};
use crate::chain::ground::Ground;
use crate::chain::params::NetworkParams;
use crate::chain::store::{AccountState, StoreError};
use crate::chain::transaction::Transaction;
use crate::types::Txid;

/// The most transactions of strangers that make accounts, where a block makes few: a tenth of the pool, and sixteen
/// blocks' worth on `lan`.
const MAKERS_MAX: u64 = 1_024;

impl Mempool {
    /// Pushes out what the neighbour who holds most brought last, until one more fits.
    pub(super) fn make_room(&mut self, origin: Origin, size: usize) -> Result<Vec<Txid>, PoolError> {
        let mut evicted = Vec::new();
        while self.entries.len() >= POOL_MAX_TRANSACTIONS || self.bytes.saturating_add(size) > POOL_MAX_BYTES {
            let strangers = self.holdings.iter().filter(|(holder, _)| **holder != Origin::Own);
            let most = strangers.max_by_key(|(_, held)| held.len());
            let newest = most.and_then(|(_, held)| Some((held.len(), *held.last_key_value()?.1)));
            let held = self.holdings.get(&origin).map_or(0, BTreeMap::len);
            match newest {
                None if origin == Origin::Own => break,
                None => return Err(PoolError::PoolFull),
                // At most one fits the loop for a stranger who holds as much as anybody: its own newest would leave.
                Some((most, _)) if origin != Origin::Own && held + 1 >= most => return Err(PoolError::PoolFull),
                Some((_, txid)) => evicted.extend(self.push_out(&txid)),
            }
        }
        Ok(evicted)
    }

    /// Takes a transaction out, and those of its account that are useless without it.
    fn push_out(&mut self, txid: &Txid) -> Vec<Txid> {
        let Some(entry) = self.entries.get(txid) else {
            return Vec::new();
        };
        let (account, sequence) = (entry.account.clone(), entry.sequence);
        let queue = self.queues.get(&account).into_iter();
        let behind = queue.flat_map(|queue| queue.by_sequence.range(sequence..));
        let behind: Vec<Txid> = behind.map(|(_, (txid, ..))| *txid).collect();
        let mut gone = Vec::new();
        for txid in behind {
            let own = self.entries.get(&txid).is_none_or(|entry| entry.origin == Origin::Own);
            if !own && let Some(entry) = self.remove(&txid) {
                self.remember_dropped(txid, entry.transaction, PoolError::PushedOut.to_string());
                gone.push(txid);
            }
        }
        gone
    }

    /// Whether a transaction is the first here to name an account that the ledger does not have.
    pub(super) fn makes_account<G: Ground>(&self, ground: &G, transaction: &Transaction) -> Result<bool, StoreError> {
        for account in transaction.accounts() {
            let is_named = self.queues.contains_key(&account) || self.incoming.contains_key(&account);
            if !is_named && ground.account(&account)? == AccountState::default() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The same among what makes accounts. A block of the network always finds as many as it takes.
    pub(super) fn make_room_for_new(&mut self, params: &NetworkParams, entry: &Entry) -> Result<Vec<Txid>, PoolError> {
        let mut evicted = Vec::new();
        if !entry.makes_account || !is_stranger(&entry.origin) {
            return Ok(evicted);
        }
        let limit = usize::try_from(MAKERS_MAX.max(params.new_accounts_max)).unwrap_or(usize::MAX);
        loop {
            let strangers = self.makers.iter().filter(|(holder, _)| is_stranger(holder));
            if strangers.clone().map(|(_, held)| held.len()).sum::<usize>() < limit {
                return Ok(evicted);
            }
            let Some((_, held)) = strangers.max_by_key(|(_, held)| held.len()) else {
                return Err(PoolError::PoolFull);
            };
            let own = self.makers.get(&entry.origin).map_or(0, BTreeMap::len);
            let leaves = if own + 1 < held.len() {
                held.last_key_value().map(|(_, txid)| *txid)
            } else {
                self.newest_of_nobody(held).filter(|_| !entry.is_of_nobody)
            };
            match leaves {
                Some(txid) => evicted.extend(self.push_out(&txid)),
                None => return Err(PoolError::PoolFull),
            }
        }
    }

    /// The newest of these whose sender the ledger does not have. A neighbour through whom a flood of fresh keys comes has
    /// users too: those who were there before are told from it by their accounts.
    fn newest_of_nobody(&self, held: &BTreeMap<u64, Txid>) -> Option<Txid> {
        let is_of_nobody = |txid: &&Txid| self.entries.get(txid).is_some_and(|entry| entry.is_of_nobody);
        held.values().rev().find(is_of_nobody).copied()
    }
}

const fn is_stranger(origin: &Origin) -> bool {
    matches!(origin, Origin::Peer(_))
}
