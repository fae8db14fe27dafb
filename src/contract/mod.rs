//! The contract between the engine and its users: commands in, events and replies out, all plain data.
//!
//! Promises: plain data without behaviour; the field names are those of the console contract. The console, the tools
//! and the node's sessions use nothing else of the engine.
//! Elsewhere: who answers (`engine`, `inspect`), how the data are parsed and printed (`console`).
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
pub use event::{BlockFacts, Direction, Dropped, Event, EventStamp, FoundBy, NameStanding, OwnPayment, RunId, Source};
pub use explained::{BlockExplained, Inclusion, LayoutPart, PathStep, Tampered, TamperedCopy, TxExplained, WithWork};
pub use reasons::{Cause, DialFailure, DisconnectReason, Stranger};
pub use reply::{
    AccountView, BanView, BlockView, CommandError, HistoryEntry, HistoryView, NodeStatus, PeerActed, PeerView, Refusal,
    Reply, TipView, TreeBlock, TxStatus, TxView, WebReply,
};
pub use stats::{DiskView, FillerView, Growth, Intervals, MinerView, Stats};
pub use surroundings::{Interface, Probe, Surroundings};
