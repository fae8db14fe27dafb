//! What this node does next: a state machine without sockets, threads, clock or entropy.
//!
//! Promises: the same inputs give the same outputs. Outputs are carried out in order; what stands behind
//! [`Output::Commit`] waits until the disk has it, except what [`Output::is_immediate`] names.
//! Spec: `proto-notes/sync.md`, `proto-notes/gossip.md`, `proto-notes/events.md`.

mod advance;
pub mod command;
mod commands;
pub mod dial;
pub mod event;
mod facts;
pub mod io;
pub mod machine;
pub mod peers;
mod relay;
pub mod reply;
mod sync;
mod template;
mod view;

pub use command::{AccountRef, BlockRef, Command, Condition, MineCommand};
pub use event::{Direction, Event, FoundBy, Source};
pub use io::{Input, MinerFact, MinerOrder, NetFact, NetOrder, Output, StoreFact, Verdict};
pub use machine::{Config, Engine};
pub use reply::{CommandError, Reply};
pub use view::block_view;

#[cfg(test)]
mod tests;
