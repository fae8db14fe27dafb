//! Mining attempts side by side: `cargo bench --bench mining`.
//!
//! Every kernel of this processor, `sha2` on the whole header, and a header formatted as hex text for each
//! try as teaching chains do it, in turns and with ratios. Then one thread against all of them, with the
//! time on the wall and the processor time beside it: summed rates of threads hide missing scaling.
//! At last, how late another thread wakes while every core mines, and how soon a new job is taken up.
//! `cargo bench --bench mining -- quick` takes a second and is for a look only.

#![expect(clippy::disallowed_methods, reason = "one event a search")]

use lanchain::miner::MiningWork;
use lanchain::miner::bench::{Contender, compare, contender};
use lanchain::miner::kernel::Kernel;
use lanchain::miner::pool::Pool;
use sha2::{Digest, Sha256};
use std::hint::black_box;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

fn main() {
    let quick = std::env::args().any(|argument| argument == "quick");
    let (turns, turn) = if quick { (3, 30) } else { (15, 200) };
    one_core(turns, Duration::from_millis(turn));
    let seconds = if quick { 1 } else { 10 };
    for threads in [1, std::thread::available_parallelism().map_or(1, usize::from)] {
        pool(threads, seconds);
    }
    lateness("idle", 1000);
    let pool = Pool::start(cores(), Box::new(|_| ()));
    pool.mine(0, hopeless(), Duration::ZERO);
    lateness("all cores mining", 1000);
    drop(pool);
    replacement();
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn hopeless() -> MiningWork {
    MiningWork {
        header: [0; 96],
        limit: [0; 32],
    }
}

/// How late a thread wakes that sleeps for 2 ms: what the network and the prompt feel.
fn lateness(name: &str, turns: usize) {
    let pause = Duration::from_millis(2);
    let late = (0..turns).map(|_| {
        let begun = Instant::now();
        std::thread::sleep(pause);
        begun.elapsed().saturating_sub(pause)
    });
    print_quantiles(&format!("wake-up, {name}"), late.collect());
}

/// From a new job to its answer, where the first attempt is a hit and another job is under way.
fn replacement() {
    let (send, found) = channel();
    let pool = Pool::start(cores(), Box::new(move |event| send.send(event).unwrap_or_default()));
    let turn = |job: u64| {
        pool.mine(2 * job, hopeless(), Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2));
        let begun = Instant::now();
        pool.mine(
            2 * job + 1,
            MiningWork {
                header: [0; 96],
                limit: [255; 32],
            },
            Duration::ZERO,
        );
        found.recv().expect("every hash meets it");
        begun.elapsed()
    };
    print_quantiles("new job to its first hit", (0..500).map(turn).collect());
}

fn print_quantiles(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_micros();
    println!("{name}: median {} us, 99 % {} us, worst {} us", at(50), at(99), at(100));
}

fn one_core(turns: usize, turn: Duration) {
    let mut contenders: Vec<Contender<'_>> = vec![
        ("hex text", Box::new(hex_text)),
        ("sha2, whole header", Box::new(whole_header)),
    ];
    contenders.extend(Kernel::available().map(contender));
    let rates = compare(&contenders, turns, turn);
    println!("one core, median of {turns} turns of {} ms", turn.as_millis());
    println!("{:<20} {:>10} {:>14} {:>12}", "", "M/s", "x whole header", "x midstate");
    for ((name, _), rate) in contenders.iter().zip(&rates) {
        let name = if *name == "portable" {
            "portable (midstate)"
        } else {
            name
        };
        let (rate, whole, midstate) = (float(*rate), float(rates[1]), float(rates[2]));
        println!(
            "{name:<20} {:>10.2} {:>14.2} {:>12.2}",
            rate / 1e6,
            rate / whole,
            rate / midstate
        );
    }
}

/// The pool on a fixed number of nonces that no hash meets.
fn pool(threads: usize, seconds: u64) {
    let (send, done) = channel();
    let pool = Pool::start(threads, Box::new(move |event| send.send(event).expect("main waits")));
    let rate = compare(&[contender(Kernel::chosen())], 3, Duration::from_millis(50))[0];
    let count = rate * seconds * u64::try_from(threads).expect("a small number");
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let work = MiningWork {
        header: [0; 96],
        limit: [0; 32],
    };
    pool.mine_within(0, work, 0..=count - 1, rate / 20, Duration::ZERO);
    done.recv().expect("the job ends");
    let (wall, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let attempts = float(count) / 1e6;
    println!(
        "{threads} threads: {:.1} M/s by the wall, {:.1} M per processor second (wall {wall:.2} s, processor {cpu:.2} s)",
        attempts / wall,
        attempts / cpu,
    );
}

fn whole_header(count: u64) {
    let mut header = [0_u8; 96];
    for nonce in 0..count {
        header[88..].copy_from_slice(&nonce.to_be_bytes());
        black_box(Sha256::digest(black_box(&header)));
    }
}

fn hex_text(count: u64) {
    let header = [0_u8; 88];
    for nonce in 0..count {
        let digest = Sha256::digest(format!("{}{nonce:016x}", hex::encode(header)));
        black_box(hex::encode(digest).starts_with("0000"));
    }
}

/// Processor time of this process so far.
#[cfg(unix)]
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).expect("below a thousand million");
    let seconds = u64::try_from(time.tv_sec).expect("positive");
    Duration::new(seconds, nanoseconds).as_secs_f64()
}

/// Where we cannot ask, the column shows that.
#[cfg(not(unix))]
fn cpu_seconds() -> f64 {
    f64::NAN
}

/// For display; counts here stay far below 2^53.
fn float(count: u64) -> f64 {
    let millions = u32::try_from(count / 1_000_000).expect("rates are small");
    let rest = u32::try_from(count % 1_000_000).expect("below a million");
    f64::from(millions) * 1e6 + f64::from(rest)
}
