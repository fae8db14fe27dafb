//! The future tip of a long switch, readable once all its blocks have left and joined and only the last step remains.
//!
//! Promises: nobody else sees this tip before that step. Elsewhere: the steps (`chain::long`), the pool that is
//! prepared for this tip (`pool::rebuild`).

use super::ground::Ground;
use super::ledger::Accounts;
use super::long::{Changed, Long};
use super::params::NetworkParams;
use super::state::{Chain, id_of, own_transactions};
use super::store::{AccountState, ChainStore, StoreError, TxPlace};
use super::switch::Undone;
use super::transaction::Transaction;
use crate::types::{Account, Height, NetworkId, Txid};

/// The tip to which a long switch leads.
pub struct Destination<'a, S> {
    chain: &'a Chain<S>,
    long: &'a Long,
}

impl<S: ChainStore> Chain<S> {
    /// The tip to which the long switch leads; none unless the next step is its last one.
    pub fn destination(&self) -> Option<Destination<'_, S>> {
        let long = self
            .long
            .as_ref()
            .filter(|long| long.is_at_its_end(&self.long_limits))?;
        Some(Destination { chain: self, long })
    }
}

impl<S: ChainStore> Destination<'_, S> {
    /// The transactions of the blocks that leave the active branch.
    pub const fn undone(&self) -> &Undone {
        &self.long.undone
    }

    /// Own transactions that are not confirmed at this tip, with their running numbers, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub fn own(&self) -> Result<Vec<(u64, Transaction)>, StoreError> {
        let mut all = self.chain.overlay.own(id_of)?;
        all.retain(|_, bytes| id_of(bytes).is_none_or(|txid| !self.long.own.contains_key(&txid)));
        all.extend(self.long.own.values().flatten().cloned());
        own_transactions(all)
    }
}

impl<S: ChainStore> Ground for Destination<'_, S> {
    fn params(&self) -> &NetworkParams {
        self.chain.params()
    }

    fn network_id(&self) -> NetworkId {
        self.chain.network_id()
    }

    fn account(&self, account: &Account) -> Result<AccountState, StoreError> {
        let changed = Changed {
            overlay: &self.chain.overlay,
            long: self.long,
        };
        Ok(changed.account(account)?.unwrap_or_default())
    }

    fn place(&self, txid: &Txid) -> Result<Option<TxPlace>, StoreError> {
        let first = self.long.connected.first().map(|block| block.header.height);
        let joined = |height: Height| {
            let above = height.get().checked_sub(first?.get())?;
            let block = self.long.connected.get(usize::try_from(above).ok()?);
            Some(block.map(|block| block.hash))
        };
        self.chain.overlay.place_where(txid, |height| match joined(height) {
            Some(active) => Ok(active),
            None => self.chain.active(height),
        })
    }
}
