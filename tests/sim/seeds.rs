//! Which seeds run: some in every test run, any number by environment variables.

use std::fs::OpenOptions;
use std::io::Write;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::history::HISTORY;
use crate::plan::{BUSY, EXCHANGE, FULL, LINKS};
use crate::run::{Outcome, run};
use crate::trace::Depth;

/// Worlds of twenty nodes in each of the slices of the default run.
const SLICE: u64 = 75;
/// Agreement that takes longer deserves a look.
const SLOW_MS: u64 = 45_000;
/// One seed, its trace printed.
const SEED: &str = "LANCHAIN_SIM_SEED";
/// So many seeds.
const SEEDS: &str = "LANCHAIN_SIM_SEEDS";
/// The first of them.
const FIRST: &str = "LANCHAIN_SIM_FIRST";
/// A file to which every world adds its seed and the hash of its trace: two builds that do the same write the same lines.
const TRACES: &str = "LANCHAIN_SIM_TRACES";
/// The number of nodes; without it each seed chooses 3 to 20.
const NODES: &str = "LANCHAIN_SIM_NODES";

/// A seed for a world of this many nodes.
const fn sized(nodes: u64, seed: u64) -> u64 {
    (nodes << 48) | seed
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
    )
}

fn add(sum: &mut Sum, outcome: &Outcome) {
    let figures = outcome.figures;
    sum.worlds += 1;
    sum.nodes += u64::try_from(outcome.nodes).unwrap_or(0);
    sum.hours += f64::from(u32::try_from(outcome.simulated_ms / 1_000).unwrap_or(0)) / 3_600.0;
    sum.steps += outcome.steps;
    sum.blocks += figures.blocks;
    sum.reorganisations += figures.reorganisations;
    sum.deepest = sum.deepest.max(figures.deepest);
    sum.starts += figures.starts;
    sum.bans += figures.bans;
    sum.transactions += figures.transactions;
    sum.commands += figures.commands;
    sum.failed_writes += figures.failed_writes;
    sum.slowest_ms = sum.slowest_ms.max(outcome.agreed_ms);
}

/// Figures over many worlds.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    worlds: u64,
    nodes: u64,
    hours: f64,
    steps: u64,
    blocks: u64,
    reorganisations: u64,
    deepest: u64,
    starts: u64,
    bans: u64,
    transactions: u64,
    commands: u64,
    failed_writes: u64,
    slowest_ms: u64,
}

fn record(file: &Path, seed: u64, trace: [u8; 32]) {
    let line = format!("{seed} {}\n", hex::encode(trace));
    let file = OpenOptions::new().create(true).append(true).open(file);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .expect("the file of traces can be written");
}

/// Runs all of them, and tells at the end which failed.
fn run_many(seeds: impl Iterator<Item = u64>) -> Sum {
    let begun = Instant::now();
    let traces = std::env::var_os(TRACES).map(PathBuf::from);
    let depth = if traces.is_some() { Depth::Deep } else { Depth::Light };
    let (mut sum, mut failed) = (Sum::default(), Vec::new());
    for seed in seeds {
        match catch_unwind(|| run(seed, depth)) {
            Ok(outcome) => {
                if let Some(file) = &traces {
                    record(file, seed, outcome.trace);
                }
                if outcome.agreed_ms > SLOW_MS {
                    println!("seed {seed}: agreement took {} ms", outcome.agreed_ms);
                }
                add(&mut sum, &outcome);
            }
            Err(_) => failed.push(seed),
        }
    }
    println!("{sum:?} in {:?}", begun.elapsed());
    assert!(failed.is_empty(), "these seeds failed, see above: {failed:?}");
    sum
}

fn slice(number: u64, flags: u64) {
    run_many((number * SLICE..(number + 1) * SLICE).map(|seed| sized(20, seed) | flags));
}

#[test]
fn worlds_of_twenty_nodes_hold_slice_1() {
    slice(0, 0);
}

#[test]
fn worlds_of_twenty_nodes_hold_slice_2() {
    slice(1, 0);
}

#[test]
fn worlds_of_twenty_nodes_hold_slice_3() {
    slice(2, EXCHANGE);
}

#[test]
fn worlds_of_twenty_nodes_hold_slice_4() {
    slice(3, EXCHANGE);
}

#[test]
fn worlds_whose_nodes_tell_each_other_of_peers_hold() {
    run_many((2_000..2_020).map(|seed| seed | EXCHANGE));
}

#[test]
fn small_worlds_hold() {
    run_many(1_000..1_060);
}

#[test]
fn a_world_of_a_hundred_nodes_holds() {
    run_many([sized(100, 1)].into_iter());
}

#[test]
fn worlds_with_a_long_past_hold() {
    run_many((0..8).map(|seed| HISTORY | seed));
}

#[test]
fn worlds_whose_pools_are_full_hold() {
    run_many((0..4).map(|seed| BUSY | seed));
}

/// Turns take their time there: no honest node may lose a point at another for that.
#[test]
fn worlds_of_full_blocks_hold() {
    run_many((0..4).map(|seed| FULL | seed));
}

/// Connections of which one end is dead, two between two nodes, and topics that are announced on each: what was
/// acknowledged is everywhere 20 s after the last machine came back.
#[test]
fn worlds_whose_machines_move_hold() {
    run_many((0..12).map(|seed| LINKS | seed));
}

// Seeds that found a bug and find it again when it is put back.

#[test]
fn events_that_waited_for_the_start_lead_on_from_the_tip_that_started_tells() {
    run(sized(20, 25), Depth::Light);
}

/// A page of headers that was asked for before a disk failed, or by a candidate that ended, came while another candidate
/// of the same peer waited for its own page: it was taken for that one, and the peer banned for it.
#[test]
fn answers_to_questions_of_an_ended_candidate_blame_nobody() {
    for seed in [30_003_777, 30_007_758, HISTORY | 165, HISTORY | 227] {
        run(seed, Depth::Light);
    }
}

/// Facts that a paused process had not read yet changed places when its pause was made longer or shorter.
#[test]
fn a_paused_process_reads_what_waited_in_its_order() {
    for seed in [30_003_820, 30_010_581, 30_015_970] {
        run(seed, Depth::Light);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [3, 5, sized(6, 12)] {
        let (first, second) = (run(seed, Depth::Deep), run(seed, Depth::Deep));
        assert_eq!(first.trace, second.trace, "seed {seed}");
    }
    assert_ne!(run(3, Depth::Deep).trace, run(4, Depth::Deep).trace);
}

/// Runs the seed of `LANCHAIN_SIM_SEED` and prints its trace; does nothing without it.
#[test]
fn replay() {
    if let Some(seed) = number(SEED) {
        let outcome = run(seed, Depth::Loud);
        println!("{outcome:?}");
    }
}

/// Runs as many seeds as `LANCHAIN_SIM_SEEDS` says; does nothing without it.
#[test]
fn many() {
    if let Some(count) = number(SEEDS) {
        let (first, nodes) = (number(FIRST).unwrap_or(1_000_000), number(NODES).unwrap_or(0));
        run_many((first..first + count).map(|seed| sized(nodes, seed)));
    }
}
