//! Rebuilds the pool for another tip, from the waiting transactions, those of a lost branch and own ones.
//!
//! Promises: the work is done in slices of a counted number of checks, and the old pool stays as it is until the end;
//! what arrives there meanwhile is added too. If two transactions exclude each other, own ones win, then those of the
//! lost branch.
//! Elsewhere: rebuilding at once (`pool::order`), in slices (`engine::advance`).
//! Spec: `proto-notes/mempool.md`.

use std::collections::{BTreeMap, VecDeque};

use super::error::PoolError;
use super::mempool::{Mempool, Origin, PoolChange};
use crate::chain::ground::Ground;
use crate::chain::ledger::LedgerError;
use crate::chain::transaction::Transaction;
use crate::types::Txid;

/// The most rounds over transactions that did not fit before; each needs a success in an earlier one. The pool's gaps
/// need about 17.
const ROUNDS_MAX: usize = 64;

/// A pool that is being rebuilt for another tip.
#[derive(Debug)]
pub struct Rebuild {
    pool: Mempool,
    /// Transactions still to be tried in this round.
    waiting: VecDeque<Offered>,
    /// Transactions to be tried again in the next round.
    again: Vec<Offered>,
    /// The origin of each transaction, and whether its end is reported; that of own ones that never fitted is not.
    known: BTreeMap<Txid, (Origin, bool)>,
    lost: Vec<Txid>,
    added_one: bool,
    rounds: usize,
    /// The arrival number in the old pool up to which its transactions were taken over.
    mark: u64,
    change: PoolChange,
}

/// A transaction that is to be added.
#[derive(Debug)]
struct Offered {
    txid: Txid,
    transaction: Transaction,
    origin: Origin,
    /// Why it was refused when it was tried last; none if it was not tried yet.
    refused: Option<PoolError>,
}

impl Rebuild {
    /// Begins without any check. `lost` are the transactions of blocks that left, `own` the own ones to be offered
    /// again if they are valid, both oldest first.
    pub fn new<'a>(pool: &Mempool, lost: impl Iterator<Item = &'a Transaction>, own: &[Transaction]) -> Self {
        let mut rebuild = Self {
            pool: Mempool::default(),
            waiting: VecDeque::new(),
            again: Vec::new(),
            known: BTreeMap::new(),
            lost: Vec::new(),
            added_one: false,
            rounds: 1,
            mark: pool.next_arrival,
            change: PoolChange::default(),
        };
        rebuild.pool.next_arrival = pool.next_arrival;
        for transaction in own {
            rebuild.push(transaction, Origin::Own, false);
        }
        let held = || pool.arrivals.values().filter_map(|txid| pool.entries.get(txid));
        for entry in held().filter(|entry| entry.origin == Origin::Own) {
            rebuild.push(&entry.transaction, entry.origin, true);
        }
        for transaction in lost {
            let txid = rebuild.push(transaction, Origin::Returned, true);
            rebuild.lost.push(txid);
        }
        for entry in held().filter(|entry| entry.origin != Origin::Own) {
            rebuild.push(&entry.transaction, entry.origin, true);
        }
        rebuild
    }

    fn push(&mut self, transaction: &Transaction, origin: Origin, reported: bool) -> Txid {
        let txid = transaction.txid();
        let known = self.known.get_mut(&txid);
        match known {
            Some((_, before)) => *before |= reported,
            None => {
                self.known.insert(txid, (origin, reported));
                self.waiting.push_back(Offered {
                    txid,
                    transaction: transaction.clone(),
                    origin,
                    refused: None,
                });
            }
        }
        txid
    }

    /// Takes over what arrived in the old pool since the last call.
    pub fn follow(&mut self, pool: &Mempool) {
        let newer = pool.arrivals.range(self.mark..);
        for entry in newer.filter_map(|(_, txid)| pool.entries.get(txid)) {
            self.push(&entry.transaction, entry.origin, true);
        }
        self.mark = pool.next_arrival;
    }

    /// Makes at most `most` checks, and returns whether the work is complete. A refused transaction is tried again
    /// until a round adds nothing, and so is one that a later one pushed out.
    pub fn step<G: Ground>(&mut self, ground: &G, most: usize) -> bool {
        for _ in 0..most {
            if self.waiting.is_empty() && !self.next_round() {
                return true;
            }
            if let Some(next) = self.waiting.pop_front() {
                self.offer(ground, next);
            }
        }
        self.waiting.is_empty() && !self.next_round()
    }

    fn next_round(&mut self) -> bool {
        if self.again.is_empty() || !self.added_one || self.rounds >= ROUNDS_MAX {
            return false;
        }
        self.rounds += 1;
        self.added_one = false;
        self.waiting.extend(self.again.drain(..));
        true
    }

    fn offer<G: Ground>(&mut self, ground: &G, next: Offered) {
        match self.pool.add_checked(ground, next.transaction.clone(), next.origin) {
            Ok(added) => {
                self.added_one = true;
                for txid in added.evicted {
                    let dropped = self.pool.dropped_reason(&txid);
                    if let (Some((transaction, _)), Some((origin, _))) = (dropped, self.known.get(&txid)) {
                        self.again.push(Offered {
                            txid,
                            transaction: transaction.clone(),
                            origin: *origin,
                            refused: None,
                        });
                    }
                }
            }
            Err(error) if is_final(&error) => self.refuse(next.txid, next.transaction, next.origin, error),
            Err(error) => self.again.push(Offered {
                refused: Some(error),
                ..next
            }),
        }
    }

    fn refuse(&mut self, txid: Txid, transaction: Transaction, origin: Origin, error: PoolError) {
        if matches!(error, PoolError::AlreadyConfirmed(_)) {
            if origin == Origin::Own {
                self.change.confirmed.push(txid);
            }
        } else if self.known.get(&txid).is_some_and(|(_, reported)| *reported) {
            self.pool.drop_for(txid, transaction, error.clone());
            self.change.dropped.push((txid, error));
        }
    }

    /// Puts the new pool in the place of the old one, and returns what changed.
    pub fn finish(mut self, pool: &mut Mempool) -> PoolChange {
        let left = core::mem::take(&mut self.again);
        for Offered {
            txid,
            transaction,
            origin,
            refused,
        } in left
        {
            if let Some(error) = refused {
                self.refuse(txid, transaction, origin, error);
            }
        }
        pool.replace(self.pool);
        let mut change = self.change;
        change.returned = self.lost.into_iter().filter(|txid| pool.contains(txid)).collect();
        change
    }
}

/// Whether the error stays, whatever else is added to the pool.
const fn is_final(error: &PoolError) -> bool {
    matches!(
        error,
        PoolError::AlreadyConfirmed(_)
            | PoolError::NoReward
            | PoolError::Ledger(LedgerError::WrongSequence { .. } | LedgerError::AlreadyClaimed { .. })
    )
}
