//! Mining: what block is searched for, when the search changes, and what becomes of a find.
//!
//! Promises: the search is always on the active tip; a find that no longer fits the tip is dropped; a node never mines
//! two blocks on one parent.
//! Elsewhere: the search itself (`miner`), commands that wait for blocks (`runs`).
//! Spec: `proto-notes/consensus.md`, "Mining policy".

use std::collections::VecDeque;

use crate::chain::state::Chain;
use crate::chain::{Block, ChainStore, Header, Reward, Transaction, merkle};
use crate::engine::io::MinerOrder;
use crate::pool::Mempool;
use crate::types::rng::Rng;
use crate::types::{Account, BlockHash, Height, Time, WallTime};

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

/// What is looked at to make a template.
pub(crate) struct MiningView<'a, S> {
    pub(crate) chain: &'a Chain<S>,
    pub(crate) pool: &'a Mempool,
    /// A command waits for blocks: there is no pause.
    pub(crate) is_counted: bool,
    /// The wall clock of the rules.
    pub(crate) clock: &'a dyn Fn() -> WallTime,
    /// Where the reward goes.
    pub(crate) to: &'a dyn Fn() -> Account,
}

/// The state of mining.
#[derive(Clone, Debug)]
pub(crate) struct Mining {
    on: bool,
    rate: u64,
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
    out: VecDeque<MinerOrder>,
}

