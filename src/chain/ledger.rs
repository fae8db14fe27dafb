//! The rules of the ledger: who may spend, what a claim does, how far a balance may fall, who may be paid.
//!
//! Promises: a transaction is applied whole or not at all; each block adds its reward to the sum of all balances, and
//! nothing else changes that sum; the changes of a block can be undone exactly.
//! Elsewhere: form and signatures (`chain::transaction`), the reward's place and height (`chain::block`).
//! Spec: `proto-notes/consensus.md`, "Ledger".

use std::collections::BTreeMap;

use strum::IntoStaticStr;
use thiserror::Error;

use super::block::Block;
use super::params::{NetworkParams, Recipients};
use super::store::{AccountState, StoreError};
use super::transaction::{Claim, Reward, Transaction, Transfer};
use crate::types::{Account, AccountName, Amount, Balance, PublicKey};

/// A source of ledger entries.
pub trait Accounts {
    /// The entry of an account; none if it was never used.
    ///
    /// # Errors
    /// [`StoreError`] if the entry cannot be read.
    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError>;
}

/// Why the ledger refuses a transaction. The text is what the user reads at the prompt.
#[derive(Clone, Debug, PartialEq, Eq, Error, IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[strum(serialize_all = "snake_case")]
pub enum LedgerError {
    /// Another key than the signer owns the name.
    #[error("{account} belongs to {}, not to {}", owner.peer_id(), signer.peer_id())]
    NotOwner {
        /// The account to spend from.
        account: Account,
        /// The key that owns the account.
        owner: PublicKey,
        /// The key that signed.
        signer: PublicKey,
    },
    /// The name has an owner already.
    #[error("{name} is already claimed by {}", owner.peer_id())]
    AlreadyClaimed {
        /// The name that the transaction claims.
        name: AccountName,
        /// The key that owns it.
        owner: PublicKey,
    },
    /// The sequence is not the next one: a replay, or a gap.
    #[error("sequence {got} of {account}, the next is {expected}")]
    WrongSequence {
        /// The account that pays or is claimed.
        account: Account,
        /// The sequence that the ledger expects next.
        expected: u64,
        /// The sequence in the transaction.
        got: u64,
    },
    /// The recipient's owner changed after the sender signed.
    #[error("{account} {}: pay again", owner_words(owner.as_ref(), meant.as_ref()))]
    OwnerChanged {
        /// The account that would be paid.
        account: Account,
        /// The key that owns it now; none if nobody does.
        owner: Option<PublicKey>,
        /// The owner that the sender signed for; none if nobody owned it then.
        meant: Option<PublicKey>,
    },
    /// This network pays only claimed names and keys.
    #[error("{name} belongs to nobody, and this network pays only claimed names and keys: its user claims it first")]
    UnclaimedRecipient {
        /// The name that nobody claimed.
        name: AccountName,
    },
    /// The sender's balance would fall below the limit.
    #[error("{account} {}", overdraft_words(*balance, *amount, *credit_limit))]
    Overdraft {
        /// The account that would pay.
        account: Account,
        /// Its balance before this transaction, in coins.
        balance: Balance,
        /// The amount that it would pay.
        amount: Amount,
        /// How far below zero its balance may go, in coins.
        credit_limit: u64,
    },
    /// The block creates more accounts than the network allows.
    #[error("the block makes more than {limit} new accounts, which is the most on this network")]
    TooManyNewAccounts {
        /// The most new accounts in a block of this network.
        limit: u64,
    },
    /// Sender and recipient are the same account.
    #[error("{0} cannot pay itself")]
    SelfTransfer(Account),
    /// A balance or a sequence would leave the range of its number.
    #[error("{0} is at the end of the range of numbers")]
    Overflow(Account),
}

