//! Measures the hash rate of this machine, for `lanchain bench`.
//!
//! Promises: the measured code is the code that mines. The contenders take turns, so that other load affects all of
//! them, and the median of the turns counts. The measurement ends within seconds, however busy the machine is.
//! Elsewhere: comparison with other ways to hash a header (`benches/mining.rs`).
//! Spec: `proto-notes/events.md`, "The machine's rate".

use super::MiningWork;
use super::kernel::Kernel;
use super::pool::Pool;
use super::search::search_with;
use core::sync::atomic::{AtomicBool, AtomicU64};
use std::fmt;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use serde::Serialize;

/// The length of one contender's turn: long enough for a steady clock, short enough to wait for.
const TURN: Duration = Duration::from_millis(100);

/// The number of turns for each contender; an odd number, so that there is a median.
const TURNS: usize = 7;

/// How many turns the measurement of all threads together lasts.
const POOL_TURNS: u64 = 10;

/// The longest time for measuring all threads together. They need about a second, but much more if other programs want
/// all cores, because mining threads have a low priority; then the rate so far is the answer.
const POOL_PATIENCE: Duration = Duration::from_secs(4);

/// The expected attempts for a block at the lowest difficulty of every network: 16 zero bits.
const FLOOR_ATTEMPTS: u64 = 1 << 16;

/// A name, and a function that makes as many attempts as its argument says.
pub type Contender<'a> = (&'a str, Box<dyn Fn(u64) + 'a>);

/// The measured speed of this machine. Rates are attempts per second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Each kernel of this processor with its rate on one core, the portable one first.
    pub kernels: Vec<(Kernel, u64)>,
    /// The kernel that a node uses on this machine.
    pub chosen: Kernel,
    /// How many threads were measured together.
    pub threads: usize,
    /// The rate of all these threads together.
    pub rate: u64,
}

impl Report {
    /// Measures for about five seconds, at the end with `threads` threads together.
    pub fn measure(threads: usize) -> Self {
        Self::measure_in(threads, TURNS, TURN)
    }

    fn measure_in(threads: usize, turns: usize, turn: Duration) -> Self {
        let kernels: Vec<_> = Kernel::available().collect();
        let contenders: Vec<Contender<'_>> = kernels.iter().map(|&kernel| contender(kernel)).collect();
        let rates = compare(&contenders, turns, turn);
        let kernels: Vec<_> = kernels.into_iter().zip(rates).collect();
        let chosen = Kernel::chosen();
        let one = kernels.iter().find(|(kernel, _)| *kernel == chosen);
        Self {
            rate: pool_rate(threads, one.map_or(1, |&(_, rate)| rate), turn),
            kernels,
            chosen,
            threads,
        }
    }

    /// The average time in microseconds in which the threads find a block at the lowest difficulty, 16 zero bits.
    pub fn floor_block_us(&self) -> u64 {
        FLOOR_ATTEMPTS * 1_000_000 / self.rate.max(1)
    }

    /// The report as one JSON object without line breaks.
    pub fn to_json(&self) -> String {
        let kernels = self.kernels.iter();
        let line = BenchLine {
            v: 1,
            kind: "bench",
            kernels: kernels
                .map(|&(kernel, hash_rate)| KernelLine {
                    name: kernel.name(),
                    hash_rate,
                })
                .collect(),
            chosen: self.chosen.name(),
            threads: self.threads,
            hash_rate: self.rate,
            floor_block_us: self.floor_block_us(),
        };
        serde_json::to_string(&line).expect("numbers and names are JSON")
    }
}

/// The line for programs.
#[derive(Serialize)]
struct BenchLine {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    kernels: Vec<KernelLine>,
    chosen: &'static str,
    threads: usize,
    hash_rate: u64,
    floor_block_us: u64,
}

#[derive(Serialize)]
struct KernelLine {
    name: &'static str,
    hash_rate: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "Mining on one core, million attempts a second:")?;
        let portable = self.kernels.first().map_or(1, |&(_, rate)| rate);
        for &(kernel, rate) in &self.kernels {
            let used = if kernel == self.chosen { "  <- used" } else { "" };
            let (name, shown, ratio) = (kernel.name(), hundredths(rate, 1_000_000), hundredths(rate, portable));
            writeln!(out, "  {name:<12} {shown:>8}   {ratio:>6} x portable{used}")?;
        }
        let (threads, rate) = (self.threads, hundredths(self.rate, 1_000_000));
        let noun = if threads == 1 { "thread" } else { "threads together" };
        writeln!(out, "With {threads} {noun}: {rate} million attempts a second.")?;
        let block = hundredths(self.floor_block_us(), 1_000);
        writeln!(
            out,
            "A block at the floor of 16 zero bits (65,536 attempts) takes {block} ms on average."
        )
    }
}

