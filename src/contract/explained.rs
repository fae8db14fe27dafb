//! What `explain` and `tamper` answer: the bytes of a block or transaction with their meaning, and what the rules say of
//! changed copies. The fields are the words of the contract.
//!
//! Elsewhere: how it is computed (`inspect::explain`, `inspect::tamper`). Spec: `proto-notes/events.md`, "Replies".

use serde::Serialize;

use crate::chain::merkle::Side;
use crate::contract::TxStatus;
use crate::types::{BlockHash, Height, MerkleRoot, Txid, WallTime, Work};

/// Some bytes of a layout and what they mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct Part {
    pub name: &'static str,
    /// Of the first byte.
    pub offset: u64,
    pub length: u64,
    pub hex: String,
    pub value: String,
}

/// `explain block`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct BlockExplained {
    pub hash: BlockHash,
    pub height: Height,
    pub active: bool,
    pub header: String,
    pub parts: Vec<Part>,
    /// The hash must be below it.
    pub target: String,
    pub hash_zero_bits: u32,
    /// With which every hash below the target begins.
    pub target_zero_bits: u32,
    /// The hash as a share of the target, in millionths; none for genesis, which needs no proof.
    pub share_of_target_ppm: Option<u64>,
    /// Attempts that such a block takes on average.
    pub expected_attempts: u64,
    pub parent_time_ms: Option<WallTime>,
    pub parent_bits: Option<u32>,
    /// What the block adds to its branch: the work of its parent's bits.
    pub adds_work: Work,
    pub work: Work,
    pub transactions: u64,
}

/// One step from a leaf to the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct PathStep {
    /// The sibling's side.
    pub side: Side,
    pub left: MerkleRoot,
    pub right: MerkleRoot,
    /// SHA-256(0x01 ‖ left ‖ right).
    pub hash: MerkleRoot,
}

/// Where a transaction stands in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct Inclusion {
    pub block_hash: BlockHash,
    pub height: Height,
    pub index: u64,
    pub transactions: u64,
    pub path: Vec<PathStep>,
    /// Where the path ends.
    pub root: MerkleRoot,
    /// What the header says.
    pub merkle_root: MerkleRoot,
}

/// `explain transaction`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct TxExplained {
    pub txid: Txid,
    pub kind: &'static str,
    pub status: TxStatus,
    pub raw: String,
    /// The id is SHA-256(0x00 ‖ raw).
    pub parts: Vec<Part>,
    /// The message that the signature covers; none for a reward.
    pub signed: Option<String>,
    pub signed_parts: Vec<Part>,
    pub public_key: Option<String>,
    pub signature: Option<String>,
    pub signature_valid: Option<bool>,
    pub inclusion: Option<Inclusion>,
}

/// A changed copy and what the rules say of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct Change {
    pub change: String,
    /// The copy's hash.
    pub hash: BlockHash,
    pub accepted: bool,
    /// The rule that refuses it.
    pub code: Option<&'static str>,
    pub message: Option<String>,
    pub lesson: String,
}

/// What `tamper` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct Tampered {
    pub height: Height,
    pub hash: BlockHash,
    pub changes: Vec<Change>,
    pub message: String,
}
