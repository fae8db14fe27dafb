//! What joins pools: facts for the comparison, its orders, and own payments: kept over a restart and announced.
//!
//! Promises: what a neighbour's pool holds is added in slices, as a turn has effort left; own payments are announced behind
//! their commit, and what is gathered leaves before the node stops or falls silent.
//! Elsewhere: whose pool is read when (`pools`), what nobody heard of (`own`).
//! Spec: `proto-notes/sync.md`, "Pools"; `proto-notes/gossip.md`, "Messages".

use super::gossip::Addition;
use super::io::{NetOrder, Verdict};
use super::machine::{Engine, Question};
use super::parts::links::{Links, Peer};
use super::parts::pools::{Fact, Order, PoolsView, Taken};
use super::parts::requests::Requests;
use super::parts::sync::Syncs;
use crate::chain::state::Chain;
use crate::chain::{ChainStore, StoreError, Transaction};
use crate::pool::{Origin, PoolError};
use crate::types::{BlockHash, PeerId, Time, Work};
use crate::wire::{Request, Topic};

/// A page of the pool that does not come in this time is asked for again, unless the link is known to be slower.
const PAGE_TIMEOUT_MS: u64 = 15_000;
/// A page of ordinary payments.
const PAGE_BYTES: u64 = 256 * 1_024;

/// Where this node stands, and who stands there too.
struct PoolingView<'a, S> {
    chain: &'a Chain<S>,
    sync: &'a Syncs,
    links: &'a Links,
    requests: &'a Requests,
}

/// The place of an engine, while another part of it is changed.
macro_rules! place {
    ($engine:expr) => {
        PoolingView {
            chain: &$engine.chain,
            sync: &$engine.sync,
            links: &$engine.peers.links,
            requests: &$engine.peers.requests,
        }
    };
}

impl<S: ChainStore> PoolingView<'_, S> {
    /// From when on a peer may be asked for a page.
    fn page_due(&self, peer: &PeerId) -> Option<Time> {
        let known = self.links.get(peer)?;
        // A page that is late counts until the network ends it, like every request.
        let free_at = self.requests.link(peer)?.free_at()?;
        self.is_shared_by(peer, known).then_some(free_at)
    }

    /// Whether a peer's pool is one for this node's tip: while a candidate is followed, whoever has more work holds what
    /// this pool takes after that. Others are compared with all the time, however slow the candidate's source is.
    fn is_shared_by(&self, id: &PeerId, peer: &Peer) -> bool {
        let is_ahead = || {
            peer.status.as_ref().is_none_or(|status| {
                let (tip, work) = (BlockHash::new(status.tip), Work::from_be_bytes(status.work));
                self.chain.is_better(work, &tip) || self.sync.follows(id)
            })
        };
        self.sync.is_idle() || !is_ahead()
    }
}

impl<S: ChainStore> Engine<S> {
    /// Tells the comparison of pools a fact.
    pub(super) fn tell_pools(&mut self, fact: Fact) {
        self.payments.pools.handle(self.clock.now(), &self.pool, fact);
    }

    /// Carries out what the comparison orders: slices while the turn has effort left, and at least one.
    pub(super) fn pump_pools(&mut self) {
        self.payments.pools.look_at(self.clock.now(), &self.pool);
        while let Some(order) = self.next_pool_order() {
            match order {
                Order::Ask { peer, after } => {
                    let request = Request::GetPending { after };
                    let link = self.peers.requests.link(&peer);
                    let patience = link.map_or(0, |link| link.pace().patience_for_bytes(PAGE_BYTES));
                    let patience = patience.max(PAGE_TIMEOUT_MS);
                    self.ask(peer, Question::Pending(after), request, Some(patience));
                }
                Order::Offer { peer, list } => {
                    self.offer_slice(peer, list);
                    if !self.effort.is_left() {
                        return;
                    }
                }
                Order::Refuse { peer, list } => {
                    self.refuse_slice(peer, &list);
                    if !self.effort.is_left() {
                        return;
                    }
                }
                Order::Blame { peer, reason } => self.punish(peer, super::parts::standing::Fault::Mid, reason),
                Order::Known(known) => self.payments.own.unheard().heard(&known),
            }
        }
    }

    /// When the comparison has something to do.
    pub(super) fn pools_wakeup(&self) -> Option<Time> {
        let place = place!(self);
        let around = PoolsView {
            is_open: self.may_compare(),
            free_at: &|peer| place.page_due(peer),
        };
        self.payments.pools.next_wakeup(self.clock.now(), &around)
    }

    fn next_pool_order(&mut self) -> Option<Order> {
        let is_open = self.may_compare();
        let place = place!(self);
        let around = PoolsView {
            is_open,
            free_at: &|peer| place.page_due(peer),
        };
        self.payments.pools.poll(self.clock.now(), &around)
    }

    /// Whether pools may be compared at all.
    const fn may_compare(&self) -> bool {
        self.mode.net && self.takes_blocks() && !self.mode.stopping
    }

    /// A page of a peer's pool came.
    pub(super) fn on_pool_page(&mut self, peer: PeerId, after: [u8; 32], list: Vec<Vec<u8>>) {
        if let Some(link) = self.peers.requests.link_mut(&peer) {
            link.delivered();
        }
        self.tell_pools(Fact::Page { peer, after, list });
    }

