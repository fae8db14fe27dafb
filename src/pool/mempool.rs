//! The mempool: transactions that wait for a block.
//!
//! Promises: each transaction could be in a block on top of the tip after those before it. There is one transaction for
//! each account and sequence, the first that was seen. Own ones are never pushed out, and strangers cannot make the
//! pool grow beyond its limits.
//! Elsewhere: reads of the pool (`pool::view`), eviction when it is full (`pool::room`), changes with a new tip and the
//! order of the next block (`pool::order`, `pool::rebuild`).
//! Spec: `proto-notes/mempool.md`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::error::PoolError;
use crate::chain::ground::Ground;
use crate::chain::ledger::{LedgerError, check_payable, check_signer};
use crate::chain::store::{AccountState, StoreError};
use crate::chain::switch::UNDONE_MAX;
use crate::chain::transaction::{Transaction, Transfer};
use crate::types::{Account, AccountName, Balance, PublicKey, Txid, Voice, WallTime};

/// The most transactions in the pool: two and a half full blocks, because more would wait for minutes anyway.
pub const POOL_MAX_TRANSACTIONS: usize = 10_000;
const _: () = assert!(
    POOL_MAX_TRANSACTIONS == UNDONE_MAX,
    "a switch hands back what a pool can hold"
);
/// The most bytes of all transactions in the pool.
pub const POOL_MAX_BYTES: usize = 8 * 1024 * 1024;
/// The most transactions of one account that strangers may send while the pool is more than half full. A script that
/// pays a hundred times is not an attack, but one account must not keep the others out.
pub const ACCOUNT_MAX_TRANSACTIONS: usize = 64;
/// The largest gap of sequences before a stranger's transaction; there are gaps because gossip does not keep the order.
pub const GAP_MAX: u64 = 16;
/// The most dropped transactions that are remembered with their reason.
pub const DROPPED_MAX: usize = 4_096;

/// Where a transaction came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// This node made it; no cap applies.
    Own,
    /// A neighbour sent it, counted with all neighbours behind the same address.
    Peer(Voice),
    /// It was in a block that is not active any more; the cap of its account does not apply.
    Returned,
}

/// The result of adding a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Added {
    /// The transactions that were evicted to make room.
    pub evicted: Vec<Txid>,
}

/// A transaction that left the pool without being in the active chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departed {
    /// The id of the transaction that left.
    pub txid: Txid,
    /// The transaction as it was signed.
    pub transaction: Transaction,
    /// Why the pool does not hold it any more.
    pub reason: PoolError,
}

/// The effect of a new tip on the pool.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PoolChange {
    /// Transactions of blocks that are not active any more and that wait again, oldest first.
    pub returned: Vec<Txid>,
    /// Transactions that the new tip refuses, with the reason.
    pub dropped: Vec<(Txid, PoolError)>,
    /// Offered own transactions that are in the chain, so that the store need not keep them.
    pub confirmed: Vec<Txid>,
}

/// A transaction in the pool, with what was computed from it.
#[derive(Clone, Debug)]
pub(super) struct PoolEntry {
    pub(super) txid: Txid,
    /// Elsewhere in memory: who looks at all entries in a row reads a third of the bytes.
    pub(super) transaction: Box<Transaction>,
    pub(super) signer: PublicKey,
    pub(super) origin: Origin,
    pub(super) arrival: u64,
    /// When this node first saw it, by the wall clock.
    pub(super) seen: WallTime,
    pub(super) size: usize,
    pub(super) account: Account,
    /// The number of its account's queue, which orders faster than the account.
    pub(super) lane: u64,
    pub(super) sequence: u64,
    /// Whether it is the first in the pool that names an account which the ledger does not have.
    pub(super) makes_account: bool,
    /// Whether its sender is not in the ledger.
    pub(super) sender_is_new: bool,
}

/// The waiting transactions of one account.
#[derive(Clone, Debug, Default)]
pub(super) struct AccountQueue {
    /// The arrival number of the transaction that began the queue: no other queue has it.
    lane: u64,
    /// For each sequence: the id, the amount that leaves the account, and the signer.
    pub(super) by_sequence: BTreeMap<u64, (Txid, i128, PublicKey)>,
    pub(super) total: i128,
}

