//! The checks of a block's body that need neither its parent nor a ledger: most of the work that a block costs.
//!
//! Promises: the verdict on a body depends on its bytes and the network alone, so anybody may make it: the chain at once,
//! or another thread while the chain takes the blocks before. Bodies that are checked together get the verdicts that
//! each would get alone. Only [`BodyRules`] makes a [`Verdict`].
//! Elsewhere: the stages of a block (`chain::stages`), the equation of a batch (`types::key`).
//! Spec: `proto-notes/consensus.md`, "Block rules".

use core::fmt;
use core::ops::Range;
use std::sync::Arc;

use super::block::{Block, BlockError};
use super::header::Header;
use super::params::{BLOCK_MAX_BYTES, BLOCK_MAX_TRANSACTIONS, NetworkParams};
use super::stages::Body;
use super::transaction::{Transaction, TransactionError};
use crate::types::hash::HashMany;
use crate::types::key::verify_batch;
use crate::types::layout::LayoutError;
use crate::types::{BlockHash, NetworkId, PublicKey, Signature, Txid};

/// What the checks of bodies need to know of a network. Clones are cheap.
#[derive(Clone)]
pub struct BodyRules {
    params: Arc<NetworkParams>,
    network: NetworkId,
    /// Seeds the check of signatures in batches.
    secret: [u8; 32],
    many: HashMany,
}

/// What came of the checks of one body.
#[derive(Clone)]
pub struct Verdict {
    pub(super) block: BlockHash,
    /// The header in front of the body; none if the bytes are no block.
    pub(super) header: Option<Header>,
    pub(super) result: Result<CheckedBody, BodyFault>,
}

/// A body that follows every rule that needs neither its parent nor a ledger.
#[derive(Clone, Debug)]
pub(super) struct CheckedBody {
    pub(super) bytes: Vec<u8>,
    pub(super) block: Block,
    pub(super) txids: Vec<Txid>,
}

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BodyFault {
    /// The bytes are no block. They may be a spoilt copy of a valid one.
    Unreadable(BlockError),
    /// The block breaks a rule.
    Broken(BlockError),
}

/// A body after its first checks: the hash of its block, its header, what the checks gave, and the range of its
/// signatures.
type Framed = (BlockHash, Option<Header>, Result<CheckedBody, BodyFault>, Range<usize>);

/// What is signed in a body: key, message and signature.
type Items = Vec<(PublicKey, Vec<u8>, Signature)>;

impl fmt::Debug for BodyRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyRules({})", self.network)
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.good() {
            Ok(_) => write!(f, "Verdict({}: good)", self.block),
            Err(error) => write!(f, "Verdict({}: {error})", self.block),
        }
    }
}

impl BodyRules {
    /// The rules of a network. `secret` seeds the check of signatures in batches, `many` is the fastest way to hash many
    /// messages.
    #[must_use]
    pub fn new(params: &NetworkParams, secret: [u8; 32], many: HashMany) -> Self {
        Self {
            network: params.network_id(),
            params: Arc::new(params.clone()),
            secret,
            many,
        }
    }

    /// Sets a faster way to hash many messages.
    pub(super) const fn set_hash_many(&mut self, many: HashMany) {
        self.many = many;
    }

    /// The way in which many messages are hashed.
    #[must_use]
    pub const fn hash_many(&self) -> HashMany {
        self.many
    }

    /// Reads bodies and checks them, all signatures together.
    #[must_use]
    pub fn read_and_check(&self, bodies: Vec<(BlockHash, Vec<u8>)>) -> Vec<Verdict> {
        let read = bodies.into_iter().map(|(hash, bytes)| (hash, Body::read(bytes)));
        self.check_together(read.collect(), &|_| false)
    }

    /// Checks a body. The signatures of transactions with a `known` id are not checked again: the id covers the
    /// signature, so the caller has checked these very bytes.
    #[must_use]
    pub fn check(&self, hash: BlockHash, body: Body, known: &dyn Fn(&Txid) -> bool) -> Verdict {
        let mut verdicts = self.check_together(vec![(hash, Ok(body))], known);
        verdicts.pop().expect("a verdict for each body")
    }

