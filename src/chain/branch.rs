//! Takes a checked block into the chain: it is kept beside the active branch, or the chain switches to its branch in
//! one step.
//!
//! Promises: a switch is one batch, or a long one is the last of several (`chain::long`). If a branch turns out to be
//! invalid half way, the active branch stays as it was; the invalid block and all its descendants are removed and
//! remembered as invalid.
//! Spec: `proto-notes/consensus.md`, "Branch choice".

use super::block::Block;
use super::header::Header;
use super::history;
use super::ledger::{Accounts, ApplyError, Ledger};
use super::stages::{Candidate, Received};
use super::state::{AcceptError, Accepted, Chain, Tip, side_block};
use super::store::{ChainStore, Spot, StoreError, StoredBlock, TxPlace};
use super::switch::{ConnectedEffects, Moved, OwnMoves, Switch, Undone};
use super::transaction::Transaction;
use super::tree::SideBlock;
use crate::types::{BlockHash, Height, PublicKey, Txid, WallTime};

/// The result of a successful switch, which the caller still has to put into the block tree.
struct Switched {
    fork: Height,
    disconnected: Vec<Moved>,
    connected: Vec<Moved>,
    undone: Undone,
    done: ConnectedEffects,
    own: OwnMoves,
    /// The blocks that left the active branch and are side blocks now.
    aside: Vec<SideBlock>,
}

impl<S: ChainStore> Chain<S> {
    /// Checks a block, and then stores it aside, connects it to the tip, or switches to its branch, as one step.
    ///
    /// # Errors
    /// [`AcceptError`] with the first broken rule. The chain has not changed, except that invalid blocks are removed
    /// and remembered as invalid.
    pub fn accept(&mut self, block: Block, clock: WallTime) -> Result<Accepted, AcceptError> {
        let received = Received::new(block.header.clone());
        let Some(linked) = self.link(received, clock)? else {
            return Ok(Accepted::AlreadyKnown);
        };
        let candidate = self.check_body(linked, block.into())?;
        self.take(candidate)
    }

    /// Stores a checked block aside, connects it to the tip, or switches to its branch, as one step. A long switch is
    /// only begun.
    ///
    /// # Errors
    /// [`AcceptError::Ledger`] if a block of its branch breaks a rule of the ledger: that block and its descendants are
    /// then removed and remembered as invalid. [`AcceptError::LowWork`] if the side branches are full.
    /// [`AcceptError::Store`] if the store fails.
    pub fn take(&mut self, candidate: Candidate) -> Result<Accepted, AcceptError> {
        let hash = candidate.hash;
        if self.is_switching() || !self.is_better(candidate.stored.work, &hash) {
            return self.keep_aside(candidate);
        }
        if self.is_short(&candidate.stored)? {
            return self.switch_to(candidate);
        }
        let kept = self.keep_aside(candidate)?;
        self.start_long(hash)?;
        Ok(kept)
    }

    /// Stores a block whose branch does not win. If the side branches are full, the block may be evicted at once.
    fn keep_aside(&mut self, candidate: Candidate) -> Result<Accepted, AcceptError> {
        let Candidate {
            hash, stored, bytes, ..
        } = candidate;
        let work = stored.work;
        self.tree.insert(side_block(hash, &stored));
        let gone = self.tree.evict();
        if gone.iter().any(|block| block.hash == hash) {
            for block in gone.into_iter().filter(|block| block.hash != hash) {
                self.tree.insert(block);
            }
            return Err(AcceptError::LowWork { work });
        }
        let draft = self.overlay.draft();
        draft.blocks.insert(hash, Some((stored, bytes)));
        draft.side.insert(hash, Some(()));
        self.forget(gone.into_iter().map(|block| block.hash));
        self.overlay.keep();
        Ok(Accepted::Stored { work })
    }

    /// Deletes side blocks from the store; the change is part of the running step.
    pub(super) fn forget(&mut self, hashes: impl IntoIterator<Item = BlockHash>) {
        let draft = self.overlay.draft();
        for hash in hashes {
            draft.blocks.insert(hash, None);
            draft.side.insert(hash, None);
        }
    }