/// The contender for a kernel: it searches with a limit that no hash meets.
pub fn contender(kernel: Kernel) -> Contender<'static> {
    let attempt = move |count: u64| {
        let (cancel, attempts) = (AtomicBool::new(false), AtomicU64::new(0));
        search_with(kernel, &hopeless(), 0..=count.max(1) - 1, &cancel, &attempts);
    };
    (kernel.name(), Box::new(attempt))
}

/// Attempts per second of each contender: the median of `turns` turns, which the contenders take alternately.
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

/// The number of attempts that take about one turn.
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

/// The rate of a whole pool by elapsed time, over about [`POOL_TURNS`] turns.
fn pool_rate(threads: usize, one: u64, turn: Duration) -> u64 {
    let (send, done) = sync_channel(1);
    // The first event ends the measurement; nobody waits for later ones.
    let pool = Pool::start(threads, Box::new(move |event| send.try_send(event).unwrap_or_default()));
    // Each thread gets many ranges, so that all threads finish at about the same time.
    let share = turn_share(one, Duration::from_secs(1), turn).max(1000);
    let count = share * POOL_TURNS * u64::try_from(threads).unwrap_or(1);
    let begun = Instant::now();
    pool.mine_within(0, hopeless(), 0..=count - 1, share, Duration::ZERO);
    match done.recv_timeout(POOL_PATIENCE) {
        Ok(_) => per_second(count, begun.elapsed()),
        Err(_) => pool.hash_rate(),
    }
}

fn hopeless() -> MiningWork {
    MiningWork {
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

/// `value / unit`, rounded to two decimals.
fn hundredths(value: u64, unit: u64) -> String {
    let unit = u128::from(unit.max(1));
    let hundredths = (u128::from(value) * 100 + unit / 2) / unit;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            kernels: vec![(Kernel::Portable, 20_000_000), (Kernel::Avx2, 35_000_000)],
            chosen: Kernel::Avx2,
            threads: 2,
            rate: 65_536_000,
        }
    }

    #[test]
    fn every_kernel_of_this_processor_is_measured_and_the_one_in_use_named() {
        let report = Report::measure_in(1, 1, Duration::from_millis(1));
        let measured: Vec<_> = report.kernels.iter().map(|&(kernel, _)| kernel).collect();
        assert_eq!(measured, Kernel::available().collect::<Vec<_>>());
        assert!(report.kernels.iter().all(|&(_, rate)| rate > 0), "{report:?}");
        assert!(measured.contains(&report.chosen), "{report:?}");
        assert_eq!(report.threads, 1);
    }

    #[test]
    fn report_for_people_marks_the_kernel_in_use_and_tells_the_time_of_a_block() {
        let text = report().to_string();
        let expected = "Mining on one core, million attempts a second:\n\
                        \x20 portable        20.00     1.00 x portable\n\
                        \x20 avx2            35.00     1.75 x portable  <- used\n\
                        With 2 threads together: 65.54 million attempts a second.\n\
                        A block at the floor of 16 zero bits (65,536 attempts) takes 1.00 ms on average.\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn report_for_programs_is_one_line_with_every_key() {
        let line = report().to_json();
        let expected = serde_json::json!({
            "v": 1, "type": "bench", "chosen": "avx2", "threads": 2, "hash_rate": 65_536_000, "floor_block_us": 1_000,
            "kernels": [{ "name": "portable", "hash_rate": 20_000_000 }, { "name": "avx2", "hash_rate": 35_000_000 }],
        });
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), expected);
    }

    #[test]
    fn machine_without_a_rate_divides_by_nothing() {
        let report = Report {
            rate: 0,
            kernels: vec![(Kernel::Portable, 0)],
            ..report()
        };
        assert_eq!(report.floor_block_us(), 65_536_000_000);
        assert!(report.to_string().contains("0.00 x portable"));
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
