//! The contract between the engine and whoever talks to it: commands in, events and replies out, as data.
//!
//! Promises: plain data without behaviour; field names are the console contract's. The console, tools and the node's
//! sessions know the engine by these words alone.
//! Elsewhere: what answers them (`engine`, `inspect`), how they are read and written (`console`).
//! Spec: `proto-notes/events.md`.

// A new variant stops the build, here as everywhere in the pure layers.
#![cfg_attr(
    not(test),
    deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)
)]

pub mod command;
pub mod diagnosis;
pub mod event;
pub mod explained;
pub mod reasons;
pub mod reply;
pub mod stats;
pub mod surroundings;

pub use crate::chain::merkle::{ProofStep, Side};
pub use command::{AccountRef, BlockRef, Command, Condition, MineCommand, PeerAct, PeerRef, TxRef};
pub use diagnosis::{Diagnosis, FailureView, InterfaceView, Multicast};
pub use event::{Direction, Event, FoundBy, NameStanding, Source};
pub use explained::{BlockExplained, Change, Inclusion, Part, PathStep, Tampered, TxExplained};
pub use reasons::{Cause, DialFailure, DisconnectReason, Stranger};
pub use reply::{
    AccountView, BanView, BlockView, CommandError, PeerActed, PeerView, Refusal, Reply, Status, TipView, TreeBlock,
    TxStatus, TxView,
};
pub use stats::{DiskView, FillerView, Growth, Intervals, MinerView, Stats};
pub use surroundings::{Interface, Probe, Surroundings};
