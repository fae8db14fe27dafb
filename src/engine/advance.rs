//! What changes the chain: every block, whoever brought it, takes this way.
//!
//! Promises: every block that enters or leaves the active chain has its event; the loser's transactions return to the
//! pool and are counted.

use super::machine::Engine;
use super::parts::offer::Offer;
use super::parts::own::OwnWaiting;
use super::parts::pools::Fact;
use super::parts::runs::Happened;
use super::parts::standing::Fault;
use crate::chain::stages::{Body, Candidate, Linked, Received};
use crate::chain::state::{AcceptError, Accepted};
use crate::chain::{BlockError, ChainStore, HeaderError, LongStep, StoreError, Switch, Verdict};
use crate::contract::{Dropped, Event, Source};
use crate::inspect::blocks::block_facts;
use crate::pool::{PoolChange, PoolError, Rebuild};
use crate::types::{BlockHash, Height, Time, Txid, count};

/// A reorganisation of this depth deserves a warning: payments with six confirmations were undone.
const DEEP_REORG: u64 = 6;

/// Transactions that `reorganized` lists of each kind.
const LISTED_MAX: usize = 1_000;

/// Transactions that are checked in a turn for the pool of the tip that a long switch leads to.
const POOL_SLICE: usize = 1_000;

/// Between two steps of a long switch: others must not wait for many of them.
const STEP_PAUSE_MS: u64 = 5;

/// The body of a block that is offered.
pub(super) enum Checkable {
    /// It is still to be checked.
    Body(Body),
    /// It was checked beside the engine.
    Verdict(Verdict),
}

impl From<Body> for Checkable {
    fn from(body: Body) -> Self {
        Self::Body(body)
    }
}

impl<S: ChainStore> Engine<S> {
    /// Offers a block to the chain and tells what came of it.
    pub(super) fn offer(&mut self, received: Received, body: Checkable, source: Source) -> Offer {
        if let Some(refusal) = self.refusal_of_blocks(source) {
            return refusal;
        }
        let (hash, height) = (received.hash(), received.header().height);
        match self.chain.link(received, self.clock()) {
            Ok(Some(linked)) => self.take_block(linked, body, source),
            Ok(None) => Offer::Known,
            Err(error) => self.refused(hash, Some(height), &error, source),
        }
    }

    /// Why no block is taken from there now.
    fn refusal_of_blocks(&self, source: Source) -> Option<Offer> {
        if self.mode.read_only {
            return Some(Offer::NotNow("read_only"));
        }
        if source != Source::Local && !self.takes_blocks() {
            return Some(Offer::NotNow("disk_low"));
        }
        None
    }

    /// The same for a block whose header was found to fit.
    pub(super) fn take_block(&mut self, linked: Linked, body: Checkable, source: Source) -> Offer {
        if let Some(refusal) = self.refusal_of_blocks(source) {
            return refusal;
        }
        let (hash, height) = (linked.hash(), linked.header().height);
        match self.check(linked, body) {
            Ok(candidate) => self.take_candidate(candidate, source),
            Err(error) => self.refused(hash, Some(height), &error, source),
        }
    }

    /// The checks of a body, but for signatures that were checked before.
    pub(super) fn check(&mut self, linked: Linked, body: Checkable) -> Result<Candidate, AcceptError> {
        // All that waits in the pool was checked when it came. An id covers the signature, so it is this very one.
        let (pool, relay) = (&self.pool, &self.relay);
        let known = |txid: &Txid| pool.contains(txid) || relay.signature(txid) == Some(true);
        match body {
            Checkable::Body(body) => self.chain.check_body_but(linked, body, &known),
            Checkable::Verdict(verdict) => self.chain.judge(linked, verdict),
        }
    }

    /// Offers a checked block to the chain.
    pub(super) fn take_candidate(&mut self, candidate: Candidate, source: Source) -> Offer {
        let (hash, height) = (candidate.hash(), candidate.height());
        let moved = candidate.moved(self.chain.params());
        match self.chain.take(candidate) {
            Ok(Accepted::AlreadyKnown) => Offer::Known,
            Ok(Accepted::Stored { .. }) => {
                if source == Source::Local {
                    self.out.made_own();
                }
                self.out.event(Event::BlockStored {
                    block: block_facts(&moved),
                    source,
                });
                if self.chain.is_switching() {
                    self.storage.switch_source.get_or_insert(source);
                }
                Offer::Taken
            }
            Ok(Accepted::Switched(switch)) => {
                // Told to nobody before the disk has it: where the disk fails, the tip goes back to what was there before, and whoever
                // had heard of the new one would take this node for a liar.
                self.out.made_own();
                self.switched(&switch, source);
                Offer::Taken
            }
            Err(error) => self.refused(hash, Some(height), &error, source),
        }
    }

