//! What can be asked of the pool: what waits, in which order, and whose an account is once it is confirmed.
//!
//! Promises: nothing here changes the pool.
//! Spec: `proto-notes/mempool.md`.

use super::mempool::{Mempool, Origin, clamped, next_free};
use crate::chain::state::Chain;
use crate::chain::store::{ChainStore, StoreError};
use crate::chain::transaction::Transaction;
use crate::types::{Account, AccountName, Balance, PublicKey, Txid};

impl Mempool {
    /// A waiting transaction.
    #[must_use]
    pub fn get(&self, txid: &Txid) -> Option<&Transaction> {
        self.entries.get(txid).map(|entry| &entry.transaction)
    }

    /// Whether it waits, and is this node's own.
    #[must_use]
    pub fn is_own(&self, txid: &Txid) -> bool {
        self.entries.get(txid).is_some_and(|entry| entry.origin == Origin::Own)
    }

    /// Whether it waits.
    #[must_use]
    pub fn contains(&self, txid: &Txid) -> bool {
        self.entries.contains_key(txid)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The first eight bytes of all ids, exclusive-or: tells two pools apart at a glance.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// The waiting transactions by id, after the given one.
    pub fn after(&self, after: &Txid) -> impl Iterator<Item = &Transaction> {
        use core::ops::Bound::{Excluded, Unbounded};
        let range = self.entries.range((Excluded(*after), Unbounded));
        range.map(|(_, entry)| &entry.transaction)
    }

    /// Ids that start with these nibbles (lower-case hex), of waiting transactions and of dropped ones that are remembered.
    #[must_use]
    pub fn ids_by_prefix(&self, prefix: &str, limit: usize) -> Vec<Txid> {
        let all = self.entries.keys().chain(self.dropped.keys());
        let fits = |txid: &&Txid| txid.to_string().starts_with(prefix);
        all.filter(fits).take(limit).copied().collect()
    }

    /// The waiting transactions as they came.
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

    /// The same beside other sequences in use: `run_end` gives the last one of those that follow a used one without a gap.
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

    /// Whose the name will be once the pool is in a block, if the chain gives it to nobody.
    #[must_use]
    pub fn pending_owner(&self, name: &AccountName) -> Option<PublicKey> {
        let queue = self.queues.get(&Account::Name(name.clone()))?;
        queue.by_sequence.get(&0).map(|(_, _, signer)| *signer)
    }

    /// The balance of an account once the whole pool is in blocks.
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

    /// A transaction that left the pool without a block, and why; the last 4,096 are remembered.
    #[must_use]
    pub fn dropped_reason(&self, txid: &Txid) -> Option<(&Transaction, &str)> {
        let (transaction, reason) = self.dropped.get(txid)?;
        Some((transaction, reason))
    }
}
