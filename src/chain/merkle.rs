//! The merkle tree over a block's transactions, in the manner of RFC 6962, section 2.1.
//!
//! Promises: the last leaf is never doubled, so no two lists share a root (CVE-2012-2459 cannot happen).
//! Spec: `proto-notes/encoding.md`, "Merkle tree".

use serde::Serialize;

use crate::types::hash::{HashMany, sha256};
use crate::types::{MerkleRoot, Txid};

/// The side of the path on which a sibling stands.
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
    /// Whether the sibling is the left or the right one of the pair.
    pub side: Side,
    /// The hash of the sibling node.
    pub hash: MerkleRoot,
}

/// Bytes that are hashed for an inner node: 0x01 ‖ left ‖ right.
const NODE_BYTES: usize = 65;

fn node_bytes(left: &[u8; 32], right: &[u8; 32]) -> [u8; NODE_BYTES] {
    let mut bytes = [1; NODE_BYTES];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    bytes
}

/// The hash of an inner node over its two children: SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node(left: &MerkleRoot, right: &MerkleRoot) -> MerkleRoot {
    MerkleRoot::new(sha256(&[&node_bytes(left.as_bytes(), right.as_bytes())]))
}

/// The number of leaves in the left half of a list of two or more: the largest power of two below its length.
const fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// The merkle root over the leaves; zeros for an empty list.
#[must_use]
pub fn root(leaves: &[Txid]) -> MerkleRoot {
    root_with(leaves, &HashMany::default())
}

/// The same root, computed layer by layer. The last hash of a layer goes up unchanged if it has no sibling, so the left
/// part of every split holds the largest power of two below the count.
#[must_use]
pub fn root_with(leaves: &[Txid], many: &HashMany) -> MerkleRoot {
    let mut layer: Vec<[u8; 32]> = leaves.iter().map(|leaf| *leaf.as_bytes()).collect();
    while layer.len() > 1 {
        let (pairs, alone) = layer.as_chunks::<2>();
        let messages: Vec<[u8; NODE_BYTES]> = pairs.iter().map(|[left, right]| node_bytes(left, right)).collect();
        let mut above = (many.nodes)(&messages);
        above.extend_from_slice(alone);
        layer = above;
    }
    layer.first().map_or(MerkleRoot::ZERO, |root| MerkleRoot::new(*root))
}

/// The inclusion proof of a leaf: its siblings from the leaf up to the root. None if there is no leaf at `index`.
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

/// The root that follows from a leaf and its inclusion proof.
#[must_use]
pub fn root_of_proof(leaf: Txid, steps: &[ProofStep]) -> MerkleRoot {
    steps
        .iter()
        .fold(MerkleRoot::new(*leaf.as_bytes()), |hash, step| match step.side {
            Side::Left => node(&step.hash, &hash),
            Side::Right => node(&hash, &step.hash),
        })
}
