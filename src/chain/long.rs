//! Long switches: a branch of any length replaces the active one, one block in each step.
//!
//! Promises: a step costs no more than the largest block. Memory is bounded at any depth: changed ledger entries beyond
//! [`HELD_ACCOUNTS_MAX`] are written to disk beside the ledger. Readers see the old branch until the last step, which
//! is one batch, and the new branch after it. A crash before the last step leaves the old branch; what remains to clean
//! up are the entries beside the ledger and own transactions that were written before their blocks had left. A broken
//! rule leaves nothing behind, except that the invalid block is remembered.
//! Elsewhere: short switches, which are one step (`chain::branch`), the future tip (`chain::destination`).
//! Spec: `proto-notes/decisions/switches.md`.

use std::collections::{BTreeMap, BTreeSet};

use super::branch::is_signed_by;
use super::history::{self, HistoryEntries};
use super::ledger::{Accounts, ApplyError, Ledger};
use super::overlay::Overlay;
use super::state::{AcceptError, Chain, Tip, side_block};
use super::store::{AccountState, Beside, ChainStore, Spot, StoreError, StoredBlock, TxPlace};
use super::switch::{ConnectedEffects, Moved, OwnMoves, Switch, Undone};
use super::tree::SideBlock;
use super::young::Young;
use crate::types::{Account, BlockHash, Txid};

/// The most bytes of leaving and joining blocks in a short switch, so that one turn of the node stays short.
const SHORT_MAX_BYTES: u64 = 1024 * 1024;
/// The most leaving and joining blocks in a short switch.
const SHORT_MAX_BLOCKS: usize = 256;
/// Transactions of leaving or joining blocks after which a step ends: a full block is a step of its own, small ones go together,
/// because there is a pause between two steps.
const STEP_TRANSACTIONS: usize = 256;
/// Changed ledger entries that are held in memory: about 10 MiB.
const HELD_ACCOUNTS_MAX: usize = 50_000;
/// Changed ledger entries in one batch: those written beside the ledger, those in the last batch, and those moved to
/// their places after it.
const ENTRIES_MAX: u16 = 512;
/// Transaction positions and entries of the index of histories in one batch. Each of them dirties a page of the
/// database, and every later write waits for the batch.
const PLACES_MAX: usize = 256;
/// How many batches of a switch may be on their way to the disk before its next step waits.
const ON_THE_WAY_MAX: usize = 1;
/// Own transactions of leaving or joining blocks that are held in memory: about 10 MiB. Further ones from leaving
/// blocks are written to the table of own transactions at once, where they belong after the switch.
const HELD_OWN_MAX: usize = 20_000;

/// From what size on a switch is long, and how much it may hold in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct LongLimits {
    short_bytes: u64,
    pub(super) short_blocks: usize,
    held_accounts: usize,
    entries: u16,
    held_own: usize,
    places: usize,
    step: usize,
}

impl Default for LongLimits {
    fn default() -> Self {
        Self {
            short_bytes: SHORT_MAX_BYTES,
            short_blocks: SHORT_MAX_BLOCKS,
            held_accounts: HELD_ACCOUNTS_MAX,
            entries: ENTRIES_MAX,
            held_own: HELD_OWN_MAX,
            places: PLACES_MAX,
            step: STEP_TRANSACTIONS,
        }
    }
}

