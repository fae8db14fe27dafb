//! Blocks: a header, its transactions, and the rules that can be checked without a ledger.
//!
//! Spec: `proto-notes/encoding.md`, "Block"; `proto-notes/consensus.md`, "Block rules".

use thiserror::Error;

use super::header::{HEADER_BYTES, Header};
use super::merkle;
use super::params::{BLOCK_MAX_BYTES, BLOCK_MAX_TRANSACTIONS, NetworkParams};
use super::transaction::{Transaction, TransactionError};
use crate::types::hash::HashMany;
use crate::types::key::verify_batch;
use crate::types::layout::{LayoutError, Reader};
use crate::types::{Account, BlockHash, Height, MerkleRoot, NetworkId, Txid};

/// Bytes of a block that are not transactions: the header and the count.
pub const BLOCK_FRAME_BYTES: usize = HEADER_BYTES + 4;

/// A header and the transactions that its merkle root covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The 96 bytes that are hashed for the proof of work.
    pub header: Header,
    /// The transactions in order; the first one is the reward.
    pub transactions: Vec<Transaction>,
}

/// Why a block is invalid for every ledger.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BlockError {
    /// The bytes do not follow the layout of a block.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A transaction breaks a rule of form or has a bad signature.
    #[error("transaction {index}: {error}")]
    Transaction {
        /// The position of the transaction in the block, from 0.
        index: usize,
        /// The rule that it breaks.
        error: TransactionError,
    },
    /// The block has more transactions than allowed; the field says how many.
    #[error("{0} transactions, at most {BLOCK_MAX_TRANSACTIONS} are allowed")]
    TooManyTransactions(usize),
    /// The header's merkle root differs from the root of the transactions.
    #[error("merkle root is {got}, the transactions give {expected}")]
    BadMerkleRoot {
        /// The root computed from the transactions.
        expected: MerkleRoot,
        /// The root in the header.
        got: MerkleRoot,
    },
    /// The block is larger than the network allows. Its root was checked first, so the miner made it so.
    #[error("{size} bytes, at most {limit} are allowed on this network")]
    TooManyBytes {
        /// The size of the block in bytes.
        size: usize,
        /// The largest size that the network allows, in bytes.
        limit: usize,
    },
    /// The reward is missing, not first, given twice, or made for another height.
    #[error("the first transaction, and no other, must be the reward of height {0}")]
    BadReward(Height),
}

impl Block {
    /// The account that gets the reward; none for genesis.
    #[must_use]
    pub fn miner(&self) -> Option<&Account> {
        match self.transactions.first() {
            Some(Transaction::Reward(reward)) => Some(&reward.to),
            Some(Transaction::Transfer(_) | Transaction::Claim(_)) | None => None,
        }
    }