/// The transactions that wait for a block.
#[derive(Clone, Debug, Default)]
pub struct Mempool {
    pub(super) entries: BTreeMap<Txid, PoolEntry>,
    pub(super) arrivals: BTreeMap<u64, Txid>,
    pub(super) queues: BTreeMap<Account, AccountQueue>,
    pub(super) incoming: BTreeMap<Account, i128>,
    /// For each name, how many waiting transfers were signed for it while nobody owned it.
    pub(super) free_payees: BTreeMap<AccountName, usize>,
    /// The transactions of each origin, by arrival.
    pub(super) holdings: BTreeMap<Origin, BTreeMap<u64, Txid>>,
    /// The transactions that create accounts, by origin and arrival.
    pub(super) makers: BTreeMap<Origin, BTreeMap<u64, Txid>>,
    pub(super) bytes: usize,
    pub(super) digest: u64,
    pub(super) next_arrival: u64,
    /// The wall clock, as it was told last.
    clock: WallTime,
    pub(super) dropped: BTreeMap<Txid, (Transaction, PoolError)>,
    dropped_order: VecDeque<Txid>,
    /// Dropped transactions that [`Mempool::take_dropped`] has not handed out yet.
    untold: Vec<Departed>,
    /// Accounts that can pay less than when their transactions were checked. The operation checks them again before it
    /// ends.
    pub(super) shortened: Vec<Account>,
}

impl Mempool {
    /// A pool without transactions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the wall clock: what is added from now on was first seen at this time.
    pub const fn set_clock(&mut self, clock: WallTime) {
        self.clock = clock;
    }

    /// Takes over from another pool when its transactions were first seen.
    pub fn keep_first_seen(&mut self, before: &Self) {
        for (txid, entry) in &mut self.entries {
            if let Some(known) = before.entries.get(txid) {
                entry.seen = known.seen;
            }
        }
    }

    /// Adds a transaction that could be in a block after those before it.
    ///
    /// # Errors
    /// [`PoolError`] with the reason; the pool has not changed then.
    pub fn add<G: Ground>(&mut self, ground: &G, transaction: Transaction, origin: Origin) -> Result<Added, PoolError> {
        let txid = transaction.txid();
        let entry = self.admit(ground, txid, transaction, origin)?;
        entry.transaction.check_signature(&ground.network_id())?;
        self.admitted(ground, entry)
    }

    /// Adds a transaction whose signature was checked before.
    ///
    /// # Errors
    /// [`PoolError`] with the reason; the pool has not changed then.
    pub fn add_checked<G: Ground>(
        &mut self,
        ground: &G,
        transaction: Transaction,
        origin: Origin,
    ) -> Result<Added, PoolError> {
        let txid = transaction.txid();
        let entry = self.admit(ground, txid, transaction, origin)?;
        self.admitted(ground, entry)
    }

    /// Makes room and inserts the entry. Transactions that depend on an evicted one are evicted too.
    fn admitted<G: Ground>(&mut self, ground: &G, entry: PoolEntry) -> Result<Added, PoolError> {
        let mut evicted = self.make_room_for_new(ground.params(), &entry)?;
        evicted.extend(self.make_room(entry.origin, entry.size)?);
        self.dropped.remove(&entry.txid);
        self.insert(entry);
        evicted.extend(self.settle(ground)?);
        Ok(Added { evicted })
    }

    /// Drops the payments that the shortened accounts can no longer make, and then those that depended on them.
    fn settle<G: Ground>(&mut self, ground: &G) -> Result<Vec<Txid>, StoreError> {
        let mut gone = Vec::new();
        while let Some(account) = self.shortened.pop() {
            let Some((txid, reason)) = self.first_overdraft(ground, &account)? else {
                continue;
            };
            if let Some(entry) = self.remove(&txid) {
                self.drop_for(txid, *entry.transaction, reason.into());
                gone.push(txid);
                self.shortened.push(account);
            }
        }
        Ok(gone)
    }

    /// The first waiting payment of an account that would take its balance below the credit limit.
    fn first_overdraft<G: Ground>(
        &self,
        ground: &G,
        account: &Account,
    ) -> Result<Option<(Txid, LedgerError)>, StoreError> {
        let Some(queue) = self.queues.get(account) else {
            return Ok(None);
        };
        let (credit_limit, incoming) = (ground.params().credit_limit, self.incoming.get(account));
        let mut left = i128::from(ground.account(account)?.balance) + incoming.copied().unwrap_or(0);
        for (txid, amount, _) in queue.by_sequence.values() {
            let before = left;
            left -= amount;
            if let (true, Some(Transaction::Transfer(transfer))) = (left < -i128::from(credit_limit), self.get(txid)) {
                return Ok(Some((*txid, overdraft(transfer, before, credit_limit))));
            }
        }
        Ok(None)
    }

