//! The effect of a new tip on the pool, and the transactions of the next block in their order.
//!
//! Elsewhere: how all waiting transactions are checked anew (`pool::rebuild`).
//! Promises: after a switch the pool holds nothing that the tip refuses, and the transactions of a lost branch are
//! back, oldest first. Own transactions are first in the next block; accounts take turns when not everything fits.
//! Spec: `proto-notes/mempool.md`.

use std::collections::{BTreeMap, BTreeSet};

use super::fairness::in_turn;
use super::mempool::{Mempool, Origin, PoolChange, PoolEntry};
use super::rebuild::Rebuild;
use crate::chain::block::BLOCK_FRAME_BYTES;
use crate::chain::params::{BLOCK_MAX_TRANSACTIONS, NetworkParams};
use crate::chain::state::{Chain, Scratch};
use crate::chain::store::ChainStore;
use crate::chain::switch::{ConnectedEffects, Switch};
use crate::chain::transaction::{Reward, Transaction};
use crate::types::{Account, AccountName, Txid};

/// The largest reward transaction, in bytes.
const REWARD_BYTES: usize = 64;
/// The most rounds over transactions that did not fit before; each round needs a success in an earlier one.
const ROUNDS_MAX: usize = 64;

impl Mempool {
    /// Removes a transaction that was never announced to anybody.
    pub fn forget(&mut self, txid: &Txid) {
        self.remove(txid);
    }

    /// Follows a change of the active branch. `own` are the own transactions to be offered again if they are valid,
    /// oldest first. If two transactions exclude each other, own ones win, then those of the lost branch.
    pub fn on_switch<S: ChainStore>(&mut self, chain: &Chain<S>, switch: &Switch, own: &[Transaction]) -> PoolChange {
        for txid in &switch.done.confirmed {
            self.remove(txid);
        }
        if switch.disconnected.is_empty() && !switch.done.is_more && !self.is_concerned(&switch.done, own) {
            // Accounts that confirmed transactions paid have these coins on the chain now.
            self.shortened.clear();
            return PoolChange::default();
        }
        let lost: Vec<&Transaction> = switch.undone.iter().collect();
        self.rebuild(chain, &lost, own)
    }

    /// Whether blocks on top of the tip name an account that a waiting transaction names, or an own transaction that
    /// did not fit before. If not, all that waits stays valid, so a full pool does not slow down a sync.
    fn is_concerned(&self, done: &ConnectedEffects, own: &[Transaction]) -> bool {
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

    /// Checks every transaction anew, and offers those of a lost branch and the own ones.
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

    /// The transactions of the next block after its reward, with their ids: own ones first, then by arrival. Accounts
    /// take turns when not everything fits.
    pub fn next_block<S: ChainStore>(&self, chain: &Chain<S>, reward_to: &Account) -> Vec<(Txid, &Transaction)> {
        let reward = Transaction::Reward(Reward {
            to: reward_to.clone(),
            height: chain.tip().header.height.next(),
        });
        let mut plan = Plan {
            scratch: chain.scratch(),
            bytes: BLOCK_FRAME_BYTES + reward.to_bytes().len(),
            room: BLOCK_MAX_TRANSACTIONS - 1,
            bytes_max: chain.params().block_bytes_max(),
            free_payees: &self.free_payees,
            paid: BTreeMap::new(),
            chosen: Vec::new(),
        };
        if plan.scratch.apply(&reward).is_err() {
            // The block cannot pay this reward, but its order is still worth showing.
            plan.scratch = chain.scratch();
        }
        plan.fill(self.candidates(chain));
        let chosen = plan.chosen.into_iter();
        chosen.map(|entry| (entry.txid, &*entry.transaction)).collect()
    }

    /// The same as [`Mempool::next_block`], without their ids.
    #[cfg(any(test, feature = "testing"))]
    pub fn in_block_order<S: ChainStore>(&self, chain: &Chain<S>, reward_to: &Account) -> Vec<Transaction> {
        let chosen = self.next_block(chain, reward_to).into_iter();
        chosen.map(|(_, transaction)| transaction.clone()).collect()
    }

    /// This node's own transactions, by arrival.
    pub fn own(&self) -> impl Iterator<Item = &Transaction> {
        let entries = self.arrivals.values().filter_map(|txid| self.entries.get(txid));
        let own = entries.filter(|entry| entry.origin == Origin::Own);
        own.map(|entry| &*entry.transaction)
    }

    /// All waiting transactions: first those of the next block in its order, then the others in the order in which they
    /// would be tried.
    pub fn in_order<S: ChainStore>(&self, chain: &Chain<S>, reward_to: &Account) -> Vec<Transaction> {
        let next = self.next_block(chain, reward_to);
        let ids: BTreeSet<Txid> = next.iter().map(|(txid, _)| *txid).collect();
        let others = self.candidates(chain).into_iter();
        let others = others.filter(|entry| !ids.contains(&entry.txid));
        let next = next.into_iter().map(|(_, transaction)| transaction);
        next.chain(others.map(|entry| &*entry.transaction)).cloned().collect()
    }

    /// All entries in the order in which they are tried for a block.
    fn candidates<S: ChainStore>(&self, chain: &Chain<S>) -> Vec<&PoolEntry> {
        let mut entries: Vec<&PoolEntry> = self.entries.values().collect();
        if self.is_scarce(chain.params()) {
            return in_turn(chain, entries);
        }
        entries.sort_unstable_by_key(|entry| (entry.origin != Origin::Own, entry.arrival));
        entries
    }

    /// Whether a block may lack room for all: in transactions, bytes or new accounts, of which each transaction can
    /// need two.
    fn is_scarce(&self, params: &NetworkParams) -> bool {
        let count = self.entries.len();
        let new_accounts = u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(2);
        count >= BLOCK_MAX_TRANSACTIONS
            || self.bytes > params.block_bytes_max() - BLOCK_FRAME_BYTES - REWARD_BYTES
            || new_accounts > params.new_accounts_max
    }
}

/// The content of a block that is being assembled.
struct Plan<'a, 'p, S> {
    scratch: Scratch<'a, S>,
    bytes: usize,
    room: usize,
    bytes_max: usize,
    /// For each name, how many waiting transfers were signed for it while nobody owned it, and how many of them are chosen.
    free_payees: &'p BTreeMap<AccountName, usize>,
    paid: BTreeMap<&'p AccountName, usize>,
    chosen: Vec<&'p PoolEntry>,
}

impl<'p, S: ChainStore> Plan<'_, 'p, S> {
    /// Tries the candidates in rounds until nothing more fits. A claim waits while transfers to the name as a free one
    /// still fit, because they are void after it; it enters once they cannot be added any more.
    fn fill(&mut self, mut left: Vec<&'p PoolEntry>) {
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

    fn try_add(&mut self, entry: &'p PoolEntry, patient: bool) -> bool {
        if self.room == 0 || self.bytes + entry.size > self.bytes_max {
            return false;
        }
        let awaited = |name| self.free_payees.get(name) > self.paid.get(name);
        match &entry.account {
            Account::Name(name) if patient && entry.sequence == 0 && awaited(name) => return false,
            Account::Name(_) | Account::Key(_) => {}
        }
        if self.scratch.apply(&entry.transaction).is_err() {
            return false;
        }
        if let Some(name) = entry.transaction.free_payee() {
            *self.paid.entry(name).or_default() += 1;
        }
        self.bytes += entry.size;
        self.room -= 1;
        self.chosen.push(entry);
        true
    }
}
