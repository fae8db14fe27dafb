//! Mining threads, which share one job at a time.
//!
//! Promises: a new job stops the previous one within a millisecond of search time. Each job ends in at most one event.
//! No two threads try the same nonce of a job. Idle threads sleep. The callback runs without any lock of the pool, so
//! it may call the pool.
//! Elsewhere: the search of one range (`search`), the division of the nonces (`span`), the average (`rate`), the next
//! job after all nonces were tried: a later time and its bits (the engine's template).

use super::MiningWork;
use super::priority;
use super::rate::HashRate;
use super::search::{SearchOutcome, search};
use super::span::Span;
use crate::threads::{self, panic_point};
use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Nonces between two updates of the hash rate: a few milliseconds with any kernel.
const SLICE: u64 = 1 << 18;

/// How a job or a thread ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolEvent {
    /// A thread found a nonce that meets the limit.
    Found {
        /// The number of the job.
        job: u64,
        /// The nonce that was found.
        nonce: u64,
    },
    /// Every nonce was tried; the owner must change the time in the header.
    Exhausted {
        /// The number of the job.
        job: u64,
    },
    /// A thread has failed with this message; its share of every job stays unsearched.
    Failed(String),
}

/// The callback for the end of a job.
type OnEvent = Box<dyn Fn(PoolEvent) + Send + Sync>;

/// A set of mining threads. Dropping it stops them and waits for their end.
pub struct Pool {
    shared: Arc<PoolShared>,
    threads: Vec<JoinHandle<()>>,
}

/// The state that the threads and the owner share.
struct PoolShared {
    slot: Mutex<Slot>,
    wake: Condvar,
    rate: Mutex<HashRate>,
    on_event: OnEvent,
}

/// The present job, if there is one, and the number of jobs so far.
#[derive(Default)]
struct Slot {
    job: Option<Arc<PoolJob>>,
    generation: u64,
    closing: bool,
}

/// One job, shared by the threads that search it.
struct PoolJob {
    number: u64,
    work: MiningWork,
    span: Span,
    threads: usize,
    not_before: Instant,
    cancel: AtomicBool,
    /// Whether the event of this job was sent.
    settled: AtomicBool,
    /// The number of threads that have not yet tried all their ranges.
    unfinished: AtomicUsize,
}

impl Pool {
    /// Starts `threads` (at least one) idle threads. Mining threads call `on_event`.
    pub fn start(threads: usize, on_event: OnEvent) -> Pool {
        let shared = Arc::new(PoolShared {
            slot: Mutex::default(),
            wake: Condvar::new(),
            rate: Mutex::new(HashRate::new()),
            on_event,
        });
        let spawn = |index: usize| {
            let shared = Arc::clone(&shared);
            let lost = Arc::clone(&shared);
            let failed = move |reason: &str| (lost.on_event)(PoolEvent::Failed(reason.to_owned()));
            threads::spawn(&format!("miner-{index}"), move || shared.run_thread(index), failed)
        };
        let mut started = Vec::new();
        for index in 0..threads.max(1) {
            match spawn(index) {
                Ok(handle) => started.push(handle),
                Err(error) => {
                    let started = started.len();
                    tracing::warn!(target: "miner", started, %error, "fewer mining threads than wanted");
                    break;
                }
            }
        }
        Pool {
            shared,
            threads: started,
        }
    }

    /// Replaces the present job by this one, after `delay` (zero: at once).
    ///
    /// The search begins at the first nonce that has the same high half as the one in the header, and goes around the
    /// whole 64-bit space. A replaced job may still send its event if a thread is just reporting; compare the job
    /// number.
    pub fn mine(&self, job: u64, work: MiningWork, delay: Duration) {
        let [.., a, b, c, d, e, f, g, h] = work.header;
        let start = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        self.replace(job, work, Span::all(start), delay);
    }

    /// Like [`Pool::mine`], but tries only these nonces, in ranges of `range` nonces that the threads take in turn.
    pub fn mine_within(&self, job: u64, work: MiningWork, nonces: RangeInclusive<u64>, range: u64, delay: Duration) {
        self.replace(job, work, Span::part(nonces, range), delay);
    }