/// Who owns the recipient now, and what the sender meant: "has an owner now, 12D3KooW…".
fn owner_words(owner: Option<&PublicKey>, meant: Option<&PublicKey>) -> String {
    match (owner, meant) {
        (Some(owner), None) => format!("has an owner now, {}", owner.peer_id()),
        (Some(owner), Some(meant)) => format!("belongs to {} now, not to {}", owner.peer_id(), meant.peer_id()),
        (None, Some(meant)) => format!("no longer belongs to {}", meant.peer_id()),
        (None, None) => "has no owner".to_owned(),
    }
}

/// Why a balance does not allow a payment: "owes 6 coins; paying 2000 would exceed the credit limit of 1000".
fn overdraft_words(balance: Balance, amount: Amount, credit_limit: u64) -> String {
    let coins = |count: u64| {
        if count == 1 {
            "1 coin".to_owned()
        } else {
            format!("{count} coins")
        }
    };
    let has = match balance {
        0.. => format!("owns {}", coins(balance.unsigned_abs())),
        owed => format!("owes {}", coins(owed.unsigned_abs())),
    };
    match credit_limit {
        0 => format!("{has}; paying {amount} needs more, and this network gives no credit"),
        limit => format!("{has}; paying {amount} would exceed the credit limit of {limit}"),
    }
}

impl LedgerError {
    /// The error code of the JSON contract: the variant's name in `snake_case`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// What the user can do about it: a line that can be typed at the prompt.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotOwner { .. } => "accounts".into(),
            Self::AlreadyClaimed { name, .. } => format!("balance {name}"),
            Self::WrongSequence { account, .. }
            | Self::OwnerChanged { account, .. }
            | Self::Overdraft { account, .. } => {
                format!("balance {account}")
            }
            Self::UnclaimedRecipient { .. } | Self::TooManyNewAccounts { .. } | Self::Overflow(_) => "accounts".into(),
            Self::SelfTransfer(_) => "help tx".into(),
        }
    }
}

/// Why a transaction was not applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApplyError {
    /// A rule of the ledger forbids it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The entries could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The changes of one block, on top of accounts that stay as they are.
pub struct Ledger<'a, A> {
    params: &'a NetworkParams,
    base: &'a A,
    changed: BTreeMap<Account, AccountState>,
    /// The number of accounts that this block created, without those that its reward created.
    new_accounts: u64,
}

/// The state of an account before a transaction changes it.
struct Found {
    state: AccountState,
    /// The account was never used before.
    is_new: bool,
}

/// The changed accounts with their new state. None means that the account has no entry any more.
pub type ChangedAccounts = BTreeMap<Account, Option<AccountState>>;

impl<'a, A: Accounts> Ledger<'a, A> {
    /// A ledger without any change yet.
    pub const fn new(params: &'a NetworkParams, base: &'a A) -> Self {
        Self {
            params,
            base,
            changed: BTreeMap::new(),
            new_accounts: 0,
        }
    }

