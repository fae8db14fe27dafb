//! Keys: a node's Ed25519 key is its libp2p identity and its wallet.
//!
//! Promises: verification follows ZIP-215, alone and in batches, so no two nodes differ; keys of small order do not
//! parse; a secret key is wiped on drop and never printed. The one file of the pure layers that names libp2p.
//! Elsewhere: keys that were decompressed lately (`types::points`), who may read keys without a check
//! (`types::layout::Reader`).
//! Spec: `proto-notes/consensus.md`, "Signatures".

use core::fmt;
use std::collections::BTreeMap;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT as BASE;
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use curve25519_dalek::{EdwardsPoint, Scalar};
use ed25519_zebra as zebra;
pub use libp2p::PeerId;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha512};
use thiserror::Error;

use super::hash::sha256;
use super::layout::{LayoutError, Reader};
use super::points;

/// A PeerId of an Ed25519 key: identity multihash (00 24) of the key's protobuf (08 01 12 20), then the key.
const PEER_ID_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// An Ed25519 public key that is a point of the curve and not of small order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// Why 32 bytes or a PeerId are not a usable public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The bytes are not a point of the curve.
    #[error("the public key is no point of the curve")]
    NotOnCurve,
    /// The key is one of the eight points of small order, for which a signature can verify any message.
    #[error("the public key is of small order")]
    SmallOrder,
    /// The PeerId holds another kind of key, or only the hash of a key.
    #[error("the PeerId holds no Ed25519 key")]
    NotEd25519,
}

impl PublicKey {
    /// Checks that the bytes are a usable key.
    ///
    /// # Errors
    /// [`KeyError`] if they are no point, or one of small order.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        point_of(&bytes).map(|_| Self(bytes))
    }

    /// Reads the 32 bytes of a key, and checks them unless the reader stands in the own store.
    ///
    /// # Errors
    /// [`LayoutError`] if the bytes end early or are no usable key.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, LayoutError> {
        let bytes = reader.array()?;
        if reader.trusts_keys() {
            return Ok(Self(bytes));
        }
        Self::from_bytes(bytes).map_err(|error| LayoutError::BadField(error.to_string()))
    }

    /// The key that a PeerId embeds.
    ///
    /// # Errors
    /// [`KeyError::NotEd25519`] for other kinds of keys, else as [`PublicKey::from_bytes`].
    pub fn from_peer_id(peer: &PeerId) -> Result<Self, KeyError> {
        let bytes = peer.to_bytes();
        let key = bytes.strip_prefix(&PEER_ID_PREFIX).ok_or(KeyError::NotEd25519)?;
        Self::from_bytes(key.try_into().map_err(|_| KeyError::NotEd25519)?)
    }

    /// The key's 32 bytes: the point in its compressed form.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The PeerId that embeds this key.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        let bytes = [&PEER_ID_PREFIX[..], &self.0].concat();
        PeerId::from_bytes(&bytes).expect("an identity multihash of 36 bytes is a PeerId")
    }

    /// Checks a signature by the ZIP-215 rule, as every node must.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        zebra::VerificationKey::try_from(self.0)
            .is_ok_and(|key| key.verify(&zebra::Signature::from(signature.0), message).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", &hex::encode(&self.0[..6]))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An Ed25519 signature, 64 bytes, not yet checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", &hex::encode(&self.0[..6]))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The point of a key that may sign.
fn point_of(bytes: &[u8; 32]) -> Result<EdwardsPoint, KeyError> {
    points::of(bytes, || {
        let point = CompressedEdwardsY(*bytes).decompress().ok_or(KeyError::NotOnCurve)?;
        if point.is_small_order() {
            return Err(KeyError::SmallOrder);
        }
        Ok(point)
    })
}

/// Checks many signatures at once: true only if each would pass alone.
///
/// The random weights come from a hash of `secret` and of everything that is checked, so nobody can aim at them.
///
/// The equation is that of `ed25519_zebra::batch`: 8 (Σ zᵢsᵢ B − Σ zᵢRᵢ − Σ zᵢkᵢAᵢ) = 0 with random zᵢ of 128 bits,
/// where the terms of one key are added up first. Here the keys' points are those that reading the keys gave.
#[must_use]
pub fn verify_batch(secret: &[u8; 32], items: &[(PublicKey, Vec<u8>, Signature)]) -> bool {
    batch_sums(secret, items).is_some_and(|(scalars, points)| {
        let sum = EdwardsPoint::vartime_multiscalar_mul(&scalars, &points);
        sum.mul_by_cofactor().is_identity()
    })
}

/// The factors and points of the equation; none if a signature holds no point or no number below the group's order, or
/// if a key may not sign.
fn batch_sums(
    secret: &[u8; 32],
    items: &[(PublicKey, Vec<u8>, Signature)],
) -> Option<(Vec<Scalar>, Vec<EdwardsPoint>)> {
    let mut seed = *secret;
    let mut of_base = Scalar::ZERO;
    let mut of_keys: BTreeMap<&PublicKey, Scalar> = BTreeMap::new();
    let (mut scalars, mut points) = (Vec::new(), Vec::new());
    for (key, message, signature) in items {
        seed = sha256(&[&seed, &key.0, &signature.0, message]);
    }
    let mut random = HashRng {
        seed,
        counter: 0,
        left: Vec::new(),
    };
    for (key, message, signature) in items {
        let (r, s) = signature.0.split_first_chunk::<32>()?;
        let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(s.try_into().ok()?))?;
        let hash = Sha512::new().chain_update(r).chain_update(key.0).chain_update(message);
        let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        let z = Scalar::from(random.next_weight());
        of_base -= z * s;
        *of_keys.entry(key).or_insert(Scalar::ZERO) += z * k;
        scalars.push(z);
        points.push(CompressedEdwardsY(*r).decompress()?);
    }
    for (key, scalar) in of_keys {
        scalars.push(scalar);
        points.push(point_of(&key.0).ok()?);
    }
    scalars.push(of_base);
    points.push(BASE);
    Some((scalars, points))
}

/// Random numbers for the check of a batch: SHA-256 in counter mode.
struct HashRng {
    seed: [u8; 32],
    counter: u64,
    left: Vec<u128>,
}

impl HashRng {
    /// The next 128 bits.
    fn next_weight(&mut self) -> u128 {
        if let Some(weight) = self.left.pop() {
            return weight;
        }
        self.counter += 1;
        let hash = sha256(&[&self.seed, &self.counter.to_be_bytes()]);
        let (halves, _) = hash.as_chunks::<16>();
        self.left.extend(halves.iter().map(|half| u128::from_be_bytes(*half)));
        self.left.pop().unwrap_or(0)
    }
}

/// A secret key: the seed of an Ed25519 key pair.
#[derive(Clone)]
pub struct SecretKey(zebra::SigningKey);

impl SecretKey {
    /// Takes the 32-byte seed of RFC 8032.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(zebra::SigningKey::from(seed))
    }

    /// The seed, to be written to the key file.
    #[must_use]
    pub fn seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// The public key that belongs to this secret key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verification_key().into())
    }

    /// Signs a message; the same message always gives the same signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).into())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey([redacted])")
    }
}
