//! Gossip: what is done with the blocks and transactions that neighbours forward.
//!
//! Promises: each message gets one verdict, which leaves before the commit that it leads to; nobody is punished for a policy
//! difference.
//! Elsewhere: how a block is judged by its header (`relay`), the comparison of pools (`pools`, `pooling`).
//! Spec: `proto-notes/gossip.md`.

use super::io::{NetOrder, Verdict};
use super::machine::Engine;
use super::parts::effort::Effort;
use super::parts::offer::Offer;
use super::parts::relay::{self, BrokenRule, HeaderVerdict};
use super::parts::standing::{Fault, Kind};
use crate::chain::stages::{Body, Linked};
use crate::chain::{ChainStore, Transaction, TransactionError};
use crate::contract::{Event, Source};
use crate::inspect::transactions;
use crate::pool::{Origin, PoolError};
use crate::types::{PeerId, Txid, count};
use crate::wire::Topic;
use crate::wire::message::decode_transactions;

/// What became of a stranger's transaction.
pub(super) enum Addition {
    /// The pool holds it now.
    Taken,
    /// It was there, or confirmed, or nothing is taken now.
    Known,
    /// Against the rules for ever; whoever sent it is blamed.
    Forged,
    /// The pool does not want it now. Its signature may still be wrong.
    Refused(Box<Transaction>, PoolError),
}

impl<S: ChainStore> Engine<S> {
    pub(super) fn on_gossip(&mut self, token: u64, peer: PeerId, topic: Topic, bytes: &[u8]) {
        let verdict = match topic {
            Topic::Blocks => self.on_gossiped_block(peer, bytes),
            Topic::Transactions => self.on_gossiped_transactions(peer, bytes),
        };
        self.out.order(NetOrder::Verdict { token, verdict });
    }

    /// Whether a peer may tell so much now. No points if not: an honest neighbour passes on what others flood.
    fn may_gossip(&mut self, peer: PeerId, kind: Kind, count: u64) -> bool {
        self.peers.standing.allows(self.clock.now(), &peer, kind, count)
    }

    fn on_gossiped_block(&mut self, peer: PeerId, bytes: &[u8]) -> Verdict {
        if !self.takes_blocks() || !self.may_gossip(peer, Kind::GossipBlock, 1) {
            return Verdict::Ignore;
        }
        match relay::judge(&self.chain, self.clock(), bytes) {
            HeaderVerdict::Fits(linked) => self.take_gossiped(peer, linked, bytes),
            HeaderVerdict::Ignored => Verdict::Ignore,
            HeaderVerdict::Orphan => {
                self.sync.sources.hinted(&peer);
                Verdict::Ignore
            }
            HeaderVerdict::Early(ahead_ms) => {
                self.relay.hold(self.clock.now(), ahead_ms, peer, bytes);
                Verdict::Ignore
            }
            HeaderVerdict::KnownInvalid => self.blame(peer, "a block that is known to be invalid"),
            HeaderVerdict::BrokenRule(wrong) => self.reject_gossip(peer, wrong),
        }
    }

    /// Reads the body of a block that fits, and offers it to the chain.
    fn take_gossiped(&mut self, peer: PeerId, linked: Linked, bytes: &[u8]) -> Verdict {
        let (hash, height, previous) = (linked.hash(), linked.header().height, linked.header().previous);
        if !self.chain.is_better(linked.work(), &hash) && !self.may_cost(peer, bytes.len()) {
            // Should its branch win, sync brings it.
            return Verdict::Ignore;
        }
        let body = match Body::read(bytes.to_vec()) {
            Ok(body) => body,
            Err(error) => {
                let wrong = BrokenRule {
                    hash: Some(hash),
                    height: Some(height),
                    code: error.code(),
                    reason: error.to_string(),
                };
                return self.reject_gossip(peer, wrong);
            }
        };
        self.effort.block(body.transactions(), body.size());
        let on_tip = previous == self.chain.tip().hash;
        match self.take_block(linked, body.into(), Source::Peer(peer)) {
            Offer::Taken if self.chain.tip().hash == hash => Verdict::Accept,
            // Kept aside: no ledger has seen it. Who stands on its parent would refuse it, and blame whoever sent it.
            Offer::Taken => Verdict::Ignore,
            Offer::Known | Offer::NotNow(_) => Verdict::Ignore,
            Offer::WrongBody(reason) | Offer::Invalid(reason) => self.blame(peer, &reason),
            Offer::Ledger(reason) if on_tip => self.blame(peer, &reason),
            // On another branch an honest neighbour may hold it aside without having run the ledger.
            Offer::Ledger(reason) => {
                self.punish(peer, Fault::Limit, &reason);
                Verdict::Ignore
            }
        }
    }

    /// Whether a block that helps nobody now may be checked for this peer's address.
    fn may_cost(&mut self, peer: PeerId, bytes: usize) -> bool {
        if self.peers.links.get(&peer).is_none() {
            return false;
        }
        let voice = self.voice_of(&peer);
        self.peers
            .standing
            .may_cost(self.clock.now(), voice, Effort::price(bytes))
    }

    /// The sender must have seen it itself.
    fn blame(&mut self, peer: PeerId, reason: &str) -> Verdict {
        self.punish(peer, Fault::Fatal, reason);
        Verdict::Reject
    }

