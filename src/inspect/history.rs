//! The history of an account: its payments, rewards and claims, confirmed and waiting, with the balance after each.
//!
//! Promises: only blocks with a listed transaction are read; the others are counted in the index. No balance of the past
//! is stored: it follows from the present one, walking back.
//! Elsewhere: the index (`chain::history`), on which thread this runs (`node::errands`).
//! Spec: `proto-notes/events.md`, "Replies".

use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use super::{View, store_error, transactions};
use crate::chain::history::pick;
use crate::chain::{AccountTag, Block, ChainStore, HistoryKey, StoreError, Transaction};
use crate::contract::{CommandError, HistoryEntry, HistoryView, Reply, TxStatus};
use crate::types::{Account, Balance, BlockHash, Height, PublicKey, WallTime};

/// The most own names whose transactions are listed and counted, those that were signed for last. A page of the index is
/// held for each of them.
const OWN_NAMES_MAX: usize = 10_000;
/// Entries of the index that are held for all accounts together: a few megabytes.
const HELD_MAX: usize = 65_536;
/// The most entries of the index that are read at once for one account.
const PAGE_MAX: usize = 1_024;

/// A waiting transaction, and when this node first saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The transaction as it was signed.
    pub transaction: Transaction,
    /// When this node first saw it, by the wall clock.
    pub seen: WallTime,
}

/// The accounts whose history is wanted.
struct Wanted {
    accounts: BTreeSet<Account>,
    reward: u64,
}

impl Wanted {
    fn concerns(&self, transaction: &Transaction) -> bool {
        transaction.accounts().any(|account| self.accounts.contains(&account))
    }

    /// What the accounts gain together by a transaction.
    fn change(&self, transaction: &Transaction) -> i128 {
        let gain = |to: &Account, amount: u64| match self.accounts.contains(to) {
            true => i128::from(amount),
            false => 0,
        };
        match transaction {
            Transaction::Transfer(transfer) => {
                gain(&transfer.to, transfer.amount.get()) - gain(&transfer.from, transfer.amount.get())
            }
            Transaction::Reward(reward) => gain(&reward.to, self.reward),
            Transaction::Claim(_) => 0,
        }
    }

    fn entry(&self, transaction: &Transaction, place: Option<(Height, BlockHash)>, time_ms: WallTime) -> HistoryEntry {
        let view = transactions::tx_view(transaction, self.reward);
        HistoryEntry {
            txid: view.txid,
            kind: view.kind,
            from: view.from,
            to: view.to,
            amount: view.amount,
            change: balance(self.change(transaction)),
            balance: 0,
            status: place.map_or(TxStatus::Pending, |_| TxStatus::Confirmed),
            height: place.map(|(height, _)| height),
            block_hash: place.map(|(_, hash)| hash),
            time_ms,
        }
    }
}

/// A sum as a balance. All coins together are fewer than a balance can hold.
fn balance(sum: i128) -> Balance {
    Balance::try_from(sum).unwrap_or(if sum < 0 { Balance::MIN } else { Balance::MAX })
}

