//! The search of one range of nonces.
//!
//! Promises: it finds the lowest nonce of the range that meets the limit, with every kernel; it sees a raised cancel
//! flag within a millisecond; it updates the counters once a batch, not once an attempt.
//! Elsewhere: the attempts themselves (`kernel`), threads and jobs (`pool`).

use super::MiningWork;
use super::kernel::{Kernel, Prepared, Template};
use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchOutcome {
    /// The lowest nonce of the range that meets the limit.
    Found(u64),
    /// No nonce of the range meets the limit.
    Exhausted,
    /// The cancel flag was raised before the end.
    Cancelled,
}

/// Searches the range with the fastest kernel of this processor.
///
/// `attempts` grows with each batch of attempts, so that others can show the rate during the search.
pub fn search(
    work: &MiningWork,
    nonces: RangeInclusive<u64>,
    cancel: &AtomicBool,
    attempts: &AtomicU64,
) -> SearchOutcome {
    search_with(Kernel::chosen(), work, nonces, cancel, attempts)
}

/// Searches the range with a given kernel, for tests and benchmarks.
///
/// # Panics
/// If the processor cannot run that kernel.
pub fn search_with(
    kernel: Kernel,
    work: &MiningWork,
    nonces: RangeInclusive<u64>,
    cancel: &AtomicBool,
    attempts: &AtomicU64,
) -> SearchOutcome {
    assert!(
        kernel.is_available(),
        "this processor lacks the kernel {}",
        kernel.name()
    );
    if nonces.is_empty() {
        return SearchOutcome::Exhausted;
    }
    let template = Template::new(work);
    let ((first_high, first_low), (last_high, last_low)) = (halves(*nonces.start()), halves(*nonces.end()));
    for high in first_high..=last_high {
        let first = if high == first_high { first_low } else { 0 };
        let last = if high == last_high { last_low } else { u32::MAX };
        let scan = Scan {
            kernel,
            prepared: template.prepare(high),
            cancel,
            attempts,
        };
        match scan.run(first, last) {
            LowOutcome::Found(low) => return SearchOutcome::Found(join(high, low)),
            LowOutcome::Cancelled => return SearchOutcome::Cancelled,
            LowOutcome::Exhausted => {}
        }
    }
    SearchOutcome::Exhausted
}

/// A [`SearchOutcome`] for the low half of a nonce.
enum LowOutcome {
    Found(u32),
    Exhausted,
    Cancelled,
}

/// A search of nonces that share one high half.
struct Scan<'a> {
    kernel: Kernel,
    prepared: Prepared,
    cancel: &'a AtomicBool,
    attempts: &'a AtomicU64,
}

impl Scan<'_> {
    fn run(&self, mut first: u32, last: u32) -> LowOutcome {
        loop {
            if self.cancel.load(Ordering::Relaxed) {
                return LowOutcome::Cancelled;
            }
            let end = last.min(first.saturating_add(self.kernel.batch() - 1));
            let found = self.batch(first, end);
            let tried = u64::from(found.unwrap_or(end) - first) + 1;
            self.attempts.fetch_add(tried, Ordering::Relaxed);
            if let Some(low) = found {
                return LowOutcome::Found(low);
            }
            if end == last {
                return LowOutcome::Exhausted;
            }
            first = end + 1;
        }
    }

    /// The lowest nonce of one batch that meets the limit. A candidate may miss the limit after all; this is rare,
    /// except with limits that no network uses. Then the kernel starts again after the candidate.
    fn batch(&self, mut first: u32, end: u32) -> Option<u32> {
        loop {
            let candidate = self.kernel.scan(&self.prepared, first, end)?;
            if self.prepared.meets(candidate) {
                return Some(candidate);
            }
            if candidate == end {
                return None;
            }
            first = candidate + 1;
        }
    }
}

fn halves(nonce: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = nonce.to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

fn join(high: u32, low: u32) -> u64 {
    (u64::from(high) << 32) | u64::from(low)
}