    /// Checks everything except the signature and the room.
    fn admit<G: Ground>(
        &self,
        ground: &G,
        txid: Txid,
        transaction: Transaction,
        origin: Origin,
    ) -> Result<PoolEntry, PoolError> {
        if self.contains(&txid) {
            return Err(PoolError::AlreadyPending);
        }
        let (Some((account, sequence)), Some(signer)) = (transaction.sequence(), transaction.signer()) else {
            return Err(PoolError::NoReward);
        };
        let state = ground.account(&account)?;
        // A confirmed transaction has raised the sequence, so only lower sequences need a look into the index.
        if sequence < state.next_sequence
            && let Some(place) = ground.place(&txid)?
        {
            return Err(PoolError::AlreadyConfirmed(place.height));
        }
        check_own_side(&account, &state, &transaction, signer)?;
        self.check_queue(&account, &state, sequence, signer, origin)?;
        if let Transaction::Transfer(transfer) = &transaction {
            self.check_recipient(ground, transfer)?;
            self.check_credit(ground, transfer, state.balance)?;
        }
        Ok(PoolEntry {
            size: transaction.to_bytes().len(),
            makes_account: self.makes_account(ground, &transaction)?,
            sender_is_new: state == AccountState::default(),
            txid,
            transaction: Box::new(transaction),
            signer,
            origin,
            arrival: self.next_arrival,
            seen: self.clock,
            lane: self.queues.get(&account).map_or(self.next_arrival, |queue| queue.lane),
            account,
            sequence,
        })
    }

    /// Checks the rules between the waiting transactions of one account.
    fn check_queue(
        &self,
        account: &Account,
        state: &AccountState,
        sequence: u64,
        signer: PublicKey,
        origin: Origin,
    ) -> Result<(), PoolError> {
        let queue = self.queues.get(account);
        if let (Account::Name(name), None) = (account, state.owner) {
            check_signer(account, self.pending_owner(name), signer)?;
        }
        let same = queue.and_then(|queue| queue.by_sequence.get(&sequence));
        if let Some((first, _, holder)) = same {
            // The first valid claim of a free name wins, so transactions that other keys queued after a gap do not
            // block it.
            if *holder == signer || sequence == 0 {
                let (account, first) = (account.clone(), *first);
                return Err(PoolError::SequenceTaken {
                    account,
                    sequence,
                    first,
                });
            }
            check_signer(account, Some(*holder), signer)?;
        }
        if origin == Origin::Own || origin == Origin::Returned {
            return Ok(());
        }
        let expected = next_free(queue, state.next_sequence);
        if sequence.saturating_sub(expected) > GAP_MAX {
            return Err(PoolError::SequenceGap {
                account: account.clone(),
                expected,
                got: sequence,
            });
        }
        let is_long = queue.is_some_and(|queue| queue.by_sequence.len() >= ACCOUNT_MAX_TRANSACTIONS);
        if is_long && self.is_crowded() {
            return Err(PoolError::AccountFull(account.clone()));
        }
        Ok(())
    }

    /// Checks that the recipient's owner is the one that the sender signed for: by the chain, or by a waiting claim.
    fn check_recipient<G: Ground>(&self, ground: &G, transfer: &Transfer) -> Result<(), PoolError> {
        let owner = ground.owner(&transfer.to)?;
        let pending = match (&transfer.to, owner) {
            (Account::Name(name), None) => self.pending_owner(name),
            (Account::Name(_) | Account::Key(_), _) => owner,
        };
        if transfer.to_owner != owner && transfer.to_owner != pending {
            return Err(LedgerError::OwnerChanged {
                account: transfer.to.clone(),
                owner: pending,
                meant: transfer.to_owner,
            }
            .into());
        }
        Ok(check_payable(ground.params(), &transfer.to, transfer.to_owner)?)
    }

