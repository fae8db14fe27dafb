//! Block headers: 96 bytes, and what can be checked of one beside its parent.
//!
//! Spec: `proto-notes/encoding.md`, "Header"; `proto-notes/consensus.md`, "Header rules".

use strum::IntoStaticStr;
use thiserror::Error;

use super::params::{FUTURE_MAX_MS, HEADER_VERSION, NetworkParams};
use crate::types::hash::sha256;
use crate::types::layout::{LayoutError, Reader};
use crate::types::time::span_words;
use crate::types::{Bits, BlockHash, Height, MerkleRoot, WallTime, Work};

/// The bytes of a header.
pub const HEADER_BYTES: usize = 96;

/// What proof of work covers: every field of a block hangs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The parent's hash.
    pub previous: BlockHash,
    /// The root over the block's transactions.
    pub merkle_root: MerkleRoot,
    /// Always 1.
    pub version: u32,
    /// The difficulty that the hash meets.
    pub bits: Bits,
    /// The parent's height and one.
    pub height: Height,
    /// When the miner made it.
    pub time: WallTime,
    /// What the miner varied.
    pub nonce: u64,
}

/// Why a header is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error, IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[strum(serialize_all = "snake_case")]
pub enum HeaderError {
    /// The version is not 1.
    #[error("header version {0}, only {HEADER_VERSION} exists")]
    BadVersion(u32),
    /// It does not follow the parent it was held against.
    #[error("previous hash is {got}, the parent is {expected}")]
    NotLinked {
        /// The parent's hash.
        expected: BlockHash,
        /// What the header says.
        got: BlockHash,
    },
    /// The height is not the parent's and one.
    #[error("height {got}, expected {expected}")]
    BadHeight {
        /// The parent's height and one.
        expected: Height,
        /// What the header says.
        got: Height,
    },
    /// Older than its parent.
    #[error("its time {} lies before its parent's {}", got.ms(), parent.ms())]
    TimeTooOld {
        /// The parent's time.
        parent: WallTime,
        /// What the header says.
        got: WallTime,
    },
    /// The bits are not what parent and time demand.
    #[error("bits {}, expected {}", got.0, expected.0)]
    BadTarget {
        /// What the rules demand.
        expected: Bits,
        /// What the header says.
        got: Bits,
    },
    /// The hash does not meet the bits.
    #[error("the hash {0} does not meet the target")]
    BadProofOfWork(BlockHash),
    /// Ahead of the local clock: not yet acceptable, not invalid.
    #[error("its time is {} ahead of this clock, {} are allowed", span_words(*ahead_ms), span_words(FUTURE_MAX_MS))]
    TimeTooNew {
        /// How far ahead.
        ahead_ms: u64,
    },
    /// No chain can have so many blocks by its time and bits: no parent needs to be known to see it.
    #[error("height {}, but by its time and bits the chain holds at most {most} blocks", got.get())]
    ChainTooLong {
        /// How many blocks time and bits allow.
        most: u64,
        /// What the header says.
        got: Height,
    },
}