    fn switch_to(&mut self, candidate: Candidate) -> Result<Accepted, AcceptError> {
        let own_numbers = self.own_numbers;
        let tip = Tip {
            hash: candidate.hash,
            header: candidate.stored.header.clone(),
            work: candidate.stored.work,
        };
        let switched = match self.try_switch(candidate) {
            Ok(switched) => switched,
            Err(error) => {
                self.overlay.discard();
                self.own_numbers = own_numbers;
                if let AcceptError::Ledger { block, .. } = &error {
                    self.bury(*block, tip.hash);
                }
                return Err(error);
            }
        };
        for block in &switched.connected {
            self.tree.remove(&block.hash);
        }
        for block in switched.aside {
            self.tree.insert(block);
        }
        let gone = self.tree.evict();
        self.forget(gone.into_iter().map(|block| block.hash));
        self.overlay.keep();
        let old_tip = core::mem::replace(&mut self.tip, tip).hash;
        Ok(Accepted::Switched(Box::new(Switch {
            fork: switched.fork,
            old_tip,
            new_tip: self.tip.hash,
            disconnected: switched.disconnected,
            connected: switched.connected,
            undone: switched.undone,
            done: switched.done,
            own: switched.own,
        })))
    }

    /// Writes the whole switch into the draft, or fails at the first broken rule.
    fn try_switch(&mut self, candidate: Candidate) -> Result<Switched, AcceptError> {
        let (branch, fork_hash) = self.tree.path_down(candidate.stored.header.previous);
        let fork = self.expect_block(&fork_hash)?;
        let (mut disconnected, mut undone, mut aside) = (Vec::new(), Undone::default(), Vec::new());
        let mut own = OwnMoves::default();
        let mut at = self.tip.hash;
        while at != fork_hash {
            let (stored, block) = self.disconnect(at)?;
            aside.push(side_block(at, &stored));
            disconnected.push(self.moved_off(at, &stored, &block)?);
            own.leave(&self.owner, &block);
            undone.put_before(block);
            at = stored.header.previous;
        }
        let (mut connected, mut done) = (Vec::<Moved>::new(), ConnectedEffects::default());
        for hash in branch.into_iter().rev() {
            let block = self.stored_block(&hash)?;
            let txids = block.txids();
            self.connect(hash, &block, &txids)?;
            connected.push(self.moved_on(connected.last(), &fork, hash, &block));
            own.join(&self.owner, &block);
            if disconnected.is_empty() {
                done.add(&block, &txids);
            }
        }
        let Candidate {
            hash,
            stored,
            bytes,
            block,
            txids,
            ..
        } = candidate;
        self.overlay.draft().blocks.insert(hash, Some((stored, bytes)));
        self.connect(hash, &block, &txids)?;
        connected.push(self.moved_on(connected.last(), &fork, hash, &block));
        own.join(&self.owner, &block);
        if disconnected.is_empty() {
            done.add(&block, &txids);
        }
        Ok(Switched {
            fork: fork.header.height,
            disconnected,
            connected,
            undone,
            done,
            own,
            aside,
        })
    }

    /// Applies a block on top of the draft's tip.
    fn connect(&mut self, hash: BlockHash, block: &Block, txids: &[Txid]) -> Result<(), AcceptError> {
        let mut ledger = Ledger::new(&self.params, &self.overlay);
        ledger.apply_block(block).map_err(|(index, error)| match error {
            ApplyError::Ledger(error) => AcceptError::Ledger {
                block: hash,
                index,
                error: Box::new(error),
            },
            ApplyError::Store(error) => AcceptError::Store(error),
        })?;
        let changed = ledger.finish();
        let height = block.header.height;
        let mut made = Vec::new();
        for account in changed.keys() {
            if self.overlay.account(account)?.is_none() {
                made.push(account.clone());
            }
        }
        self.young.add(height, hash, made);
        let draft = self.overlay.draft();
        draft.accounts.extend(changed);
        draft.active.insert(height, Some(hash));
        draft.side.insert(hash, None);
        history::add_block(&mut draft.history, &hash, block);
        for (index, (transaction, txid)) in (0_u32..).zip(block.transactions.iter().zip(txids)) {
            draft
                .places
                .insert((*txid, Spot::new(&hash, TxPlace { height, index })));
            if is_signed_by(transaction, self.owner.key) {
                draft.own.insert(*txid, None);
            }
        }
        Ok(())
    }

