//! Keys, names, transactions and mined blocks for scripts; a ledger of plain maps by the written rules.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::bytes::Bytes;
use crate::chain::header::HEADER_BYTES;
use crate::chain::{AccountState, Block, Header, NetworkParams, Recipients, Reward, Transaction, merkle};
use crate::miner::MiningWork;
use crate::miner::search::{SearchOutcome, search};
use crate::types::{Account, AccountName, Amount, PublicKey, SecretKey, Target, WallTime};

/// A clock that no block of a script is ahead of.
pub(crate) const CLOCK: WallTime = WallTime::from_ms(9_000_000_000_000);
/// Users of a script.
pub(super) const KEYS: usize = 4;
const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// Around the limits of `lan` and of an amount.
const AMOUNTS: [u64; 8] = [1, 2, 7, 499, 500, 1_000, 1_001, (1 << 53) - 1];
/// Nonces that are remembered: a fuzzer makes the same headers again and again.
const NONCES_MAX: usize = 50_000;

pub(super) fn key(number: usize) -> &'static SecretKey {
    static ALL: OnceLock<Vec<SecretKey>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        (1..=KEYS)
            .map(|seed| SecretKey::from_seed([u8::try_from(seed).unwrap(); 32]))
            .collect()
    });
    &all[number % KEYS]
}

pub(super) fn name(number: usize) -> Account {
    Account::Name(AccountName::new(NAMES[number % NAMES.len()]).unwrap())
}

pub(super) fn wallet(number: usize) -> Account {
    Account::Key(key(number).public())
}

/// A name or a wallet.
pub(super) fn account(choice: usize) -> Account {
    if choice % 3 == 2 {
        wallet(choice / 3)
    } else {
        name(choice)
    }
}

/// An account in the ledger of plain maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) balance: i128,
    pub(super) next: u64,
    pub(super) owner: Option<PublicKey>,
}

/// The ledger by the written rules (`proto-notes/consensus.md`, "Ledger").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    credit: i128,
    owned_only: bool,
    reward: i128,
    new_max: u64,
    new_in_block: u64,
    pub(super) accounts: BTreeMap<Account, Entry>,
}

impl Model {
    pub(super) fn new(params: &NetworkParams) -> Self {
        Self {
            credit: params.credit_limit.into(),
            owned_only: params.recipients == Recipients::Owned,
            reward: params.reward.into(),
            new_max: params.new_accounts_max,
            new_in_block: 0,
            accounts: BTreeMap::new(),
        }
    }

    /// What comes now stands in another block.
    pub(super) const fn next_block(&mut self) {
        self.new_in_block = 0;
    }

    /// Counts those of the accounts that are not there yet.
    fn count_new(&mut self, accounts: &[&Account]) -> Result<(), &'static str> {
        let new = accounts.iter().filter(|account| !self.accounts.contains_key(**account));
        let new = u64::try_from(new.count()).unwrap();
        if new > 0 && self.new_in_block + new > self.new_max {
            return Err("too_many_new_accounts");
        }
        self.new_in_block += new;
        Ok(())
    }

    pub(super) fn entry(&self, account: &Account) -> Entry {
        self.accounts.get(account).cloned().unwrap_or_default()
    }

    pub(super) fn owner(&self, account: &Account) -> Option<PublicKey> {
        match account {
            Account::Key(key) => Some(*key),
            Account::Name(_) => self.entry(account).owner,
        }
    }

    /// Applies a transaction of right form, or says the code of what forbids it; then nothing has changed.
    pub(super) fn apply(&mut self, transaction: &Transaction) -> Result<(), &'static str> {
        match transaction {
            Transaction::Reward(reward) => {
                if self.owned_only && self.owner(&reward.to).is_none() {
                    return Err("unclaimed_recipient");
                }
                self.accounts.entry(reward.to.clone()).or_default().balance += self.reward;
            }
            Transaction::Claim(claim) => {
                let account = Account::Name(claim.name.clone());
                let entry = self.entry(&account);
                if entry.owner.is_some() {
                    return Err("already_claimed");
                }
                if entry.next != 0 {
                    return Err("wrong_sequence");
                }
                self.count_new(&[&account])?;
                let owner = Some(claim.public_key);
                self.accounts.insert(
                    account,
                    Entry {
                        next: 1,
                        owner,
                        ..entry
                    },
                );
            }
            Transaction::Transfer(transfer) => {
                let mut payer = self.entry(&transfer.from);
                let amount = i128::from(transfer.amount.get());
                if self
                    .owner(&transfer.from)
                    .is_some_and(|owner| owner != transfer.public_key)
                {
                    return Err("not_owner");
                }
                if payer.next != transfer.sequence {
                    return Err("wrong_sequence");
                }
                if payer.balance - amount < -self.credit {
                    return Err("overdraft");
                }
                let payee_owner = self.owner(&transfer.to);
                if payee_owner != transfer.to_owner {
                    return Err("owner_changed");
                }
                if self.owned_only && payee_owner.is_none() {
                    return Err("unclaimed_recipient");
                }
                self.count_new(&[&transfer.from, &transfer.to])?;
                payer.balance -= amount;
                payer.next += 1;
                if matches!(transfer.from, Account::Name(_)) {
                    payer.owner = Some(transfer.public_key);
                }
                self.accounts.insert(transfer.from.clone(), payer);
                self.accounts.entry(transfer.to.clone()).or_default().balance += amount;
            }
        }
        Ok(())
    }

    /// Applies all or nothing.
    pub(super) fn apply_all(&self, transactions: &[Transaction]) -> Option<Self> {
        let mut next = self.clone();
        next.next_block();
        transactions
            .iter()
            .try_for_each(|transaction| next.apply(transaction))
            .ok()?;
        Some(next)
    }

    /// All entries as the store has them.
    pub(super) fn states(&self) -> Vec<(Account, AccountState)> {
        let state = |entry: &Entry| AccountState {
            balance: i64::try_from(entry.balance).unwrap(),
            next_sequence: entry.next,
            owner: entry.owner,
        };
        self.accounts
            .iter()
            .map(|(account, entry)| (account.clone(), state(entry)))
            .collect()
    }
}