/// A long switch under way.
#[derive(Debug)]
pub(super) struct Long {
    /// Whether the entries that a crash may have left beside the ledger are deleted.
    has_begun: bool,
    /// The block at the end of the new branch.
    target: BlockHash,
    fork: BlockHash,
    /// The next block to leave; it equals the fork once all have left.
    down: BlockHash,
    /// The blocks that still have to join, the last one first.
    up: Vec<BlockHash>,
    /// Positions of transactions in the blocks that joined last, not yet written.
    places: BTreeSet<(Txid, Spot)>,
    /// The entries of the index of histories for these blocks, not yet written.
    history: HistoryEntries,
    /// The changed ledger entries as they are after the switch.
    changed: BTreeMap<Account, Option<AccountState>>,
    /// Whether some changed entries were written beside the ledger.
    spilled: bool,
    pub(super) own: BTreeMap<Txid, Option<(u64, Vec<u8>)>>,
    own_first: u64,
    /// Whether some own transactions of leaving blocks were written.
    own_spilled: bool,
    disconnected: Vec<Moved>,
    aside: Vec<SideBlock>,
    pub(super) connected: Vec<Moved>,
    /// The accounts that the blocks that joined created.
    young: Young,
    pub(super) undone: Undone,
    moves: OwnMoves,
}

/// The result of one step of a long switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LongStep {
    /// No stored branch is better than the active one.
    Idle,
    /// The switch needs more steps.
    Working,
    /// The disk must write the batches it has before the next step.
    Waiting,
    /// The switch is complete, and the new branch is the active one.
    Done(Box<Switch>),
}

/// The ledger with the changes that the switch has made so far.
pub(super) struct Changed<'a, S> {
    pub(super) overlay: &'a Overlay<S>,
    pub(super) long: &'a Long,
}

impl<S: ChainStore> Accounts for Changed<'_, S> {
    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError> {
        if let Some(state) = self.long.changed.get(account) {
            return Ok(state.clone());
        }
        if self.long.spilled
            && let Some(state) = self.overlay.shadow(account)?
        {
            return Ok(state);
        }
        self.overlay.account(account)
    }
}

impl<S: ChainStore> Chain<S> {
    /// Whether a long switch is under way. Until it ends, new blocks are kept aside and the active branch does not
    /// change.
    pub const fn is_switching(&self) -> bool {
        self.long.is_some()
    }

    /// Sets small limits for tests: a switch of more than `short_blocks` is long, and holds fewer entries and own
    /// transactions in memory. A switch over the real limits would take too long.
    #[cfg(test)]
    pub(crate) const fn set_long(&mut self, short_blocks: usize, held_accounts: usize) {
        self.long_limits = LongLimits {
            short_bytes: SHORT_MAX_BYTES,
            short_blocks,
            held_accounts,
            entries: 1,
            held_own: held_accounts,
            places: 2,
            step: 1,
        };
    }

    /// Makes one step towards the best stored branch.
    ///
    /// # Errors
    /// [`AcceptError`] if a block of that branch breaks a rule (it is then removed and remembered as invalid), or if
    /// the store fails. The active branch is as it was.
    pub fn step_switch(&mut self) -> Result<LongStep, AcceptError> {
        if let Some(step) = self.settle()? {
            return Ok(step);
        }
        if self.long.is_none() {
            let best = self.tree.tips().next().map(|block| (block.work, block.hash));
            match best {
                Some((work, hash)) if self.is_better(work, &hash) => self.start_long(hash)?,
                Some(_) | None => return Ok(LongStep::Idle),
            }
        }
        let Some(mut long) = self.long.take() else {
            return Ok(LongStep::Idle);
        };
        match self.step(&mut long) {
            Ok(None) => self.finish_long(long),
            Ok(Some(step)) => {
                self.long = Some(long);
                Ok(step)
            }
            Err(error) => {
                self.give_up(&long, &error);
                Err(error)
            }
        }
    }

    /// Moves the entries that the last switch left beside the ledger to their places, before the next switch begins.
    /// None means that all are there.
    fn settle(&mut self) -> Result<Option<LongStep>, StoreError> {
        if !self.unsettled {
            return Ok(None);
        }
        if self.overlay.is_settling() {
            return Ok(Some(LongStep::Waiting));
        }
        self.unsettled = self.overlay.store().is_unsettled()?;
        if self.unsettled {
            self.overlay.draft().beside = Beside::Settle(self.long_limits.entries);
            self.overlay.keep();
        }
        Ok(Some(LongStep::Working))
    }

