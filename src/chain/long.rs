//! Long switches: a branch of any length replaces the active one in steps of one block.
//!
//! Promises: a step is bounded by the largest block; what is held is bounded whatever the depth: changed entries of the
//! ledger beyond [`HELD_ACCOUNTS_MAX`] are written beside it; whoever looks sees the old branch until the last step, which
//! is one batch, and the new one from then on; a crash before it leaves the old branch, with nothing to clean up but entries
//! beside the ledger, and own transactions that were written down before their blocks had left.
//! A broken rule leaves no trace but the invalid block that is remembered.
//! Elsewhere: short switches, which are one step (`chain::branch`), the tip to come (`chain::destination`).
//! Spec: `proto-notes/decisions/switches.md`.

use std::collections::{BTreeMap, BTreeSet};

use super::branch::is_signed_by;
use super::ledger::{Accounts, ApplyError, Ledger};
use super::overlay::Overlay;
use super::state::{AcceptError, Chain, Tip, side_block};
use super::store::{AccountState, Beside, ChainStore, Spot, StoreError, StoredBlock, TxPlace};
use super::switch::{Done, Moved, Switch, Undone};
use super::tree::SideBlock;
use super::young::Young;
use crate::types::{Account, BlockHash, Txid};

/// Bytes of blocks that leave and join in a short switch: what one turn of a node may take.
const SHORT_MAX_BYTES: u64 = 1024 * 1024;
/// Blocks that leave and join in a short switch.
const SHORT_MAX_BLOCKS: usize = 256;
/// Changed entries of the ledger that are held in memory: some 10 MiB.
const HELD_ACCOUNTS_MAX: usize = 50_000;
/// Changed entries of the ledger in one batch: beside the ledger, in the last batch, and put in their places after it.
const ENTRIES_MAX: u16 = 512;
/// Places of transactions in one batch: each dirties a page of its own, and whoever has something to be written waits for
/// the batch.
const PLACES_MAX: usize = 256;
/// Batches of a switch on their way to the disk before its next step waits.
const ON_THE_WAY_MAX: usize = 1;
/// Own transactions of blocks that leave, or join, that are held in memory: some 10 MiB. More of the former are written to
/// the other own ones, which is where they will belong.
const HELD_OWN_MAX: usize = 20_000;

/// When a switch is a long one, and what it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct LongLimits {
    short_bytes: u64,
    short_blocks: usize,
    held_accounts: usize,
    entries: u16,
    held_own: usize,
    places: usize,
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
        }
    }
}

/// A switch under way.
#[derive(Debug)]
pub(super) struct Long {
    /// What a crash left beside the ledger is gone.
    has_begun: bool,
    /// The end of the new branch.
    target: BlockHash,
    fork: BlockHash,
    /// The next block to leave; the fork once all have left.
    down: BlockHash,
    /// The blocks to join, the last one first.
    up: Vec<BlockHash>,
    /// Where transactions of the last blocks that joined stand, not written yet.
    places: BTreeSet<(Txid, Spot)>,
    /// The ledger's entries as the switch leaves them.
    changed: BTreeMap<Account, Option<AccountState>>,
    /// Some of them were written beside the ledger.
    spilled: bool,
    pub(super) own: BTreeMap<Txid, Option<(u64, Vec<u8>)>>,
    own_first: u64,
    /// Some of the own ones that wait again were written.
    own_spilled: bool,
    disconnected: Vec<Moved>,
    aside: Vec<SideBlock>,
    pub(super) connected: Vec<Moved>,
    /// What the blocks that joined made.
    young: Young,
    pub(super) undone: Undone,
}

/// What a step led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LongStep {
    /// There is nothing to switch to.
    Idle,
    /// There is more to do.
    Working,
    /// The disk has to write what it was given before the next step.
    Waiting,
    /// The new branch is the active one.
    Done(Box<Switch>),
}