    /// The block's canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.header.to_bytes().to_vec();
        let count = u32::try_from(self.transactions.len()).expect("a block has at most 4,096 transactions");
        out.extend_from_slice(&count.to_be_bytes());
        for transaction in &self.transactions {
            out.extend_from_slice(&transaction.to_bytes());
        }
        out
    }

    /// Reads only the header from a block's bytes, so that proof of work can be checked before anything else.
    ///
    /// # Errors
    /// [`LayoutError`] if there are fewer than 96 bytes, or more than a block may have.
    pub fn header_of(bytes: &[u8]) -> Result<Header, LayoutError> {
        match bytes.first_chunk::<HEADER_BYTES>() {
            _ if bytes.len() > BLOCK_MAX_BYTES => Err(LayoutError::TooLong {
                size: bytes.len(),
                limit: BLOCK_MAX_BYTES,
            }),
            Some(header) => Ok(Header::from_bytes(header)),
            None => Err(LayoutError::Truncated),
        }
    }

    /// Reads exactly one block. It does not check signatures and root.
    ///
    /// # Errors
    /// [`BlockError`] if the bytes are not a block.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BlockError> {
        Self::read(Reader::new(bytes))
    }

    /// Reads exactly one block, as [`Block::from_bytes`] does, with a reader that stands before it.
    pub(crate) fn read(mut reader: Reader<'_>) -> Result<Self, BlockError> {
        let header = Self::header_of(reader.rest())?;
        reader.bytes(HEADER_BYTES)?;
        let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        if count > BLOCK_MAX_TRANSACTIONS {
            return Err(BlockError::TooManyTransactions(count));
        }
        let mut transactions = Vec::new();
        for index in 0..count {
            let transaction =
                Transaction::read(&mut reader).map_err(|error| BlockError::Transaction { index, error })?;
            transactions.push(transaction);
        }
        reader.finish()?;
        Ok(Self { header, transactions })
    }

    /// The ids of the transactions in order, which are the leaves of the merkle tree.
    #[must_use]
    pub fn txids(&self) -> Vec<Txid> {
        self.transactions.iter().map(Transaction::txid).collect()
    }

    /// The size of the block's canonical bytes: header, count and transactions.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let sizes = self.transactions.iter().map(|transaction| transaction.to_bytes().len());
        BLOCK_FRAME_BYTES + sizes.sum::<usize>()
    }

    /// The block's hash, which is the hash of its header.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        self.header.hash()
    }

    /// Checks root, size, reward and signatures: all rules that need neither parent nor ledger. `secret` seeds the
    /// check of the signatures in a batch.
    ///
    /// # Errors
    /// [`BlockError`] with the first broken rule.
    pub fn check(&self, params: &NetworkParams, secret: &[u8; 32]) -> Result<(), BlockError> {
        self.check_with(params, &params.network_id(), secret, &HashMany::default())
    }

    /// Checks as [`Block::check`] does, with a network id computed before and a faster way to hash the tree.
    ///
    /// # Errors
    /// As [`Block::check`].
    pub fn check_with(
        &self,
        params: &NetworkParams,
        network: &NetworkId,
        secret: &[u8; 32],
        many: &HashMany,
    ) -> Result<(), BlockError> {
        self.check_frame((&self.txids(), self.size_bytes()), params, many)?;
        let items: Vec<_> = self
            .transactions
            .iter()
            .filter_map(|tx| tx.signature_item(network))
            .collect();
        if items.is_empty() || verify_batch(secret, &items) {
            return Ok(());
        }
        // ZIP-215 makes both ways agree. If they ever differed, the single checks would decide, alike on every node.
        self.check_signatures(network)
    }

    /// Checks root, size and reward, for a caller that knows the transactions' ids and the size of the block in bytes.
    pub(super) fn check_frame(
        &self,
        (txids, size): (&[Txid], usize),
        params: &NetworkParams,
        many: &HashMany,
    ) -> Result<(), BlockError> {
        let expected = merkle::root_with(txids, many);
        if self.header.merkle_root != expected {
            return Err(BlockError::BadMerkleRoot {
                expected,
                got: self.header.merkle_root,
            });
        }
        // Checked after the root: anybody can pad a copy of a block, and such a copy must not make the header invalid.
        let limit = params.block_bytes_max();
        if size > limit {
            return Err(BlockError::TooManyBytes { size, limit });
        }
        self.check_reward()
    }

    /// Checks the signatures one after the other.
    pub(super) fn check_signatures(&self, network: &NetworkId) -> Result<(), BlockError> {
        for (index, transaction) in self.transactions.iter().enumerate() {
            transaction
                .check_signature(network)
                .map_err(|error| BlockError::Transaction { index, error })?;
        }
        Ok(())
    }

    fn check_reward(&self) -> Result<(), BlockError> {
        let height = self.header.height;
        let is_reward = |tx: &Transaction| matches!(tx, Transaction::Reward(_));
        match self.transactions.split_first() {
            Some((Transaction::Reward(reward), rest)) if reward.height == height && !rest.iter().any(is_reward) => {
                Ok(())
            }
            Some(_) | None => Err(BlockError::BadReward(height)),
        }
    }
}