    fn offer_slice(&mut self, peer: PeerId, list: Vec<Transaction>) {
        self.effort.transactions(list.len(), 0);
        let mut taken = Taken {
            peer,
            gained: 0,
            refused: Vec::new(),
            forged: false,
        };
        for transaction in list {
            match self.add_transaction(peer, transaction) {
                Addition::Taken => taken.gained += 1,
                Addition::Known => {}
                Addition::Refused(transaction, error) => taken.refused.push((*transaction, error)),
                Addition::Forged => {
                    taken.forged = true;
                    break;
                }
            }
        }
        self.tell_pools(Fact::Taken(taken));
    }

    fn refuse_slice(&mut self, peer: PeerId, list: &[(Transaction, PoolError)]) {
        self.effort.transactions(list.len(), 0);
        let refuse = |(transaction, error): &(Transaction, PoolError)| {
            self.refuse_transaction(peer, transaction, error) == Verdict::Reject
        };
        let forged = list.iter().any(refuse);
        let taken = Taken {
            peer,
            gained: 0,
            refused: Vec::new(),
            forged,
        };
        self.tell_pools(Fact::Taken(taken));
    }

    /// Announces an own transaction soon. Others come by gossip itself, or by the comparison of pools.
    pub(super) fn publish_transaction(&mut self, transaction: &Transaction) {
        let txid = transaction.txid();
        self.payments
            .own
            .follow(self.clock.now(), txid, self.payments.pools.next_state());
        self.payments.own.announce(txid, transaction.to_bytes());
    }

    /// Announces what was gathered, when it is time; all of it when the node stops.
    pub(super) fn publish_gathered(&mut self) {
        let messages = if self.mode.stopping {
            self.payments.own.all(&self.pool)
        } else {
            self.payments.own.due(self.clock.now(), &self.pool)
        };
        for bytes in messages {
            let topic = Topic::Transactions;
            self.out.announce(NetOrder::Publish { topic, bytes });
        }
    }

    /// Announces what was gathered before the cable is pulled. Earlier turns have handed it to the disk.
    pub(super) fn publish_before_silence(&mut self) {
        for bytes in self.payments.own.all(&self.pool) {
            let topic = Topic::Transactions;
            self.out.order(NetOrder::Publish { topic, bytes });
        }
    }

    /// Puts the own unconfirmed transactions (and after a reload all others that still fit) into a fresh pool.
    pub(super) fn restore_own(&mut self) -> Result<(), StoreError> {
        let own = self.chain.own()?;
        // Nothing else checks them again: what waits in the pool counts as checked when it comes in a block.
        let signed = self.chain.rules().check_signatures(own.iter().map(|(_, own)| own));
        if let Err((transaction, error)) = signed {
            let reason = format!("own transaction {}: {error}", transaction.txid());
            return Err(StoreError::Damaged(reason));
        }
        let before = core::mem::take(&mut self.pool);
        let others: Vec<_> = before.all().cloned().collect();
        self.pool.set_clock(self.clock.own());
        let mut confirmed = Vec::new();
        let offered = self.payments.own.choose_offered(own);
        for transaction in &offered {
            let txid = transaction.txid();
            match self.pool.add_checked(&self.chain, transaction.clone(), Origin::Own) {
                Ok(_) => self
                    .payments
                    .own
                    .follow(self.clock.now(), txid, self.payments.pools.next_state()),
                // A long switch that a crash ended wrote it down before its block had left.
                Err(PoolError::AlreadyConfirmed(_)) => confirmed.push(txid),
                // What does not fit now may fit after a sync: it stays in the store.
                Err(_) => {}
            }
        }
        if !confirmed.is_empty() && !self.mode.read_only {
            self.chain.forget_own(&confirmed);
        }
        // An own payment that is not in the store was refused when the disk failed: its user may type it again.
        let mut strangers = others;
        strangers.retain(|transaction| transaction.signer() != Some(self.node.me));
        for transaction in strangers {
            let _ = self.pool.add_checked(&self.chain, transaction, Origin::Returned);
        }
        let pool = &self.pool;
        self.payments
            .own
            .set_outside(offered, |txid| pool.contains(txid) || confirmed.contains(txid));
        self.pool.keep_first_seen(&before);
        Ok(())
    }

    /// Own payments that no neighbour has after some seconds: the user hears of it.
    pub(super) fn check_unheard(&mut self) {
        let place = place!(self);
        let listens = |(id, peer): (&PeerId, &Peer)| place.is_shared_by(id, peer);
        let is_listening = self.may_compare() && self.peers.links.known().any(listens);
        self.payments.own.unheard().listen(self.clock.now(), is_listening);
        let pool = &self.pool;
        let Some(late) = self
            .payments
            .own
            .unheard()
            .overdue(self.clock.now(), |txid| pool.contains(txid))
        else {
            return;
        };
        let what = match late {
            1 => "a transaction of this node was announced 5 s ago, and no neighbour has it yet, or all refuse it; it is \
                  offered again by itself"
                .to_owned(),
            late => format!(
                "{late} transactions of this node were announced 5 s ago, and no neighbour has them yet, or all refuse them; \
                 they are offered again by themselves"
            ),
        };
        self.out
            .warn("unheard", format!("{what}; `peers` shows who is connected"));
    }
}
