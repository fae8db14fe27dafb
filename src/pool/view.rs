//! Reads of the pool: the waiting transactions, their order, and the future owner and balance of an account.
//!
//! Promises: nothing here changes the pool.
//! Spec: `proto-notes/mempool.md`.

use super::error::PoolError;
use super::mempool::{Mempool, Origin, clamped, next_free};
use crate::chain::state::Chain;
use crate::chain::store::{ChainStore, StoreError};
use crate::chain::transaction::Transaction;
use crate::types::{Account, AccountName, Balance, PublicKey, Txid, WallTime};

impl Mempool {
    /// A waiting transaction; none if it is not in the pool.
    #[must_use]
    pub fn get(&self, txid: &Txid) -> Option<&Transaction> {
        self.entries.get(txid).map(|entry| &*entry.transaction)
    }

    /// The waiting transactions in the order of their ids.
    pub fn transactions(&self) -> impl Iterator<Item = &Transaction> {
        self.entries.values().map(|entry| &*entry.transaction)
    }

    /// The waiting transactions with their ids, in the order of these.
    pub fn with_ids(&self) -> impl Iterator<Item = (&Txid, &Transaction)> {
        self.entries.iter().map(|(txid, entry)| (txid, &*entry.transaction))
    }

    /// When this node first saw a waiting transaction, by the wall clock; none if it does not wait. After a restart that
    /// is when the transaction was read from the disk, and of one whose block left the chain when it came back.
    #[must_use]
    pub fn first_seen(&self, txid: &Txid) -> Option<WallTime> {
        self.entries.get(txid).map(|entry| entry.seen)
    }

    /// Whether the transaction waits and is this node's own.
    #[must_use]
    pub fn is_own(&self, txid: &Txid) -> bool {
        self.entries.get(txid).is_some_and(|entry| entry.origin == Origin::Own)
    }

    /// Whether the transaction waits.
    #[must_use]
    pub fn contains(&self, txid: &Txid) -> bool {
        self.entries.contains_key(txid)
    }

    /// The number of waiting transactions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no transaction waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The exclusive-or of the first eight bytes of all ids: two pools with different digests differ.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// The waiting transactions in the order of their ids, after the given one.
    pub fn after(&self, after: &Txid) -> impl Iterator<Item = &Transaction> {
        use core::ops::Bound::{Excluded, Unbounded};
        let range = self.entries.range((Excluded(*after), Unbounded));
        range.map(|(_, entry)| &*entry.transaction)
    }

    /// At most `limit` ids that start with these hex digits (lower case), of waiting transactions and remembered
    /// dropped ones.
    #[must_use]
    pub fn ids_by_prefix(&self, prefix: &str, limit: usize) -> Vec<Txid> {
        let all = self.entries.keys().chain(self.dropped.keys());
        let fits = |txid: &&Txid| txid.to_string().starts_with(prefix);
        all.filter(fits).take(limit).copied().collect()
    }

    /// The waiting transactions by arrival.
    pub fn all(&self) -> impl Iterator<Item = &Transaction> {
        self.arrivals.values().filter_map(|txid| self.get(txid))
    }

    /// The first sequence of an account that neither the chain nor the pool uses.
    ///
    /// # Errors
    /// [`StoreError`] if the account cannot be read.
    pub fn next_sequence<S: ChainStore>(&self, chain: &Chain<S>, account: &Account) -> Result<u64, StoreError> {
        self.next_sequence_beside(chain, account, |_| None)
    }

    /// Finds the next sequence if others are in use too. `run_end` maps a used sequence to the last one that follows it
    /// without a gap.
    ///
    /// # Errors
    /// [`StoreError`] if the account cannot be read.
    pub fn next_sequence_beside<S: ChainStore>(
        &self,
        chain: &Chain<S>,
        account: &Account,
        run_end: impl Fn(u64) -> Option<u64>,
    ) -> Result<u64, StoreError> {
        let queue = self.queues.get(account);
        let mut free = next_free(queue, chain.account(account)?.next_sequence);
        while let Some(last) = run_end(free).filter(|last| *last < u64::MAX) {
            free = next_free(queue, last + 1);
        }
        Ok(free)
    }

    /// The future owner of a name that has none in the chain: the signer of the waiting claim, if there is one.
    #[must_use]
    pub fn pending_owner(&self, name: &AccountName) -> Option<PublicKey> {
        self.first_signature(name).map(|(_, signer)| signer)
    }

    /// The waiting transaction that makes a name its signer's, and that key; none if none waits.
    #[must_use]
    pub fn first_signature(&self, name: &AccountName) -> Option<(Txid, PublicKey)> {
        let queue = self.queues.get(&Account::Name(name.clone()))?;
        queue.by_sequence.get(&0).map(|(txid, _, signer)| (*txid, *signer))
    }

    /// The future balance of an account, once all waiting transactions are in blocks.
    ///
    /// # Errors
    /// [`StoreError`] if the account cannot be read.
    pub fn pending_balance<S: ChainStore>(&self, chain: &Chain<S>, account: &Account) -> Result<Balance, StoreError> {
        let outgoing = self.queues.get(account).map_or(0, |queue| queue.total);
        let incoming = self.incoming.get(account).copied().unwrap_or(0);
        Ok(clamped(
            i128::from(chain.account(account)?.balance) + incoming - outgoing,
        ))
    }

    /// A transaction that left the pool without a block, and the reason; the last 4,096 are remembered.
    #[must_use]
    pub fn dropped_reason(&self, txid: &Txid) -> Option<(&Transaction, &PoolError)> {
        let (transaction, reason) = self.dropped.get(txid)?;
        Some((transaction, reason))
    }
}
