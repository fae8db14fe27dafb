//! Messages and their bytes: what peers say to each other, size-capped.
//!
//! Promises: `decode` accepts only what `encode` makes; memory taken never exceeds the bytes received.
//! Spec: `proto-notes/sync.md`, "Messages"; `proto-notes/gossip.md`.

// A new variant stops the build, here as everywhere in the pure layers.
#![cfg_attr(
    not(test),
    deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)
)]

pub mod message;
#[cfg(test)]
mod tests;

pub use message::{
    GOSSIP_BLOCK_MAX_BYTES, GOSSIP_TX_MAX_BYTES, HEADERS_MAX, REQUEST_MAX_BYTES, RESPONSE_MAX_BYTES, Request, Response,
    Status, ToldPeer, Topic, WireError,
};
