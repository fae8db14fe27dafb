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
use crate::chain::params::BLOCK_MAX_TRANSACTIONS;
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

    /// The transactions of the next block after its reward: own ones first, then by arrival. Accounts take turns when
    /// not everything fits.
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
            // The block cannot pay this reward, but its order is still worth showing.
            plan.scratch = chain.scratch();
        }
        plan.fill(self.candidates(chain));
        plan.chosen
    }

    /// This node's own transactions, by arrival.
    pub fn own(&self) -> impl Iterator<Item = &Transaction> {
        let entries = self.arrivals.values().filter_map(|txid| self.entries.get(txid));
        let own = entries.filter(|entry| entry.origin == Origin::Own);
        own.map(|entry| &entry.transaction)
    }

    /// All waiting transactions: first those of the next block in its order, then the others in the order in which they
    /// would be tried.
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

    /// All entries in the order in which they are tried for a block.
    fn candidates<S: ChainStore>(&self, chain: &Chain<S>) -> Vec<&PoolEntry> {
        let mut entries: Vec<&PoolEntry> = self
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

    /// Whether a block may lack room for all: in transactions, bytes or new accounts, of which each transaction can
    /// need two.
    fn is_scarce<S: ChainStore>(&self, chain: &Chain<S>, entries: &[&PoolEntry]) -> bool {
        let params = chain.params();
        let bytes: usize = entries.iter().map(|entry| entry.size).sum();
        let count = entries.len();
        let new_accounts = u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(2);
        count >= BLOCK_MAX_TRANSACTIONS
            || bytes > params.block_bytes_max() - BLOCK_FRAME_BYTES - REWARD_BYTES
            || new_accounts > params.new_accounts_max
    }

    /// For each name, how many waiting transfers were signed for it while nobody owned it.
    fn payers_of_free_names(&self) -> BTreeMap<AccountName, usize> {
        let mut payers = BTreeMap::new();
        for name in self.all().filter_map(pays_free_name) {
            *payers.entry(name.clone()).or_default() += 1;
        }
        payers
    }
}

/// The content of a block that is being assembled.
struct Plan<'a, S> {
    scratch: Scratch<'a, S>,
    bytes: usize,
    room: usize,
    bytes_max: usize,
    payers: BTreeMap<AccountName, usize>,
    chosen: Vec<Transaction>,
}

impl<S: ChainStore> Plan<'_, S> {
    /// Tries the candidates in rounds until nothing more fits. A claim waits while transfers to the name as a free one
    /// still fit, because they are void after it; it enters once they cannot be added any more.
    fn fill(&mut self, mut left: Vec<&PoolEntry>) {
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

    fn try_add(&mut self, entry: &PoolEntry, patient: bool) -> bool {
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

/// The name that a transfer pays, if the sender signed for a name that nobody owned.
fn pays_free_name(transaction: &Transaction) -> Option<&AccountName> {
    match transaction {
        Transaction::Transfer(transfer) => match (&transfer.to, transfer.to_owner) {
            (Account::Name(name), None) => Some(name),
            (Account::Name(_) | Account::Key(_), _) => None,
        },
        Transaction::Claim(_) | Transaction::Reward(_) => None,
    }
}
