//! The ledger's rules: who may spend, what a claim does, how far a balance may fall, who may be paid.
//!
//! Promises: a transaction is applied whole or not at all; the sum of all balances grows by the reward of each block
//! and by nothing else; what a block changed can be undone exactly.
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

/// Where ledger entries are read from.
pub trait Accounts {
    /// The entry; none for an account that was never used.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError>;
}

/// Why the ledger refuses a transaction. The text is what the user reads at the prompt.
#[derive(Clone, Debug, PartialEq, Eq, Error, IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[strum(serialize_all = "snake_case")]
pub enum LedgerError {
    /// The name belongs to another key than the one that signed.
    #[error("{account} belongs to {}, not to {}", owner.peer_id(), signer.peer_id())]
    NotOwner {
        /// The account that was to be spent from.
        account: Account,
        /// Whose it is.
        owner: PublicKey,
        /// Who signed.
        signer: PublicKey,
    },
    /// The name has an owner already.
    #[error("{name} is already claimed by {}", owner.peer_id())]
    AlreadyClaimed {
        /// The name.
        name: AccountName,
        /// Whose it is.
        owner: PublicKey,
    },
    /// The sequence is not the next one: a replay, or a gap.
    #[error("sequence {got} of {account}, the next is {expected}")]
    WrongSequence {
        /// The sender.
        account: Account,
        /// The next free sequence.
        expected: u64,
        /// What the transaction says.
        got: u64,
    },
    /// The recipient's owner is not the one whom the sender saw.
    #[error("{account} belongs to {}, the sender meant {}", who(owner.as_ref()), who(meant.as_ref()))]
    OwnerChanged {
        /// The recipient.
        account: Account,
        /// Whose it is.
        owner: Option<PublicKey>,
        /// Whom the sender saw.
        meant: Option<PublicKey>,
    },
    /// This network pays only claimed names and keys.
    #[error("{name} belongs to nobody, and this network pays only claimed names and keys: its user claims it first")]
    UnclaimedRecipient {
        /// The recipient.
        name: AccountName,
    },
    /// The sender's balance would fall below the limit.
    #[error("{account} has {balance}, paying {amount} leaves less than the limit of -{credit_limit}")]
    Overdraft {
        /// The sender.
        account: Account,
        /// What it has before this.
        balance: Balance,
        /// What it was to pay.
        amount: Amount,
        /// How much it may owe.
        credit_limit: u64,
    },
    /// The block makes more accounts than the network allows.
    #[error("the block makes more than {limit} new accounts, which is the most on this network")]
    TooManyNewAccounts {
        /// How many may be new.
        limit: u64,
    },
    /// Sender and recipient are the same account.
    #[error("{0} cannot pay itself")]
    SelfTransfer(Account),
    /// A balance or sequence at the end of its range.
    #[error("{0} is at the end of the range of numbers")]
    Overflow(Account),
}

fn who(key: Option<&PublicKey>) -> String {
    key.map_or_else(|| "nobody".to_owned(), |key| key.peer_id().to_string())
}

impl LedgerError {
    /// The variant's name in `snake_case`: the contract's code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// What can be done about it: a line that can be typed at the prompt.
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
    /// The rules forbid it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The entries could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One block's changes on top of accounts that stay as they are.
pub struct Ledger<'a, A> {
    params: &'a NetworkParams,
    base: &'a A,
    changed: BTreeMap<Account, AccountState>,
    /// Accounts that neither `base` nor the reward made.
    new_accounts: u64,
}

/// An account as a transaction finds it.
struct Found {
    state: AccountState,
    /// It was never used before.
    is_new: bool,
}

/// The accounts that were touched as they are now. None: the account has no entry any more.
pub type Outcome = BTreeMap<Account, Option<AccountState>>;

impl<'a, A: Accounts> Ledger<'a, A> {
    /// No change yet.
    pub const fn new(params: &'a NetworkParams, base: &'a A) -> Self {
        Self {
            params,
            base,
            changed: BTreeMap::new(),
            new_accounts: 0,
        }
    }

    /// An account as it is with the changes so far; the default if it was never used.
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

    /// How many accounts the block makes with these; the one that the reward goes to is none of them.
    fn count_new<const N: usize>(&self, found: [bool; N]) -> Result<u64, LedgerError> {
        let limit = self.params.new_accounts_max;
        let more = found.into_iter().map(u64::from).sum::<u64>();
        match self.new_accounts.saturating_add(more) {
            count if more == 0 || count <= limit => Ok(count),
            _ => Err(LedgerError::TooManyNewAccounts { limit }),
        }
    }

    /// Applies a transaction whose form and signature were checked. After an error nothing has changed.
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

    /// Applies all transactions of a block.
    ///
    /// # Errors
    /// The place of the transaction that fails, and why. The ledger must then be thrown away.
    pub fn apply_block(&mut self, block: &Block) -> Result<(), (usize, ApplyError)> {
        for (index, transaction) in block.transactions.iter().enumerate() {
            self.apply(transaction).map_err(|error| (index, error))?;
        }
        Ok(())
    }

    /// Takes back all transactions of a block, which were the last that were applied.
    ///
    /// A block says itself what it did: what it moved is moved back, and each signature takes the sequence back by one. A name
    /// belongs to somebody exactly if its sequence is above 0, and an account has an entry exactly if its balance or
    /// its sequence is not 0: amounts are at least 1.
    ///
    /// # Errors
    /// [`StoreError`] if an entry cannot be read, or is none that the block leads to.
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

    /// What was changed.
    #[must_use]
    pub fn finish(self) -> Outcome {
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

/// The key signs for the account: it must own it, or it takes the free name; the sequence moves on.
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

/// Whether the key may sign for an account with this owner; free names are anybody's.
///
/// # Errors
/// [`LedgerError::NotOwner`].
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

/// Whether the recipient still belongs to whom the sender saw.
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

/// Whether this network lets the account be paid.
///
/// # Errors
/// [`LedgerError::UnclaimedRecipient`].
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
