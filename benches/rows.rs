//! What a user waits for, with whole nodes: `cargo bench --bench rows`.
//!
//! `cargo bench --bench rows -- start sync`: these rows only. `-- PROGRAM...` (paths): other programs than the one just built; they
//! take turns. `LANCHAIN_BLOCKS=1000`: the length of the chain that is started, synced and left (10,000 otherwise).
//! `-- growth FILE.svg`: starts and syncs chains of 1,000, 10,000 and 100,000 blocks, and draws how the costs grow.
//! Each row has a yardstick, measured in the same run; ratios hold on other machines, times do not.

mod process;

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use process::chart::{Series, draw};
use process::ear::Ear;
use process::{Folder, Node};
use sha2::{Digest, Sha256};

/// Payments in a burst: what a pool holds.
const BURST: usize = 10_000;
/// Who pays: so many names.
const NAMES: usize = 250;

type Row = (&'static str, fn(&str, &Path, usize));
const ROWS: [Row; 7] = [
    ("start", start),
    ("sync", sync),
    ("payments", payments),
    ("mine", mine),
    ("chain", chain),
    ("reorganise", reorganise),
    ("relay", relay),
];

fn main() {
    let blocks = std::env::var("LANCHAIN_BLOCKS").ok().and_then(|text| text.parse().ok());
    let words: Vec<String> = std::env::args().skip(1).filter(|text| text != "--bench").collect();
    if let [word, file, programs @ ..] = &words[..]
        && word == "growth"
    {
        let own = env!("CARGO_BIN_EXE_lanchain").to_owned();
        return growth(programs.first().unwrap_or(&own), file);
    }
    let (programs, wanted): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| word.contains('/'));
    let programs = match programs.is_empty() {
        true => vec![env!("CARGO_BIN_EXE_lanchain").to_owned()],
        false => programs,
    };
    for (name, row) in ROWS {
        if !wanted.is_empty() && !wanted.iter().any(|word| word == name) {
            continue;
        }
        for program in &programs {
            let folder = Folder::new(name);
            println!("{name}: {program}");
            row(program, &folder.0, blocks.unwrap_or(10_000));
        }
    }
}

/// Prints a time, and how many times the yardstick it is.
fn show(what: &str, time: Duration, yardstick: (&str, Duration)) {
    let ratio = time.as_secs_f64() / yardstick.1.as_secs_f64();
    println!(
        "  {what:<58} {:>10.1} ms {ratio:>8.1} x {}",
        time.as_secs_f64() * 1e3,
        yardstick.0
    );
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A folder with a chain of so many blocks.
fn grown(program: &str, folder: &Path, blocks: usize) {
    let mut node = Node::start(program, folder, None);
    // At most so many at once.
    for begun in (0..blocks).step_by(10_000) {
        node.ask(&format!("mine {}", (blocks - begun).min(10_000)));
    }
    node.stop();
}

/// From the start of the process to its first answer.
fn start(program: &str, folder: &Path, blocks: usize) {
    grown(program, folder, blocks);
    let plain = |_| {
        let begun = Instant::now();
        let version = Command::new(program).arg("--version").stdout(Stdio::null()).status();
        assert!(version.expect("it starts").success());
        begun.elapsed()
    };
    let yardstick = median((0..9).map(plain).collect());
    let mut resident = 0;
    let first_answer = |_| {
        let begun = Instant::now();
        let mut node = Node::start(program, folder, None);
        node.ask("status");
        let took = begun.elapsed();
        resident = node.resident_mb();
        node.stop();
        took
    };
    let took = median((0..9).map(first_answer).collect());
    show(
        &format!("first answer of a node with {blocks} blocks"),
        took,
        ("`--version`", yardstick),
    );
    println!("  resident then: {resident} MB");
}

/// A node without blocks fetches all from one peer.
fn sync(program: &str, folder: &Path, blocks: usize) {
    let (first, second) = (folder.join("a"), folder.join("b"));
    grown(program, &first, blocks);
    let mut source = Node::start(program, &first, None);
    let begun = Instant::now();
    let header = [7_u8; 96];
    for _ in 0..blocks {
        black_box(Sha256::digest(black_box(header)));
    }
    let yardstick = ("one SHA-256 a block", begun.elapsed());
    let (took, cpu, resident) = fetch(program, &second, &mut source, blocks);
    show(&format!("sync of {blocks} blocks"), took, yardstick);
    show("its CPU time, all threads", cpu, yardstick);
    println!("  resident then: {resident} MB");
    source.stop();
}

/// Draws what chains of 1, 10 and 100 times a thousand blocks cost.
fn growth(program: &str, file: &str) {
    let work = [1_000, 10_000, 100_000];
    let names = [
        "first answer, ms",
        "sync of a block, us",
        "its CPU time, us",
        "resident then, MB",
        "on the disk, B a block",
    ];
    let mut series = names.map(|name| Series {
        name: name.to_owned(),
        values: Vec::new(),
    });
    for blocks in work {
        let folder = Folder::new("growth");
        let (first, second) = (folder.0.join("a"), folder.0.join("b"));
        grown(program, &first, blocks);
        let begun = Instant::now();
        let mut source = Node::start(program, &first, None);
        source.ask("status");
        let answer = begun.elapsed();
        let (took, cpu, resident) = fetch(program, &second, &mut source, blocks);
        source.stop();
        let disk = std::fs::metadata(first.join("chain.redb")).map_or(0, |file| file.len());
        let count = f64::from(u32::try_from(blocks).expect("small"));
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        let whole = |value: u64| f64::from(u32::try_from(value).expect("small"));
        let values = [
            us(answer) / 1e3,
            us(took) / count,
            us(cpu) / count,
            whole(resident),
            whole(disk) / count,
        ];
        println!("{blocks} blocks: {values:.1?}");
        for (line, value) in series.iter_mut().zip(values) {
            line.values.push(value);
        }
    }
    let work = work.map(|blocks| f64::from(u32::try_from(blocks).expect("small")));
    let title = "What a chain of so many empty blocks costs";
    std::fs::write(file, draw(title, &work, &series)).expect("the file can be written");
}

/// Fetches a chain into an empty folder: how long, CPU time, and resident memory in MB then.
fn fetch(program: &str, folder: &Path, source: &mut Node, blocks: usize) -> (Duration, Duration, u64) {
    let address = source.address();
    let mut node = Node::start(program, folder, None);
    node.ask("status");
    let (cpu, begun) = (node.cpu(), Instant::now());
    node.write(&format!("dial {address}\n"));
    node.ask(&format!("wait height {blocks} 300"));
    let result = (begun.elapsed(), node.cpu() - cpu, node.resident_mb());
    node.stop();
    result
}

/// The lines of a burst.
fn burst(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        writeln!(text, "tx p{} bob 1", number % NAMES).expect("a text");
        text
    })
}

