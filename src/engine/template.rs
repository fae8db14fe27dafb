//! Mining: what block is searched for, when the search changes, and what becomes of a find.
//!
//! Promises: the search is always on the active tip; a find that no longer fits the tip is dropped; a node never mines
//! two blocks on one parent.
//! Elsewhere: the search itself (`miner`). Spec: `proto-notes/consensus.md`, "Mining policy".

use std::collections::VecDeque;

use super::advance::Offer;
use super::io::{MinerOrder, NetOrder};
use super::machine::Engine;
use super::runs::Mined;
use crate::chain::{Block, ChainStore, Header, Reward, Transaction, merkle};
use crate::contract::{CommandError, Event, Reply, Source};
use crate::types::rng::Rng;
use crate::types::{BlockHash, Height, Time};
use crate::wire::Topic;

/// How often a template takes new transactions and the time.
const REFRESH_MS: u64 = 1_000;
/// Over how many blocks the pace is measured.
const PACE_BLOCKS: u64 = 10;
/// Faster than this a block, and `mine on` pauses.
const PACE_MS: u64 = 1_000;
/// The mean of the pause.
const PAUSE_MEAN_MS: u64 = 1_000;
/// Jobs whose finds still count; an order to the miner takes a moment.
const JOBS_MAX: usize = 4;

/// What was given to the miner.
#[derive(Clone, Debug)]
struct Job {
    id: u64,
    header: Header,
    transactions: Vec<Transaction>,
}

/// The state of mining.
#[derive(Clone, Debug)]
pub(super) struct Mining {
    /// `mine on`.
    pub(super) on: bool,
    /// Attempts a second.
    pub(super) rate: u64,
    jobs: VecDeque<Job>,
    next_job: u64,
    active: bool,
    /// The tip lies so far ahead of the clock that this node would refuse a block on it.
    held: bool,
    refresh_at: Time,
    pause_until: Time,
    /// The tip for which the pause was drawn.
    paced: BlockHash,
    rng: Rng,
}

impl Mining {
    pub(super) const fn new(on: bool, now: Time, seed: u64) -> Self {
        Self {
            on,
            rate: 0,
            jobs: VecDeque::new(),
            next_job: 1,
            active: false,
            held: false,
            refresh_at: now,
            pause_until: now,
            paced: BlockHash::ZERO,
            rng: Rng::new(seed),
        }
    }

    const fn draw_pause_ms(&mut self) -> u64 {
        self.rng.exponential_ms(PAUSE_MEAN_MS)
    }

    pub(super) const fn is_active(&self) -> bool {
        self.active
    }

    pub(super) fn next_wakeup(&self) -> Option<Time> {
        (self.active || self.held).then_some(self.refresh_at)
    }

    /// Own transactions enter the template in this turn already.
    pub(super) fn refresh_soon(&mut self, now: Time) {
        self.refresh_at = self.refresh_at.min(now);
    }

    /// Nothing found for earlier jobs counts any more, and the next turn makes a new one.
    pub(super) fn drop_jobs(&mut self) {
        self.jobs.clear();
        self.refresh_at = Time::from_ms(0);
    }
}

impl<S: ChainStore> Engine<S> {
    /// Starts, renews or stops the search.
    pub(super) fn pump_mining(&mut self) {
        let counted = self.runs.is_mining();
        let wanted = self.mining.on && self.started || counted;
        // A long switch replaces the tip: what is found on it would be lost.
        if !wanted || self.cannot_mine().is_some() || self.stopping || self.chain.is_switching() {
            self.mining.held = false;
            self.stop_search();
            return;
        }
        let tip = self.chain.tip().hash;
        let moved = self.mining.jobs.back().is_none_or(|job| job.header.previous != tip);
        if self.mining.paced != tip {
            self.mining.paced = tip;
            // Whoever draws the shortest pause searches first, the others hear of the block meanwhile.
            let is_fast = self.is_fast();
            let pause = if is_fast { self.mining.draw_pause_ms() } else { 0 };
            self.mining.pause_until = self.after(pause);
        }
        if moved || !self.mining.active || self.mining.refresh_at <= self.now {
            self.give_job(counted);
        }
    }

    fn stop_search(&mut self) {
        if core::mem::take(&mut self.mining.active) {
            self.mining.jobs.clear();
            self.out.order_miner(MinerOrder::Stop);
        }
    }

    /// A block is never older than its parent: on a tip that is too far ahead of the clock each find would be refused
    /// as one of the future, by this node first (`engine::ahead` says it).
    fn hold_if_ahead(&mut self) -> bool {
        self.mining.held = self.is_ahead();
        if self.mining.held {
            self.stop_search();
        }
        self.mining.held
    }

