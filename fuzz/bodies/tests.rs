//! Every body over the committed corpus, and over seeded mutations of it.
//!
//! `LANCHAIN_FUZZ_ROUNDS=N cargo test --lib fuzzing` makes N times as many mutations.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::TARGETS;
use crate::types::rng::Rng;

/// Mutations of a target in one round.
const MUTATIONS: u64 = 2_000;
/// Bodies that mine, sign or write: as many as take about as long as the others.
const FEWER: [(&str, u64); 6] = [
    ("chain", 60),
    ("mempool", 60),
    ("engine", 60),
    ("store", 40),
    ("ledger", 100),
    ("signature", 300),
];
/// What a mutated input may grow to.
const INPUT_MAX: usize = 4_096;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let at = folder("fuzz/corpus").join(target);
    let entries = fs::read_dir(&at).unwrap_or_else(|error| panic!("{}: {error}", at.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect()
}

/// Changes some bytes, as a fuzzer would.
fn mutate(rng: &mut Rng, input: &mut Vec<u8>, others: &[(String, Vec<u8>)]) {
    let place = |rng: &mut Rng, len: usize| usize::try_from(rng.below(u64::try_from(len).unwrap())).unwrap();
    let byte = |rng: &mut Rng| u8::try_from(rng.below(256)).unwrap();
    for _ in 0..=rng.below(4) {
        let at = place(rng, input.len() + 1);
        let size = place(rng, 17).min(input.len() - at);
        match rng.below(7) {
            0 => input.insert(at, byte(rng)),
            1 => drop(input.drain(at..at + size)),
            2 => input.truncate(at),
            3 if at < input.len() => input[at] ^= 1 << rng.below(8),
            4 if at < input.len() => input[at] = [0, 1, 0x7f, 0x80, 0xff][place(rng, 5)],
            5 => {
                let copy = input[at..at + size].to_vec();
                let to = place(rng, input.len() + 1);
                input.splice(to..to, copy);
            }
            _ => {
                let (_, other) = &others[place(rng, others.len())];
                let from = place(rng, other.len() + 1);
                input.splice(at.., other[from..].iter().copied());
            }
        }
        input.truncate(INPUT_MAX);
    }
}

/// The input that is being run: shown if it ends in a panic.
struct Shown<'a>(&'a str, Vec<u8>);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} breaks a promise on the bytes {}", self.0, hex::encode(&self.1));
        }
    }
}

fn run(target: &str) {
    let (name, body) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for (path, input) in &corpus {
        let shown = Shown(path, input.clone());
        body(&shown.1);
    }
    let rounds: u64 = std::env::var("LANCHAIN_FUZZ_ROUNDS").map_or(1, |text| text.parse().unwrap());
    let mut rng = Rng::new(name.len().try_into().unwrap());
    let count = FEWER
        .iter()
        .find(|(slow, _)| slow == name)
        .map_or(MUTATIONS, |(_, count)| *count);
    for _ in 0..count * rounds {
        let start = usize::try_from(rng.below(corpus.len().try_into().unwrap())).unwrap();
        let mut input = corpus[start].1.clone();
        mutate(&mut rng, &mut input, &corpus);
        let shown = Shown(name, input);
        body(&shown.1);
    }
}

macro_rules! run_each {
    ($($name:ident)*) => {
        $(#[test] fn $name() { run(stringify!($name)); })*

        #[test]
        fn every_target_is_run_has_a_corpus_and_a_program() {
            let run: BTreeSet<&str> = [$(stringify!($name)),*].into();
            let all: BTreeSet<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(run, all);
            for name in all {
                assert!(folder("fuzz/corpus").join(name).is_dir(), "{name} has no corpus");
                let program = folder("fuzz/src/bin").join(format!("{name}.rs"));
                let text = fs::read_to_string(program).unwrap();
                assert!(text.contains(&format!("target!({name}")), "{name} has no program");
            }
        }
    };
}

run_each! {
    header transaction block account gossip_block signature sha256 merkle target work request response
    compact_block gossip_transactions records key_file address_file network_file network_toml address mdns console_line
    console_input console_words kernels ledger chain mempool rate_limits overlay store engine
}