    /// Takes the tip of the draft off the active branch.
    pub(super) fn disconnect(&mut self, hash: BlockHash) -> Result<(StoredBlock, Block), StoreError> {
        let stored = self.expect_block(&hash)?;
        let block = self.stored_block(&hash)?;
        let mut ledger = Ledger::new(&self.params, &self.overlay);
        ledger.revert_block(&block)?;
        let changed = ledger.finish();
        let draft = self.overlay.draft();
        draft.accounts.extend(changed);
        draft.active.insert(block.header.height, None);
        draft.side.insert(hash, Some(()));
        for transaction in block.transactions.iter().rev() {
            if is_signed_by(transaction, self.owner.key) {
                let txid = transaction.txid();
                // The newest block is undone first, so the number counts down: then the oldest transaction has the
                // smallest number.
                self.own_numbers.0 = self.own_numbers.0.saturating_sub(1);
                let entry = (self.own_numbers.0, transaction.to_bytes());
                draft.own.insert(txid, Some(entry));
            }
        }
        Ok((stored, block))
    }

    /// What is told of a block whose parent is the tip.
    #[must_use]
    pub fn on_tip(&self, hash: BlockHash, block: &Block) -> Moved {
        let Tip { header, work, .. } = &self.tip;
        let work = work.plus(Header::weight(header, &self.params));
        Moved::new(hash, block, work, header, &self.params)
    }

    /// What is told of a block that leaves the active branch.
    pub(super) fn moved_off(&self, hash: BlockHash, stored: &StoredBlock, block: &Block) -> Result<Moved, StoreError> {
        let parent = self.expect_block(&stored.header.previous)?.header;
        Ok(Moved::new(hash, block, stored.work, &parent, &self.params))
    }

    /// What is told of a block that joins the active branch, on top of the last one that did, or of the fork.
    pub(super) fn moved_on(&self, last: Option<&Moved>, fork: &StoredBlock, hash: BlockHash, block: &Block) -> Moved {
        let params = &self.params;
        match last {
            Some(last) => last.next(hash, block, params),
            None => {
                let work = fork.work.plus(Header::weight(&fork.header, params));
                Moved::new(hash, block, work, &fork.header, params)
            }
        }
    }

    /// Removes an invalid block and all its descendants, among them the block that was just offered.
    pub(super) fn bury(&mut self, invalid: BlockHash, offered: BlockHash) {
        let doomed = self.tree.remove_branch(&invalid);
        self.invalid.insert(offered);
        // The invalid block itself is remembered last, so it is forgotten last.
        for hash in doomed.iter().rev() {
            self.invalid.insert(*hash);
        }
        self.forget(doomed.into_iter().filter(|hash| *hash != offered));
        self.overlay.keep();
    }

    /// Reads a stored block of any branch; its absence means that the store is damaged.
    pub(super) fn stored_block(&self, hash: &BlockHash) -> Result<Block, StoreError> {
        let block = self.overlay.whole_block(hash)?;
        block.ok_or_else(|| StoreError::Damaged(format!("the body of block {hash} is missing")))
    }
}

impl AcceptError {
    /// The error code of the JSON contract: the name of the innermost variant in `snake_case`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Header(error) => error.code(),
            Self::Block(error) => error.code(),
            Self::UnknownParent { .. } => "unknown_parent",
            Self::Ledger { error, .. } => error.code(),
            Self::KnownInvalid(_) => "known_invalid",
            Self::LowWork { .. } => "low_work",
            Self::Store(error) => error.code(),
        }
    }
}

/// Whether a key signed a transaction.
pub(super) fn is_signed_by(transaction: &Transaction, key: Option<PublicKey>) -> bool {
    key.is_some() && transaction.signer() == key
}
