//! Gossip: what is done with the transactions that neighbours forward.
//!
//! Promises: each message gets one verdict, which leaves before the commit that it leads to; nobody is punished for a policy
//! difference.
//! Elsewhere: blocks (`compacting`), the comparison of pools (`pools`, `pooling`).
//! Spec: `proto-notes/gossip.md`.

use super::compacting::When;
use super::io::{NetOrder, Verdict};
use super::machine::Engine;
use super::parts::standing::{Fault, Kind};
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
            Topic::Blocks => self.on_gossiped_block(peer, bytes, When::Now),
            Topic::Transactions => self.on_gossiped_transactions(peer, bytes),
        };
        self.out.order(NetOrder::Verdict { token, verdict });
    }

    /// Whether a peer may tell so much now. No points if not: an honest neighbour passes on what others flood.
    pub(super) fn may_gossip(&mut self, peer: PeerId, kind: Kind, count: u64) -> bool {
        self.peers.standing.allows(self.clock.now(), &peer, kind, count)
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
