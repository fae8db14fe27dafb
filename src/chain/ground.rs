//! The ledger and transaction index that waiting transactions are checked against, at the present tip or a future one.
//!
//! Elsewhere: the present tip (`chain::state`), the tip to which a long switch leads (`chain::destination`).

use super::params::NetworkParams;
use super::state::Chain;
use super::store::{AccountState, ChainStore, StoreError, TxPlace};
use crate::types::{Account, NetworkId, PublicKey, Txid};

/// The ledger and the transaction index at a tip.
pub trait Ground {
    /// The rules of the network that the tip belongs to.
    fn params(&self) -> &NetworkParams;
    /// The network id that signatures must cover.
    fn network_id(&self) -> NetworkId;
    /// The state of an account; the default if it was never used.
    ///
    /// # Errors
    /// [`StoreError`], as for all reads here.
    fn account(&self, account: &Account) -> Result<AccountState, StoreError>;
    /// The position of a transaction in the branch that ends at this tip; none if it is not confirmed there.
    fn place(&self, txid: &Txid) -> Result<Option<TxPlace>, StoreError>;
    /// The key that owns an account; none for a name that nobody claimed. A key account belongs to its key.
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
