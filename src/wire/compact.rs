//! A block as gossip carries it: the header, and a short id for each transaction that others are expected to hold.
//!
//! Promises: the key of the short ids is a hash of the header, so whoever wants two transactions with one short id has to
//! do the block's work again for each try.
//! Elsewhere: how the block is put together again (`engine::parts::compact`).
//! Spec: `proto-notes/gossip.md`, "Compact blocks".

use bincode::{Decode, Encode};

use super::message::{WireError, at_most, decode, encode};
use crate::chain::Block;
use crate::chain::header::HEADER_BYTES;
use crate::chain::params::{BLOCK_MAX_TRANSACTIONS, TRANSACTION_MAX_BYTES};
use crate::types::Txid;
use crate::types::hash::sha256;

/// The largest compact block in bytes: 4,096 short ids take 24 KiB, the rest is room for whole transactions.
pub const COMPACT_BLOCK_MAX_BYTES: usize = 64 * 1024;
/// What is hashed in front of the header for the key of its short ids.
const KEY_DOMAIN: &[u8] = b"lanchain/short-id/1";
/// Bytes of whole transactions that the maker of a compact block puts into it, at most; the reward is always there.
const GIVEN_MAX_BYTES: usize = 16 * 1024;

/// Six bytes that stand for a transaction in one block.
pub type ShortId = [u8; 6];

/// A block whose transactions are named by short ids, but for those that its maker put in whole.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CompactBlock {
    /// The header of the block in its canonical bytes.
    pub header: [u8; HEADER_BYTES],
    /// Transactions in their canonical bytes, each with its position in the block, from 0; positions rise.
    pub given: Vec<(u16, Vec<u8>)>,
    /// The short ids of all other transactions, in the order of the block.
    pub ids: Vec<ShortId>,
}

/// The key of a block's short ids.
#[derive(Clone, Copy, Debug)]
pub struct ShortIds([u8; 16]);

impl ShortIds {
    /// The key that belongs to a header.
    #[must_use]
    pub fn of(header: &[u8; HEADER_BYTES]) -> Self {
        let digest = sha256(&[KEY_DOMAIN, header]);
        Self(*digest.first_chunk().expect("a digest is longer"))
    }

    /// The short id of a transaction in this block.
    #[must_use]
    pub fn id(&self, txid: &Txid) -> ShortId {
        let digest = sha256(&[&self.0, txid.as_bytes()]);
        *digest.first_chunk().expect("a digest is longer")
    }
}

impl CompactBlock {
    /// Makes the compact form of a block. `is_given` chooses the transactions that go whole, the first 16 KiB of them;
    /// the first transaction always does, for it is the reward.
    #[must_use]
    pub fn of(block: &Block, is_given: impl Fn(&Txid) -> bool) -> Self {
        let header = block.header.to_bytes();
        let key = ShortIds::of(&header);
        let (mut given, mut ids, mut room) = (Vec::new(), Vec::new(), GIVEN_MAX_BYTES);
        for (position, transaction) in (0..).zip(&block.transactions) {
            let txid = transaction.txid();
            let bytes = (position == 0 || is_given(&txid)).then(|| transaction.to_bytes());
            match bytes.filter(|bytes| bytes.len() <= room) {
                Some(bytes) => {
                    room -= bytes.len();
                    given.push((position, bytes));
                }
                None => ids.push(key.id(&txid)),
            }
        }
        Self { header, given, ids }
    }

    /// The number of transactions in the block.
    #[must_use]
    pub const fn transactions(&self) -> usize {
        self.given.len() + self.ids.len()
    }

    /// The bytes of the message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes a compact block. It has at most 4,096 transactions; each position lies within the block and above the one
    /// before.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let compact = decode::<Self, COMPACT_BLOCK_MAX_BYTES>(bytes)?;
        let count = compact.transactions();
        at_most("transactions of a block", count, BLOCK_MAX_TRANSACTIONS)?;
        for (_, transaction) in &compact.given {
            at_most("bytes of a transaction", transaction.len(), TRANSACTION_MAX_BYTES)?;
        }
        let mut positions = compact.given.iter().map(|(position, _)| usize::from(*position));
        if !positions.clone().is_sorted_by(|a, b| a < b) || positions.next_back().is_some_and(|last| last >= count) {
            return Err(WireError::Malformed(
                "positions that do not rise within the block".into(),
            ));
        }
        Ok(compact)
    }
}