/// Types a burst, and waits for the last reply.
fn pay(node: &mut Node, count: usize) -> Duration {
    let begun = Instant::now();
    node.write(&burst(count));
    (0..count).for_each(|_| drop(node.wait("\"command\":\"tx\"")));
    begun.elapsed()
}

/// Payments of one client, until the last one is acknowledged, and until a neighbour has them.
fn payments(program: &str, folder: &Path, _: usize) {
    let key = ed25519_zebra::SigningKey::from([7; 32]);
    let begun = Instant::now();
    for number in 0..BURST {
        black_box(key.sign(&number.to_be_bytes()));
    }
    let yardstick = ("signing as many", begun.elapsed());
    let mut node = Node::start(program, &folder.join("a"), None);
    let address = node.address();
    let mut other = Node::start(program, &folder.join("b"), Some(&address));
    other.ask("wait peers 1 60");
    std::thread::sleep(Duration::from_secs(2));
    let begun = Instant::now();
    let took = pay(&mut node, BURST);
    while other.ask("status").1["pending"] != BURST {
        assert!(begun.elapsed() < process::PATIENCE, "the neighbour never has them all");
        std::thread::sleep(Duration::from_millis(5));
    }
    show(&format!("{BURST} payments of one client"), took, yardstick);
    show("until a neighbour has all of them", begun.elapsed(), yardstick);
    node.stop();
    other.stop();
}

/// A block with nothing and with a full pool waiting.
fn mine(program: &str, folder: &Path, _: usize) {
    let mut node = Node::start(program, folder, None);
    let mut block = || {
        let begun = Instant::now();
        node.write("mine 1\n");
        let (at, _) = node.wait("\"event\":\"mined\"");
        node.wait("\"command\":\"mine\"");
        at - begun
    };
    let empty = median((0..9).map(|_| block()).collect());
    let full = |_| {
        pay(&mut node, BURST);
        std::thread::sleep(Duration::from_millis(500));
        let begun = Instant::now();
        node.write("mine 1\n");
        let (at, _) = node.wait("\"event\":\"mined\"");
        node.wait("\"command\":\"mine\"");
        // The rest leaves with the next blocks.
        node.ask("mine 3");
        at - begun
    };
    let full = median((0..5).map(full).collect());
    show(
        &format!("from `mine` to a find with {BURST} waiting"),
        full,
        ("with none waiting", empty),
    );
    node.stop();
}

