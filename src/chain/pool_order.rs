//! What a new tip does to the pool, and which waiting transactions the next block takes, in which order.
//!
//! Promises: after a switch the pool holds nothing that the tip refuses; what a lost branch held comes back, oldest
//! first; own transactions are first in the next block, accounts take turns when not all fits.
//! Spec: `proto-notes/mempool.md`, "Order".

use std::collections::{BTreeMap, BTreeSet};

use super::header::HEADER_BYTES;
use super::mempool::{Entry, Mempool, Origin, PoolChange, PoolError};
use super::params::{BLOCK_MAX_BYTES, BLOCK_MAX_TRANSACTIONS};
use super::state::{Chain, Scratch};
use super::store::ChainStore;
use super::switch::{Done, Switch};
use super::transaction::{Reward, Transaction};
use crate::types::{Account, AccountName, Txid};

/// Bytes of a block beside its transactions: header and count.
const BLOCK_FRAME_BYTES: usize = HEADER_BYTES + 4;
/// Rounds over what falls with a dropped transaction, each a look at the whole pool; then it is checked anew instead.
const FOLLOW_MAX: usize = 16;
/// Rounds over what did not fit yet. Each needs an earlier one to succeed; the pool's gaps allow about 17.
const ROUNDS_MAX: usize = 64;

impl Mempool {
    /// Follows a change of the active branch. `own` are the own transactions that are to be offered again if valid,
    /// oldest first. Where two exclude each other, own ones win, then those of the lost branch.
    pub fn on_switch<S: ChainStore>(&mut self, chain: &Chain<S>, switch: &Switch, own: &[Transaction]) -> PoolChange {
        let mut change = PoolChange::default();
        if !switch.disconnected.is_empty() || !self.follow(chain, &switch.done, own, &mut change) {
            let lost: Vec<&Transaction> = switch.undone.iter().collect();
            let rest = self.rebuild(chain, &lost, own);
            change.returned = rest.returned;
            change.dropped.extend(rest.dropped);
        }
        change
    }

    /// Blocks came on top of the tip: only what names an account that they name can be affected, and what names an
    /// account of a transaction that is dropped for it, and so on. False if that takes too long.
    fn follow<S: ChainStore>(
        &mut self,
        chain: &Chain<S>,
        done: &Done,
        own: &[Transaction],
        change: &mut PoolChange,
    ) -> bool {
        for txid in &done.confirmed {
            self.remove(txid);
        }
        let mut touched = done.touched.clone();
        for _ in 0..FOLLOW_MAX {
            let affected = self.take_affected(&touched);
            let refused = self.put_back(chain, affected);
            if refused.is_empty() {
                for transaction in own {
                    // What is in the pool is refused as such; what does not fit stays in the store for another tip.
                    let _ = self.add_checked(chain, transaction.clone(), Origin::Own);
                }
                return true;
            }
            touched.clear();
            for (txid, entry, error) in refused {
                touched.extend(entry.transaction.accounts());
                self.remember_dropped(txid, entry.transaction, error.to_string());
                change.dropped.push((txid, error));
            }
        }
        false
    }

    /// Takes out what names one of these accounts: own ones first, then as they came.
    fn take_affected(&mut self, touched: &BTreeSet<Account>) -> Vec<(Txid, Entry)> {
        let hit = |entry: &Entry| match &entry.transaction {
            Transaction::Transfer(transfer) => touched.contains(&transfer.from) || touched.contains(&transfer.to),
            Transaction::Claim(_) | Transaction::Reward(_) => touched.contains(&entry.account),
        };
        let mut affected: Vec<Txid> = self
            .arrivals
            .values()
            .filter(|txid| self.entries.get(*txid).is_some_and(hit))
            .copied()
            .collect();
        affected.sort_by_key(|txid| self.entries.get(txid).is_none_or(|entry| entry.origin != Origin::Own));
        affected
            .into_iter()
            .filter_map(|txid| Some((txid, self.remove(&txid)?)))
            .collect()
    }

