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
mod answers;
mod commands;
mod compacting;
mod config;
mod connections;
mod disk;
mod doctor;
mod dropping;
mod errands;
mod failures;
mod future;
mod gossip;
pub mod io;
pub mod machine;
mod naming;
mod neighbours;
mod parts;
mod peering;
mod pooling;
mod responses;
mod searching;
mod statuses;
mod syncing;
pub mod tickets;
mod timers;
mod timing;

pub use config::{Config, Limits};
pub use io::{
    BodyCheck, Errand, Input, MinerFact, MinerOrder, NetFact, NetOrder, Outcome, Output, Part, PartFact, StoreFact,
    Verdict,
};
pub use machine::Engine;
pub use parts::clocks::PeerClock;
pub use parts::room::Room;
pub use parts::standing::Fault;
pub use parts::{dial, standing};

#[cfg(test)]
mod tests;
