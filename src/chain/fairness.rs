//! In which order waiting transactions are tried when a block has no room for all: everybody has a turn.
//!
//! Promises: own ones come first; then signers whose account is older than a hundred blocks, in turn; then all others,
//! in turn by the voice that brought them first, and within it by signer. Fresh keys cost nothing, so fairness among
//! them alone would be none. Elsewhere: what fits (`chain::pool_order`), what a voice is (`types::voice`).
//! Spec: `proto-notes/mempool.md`, "Order".

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::mempool::{Entry, Origin};
use super::state::Chain;
use super::store::{ChainStore, StoreError};
use super::transaction::Transaction;
use crate::types::{Account, BlockHash, Height, PublicKey, Voice};

/// An account that is older than so many blocks is no stranger's new one.
const OLD_BLOCKS: u64 = 100;
/// New accounts of the last blocks that are remembered: on networks with the most of them a few blocks' worth.
const REMEMBERED_MAX: usize = 65_536;
/// Bytes of blocks that are read at a start to find them: a start must not take seconds.
const READ_MAX_BYTES: u64 = 1024 * 1024;

/// The accounts that the last blocks made, by height. Entries of blocks that are not active any more do not count.
#[derive(Clone, Debug, Default)]
pub(super) struct Young {
    blocks: VecDeque<(Height, BlockHash, Vec<Account>)>,
    total: usize,
}

impl Young {
    /// A block was connected and made these accounts.
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
    /// Accounts that the last [`OLD_BLOCKS`] active blocks made.
    fn young_accounts(&self) -> BTreeSet<&Account> {
        let oldest = self.tip().header.height.get().saturating_sub(OLD_BLOCKS);
        let counts = |(height, hash, _): &&(Height, BlockHash, Vec<Account>)| {
            height.get() > oldest && self.active(*height) == Ok(Some(*hash))
        };
        let blocks = self.young.blocks.iter().filter(counts);
        blocks.flat_map(|(.., made)| made).collect()
    }

    /// Reads the newest blocks for the accounts that they made: an account was not there before them if what they did
    /// to it is all that it has.
    ///
    /// # Errors
    /// [`StoreError`].
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

/// What some blocks did to an account.
struct Effect {
    balance: i128,
    signed: u64,
    /// The lowest block that names it.
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

/// Who is served before whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Own,
    /// The signer owns an account that is old.
    Old,
    Other,
}

/// An entry on its way to its place.
struct Item<'a> {
    entry: &'a Entry,
    class: Class,
    /// Who brought it, where that counts.
    voice: Option<Voice>,
    signer: Option<PublicKey>,
    /// Its turn within its group.
    turn: u64,
}

/// The entries in the order in which they are tried.
pub(super) fn in_turn<'a, S: ChainStore>(chain: &Chain<S>, entries: &[&'a Entry]) -> Vec<&'a Entry> {
    let young = chain.young_accounts();
    let mut known: BTreeMap<(&Account, Option<PublicKey>), bool> = BTreeMap::new();
    let mut items: Vec<Item<'a>> = Vec::with_capacity(entries.len());
    for entry in entries.iter().copied() {
        let signer = entry.transaction.signer();
        let mut is_old = || {
            *known
                .entry((&entry.account, signer))
                .or_insert_with(|| !young.contains(&entry.account) && is_signers(chain, &entry.account, signer))
        };
        let class = match entry.origin {
            Origin::Own => Class::Own,
            Origin::Peer(_) | Origin::Returned if is_old() => Class::Old,
            Origin::Peer(_) | Origin::Returned => Class::Other,
        };
        let voice = match (class, entry.origin) {
            (Class::Other, Origin::Peer(voice)) => Some(voice),
            (Class::Own | Class::Old | Class::Other, _) => None,
        };
        items.push(Item {
            entry,
            class,
            voice,
            signer,
            turn: entry.sequence,
        });
    }
    give_turns(&mut items, |item| (item.class, item.voice, &item.entry.account));
    give_turns(&mut items, |item| (item.class, item.voice, item.signer));
    give_turns_but(&mut items);
    items.sort_by_key(|item| (item.class, item.turn, item.entry.arrival));
    items.into_iter().map(|item| item.entry).collect()
}

/// Numbers the items of each group, those of the lower turn first.
fn give_turns<'a, K: Ord>(items: &mut [Item<'a>], group: impl Fn(&Item<'a>) -> K) {
    items.sort_by(|a, b| {
        let within = |item: &Item<'_>| (item.turn, item.entry.arrival);
        group(a).cmp(&group(b)).then_with(|| within(a).cmp(&within(b)))
    });
    let mut turn = 0;
    for at in 0..items.len() {
        let goes_on = at > 0 && group(&items[at - 1]) == group(&items[at]);
        turn = if goes_on { turn + 1 } else { 0 };
        items[at].turn = turn;
    }
}

/// Among the others a voice is one group, whatever keys it brings.
fn give_turns_but(items: &mut Vec<Item<'_>>) {
    let mut others: Vec<Item<'_>> = Vec::new();
    let mut rest = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        match item.class {
            Class::Other => others.push(item),
            Class::Own | Class::Old => rest.push(item),
        }
    }
    give_turns(&mut others, |item| item.voice);
    rest.extend(others);
    *items = rest;
}

/// Whether the account is in the ledger, and the signer owns it.
fn is_signers<S: ChainStore>(chain: &Chain<S>, account: &Account, signer: Option<PublicKey>) -> bool {
    let Ok(state) = chain.account(account) else {
        return false;
    };
    let is_used = state.next_sequence > 0 || state.balance != 0;
    let owner = match account {
        Account::Key(key) => Some(*key),
        Account::Name(_) => state.owner,
    };
    is_used && owner.is_some() && owner == signer
}