    /// Puts back what still fits, with the arrival that it had; says what does not, and why.
    fn put_back<S: ChainStore>(
        &mut self,
        chain: &Chain<S>,
        mut waiting: Vec<(Txid, Entry)>,
    ) -> Vec<(Txid, Entry, PoolError)> {
        let mut refused = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let count = waiting.len();
            refused.clear();
            for (txid, entry) in waiting {
                match self.admit(chain, txid, entry.transaction.clone(), entry.origin) {
                    Ok(fresh) => {
                        let arrival = entry.arrival;
                        self.insert(txid, Entry { arrival, ..fresh });
                    }
                    Err(error) => refused.push((txid, entry, error)),
                }
            }
            if refused.is_empty() || refused.len() == count {
                break;
            }
            waiting = refused.iter().map(|(txid, entry, _)| (*txid, entry.clone())).collect();
        }
        refused
    }

    /// Checks everything anew, and offers what a lost branch held.
    pub(crate) fn rebuild<S: ChainStore>(
        &mut self,
        chain: &Chain<S>,
        lost: &[&Transaction],
        own: &[Transaction],
    ) -> PoolChange {
        let lost_ids: Vec<Txid> = lost.iter().map(|transaction| transaction.txid()).collect();
        let before = self.take_all();
        let reported: BTreeSet<Txid> = before
            .iter()
            .map(|(txid, _)| *txid)
            .chain(lost_ids.iter().copied())
            .collect();
        let mut waiting = Waiting::default();
        own.iter()
            .for_each(|transaction| waiting.push(transaction, Origin::Own));
        let (ours, others): (Vec<_>, Vec<_>) = before.iter().partition(|(_, entry)| entry.origin == Origin::Own);
        ours.iter()
            .for_each(|(_, entry)| waiting.push(&entry.transaction, Origin::Own));
        lost.iter()
            .for_each(|transaction| waiting.push(transaction, Origin::Returned));
        others
            .iter()
            .for_each(|(_, entry)| waiting.push(&entry.transaction, entry.origin));
        let mut change = PoolChange::default();
        for (txid, transaction, error) in self.admit_all(chain, waiting.list) {
            let confirmed = matches!(error, PoolError::AlreadyConfirmed(_));
            if reported.contains(&txid) && !confirmed {
                self.remember_dropped(txid, transaction, error.to_string());
                change.dropped.push((txid, error));
            }
        }
        change.returned = lost_ids.into_iter().filter(|txid| self.contains(txid)).collect();
        change
    }

    /// Adds in order what can be added, again and again until nothing more can; says what could not, and why.
    fn admit_all<S: ChainStore>(
        &mut self,
        chain: &Chain<S>,
        mut waiting: Vec<(Txid, Transaction, Origin)>,
    ) -> Vec<(Txid, Transaction, PoolError)> {
        let mut refused = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let count = waiting.len();
            refused.clear();
            let mut again = Vec::new();
            for (txid, transaction, origin) in waiting {
                match self.add_checked(chain, transaction.clone(), origin) {
                    Ok(_) => {}
                    Err(error) => {
                        refused.push((txid, transaction.clone(), error));
                        again.push((txid, transaction, origin));
                    }
                }
            }
            waiting = again;
            if waiting.is_empty() || waiting.len() == count {
                break;
            }
        }
        refused
    }

    /// The transactions of the next block after its reward: own ones first, then as they came; when not all fits,
    /// accounts take turns.
    pub fn in_block_order<S: ChainStore>(&self, chain: &Chain<S>, reward_to: &Account) -> Vec<Transaction> {
        let reward = Transaction::Reward(Reward {
            to: reward_to.clone(),
            height: chain.tip().header.height.next(),
        });
        let mut plan = Plan {
            scratch: chain.scratch(),
            bytes: BLOCK_FRAME_BYTES + reward.to_bytes().len(),
            room: BLOCK_MAX_TRANSACTIONS - 1,
            payers: self.payers_of_free_names(),
            chosen: Vec::new(),
        };
        if plan.scratch.apply(&reward).is_err() {
            // The block cannot be made with this reward; the order is still worth showing.
            plan.scratch = chain.scratch();
        }
        plan.fill(self.candidates());
        plan.chosen
    }

    /// All entries in the order in which they are tried.
    fn candidates(&self) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self
            .arrivals
            .values()
            .filter_map(|txid| self.entries.get(txid))
            .collect();
        let bytes: usize = entries.iter().map(|entry| entry.size).sum();
        let crowded = entries.len() >= BLOCK_MAX_TRANSACTIONS || bytes > BLOCK_MAX_BYTES - BLOCK_FRAME_BYTES - 64;
        if crowded {
            let mut by_account: BTreeMap<&Account, Vec<&Entry>> = BTreeMap::new();
            for entry in &entries {
                by_account.entry(&entry.account).or_default().push(entry);
            }
            let mut turn: BTreeMap<u64, usize> = BTreeMap::new();
            for queue in by_account.values_mut() {
                queue.sort_by_key(|entry| entry.sequence);
                turn.extend(queue.iter().enumerate().map(|(turn, entry)| (entry.arrival, turn)));
            }
            entries.sort_by_key(|entry| (turn.get(&entry.arrival).copied(), entry.arrival));
        }
        entries.sort_by_key(|entry| entry.origin != Origin::Own);
        entries
    }

    /// How many transfers pay each name as one that belongs to nobody.
    fn payers_of_free_names(&self) -> BTreeMap<AccountName, usize> {
        let mut payers = BTreeMap::new();
        for name in self.all().filter_map(pays_free_name) {
            *payers.entry(name.clone()).or_default() += 1;
        }
        payers
    }
}

