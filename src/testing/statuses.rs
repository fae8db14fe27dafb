//! What a peer says of itself: the honest minimum, and the lie that makes everybody ask.

use crate::wire::Status;

/// Says that it stands on this block and has no work.
pub fn empty(tip: [u8; 32], clock_ms: u64) -> Status {
    Status {
        tip,
        height: 0,
        work: [0; 32],
        name: String::new(),
        clock_ms,
        instance: 9,
        pool_count: 0,
        pool_digest: 0,
    }
}

/// Says that it has a hundred blocks and more work than anybody.
pub fn boast(tip: u8, clock_ms: u64) -> Status {
    Status {
        height: 100,
        work: [0x7f; 32],
        ..empty([tip; 32], clock_ms)
    }
}