    /// The state of an account after the changes so far; the default if it was never used.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn account(&self, account: &Account) -> Result<AccountState, StoreError> {
        Ok(self.find(account)?.state)
    }

    fn find(&self, account: &Account) -> Result<Found, StoreError> {
        let known = match self.changed.get(account) {
            Some(state) => Some(state.clone()),
            None => self.base.account(account)?,
        };
        let is_new = known.is_none();
        let state = known.unwrap_or_default();
        Ok(Found { state, is_new })
    }

    /// The number of new accounts in the block if these are added. An account that the reward creates does not count.
    fn count_new<const N: usize>(&self, found: [bool; N]) -> Result<u64, LedgerError> {
        let limit = self.params.new_accounts_max;
        let more = found.into_iter().map(u64::from).sum::<u64>();
        match self.new_accounts.saturating_add(more) {
            count if more == 0 || count <= limit => Ok(count),
            _ => Err(LedgerError::TooManyNewAccounts { limit }),
        }
    }

    /// Applies a transaction whose form and signature were checked. An error leaves the ledger as it was.
    ///
    /// # Errors
    /// [`ApplyError`] with the first broken rule.
    pub fn apply(&mut self, transaction: &Transaction) -> Result<(), ApplyError> {
        match transaction {
            Transaction::Transfer(transfer) => self.transfer(transfer),
            Transaction::Claim(claim) => self.claim(claim),
            Transaction::Reward(reward) => self.reward(reward),
        }
    }

    /// Applies all transactions of a block in order.
    ///
    /// # Errors
    /// The index of the transaction that fails, and why. The caller must then drop the ledger.
    pub fn apply_block(&mut self, block: &Block) -> Result<(), (usize, ApplyError)> {
        for (index, transaction) in block.transactions.iter().enumerate() {
            self.apply(transaction).map_err(|error| (index, error))?;
        }
        Ok(())
    }

    /// Undoes all transactions of a block, which must be the last block that was applied.
    ///
    /// The block itself says what it did. Undoing it moves each amount back and lowers the sequence of each signer by
    /// one. A name has an owner exactly if its sequence is above 0, and an account has an entry exactly if its balance
    /// or its sequence is not 0, because amounts are at least 1.
    ///
    /// # Errors
    /// [`StoreError`] if an entry cannot be read, or cannot be the result of this block.
    pub fn revert_block(&mut self, block: &Block) -> Result<(), StoreError> {
        for transaction in block.transactions.iter().rev() {
            match transaction {
                Transaction::Transfer(transfer) => {
                    self.move_back(&transfer.to, transfer.amount.signed().checked_neg())?;
                    self.unsign(&transfer.from)?;
                    self.move_back(&transfer.from, Some(transfer.amount.signed()))?;
                }
                Transaction::Claim(claim) => self.unsign(&Account::Name(claim.name.clone()))?,
                Transaction::Reward(reward) => {
                    self.move_back(&reward.to, self.params.reward().signed().checked_neg())?;
                }
            }
        }
        Ok(())
    }

    fn move_back(&mut self, account: &Account, change: Option<Balance>) -> Result<(), StoreError> {
        let mut state = self.account(account)?;
        state.balance = change
            .and_then(|change| state.balance.checked_add(change))
            .ok_or_else(|| not_led_to(account))?;
        self.changed.insert(account.clone(), state);
        Ok(())
    }

    fn unsign(&mut self, account: &Account) -> Result<(), StoreError> {
        let mut state = self.account(account)?;
        let before = state.next_sequence.checked_sub(1);
        state.next_sequence = before.ok_or_else(|| not_led_to(account))?;
        if state.next_sequence == 0 {
            state.owner = None;
        }
        self.changed.insert(account.clone(), state);
        Ok(())
    }

    /// The changes, to be written to the store.
    #[must_use]
    pub fn finish(self) -> ChangedAccounts {
        let kept = |state: AccountState| (state != AccountState::default()).then_some(state);
        let changed = self.changed.into_iter();
        changed.map(|(account, state)| (account, kept(state))).collect()
    }

    fn transfer(&mut self, transfer: &Transfer) -> Result<(), ApplyError> {
        let Transfer {
            from,
            to,
            amount,
            public_key,
            ..
        } = transfer;
        if from == to {
            return Err(LedgerError::SelfTransfer(from.clone()).into());
        }
        let Found {
            state: mut payer,
            is_new: new_payer,
        } = self.find(from)?;
        sign_for(from, &mut payer, *public_key, transfer.sequence)?;
        payer.balance = debit(from, payer.balance, *amount, self.params.credit_limit)?;
        let Found {
            state: mut payee,
            is_new: new_payee,
        } = self.find(to)?;
        check_recipient(to, payee.owner, transfer.to_owner)?;
        check_payable(self.params, to, payee.owner)?;
        payee.balance = credit(to, payee.balance, *amount)?;
        self.new_accounts = self.count_new([new_payer, new_payee])?;
        self.changed.insert(from.clone(), payer);
        self.changed.insert(to.clone(), payee);
        Ok(())
    }

    fn claim(&mut self, claim: &Claim) -> Result<(), ApplyError> {
        let account = Account::Name(claim.name.clone());
        let Found { mut state, is_new } = self.find(&account)?;
        if let Some(owner) = state.owner {
            let name = claim.name.clone();
            return Err(LedgerError::AlreadyClaimed { name, owner }.into());
        }
        sign_for(&account, &mut state, claim.public_key, 0)?;
        self.new_accounts = self.count_new([is_new])?;
        self.changed.insert(account, state);
        Ok(())
    }

    fn reward(&mut self, reward: &Reward) -> Result<(), ApplyError> {
        let mut state = self.account(&reward.to)?;
        check_payable(self.params, &reward.to, state.owner)?;
        state.balance = credit(&reward.to, state.balance, self.params.reward())?;
        self.changed.insert(reward.to.clone(), state);
        Ok(())
    }
}