/// The ledger as the switch has changed it so far.
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
    /// Whether a long switch is under way. Meanwhile blocks are kept aside, and the active branch stays as it is.
    pub const fn is_switching(&self) -> bool {
        self.long.is_some()
    }

    /// Switches of more blocks than this are long, and hold fewer entries of the ledger and own transactions: real ones take a test
    /// too long.
    #[cfg(test)]
    pub(crate) const fn set_long(&mut self, short_blocks: usize, held_accounts: usize) {
        self.long_limits = LongLimits {
            short_bytes: SHORT_MAX_BYTES,
            short_blocks,
            held_accounts,
            entries: 1,
            held_own: held_accounts,
            places: 2,
        };
    }

    /// One step towards the best branch that is stored.
    ///
    /// # Errors
    /// [`AcceptError`]: a block of that branch breaks a rule, and is buried, or the store fails. The active branch is as
    /// it was.
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

    /// What the last switch left beside the ledger is put in its places before the next one. None: it is there.
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

    /// Nothing is left of the switch; of a block that breaks a rule, that it does.
    fn give_up(&mut self, long: &Long, error: &AcceptError) {
        self.drop_long(long);
        if let AcceptError::Ledger { block, .. } = error {
            self.bury(*block, long.target);
            // It is stored, other than a block that was offered just now.
            self.forget([long.target]);
            self.overlay.keep();
        }
    }

    /// Ends a long switch before its end: the next step begins it anew.
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

    /// Own transactions that a switch wrote down although they are still confirmed.
    fn forget_confirmed_own(&mut self) {
        let own = self.own().unwrap_or_default().into_iter();
        let ids = own.map(|(_, transaction)| transaction.txid());
        let confirmed: Vec<Txid> = ids
            .filter(|txid| self.place(txid).is_ok_and(|place| place.is_some()))
            .collect();
        self.forget_own(&confirmed);
    }

    /// How far a long switch is: blocks that left or joined, and how many are known to do so in all.
    pub fn switch_progress(&self) -> Option<(usize, usize)> {
        let long = self.long.as_ref()?;
        let done = long.disconnected.len() + long.connected.len();
        Some((done, done + long.up.len()))
    }

    /// Whether a switch to a block that was just offered is small enough to be made at once.
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
        });
        Ok(())
    }

    /// None: all blocks have left and joined, and only the last step is left to do.
    fn step(&mut self, long: &mut Long) -> Result<Option<LongStep>, AcceptError> {
        if !long.has_begun {
            long.has_begun = true;
            self.overlay.draft().beside = Beside::Drop;
            self.overlay.keep();
        }
        let is_last = long.is_at_its_end(&self.long_limits);
        let waits = if is_last && long.spilled {
            // The entries beside the ledger must be there, and no older batch above them.
            self.overlay.is_ledger_on_the_way()
        } else {
            // Others' batches do not count: a switch goes on while payments come.
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
        } else if long.places.len() >= self.long_limits.places {
            // First those of the blocks before.
        } else if long.down != long.fork {
            self.take_off(long)?;
        } else if let Some(hash) = long.up.pop() {
            self.put_on(long, hash)?;
        }
        // Many small blocks are one batch: a disk may take half a second for each.
        if long.places.len() >= self.long_limits.places || long.have_all_joined() {
            self.write_places(long);
        }
        if long.down != long.fork && long.own.len() > self.long_limits.held_own {
            long.own_spilled = true;
            self.overlay.draft().own = core::mem::take(&mut long.own);
            self.overlay.keep();
        }
        Ok(Some(LongStep::Working))
    }

    /// The next block leaves.
    fn take_off(&self, long: &mut Long) -> Result<(), StoreError> {
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
            if is_signed_by(transaction, self.own_key) {
                // Counted down, because the newest is undone first: so the oldest stays first.
                long.own_first = long.own_first.saturating_sub(1);
                let entry = (long.own_first, transaction.to_bytes());
                long.own.insert(transaction.txid(), Some(entry));
            }
        }
        long.aside.push(side_block(hash, &stored));
        long.disconnected.push(Moved::new(hash, &block));
        long.undone.put_before(block);
        long.down = stored.header.previous;
        Ok(())
    }

    /// A block joins. Its places are written soon: they count when it is active.
    fn put_on(&mut self, long: &mut Long, hash: BlockHash) -> Result<(), AcceptError> {
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
        for (index, transaction) in (0_u32..).zip(&block.transactions) {
            let txid = transaction.txid();
            long.places.insert((txid, Spot::new(&hash, TxPlace { height, index })));
            // One beyond that stays among the own ones until the pool finds it confirmed.
            if is_signed_by(transaction, self.own_key) && long.own.len() < 2 * HELD_OWN_MAX {
                long.own.insert(txid, None);
            }
        }
        long.connected.push(Moved::new(hash, &block));
        Ok(())
    }

    fn write_changed(&mut self, long: &mut Long) {
        let later = long.changed.keys().nth(self.long_limits.entries.into()).cloned();
        let later = later.map_or_else(BTreeMap::new, |first| long.changed.split_off(&first));
        long.spilled = true;
        self.overlay.draft().shadow = core::mem::replace(&mut long.changed, later);
        self.overlay.keep();
    }

    fn write_places(&mut self, long: &mut Long) {
        let later = match long.places.iter().nth(self.long_limits.places) {
            Some(first) => {
                let first = *first;
                long.places.split_off(&first)
            }
            None => BTreeSet::new(),
        };
        self.overlay.draft().places = core::mem::replace(&mut long.places, later);
        self.overlay.keep();
    }

    /// The last step: the branches change places.
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
            draft.active.insert(block.height, None);
            draft.side.insert(block.hash, Some(()));
        }
        for block in &long.connected {
            draft.active.insert(block.height, Some(block.hash));
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
            done: Done {
                is_more: true,
                ..Done::default()
            },
        })))
    }
}

impl Long {
    fn have_all_joined(&self) -> bool {
        self.down == self.fork && self.up.is_empty()
    }

    /// Whether entries of the ledger are to be written beside it before anything else.
    fn has_too_many(&self, limits: &LongLimits) -> bool {
        let most = if self.have_all_joined() && self.places.is_empty() {
            limits.entries.into()
        } else {
            limits.held_accounts
        };
        self.changed.len() > most
    }

    /// Whether all blocks have left and joined, and no more of them waits to be written beside than the last step takes.
    pub(super) fn is_at_its_end(&self, limits: &LongLimits) -> bool {
        self.have_all_joined() && self.places.is_empty() && !self.has_too_many(limits)
    }
}