    /// When a long switch goes on. While nothing can be written it waits for what ends that.
    pub(super) fn switch_wakeup(&self) -> Option<Time> {
        self.storage
            .switch_due
            .filter(|_| self.takes_blocks() && !self.mode.stopping)
    }

    /// A step of a long switch, if one is due. In between everything else has its turn.
    pub(super) fn pump_switch(&mut self) {
        if !self.takes_blocks()
            || self.mode.stopping
            || self.storage.switch_due.is_some_and(|due| due > self.clock.now())
        {
            return;
        }
        self.storage.switch_due = None;
        match self.prepare_pool() {
            Ok(true) => {}
            Ok(false) => {
                self.storage.switch_due = Some(self.after(STEP_PAUSE_MS));
                return;
            }
            Err(error) => return self.fail_store(&error.to_string()),
        }
        match self.chain.step_switch() {
            Ok(LongStep::Idle | LongStep::Waiting) => {}
            Ok(LongStep::Working) => self.storage.switch_due = Some(self.after(STEP_PAUSE_MS)),
            Ok(LongStep::Done(switch)) => {
                // After a restart nobody knows who brought it.
                let source = self.storage.switch_source.take().unwrap_or(Source::Local);
                self.out.made_own();
                self.switched(&switch, source);
                // There may be a better one by now.
                self.storage.switch_due = Some(self.after(STEP_PAUSE_MS));
            }
            Err(error) => self.switch_failed(&error),
        }
    }

    /// Before the last step of a long switch the pool is made that belongs to the new tip, a slice in a turn.
    fn prepare_pool(&mut self) -> Result<bool, StoreError> {
        let Some(destination) = self.chain.destination() else {
            self.storage.prepared = None;
            return Ok(true);
        };
        let Some((mut rebuild, waiting)) = self.storage.prepared.take() else {
            let (own, waiting) = OwnWaiting::split(destination.own()?, self.payments.own.offered_max);
            let rebuild = Rebuild::new(&self.pool, destination.undone().iter(), &own);
            self.storage.prepared = Some((rebuild, waiting));
            return Ok(false);
        };
        rebuild.follow(&self.pool);
        let is_done = rebuild.step(&destination, POOL_SLICE);
        self.storage.prepared = Some((rebuild, waiting));
        Ok(is_done)
    }

    /// A long switch ended in a block that breaks a rule, or the store failed: the active branch is as it was.
    fn switch_failed(&mut self, error: &AcceptError) {
        let source = self.storage.switch_source.take().unwrap_or(Source::Local);
        match error {
            AcceptError::Ledger { block, .. } => {
                self.refused(*block, None, error, source);
                self.end_syncs();
                // An honest neighbour may hold it aside without having run the ledger.
                if let Source::Peer(peer) = source {
                    self.punish(peer, Fault::Limit, &error.to_string());
                }
            }
            AcceptError::Header(_)
            | AcceptError::Block(_)
            | AcceptError::UnknownParent { .. }
            | AcceptError::KnownInvalid(_)
            | AcceptError::LowWork { .. }
            | AcceptError::Store(_) => self.fail_store(&error.to_string()),
        }
    }

    /// The pool follows the active chain.
    fn follow_switch(&mut self, switch: &Switch) -> Result<PoolChange, StoreError> {
        let change = match self.storage.prepared.take() {
            Some((prepared, waiting)) => {
                self.payments.own.set_waiting(waiting);
                self.payments.own.forget_outside();
                prepared.finish(&mut self.pool)
            }
            None => {
                let own = match self.payments.own.outside() {
                    // What left with its blocks is in the store again.
                    Some(outside) if switch.disconnected.is_empty() => outside,
                    Some(_) | None => self.payments.own.choose_offered(self.chain.own()?),
                };
                let change = self.pool.on_switch(&self.chain, switch, &own);
                let (pool, confirmed) = (&self.pool, &change.confirmed);
                self.payments
                    .own
                    .set_outside(own, |txid| pool.contains(txid) || confirmed.contains(txid));
                change
            }
        };
        if !change.confirmed.is_empty() {
            self.chain.forget_own(&change.confirmed);
        }
        Ok(change)
    }