fn not_led_to(account: &Account) -> StoreError {
    StoreError::Damaged(format!("the entry of {account} is none that its blocks lead to"))
}

/// Checks that the key may sign for the account and raises its sequence. A free name becomes the property of the key.
fn sign_for(account: &Account, state: &mut AccountState, signer: PublicKey, sequence: u64) -> Result<(), LedgerError> {
    check_signer(account, state.owner, signer)?;
    if sequence != state.next_sequence {
        return Err(LedgerError::WrongSequence {
            account: account.clone(),
            expected: state.next_sequence,
            got: sequence,
        });
    }
    state.next_sequence = sequence
        .checked_add(1)
        .ok_or_else(|| LedgerError::Overflow(account.clone()))?;
    match account {
        Account::Name(_) => state.owner = Some(signer),
        Account::Key(_) => {}
    }
    Ok(())
}

/// Checks that the key may sign for an account with this owner. Any key may sign for a free name.
///
/// # Errors
/// [`LedgerError::NotOwner`] if it may not.
pub fn check_signer(account: &Account, owner: Option<PublicKey>, signer: PublicKey) -> Result<(), LedgerError> {
    let owner = match account {
        Account::Name(_) => owner,
        Account::Key(key) => Some(*key),
    };
    match owner {
        Some(owner) if owner != signer => Err(LedgerError::NotOwner {
            account: account.clone(),
            owner,
            signer,
        }),
        Some(_) | None => Ok(()),
    }
}

/// Checks that the recipient still has the owner that the sender signed for.
fn check_recipient(to: &Account, owner: Option<PublicKey>, meant: Option<PublicKey>) -> Result<(), LedgerError> {
    let owner = match to {
        Account::Name(_) => owner,
        Account::Key(key) => Some(*key),
    };
    if owner == meant {
        return Ok(());
    }
    let account = to.clone();
    Err(LedgerError::OwnerChanged { account, owner, meant })
}

/// Checks that this network allows payments to the account.
///
/// # Errors
/// [`LedgerError::UnclaimedRecipient`] if it does not.
pub fn check_payable(params: &NetworkParams, to: &Account, owner: Option<PublicKey>) -> Result<(), LedgerError> {
    match (params.recipients, to, owner) {
        (Recipients::Owned, Account::Name(name), None) => Err(LedgerError::UnclaimedRecipient { name: name.clone() }),
        (Recipients::Owned | Recipients::Anyone, Account::Name(_) | Account::Key(_), _) => Ok(()),
    }
}

fn debit(account: &Account, balance: Balance, amount: Amount, credit_limit: u64) -> Result<Balance, LedgerError> {
    let lowest = 0_i64.saturating_sub_unsigned(credit_limit);
    match balance.checked_sub(amount.signed()) {
        Some(left) if left >= lowest => Ok(left),
        Some(_) | None => Err(LedgerError::Overdraft {
            account: account.clone(),
            balance,
            amount,
            credit_limit,
        }),
    }
}

fn credit(account: &Account, balance: Balance, amount: Amount) -> Result<Balance, LedgerError> {
    balance
        .checked_add(amount.signed())
        .ok_or_else(|| LedgerError::Overflow(account.clone()))
}