/// A long reply, and what another client waits meanwhile.
fn chain(program: &str, folder: &Path, _: usize) {
    let mut node = Node::start(program, folder, None);
    for _ in 0..10 {
        pay(&mut node, 2_000);
        node.ask("mine 1");
    }
    let mut other = Node::attach(program, folder);
    let yardstick = median((0..21).map(|_| other.ask("status").0).collect());
    let begun = Instant::now();
    node.write("chain 10\n");
    let mut longest = Duration::ZERO;
    let asked = (0..21).map(|_| other.ask("status").0);
    asked.for_each(|took| longest = longest.max(took));
    let (at, reply) = node.wait("\"command\":\"chain\"");
    assert_eq!(reply["ok"], true);
    let yardstick = ("`status` of another client", yardstick);
    show("`chain 10` of blocks with 2,000 payments", at - begun, yardstick);
    show("longest `status` of another client meanwhile", longest, yardstick);
    other.stop();
    node.stop();
}

/// A peer's branch replaces the own one.
fn reorganise(program: &str, folder: &Path, blocks: usize) {
    for depth in [blocks / 100, blocks / 10, blocks] {
        let (first, second) = (folder.join(format!("a{depth}")), folder.join(format!("b{depth}")));
        grown(program, &first, depth + 1);
        grown(program, &second, depth);
        let mut source = Node::start(program, &first, None);
        let address = source.address();
        let mut fresh = Node::start(program, &folder.join(format!("c{depth}")), None);
        let took = |node: &mut Node, told: &str| {
            node.ask("status");
            node.write(&format!("dial {address}\n"));
            let (begun, _) = node.wait("\"event\":\"peer_connected\"");
            let (at, _) = node.wait(told);
            at.saturating_duration_since(begun)
        };
        let plain = took(&mut fresh, "\"event\":\"sync_finished\"");
        fresh.stop();
        let mut node = Node::start(program, &second, None);
        let switched = took(&mut node, "\"event\":\"reorganized\"");
        show(
            &format!("{depth} blocks leave, one more comes"),
            switched,
            ("sync of the same", plain),
        );
        node.stop();
        source.stop();
    }
}

/// A block over four hops: until the last node forwards its header, and until it is the tip there.
fn relay(program: &str, folder: &Path, _: usize) {
    const ROUNDS: usize = 15;
    let hop = |number: usize| folder.join(format!("n{number}"));
    let mut nodes = vec![Node::start(program, &hop(0), None)];
    for number in 1..=4 {
        let address = nodes[number - 1].address();
        nodes.push(Node::start(program, &hop(number), Some(&address)));
    }
    for node in &mut nodes {
        node.ask("wait peers 1 60");
    }
    let ear = Ear::at(&nodes[4].address());
    // Meshes grow with the heartbeats of gossip.
    std::thread::sleep(Duration::from_secs(4));
    let mut round = |payments: usize| {
        pay(&mut nodes[0], payments);
        while nodes[4].ask("status").1["pending"] != payments {
            std::thread::sleep(Duration::from_millis(5));
        }
        ear.forget();
        nodes[0].write("mine 1\n");
        let (begun, _) = nodes[0].wait("\"event\":\"block_connected\"");
        let (at, _) = nodes[4].wait("\"event\":\"block_connected\"");
        let heard = ear
            .next()
            .map_or(Duration::MAX, |heard| heard.saturating_duration_since(begun));
        nodes[0].wait("\"command\":\"mine\"");
        (heard, at.saturating_duration_since(begun))
    };
    let (_, empty) = middle_and_late((0..ROUNDS).map(|_| round(0)));
    for payments in [0, 2_000, 4_000] {
        let (heard, tip) = middle_and_late((0..ROUNDS).map(|_| round(payments)));
        let yardstick = ("empty block, median", empty[0]);
        // A program that gossips whole blocks tells the ear nothing.
        let told = [("header forwarded by the fourth", heard), ("tip of the fourth", tip)];
        for (what, [middle, late]) in told.into_iter().filter(|(_, [_, late])| *late < Duration::MAX) {
            show(&format!("{payments} payments: {what}"), middle, yardstick);
            show("95 of 100 within", late, yardstick);
        }
    }
    nodes.into_iter().for_each(Node::stop);
}

/// Median and 95th of 100 of both times.
fn middle_and_late(times: impl Iterator<Item = (Duration, Duration)>) -> ([Duration; 2], [Duration; 2]) {
    let (mut first, mut second): (Vec<_>, Vec<_>) = times.unzip();
    let of = |list: &mut Vec<Duration>| {
        list.sort();
        [list[list.len() / 2], list[(list.len() - 1) * 95 / 100]]
    };
    (of(&mut first), of(&mut second))
}
