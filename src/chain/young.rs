//! Accounts that the last blocks created. When the pool orders transactions, it treats them as a stranger's new
//! accounts.
//!
//! Promises: the memory is bounded, and so are the bytes that a start reads to find these accounts.
//! Elsewhere: the order in which accounts are served (`pool::fairness`). Spec: `proto-notes/mempool.md`, "Order".

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::state::Chain;
use super::store::{ChainStore, StoreError};
use super::transaction::Transaction;
use crate::types::{Account, BlockHash, Height};

/// The age in blocks from which an account is no longer new.
const OLD_BLOCKS: u64 = 100;
/// The most new accounts that are remembered; on networks that allow the most, this is a few blocks' worth.
const REMEMBERED_MAX: usize = 65_536;
/// The bytes of blocks that are read at the start to find them, because a start must not take seconds.
const READ_MAX_BYTES: u64 = 1024 * 1024;

/// The accounts that the last blocks created, by height. Entries of blocks that are not active any more do not count.
#[derive(Clone, Debug, Default)]
pub(super) struct Young {
    blocks: VecDeque<(Height, BlockHash, Vec<Account>)>,
    total: usize,
}

impl Young {
    /// Adds the accounts that a connected block created.
    pub(super) fn add(&mut self, height: Height, hash: BlockHash, made: Vec<Account>) {
        while self.blocks.back().is_some_and(|(at, ..)| *at >= height) {
            self.drop_last();
        }
        self.total += made.len();
        self.blocks.push_back((height, hash, made));
        while self.blocks.len() > 1 && (self.total > REMEMBERED_MAX || self.is_over(height)) {
            if let Some((.., gone)) = self.blocks.pop_front() {
                self.total -= gone.len();
            }
        }
    }

    /// Adds the records of blocks that follow on those here.
    pub(super) fn append(&mut self, later: Self) {
        for (height, hash, made) in later.blocks {
            self.add(height, hash, made);
        }
    }

    fn is_over(&self, height: Height) -> bool {
        self.blocks
            .front()
            .is_some_and(|(at, ..)| at.get().saturating_add(OLD_BLOCKS) <= height.get())
    }

    fn drop_last(&mut self) {
        if let Some((.., gone)) = self.blocks.pop_back() {
            self.total -= gone.len();
        }
    }
}

impl<S: ChainStore> Chain<S> {
    /// The accounts that the last hundred active blocks created.
    pub fn young_accounts(&self) -> BTreeSet<&Account> {
        let oldest = self.tip().header.height.get().saturating_sub(OLD_BLOCKS);
        let counts = |(height, hash, _): &&(Height, BlockHash, Vec<Account>)| {
            height.get() > oldest && self.active(*height) == Ok(Some(*hash))
        };
        let blocks = self.young.blocks.iter().filter(counts);
        blocks.flat_map(|(.., made)| made).collect()
    }

    /// Finds new accounts in the newest blocks. An account did not exist before these blocks if their effects on it
    /// explain its whole state.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub(super) fn load_young(&mut self) -> Result<(), StoreError> {
        let (mut effects, mut seen, mut bytes) = (BTreeMap::new(), Vec::new(), 0_u64);
        let (mut hash, mut height) = (self.tip().hash, self.tip().header.height);
        while height > Height::GENESIS && self.tip().header.height.get() - height.get() < OLD_BLOCKS {
            let stored = self.expect_block(&hash)?;
            bytes = bytes.saturating_add(stored.size_bytes);
            if bytes > READ_MAX_BYTES {
                break;
            }
            for transaction in &self.stored_block(&hash)?.transactions {
                note_effects(&mut effects, transaction, height, self.params.reward);
            }
            seen.push((height, hash));
            hash = stored.header.previous;
            height = Height::new(height.get() - 1);
        }
        let mut made: BTreeMap<Height, Vec<Account>> = BTreeMap::new();
        for (account, effect) in effects {
            let state = self.account(&account)?;
            let was_unused = i128::from(state.balance) == effect.balance && state.next_sequence == effect.signed;
            if was_unused {
                made.entry(effect.first).or_default().push(account);
            }
        }
        self.young = Young::default();
        for (height, hash) in seen.into_iter().rev() {
            self.young.add(height, hash, made.remove(&height).unwrap_or_default());
        }
        Ok(())
    }
}

/// The effect of some blocks on an account.
struct Effect {
    balance: i128,
    signed: u64,
    /// The height of the lowest of these blocks that names the account.
    first: Height,
}

fn note_effects(effects: &mut BTreeMap<Account, Effect>, transaction: &Transaction, height: Height, reward: u64) {
    let mut note = |account: &Account, balance: i128, signed: u64| {
        let effect = effects.entry(account.clone()).or_insert(Effect {
            balance: 0,
            signed: 0,
            first: height,
        });
        effect.balance += balance;
        effect.signed += signed;
        effect.first = effect.first.min(height);
    };
    match transaction {
        Transaction::Transfer(transfer) => {
            let amount = i128::from(transfer.amount.get());
            note(&transfer.from, -amount, 1);
            note(&transfer.to, amount, 0);
        }
        Transaction::Claim(claim) => note(&Account::Name(claim.name.clone()), 0, 1),
        Transaction::Reward(paid) => note(&paid.to, i128::from(reward), 0),
    }
}
