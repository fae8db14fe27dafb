//! The merkle tree over a block's transactions, in the manner of RFC 6962, section 2.1.
//!
//! Promises: no last leaf is doubled, so no two lists share a root (CVE-2012-2459 cannot happen).
//! Spec: `proto-notes/encoding.md`, "Merkle tree".

use serde::Serialize;

use crate::types::hash::{HashMany, sha256};
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

/// What is hashed for a node: 0x01 ‖ left ‖ right.
const NODE_BYTES: usize = 65;

fn node_bytes(left: &[u8; 32], right: &[u8; 32]) -> [u8; NODE_BYTES] {
    let mut bytes = [1; NODE_BYTES];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    bytes
}

/// The hash above two: SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node(left: &MerkleRoot, right: &MerkleRoot) -> MerkleRoot {
    MerkleRoot::new(sha256(&[&node_bytes(left.as_bytes(), right.as_bytes())]))
}

/// Where a list of two or more leaves is split: the largest power of two below its length.
const fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// The root over the leaves; zero for none.
#[must_use]
pub fn root(leaves: &[Txid]) -> MerkleRoot {
    root_with(leaves, &HashMany::default())
}

/// The same root, a layer at a time. A last hash without a sibling goes up as it is: so the left part of every split
/// holds the largest power of two below the count.
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
