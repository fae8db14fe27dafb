//! This node's own payments: gathered and announced, followed until a neighbour has them, and when they are expected in a
//! block; and those that wait in the store alone.
//!
//! Promises: a new own payment takes no sequence that another one has, be it that it waits in the store alone; what no
//! neighbour has after some seconds is told.
//! Elsewhere: how they are signed (`commands`), the comparison of pools (`pools`).
//! Spec: `proto-notes/gossip.md`, "Messages"; `proto-notes/mempool.md`.

mod gather;
mod unheard;
mod waiting;

use crate::chain::state::Chain;
use crate::chain::{ChainStore, StoreError, Transaction};
use crate::pool::{Forecast, Mempool};
use crate::types::{Account, Height, Time, Txid};
use gather::Gather;
pub(crate) use unheard::Unheard;
pub(crate) use waiting::OwnWaiting;

/// Own payments that are offered to the pool at once, the oldest of them: the others wait in the store.
const OFFERED_MAX: usize = 20_000;

/// The own payments that are not in a block yet.
#[derive(Debug)]
pub(crate) struct OwnPayments {
    gather: Gather,
    unheard: Unheard,
    forecast: Forecast,
    waiting: OwnWaiting,
    /// Those that are in the store and not in the pool, but for the waiting ones; none if the store must be asked.
    outside: Option<Vec<Transaction>>,
    /// How many of the stored ones the pool is offered at once; tests lower it.
    pub(crate) offered_max: usize,
}

impl OwnPayments {
    /// No payment was made or read from the store yet.
    pub(crate) fn new(now: Time) -> Self {
        Self {
            gather: Gather::new(now),
            unheard: Unheard::new(),
            forecast: Forecast::default(),
            waiting: OwnWaiting::default(),
            outside: None,
            offered_max: OFFERED_MAX,
        }
    }

    /// One was made, or read from the store: it is followed until a neighbour has it. `state` is the one that the
    /// comparison of pools will have next.
    pub(crate) fn follow(&mut self, now: Time, txid: Txid, state: u64) {
        self.unheard.made(now, txid, state);
    }

    /// Announces a payment soon, together with those that follow it.
    pub(crate) fn announce(&mut self, txid: Txid, bytes: Vec<u8>) {
        self.gather.add(txid, bytes);
    }

    /// The messages that are due, of those that still wait in the pool.
    pub(crate) fn due(&mut self, now: Time, pool: &Mempool) -> Vec<Vec<u8>> {
        self.gather.take_due(now, |txid| pool.contains(txid))
    }

    /// All that is gathered, of those that still wait in the pool.
    pub(crate) fn all(&mut self, pool: &Mempool) -> Vec<Vec<u8>> {
        self.gather.take_all(|txid| pool.contains(txid))
    }

    /// Which own payments no neighbour is known to have.
    pub(crate) const fn unheard(&mut self) -> &mut Unheard {
        &mut self.unheard
    }

    /// Whether a neighbour has it; none while that is too early to say.
    pub(crate) fn is_known(&self, now: Time, txid: &Txid) -> Option<bool> {
        self.unheard.is_known(now, txid)
    }

    /// In which block one that was just added to the pool is expected.
    pub(crate) fn expected<S: ChainStore>(
        &mut self,
        chain: &Chain<S>,
        pool: &Mempool,
        transaction: &Transaction,
    ) -> Height {
        self.forecast.expected(chain, pool, transaction)
    }

    /// The first sequence of an account that neither the chain nor the pool nor one that waits in the store uses.
    pub(crate) fn next_sequence<S: ChainStore>(
        &self,
        chain: &Chain<S>,
        pool: &Mempool,
        account: &Account,
    ) -> Result<u64, StoreError> {
        let skip = |sequence| self.waiting.run_end(account, sequence);
        pool.next_sequence_beside(chain, account, skip)
    }

    /// Whether one that waits in the store uses the first sequence of an account, and so makes it this node's own.
    pub(crate) fn uses(&self, account: &Account) -> bool {
        self.waiting.run_end(account, 0).is_some()
    }

    /// Those of the store that are offered to the pool now. The others are remembered.
    pub(crate) fn choose_offered(&mut self, own: Vec<(u64, Transaction)>) -> Vec<Transaction> {
        let (offered, waiting) = OwnWaiting::split(own, self.offered_max);
        self.waiting = waiting;
        offered
    }

    /// These wait in the store alone from now on.
    pub(crate) fn set_waiting(&mut self, waiting: OwnWaiting) {
        self.waiting = waiting;
    }

    /// Those that are in the store and not in the pool, without a look into the store; none if only the store knows.
    pub(crate) fn outside(&self) -> Option<Vec<Transaction>> {
        // The pool may have room for one that waits in the store alone.
        self.outside.clone().filter(|_| self.waiting.count() == 0)
    }

    /// These were offered to the pool: those are outside of it that it does not hold now, and that wait for a block.
    pub(crate) fn set_outside(&mut self, offered: Vec<Transaction>, is_done: impl Fn(&Txid) -> bool) {
        let mut outside = offered;
        outside.retain(|transaction| !is_done(&transaction.txid()));
        self.outside = Some(outside);
    }

    /// Only the store knows which are outside of the pool.
    pub(crate) fn forget_outside(&mut self) {
        self.outside = None;
    }

    /// A half-sentence about those that the pool was not told of; empty if there are none.
    pub(crate) fn beyond(&self) -> String {
        match self.waiting.count() {
            0 => String::new(),
            beyond => format!("; {beyond} more of this node's own wait in its store until older ones are in a block"),
        }
    }

    /// When something is to be announced or told.
    pub(crate) fn next_wakeup(&self) -> Option<Time> {
        self.gather
            .next_wakeup()
            .into_iter()
            .chain(self.unheard.next_wakeup())
            .min()
    }
}
