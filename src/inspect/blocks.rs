//! Blocks in replies: BLOCK of the contract, found by height, hash or prefix, and the experiments on a block.
//!
//! Spec: `proto-notes/events.md`, "Replies".

use super::tamper::Sandbox;
use super::transactions::tx_view;
use super::{View, explain, no_block, store_error};
use crate::chain::header::HEADER_BYTES;
use crate::chain::{Block, ChainStore, Header, Moved, StoreError, StoredBlock, Transaction};
use crate::contract::{BlockFacts, BlockRef, BlockView, CommandError, Reply};
use crate::types::layout::Reader;
use crate::types::{Account, BlockHash, Height};

/// The most bytes of blocks that go into a reply in one turn: a full block of any network, or a thousand empty ones.
const BLOCKS_AT_ONCE_BYTES: u64 = 256 * 1024;

/// A block as BLOCK of the contract; `reward` is the network's, in coins.
#[must_use]
pub fn block_view(hash: &BlockHash, stored: &StoredBlock, block: &Block, active: bool, reward: u64) -> BlockView {
    let header = &stored.header;
    BlockView {
        hash: *hash,
        height: header.height,
        previous_hash: header.previous,
        merkle_root: header.merkle_root,
        version: header.version,
        time_ms: header.time,
        bits: header.bits,
        nonce: header.nonce.to_string(),
        work: stored.work,
        active,
        miner: block.miner().cloned(),
        header: hex::encode(header.to_bytes()),
        transactions: block.transactions.iter().map(|tx| tx_view(tx, reward)).collect(),
    }
}

/// What events say of a block.
#[must_use]
pub fn block_facts(moved: &Moved) -> BlockFacts {
    let Moved {
        hash,
        header,
        adds_work,
        work,
        miner,
        ..
    } = moved;
    BlockFacts {
        hash: *hash,
        height: header.height,
        previous_hash: header.previous,
        miner: miner.clone(),
        block_time_ms: header.time.ms(),
        bits: header.bits,
        adds_work: *adds_work,
        work: *work,
    }
}

