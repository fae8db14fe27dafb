//! Hashes: 32 bytes of SHA-256, one type for each thing that is hashed.

use core::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The SHA-256 digest of the parts, one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// A function that hashes many messages of equal length; the digests come in the order of the messages.
///
/// The fastest one depends on the processor, so the shell hands one in. All give the same digests.
#[derive(Clone, Copy, Debug)]
pub struct HashMany {
    /// Hashes messages of 96 bytes, the size of a header.
    pub headers: fn(&[[u8; 96]]) -> Vec<[u8; 32]>,
    /// Hashes messages of 65 bytes, the size of an inner node of the merkle tree.
    pub nodes: fn(&[[u8; 65]]) -> Vec<[u8; 32]>,
}

impl Default for HashMany {
    /// Hashes the messages one by one, on any processor.
    fn default() -> Self {
        Self {
            headers: |messages| messages.iter().map(|message| sha256(&[message])).collect(),
            nodes: |messages| messages.iter().map(|message| sha256(&[message])).collect(),
        }
    }
}

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Thirty-two zero bytes: stands for "none" where a layout needs one.
            pub const ZERO: Self = Self([0; 32]);

            /// Wraps the bytes of a digest.
            #[must_use]
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes, in the order in which they are printed.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Reads exactly 64 hex digits.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes).ok()?;
                Some(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), &hex::encode(&self.0[..6]))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

hash_type! {
    /// The hash of a block's header, which is also its proof of work.
    BlockHash
}
hash_type! {
    /// The hash of a transaction with its signature, which is also a leaf of the merkle tree.
    Txid
}
impl Txid {
    /// The first eight bytes as a number. The exclusive-or of these numbers is a cheap fingerprint of a set of
    /// transactions.
    #[must_use]
    pub const fn leading_bits(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

hash_type! {
    /// The root of a block's merkle tree.
    MerkleRoot
}
hash_type! {
    /// The hash of a network's genesis block; two networks differ in it.
    NetworkId
}