    pub(super) fn refused(
        &mut self,
        hash: BlockHash,
        height: Option<Height>,
        error: &AcceptError,
        source: Source,
    ) -> Offer {
        let offer = match error {
            AcceptError::Store(error) => {
                let reason = error.to_string();
                self.fail_store(&reason);
                return Offer::NotNow("store");
            }
            AcceptError::Header(HeaderError::TimeTooNew { .. }) => return Offer::NotNow("time_too_new"),
            AcceptError::UnknownParent { .. } => return Offer::NotNow("unknown_parent"),
            AcceptError::Block(BlockError::BadMerkleRoot { .. } | BlockError::Layout(_)) => {
                Offer::WrongBody(error.to_string())
            }
            AcceptError::Ledger { .. } => Offer::Ledger(error.to_string()),
            AcceptError::Header(_) | AcceptError::Block(_) | AcceptError::KnownInvalid(_) => {
                Offer::Invalid(error.to_string())
            }

            AcceptError::LowWork { .. } => return Offer::NotNow("low_work"),
        };
        self.reject_block(Some(hash), height, error.code(), error.to_string(), source);
        offer
    }

    pub(super) fn reject_block(
        &mut self,
        hash: Option<BlockHash>,
        height: Option<Height>,
        code: &'static str,
        message: String,
        source: Source,
    ) {
        self.out.event(Event::BlockRejected {
            hash,
            height,
            code,
            message,
            source,
        });
    }

    /// The first of those that a switch dropped, the ones that concern this node before the others.
    fn listed(&self, dropped: &[(Txid, PoolError)]) -> Vec<Dropped> {
        let is_ours = |txid: &Txid| {
            let departed = self.pool.dropped_reason(txid);
            departed.is_some_and(|(transaction, _)| self.concerns_us(transaction))
        };
        let (ours, others): (Vec<_>, Vec<_>) = dropped.iter().partition(|(txid, _)| is_ours(txid));
        let all = ours.into_iter().chain(others).take(LISTED_MAX);
        all.map(|(txid, error)| Dropped {
            txid: *txid,
            code: error.code(),
            message: error.to_string(),
        })
        .collect()
    }

    /// The active chain moved.
    pub(super) fn switched(&mut self, switch: &Switch, source: Source) {
        for block in &switch.disconnected {
            self.out.event(Event::BlockDisconnected {
                block: block_facts(block),
            });
        }
        for block in &switch.connected {
            self.out.event(Event::BlockConnected {
                block: block_facts(block),
                transactions: block.transactions,
                source,
            });
        }
        let change = match self.follow_switch(switch) {
            Ok(change) => change,
            Err(error) => return self.fail_store(&error.to_string()),
        };
        if !switch.disconnected.is_empty() {
            let depth = count(switch.disconnected.len());
            self.out.event(Event::Reorganized {
                depth,
                fork_height: switch.fork,
                old_tip: switch.old_tip,
                new_tip: switch.new_tip,
                returned: change.returned.iter().take(LISTED_MAX).copied().collect(),
                returned_count: count(change.returned.len()),
                dropped: self.listed(&change.dropped),
                dropped_count: count(change.dropped.len().saturating_add(switch.undone.beyond())),
            });
            let beyond = count(switch.undone.beyond());
            let now = self.clock.now();
            self.notices.drops.count(now, PoolError::PoolFull.code(), beyond);
            if depth >= DEEP_REORG {
                self.out.warn(
                    "deep_reorganization",
                    format!(
                        "{depth} blocks were replaced: {} transactions returned to the pool, {} were dropped{}",
                        change.returned.len(),
                        change.dropped.len().saturating_add(switch.undone.beyond()),
                        self.payments.own.beyond()
                    ),
                );
            }
        }
        self.tell_own_moves(switch);
        if source != Source::Local {
            self.runs.handle(Happened::Replaced);
        }
        self.check_dropped();
        self.tip_moved();
        self.tell_pools(Fact::Tip);
        let pool = &self.pool;
        self.payments.own.unheard().prune(|txid| pool.contains(txid));
        self.peers.links.changed();
        self.check_name();
        self.check_peer_names();
    }
}