    /// Checks that the sender can still pay after everything that waits before this transaction.
    fn check_credit<G: Ground>(&self, ground: &G, transfer: &Transfer, balance: Balance) -> Result<(), PoolError> {
        let earlier = self
            .queues
            .get(&transfer.from)
            .map_or(0, |queue| queue.sum_before(transfer.sequence));
        let incoming = self.incoming.get(&transfer.from).copied().unwrap_or(0);
        let before = i128::from(balance) + incoming - earlier;
        let credit_limit = ground.params().credit_limit;
        if before - i128::from(transfer.amount.get()) >= -i128::from(credit_limit) {
            return Ok(());
        }
        Err(overdraft(transfer, before, credit_limit).into())
    }

    /// Whether the pool is more than half full, by count or by bytes.
    fn is_crowded(&self) -> bool {
        self.entries.len() > POOL_MAX_TRANSACTIONS / 2 || self.bytes > POOL_MAX_BYTES / 2
    }

    fn insert(&mut self, entry: PoolEntry) {
        let (txid, amount) = (entry.txid, entry.amount());
        if let Transaction::Transfer(transfer) = &*entry.transaction {
            *self.incoming.entry(transfer.to.clone()).or_default() += amount;
        }
        if let Some(name) = entry.transaction.free_payee() {
            *self.free_payees.entry(name.clone()).or_default() += 1;
        }
        if entry.sequence == 0 {
            self.drop_rivals(&entry.account, entry.signer);
        }
        let queue = self.queues.entry(entry.account.clone()).or_default();
        queue.lane = entry.lane;
        queue.by_sequence.insert(entry.sequence, (txid, amount, entry.signer));
        queue.total += amount;
        if queue.by_sequence.range(entry.sequence..).nth(1).is_some() {
            // The new entry fills a gap: the later ones of the account were checked without it.
            self.shortened.push(entry.account.clone());
        }
        self.arrivals.insert(entry.arrival, txid);
        self.holdings
            .entry(entry.origin)
            .or_default()
            .insert(entry.arrival, txid);
        if entry.makes_account {
            self.makers.entry(entry.origin).or_default().insert(entry.arrival, txid);
        }
        self.bytes += entry.size;
        self.digest ^= txid.leading_bits();
        self.next_arrival = self.next_arrival.max(entry.arrival.saturating_add(1));
        self.entries.insert(txid, entry);
    }

    /// Drops what other keys have queued for a name that is being claimed, because it can never be valid after the
    /// claim.
    fn drop_rivals(&mut self, account: &Account, claimant: PublicKey) {
        let Some(queue) = self.queues.get(account) else { return };
        let rivals = queue.by_sequence.values().filter(|(_, _, signer)| *signer != claimant);
        let rivals: Vec<(Txid, PublicKey)> = rivals.map(|(txid, _, signer)| (*txid, *signer)).collect();
        for (txid, signer) in rivals {
            if let Some(entry) = self.remove(&txid) {
                let reason = LedgerError::NotOwner {
                    account: account.clone(),
                    owner: claimant,
                    signer,
                };
                self.drop_for(txid, *entry.transaction, reason.into());
            }
        }
    }

    pub(super) fn remove(&mut self, txid: &Txid) -> Option<PoolEntry> {
        let entry = self.entries.remove(txid)?;
        let amount = entry.amount();
        self.arrivals.remove(&entry.arrival);
        if let Some(held) = self.holdings.get_mut(&entry.origin) {
            held.remove(&entry.arrival);
            if held.is_empty() {
                self.holdings.remove(&entry.origin);
            }
        }
        if let Some(makers) = self.makers.get_mut(&entry.origin) {
            makers.remove(&entry.arrival);
        }
        if let Some(queue) = self.queues.get_mut(&entry.account) {
            queue.by_sequence.remove(&entry.sequence);
            queue.total -= amount;
            if queue.by_sequence.is_empty() {
                self.queues.remove(&entry.account);
            }
        }
        if let Some(name) = entry.transaction.free_payee()
            && let Some(count) = self.free_payees.get_mut(name)
        {
            *count -= 1;
            if *count == 0 {
                self.free_payees.remove(name);
            }
        }
        if let Transaction::Transfer(transfer) = &*entry.transaction
            && let Some(sum) = self.incoming.get_mut(&transfer.to)
        {
            *sum -= amount;
            if *sum == 0 {
                self.incoming.remove(&transfer.to);
            }
            self.shortened.push(transfer.to.clone());
        }
        self.bytes -= entry.size;
        self.digest ^= txid.leading_bits();
        Some(entry)
    }

