//! Hashes, trees and difficulty against their twins.

use super::bytes::Bytes;
use super::naive::{self, Big};
use crate::chain::merkle;
use crate::testing::twin::layout;
use crate::types::hash::sha256 as ours;
use crate::types::target::{HALFLIFE_MAX_MS, MAX_DOUBLINGS};
use crate::types::{Bits, BlockHash, Txid, Work};

/// Larger messages only take longer.
const MESSAGE_MAX: usize = 1_024;
/// A tree with every shape of its right edge up to six levels.
const LEAVES_MAX: usize = 70;

pub(super) fn sha256(input: &[u8]) {
    let input = &input[..input.len().min(MESSAGE_MAX)];
    let expected = naive::sha256(input);
    assert_eq!(ours(&[input]), expected);
    // The same bytes in parts.
    let cut = usize::from(input.first().copied().unwrap_or(0)).min(input.len());
    assert_eq!(ours(&[&input[..cut], &[], &input[cut..]]), expected);
    let hash = BlockHash::new(expected);
    assert_eq!(BlockHash::from_hex(&hash.to_string()), Some(hash));
}

pub(super) fn merkle(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let count = bytes.below(LEAVES_MAX);
    let leaves: Vec<[u8; 32]> = (0..count).map(|_| bytes.array()).collect();
    let ids: Vec<Txid> = leaves.iter().copied().map(Txid::new).collect();
    let root = merkle::root(&ids);
    assert_eq!(*root.as_bytes(), layout::merkle_root(&leaves));
    for index in [0, count / 2, count.saturating_sub(1)] {
        let Some(steps) = merkle::proof(&ids, index) else {
            assert!(index >= count);
            continue;
        };
        assert_eq!(merkle::root_of_proof(ids[index], &steps), root);
        // No other leaf passes in its place.
        let mut other = leaves[index];
        other[31] ^= 1;
        assert_ne!(merkle::root_of_proof(Txid::new(other), &steps), root);
    }
    assert_eq!(merkle::proof(&ids, count), None);
}

/// The limit by the formula of the specification; none outside the range.
fn limit(bits: u32, halflife: u32) -> Option<Big> {
    let (bits, h) = (u64::from(bits), u64::from(halflife));
    if h == 0 || bits < 16 * h || bits > 239 * h {
        return None;
    }
    let (q, r) = (bits / h, bits % h);
    let f = (h - r) * 65_536 / h;
    let m = if f == 65_536 {
        Big::from(131_072)
    } else {
        let f = Big::from(f);
        let term = |factor: u64, power: u32| (0..power).fold(Big::from(factor), |product, _| product.times(&f));
        let sum = term(195_766_423_245_049, 1)
            .plus(&term(971_821_376, 2))
            .plus(&term(5_127, 3));
        let rounded = sum.plus(&Big::from(1 << 47)).over(&Big::from(1 << 48));
        rounded.plus(&Big::from(65_536))
    };
    Some(m.shifted(239 - u32::try_from(q).unwrap()))
}

pub(super) fn target(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let halflife = bytes.u32() % (HALFLIFE_MAX_MS + 1);
    let bits = match bytes.u8() % 4 {
        0 => bytes.u32(),
        1 => (16 * halflife)
            .wrapping_add(bytes.u32() % 65_536)
            .wrapping_sub(bytes.u8().into()),
        2 => (MAX_DOUBLINGS * halflife).wrapping_sub(bytes.u32() % 65_536),
        // Around whole doublings.
        _ => halflife
            .wrapping_mul(u32::from(bytes.u8()))
            .wrapping_add(bytes.u8().into())
            .wrapping_sub(1),
    };
    let expected = limit(bits, halflife);
    let found = Bits(bits).target(halflife);
    assert_eq!(
        found.map(|target| *target.as_bytes()),
        expected.as_ref().map(Big::to_be_bytes)
    );
    let work = expected
        .as_ref()
        .map(|limit| Big::from(1).shifted(256).over(limit).to_be_bytes());
    assert_eq!(Bits(bits).work(halflife).map(Work::to_be_bytes), work);
    if let (Some(target), Some(limit)) = (found, expected) {
        let hash: [u8; 32] = bytes.array();
        assert_eq!(target.is_met_by(&hash), Big::from_be_bytes(&hash) < limit);
        assert!(!target.is_met_by(target.as_bytes()));
        assert!(
            *target.as_bytes()
                < [
                    0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1
                ]
        );
    }
    let (spacing, elapsed) = (bytes.u64() % 86_400_001, bytes.u64());
    let raised = (i128::from(bits) + i128::from(spacing) - i128::from(elapsed)).max(16 * i128::from(halflife));
    let raised = u32::try_from(raised).unwrap_or(u32::MAX);
    assert_eq!(Bits(bits).step(halflife, spacing, elapsed), Bits(raised));
}

pub(super) fn work(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (a, b): ([u8; 32], [u8; 32]) = (bytes.array(), bytes.array());
    let (ours_a, ours_b) = (Work::from_be_bytes(a), Work::from_be_bytes(b));
    let (big_a, big_b) = (Big::from_be_bytes(&a), Big::from_be_bytes(&b));
    assert_eq!(ours_a.to_be_bytes(), a);
    assert_eq!(ours_a.plus(ours_b).to_be_bytes(), big_a.plus(&big_b).to_be_bytes());
    assert_eq!(Some(ours_a.cmp(&ours_b)), big_a.partial_cmp(&big_b));
    assert_eq!(ours_a.to_string(), hex::encode(a));
    let double = ours_a.to_f64();
    assert!(double.is_finite() && double >= 0.0);
    if ours_a <= ours_b {
        assert!(double <= ours_b.to_f64());
    }
}
