//! Work that somebody else does, for a command or for a sync, and what came of it.

use crate::chain::{BodyRules, Verdict};
use crate::contract::{CommandError, Reply, Surroundings};
use crate::inspect::query::Query;
use crate::types::BlockHash;

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

/// Bodies that are checked beside the engine. What comes of it depends on them alone, so anybody may do it at any time.
#[derive(Clone)]
pub struct BodyCheck {
    /// The number of this group; no other group has it.
    pub number: u64,
    /// The rules that the bodies are held against.
    pub rules: BodyRules,
    /// The hashes of the blocks, and their bytes.
    pub bodies: Vec<(BlockHash, Vec<u8>)>,
}

impl core::fmt::Debug for BodyCheck {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let hashes: Vec<_> = self.bodies.iter().map(|(hash, _)| hash).collect();
        write!(f, "BodyCheck({}: {hashes:?})", self.number)
    }
}

impl BodyCheck {
    /// Makes the checks: the number, and a verdict on each body.
    #[must_use]
    pub fn make(self) -> (u64, Vec<Verdict>) {
        (self.number, self.rules.read_and_check(self.bodies))
    }
}
