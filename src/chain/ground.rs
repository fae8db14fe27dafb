//! What waiting transactions are checked against: the ledger and the index at a tip, the present one or one to come.
//!
//! Elsewhere: the present one (`chain::state`), the one that a long switch leads to (`chain::destination`).

use super::params::NetworkParams;
use super::state::Chain;
use super::store::{AccountState, ChainStore, StoreError, TxPlace};
use crate::types::{Account, NetworkId, PublicKey, Txid};

/// The ledger and the index at a tip.
pub trait Ground {
    /// The rules of the network that the tip belongs to.
    fn params(&self) -> &NetworkParams;
    /// The id that signatures are made for.
    fn network_id(&self) -> NetworkId;
    /// An account; the default if it was never used.
    ///
    /// # Errors
    /// [`StoreError`], as all of these.
    fn account(&self, account: &Account) -> Result<AccountState, StoreError>;
    /// Where a transaction stands in the branch that ends there.
    fn place(&self, txid: &Txid) -> Result<Option<TxPlace>, StoreError>;
    /// Whose the account is. A key owns itself.
    fn owner(&self, account: &Account) -> Result<Option<PublicKey>, StoreError> {
        match account {
            Account::Key(key) => Ok(Some(*key)),
            Account::Name(_) => Ok(self.account(account)?.owner),
        }
    }
}

impl<S: ChainStore> Ground for Chain<S> {
    fn params(&self) -> &NetworkParams {
        Self::params(self)
    }

    fn network_id(&self) -> NetworkId {
        Self::network_id(self)
    }

    fn account(&self, account: &Account) -> Result<AccountState, StoreError> {
        Self::account(self, account)
    }

    fn place(&self, txid: &Txid) -> Result<Option<TxPlace>, StoreError> {
        Self::place(self, txid)
    }
}
