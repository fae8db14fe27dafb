//! Words of the domain as types: hashes, amounts, heights, work, time, names, keys, fixed layouts.
//!
//! Promises: a value of one of these types is valid because it exists; parsing happens here, at the edge. No clock,
//! no entropy, no input or output.
//! Spec: `proto-notes/encoding.md`.

// A new variant stops the build, here as everywhere in the pure layers.
#![cfg_attr(
    not(test),
    deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)
)]

pub mod account;
pub mod address;
pub mod amount;
pub mod bucket;
pub mod hash;
pub mod key;
pub mod layout;
pub mod points;
pub mod prefix;
pub mod rng;
pub mod target;
pub mod text;
pub mod ticket;
pub mod time;
pub mod typed;
pub mod voice;

pub use account::{Account, AccountName, NameError};
pub use address::Address;
pub use amount::{Amount, AmountError, Balance};
pub use bucket::{Bucket, Rate};
pub use hash::{BlockHash, MerkleRoot, NetworkId, Txid};
pub use key::{PeerId, PublicKey, SecretKey, Signature};
pub use target::{Bits, Target, Work};
pub use time::{Height, Time, WallTime};
pub use voice::{Voice, has_share};

/// Converts a length to the 64-bit numbers of the contract.
#[must_use]
pub fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
