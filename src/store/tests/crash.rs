//! Crashes at every write, and a disk that is full at every write.
//!
//! What a power cut leaves: `testing::disk`.

use super::*;
use crate::chain::ChainStore;
use crate::store::RedbStore;
use crate::testing::disk::{Disk, Files, Kept};
use crate::types::rng::Rng;

const COMMITS: u64 = 6;

/// Checks that the content is that of a chain of some length, and returns the length.
fn check(store: &RedbStore, blocks: &[Block]) -> u64 {
    let (height, hash) = store.tip().unwrap();
    let balance = store.account(&name("alice")).unwrap().map_or(0, |state| state.balance);
    assert_eq!(u64::try_from(balance).unwrap(), height.get());
    for block in blocks {
        let there = block.header.height <= height;
        assert_eq!(store.block(&block.hash()).unwrap().is_some(), there);
        assert_eq!(store.body(&block.hash()).unwrap().is_some(), there);
        assert_eq!(
            store.place(&confirmed(block.header.height.get())).unwrap().is_some(),
            there
        );
        assert!(block.header.height != height || block.hash() == hash);
    }
    check_indexes(store);
    height.get()
}

/// The bytes of a new chain file and of its sums.
pub(super) fn new_files(params: &NetworkParams) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.redb");
    drop(RedbStore::open(&path, params).unwrap());
    [path.clone(), path.with_extension("sums")].map(|path| fs::read(path).unwrap())
}

#[test]
fn a_power_cut_at_any_write_loses_nothing_that_was_acknowledged() {
    let params = NetworkParams::dev();
    let start = new_files(&params);
    let blocks = chain(&params, COMMITS);
    let recorder = Disk::recording(start.clone());
    let mut acknowledged = Vec::new();
    let store = recorder.open(&params).unwrap();
    for block in &blocks {
        store.commit(&[connect(block)]).unwrap();
        acknowledged.push(recorder.changes());
    }
    drop(store);
    let changes = recorder.changes();
    assert!(changes > 60, "{changes}");

    let mut rng = Rng::new(1);
    for cut in 0..=changes {
        let safe = u64::try_from(acknowledged.iter().filter(|at| **at <= cut).count()).unwrap();
        for _ in 0..3 {
            let left = recorder.as_of(cut).after_cut(Kept::Any, &mut rng);
            let second = Disk::recording(left);
            let store = second
                .open(&params)
                .unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
            let height = check(&store, &blocks);
            assert!(
                height == safe || height == safe + 1,
                "cut at {cut}: {height}, {safe} were safe"
            );
            drop(store);

            // The power fails again while it recovers.
            let recovery = second.changes();
            let again = usize::try_from(rng.below(u64::try_from(recovery + 1).unwrap())).unwrap();
            let left = second.as_of(again).after_cut(Kept::Any, &mut rng);
            let store = Disk::new(left).open(&params);
            let store = store.unwrap_or_else(|error| panic!("cut at {cut}, then at {again}: {error}"));
            assert_eq!(check(&store, &blocks), height, "cut at {cut}, then at {again}");
        }
    }
}

#[test]
fn a_disk_that_is_full_at_any_write_loses_nothing_and_goes_on_when_there_is_room() {
    let params = NetworkParams::dev();
    let start = new_files(&params);
    let blocks = chain(&params, COMMITS);
    let mut failures = 0;
    for room in 0.. {
        let recorder = Disk::recording(start.clone());
        recorder.set_room(Some(room));
        let mut done = 0;
        if let Ok(store) = recorder.open(&params) {
            for block in &blocks {
                if store.commit(&[connect(block)]).is_err() {
                    break;
                }
                done += 1;
            }
            if done == blocks.len() {
                break;
            }
        }
        failures += 1;
        recorder.set_room(None);
        let store = recorder
            .open(&params)
            .unwrap_or_else(|error| panic!("room for {room}: {error}"));
        let height = check(&store, &blocks);
        let done = u64::try_from(done).unwrap();
        assert!(
            height == done || height == done + 1,
            "room for {room}: {height}, {done} were done"
        );
        for block in &blocks[usize::try_from(height).unwrap()..] {
            store.commit(&[connect(block)]).unwrap();
        }
        assert_eq!(check(&store, &blocks), COMMITS);
    }
    assert!(failures > 50, "{failures}");
}