impl<S: ChainStore> View<'_, S> {
    /// The waiting transactions that may concern an account, or what this node owns, in the order of the next blocks.
    #[must_use]
    pub fn waiting(&self, account: Option<&Account>) -> Vec<Waiting> {
        let own_key = Account::Key(self.me);
        let concerns = |transaction: &Transaction| match account {
            Some(wanted) => transaction.accounts().any(|account| account == *wanted),
            None => {
                let is_paid = matches!(transaction, Transaction::Transfer(paid) if paid.to_owner == Some(self.me));
                is_paid
                    || transaction.signer() == Some(self.me)
                    || transaction.accounts().any(|account| account == own_key)
            }
        };
        if !self.pool.transactions().any(concerns) {
            return Vec::new();
        }
        let list = self.pool.in_order(self.chain, &self.reward_account()).into_iter();
        list.filter(concerns)
            .map(|transaction| Waiting {
                seen: self.pool.first_seen(&transaction.txid()).unwrap_or_default(),
                transaction,
            })
            .collect()
    }

    /// The reply of `history`, from a store that has everything which this view shows. Only the waiting transactions are
    /// handed in.
    pub fn history(&self, account: Option<&Account>, limit: u32, waiting: &[Waiting]) -> Result<Reply, CommandError> {
        let store = self.chain.store();
        if !store.has_history().map_err(store_error)? {
            return Err(CommandError::new(
                "no_history",
                "the index of histories of this data folder is not complete: the next start goes on with it",
                "doctor",
            ));
        }
        let history = self.read_history(account, limit, waiting).map_err(store_error)?;
        Ok(Reply::History(Box::new(history)))
    }

    fn read_history(
        &self,
        account: Option<&Account>,
        limit: u32,
        waiting: &[Waiting],
    ) -> Result<HistoryView, StoreError> {
        let store = self.chain.store();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let wanted = Wanted {
            accounts: match account {
                Some(account) => [account.clone()].into(),
                None => own_accounts(store, &self.me, waiting)?,
            },
            reward: self.chain.params().reward,
        };
        let mut confirmed = Vec::new();
        let mut total = 0_u64;
        let mut blocks = Blocks::new(store, &wanted.accounts);
        while let Some((height, hash, indices)) = blocks.next()? {
            if confirmed.len() >= limit {
                total = total.saturating_add(u64::try_from(indices.len()).unwrap_or(u64::MAX));
                continue;
            }
            let listed = block_entries(store, &wanted, (height, hash), &indices)?;
            total = total.saturating_add(u64::try_from(listed.len()).unwrap_or(u64::MAX));
            confirmed.extend(listed);
        }
        let mut sum = 0_i128;
        for account in &wanted.accounts {
            sum += i128::from(store.account(account)?.unwrap_or_default().balance);
        }
        let mut entries = Vec::new();
        let mut after = sum;
        for Waiting { transaction, seen } in waiting {
            // A block may have confirmed it since the question was asked.
            if !wanted.concerns(transaction) || store.place(&transaction.txid())?.is_some() {
                continue;
            }
            after += wanted.change(transaction);
            entries.push(HistoryEntry {
                balance: balance(after),
                ..wanted.entry(transaction, None, *seen)
            });
            total = total.saturating_add(1);
        }
        entries.reverse();
        let mut after = sum;
        entries.extend(confirmed.into_iter().map(|entry| {
            let balance = balance(after);
            after -= i128::from(entry.change);
            HistoryEntry { balance, ..entry }
        }));
        entries.truncate(limit);
        Ok(HistoryView {
            account: account.cloned(),
            total,
            entries,
        })
    }
}

/// The entries of one active block, the last one first. Their balances are still missing.
fn block_entries(
    store: &impl ChainStore,
    wanted: &Wanted,
    (height, hash): (Height, BlockHash),
    indices: &BTreeSet<u16>,
) -> Result<Vec<HistoryEntry>, StoreError> {
    let damaged = |what: String| StoreError::Damaged(format!("block {hash}: {what}"));
    let body = store
        .body(&hash)?
        .ok_or_else(|| damaged("its body is missing".into()))?;
    let header = Block::header_of(&body).map_err(|error| damaged(error.to_string()))?;
    let indices: Vec<u16> = indices.iter().copied().collect();
    let picked = pick(&body, &indices).map_err(damaged)?;
    let listed = picked
        .iter()
        .rev()
        .filter(|(_, transaction)| wanted.concerns(transaction));
    Ok(listed
        .map(|(_, transaction)| wanted.entry(transaction, Some((height, hash)), header.time))
        .collect())
}

