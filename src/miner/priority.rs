//! Mining threads step aside: every other thread of the machine goes first.
//!
//! Promises: only the calling thread changes; a system that refuses leaves it as it was, which costs
//! speed of the prompt and nothing else.
//! The crate `thread-priority` hides the differences: niceness on Linux (a thread has its own there),
//! a scheduling parameter on macOS, a thread priority on Windows.

use thread_priority::{ThreadPriority, set_current_thread_priority};

/// Lowers the priority of the calling thread as far as it goes.
pub(super) fn lower() {
    if let Err(error) = set_current_thread_priority(ThreadPriority::Min) {
        tracing::debug!(target: "miner", ?error, "mining threads keep their priority");
    }
}
