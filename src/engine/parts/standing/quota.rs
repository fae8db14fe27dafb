//! How often a peer may ask and tell.
//!
//! Elsewhere: how it is counted (`types::bucket`), what asking too much costs (`standing::records`).
//! Spec: `proto-notes/limits.md`, "Rates".

use crate::types::Rate;

/// What a question for bodies counts before its answer is known: finding sixteen small blocks takes about as long as
/// sending so many bytes.
pub const QUESTION_BYTES: u64 = 16 * 1_024;

/// What a peer may do so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A peer asks where this node stands.
    Status,
    /// A peer asks for headers.
    Headers,
    /// `GetBlocks` requests, in bytes.
    Blocks,
    /// A peer asks for what waits in the pool.
    Pending,
    /// A peer forwards a block.
    GossipBlock,
    /// A peer forwards transactions.
    GossipTx,
}

impl Kind {
    pub(super) const COUNT: usize = 6;

    /// A second's refill and the burst.
    #[must_use]
    pub const fn rate(self) -> Rate {
        let (tokens, burst) = match self {
            // One a second on change, one every fifteen seconds: four times as much is a flood.
            Self::Status => (4, 40),
            // A window of 8,192 headers is 16 requests.
            Self::Headers => (20, 100),
            // Bytes: 25 MiB a second of large blocks or 19,000 small ones, both more than a node can check.
            Self::Blocks => (25 * 1_024 * 1_024, 128 * 1_024 * 1_024),
            // A full pool is ten pages.
            Self::Pending => (20, 100),
            // A network at the floor finds tens of blocks a second for a moment.
            Self::GossipBlock => (20, 200),
            // Transactions, not messages.
            Self::GossipTx => (500, 10_000),
        };
        Rate::per_second(tokens, burst)
    }

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Status => 0,
            Self::Headers => 1,
            Self::Blocks => 2,
            Self::Pending => 3,
            Self::GossipBlock => 4,
            Self::GossipTx => 5,
        }
    }
}
