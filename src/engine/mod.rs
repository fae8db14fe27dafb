//! What this node does next: a state machine without sockets, threads, clock or entropy.
//!
//! Promises: the same inputs give the same outputs. Outputs are carried out in order; what stands behind
//! [`Output::Commit`] waits until the disk has it, except what [`Output::is_immediate`] names.
//! Spec: `proto-notes/sync.md`, `proto-notes/gossip.md`, `proto-notes/events.md`.

// A new variant stops the build, here as everywhere in the pure layers.
#![cfg_attr(
    not(test),
    deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)
)]

mod advance;
mod ahead;
mod answers;
mod clock;
pub mod clocks;
mod commands;
pub mod dial;
mod doctor;
mod effort;
pub mod exchange;
mod facts;
mod gossip;
pub mod io;
mod links;
pub mod machine;
mod mining;
mod naming;
mod neighbours;
mod notices;
mod out;
mod own;
pub mod pace;
mod parts;
mod peering;
mod pooling;
mod pools;
mod relay;
pub mod remembered;
mod requests;
mod responses;
pub mod room;
mod runs;
pub mod standing;
mod storage;
mod sync;
mod syncing;
pub mod tickets;

pub use clocks::PeerClock;
pub use io::{Input, MinerFact, MinerOrder, NetFact, NetOrder, Output, Part, PartFact, StoreFact, Verdict};
pub use machine::{Config, Engine, Limits};
pub use room::Room;
pub use standing::Fault;

#[cfg(test)]
mod tests;