    /// Makes the next command's search begin at once, without the rest of a pause.
    pub(super) const fn hurry_mining(&mut self) {
        self.mining.refresh_at = Time::from_ms(0);
    }

    fn give_job(&mut self, counted: bool) {
        self.mining.refresh_at = self.after(REFRESH_MS);
        if self.hold_if_ahead() {
            return;
        }
        let Some(job) = self.template() else { return };
        let Some(target) = job.header.bits.target(self.chain.params().halflife_ms) else {
            return;
        };
        let delay_ms = if counted {
            0
        } else {
            self.mining.pause_until.since(self.now)
        };
        let order = MinerOrder::Mine {
            job: job.id,
            header: job.header.clone(),
            target,
            delay_ms,
        };
        self.mining.active = true;
        self.mining.jobs.push_back(job);
        if self.mining.jobs.len() > JOBS_MAX {
            self.mining.jobs.pop_front();
        }
        self.out.order_miner(order);
    }

    /// The block that would follow the tip now.
    fn template(&mut self) -> Option<Job> {
        let tip = self.chain.tip().header.clone();
        let height = tip.height.next();
        let to = self.reward_account();
        let mut transactions = vec![Transaction::Reward(Reward { to: to.clone(), height })];
        transactions.extend(self.pool.in_block_order(&self.chain, &to));
        let txids: Vec<_> = transactions.iter().map(Transaction::txid).collect();
        let time = self.clock().max(tip.time);
        let header = Header {
            previous: tip.hash(),
            merkle_root: merkle::root(&txids),
            version: crate::chain::params::HEADER_VERSION,
            bits: self.chain.params().required_bits(&tip, time),
            height,
            time,
            nonce: 0,
        };
        let id = self.mining.next_job;
        self.mining.next_job += 1;
        Some(Job {
            id,
            header,
            transactions,
        })
    }

    /// Whether the last blocks came faster than one a second.
    fn is_fast(&self) -> bool {
        let tip = &self.chain.tip().header;
        let span = PACE_BLOCKS.min(tip.height.get().saturating_sub(1));
        if span == 0 {
            return false;
        }
        let first = Height::new(tip.height.get() - span);
        let stored = self
            .chain
            .active(first)
            .ok()
            .flatten()
            .and_then(|hash| self.chain.block(&hash).ok().flatten());
        stored.is_some_and(|block| tip.time.since(block.header.time) < span * PACE_MS)
    }

    pub(super) fn on_exhausted(&mut self, id: u64) {
        if self.mining.jobs.back().is_some_and(|job| job.id == id) {
            // The same template without new time would be searched in vain.
            self.mining.refresh_at = self.mining.refresh_at.min(self.after(1));
        }
    }

    pub(super) fn on_found(&mut self, id: u64, nonce: u64) {
        let tip = self.chain.tip().hash;
        let Some(job) = self
            .mining
            .jobs
            .iter()
            .find(|job| job.id == id && job.header.previous == tip)
            .cloned()
        else {
            return;
        };
        if !self.mining.active || self.read_only {
            return;
        }
        let block = Block {
            header: Header { nonce, ..job.header },
            transactions: job.transactions,
        };
        let (hash, height, bytes) = (block.hash(), block.header.height, block.to_bytes());
        self.out.event(Event::Mined { hash, height });
        match self.offer(block, Source::Local) {
            Offer::Taken => {
                self.out.announce(NetOrder::Publish {
                    topic: Topic::Blocks,
                    bytes,
                });
                self.count_mined(hash);
            }
            Offer::Known => {}
            Offer::WrongBody(reason) | Offer::Invalid(reason) | Offer::Ledger(reason) => {
                self.mining.drop_jobs();
                self.out.warn("internal", format!("an own block was refused: {reason}"));
            }
            Offer::NotNow(_) => self.mining.drop_jobs(),
        }
    }

    /// An own block counts for the oldest `mine N` that runs.
    fn count_mined(&mut self, hash: BlockHash) {
        let Some(Mined { id, count, blocks }) = self.runs.mined(hash) else {
            return;
        };
        let result = self.view().first_views(blocks).map(|(blocks, rest)| Reply::Mined {
            message: "New Block Forged".to_owned(),
            count,
            blocks,
            rest,
        });
        self.out.reply(id, result);
    }

    /// The disk fails: no find can be kept.
    pub(super) fn fail_mining_runs(&mut self, error: &CommandError) {
        for id in self.runs.end_mining() {
            self.out.reply(id, Err(error.clone()));
        }
    }

    /// Why nothing can be mined, if anything stands against it.
    pub(super) fn cannot_mine(&self) -> Option<CommandError> {
        if self.missing.mining {
            return Some(super::parts::mining_failed());
        }
        if self.read_only {
            return Some(super::commands::read_only());
        }
        self.storage.room.is_low().then(super::storage::disk_low)
    }
}
