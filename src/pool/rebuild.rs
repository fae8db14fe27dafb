//! Another pool in the making: what waits, what a lost branch held and own transactions, checked against another tip.
//!
//! Promises: it is made in slices of a counted number of checks, and the pool that there is stays as it is until the end; what
//! comes into that one meanwhile is followed. Where two exclude each other, own ones win, then those of the lost branch.
//! Elsewhere: when it is made at once (`pool::order`), in slices (`engine::advance`).
//! Spec: `proto-notes/mempool.md`.

use std::collections::{BTreeMap, VecDeque};

use super::error::PoolError;
use super::mempool::{Mempool, Origin, PoolChange};
use crate::chain::ground::Ground;
use crate::chain::ledger::LedgerError;
use crate::chain::transaction::Transaction;
use crate::types::Txid;

/// Rounds over what did not fit yet. Each needs an earlier one to succeed; the pool's gaps allow about 17.
const ROUNDS_MAX: usize = 64;

/// Another pool in the making.
#[derive(Debug)]
pub struct Rebuild {
    pool: Mempool,
    /// To be tried in this round.
    waiting: VecDeque<Waiting>,
    /// To be tried in the next one.
    again: Vec<Waiting>,
    /// Who brought each, and whether its end is reported: own ones that never fitted are not.
    known: BTreeMap<Txid, (Origin, bool)>,
    lost: Vec<Txid>,
    added_one: bool,
    rounds: usize,
    /// What has arrived in the other pool from here on was not looked at.
    mark: u64,
    change: PoolChange,
}

/// A transaction to be added.
#[derive(Debug)]
struct Waiting {
    txid: Txid,
    transaction: Transaction,
    origin: Origin,
    /// Why it was not, last time.
    refused: Option<PoolError>,
}

impl Rebuild {
    /// Nothing is checked yet. `lost` are the transactions of blocks that left, `own` the own ones that are to be offered again
    /// if valid, both oldest first.
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
                self.waiting.push_back(Waiting {
                    txid,
                    transaction: transaction.clone(),
                    origin,
                    refused: None,
                });
            }
        }
        txid
    }

    /// Takes over what came into the other pool since it was looked at last.
    pub fn follow(&mut self, pool: &Mempool) {
        let newer = pool.arrivals.range(self.mark..);
        for entry in newer.filter_map(|(_, txid)| pool.entries.get(txid)) {
            self.push(&entry.transaction, entry.origin, true);
        }
        self.mark = pool.next_arrival;
    }

    /// Makes so many checks at most; whether none is left. What could not be added is tried again until nothing more can,
    /// and so is what is pushed out by what comes later.
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

    fn offer<G: Ground>(&mut self, ground: &G, next: Waiting) {
        match self.pool.add_checked(ground, next.transaction.clone(), next.origin) {
            Ok(added) => {
                self.added_one = true;
                for txid in added.evicted {
                    let dropped = self.pool.dropped_reason(&txid);
                    if let (Some((transaction, _)), Some((origin, _))) = (dropped, self.known.get(&txid)) {
                        self.again.push(Waiting {
                            txid,
                            transaction: transaction.clone(),
                            origin: *origin,
                            refused: None,
                        });
                    }
                }
            }
            Err(error) if is_final(&error) => self.refuse(next.txid, next.transaction, next.origin, error),
            Err(error) => self.again.push(Waiting {
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
            self.pool.remember_dropped(txid, transaction, error.to_string());
            self.change.dropped.push((txid, error));
        }
    }

    /// Puts it in the place of the other pool.
    pub fn finish(mut self, pool: &mut Mempool) -> PoolChange {
        let left = core::mem::take(&mut self.again);
        for Waiting {
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

/// Whether nothing that is added to the pool changes it.
const fn is_final(error: &PoolError) -> bool {
    matches!(
        error,
        PoolError::AlreadyConfirmed(_)
            | PoolError::NoReward
            | PoolError::Ledger(LedgerError::WrongSequence { .. } | LedgerError::AlreadyClaimed { .. })
    )
}