    /// Drops the switch. If a block broke a rule, only the mark that it is invalid remains.
    fn give_up(&mut self, long: &Long, error: &AcceptError) {
        self.drop_long(long);
        if let AcceptError::Ledger { block, .. } = error {
            self.bury(*block, long.target);
            // The target is stored already, unlike a block that was just offered.
            self.forget([long.target]);
            self.overlay.keep();
        }
    }

    /// Drops a long switch before its end; the next step begins it anew.
    pub(super) fn abandon_switch(&mut self) {
        if let Some(long) = self.long.take() {
            self.drop_long(&long);
        }
    }

    fn drop_long(&mut self, long: &Long) {
        self.overlay.discard();
        self.tree.target = None;
        if long.spilled {
            self.overlay.draft().beside = Beside::Drop;
            self.overlay.keep();
        }
        if long.own_spilled {
            self.own_numbers.0 = self.own_numbers.0.min(long.own_first);
            self.forget_confirmed_own();
        }
    }

    /// Removes own transactions that a dropped switch wrote although they are still confirmed.
    fn forget_confirmed_own(&mut self) {
        let own = self.own().unwrap_or_default().into_iter();
        let ids = own.map(|(_, transaction)| transaction.txid());
        let confirmed: Vec<Txid> = ids
            .filter(|txid| self.place(txid).is_ok_and(|place| place.is_some()))
            .collect();
        self.forget_own(&confirmed);
    }

    /// The progress of a long switch: blocks that left or joined so far, and the known total.
    pub fn switch_progress(&self) -> Option<(usize, usize)> {
        let long = self.long.as_ref()?;
        let done = long.disconnected.len() + long.connected.len();
        Some((done, done + long.up.len()))
    }

    /// Whether the switch to an offered block is small enough to be made in one step.
    pub(super) fn is_short(&self, offered: &StoredBlock) -> Result<bool, StoreError> {
        let (branch, fork) = self.tree.path_down(offered.header.previous);
        let mut at = self.tip.hash;
        let mut joining = branch.iter();
        let (mut bytes, mut blocks) = (0_u64, 0_usize);
        while bytes <= self.long_limits.short_bytes && blocks <= self.long_limits.short_blocks {
            let size = match joining.next() {
                Some(hash) => self.expect_block(hash)?.size_bytes,
                None if at == fork => return Ok(true),
                None => {
                    let stored = self.expect_block(&at)?;
                    at = stored.header.previous;
                    stored.size_bytes
                }
            };
            bytes = bytes.saturating_add(size);
            blocks += 1;
        }
        Ok(false)
    }

    pub(super) fn start_long(&mut self, target: BlockHash) -> Result<(), StoreError> {
        let (up, fork) = self.tree.path_down(target);
        self.expect_block(&fork)?;
        self.tree.target = Some(target);
        self.long = Some(Long {
            has_begun: false,
            target,
            fork,
            down: self.tip.hash,
            up,
            places: BTreeSet::new(),
            history: HistoryEntries::new(),
            changed: BTreeMap::new(),
            spilled: false,
            own: BTreeMap::new(),
            own_first: self.own_numbers.0,
            own_spilled: false,
            disconnected: Vec::new(),
            aside: Vec::new(),
            connected: Vec::new(),
            young: Young::default(),
            undone: Undone::default(),
            moves: OwnMoves::default(),
        });
        Ok(())
    }

