//! Eviction from a full pool: never an own transaction, otherwise the newest one of the voice that holds most.
//!
//! Promises: voices that hold much do not push out one that holds little. Transactions that create accounts have a
//! separate limit, so that a flood of new names leaves room for the others. Elsewhere: what enters the pool at all
//! (`pool::mempool`).
//! Spec: `proto-notes/mempool.md`.

use std::collections::BTreeMap;

use super::error::PoolError;
use super::mempool::{Mempool, Origin, POOL_MAX_BYTES, POOL_MAX_TRANSACTIONS, PoolEntry};
use crate::chain::ground::Ground;
use crate::chain::params::NetworkParams;
use crate::chain::store::{AccountState, StoreError};
use crate::chain::transaction::Transaction;
use crate::types::Txid;

/// The most strangers' transactions that create accounts, on networks whose blocks allow few: a tenth of the pool,
/// which is sixteen blocks' worth on `lan`.
const MAKERS_MAX: u64 = 1_024;

impl Mempool {
    /// Evicts the newest transactions of the voice that holds most, until a transaction of `size` bytes fits.
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
                // A stranger who holds as much as anybody else would only evict its own newest transaction, so it is
                // refused.
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
                self.drop_for(txid, *entry.transaction, PoolError::PushedOut);
                gone.push(txid);
            }
        }
        gone
    }

    /// Whether a transaction is the first in the pool that names an account which the ledger does not have.
    pub(super) fn makes_account<G: Ground>(&self, ground: &G, transaction: &Transaction) -> Result<bool, StoreError> {
        for account in transaction.accounts() {
            let is_named = self.queues.contains_key(&account) || self.incoming.contains_key(&account);
            if !is_named && ground.account(&account)? == AccountState::default() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes room among the transactions that create accounts. The limit is never below what one block of the network
    /// takes.
    pub(super) fn make_room_for_new(
        &mut self,
        params: &NetworkParams,
        entry: &PoolEntry,
    ) -> Result<Vec<Txid>, PoolError> {
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
                self.newest_of_new_sender(held).filter(|_| !entry.sender_is_new)
            };
            match leaves {
                Some(txid) => evicted.extend(self.push_out(&txid)),
                None => return Err(PoolError::PoolFull),
            }
        }
    }

    /// The newest of these transactions whose sender is not in the ledger. A neighbour that forwards a flood of fresh
    /// keys also has real users; their accounts tell them apart.
    fn newest_of_new_sender(&self, held: &BTreeMap<u64, Txid>) -> Option<Txid> {
        let sender_is_new = |txid: &&Txid| self.entries.get(txid).is_some_and(|entry| entry.sender_is_new);
        held.values().rev().find(sender_is_new).copied()
    }
}

const fn is_stranger(origin: &Origin) -> bool {
    matches!(origin, Origin::Peer(_))
}
