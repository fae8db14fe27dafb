//! Signatures that ZIP-215 takes and other verifiers refuse: made with the curve's own arithmetic, because no library
//! signs like this.
//!
//! Spec: `proto-notes/consensus.md`, "Signatures".

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use sha2::{Digest, Sha512};

use crate::types::{PublicKey, Signature};

/// A point of order 8.
const ORDER_8: &str = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
/// The neutral point, its y written as p + 1.
pub(super) const NEUTRAL_BEYOND_P: &str = "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
/// The order of the group, little-endian.
const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

pub(super) fn bytes(text: &str) -> [u8; 32] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn point(bytes: [u8; 32]) -> EdwardsPoint {
    CompressedEdwardsY(bytes).decompress().unwrap()
}

fn scalar(number: u64) -> Scalar {
    Scalar::from(number)
}

/// `k` of RFC 8032.
fn challenge(r: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
    let digest = Sha512::new()
        .chain_update(r)
        .chain_update(key)
        .chain_update(message)
        .finalize();
    Scalar::from_bytes_mod_order_wide(&digest.into())
}

/// How a signer deviates from RFC 8032.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The signature follows RFC 8032.
    Plain,
    /// R has a part of order 8.
    TorsionInR,
    /// R is a point of order 8.
    SmallR,
    /// R is the neutral point with a y above p.
    BeyondPInR,
    /// The key has a part of order 8.
    TorsionInKey,
    /// s is not below the order of the group.
    LargeS,
}

impl Way {
    /// The key that signs in this way.
    pub(super) fn key(self) -> PublicKey {
        let plain = scalar(77) * ED25519_BASEPOINT_POINT;
        let key = match self {
            Self::TorsionInKey => plain + point(bytes(ORDER_8)),
            Self::Plain | Self::TorsionInR | Self::SmallR | Self::BeyondPInR | Self::LargeS => plain,
        };
        PublicKey::from_bytes(key.compress().to_bytes()).unwrap()
    }

    /// The signature that fits the equation with the cofactor.
    pub(super) fn sign(self, message: &[u8]) -> Signature {
        let key = *self.key().as_bytes();
        let base = scalar(5) * ED25519_BASEPOINT_POINT;
        let (nonce, r) = match self {
            Self::Plain | Self::TorsionInKey | Self::LargeS => (5, base.compress().to_bytes()),
            Self::TorsionInR => (5, (base + point(bytes(ORDER_8))).compress().to_bytes()),
            Self::SmallR => (0, bytes(ORDER_8)),
            Self::BeyondPInR => (0, bytes(NEUTRAL_BEYOND_P)),
        };
        let s = scalar(nonce) + challenge(&r, &key, message) * scalar(77);
        let mut s = s.to_bytes();
        if self == Self::LargeS {
            let mut carry = 0;
            for (byte, more) in s.iter_mut().zip(bytes(ORDER)) {
                let sum = u16::from(*byte) + u16::from(more) + carry;
                *byte = u8::try_from(sum & 0xff).unwrap();
                carry = sum >> 8;
            }
        }
        Signature([r, s].concat().try_into().unwrap())
    }
}

/// The answer of a verifier without the cofactor, which compares the bytes of R, as most libraries do.
pub(super) fn without_cofactor(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    let (r, s) = signature.0.split_at(32);
    let r: [u8; 32] = r.try_into().unwrap();
    let Some(s) = Option::<Scalar>::from(Scalar::from_canonical_bytes(s.try_into().unwrap())) else {
        return false;
    };
    let k = challenge(&r, key.as_bytes(), message);
    (s * ED25519_BASEPOINT_POINT - k * point(*key.as_bytes()))
        .compress()
        .to_bytes()
        == r
}

/// A key whose y is written as p and a bit more: nobody can sign for it, but it can be paid.
pub(super) fn key_beyond_p() -> PublicKey {
    let mut candidates = (0..=0x12_u8).rev().map(|above| {
        let mut bytes = [0xff; 32];
        bytes[0] = 0xed + above;
        bytes[31] = 0x7f;
        bytes
    });
    candidates
        .find_map(|bytes| PublicKey::from_bytes(bytes).ok())
        .expect("some of the 19 are on the curve and not of small order")
}
