//! The replies of `explain` and `tamper`: the bytes of a block or transaction with their meaning, and the result of
//! checking changed copies. The field names are those of the JSON contract.
//!
//! Elsewhere: the computation (`inspect::explain`, `inspect::tamper`). Spec: `proto-notes/events.md`, "Replies".

use serde::Serialize;

use crate::chain::merkle::Side;
use crate::contract::TxStatus;
use crate::types::{BlockHash, Height, MerkleRoot, Txid, WallTime, Work};

/// A range of bytes in a layout, and its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct LayoutPart {
    pub name: &'static str,
    /// The position of the first byte, from 0.
    pub offset: u64,
    pub length: u64,
    pub hex: String,
    pub value: String,
}

/// The reply of `explain block`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct BlockExplained {
    pub hash: BlockHash,
    pub height: Height,
    pub active: bool,
    pub header: String,
    pub parts: Vec<LayoutPart>,
    /// The limit that the hash must stay below, as hex.
    pub target: String,
    pub hash_zero_bits: u32,
    /// The number of zero bits with which every hash below the target begins.
    pub target_zero_bits: u32,
    /// The hash as a share of the target, in millionths; null for genesis, which needs no proof of work.
    pub share_of_target_ppm: Option<u64>,
    /// How many attempts such a block takes on average.
    pub expected_attempts: u64,
    pub parent_time_ms: Option<WallTime>,
    pub parent_bits: Option<u32>,
    /// The work that the block adds to its branch: the work of its parent's bits.
    pub adds_work: Work,
    pub work: Work,
    pub transactions: u64,
}

/// One step of the path from a leaf to the merkle root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct PathStep {
    /// The side on which the sibling is.
    pub side: Side,
    pub left: MerkleRoot,
    pub right: MerkleRoot,
    /// The hash of both: SHA-256(0x01 ‖ left ‖ right).
    pub hash: MerkleRoot,
}

/// The position of a transaction in a block, with its inclusion proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct Inclusion {
    pub block_hash: BlockHash,
    pub height: Height,
    pub index: u64,
    pub transactions: u64,
    pub path: Vec<PathStep>,
    /// The root that results from the path.
    pub root: MerkleRoot,
    /// The merkle root in the header, which must be the same.
    pub merkle_root: MerkleRoot,
}

/// The reply of `explain transaction`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct TxExplained {
    pub txid: Txid,
    pub kind: &'static str,
    pub status: TxStatus,
    pub raw: String,
    /// The parts of `raw`, whose hash SHA-256(0x00 ‖ raw) is the id.
    pub parts: Vec<LayoutPart>,
    /// The message that the signature covers, as hex; null for a reward.
    pub signed: Option<String>,
    pub signed_parts: Vec<LayoutPart>,
    pub public_key: Option<String>,
    pub signature: Option<String>,
    pub signature_valid: Option<bool>,
    pub inclusion: Option<Inclusion>,
}

/// A changed copy of a block, and how the rules judge it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct TamperedCopy {
    pub change: String,
    /// The hash of the copy's header.
    pub hash: BlockHash,
    pub accepted: bool,
    /// The error code of the rule that refuses it; null if it is accepted.
    pub code: Option<&'static str>,
    pub message: Option<String>,
    pub lesson: String,
    /// The judgement as if its work had been done again; null if nothing but the judgement above is of interest.
    pub with_work: Option<WithWork>,
}

/// What the rules say of a changed copy as if its work had been done again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct WithWork {
    pub accepted: bool,
    pub code: Option<&'static str>,
    pub message: Option<String>,
}

/// The reply of `tamper`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct Tampered {
    pub height: Height,
    pub hash: BlockHash,
    pub changes: Vec<TamperedCopy>,
    pub message: String,
}