    /// Checks the signatures of transactions, all together.
    ///
    /// # Errors
    /// The first transaction with a wrong one.
    pub fn check_signatures<'a>(
        &self,
        transactions: impl Iterator<Item = &'a Transaction> + Clone,
    ) -> Result<(), (&'a Transaction, TransactionError)> {
        let items: Items = transactions
            .clone()
            .filter_map(|transaction| transaction.signature_item(&self.network))
            .collect();
        if items.is_empty() || verify_batch(&self.secret, &items) {
            return Ok(());
        }
        let mut checked = transactions.map(|transaction| (transaction, transaction.check_signature(&self.network)));
        match checked.find_map(|(transaction, result)| Some((transaction, result.err()?))) {
            Some(wrong) => Err(wrong),
            None => Ok(()),
        }
    }

    fn check_together(
        &self,
        bodies: Vec<(BlockHash, Result<Body, BlockError>)>,
        known: &dyn Fn(&Txid) -> bool,
    ) -> Vec<Verdict> {
        let mut items = Items::new();
        // For each body what its first checks gave, and the range of its signatures.
        let framed: Vec<Framed> = bodies
            .into_iter()
            .map(|(hash, body)| {
                let start = items.len();
                let header = body.as_ref().ok().map(|body| body.header().clone());
                let framed = body.map_err(BodyFault::Unreadable);
                let framed = framed.and_then(|body| self.check_frame(body).map_err(BodyFault::Broken));
                if let Ok(body) = &framed {
                    self.queue_signatures(body, known, &mut items);
                }
                (hash, header, framed, start..items.len())
            })
            .collect();
        let are_good = items.is_empty() || verify_batch(&self.secret, &items);
        let verdict = |(block, header, framed, range): Framed| {
            let result = framed.and_then(|body| {
                let is_good = are_good || range.is_empty() || verify_batch(&self.secret, &items[range]);
                match is_good {
                    true => Ok(body),
                    false => self.check_one_by_one(body),
                }
            });
            Verdict { block, header, result }
        };
        framed.into_iter().map(verdict).collect()
    }

    /// Everything but the signatures.
    fn check_frame(&self, body: Body) -> Result<CheckedBody, BlockError> {
        let (bytes, block) = body.into_parts();
        let count = block.transactions.len();
        if count > BLOCK_MAX_TRANSACTIONS {
            return Err(BlockError::TooManyTransactions(count));
        }
        let (size, limit) = (bytes.len(), BLOCK_MAX_BYTES);
        if size > limit {
            return Err(BlockError::Layout(LayoutError::TooLong { size, limit }));
        }
        let txids = block.txids();
        block.check_frame((&txids, size), &self.params, &self.many)?;
        Ok(CheckedBody { bytes, block, txids })
    }

    fn queue_signatures(&self, body: &CheckedBody, known: &dyn Fn(&Txid) -> bool, items: &mut Items) {
        let transactions = body.block.transactions.iter().zip(&body.txids);
        let unknown = transactions.filter(|(_, txid)| !known(txid));
        items.extend(unknown.filter_map(|(transaction, _)| transaction.signature_item(&self.network)));
    }

    /// Finds the first signature that is wrong. ZIP-215 makes both ways agree. If they ever differed, the single checks
    /// would decide, alike on every node.
    fn check_one_by_one(&self, body: CheckedBody) -> Result<CheckedBody, BodyFault> {
        match body.block.check_signatures(&self.network) {
            Ok(()) => Ok(body),
            Err(error) => Err(BodyFault::Broken(error)),
        }
    }
}

impl Verdict {
    /// The hash of the block whose body it is about.
    #[must_use]
    pub const fn block(&self) -> BlockHash {
        self.block
    }

    /// Why the bytes are no block; none if they are one, be it a good or a bad one.
    #[must_use]
    pub fn unreadable(&self) -> Option<&BlockError> {
        match &self.result {
            Err(BodyFault::Unreadable(error)) => Some(error),
            Err(BodyFault::Broken(_)) | Ok(_) => None,
        }
    }

    /// The block, if it follows every rule that needs neither its parent nor a ledger.
    ///
    /// # Errors
    /// [`BlockError`] with the first broken rule.
    pub fn good(&self) -> Result<&Block, &BlockError> {
        match &self.result {
            Ok(body) => Ok(&body.block),
            Err(BodyFault::Unreadable(error) | BodyFault::Broken(error)) => Err(error),
        }
    }

    /// The header in front of the body; none if the bytes are no block.
    #[must_use]
    pub const fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// The ids of the transactions of a good body, in order; none of another one.
    #[must_use]
    pub fn txids(&self) -> &[Txid] {
        self.result.as_ref().map_or(&[], |body| &body.txids)
    }

    /// The number of transactions and the size in bytes of a good body; zero for another one.
    #[must_use]
    pub fn extent(&self) -> (usize, usize) {
        let body = self.result.as_ref().ok();
        body.map_or((0, 0), |body| (body.block.transactions.len(), body.bytes.len()))
    }
}