    /// Drops the present job at once; the threads stay and sleep.
    pub fn stop(&self) {
        let mut slot = self.shared.slot();
        slot.drop_job();
        self.shared.rate().clear();
    }

    /// Attempts per second over the last four seconds; 0 when stopped.
    pub fn hash_rate(&self) -> u64 {
        self.shared.rate().per_second(Instant::now())
    }

    fn replace(&self, number: u64, work: MiningWork, span: Span, delay: Duration) {
        let now = Instant::now();
        let job = PoolJob {
            number,
            work,
            span,
            threads: self.threads.len(),
            not_before: now + delay,
            cancel: AtomicBool::new(false),
            settled: AtomicBool::new(false),
            unfinished: AtomicUsize::new(self.threads.len()),
        };
        let mut slot = self.shared.slot();
        slot.drop_job();
        slot.job = Some(Arc::new(job));
        slot.generation += 1;
        self.shared.rate().begin(now);
        self.shared.wake.notify_all();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            let mut slot = self.shared.slot();
            slot.drop_job();
            slot.closing = true;
            self.shared.wake.notify_all();
        }
        for thread in self.threads.drain(..) {
            thread.join().expect("a watched thread ends without a panic");
        }
    }
}

impl Slot {
    fn drop_job(&mut self) {
        if let Some(job) = self.job.take() {
            job.cancel.store(true, Ordering::Relaxed);
        }
    }
}

impl PoolShared {
    // A panic in the callback does not matter to the locks: both values are consistent at every unlock.
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rate(&self) -> MutexGuard<'_, HashRate> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The main loop of one thread.
    fn run_thread(&self, index: usize) {
        priority::lower();
        let mut seen = 0;
        while let Some(job) = self.next_job(&mut seen) {
            panic_point("miner");
            self.search_share(&job, index);
        }
    }

    /// Sleeps until there is a job that this thread has not seen and whose delay is over; `None` when the pool ends.
    fn next_job(&self, seen: &mut u64) -> Option<Arc<PoolJob>> {
        let mut slot = self.slot();
        while !slot.closing {
            let fresh = slot.job.as_ref().filter(|_| slot.generation != *seen);
            let pause = fresh.map(|job| job.not_before.saturating_duration_since(Instant::now()));
            slot = match (fresh, pause) {
                (Some(job), Some(Duration::ZERO)) => {
                    *seen = slot.generation;
                    return Some(Arc::clone(job));
                }
                (_, Some(pause)) => {
                    let woken = self.wake.wait_timeout(slot, pause);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                (_, None) => self.wake.wait(slot).unwrap_or_else(PoisonError::into_inner),
            };
        }
        None
    }

    /// Tries this thread's ranges of a job.
    fn search_share(&self, job: &PoolJob, index: usize) {
        for range in job.span.ranges(index, job.threads) {
            match self.search_range(job, range) {
                SearchOutcome::Found(nonce) => {
                    job.cancel.store(true, Ordering::Relaxed);
                    self.settle(job, PoolEvent::Found { job: job.number, nonce });
                    return;
                }
                SearchOutcome::Cancelled => return,
                SearchOutcome::Exhausted => {}
            }
        }
        if job.unfinished.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.settle(job, PoolEvent::Exhausted { job: job.number });
        }
    }

    /// Searches a range in slices, and adds each slice to the hash rate.
    fn search_range(&self, job: &PoolJob, range: RangeInclusive<u64>) -> SearchOutcome {
        let (mut first, last) = range.into_inner();
        loop {
            let end = last.min(first.saturating_add(SLICE - 1));
            let attempts = AtomicU64::new(0);
            let outcome = search(&job.work, first..=end, &job.cancel, &attempts);
            self.rate().add(Instant::now(), attempts.into_inner());
            if outcome != SearchOutcome::Exhausted || end == last {
                return outcome;
            }
            first = end + 1;
        }
    }

    /// Sends the event of a job, unless another thread has sent it.
    fn settle(&self, job: &PoolJob, event: PoolEvent) {
        if !job.settled.swap(true, Ordering::Relaxed) {
            (self.on_event)(event);
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