/// All accounts of a key: its key account, the names that it owns, and those for which its first signature waits.
fn own_accounts(
    store: &impl ChainStore,
    key: &PublicKey,
    waiting: &[Waiting],
) -> Result<BTreeSet<Account>, StoreError> {
    let signed = |transaction: &Transaction| match transaction.sequence() {
        Some((account @ Account::Name(_), 0)) if transaction.signer() == Some(*key) => Some(account),
        Some(_) | None => None,
    };
    let mut own: BTreeSet<Account> = [Account::Key(*key)].into();
    own.extend(waiting.iter().filter_map(|waiting| signed(&waiting.transaction)));
    let mut blocks = Blocks::of(store, [AccountTag::names_of(key)].into_iter());
    while let Some((_, hash, indices)) = blocks.next()? {
        if own.len() > OWN_NAMES_MAX {
            break;
        }
        let body = store.body(&hash)?;
        let body = body.ok_or_else(|| StoreError::Damaged(format!("block {hash}: its body is missing")))?;
        let indices: Vec<u16> = indices.into_iter().collect();
        let picked = pick(&body, &indices).map_err(|what| StoreError::Damaged(format!("block {hash}: {what}")))?;
        own.extend(picked.iter().filter_map(|(_, transaction)| signed(transaction)));
    }
    Ok(own)
}

/// The active blocks in which some of several tags have entries, the newest first, each once.
struct Blocks<'a, S> {
    store: &'a S,
    cursors: Vec<Cursor>,
    /// How many entries of each cursor are read at once.
    page: usize,
    /// The next entry of each cursor that has one: height, start of the block's hash, and the cursor.
    heads: BinaryHeap<(Height, [u8; 8], usize)>,
    has_begun: bool,
}

/// The entries of one tag, read page by page.
struct Cursor {
    tag: AccountTag,
    page: VecDeque<(HistoryKey, Vec<u16>)>,
    /// The last key that was read; none before the first page.
    below: Option<HistoryKey>,
    is_exhausted: bool,
}

impl<'a, S: ChainStore> Blocks<'a, S> {
    fn new(store: &'a S, accounts: &BTreeSet<Account>) -> Self {
        Self::of(store, accounts.iter().map(AccountTag::of))
    }

    fn of(store: &'a S, tags: impl Iterator<Item = AccountTag>) -> Self {
        let tags: BTreeSet<AccountTag> = tags.collect();
        let cursor = |tag| Cursor {
            tag,
            page: VecDeque::new(),
            below: None,
            is_exhausted: false,
        };
        Self {
            store,
            page: (HELD_MAX / tags.len().max(1)).clamp(1, PAGE_MAX),
            cursors: tags.into_iter().map(cursor).collect(),
            heads: BinaryHeap::new(),
            has_begun: false,
        }
    }

    /// The next active block with the indices that the entries list.
    fn next(&mut self) -> Result<Option<(Height, BlockHash, BTreeSet<u16>)>, StoreError> {
        if !self.has_begun {
            self.has_begun = true;
            for number in 0..self.cursors.len() {
                self.advance(number)?;
            }
        }
        while let Some((height, block, _)) = self.heads.peek().copied() {
            let mut all = BTreeSet::new();
            while let Some(&(_, _, number)) = self.heads.peek().filter(|head| (head.0, head.1) == (height, block)) {
                self.heads.pop();
                if let Some((_, indices)) = self.cursors[number].page.pop_front() {
                    all.extend(indices);
                }
                self.advance(number)?;
            }
            if let Some(hash) = self.store.active(height)?
                && hash.as_bytes().starts_with(&block)
            {
                return Ok(Some((height, hash, all)));
            }
        }
        Ok(None)
    }

    /// Makes the next entry of a cursor known, reading another page if there is none left.
    fn advance(&mut self, number: usize) -> Result<(), StoreError> {
        let cursor = &mut self.cursors[number];
        if cursor.page.is_empty() && !cursor.is_exhausted {
            let page = self.store.history(cursor.tag, cursor.below, self.page)?;
            cursor.is_exhausted = page.len() < self.page;
            cursor.below = page.last().map(|(key, _)| *key).or(cursor.below);
            cursor.page = page.into();
        }
        if let Some((key, _)) = cursor.page.front() {
            self.heads.push((key.height, key.block, number));
        }
        Ok(())
    }
}
