//! Measures this machine: what `lanchain bench` prints.
//!
//! Promises: the measured code is the code that mines; contenders take turns, so that other load strikes
//! all of them; the median of the turns counts.
//! Elsewhere: comparison with other ways to hash a header (`benches/mining.rs`).

use super::Work;
use super::kernel::Kernel;
use super::pool::Pool;
use super::search::search_with;
use core::sync::atomic::{AtomicBool, AtomicU64};
use std::io;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// How long a turn of one contender lasts: long enough for a steady clock, short enough to wait for.
const TURN: Duration = Duration::from_millis(100);

/// Turns of each contender; the median needs an odd number.
const TURNS: usize = 7;

/// Attempts at the easiest block of every network: 16 zero bits.
const FLOOR_ATTEMPTS: u64 = 1 << 16;

/// A named way to make attempts: told how many, it makes that many.
pub type Contender<'a> = (&'a str, Box<dyn Fn(u64) + 'a>);

/// Prints the rate of each kernel of this processor, which one is used, and the rate of all cores.
pub fn run(out: &mut impl io::Write) -> io::Result<()> {
    report(out, TURNS, TURN)
}

fn report(out: &mut impl io::Write, turns: usize, turn: Duration) -> io::Result<()> {
    writeln!(out, "Mining on one core, million attempts a second:")?;
    let kernels: Vec<_> = Kernel::available().collect();
    let contenders: Vec<Contender<'_>> = kernels.iter().map(|&kernel| contender(kernel)).collect();
    let rates = compare(&contenders, turns, turn);
    let portable = rates.first().copied().unwrap_or(1).max(1);
    for (kernel, rate) in kernels.iter().zip(&rates) {
        let used = if *kernel == Kernel::chosen() { "  <- used" } else { "" };
        let (name, shown, ratio) = (kernel.name(), hundredths(*rate, 1_000_000), hundredths(*rate, portable));
        writeln!(out, "  {name:<12} {shown:>8}   {ratio:>6} x portable{used}")?;
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let rate = pool_rate(threads, &rates, turn);
    writeln!(
        out,
        "All {threads} threads together: {} million attempts a second.",
        hundredths(rate, 1_000_000)
    )?;
    let block_us = FLOOR_ATTEMPTS * 1_000_000 / rate.max(1);
    writeln!(
        out,
        "A block at the floor of 16 bits takes {} ms on average.",
        hundredths(block_us, 1_000)
    )
}

/// A kernel as a contender: it searches for what nothing meets.
pub fn contender(kernel: Kernel) -> Contender<'static> {
    let attempt = move |count: u64| {
        let (cancel, attempts) = (AtomicBool::new(false), AtomicU64::new(0));
        search_with(kernel, &hopeless(), 0..=count.max(1) - 1, &cancel, &attempts);
    };
    (kernel.name(), Box::new(attempt))
}

/// Attempts a second of each contender: the median of `turns`, taken in turn.
pub fn compare(contenders: &[Contender<'_>], turns: usize, turn: Duration) -> Vec<u64> {
    let counts: Vec<_> = contenders.iter().map(|(_, attempt)| calibrate(attempt, turn)).collect();
    let mut rates = vec![Vec::with_capacity(turns); contenders.len()];
    for _ in 0..turns {
        for (((_, attempt), &count), rates) in contenders.iter().zip(&counts).zip(&mut rates) {
            rates.push(per_second(count, time_of(|| attempt(count))));
        }
    }
    rates.iter_mut().map(|rates| median(rates)).collect()
}

/// How many attempts take about one turn.
fn calibrate(attempt: &dyn Fn(u64), turn: Duration) -> u64 {
    let mut count = 1024;
    loop {
        let time = time_of(|| attempt(count));
        if time * 10 >= turn || count >= 1 << 40 {
            return turn_share(count, time, turn);
        }
        count *= 2;
    }
}

fn turn_share(count: u64, time: Duration, turn: Duration) -> u64 {
    let share = u128::from(count) * turn.as_nanos() / time.as_nanos().max(1);
    u64::try_from(share).unwrap_or(count).max(1)
}

/// The rate of a whole pool, over about five turns by the clock on the wall.
fn pool_rate(threads: usize, rates: &[u64], turn: Duration) -> u64 {
    let (send, done) = channel();
    let pool = Pool::start(threads, Box::new(move |event| send.send(event).unwrap_or_default()));
    let best = rates.iter().max().copied().unwrap_or(0);
    // Ten ranges a thread, so that the last ones end at about the same time.
    let share = turn_share(best / 2, Duration::from_secs(1), turn).max(1000);
    let count = share * 10 * u64::try_from(threads).unwrap_or(1);
    let time = time_of(|| {
        pool.mine_within(0, hopeless(), 0..=count - 1, share, Duration::ZERO);
        // The threads hold the sender, so an answer comes.
        done.recv().ok();
    });
    per_second(count, time)
}

fn hopeless() -> Work {
    Work {
        header: [0; 96],
        limit: [0; 32],
    }
}

fn time_of(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

fn per_second(count: u64, time: Duration) -> u64 {
    let rate = u128::from(count) * 1_000_000_000 / time.as_nanos().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

fn median(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// `value / unit` with two decimals, rounded.
fn hundredths(value: u64, unit: u64) -> String {
    let unit = u128::from(unit.max(1));
    let hundredths = (u128::from(value) * 100 + unit / 2) / unit;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_names_every_kernel_and_marks_the_one_in_use() {
        let mut out = Vec::new();
        report(&mut out, 1, Duration::from_millis(1)).unwrap();
        let report = String::from_utf8(out).unwrap();
        for kernel in Kernel::available() {
            assert!(report.contains(kernel.name()), "{report}");
        }
        assert_eq!(report.matches("<- used").count(), 1, "{report}");
        assert!(report.contains("threads together"), "{report}");
    }

    #[test]
    fn median_is_the_middle_one_and_numbers_are_rounded() {
        assert_eq!(median(&mut [9, 1, 5]), 5);
        assert_eq!(median(&mut []), 0);
        assert_eq!(hundredths(1_234_567, 1_000_000), "1.23");
        assert_eq!(hundredths(1_995_000, 1_000_000), "2.00");
        assert_eq!(per_second(50, Duration::from_millis(100)), 500);
    }
}
