//! The ledger once more, by `proto-notes/consensus.md`, "Ledger": accounts are their encoded bytes.

use std::collections::BTreeMap;

use super::Hash;
use super::layout::Tx;
use crate::chain::{AccountState, NetworkParams, Recipients};
use crate::types::Account;

/// What the notes call the parameters of a network, as far as the ledger needs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    credit_limit: i128,
    only_owned: bool,
    new_accounts_max: u64,
    reward: i128,
}

impl Rules {
    pub fn of(params: &NetworkParams) -> Self {
        Self {
            credit_limit: params.credit_limit.into(),
            only_owned: params.recipients == Recipients::Owned,
            new_accounts_max: params.new_accounts_max,
            reward: params.reward.into(),
        }
    }
}

/// What the ledger says of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub balance: i128,
    pub sequence: u64,
    pub owner: Option<Hash>,
}

/// Accounts by their encoding.
pub type Entries = BTreeMap<Vec<u8>, Entry>;

/// The encoding of an account.
pub fn encoded(account: &Account) -> Vec<u8> {
    match account {
        Account::Name(name) => {
            let text = name.as_str().as_bytes();
            [&[1, u8::try_from(text.len()).unwrap()], text].concat()
        }
        Account::Key(key) => [&[2], &key.as_bytes()[..]].concat(),
    }
}

/// A list of the node's own ledger, to be compared.
pub fn entries<'a>(states: impl IntoIterator<Item = (&'a Account, &'a AccountState)>) -> Entries {
    let entry = |state: &AccountState| Entry {
        balance: state.balance.into(),
        sequence: state.next_sequence,
        owner: state.owner.map(|key| *key.as_bytes()),
    };
    let states = states.into_iter();
    states
        .map(|(account, state)| (encoded(account), entry(state)))
        .collect()
}

/// A ledger between blocks or within one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    pub entries: Entries,
    /// Accounts that the running block made; its reward's does not count.
    new_in_block: u64,
}

impl Ledger {
    /// What comes now stands in another block.
    pub const fn next_block(&mut self) {
        self.new_in_block = 0;
    }

    pub fn entry(&self, account: &[u8]) -> Entry {
        self.entries.get(account).cloned().unwrap_or_default()
    }

    pub fn owner(&self, account: &[u8]) -> Option<Hash> {
        match account {
            [2, key @ ..] => key.try_into().ok(),
            name => self.entry(name).owner,
        }
    }

    /// Counts those of the accounts that are not there yet.
    fn count_new(&mut self, rules: &Rules, accounts: &[&Vec<u8>]) -> Result<(), &'static str> {
        let new = accounts.iter().filter(|account| !self.entries.contains_key(**account));
        let new = u64::try_from(new.count()).unwrap();
        if new > 0 && self.new_in_block + new > rules.new_accounts_max {
            return Err("too_many_new_accounts");
        }
        self.new_in_block += new;
        Ok(())
    }

    /// Applies a transaction, or says the code of what forbids it; then nothing has changed.
    pub fn apply(&mut self, rules: &Rules, tx: &Tx) -> Result<(), &'static str> {
        match tx {
            Tx::Reward { to, .. } => {
                if rules.only_owned && self.owner(to).is_none() {
                    return Err("unclaimed_recipient");
                }
                self.entries.entry(to.clone()).or_default().balance += rules.reward;
            }
            Tx::Claim { name, key, .. } => {
                let entry = self.entry(name);
                if entry.owner.is_some() {
                    return Err("already_claimed");
                }
                if entry.sequence != 0 {
                    return Err("wrong_sequence");
                }
                self.count_new(rules, &[name])?;
                let claimed = Entry {
                    sequence: 1,
                    owner: Some(*key),
                    ..entry
                };
                self.entries.insert(name.clone(), claimed);
            }
            Tx::Transfer { .. } => self.transfer(rules, tx)?,
        }
        Ok(())
    }

    fn transfer(&mut self, rules: &Rules, tx: &Tx) -> Result<(), &'static str> {
        let Tx::Transfer {
            from,
            to,
            to_owner,
            amount,
            sequence,
            key,
            ..
        } = tx
        else {
            return Ok(());
        };
        let mut payer = self.entry(from);
        if self.owner(from).is_some_and(|owner| owner != *key) {
            return Err("not_owner");
        }
        if payer.sequence != *sequence {
            return Err("wrong_sequence");
        }
        payer.balance -= i128::from(*amount);
        if payer.balance < -rules.credit_limit {
            return Err("overdraft");
        }
        if self.owner(to) != *to_owner {
            return Err("owner_changed");
        }
        if rules.only_owned && to_owner.is_none() {
            return Err("unclaimed_recipient");
        }
        self.count_new(rules, &[from, to])?;
        payer.sequence += 1;
        if from[0] == 1 {
            payer.owner = Some(*key);
        }
        self.entries.insert(from.clone(), payer);
        self.entries.entry(to.clone()).or_default().balance += i128::from(*amount);
        Ok(())
    }
}