impl<S: ChainStore> View<'_, S> {
    /// The reply of `block`.
    pub fn block(&self, block: BlockRef) -> Result<Reply, CommandError> {
        self.block_by_hash(&self.find_block(block)?).map(Reply::Block)
    }

    /// The hash of the block that the user typed.
    pub fn find_block(&self, block: BlockRef) -> Result<BlockHash, CommandError> {
        let hash = match block {
            BlockRef::Latest => self.chain.tip().hash,
            BlockRef::Hash(hash) => hash,
            BlockRef::Height(height) => self.chain.active(height).map_err(store_error)?.ok_or_else(|| {
                let tip = self.chain.tip().header.height;
                CommandError::new(
                    "unknown_block",
                    format!("there is no block {height} yet; the newest is {tip}"),
                    format!("block {tip}"),
                )
            })?,
            BlockRef::Prefix(prefix) => {
                let found = self.chain.blocks_by_prefix(&prefix, 2).map_err(store_error)?;
                match found.as_slice() {
                    [] => return Err(no_block()),
                    [hash] => *hash,
                    [..] => {
                        return Err(CommandError::new(
                            "ambiguous",
                            format!("more than one block starts with {prefix}; type more digits of the hash"),
                            "chain",
                        ));
                    }
                }
            }
        };
        Ok(hash)
    }

    /// A stored block's body; none if the block is not stored.
    pub fn body_of(&self, hash: &BlockHash) -> Result<Option<Block>, StoreError> {
        self.chain.whole_block(hash)
    }

    /// A block as BLOCK of the contract, by its hash.
    pub fn block_by_hash(&self, hash: &BlockHash) -> Result<BlockView, CommandError> {
        let stored = self.chain.block(hash).map_err(store_error)?.ok_or_else(no_block)?;
        let block = self.body_of(hash).map_err(store_error)?.ok_or_else(no_block)?;
        let active = self.chain.is_active(hash).map_err(store_error)?;
        Ok(block_view(hash, &stored, &block, active, self.chain.params().reward))
    }

    /// The newest blocks of the active chain, the newest first.
    pub fn chain(&self, limit: u32) -> Result<Reply, CommandError> {
        let mut height = Some(self.chain.tip().header.height);
        let length = self.chain.tip().header.height.get().saturating_add(1);
        let mut hashes = Vec::new();
        for _ in 0..limit {
            let Some(at) = height else { break };
            hashes.push(self.chain.active(at).map_err(store_error)?.ok_or_else(no_block)?);
            height = at.previous();
        }
        let (blocks, rest) = self.first_views(hashes)?;
        Ok(Reply::Chain { length, blocks, rest })
    }

    /// The first of these blocks as views, as many as one turn may read, and the hashes of the others.
    pub fn first_views(&self, hashes: Vec<BlockHash>) -> Result<(Vec<BlockView>, Vec<BlockHash>), CommandError> {
        let (mut views, mut bytes) = (Vec::new(), 0_u64);
        let mut hashes = hashes.into_iter();
        while bytes < BLOCKS_AT_ONCE_BYTES {
            let Some(hash) = hashes.next() else { break };
            let stored = self.chain.block(&hash).map_err(store_error)?.ok_or_else(no_block)?;
            bytes = bytes.saturating_add(stored.size_bytes);
            views.push(self.block_by_hash(&hash)?);
        }
        Ok((views, hashes.collect()))
    }

    /// The reply of `explain block`.
    pub fn explain_block(&self, block: BlockRef) -> Result<Reply, CommandError> {
        let hash = self.find_block(block)?;
        let stored = self.chain.block(&hash).map_err(store_error)?.ok_or_else(no_block)?;
        let body = self.body_of(&hash).map_err(store_error)?.ok_or_else(no_block)?;
        let parent = match stored.header.height {
            Height::GENESIS => None,
            _ => self.chain.block(&stored.header.previous).map_err(store_error)?,
        };
        let active = self.chain.is_active(&hash).map_err(store_error)?;
        Ok(Reply::BlockExplained(Box::new(explain::block(
            self.chain.params(),
            &stored.header,
            parent.as_ref().map(|parent| &parent.header),
            (stored.work, active, body.transactions.len()),
        ))))
    }

    /// Changes copies of a block and says which rule refuses each. `secret` seeds the check of signatures in a batch;
    /// `hash_rate` is this machine's, in attempts a second, or 0.
    pub fn tamper(&self, height: Height, secret: [u8; 32], hash_rate: u64) -> Result<Reply, CommandError> {
        if height == Height::GENESIS {
            return Err(CommandError::new(
                "bad_argument",
                "block 0 is made of the network's parameters: another one is another network",
                if self.chain.tip().header.height > Height::GENESIS {
                    "tamper 1"
                } else {
                    "mine"
                },
            ));
        }
        let hash = self.find_block(BlockRef::Height(height))?;
        let block = self.body_of(&hash).map_err(store_error)?.ok_or_else(no_block)?;
        let below = self.chain.block(&block.header.previous).map_err(store_error)?;
        let child = self.header_at(height.next())?;
        let sandbox = Sandbox {
            params: self.chain.params(),
            network: self.chain.network_id(),
            secret,
            parent: &below.ok_or_else(no_block)?.header,
            block: &block,
            child: child.as_ref(),
            hash_rate,
        };
        Ok(Reply::Tampered(Box::new(sandbox.run())))
    }

    /// The header of the active block at a height; none above the tip.
    fn header_at(&self, height: Height) -> Result<Option<Header>, CommandError> {
        let Some(hash) = self.chain.active(height).map_err(store_error)? else {
            return Ok(None);
        };
        let stored = self.chain.block(&hash).map_err(store_error)?;
        Ok(stored.map(|stored| stored.header))
    }

    /// A block's header, its miner, and the number of its transactions; only the first transaction is decoded.
    pub(super) fn summary(&self, hash: &BlockHash) -> Result<Option<(Header, Option<Account>, u64)>, StoreError> {
        let Some(bytes) = self.chain.body(hash)? else {
            return Ok(None);
        };
        let damaged = |_| StoreError::Damaged(format!("block {hash}"));
        let header = Block::header_of(&bytes).map_err(damaged)?;
        let mut reader = Reader::new(&bytes[HEADER_BYTES..]);
        let count = reader.u32().map_err(damaged)?;
        let miner = match Transaction::read(&mut reader) {
            Ok(Transaction::Reward(reward)) => Some(reward.to),
            Ok(Transaction::Transfer(_) | Transaction::Claim(_)) | Err(_) => None,
        };
        Ok(Some((header, miner, u64::from(count))))
    }
}