impl Mining {
    /// Mining goes on without a command: `mine on`.
    pub(crate) const fn new(on: bool, now: Time, seed: u64) -> Self {
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
            out: VecDeque::new(),
        }
    }

    /// `mine on`, `mine off`.
    pub(crate) const fn turn(&mut self, on: bool) {
        self.on = on;
    }

    /// Whether it goes on without a command.
    pub(crate) const fn is_on(&self) -> bool {
        self.on
    }

    /// Attempts a second while something is searched.
    pub(crate) const fn rate(&self) -> u64 {
        if self.active { self.rate } else { 0 }
    }

    /// The miner told its rate.
    pub(crate) const fn measured(&mut self, rate: u64) {
        self.rate = rate;
    }

    /// The next order that waits to be carried out, in the order in which they were given.
    pub(crate) fn poll(&mut self) -> Option<MinerOrder> {
        self.out.pop_front()
    }

    /// When the template is renewed.
    pub(crate) fn next_wakeup(&self) -> Option<Time> {
        (self.active || self.held).then_some(self.refresh_at)
    }

    /// Renews the template in this turn, so that own transactions enter it at once.
    pub(crate) fn refresh_soon(&mut self, now: Time) {
        self.refresh_at = self.refresh_at.min(now);
    }

    /// The search of the next command begins at once, without the rest of a pause.
    pub(crate) const fn hurry(&mut self) {
        self.refresh_at = Time::from_ms(0);
    }

    /// Whether the miner has a job whose find would count.
    pub(crate) fn is_searching(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Drops all jobs: finds for them do not count, and the next turn makes a new one.
    pub(crate) fn drop_jobs(&mut self) {
        self.jobs.clear();
        self.refresh_at = Time::from_ms(0);
    }

    /// Ends the search; what it found before does not count any more.
    pub(crate) fn stop(&mut self) {
        self.held = false;
        self.stop_search();
    }

    /// Starts or renews the search.
    pub(crate) fn pump<S: ChainStore>(&mut self, now: Time, ground: &MiningView<'_, S>) {
        let tip = ground.chain.tip().hash;
        let moved = self.jobs.back().is_none_or(|job| job.header.previous != tip);
        if self.paced != tip {
            self.paced = tip;
            // Whoever draws the shortest pause searches first, the others hear of the block meanwhile.
            let pause_ms = if is_fast(ground.chain) {
                self.rng.exponential_ms(PAUSE_MEAN_MS)
            } else {
                0
            };
            self.pause_until = now.after_ms(pause_ms);
        }
        if moved || !self.active || self.refresh_at <= now {
            self.give_job(now, ground);
        }
    }

    fn stop_search(&mut self) {
        if core::mem::take(&mut self.active) {
            self.jobs.clear();
            self.out.push_back(MinerOrder::Stop);
        }
    }

    fn give_job<S: ChainStore>(&mut self, now: Time, ground: &MiningView<'_, S>) {
        self.refresh_at = now.after_ms(REFRESH_MS);
        let clock = (ground.clock)();
        // A block is never older than its parent: on a tip that is too far ahead of the clock each find would be
        // refused as one of the future, by this node first (`engine::future` says it).
        self.held = ground.chain.tip().header.check_clock(clock).is_err();
        if self.held {
            return self.stop_search();
        }
        let job = self.template(clock, ground);
        let Some(target) = job.header.bits.target(ground.chain.params().halflife_ms) else {
            return;
        };
        let order = MinerOrder::Mine {
            job: job.id,
            header: job.header.clone(),
            target,
            delay_ms: if ground.is_counted {
                0
            } else {
                self.pause_until.since(now)
            },
        };
        self.active = true;
        self.jobs.push_back(job);
        if self.jobs.len() > JOBS_MAX {
            self.jobs.pop_front();
        }
        self.out.push_back(order);
    }

    /// The block that would follow the tip now.
    fn template<S: ChainStore>(&mut self, clock: WallTime, ground: &MiningView<'_, S>) -> Job {
        let (chain, to) = (ground.chain, (ground.to)());
        let tip = &chain.tip().header;
        let height = tip.height.next();
        let chosen = ground.pool.next_block(chain, &to);
        let reward = Transaction::Reward(Reward { to, height });
        let (mut txids, mut transactions) = (vec![reward.txid()], vec![reward]);
        txids.extend(chosen.iter().map(|(txid, _)| *txid));
        transactions.extend(chosen.into_iter().map(|(_, transaction)| transaction.clone()));
        let time = clock.max(tip.time);
        let header = Header {
            previous: chain.tip().hash,
            merkle_root: merkle::root(&txids),
            version: crate::chain::params::HEADER_VERSION,
            bits: chain.params().required_bits(tip, time),
            height,
            time,
            nonce: 0,
        };
        let id = self.next_job;
        self.next_job += 1;
        Job {
            id,
            header,
            transactions,
        }
    }

    /// A job's nonces are used up: the same template without new time would be searched in vain.
    pub(crate) fn exhausted(&mut self, now: Time, id: u64) {
        if self.jobs.back().is_some_and(|job| job.id == id) {
            self.refresh_at = self.refresh_at.min(now.after_ms(1));
        }
    }

    /// A nonce was found: the block, if it fits this tip.
    pub(crate) fn found(&self, id: u64, nonce: u64, tip: BlockHash) -> Option<Block> {
        let fits = |job: &&Job| job.id == id && job.header.previous == tip;
        let job = self.jobs.iter().find(fits)?;
        Some(Block {
            header: Header {
                nonce,
                ..job.header.clone()
            },
            transactions: job.transactions.clone(),
        })
    }
}