/// Transactions to be added, each once, in order.
#[derive(Default)]
struct Waiting {
    seen: BTreeSet<Txid>,
    list: Vec<(Txid, Transaction, Origin)>,
}

impl Waiting {
    fn push(&mut self, transaction: &Transaction, origin: Origin) {
        let txid = transaction.txid();
        if self.seen.insert(txid) {
            self.list.push((txid, transaction.clone(), origin));
        }
    }
}

/// A block's content in the making.
struct Plan<'a, S> {
    scratch: Scratch<'a, S>,
    bytes: usize,
    room: usize,
    payers: BTreeMap<AccountName, usize>,
    chosen: Vec<Transaction>,
}

impl<S: ChainStore> Plan<'_, S> {
    /// Rounds over the candidates until nothing more fits. A claim waits while others still pay the name as a free
    /// one, because their payments are void after it; it goes in once they cannot be helped.
    fn fill(&mut self, mut left: Vec<&Entry>) {
        let mut patient = true;
        for _ in 0..ROUNDS_MAX {
            let count = left.len();
            left.retain(|entry| !self.try_add(entry, patient));
            match (left.len() == count, patient) {
                _ if left.is_empty() || self.room == 0 => break,
                (true, true) => patient = false,
                (true, false) => break,
                (false, _) => patient = true,
            }
        }
    }

    fn try_add(&mut self, entry: &Entry, patient: bool) -> bool {
        if self.room == 0 || self.bytes + entry.size > BLOCK_MAX_BYTES {
            return false;
        }
        let awaited = |name: &AccountName| self.payers.get(name).is_some_and(|count| *count > 0);
        match &entry.account {
            Account::Name(name) if patient && entry.sequence == 0 && awaited(name) => return false,
            Account::Name(_) | Account::Key(_) => {}
        }
        if self.scratch.apply(&entry.transaction).is_err() {
            return false;
        }
        if let Some(count) = pays_free_name(&entry.transaction).and_then(|name| self.payers.get_mut(name)) {
            *count -= 1;
        }
        self.bytes += entry.size;
        self.room -= 1;
        self.chosen.push(entry.transaction.clone());
        true
    }
}

/// The name that a transfer pays as one that belongs to nobody.
fn pays_free_name(transaction: &Transaction) -> Option<&AccountName> {
    match transaction {
        Transaction::Transfer(transfer) => match (&transfer.to, transfer.to_owner) {
            (Account::Name(name), None) => Some(name),
            (Account::Name(_) | Account::Key(_), _) => None,
        },
        Transaction::Claim(_) | Transaction::Reward(_) => None,
    }
}
