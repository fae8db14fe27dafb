//! Accounts in replies: balances, owners, and lists of accounts.
//!
//! Spec: `proto-notes/events.md`, "Replies".

use super::{View, store_error};
use crate::chain::{AccountState, ChainStore};
use crate::contract::{AccountView, CommandError, Reply};
use crate::types::{Account, PublicKey};

/// The most entries in the reply of `accounts`.
const ACCOUNTS_MAX: usize = 1_000;
/// The most accounts that are read to find the own and the richest ones; of a larger ledger only a part is read.
const ACCOUNTS_READ_MAX: usize = 100_000;

/// The PeerId of an owner as text; none for a free name.
fn owner_text(owner: Option<PublicKey>) -> Option<String> {
    owner.map(|key| key.peer_id().to_string())
}

/// An account as lists show it.
#[must_use]
pub fn account_view((account, state): (Account, AccountState)) -> AccountView {
    AccountView {
        owner: match &account {
            Account::Key(key) => owner_text(Some(*key)),
            Account::Name(_) => owner_text(state.owner),
        },
        account,
        balance: state.balance,
    }
}

impl<S: ChainStore> View<'_, S> {
    /// The reply of `balance`, for an account or for all that this node owns; `next_sequence` is the one that an own
    /// payment would use.
    pub fn balance(&self, asked: Option<Account>, next_sequence: u64) -> Result<Reply, CommandError> {
        let own = if asked.is_none() {
            Some(self.own_accounts()?)
        } else {
            None
        };
        let account = asked.unwrap_or_else(|| self.reward_account());
        let state = self.chain.account(&account).map_err(store_error)?;
        let owner = match &account {
            Account::Key(key) => Some(*key),
            Account::Name(_) => state.owner,
        };
        let waiting = match &account {
            Account::Name(name) if owner.is_none() => self.pool.first_signature(name),
            Account::Name(_) | Account::Key(_) => None,
        };
        let next = |txid| {
            let mut next = self.pool.next_block(self.chain, &self.reward_account()).into_iter();
            next.any(|(id, _)| id == txid)
        };
        let taken = waiting.filter(|(txid, _)| next(*txid));
        Ok(Reply::Balance {
            pending_owner: owner_text(waiting.map(|(_, key)| key)),
            pending_owner_height: taken.map(|_| self.chain.tip().header.height.next()),
            will_be_own: waiting.is_some_and(|(_, key)| key == self.me),
            balance: state.balance,
            pending: self.pool.pending_balance(self.chain, &account).map_err(store_error)?,
            owner: owner_text(owner),
            next_sequence,
            own,
            account,
        })
    }

    /// The accounts that this node's key owns, names first, and the key account, whether it was used or not.
    pub fn own_accounts(&self) -> Result<Vec<AccountView>, CommandError> {
        let (_, list) = self.chain.accounts(ACCOUNTS_READ_MAX).map_err(store_error)?;
        let key = Account::Key(self.me);
        let is_own = |(account, state): &(Account, AccountState)| *account != key && state.owner == Some(self.me);
        let mut own: Vec<AccountView> = list.into_iter().filter(is_own).map(account_view).collect();
        let state = self.chain.account(&key).map_err(store_error)?;
        own.push(account_view((key, state)));
        Ok(own)
    }

    /// The reply of `whoami`.
    pub fn whoami(&self) -> Result<Reply, CommandError> {
        let accounts = self.own_accounts()?;
        Ok(Reply::Whoami {
            peer_id: self.me.peer_id().to_string(),
            name: self.name.cloned(),
            account: self.reward_account(),
            balance: accounts.iter().fold(0, |sum, view| sum.saturating_add(view.balance)),
            accounts,
        })
    }

    /// The reply of `accounts`.
    pub fn accounts(&self) -> Result<Reply, CommandError> {
        let (total, list) = self.chain.accounts(ACCOUNTS_READ_MAX).map_err(store_error)?;
        let is_own = |(account, state): &(Account, AccountState)| match account {
            Account::Key(key) => *key == self.me,
            Account::Name(_) => state.owner == Some(self.me),
        };
        let accounts = list.iter().take(ACCOUNTS_MAX).cloned().map(account_view).collect();
        let (mut own, mut others): (Vec<_>, Vec<_>) = list.into_iter().partition(is_own);
        others.sort_by_key(|(_, state)| core::cmp::Reverse(state.balance));
        others.truncate(ACCOUNTS_MAX);
        let by_name = own.iter().cloned().map(account_view).collect();
        own.sort_by_key(|(_, state)| core::cmp::Reverse(state.balance));
        let shown = own
            .into_iter()
            .chain(others)
            .take(ACCOUNTS_MAX)
            .map(account_view)
            .collect();
        Ok(Reply::Accounts {
            total,
            own: by_name,
            accounts,
            shown,
        })
    }
}