    /// Makes the next step. None means that all blocks have left and joined, and only the last step remains.
    fn step(&mut self, long: &mut Long) -> Result<Option<LongStep>, AcceptError> {
        if !long.has_begun {
            long.has_begun = true;
            self.overlay.draft().beside = Beside::Drop;
            self.overlay.keep();
        }
        let is_last = long.is_at_its_end(&self.long_limits);
        let waits = if is_last && long.spilled {
            // The last step needs all entries beside the ledger on disk, and no older batch above them.
            self.overlay.is_ledger_on_the_way()
        } else {
            // Batches of others do not count: the switch goes on while payments arrive.
            self.overlay.bulk_on_the_way(PLACES_MAX) >= ON_THE_WAY_MAX
        };
        if waits {
            return Ok(Some(LongStep::Waiting));
        }
        if is_last {
            return Ok(None);
        }
        if long.has_too_many(&self.long_limits) {
            self.write_changed(long);
        } else if long.unindexed() >= self.long_limits.places {
            // The positions in the blocks that joined before are written first.
        } else {
            self.move_blocks(long)?;
        }
        // Many small blocks share one batch, because a disk may take half a second for each batch.
        if long.unindexed() >= self.long_limits.places || long.have_all_joined() {
            self.write_index(long);
        }
        if long.down != long.fork && long.own.len() > self.long_limits.held_own {
            long.own_spilled = true;
            self.overlay.draft().own = core::mem::take(&mut long.own);
            self.overlay.keep();
        }
        Ok(Some(LongStep::Working))
    }

    /// Takes blocks off the branch, or adds some, until they have as many transactions as a step may move.
    fn move_blocks(&mut self, long: &mut Long) -> Result<(), AcceptError> {
        let mut left = self.long_limits.step;
        let leaves = long.down != long.fork;
        while left > 0 && leaves == (long.down != long.fork) {
            let moved = match long.up.last().copied() {
                _ if leaves => self.take_off(long)?,
                Some(hash) if long.unindexed() < self.long_limits.places => self.put_on(long, hash)?,
                Some(_) | None => break,
            };
            left = left.saturating_sub(moved);
        }
        Ok(())
    }

    /// Takes the next block off the branch; returns how many transactions it has.
    fn take_off(&self, long: &mut Long) -> Result<usize, StoreError> {
        let hash = long.down;
        let stored = self.expect_block(&hash)?;
        let block = self.stored_block(&hash)?;
        let below = Changed {
            overlay: &self.overlay,
            long,
        };
        let mut ledger = Ledger::new(&self.params, &below);
        ledger.revert_block(&block)?;
        let changed = ledger.finish();
        long.changed.extend(changed);
        for transaction in block.transactions.iter().rev() {
            if is_signed_by(transaction, self.owner.key) {
                // The newest block is undone first, so the number counts down: then the oldest transaction has the
                // smallest number.
                long.own_first = long.own_first.saturating_sub(1);
                let entry = (long.own_first, transaction.to_bytes());
                long.own.insert(transaction.txid(), Some(entry));
            }
        }
        long.aside.push(side_block(hash, &stored));
        long.disconnected.push(self.moved_off(hash, &stored, &block)?);
        long.moves.leave(&self.owner, &block);
        let count = block.transactions.len();
        long.undone.put_before(block);
        long.down = stored.header.previous;
        Ok(count)
    }

