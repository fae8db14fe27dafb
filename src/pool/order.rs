//! What a new tip does to the pool, and which waiting transactions the next block takes, in which order.
//!
//! Elsewhere: how all that waits is checked anew (`pool::rebuild`).
//! Promises: after a switch the pool holds nothing that the tip refuses; what a lost branch held comes back, oldest
//! first; own transactions are first in the next block, accounts take turns when not all fits.
//! Spec: `proto-notes/mempool.md`.

use std::collections::{BTreeMap, BTreeSet};

use super::fairness::in_turn;
use super::mempool::{Entry, Mempool, Origin, PoolChange};
use super::rebuild::Rebuild;
use crate::chain::block::BLOCK_FRAME_BYTES;
use crate::chain::params::BLOCK_MAX_TRANSACTIONS;
use crate::chain::state::{Chain, Scratch};
use crate::chain::store::ChainStore;
use crate::chain::switch::{Done, Switch};
use crate::chain::transaction::{Reward, Transaction};
use crate::types::{Account, AccountName, Txid};

/// The most bytes of a reward.
const REWARD_BYTES: usize = 64;
/// Rounds over what did not fit yet. Each needs an earlier one to succeed.
const ROUNDS_MAX: usize = 64;

impl Mempool {
    /// Takes out a transaction that was never told to anybody.
    pub fn forget(&mut self, txid: &Txid) {
        self.remove(txid);
    }

    /// Follows a change of the active branch. `own` are the own transactions that are to be offered again if valid,
    /// oldest first. Where two exclude each other, own ones win, then those of the lost branch.
    pub fn on_switch<S: ChainStore>(&mut self, chain: &Chain<S>, switch: &Switch, own: &[Transaction]) -> PoolChange {
        for txid in &switch.done.confirmed {
            self.remove(txid);
        }
        if switch.disconnected.is_empty() && !switch.done.is_more && !self.is_concerned(&switch.done, own) {
            // Who was paid by what is confirmed now has it on the chain.
            self.shortened.clear();
            return PoolChange::default();
        }
        let lost: Vec<&Transaction> = switch.undone.iter().collect();
        self.rebuild(chain, &lost, own)
    }

    /// Whether blocks on top of the tip name an account that something waiting names, or an own transaction that did
    /// not fit before. If not, all that waits is as good as it was: a full pool costs a sync nothing.
    fn is_concerned(&self, done: &Done, own: &[Transaction]) -> bool {
        let hit = |transaction: &Transaction| match transaction {
            Transaction::Transfer(transfer) => {
                done.touched.contains(&transfer.from) || done.touched.contains(&transfer.to)
            }
            Transaction::Claim(_) | Transaction::Reward(_) => {
                transaction.accounts().any(|account| done.touched.contains(&account))
            }
        };
        self.entries.values().any(|entry| hit(&entry.transaction)) || own.iter().any(hit)
    }

    /// Checks everything anew, and offers what a lost branch held.
    pub(crate) fn rebuild<S: ChainStore>(
        &mut self,
        chain: &Chain<S>,
        lost: &[&Transaction],
        own: &[Transaction],
    ) -> PoolChange {
        let mut rebuild = Rebuild::new(self, lost.iter().copied(), own);
        while !rebuild.step(chain, usize::MAX) {}
        rebuild.finish(self)
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
            bytes_max: chain.params().block_bytes_max(),
            payers: self.payers_of_free_names(),
            chosen: Vec::new(),
        };
        if plan.scratch.apply(&reward).is_err() {
            // The block cannot be made with this reward; the order is still worth showing.
            plan.scratch = chain.scratch();
        }
        plan.fill(self.candidates(chain));
        plan.chosen
    }

    /// This node's own transactions as they came.
    pub fn own(&self) -> impl Iterator<Item = &Transaction> {
        let entries = self.arrivals.values().filter_map(|txid| self.entries.get(txid));
        let own = entries.filter(|entry| entry.origin == Origin::Own);
        own.map(|entry| &entry.transaction)
    }

    /// Everything that waits: what the next block takes in its order, then the others in the order in which they are
    /// tried.
    pub fn in_order<S: ChainStore>(&self, chain: &Chain<S>, reward_to: &Account) -> Vec<Transaction> {
        let mut list = self.in_block_order(chain, reward_to);
        let next: BTreeSet<Txid> = list.iter().map(Transaction::txid).collect();
        let others = self.candidates(chain).into_iter().map(|entry| &entry.transaction);
        list.extend(
            others
                .filter(|transaction| !next.contains(&transaction.txid()))
                .cloned(),
        );
        list
    }

    /// All entries in the order in which they are tried.
    fn candidates<S: ChainStore>(&self, chain: &Chain<S>) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self
            .arrivals
            .values()
            .filter_map(|txid| self.entries.get(txid))
            .collect();
        if self.is_scarce(chain, &entries) {
            return in_turn(chain, &entries);
        }
        entries.sort_by_key(|entry| entry.origin != Origin::Own);
        entries
    }

    /// Whether a block may have no room for all: transactions, bytes, or new accounts, of which each can need two.
    fn is_scarce<S: ChainStore>(&self, chain: &Chain<S>, entries: &[&Entry]) -> bool {
        let params = chain.params();
        let bytes: usize = entries.iter().map(|entry| entry.size).sum();
        let count = entries.len();
        let new_accounts = u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(2);
        count >= BLOCK_MAX_TRANSACTIONS
            || bytes > params.block_bytes_max() - BLOCK_FRAME_BYTES - REWARD_BYTES
            || new_accounts > params.new_accounts_max
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

/// A block's content in the making.
struct Plan<'a, S> {
    scratch: Scratch<'a, S>,
    bytes: usize,
    room: usize,
    bytes_max: usize,
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
        if self.room == 0 || self.bytes + entry.size > self.bytes_max {
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
