//! What the comparison of pools is told, what it orders, and what it looks at.
//!
//! Elsewhere: the comparison (`pools`).

use crate::chain::Transaction;
use crate::pool::PoolError;
use crate::types::{PeerId, Time, Txid};

/// Transactions of one page of `GetPending`: half a megabyte at most.
pub(crate) const PAGE_MAX: usize = 1_024;
/// Transactions offered at once: a millisecond or two of signatures.
pub(super) const SLICE: usize = 64;
/// A page that takes longer than this does not keep others waiting. A LAN answers in milliseconds.
pub(super) const SLOW_MS: u64 = 1_000;

/// What the comparison is told.
#[derive(Debug)]
pub(crate) enum Fact {
    /// A peer said how many wait in its pool, and the digest.
    Status { peer: PeerId, count: u32, digest: u64 },
    /// The page of a peer's pool behind this id.
    Page {
        peer: PeerId,
        after: [u8; 32],
        list: Vec<Vec<u8>>,
    },
    /// That page did not come: it failed, took too long, or the peer is busy.
    NoPage { peer: PeerId, after: [u8; 32] },
    /// What became of an offer.
    Taken(Taken),
    /// A peer is gone.
    Gone { peer: PeerId },
    /// The tip is another: the pool may want what it refused.
    Tip,
}

/// What became of an offer.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) peer: PeerId,
    /// So many are in the pool that were not.
    pub(crate) gained: usize,
    /// What the pool refused; it may want it after others.
    pub(crate) refused: Vec<(Transaction, PoolError)>,
    /// One was against the rules for ever: nothing more of this run counts.
    pub(crate) forged: bool,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Order {
    /// Ask for the page behind this id.
    Ask { peer: PeerId, after: [u8; 32] },
    /// Add these to the pool, in this order; [`Fact::Taken`] is the answer.
    Offer { peer: PeerId, list: Vec<Transaction> },
    /// The pool refused these to the end: their signatures are still to be checked.
    Refuse {
        peer: PeerId,
        list: Vec<(Transaction, PoolError)>,
    },
    /// The peer could have known better.
    Blame { peer: PeerId, reason: &'static str },
    /// A neighbour holds this of the own pool.
    Known(HeldThere),
}

/// What a neighbour holds of the own pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeldThere {
    /// All that entered behind the first of these states of the pool, up to the second.
    Between(u64, u64),
    /// The transactions with these ids.
    These(Vec<Txid>),
}

/// What the comparison looks at and does not own.
pub(crate) struct PoolsView<'a> {
    /// Whether pages may be asked for at all now.
    pub(crate) is_open: bool,
    /// From when on a peer may be asked; none if enough is under way to it.
    pub(crate) free_at: &'a dyn Fn(&PeerId) -> Option<Time>,
}