    /// Adds the next block to the branch. The positions of its transactions are written soon, and count once it is
    /// active. Returns how many transactions it has.
    fn put_on(&mut self, long: &mut Long, hash: BlockHash) -> Result<usize, AcceptError> {
        long.up.pop();
        let block = self.stored_block(&hash)?;
        let below = Changed {
            overlay: &self.overlay,
            long,
        };
        let mut ledger = Ledger::new(&self.params, &below);
        ledger.apply_block(&block).map_err(|(index, error)| match error {
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
            if below.account(account)?.is_none() {
                made.push(account.clone());
            }
        }
        long.young.add(height, hash, made);
        long.changed.extend(changed);
        history::add_block(&mut long.history, &hash, &block);
        for (index, transaction) in (0_u32..).zip(&block.transactions) {
            let txid = transaction.txid();
            long.places.insert((txid, Spot::new(&hash, TxPlace { height, index })));
            // An own transaction beyond this limit stays in the table until the pool finds it confirmed.
            if is_signed_by(transaction, self.owner.key) && long.own.len() < 2 * HELD_OWN_MAX {
                long.own.insert(txid, None);
            }
        }
        let fork = self.expect_block(&long.fork)?;
        let moved = self.moved_on(long.connected.last(), &fork, hash, &block);
        long.connected.push(moved);
        long.moves.join(&self.owner, &block);
        Ok(block.transactions.len())
    }

    fn write_changed(&mut self, long: &mut Long) {
        let later = long.changed.keys().nth(self.long_limits.entries.into()).cloned();
        let later = later.map_or_else(BTreeMap::new, |first| long.changed.split_off(&first));
        long.spilled = true;
        self.overlay.draft().shadow = core::mem::replace(&mut long.changed, later);
        self.overlay.keep();
    }

    fn write_index(&mut self, long: &mut Long) {
        let most = self.long_limits.places;
        let later = long.places.iter().nth(most).copied();
        let later = later.map_or_else(BTreeSet::new, |first| long.places.split_off(&first));
        let places = core::mem::replace(&mut long.places, later);
        let later = long.history.keys().nth(most.saturating_sub(places.len())).copied();
        let later = later.map_or_else(BTreeMap::new, |first| long.history.split_off(&first));
        let draft = self.overlay.draft();
        draft.places = places;
        draft.history = core::mem::replace(&mut long.history, later);
        self.overlay.keep();
    }

    /// The last step: the new branch becomes the active one, in one batch.
    fn finish_long(&mut self, long: Long) -> Result<LongStep, AcceptError> {
        let stored = self.expect_block(&long.target)?;
        let fork = self.expect_block(&long.fork)?.header.height;
        let draft = self.overlay.draft();
        if long.spilled {
            draft.beside = Beside::Promote;
            self.unsettled = true;
        }
        draft.accounts = long.changed;
        draft.own = long.own;
        for block in &long.disconnected {
            draft.active.insert(block.header.height, None);
            draft.side.insert(block.hash, Some(()));
        }
        for block in &long.connected {
            draft.active.insert(block.header.height, Some(block.hash));
            draft.side.insert(block.hash, None);
        }
        self.own_numbers.0 = self.own_numbers.0.min(long.own_first);
        self.tree.target = None;
        long.connected.iter().for_each(|block| {
            self.tree.remove(&block.hash);
        });
        long.aside.into_iter().for_each(|block| self.tree.insert(block));
        let gone = self.tree.evict();
        self.forget(gone.into_iter().map(|block| block.hash));
        self.overlay.keep();
        let tip = Tip {
            hash: long.target,
            header: stored.header,
            work: stored.work,
        };
        let old_tip = core::mem::replace(&mut self.tip, tip).hash;
        self.young.append(long.young);
        Ok(LongStep::Done(Box::new(Switch {
            fork,
            old_tip,
            new_tip: self.tip.hash,
            disconnected: long.disconnected,
            connected: long.connected,
            undone: long.undone,
            done: ConnectedEffects {
                is_more: true,
                ..ConnectedEffects::default()
            },
            own: long.moves,
        })))
    }
}

impl Long {
    fn have_all_joined(&self) -> bool {
        self.down == self.fork && self.up.is_empty()
    }

    /// Positions of transactions and entries of the index of histories that are not yet written.
    fn unindexed(&self) -> usize {
        self.places.len().saturating_add(self.history.len())
    }

    /// Whether ledger entries must be written beside the ledger before the next step.
    fn has_too_many(&self, limits: &LongLimits) -> bool {
        let most = if self.have_all_joined() && self.unindexed() == 0 {
            limits.entries.into()
        } else {
            limits.held_accounts
        };
        self.changed.len() > most
    }

    /// Whether all blocks have left and joined, and only as much is unwritten as the last step may write.
    pub(super) fn is_at_its_end(&self, limits: &LongLimits) -> bool {
        self.have_all_joined() && self.unindexed() == 0 && !self.has_too_many(limits)
    }
}