/// A transaction out of bytes that mostly fits the ledger; none if its form would be wrong.
pub(super) fn cook(bytes: &mut Bytes<'_>, params: &NetworkParams, model: &Model) -> Option<Transaction> {
    let (way, parties) = (bytes.u8(), bytes.u8());
    let network = params.network_id();
    let chosen = usize::from(way % 4);
    if way % 8 == 7 {
        let claimed = AccountName::new(NAMES[usize::from(parties) % NAMES.len()]).unwrap();
        return Some(Transaction::claim(&network, key(chosen), claimed));
    }
    let (from, to) = (usize::from(parties % 16), usize::from(parties / 16));
    let from = if from == 15 { wallet(chosen) } else { account(from) };
    let to = account(to);
    let owner = model.owner(&from);
    let fitting = (0..KEYS).find(|number| Some(key(*number).public()) == owner);
    // One of four signs for somebody else.
    let signer = if way & 0x30 == 0x30 {
        chosen
    } else {
        fitting.unwrap_or(chosen)
    };
    let details = bytes.u8();
    let to_owner = match details % 8 {
        7 => None,
        6 => Some(key(usize::from(details / 8)).public()),
        _ => model.owner(&to),
    };
    let amount = Amount::new(AMOUNTS[usize::from(details / 8) % AMOUNTS.len()]).unwrap();
    let next = model.entry(&from).next;
    let sequence = match way / 64 {
        0 | 1 => next,
        2 => next.saturating_add(u64::from(bytes.u8() % 32)),
        _ => [next.saturating_sub(1), u64::MAX, 0][bytes.below(3)],
    };
    Transaction::transfer(&network, key(signer), (from, to, to_owner), amount, sequence).ok()
}

/// The first nonce from the header's own on with which it meets the target.
pub(crate) fn solve(header: &Header, target: &Target) -> u64 {
    let work = MiningWork {
        header: header.to_bytes(),
        limit: *target.as_bytes(),
    };
    match search(
        &work,
        header.nonce..=u64::MAX,
        &AtomicBool::new(false),
        &AtomicU64::new(0),
    ) {
        SearchOutcome::Found(nonce) => nonce,
        SearchOutcome::Exhausted | SearchOutcome::Cancelled => panic!("no nonce of 2^64"),
    }
}

/// The header with the first nonce that fits, if its bits have a target.
pub(crate) fn prove(params: &NetworkParams, mut header: Header) -> Header {
    thread_local! {
        static NONCES: RefCell<BTreeMap<Vec<u8>, u64>> = const { RefCell::new(BTreeMap::new()) };
    }
    let Some(target) = header.bits.target(params.halflife_ms) else {
        return header;
    };
    header.nonce = 0;
    let known = header.to_bytes()[..HEADER_BYTES - 8].to_vec();
    header.nonce = NONCES.with_borrow_mut(|nonces| {
        if nonces.len() > NONCES_MAX {
            nonces.clear();
        }
        *nonces.entry(known).or_insert_with(|| solve(&header, &target))
    });
    header
}

/// A block with these transactions and its reward before them, so many milliseconds after its parent.
pub(crate) fn mine(
    params: &NetworkParams,
    parent: &Header,
    later: u64,
    miner: usize,
    mut content: Vec<Transaction>,
) -> Block {
    let reward = Reward {
        to: wallet(miner),
        height: parent.height.next(),
    };
    content.insert(0, Transaction::Reward(reward));
    seal(params, parent, later, content)
}

/// A block with exactly these transactions.
pub(crate) fn seal(params: &NetworkParams, parent: &Header, later: u64, transactions: Vec<Transaction>) -> Block {
    let ids: Vec<_> = transactions.iter().map(Transaction::txid).collect();
    let time = parent.time.after_ms(later);
    let header = Header {
        previous: parent.hash(),
        merkle_root: merkle::root(&ids),
        version: 1,
        bits: params.required_bits(parent, time),
        height: parent.height.next(),
        time,
        nonce: 0,
    };
    Block {
        header: prove(params, header),
        transactions,
    }
}
