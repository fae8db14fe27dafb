//! Block headers: their 96 bytes, and the rules that need at most the parent.
//!
//! Spec: `proto-notes/encoding.md`, "Header"; `proto-notes/consensus.md`, "Header rules".

use strum::IntoStaticStr;
use thiserror::Error;

use super::params::{FUTURE_MAX_MS, HEADER_VERSION, NetworkParams};
use crate::types::hash::sha256;
use crate::types::layout::{LayoutError, Reader};
use crate::types::time::span_words;
use crate::types::{Bits, BlockHash, Height, MerkleRoot, WallTime, Work};

/// The size of a header in bytes.
pub const HEADER_BYTES: usize = 96;

/// The header of a block. Proof of work covers it, and it fixes every other field of the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The hash of the parent's header.
    pub previous: BlockHash,
    /// The merkle root over the block's transactions.
    pub merkle_root: MerkleRoot,
    /// The version of the header's layout, always 1.
    pub version: u32,
    /// The difficulty that the hash must meet.
    pub bits: Bits,
    /// The parent's height plus one.
    pub height: Height,
    /// The time at which the miner says it made the block, never before the parent's time.
    pub time: WallTime,
    /// The number that the miner varies until the hash meets the target.
    pub nonce: u64,
}

/// Why a header is invalid, or cannot be accepted yet.
#[derive(Clone, Debug, PartialEq, Eq, Error, IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[strum(serialize_all = "snake_case")]
pub enum HeaderError {
    /// The version is not 1.
    #[error("header version {0}, only {HEADER_VERSION} exists")]
    BadVersion(u32),
    /// The header's parent is another block than the one it was compared with.
    #[error("previous hash is {got}, the parent is {expected}")]
    NotLinked {
        /// The hash of the block it was compared with.
        expected: BlockHash,
        /// The parent's hash in the header.
        got: BlockHash,
    },
    /// The height is not the parent's height plus one.
    #[error("height {got}, expected {expected}")]
    BadHeight {
        /// The parent's height plus one.
        expected: Height,
        /// The height in the header.
        got: Height,
    },
    /// The header's time is before its parent's.
    #[error("its time {} lies before its parent's {}", got.ms(), parent.ms())]
    TimeTooOld {
        /// The time of the parent's header.
        parent: WallTime,
        /// The time in the header.
        got: WallTime,
    },
    /// The bits differ from what the parent and the header's time demand.
    #[error("bits {}, expected {}", got.0, expected.0)]
    BadTarget {
        /// The bits that the rules demand.
        expected: Bits,
        /// The bits in the header.
        got: Bits,
    },
    /// The hash does not meet the header's bits.
    #[error("the hash {0} does not meet the target")]
    BadProofOfWork(BlockHash),
    /// The time is too far ahead of the local clock. The header is not invalid, and may be accepted later.
    #[error("its time is {} ahead of this clock, {} are allowed", span_words(*ahead_ms), span_words(FUTURE_MAX_MS))]
    TimeTooNew {
        /// How far the header is ahead of the local clock, in milliseconds.
        ahead_ms: u64,
    },
    /// The height is impossible for the header's time and bits; this shows without the parent.
    #[error("height {}, but by its time and bits the chain holds at most {most} blocks", got.get())]
    ChainTooLong {
        /// The most blocks that a chain with this time and these bits can have.
        most: u64,
        /// The height in the header.
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

    /// Reads 96 bytes. Any 96 bytes are a header; only the rules decide whether it is valid.
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

    /// The block's hash: SHA-256 of the 96 bytes, applied once.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        BlockHash::new(sha256(&[&self.to_bytes()]))
    }

    /// Checks that the hash meets the header's own bits. Whether these are the right bits is another rule.
    ///
    /// # Errors
    /// [`HeaderError::BadTarget`] for bits outside the range, [`HeaderError::BadProofOfWork`] for a hash above the limit.
    pub fn check_proof_of_work(&self, params: &NetworkParams) -> Result<(), HeaderError> {
        self.check_hash(self.hash(), params)
    }

    /// Checks as [`Header::check_proof_of_work`] does, for a caller that knows the header's hash.
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

    /// Checks that a chain can have this height at the header's time and bits. The rule follows from the difficulty
    /// rule, but needs no other header, so it is checked first.
    ///
    /// # Errors
    /// [`HeaderError::ChainTooLong`] if it cannot.
    pub fn check_length(&self, params: &NetworkParams) -> Result<(), HeaderError> {
        match params.longest_chain(self.time, self.bits) {
            Some(most) if self.height.get() > most => Err(HeaderError::ChainTooLong { most, got: self.height }),
            Some(_) | None => Ok(()),
        }
    }

    /// Checks every rule that binds a header to its parent. [`Header::check_clock`] compares it with the local clock.
    ///
    /// # Errors
    /// [`HeaderError`] with the first broken rule.
    pub fn check_after(&self, parent: &Self, params: &NetworkParams) -> Result<(), HeaderError> {
        self.check_linked(self.hash(), (parent, parent.hash()), params)
    }

    /// Checks as [`Header::check_after`] does, for a caller that knows the hashes of the header and its parent.
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

    /// Checks as [`Header::check_linked`] does, without the proof of work, which the caller has checked before.
    ///
    /// # Errors
    /// As [`Header::check_after`], except for [`HeaderError::BadProofOfWork`].
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

    /// Checks that the header's time is at most two minutes ahead of the local clock.
    ///
    /// # Errors
    /// [`HeaderError::TimeTooNew`] if it is; the caller may ask again later.
    pub const fn check_clock(&self, clock: WallTime) -> Result<(), HeaderError> {
        let ahead_ms = self.time.since(clock);
        if ahead_ms > FUTURE_MAX_MS {
            Err(HeaderError::TimeTooNew { ahead_ms })
        } else {
            Ok(())
        }
    }

    /// The work that this block adds to its branch: the work of its parent's bits.
    #[must_use]
    pub fn weight(parent: &Self, params: &NetworkParams) -> Work {
        parent.bits.work(params.halflife_ms).unwrap_or(Work::ZERO)
    }
}
