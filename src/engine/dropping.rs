//! Transactions that leave the pool or the chain, and own payments that join or leave the chain: who is told, and what
//! waits for them.
//!
//! Elsewhere: which are named and which counted (`parts::drops`).
//! Spec: `proto-notes/events.md`, "Events".

use std::collections::BTreeSet;

use super::machine::Engine;
use super::parts::drops::Told;
use super::parts::runs::Happened;
use crate::chain::{ChainStore, OwnMove, Switch, Transaction};
use crate::contract::{Direction, Event, OwnPayment, Source};
use crate::inspect::transactions::{accepted_event, dropped_event};
use crate::pool::Departed;
use crate::types::{Account, Txid};

impl<S: ChainStore> Engine<S> {
    /// Tells what left in this turn, and which own ones are back.
    pub(super) fn pump_drops(&mut self) {
        let now = self.clock.now();
        self.notices.drops.begin_turn();
        for departed in self.pool.take_dropped() {
            if departed.transaction.signer() == Some(self.node.me) {
                // It stays in the store, and is offered again with the next block.
                self.payments.own.forget_outside();
            }
            // What another way brought into the chain meanwhile is not lost.
            if matches!(self.chain.place(&departed.txid), Ok(Some(_))) {
                continue;
            }
            self.runs.handle(Happened::Dropped(&departed));
            let is_ours = self.concerns_us(&departed.transaction);
            self.notices.drops.handle(now, departed, is_ours);
        }
        while let Some(told) = self.notices.drops.poll(now) {
            self.out.event(match told {
                Told::One(departed) => dropped_event(&departed),
                Told::Many(count, by_code) => Event::TransactionsDropped { count, by_code },
            });
        }
    }

    /// After a change of the active chain: own transactions that were told as dropped may wait again, or be in a block.
    pub(super) fn check_dropped(&mut self) {
        let (pool, chain) = (&self.pool, &self.chain);
        let is_back = |txid: &Txid| pool.contains(txid) || matches!(chain.place(txid), Ok(Some(_)));
        for txid in self.notices.drops.take_back(is_back) {
            if let Some(transaction) = self.pool.get(&txid) {
                self.out.event(accepted_event(transaction, Source::Local));
            }
        }
    }

    /// Tells which payments to and from own accounts a switch confirmed, and which it took back.
    pub(super) fn tell_own_moves(&mut self, switch: &Switch) {
        let me = self.node.me;
        let facts = |moved: &OwnMove| OwnPayment {
            txid: moved.txid,
            from: moved.transfer.from.clone(),
            to: moved.transfer.to.clone(),
            amount: moved.transfer.amount.get(),
            direction: match moved.transfer.public_key == me {
                true => Direction::Out,
                false => Direction::In,
            },
            height: moved.height,
        };
        // What the new branch holds too is not taken back.
        let joined: BTreeSet<Txid> = switch.own.joined.iter().map(|moved| moved.txid).collect();
        for moved in switch.own.left.iter().filter(|moved| !joined.contains(&moved.txid)) {
            self.out.event(Event::PaymentUnconfirmed { payment: facts(moved) });
        }
        for moved in &switch.own.joined {
            self.out.event(Event::PaymentConfirmed { payment: facts(moved) });
        }
    }

    /// Whether a transaction was signed by this node, or pays to or from an account that is known to be its own.
    pub(super) fn concerns_us(&self, transaction: &Transaction) -> bool {
        let me = self.node.me;
        let is_mine = |account: &Account| match account {
            Account::Key(key) => *key == me,
            Account::Name(name) => self.node.config.name.as_ref() == Some(name),
        };
        let pays_us = match transaction {
            Transaction::Transfer(transfer) => transfer.to_owner == Some(me),
            Transaction::Claim(_) | Transaction::Reward(_) => false,
        };
        transaction.signer() == Some(me) || pays_us || transaction.accounts().any(|account| is_mine(&account))
    }

    /// The drop of a transaction, if that was the last thing that happened to it.
    pub(super) fn departed(&self, txid: &Txid) -> Option<Departed> {
        if self.pool.contains(txid) || !matches!(self.chain.place(txid), Ok(None)) {
            return None;
        }
        let (transaction, reason) = self.pool.dropped_reason(txid)?;
        Some(Departed {
            txid: *txid,
            transaction: transaction.clone(),
            reason: reason.clone(),
        })
    }
}