    /// Replaces the waiting transactions by those of another pool. Dropped ones stay remembered, unless they wait
    /// there.
    pub(super) fn replace(&mut self, mut by: Self) {
        by.clock = self.clock;
        by.entries.values_mut().for_each(|entry| entry.seen = self.clock);
        by.keep_first_seen(self);
        let old = core::mem::take(self);
        let newer = core::mem::replace(&mut by.dropped, old.dropped);
        let newer_order = core::mem::replace(&mut by.dropped_order, old.dropped_order);
        by.untold = old.untold;
        by.next_arrival = by.next_arrival.max(old.next_arrival);
        *self = by;
        let mut newer = newer;
        for txid in newer_order {
            if let Some((transaction, reason)) = newer.remove(&txid) {
                self.drop_for(txid, transaction, reason);
            }
        }
        let entries = &self.entries;
        self.dropped.retain(|txid, _| !entries.contains_key(txid));
    }

    /// Hands out what was dropped since the last call, in that order, each transaction once, and only what does not wait
    /// again.
    pub fn take_dropped(&mut self) -> Vec<Departed> {
        let mut told = BTreeSet::new();
        let mut untold = core::mem::take(&mut self.untold);
        untold.retain(|departed| !self.contains(&departed.txid) && told.insert(departed.txid));
        untold
    }

    /// Remembers a transaction that is not in the pool any more, with the reason.
    pub(super) fn drop_for(&mut self, txid: Txid, transaction: Transaction, reason: PoolError) {
        let departed = Departed {
            txid,
            transaction: transaction.clone(),
            reason: reason.clone(),
        };
        self.untold.push(departed);
        if self.dropped.insert(txid, (transaction, reason)).is_none() {
            self.dropped_order.push_back(txid);
        }
        while self.dropped_order.len() > DROPPED_MAX {
            if let Some(oldest) = self.dropped_order.pop_front() {
                self.dropped.remove(&oldest);
            }
        }
    }
}

impl PoolEntry {
    fn amount(&self) -> i128 {
        match &*self.transaction {
            Transaction::Transfer(transfer) => i128::from(transfer.amount.get()),
            Transaction::Claim(_) | Transaction::Reward(_) => 0,
        }
    }
}

impl AccountQueue {
    /// The sum that the account pays before a sequence. Most callers ask for the end, so the rest is subtracted from
    /// the total.
    fn sum_before(&self, sequence: u64) -> i128 {
        self.total
            - self
                .by_sequence
                .range(sequence..)
                .map(|(_, (_, amount, _))| amount)
                .sum::<i128>()
    }
}

/// Checks the transaction against its sender's account at the tip.
fn check_own_side(
    account: &Account,
    state: &AccountState,
    transaction: &Transaction,
    signer: PublicKey,
) -> Result<(), LedgerError> {
    if let (Transaction::Claim(claim), Some(owner)) = (transaction, state.owner) {
        let name = claim.name.clone();
        return Err(LedgerError::AlreadyClaimed { name, owner });
    }
    check_signer(account, state.owner, signer)?;
    match transaction.sequence() {
        Some((_, got)) if got < state.next_sequence => Err(LedgerError::WrongSequence {
            account: account.clone(),
            expected: state.next_sequence,
            got,
        }),
        Some(_) | None => Ok(()),
    }
}

/// The first sequence from `start` on that no waiting transaction uses.
pub(super) fn next_free(queue: Option<&AccountQueue>, start: u64) -> u64 {
    let Some(queue) = queue else { return start };
    let mut free = start;
    if let (Some((first, _)), Some((last, _))) =
        (queue.by_sequence.first_key_value(), queue.by_sequence.last_key_value())
        && *first == start
        && u64::try_from(queue.by_sequence.len()).is_ok_and(|count| last - first == count - 1)
    {
        return last.saturating_add(1);
    }
    for sequence in queue.by_sequence.range(start..).map(|(sequence, _)| *sequence) {
        if sequence != free {
            break;
        }
        free = free.saturating_add(1);
    }
    free
}

fn overdraft(transfer: &Transfer, before: i128, credit_limit: u64) -> LedgerError {
    LedgerError::Overdraft {
        account: transfer.from.clone(),
        balance: clamped(before),
        amount: transfer.amount,
        credit_limit,
    }
}

pub(super) fn clamped(value: i128) -> Balance {
    Balance::try_from(value).unwrap_or(if value < 0 { Balance::MIN } else { Balance::MAX })
}
