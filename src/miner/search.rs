//! The search of one nonce range.
//!
//! Promises: the lowest nonce of the range that meets the limit is found, whatever the kernel; a raised
//! cancel flag is seen within a millisecond; the counters are touched once a batch, not once an attempt.
//! Elsewhere: the attempts themselves (`kernel`), threads and jobs (`pool`).

use super::Work;
use super::kernel::{Kernel, Prepared, Template};
use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The lowest nonce of the range that meets the limit.
    Found(u64),
    /// No nonce of the range meets it.
    Exhausted,
    /// The flag was raised before the end.
    Cancelled,
}

/// Searches the range with the fastest kernel of this processor.
///
/// `attempts` grows by the attempts made, once a batch, so that others can show a rate meanwhile.
pub fn search(work: &Work, nonces: RangeInclusive<u64>, cancel: &AtomicBool, attempts: &AtomicU64) -> Outcome {
    search_with(Kernel::chosen(), work, nonces, cancel, attempts)
}

/// Searches the range with one kernel; tests and benchmarks name it.
///
/// # Panics
/// If the processor cannot run that kernel.
pub fn search_with(
    kernel: Kernel,
    work: &Work,
    nonces: RangeInclusive<u64>,
    cancel: &AtomicBool,
    attempts: &AtomicU64,
) -> Outcome {
    assert!(
        kernel.is_available(),
        "this processor lacks the kernel {}",
        kernel.name()
    );
    if nonces.is_empty() {
        return Outcome::Exhausted;
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
            LowOutcome::Found(low) => return Outcome::Found(join(high, low)),
            LowOutcome::Cancelled => return Outcome::Cancelled,
            LowOutcome::Exhausted => {}
        }
    }
    Outcome::Exhausted
}

/// As [`Outcome`], for the low half of a nonce.
enum LowOutcome {
    Found(u32),
    Exhausted,
    Cancelled,
}

/// A search under one high half.
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

    /// The lowest hit of one batch. Candidates that miss the limit after all are rare, except with
    /// limits that no network uses; so the kernel starts again behind them.
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
