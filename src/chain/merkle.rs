//! The merkle tree over a block's transactions, in the manner of RFC 6962, section 2.1.
//!
//! Promises: no last leaf is doubled, so no two lists share a root (CVE-2012-2459 cannot happen).
//! Spec: `proto-notes/encoding.md`, "Merkle tree".

use serde::Serialize;

use crate::types::hash::sha256;
use crate::types::{MerkleRoot, Txid};

/// On which side of the path a sibling stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The sibling is hashed first.
    Left,
    /// The sibling is hashed second.
    Right,
}

/// One step of an inclusion proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ProofStep {
    /// The sibling's side.
    pub side: Side,
    /// The sibling's hash.
    pub hash: MerkleRoot,
}

/// The hash above two: SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node(left: &MerkleRoot, right: &MerkleRoot) -> MerkleRoot {
    MerkleRoot::new(sha256(&[&[1], left.as_bytes(), right.as_bytes()]))
}

/// Where a list of two or more leaves is split: the largest power of two below its length.
const fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// The root over the leaves; zero for none.
#[must_use]
pub fn root(leaves: &[Txid]) -> MerkleRoot {
    match leaves {
        [] => MerkleRoot::ZERO,
        [leaf] => MerkleRoot::new(*leaf.as_bytes()),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node(&root(left), &root(right))
        }
    }
}

/// The siblings from a leaf to the root; none if there is no such leaf.
#[must_use]
pub fn proof(leaves: &[Txid], index: usize) -> Option<Vec<ProofStep>> {
    match leaves {
        _ if index >= leaves.len() => None,
        [_] => Some(Vec::new()),
        _ => {
            let at = split(leaves.len());
            let (left, right) = leaves.split_at(at);
            let (mut steps, side, sibling) = if index < at {
                (proof(left, index)?, Side::Right, root(right))
            } else {
                (proof(right, index - at)?, Side::Left, root(left))
            };
            steps.push(ProofStep { side, hash: sibling });
            Some(steps)
        }
    }
}

/// The root that a leaf and its siblings lead to.
#[must_use]
pub fn root_of_proof(leaf: Txid, steps: &[ProofStep]) -> MerkleRoot {
    steps
        .iter()
        .fold(MerkleRoot::new(*leaf.as_bytes()), |hash, step| match step.side {
            Side::Left => node(&step.hash, &hash),
            Side::Right => node(&hash, &step.hash),
        })
}
