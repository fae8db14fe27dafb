//! Blocks that came by their short ids, until every transaction of theirs is at hand.
//!
//! Promises: one block waits for the next turn, at most [`ASKED_MAX`] for an answer, [`ASKED_OF_PEER_MAX`] of them from one
//! peer; a short id that two pooled transactions share, or that stands twice in a block, names none of them.
//! Elsewhere: the message (`wire::compact`), what is asked, checked and forwarded (`compacting`).
//! Spec: `proto-notes/gossip.md`, "Compact blocks".

use std::collections::BTreeMap;

use crate::chain::stages::Received;
use crate::chain::{Block, Transaction, TransactionError};
use crate::pool::Mempool;
use crate::types::{BlockHash, PeerId};
use crate::wire::CompactBlock;
use crate::wire::compact::{ShortId, ShortIds};

/// Blocks whose missing transactions were asked for, of all peers together.
const ASKED_MAX: usize = 4;
/// The same of one peer.
const ASKED_OF_PEER_MAX: usize = 2;

/// A block that is being put together.
#[derive(Clone, Debug)]
pub(crate) struct Assembly {
    received: Received,
    transactions: Vec<Option<Transaction>>,
}

/// What a short id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The transaction at this position, which was not found yet.
    Free(usize),
    /// The same, and it was found.
    Taken(usize),
    /// More than one: the sender is asked.
    Closed,
}

/// A block whose short ids were not looked for yet.
pub(crate) type Ready = (PeerId, Assembly, Vec<ShortId>);

/// What is done with compact blocks later than now.
#[derive(Debug, Default)]
pub(crate) struct Compacts {
    /// Its header has gone on; the turn in which that was.
    ready: Option<(usize, Ready)>,
    /// By hash, in the order of the hashes.
    asked: BTreeMap<BlockHash, (PeerId, Assembly)>,
}

impl Assembly {
    /// Begins with what the message itself holds.
    ///
    /// # Errors
    /// [`TransactionError`] if what it holds is no transaction.
    pub(crate) fn new(received: Received, compact: &CompactBlock) -> Result<Self, TransactionError> {
        let mut transactions = vec![None; compact.transactions()];
        for (position, bytes) in &compact.given {
            transactions[usize::from(*position)] = Some(Transaction::from_bytes(bytes)?);
        }
        Ok(Self { received, transactions })
    }

    /// Which block it is: the hash of its header.
    pub(crate) const fn hash(&self) -> BlockHash {
        self.received.hash()
    }

    /// Fills in what the pool holds.
    pub(crate) fn fill(&mut self, ids: &[ShortId], pool: &Mempool) {
        let key = ShortIds::of(&self.received.header().to_bytes());
        let waiting = pool.with_ids();
        self.fill_by(ids, waiting.map(|(txid, transaction)| (key.id(txid), transaction)));
    }

    fn fill_by<'a>(&mut self, ids: &[ShortId], waiting: impl Iterator<Item = (ShortId, &'a Transaction)>) {
        let named = self
            .missing()
            .zip(ids)
            .map(|(position, id)| (*id, Place::Free(position)));
        let mut places: Vec<(ShortId, Place)> = named.collect();
        places.sort_unstable_by_key(|(id, _)| *id);
        for at in 1..places.len() {
            if places[at].0 == places[at - 1].0 {
                (places[at].1, places[at - 1].1) = (Place::Closed, Place::Closed);
            }
        }
        let mut free = places.iter().filter(|(_, place)| *place != Place::Closed).count();
        for (id, transaction) in waiting {
            if free == 0 {
                return;
            }
            let Ok(at) = places.binary_search_by_key(&id, |(id, _)| *id) else {
                continue;
            };
            let place = &mut places[at].1;
            match *place {
                Place::Free(position) => {
                    self.transactions[position] = Some(transaction.clone());
                    *place = Place::Taken(position);
                    free -= 1;
                }
                Place::Taken(position) => {
                    self.transactions[position] = None;
                    *place = Place::Closed;
                }
                Place::Closed => {}
            }
        }
    }

    /// The positions of the transactions that are not at hand.
    pub(crate) fn missing(&self) -> impl Iterator<Item = usize> {
        let places = self.transactions.iter().enumerate();
        places.filter_map(|(position, place)| place.is_none().then_some(position))
    }

    /// Fills in what was asked for, in order.
    pub(crate) fn answer(&mut self, list: &[Vec<u8>]) {
        let missing: Vec<usize> = self.missing().collect();
        for (position, bytes) in missing.into_iter().zip(list) {
            self.transactions[position] = Transaction::from_bytes(bytes).ok();
        }
    }

    /// The block, once nothing is missing.
    pub(crate) fn finish(self) -> Option<(Received, Block)> {
        let block = Block {
            header: self.received.header().clone(),
            transactions: self.transactions.into_iter().collect::<Option<_>>()?,
        };
        Some((self.received, block))
    }
}

impl Compacts {
    /// Whether this block is being put together already.
    pub(crate) fn holds(&self, hash: &BlockHash) -> bool {
        self.asked.contains_key(hash)
    }

    /// Puts a block off until the turn after this one.
    pub(crate) fn put_off(&mut self, turn: usize, ready: Ready) {
        self.ready = Some((turn, ready));
    }

    /// Whether a block waits for its turn.
    pub(crate) const fn is_ready(&self) -> bool {
        self.ready.is_some()
    }

    /// The block that was put off in an earlier turn.
    pub(crate) fn take_ready(&mut self, turn: usize) -> Option<Ready> {
        let (_, ready) = self.ready.take_if(|(since, _)| *since != turn)?;
        Some(ready)
    }

    /// Whether this peer may be asked for a block's missing transactions.
    pub(crate) fn has_room(&self, peer: &PeerId) -> bool {
        let of_peer = self.asked.values().filter(|(sender, _)| sender == peer).count();
        self.asked.len() < ASKED_MAX && of_peer < ASKED_OF_PEER_MAX
    }

    /// Keeps a block whose missing transactions are asked for.
    pub(crate) fn keep(&mut self, sender: PeerId, assembly: Assembly) {
        self.asked.insert(assembly.hash(), (sender, assembly));
    }

    /// Hands a kept block back.
    pub(crate) fn end(&mut self, hash: &BlockHash) -> Option<(PeerId, Assembly)> {
        self.asked.remove(hash)
    }
}

#[cfg(test)]
mod tests;
