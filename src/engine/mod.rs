//! What this node does next: a state machine without sockets, threads, clock or entropy.
//!
//! Promises: the same inputs give the same outputs. Outputs are carried out in order; what stands behind
//! [`Output::Commit`] waits until the disk has it, except what [`Output::is_immediate`] names.
//! Spec: `proto-notes/sync.md`, `proto-notes/gossip.md`, `proto-notes/events.md`.

mod advance;
mod advice;
mod ahead;
pub mod clocks;
pub mod command;
mod commands;
mod complaints;
pub mod dial;
pub mod doctor;
mod effort;
pub mod event;
pub mod exchange;
pub mod explain;
mod facts;
mod forecast;
mod gather;
pub mod io;
pub mod machine;
mod naming;
mod neighbours;
mod own_waiting;
pub mod pace;
mod parts;
mod peering;
pub mod peers;
mod pooling;
mod pools;
pub mod quota;
pub mod reasons;
mod relay;
pub mod remembered;
pub mod reply;
mod requests;
pub mod room;
pub mod sandbox;
pub mod shape;
mod side_work;
mod signatures;
pub mod stats;
mod storage;
mod sync;
mod template;
pub mod tickets;
mod unheard;
mod view;
mod visible;
mod wall;

pub use clocks::PeerClock;
pub use command::{AccountRef, BlockRef, Command, Condition, MineCommand, PeerAct, PeerRef, TxRef};
pub use event::{Direction, Event, FoundBy, Source};
pub use io::{Input, MinerFact, MinerOrder, NetFact, NetOrder, Output, Part, PartFact, StoreFact, Stranger, Verdict};
pub use machine::{Config, Engine};
pub use reply::{CommandError, Reply};
pub use room::Room;
pub use view::block_view;

#[cfg(test)]
mod tests;
