//! The messages that peers exchange, and their encoding with a size limit for each.
//!
//! Promises: `decode` accepts only what `encode` produces, and takes no more memory than the bytes received.
//! Spec: `proto-notes/sync.md`, "Messages"; `proto-notes/gossip.md`.

// A new variant stops the build, here as everywhere in the pure layers.
#![cfg_attr(
    not(test),
    deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)
)]

pub mod compact;
pub mod message;
#[cfg(test)]
mod tests;

pub use compact::{COMPACT_BLOCK_MAX_BYTES, CompactBlock};
pub use message::{
    GOSSIP_TX_MAX_BYTES, HEADERS_MAX, REQUEST_MAX_BYTES, RESPONSE_MAX_BYTES, Request, Response, Status, ToldPeer,
    Topic, WireError,
};
