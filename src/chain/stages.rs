//! The stages of a received block: each check is made once, in this order, and the type says which checks it has
//! passed.
//!
//! ```text
//! bytes -> Received      the header and its hash; `prove`: the hash meets the header's own target
//!       -> Linked        `Chain::link`: new, its parent is stored, every rule that binds it to the parent, the clock
//!       -> Candidate     `Chain::check_body`: the body is the one that the root covers, and every signature is good;
//!                        `Chain::judge`: the same by a verdict that was made beside the chain
//!       -> active, or beside the active branch      `Chain::take`: the ledger, and the choice between branches
//! ```
//!
//! Promises: header, ids and bytes are computed once for each block; no block reaches a stage without passing the
//! earlier ones.
//! Elsewhere: the checks of a body (`chain::checks`), what a candidate does to the chain (`chain::branch`), who offers blocks (`engine`).
//! Spec: `proto-notes/consensus.md`, "Header rules", "Block rules".

use super::block::{Block, BlockError};
use super::checks::{BodyFault, BodyRules, CheckedBody, Verdict};
use super::header::{Header, HeaderError};
use super::params::NetworkParams;
use super::state::{AcceptError, Chain};
use super::store::{ChainStore, StoredBlock};
use super::switch::Moved;
use crate::types::layout::LayoutError;
use crate::types::{BlockHash, Height, Txid, WallTime, Work};

/// A header that was received, with its hash. Nothing about it has been checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    header: Header,
    hash: BlockHash,
    is_proven: bool,
}

/// A header whose parent is stored and that follows all rules as the child of that parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    received: Received,
    parent: Header,
    work: Work,
}

/// A block that was received: its bytes, and the block that they encode.
#[derive(Clone, Debug)]
pub struct Body {
    bytes: Vec<u8>,
    block: Block,
}

/// A block that has passed all checks except those of the ledger.
#[derive(Debug)]
pub struct Candidate {
    pub(super) hash: BlockHash,
    pub(super) stored: StoredBlock,
    pub(super) bytes: Vec<u8>,
    pub(super) block: Block,
    pub(super) txids: Vec<Txid>,
    parent: Header,
}

impl Candidate {
    /// The hash of the block.
    #[must_use]
    pub const fn hash(&self) -> BlockHash {
        self.hash
    }

    /// The height of the block.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.stored.header.height
    }

    /// What is told of the block if it is kept beside the active branch.
    #[must_use]
    pub fn moved(&self, params: &NetworkParams) -> Moved {
        Moved::new(self.hash, &self.block, self.stored.work, &self.parent, params)
    }
}

impl Received {
    /// A received header; this computes its hash.
    #[must_use]
    pub fn new(header: Header) -> Self {
        Self {
            hash: header.hash(),
            header,
            is_proven: false,
        }
    }

    /// Reads the header at the beginning of a block's bytes.
    ///
    /// # Errors
    /// [`LayoutError`] if there are fewer bytes than a header has, or more than a block may have.
    pub fn read(bytes: &[u8]) -> Result<Self, LayoutError> {
        Block::header_of(bytes).map(Self::new)
    }

    /// The header itself, whose hash was computed once.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The hash of the header, which is also the block's.
    #[must_use]
    pub const fn hash(&self) -> BlockHash {
        self.hash
    }

    /// Checks the rules that need no other block: the height that a chain can have at the header's time, and the hash
    /// against the header's own target. A stranger must have done that work before anything else of the block is
    /// examined.
    ///
    /// # Errors
    /// [`HeaderError::ChainTooLong`], [`HeaderError::BadTarget`] or [`HeaderError::BadProofOfWork`].
    pub fn prove(&mut self, params: &NetworkParams) -> Result<(), HeaderError> {
        self.header.check_length(params)?;
        self.header.check_hash(self.hash, params)?;
        self.is_proven = true;
        Ok(())
    }
}

impl Linked {
    /// The hash of the header, which is also the block's.
    #[must_use]
    pub const fn hash(&self) -> BlockHash {
        self.received.hash
    }

    /// The header itself, whose hash was computed once.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.received.header
    }

    /// The header alone, for whoever keeps it: by and by the parent may be stored no more.
    #[must_use]
    pub fn into_received(self) -> Received {
        self.received
    }

    /// The work of the branch that ends in this block.
    #[must_use]
    pub const fn work(&self) -> Work {
        self.work
    }
}

