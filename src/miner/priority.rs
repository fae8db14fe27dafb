//! The priority of mining threads: every other thread of the machine goes first.
//!
//! Promises: only the calling thread changes. If the system refuses, the thread stays as it is, which only makes the
//! prompt slower.
//! The crate `thread-priority` hides the differences: niceness of a single thread on Linux, a scheduling parameter on
//! macOS, a thread priority on Windows.

use thread_priority::{ThreadPriority, set_current_thread_priority};

/// Lowers the priority of the calling thread as far as possible.
pub(super) fn lower() {
    if let Err(error) = set_current_thread_priority(ThreadPriority::Min) {
        tracing::debug!(target: "miner", ?error, "mining threads keep their priority");
    }
}