impl Header {
    /// The 96 bytes that are hashed.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..32].copy_from_slice(self.previous.as_bytes());
        out[32..64].copy_from_slice(self.merkle_root.as_bytes());
        out[64..68].copy_from_slice(&self.version.to_be_bytes());
        out[68..72].copy_from_slice(&self.bits.0.to_be_bytes());
        out[72..80].copy_from_slice(&self.height.get().to_be_bytes());
        out[80..88].copy_from_slice(&self.time.ms().to_be_bytes());
        out[88..].copy_from_slice(&self.nonce.to_be_bytes());
        out
    }

    /// Reads 96 bytes. Any 96 bytes are a header; whether it is valid, the rules say.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Self {
        Self::read(&mut Reader::new(bytes)).expect("96 bytes are there")
    }

    /// Reads a header from the front of the bytes.
    ///
    /// # Errors
    /// [`LayoutError::Truncated`] if fewer than 96 are left.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, LayoutError> {
        Ok(Self {
            previous: BlockHash::new(reader.array()?),
            merkle_root: MerkleRoot::new(reader.array()?),
            version: reader.u32()?,
            bits: Bits(reader.u32()?),
            height: Height::new(reader.u64()?),
            time: WallTime::from_ms(reader.u64()?),
            nonce: reader.u64()?,
        })
    }

    /// The block's hash: one SHA-256 of the 96 bytes.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        BlockHash::new(sha256(&[&self.to_bytes()]))
    }

    /// Whether the hash meets the header's own bits. Says nothing about whether those are the right ones.
    ///
    /// # Errors
    /// [`HeaderError::BadTarget`] for bits outside the range, [`HeaderError::BadProofOfWork`] for a hash above the limit.
    pub fn check_proof_of_work(&self, params: &NetworkParams) -> Result<(), HeaderError> {
        self.check_hash(self.hash(), params)
    }

    /// The same for whoever has the hash of this header at hand.
    ///
    /// # Errors
    /// As [`Header::check_proof_of_work`].
    pub fn check_hash(&self, hash: BlockHash, params: &NetworkParams) -> Result<(), HeaderError> {
        match self.bits.target(params.halflife_ms) {
            None => Err(HeaderError::BadTarget {
                expected: Bits::floor(params.halflife_ms),
                got: self.bits,
            }),
            Some(target) if target.is_met_by(hash.as_bytes()) => Ok(()),
            Some(_) => Err(HeaderError::BadProofOfWork(hash)),
        }
    }

    /// Whether a chain can have this height at the header's time and bits. It follows from the difficulty rule, but
    /// needs no other header: so it is checked first.
    ///
    /// # Errors
    /// [`HeaderError::ChainTooLong`].
    pub fn check_length(&self, params: &NetworkParams) -> Result<(), HeaderError> {
        match params.longest_chain(self.time, self.bits) {
            Some(most) if self.height.get() > most => Err(HeaderError::ChainTooLong { most, got: self.height }),
            Some(_) | None => Ok(()),
        }
    }

    /// Every rule that binds a header to its parent. The clock is not among them: see [`Header::check_clock`].
    ///
    /// # Errors
    /// The first broken rule.
    pub fn check_after(&self, parent: &Self, params: &NetworkParams) -> Result<(), HeaderError> {
        self.check_linked(self.hash(), (parent, parent.hash()), params)
    }

    /// The same for whoever has the hashes of this header and its parent at hand.
    ///
    /// # Errors
    /// As [`Header::check_after`].
    pub fn check_linked(
        &self,
        hash: BlockHash,
        (parent, expected): (&Self, BlockHash),
        params: &NetworkParams,
    ) -> Result<(), HeaderError> {
        self.check_child((parent, expected), params)?;
        self.check_hash(hash, params)
    }

    /// The same without the proof of work, for whoever has checked that already.
    ///
    /// # Errors
    /// As [`Header::check_after`], but for [`HeaderError::BadProofOfWork`].
    pub fn check_child(
        &self,
        (parent, expected): (&Self, BlockHash),
        params: &NetworkParams,
    ) -> Result<(), HeaderError> {
        if self.version != HEADER_VERSION {
            return Err(HeaderError::BadVersion(self.version));
        }
        if self.previous != expected {
            return Err(HeaderError::NotLinked {
                expected,
                got: self.previous,
            });
        }
        if self.height != parent.height.next() {
            return Err(HeaderError::BadHeight {
                expected: parent.height.next(),
                got: self.height,
            });
        }
        if self.time < parent.time {
            return Err(HeaderError::TimeTooOld {
                parent: parent.time,
                got: self.time,
            });
        }
        let required = params.required_bits(parent, self.time);
        if self.bits != required {
            return Err(HeaderError::BadTarget {
                expected: required,
                got: self.bits,
            });
        }
        Ok(())
    }

    /// Whether the local clock has come near enough to the header's time.
    ///
    /// # Errors
    /// [`HeaderError::TimeTooNew`]: ask again later.
    pub const fn check_clock(&self, clock: WallTime) -> Result<(), HeaderError> {
        let ahead_ms = self.time.since(clock);
        if ahead_ms > FUTURE_MAX_MS {
            Err(HeaderError::TimeTooNew { ahead_ms })
        } else {
            Ok(())
        }
    }

    /// The weight that this block adds to its branch: the work of its parent's bits.
    #[must_use]
    pub fn weight(parent: &Self, params: &NetworkParams) -> Work {
        parent.bits.work(params.halflife_ms).unwrap_or(Work::ZERO)
    }
}
