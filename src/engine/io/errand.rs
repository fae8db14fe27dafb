//! Work for a command that somebody else does, and what came of it.

use crate::contract::{CommandError, Reply, Surroundings};
use crate::inspect::query::Query;

/// Work for a command that takes longer than a turn may: somebody else does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Look at the machine and its networks, for `doctor`. Whether it may send anything is said with it.
    Look {
        /// Multicast DNS may be asked for others: the node is on the network.
        may_send: bool,
    },
    /// Answer from a snapshot of the store that has every batch which was ordered before.
    Read(Box<Query>),
}

/// What came of an errand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was seen of the machine.
    Looked(Box<Surroundings>),
    /// The answer of the store.
    Read(Box<Result<Reply, CommandError>>),
}