impl Body {
    /// Reads exactly one block; signatures and root are not checked here.
    ///
    /// # Errors
    /// [`BlockError`] if the bytes are not a block.
    pub fn read(bytes: Vec<u8>) -> Result<Self, BlockError> {
        Ok(Self {
            block: Block::from_bytes(&bytes)?,
            bytes,
        })
    }

    /// The header of the block.
    pub(super) const fn header(&self) -> &Header {
        &self.block.header
    }

    /// The bytes, and the block that they encode.
    pub(super) fn into_parts(self) -> (Vec<u8>, Block) {
        (self.bytes, self.block)
    }

    /// The size of the block in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The number of transactions, the reward included.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.block.transactions.len()
    }
}

impl From<Block> for Body {
    fn from(block: Block) -> Self {
        Self {
            bytes: block.to_bytes(),
            block,
        }
    }
}

impl<S: ChainStore> Chain<S> {
    /// Checks a header against its parent and the clock; none if the block is stored already.
    ///
    /// # Errors
    /// [`AcceptError::KnownInvalid`] if the block or its parent was refused before; [`AcceptError::UnknownParent`] if
    /// the parent is not stored; [`AcceptError::Header`] with the first broken rule, the clock last;
    /// [`AcceptError::Store`] if the store fails.
    pub fn link(&self, received: Received, clock: WallTime) -> Result<Option<Linked>, AcceptError> {
        let Received { header, hash, .. } = &received;
        let previous = header.previous;
        for known in [*hash, previous] {
            if self.is_invalid(&known) {
                return Err(AcceptError::KnownInvalid(known));
            }
        }
        if self.block(hash)?.is_some() {
            return Ok(None);
        }
        let parent = self.block(&previous)?;
        let parent = parent.ok_or(AcceptError::UnknownParent { parent: previous })?;
        header.check_child((&parent.header, previous), &self.params)?;
        if !received.is_proven {
            header.check_hash(*hash, &self.params)?;
        }
        header.check_clock(clock)?;
        Ok(Some(Linked {
            work: parent.work.plus(Header::weight(&parent.header, &self.params)),
            parent: parent.header,
            received,
        }))
    }

    /// The checks of bodies that need neither a parent nor a ledger, for whoever makes them beside the chain.
    pub const fn rules(&self) -> &BodyRules {
        &self.rules
    }

    /// Checks the rules of the body that need no ledger.
    ///
    /// # Errors
    /// As [`Chain::judge`].
    pub fn check_body(&mut self, linked: Linked, body: Body) -> Result<Candidate, AcceptError> {
        self.check_body_but(linked, body, &|_| false)
    }

    /// Checks as [`Chain::check_body`] does, but not the signatures of transactions with a `known` id: the caller has
    /// checked them before.
    ///
    /// # Errors
    /// As [`Chain::judge`].
    pub fn check_body_but(
        &mut self,
        linked: Linked,
        body: Body,
        known: &dyn Fn(&Txid) -> bool,
    ) -> Result<Candidate, AcceptError> {
        let verdict = self.rules.check(linked.hash(), body, known);
        self.judge(linked, verdict)
    }

    /// Draws the conclusion from the checks of a body. A broken rule makes the hash invalid only if the hash covers it:
    /// a body that does not match the merkle root may be a forged copy of a valid block.
    ///
    /// # Errors
    /// [`AcceptError::Block`] with the first broken rule.
    pub fn judge(&mut self, linked: Linked, verdict: Verdict) -> Result<Candidate, AcceptError> {
        let Received { header, hash, .. } = linked.received;
        assert_eq!(verdict.block, hash, "the verdict on the body of another block");
        let CheckedBody { bytes, block, txids } = match verdict.result {
            Ok(checked) => checked,
            Err(BodyFault::Unreadable(error)) => return Err(error.into()),
            Err(BodyFault::Broken(error)) => {
                match error {
                    BlockError::Transaction { .. } | BlockError::BadReward(_) | BlockError::TooManyBytes { .. } => {
                        self.invalid.insert(hash);
                    }
                    BlockError::Layout(_) | BlockError::TooManyTransactions(_) | BlockError::BadMerkleRoot { .. } => {}
                }
                return Err(error.into());
            }
        };
        assert_eq!(header, block.header, "the body of another header");
        Ok(Candidate {
            hash,
            stored: StoredBlock {
                header,
                work: linked.work,
                size_bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            },
            bytes,
            block,
            txids,
            parent: linked.parent,
        })
    }
}
