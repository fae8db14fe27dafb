//! The node: the one place where the parts meet.
//!
//! ```text
//! stdin ─> session ─ commands ─> inbox ─> engine thread ─ batches ─> writer thread ─> disk
//!             ^                    ^        │   │   └── searches ──> miner threads
//!             └──── replies ───────│────────┘   └────── orders ────> swarm (tokio)
//!                                  └──────── facts of all of these
//! ```
//!
//! Promises: every channel is bounded; nobody waits for the console; what is acknowledged is on disk.
//! Elsewhere: decisions (`engine`), the command line (`cli`).

pub mod clock;
pub mod engine_thread;
pub mod housekeeper;
pub mod inbox;
pub mod outbox;
pub mod writer;