/// Whether the last blocks came faster than one a second.
fn is_fast<S: ChainStore>(chain: &Chain<S>) -> bool {
    let tip = &chain.tip().header;
    let span = PACE_BLOCKS.min(tip.height.get().saturating_sub(1));
    if span == 0 {
        return false;
    }
    let first = Height::new(tip.height.get() - span);
    let hash = chain.active(first).ok().flatten();
    let stored = hash.and_then(|hash| chain.block(&hash).ok().flatten());
    stored.is_some_and(|block| tip.time.since(block.header.time) < span * PACE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::blocks::{CLOCK, advance, branch, dev, mine_after, wallet};

    fn pump(
        mining: &mut Mining,
        now: u64,
        chain: &Chain<impl ChainStore>,
        is_counted: bool,
        clock: WallTime,
    ) -> Vec<MinerOrder> {
        let ground = MiningView {
            chain,
            pool: &Mempool::new(),
            is_counted,
            clock: &|| clock,
            to: &|| wallet(1),
        };
        mining.pump(Time::from_ms(now), &ground);
        core::iter::from_fn(|| mining.poll()).collect()
    }

    fn mining() -> Mining {
        Mining::new(true, Time::from_ms(0), 7)
    }

    fn one_more(chain: &mut Chain<impl ChainStore>) {
        let block = branch(&chain.params().clone(), &chain.tip().header.clone(), 2, 1);
        advance(chain, &block[0]);
    }

    #[test]
    fn a_template_is_renewed_each_second_and_when_the_tip_moves() {
        let (mut chain, _) = dev();
        let mut mining = mining();
        assert_eq!(pump(&mut mining, 0, &chain, false, CLOCK).len(), 1);
        assert_eq!(pump(&mut mining, 999, &chain, false, CLOCK).len(), 0);
        assert_eq!(mining.next_wakeup(), Some(Time::from_ms(1_000)));
        assert_eq!(pump(&mut mining, 1_000, &chain, false, CLOCK).len(), 1);
        one_more(&mut chain);
        let orders = pump(&mut mining, 1_001, &chain, false, CLOCK);
        assert!(matches!(&orders[..], [MinerOrder::Mine { header, .. }] if header.previous == chain.tip().hash));
        mining.stop();
        assert_eq!((mining.poll(), mining.poll()), (Some(MinerOrder::Stop), None));
        assert_eq!(mining.next_wakeup(), None);
    }

    #[test]
    fn a_find_counts_on_its_own_tip_and_while_something_is_searched() {
        let (mut chain, _) = dev();
        let genesis = chain.tip().hash;
        let mut mining = mining();
        pump(&mut mining, 0, &chain, false, CLOCK);
        pump(&mut mining, 1_000, &chain, false, CLOCK);
        for job in [1, 2] {
            let block = mining.found(job, 5, genesis).unwrap();
            assert_eq!((block.header.previous, block.header.nonce), (genesis, 5));
        }
        assert_eq!(mining.found(3, 5, genesis), None, "no such job");
        one_more(&mut chain);
        assert_eq!(mining.found(2, 5, chain.tip().hash), None, "another tip");
        mining.stop();
        assert_eq!(mining.found(2, 5, genesis), None, "nothing is searched");
    }

    #[test]
    fn a_tip_ahead_of_the_clock_holds_the_search_until_its_time() {
        let (mut chain, _) = dev();
        one_more(&mut chain);
        let early = WallTime::from_ms(chain.tip().header.time.ms() - crate::chain::params::FUTURE_MAX_MS - 1);
        let mut mining = mining();
        assert_eq!(pump(&mut mining, 0, &chain, true, early), []);
        assert_eq!(
            mining.next_wakeup(),
            Some(Time::from_ms(1_000)),
            "it is looked at again"
        );
        assert_eq!(pump(&mut mining, 1_000, &chain, true, CLOCK).len(), 1);
    }

    #[test]
    fn only_mining_without_a_command_pauses_and_only_where_blocks_are_fast() {
        let (mut chain, _) = dev();
        let delays = |chain: &Chain<_>, is_counted| -> u64 {
            let mut mining = mining();
            let orders = pump(&mut mining, 0, chain, is_counted, CLOCK);
            let delay = |order: &MinerOrder| match order {
                MinerOrder::Mine { delay_ms, .. } => *delay_ms,
                MinerOrder::Stop => 0,
            };
            orders.iter().map(delay).sum()
        };
        assert_eq!(delays(&chain, false), 0, "a chain without blocks");
        for _ in 0..12 {
            let block = mine_after(&chain.params().clone(), &chain.tip().header.clone(), 100, 2, Vec::new());
            advance(&mut chain, &block);
        }
        assert!(delays(&chain, false) > 0);
        assert_eq!(delays(&chain, true), 0);
        // Drawn once for a tip: a renewed template waits for the rest of it.
        let mut mining = mining();
        let mut delay = |now| match &pump(&mut mining, now, &chain, false, CLOCK)[..] {
            [MinerOrder::Mine { delay_ms, .. }] => *delay_ms,
            other => panic!("{other:?}"),
        };
        let first = delay(0);
        assert_eq!(delay(1_000), first.saturating_sub(1_000));
    }
}
