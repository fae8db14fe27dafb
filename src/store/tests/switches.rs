//! What a long switch of full blocks takes of memory and time, on demand:
//!
//!     LANCHAIN_BLOCKS=160 cargo test --locked --lib long_switch_of_full_blocks -- --ignored --nocapture

use std::time::{Duration, Instant};

use super::*;
use crate::chain::{Accepted, Chain, ChainStore, LongStep};
use crate::store::RedbStore;
use crate::testing::blocks::seal;
use crate::types::Amount;

const CLOCK: WallTime = WallTime::from_ms(9_000_000_000_000);
const NAMES: u64 = 2_000;
/// The blocks that both branches share.
const SHARED: u64 = 2;

/// Each of the names pays the next one.
fn full(params: &NetworkParams, parent: &Header, miner: u8) -> Block {
    let height = parent.height.next();
    let word = |number: u64| name(&format!("n{:06}", number % NAMES));
    let key = secret(1);
    let to = Account::Key(secret(miner).public());
    let mut transactions = vec![Transaction::Reward(Reward { to, height })];
    transactions.extend((0..NAMES).map(|number| {
        let owned = height.get() > 1 || number == NAMES - 1;
        let parties = (word(number), word(number + 1), owned.then(|| key.public()));
        Transaction::transfer(&params.network_id(), &key, parties, Amount::ONE, height.get() - 1).unwrap()
    }));
    seal(params, parent, 1_000 + u64::from(miner), transactions)
}

/// A number of kilobytes that the system reports for this process.
fn memory_kib(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let digits = line.map(|line| line.chars().filter(char::is_ascii_digit).collect::<String>());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn write(chain: &mut Chain<RedbStore>, store: &RedbStore) {
    if let Some(batch) = chain.take_batch() {
        store.commit(std::slice::from_ref(&batch)).unwrap();
        chain.committed(batch.id);
    }
}

#[test]
#[ignore = "takes minutes; it measures"]
fn long_switch_of_full_blocks() {
    let count = std::env::var("LANCHAIN_BLOCKS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(40);
    let params = NetworkParams::dev();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.redb");
    let store = RedbStore::open(&path, &params).unwrap();
    let mut chain = Chain::open(params.clone(), store.clone(), [7; 32]).unwrap();
    let mut fork = params.genesis();
    let mut bodies = 0;
    for (miner, length) in [(2, SHARED), (3, count), (4, count + 1)] {
        let mut parent = fork.clone();
        for _ in 0..length {
            let block = full(&params, &parent, miner);
            parent = block.header.clone();
            bodies += block.to_bytes().len();
            let accepted = chain.accept(block, CLOCK).unwrap();
            assert!(!matches!(accepted, Accepted::Switched(switch) if !switch.disconnected.is_empty()));
            write(&mut chain, &store);
        }
        if miner == 2 {
            fork = parent;
        }
    }
    // The peak begins anew.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let before = memory_kib("VmRSS:");
    let (mut steps, mut longest, start) = (0, Duration::ZERO, Instant::now());
    loop {
        let begun = Instant::now();
        let step = chain.step_switch().unwrap();
        longest = longest.max(begun.elapsed());
        steps += 1;
        write(&mut chain, &store);
        if step == LongStep::Idle {
            break;
        }
    }
    let peak = memory_kib("VmHWM:");
    println!(
        "{count} off, {} on: {steps} steps in {:?}, the longest {longest:?}; memory {before} KiB, peak +{} KiB; file {} for {bodies}",
        count + 1,
        start.elapsed(),
        peak.saturating_sub(before),
        fs::metadata(&path).unwrap().len()
    );
    assert_eq!(chain.tip().header.height.get(), SHARED + count + 1);
    assert!(peak.saturating_sub(before) < 64 * 1024);
    assert_eq!(store.tip().unwrap().1, chain.tip().hash);
}