    fn reject_gossip(&mut self, peer: PeerId, wrong: BrokenRule) -> Verdict {
        self.punish(peer, Fault::Fatal, &wrong.reason);
        self.reject_block(wrong.hash, wrong.height, wrong.code, wrong.reason, Source::Peer(peer));
        Verdict::Reject
    }

    /// Blocks whose time has come.
    pub(super) fn retry_early(&mut self) {
        for (peer, bytes) in self.relay.due(self.clock.now()) {
            if self.on_gossiped_block(peer, &bytes) == Verdict::Accept {
                self.out.announce(NetOrder::Publish {
                    topic: Topic::Blocks,
                    bytes,
                });
            }
        }
    }

    fn on_gossiped_transactions(&mut self, peer: PeerId, bytes: &[u8]) -> Verdict {
        let list = match decode_transactions(bytes) {
            Ok(list) => list,
            Err(error) => {
                self.punish(peer, Fault::Mid, &error.to_string());
                return Verdict::Reject;
            }
        };
        if !self.may_gossip(peer, Kind::GossipTx, count(list.len())) {
            return Verdict::Ignore;
        }
        self.effort.transactions(list.len(), bytes.len());
        let mut verdict = Verdict::Ignore;
        for bytes in &list {
            match self.take_transaction(peer, bytes) {
                Verdict::Accept => verdict = Verdict::Accept,
                Verdict::Ignore => {}
                Verdict::Reject => return Verdict::Reject,
            }
        }
        verdict
    }

    /// A stranger's transaction, by gossip.
    fn take_transaction(&mut self, peer: PeerId, bytes: &[u8]) -> Verdict {
        let transaction = match Transaction::from_bytes(bytes) {
            Ok(transaction) => transaction,
            Err(error) => {
                self.punish(peer, Fault::Mid, &error.to_string());
                self.reject_transaction(peer, None, error.code(), error.to_string());
                return Verdict::Reject;
            }
        };
        match self.add_transaction(peer, transaction) {
            Addition::Taken => Verdict::Accept,
            Addition::Known => Verdict::Ignore,
            Addition::Forged => Verdict::Reject,
            Addition::Refused(transaction, error) => self.refuse_transaction(peer, &transaction, &error),
        }
    }

    /// Adds a stranger's transaction to the pool, if the pool wants it.
    pub(super) fn add_transaction(&mut self, peer: PeerId, transaction: Transaction) -> Addition {
        if matches!(transaction, Transaction::Reward(_)) {
            let error = PoolError::NoReward;
            self.blame_transaction(peer, None, error.code(), &error.to_string());
            return Addition::Forged;
        }
        let txid = transaction.txid();
        if self.pool.contains(&txid) {
            self.payments.own.unheard().heard_of(&txid);
            return Addition::Known;
        }
        if self.mode.read_only || !matches!(self.chain.place(&txid), Ok(None)) {
            return Addition::Known;
        }
        let origin = Origin::Peer(self.voice_of(&peer));
        let added = match self.relay.signature(&txid) {
            Some(true) => self.pool.add_checked(&self.chain, transaction.clone(), origin),
            Some(false) => Err(PoolError::Transaction(TransactionError::BadSignature)),
            None => self.pool.add(&self.chain, transaction.clone(), origin),
        };
        match added {
            Ok(_) => {
                self.relay.note_signature(txid, true);
                self.notices.drops.came_back(&txid);
                self.out
                    .event(transactions::accepted_event(&transaction, Source::Peer(peer)));
                self.peers.links.changed();
                Addition::Taken
            }
            Err(PoolError::AlreadyPending | PoolError::AlreadyConfirmed(_)) => Addition::Known,
            Err(error) if is_fault(&error) => {
                if error == PoolError::Transaction(TransactionError::BadSignature) {
                    self.relay.note_signature(txid, false);
                }
                self.blame_transaction(peer, Some(txid), error.code(), &error.to_string());
                Addition::Forged
            }
            Err(error) => Addition::Refused(Box::new(transaction), error),
        }
    }

    /// The pool may refuse before it looks at the signature. Another pool would not, and blame who forwarded it.
    pub(super) fn refuse_transaction(&mut self, peer: PeerId, transaction: &Transaction, error: &PoolError) -> Verdict {
        let txid = transaction.txid();
        if self.relay.check_signature(transaction, &self.chain.network_id()) {
            self.reject_transaction(peer, Some(txid), error.code(), error.to_string());
            Verdict::Ignore
        } else {
            let error = TransactionError::BadSignature;
            self.blame_transaction(peer, Some(txid), error.code(), &error.to_string())
        }
    }

    /// Whoever sent this could have known better.
    fn blame_transaction(&mut self, peer: PeerId, txid: Option<Txid>, code: &'static str, reason: &str) -> Verdict {
        self.reject_transaction(peer, txid, code, reason.to_owned());
        self.punish(peer, Fault::Mid, reason);
        Verdict::Reject
    }

    fn reject_transaction(&mut self, peer: PeerId, txid: Option<Txid>, code: &'static str, message: String) {
        self.out.event(Event::TransactionRejected {
            txid,
            code,
            message,
            source: Source::Peer(peer),
        });
    }
}

/// What the sender must have seen itself; all else depends on the state of the ledger or the pool.
const fn is_fault(error: &PoolError) -> bool {
    matches!(error, PoolError::Transaction(_) | PoolError::NoReward)
}
