//! Keys, names, transactions and mined blocks for scripts, and the second ledger (`testing::twin`).

use std::sync::OnceLock;

use super::bytes::Bytes;
use crate::chain::{Block, Header, NetworkParams, Transaction};
use crate::testing::blocks::mine_for;
pub(super) use crate::testing::blocks::{CLOCK, prove, seal};
use crate::testing::twin::layout::first_transaction;
pub(super) use crate::testing::twin::ledger::{Entry, encoded, entries};
use crate::testing::twin::ledger::{Ledger, Rules};
use crate::types::{Account, AccountName, Amount, PublicKey, SecretKey};

/// Users of a script.
pub(super) const KEYS: usize = 4;
const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// Around the limits of `lan` and of an amount.
const AMOUNTS: [u64; 8] = [1, 2, 7, 499, 500, 1_000, 1_001, (1 << 53) - 1];

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

/// The second ledger, asked with the node's own types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Model {
    rules: Rules,
    pub(super) ledger: Ledger,
}

impl Model {
    pub(super) fn new(params: &NetworkParams) -> Self {
        Self {
            rules: Rules::of(params),
            ledger: Ledger::default(),
        }
    }

    pub(super) fn entry(&self, account: &Account) -> Entry {
        self.ledger.entry(&encoded(account))
    }

    pub(super) fn owner(&self, account: &Account) -> Option<PublicKey> {
        let owner = self.ledger.owner(&encoded(account))?;
        Some(PublicKey::from_bytes(owner).unwrap())
    }

    /// Applies a transaction of right form, or says the code of what forbids it; then nothing has changed.
    pub(super) fn apply(&mut self, transaction: &Transaction) -> Result<(), &'static str> {
        let tx = first_transaction(&transaction.to_bytes()).unwrap();
        self.ledger.apply(&self.rules, &tx)
    }

    /// Applies all or nothing.
    pub(super) fn apply_all(&self, transactions: &[Transaction]) -> Option<Self> {
        let mut next = self.clone();
        next.ledger.next_block();
        transactions
            .iter()
            .try_for_each(|transaction| next.apply(transaction))
            .ok()?;
        Some(next)
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
    let next = model.entry(&from).sequence;
    let sequence = match way / 64 {
        0 | 1 => next,
        2 => next.saturating_add(u64::from(bytes.u8() % 32)),
        _ => [next.saturating_sub(1), u64::MAX, 0][bytes.below(3)],
    };
    Transaction::transfer(&network, key(signer), (from, to, to_owner), amount, sequence).ok()
}

/// A block with these transactions and its reward before them, so many milliseconds after its parent.
pub(super) fn mine(
    params: &NetworkParams,
    parent: &Header,
    later: u64,
    miner: usize,
    content: Vec<Transaction>,
) -> Block {
    mine_for(params, parent, later, wallet(miner), content)
}
