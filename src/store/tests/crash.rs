//! Crashes at every write, a disk that is full at every write, and pages that rot.
//!
//! What a power cut leaves: `fuzzing::recorder`.

use super::*;
use crate::chain::ChainStore;
use crate::fuzzing::recorder::Recorder;
use crate::store::RedbStore;
use crate::types::rng::Rng;

const COMMITS: u64 = 6;

/// The content is that of a chain of some length; the length.
fn check(store: &RedbStore, blocks: &[Block]) -> u64 {
    let (height, hash) = store.tip().unwrap();
    let balance = store.account(&name("alice")).unwrap().map_or(0, |state| state.balance);
    assert_eq!(u64::try_from(balance).unwrap(), height.get());
    for block in blocks {
        let there = block.header.height <= height;
        assert_eq!(store.block(&block.hash()).unwrap().is_some(), there);
        assert_eq!(store.body(&block.hash()).unwrap().is_some(), there);
        assert_eq!(store.place(&txid(block.header.height.get())).unwrap().is_some(), there);
        assert!(block.header.height != height || block.hash() == hash);
    }
    height.get()
}

/// A new chain file's bytes.
pub(super) fn new_file(params: &NetworkParams) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.redb");
    drop(RedbStore::open(&path, params).unwrap());
    fs::read(path).unwrap()
}

#[test]
fn a_power_cut_at_any_write_loses_nothing_that_was_acknowledged() {
    let params = NetworkParams::dev();
    let start = new_file(&params);
    let blocks = chain(&params, COMMITS);
    let recorder = Recorder::on(&start);
    let mut acknowledged = Vec::new();
    let store = recorder.open(&params).unwrap();
    for block in &blocks {
        store.commit(&[connect(block)]).unwrap();
        acknowledged.push(recorder.disk().changes.len());
    }
    drop(store);
    let changes = recorder.disk().changes.len();
    assert!(changes > 60, "{changes}");

    let mut rng = Rng::new(1);
    for cut in 0..=changes {
        let safe = u64::try_from(acknowledged.iter().filter(|at| **at <= cut).count()).unwrap();
        for _ in 0..3 {
            let left = recorder.cut_after(cut, &mut rng);
            let second = Recorder::on(&left);
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
            let recovery = second.disk().changes.len();
            let again = usize::try_from(rng.below(u64::try_from(recovery + 1).unwrap())).unwrap();
            let left = second.cut_after(again, &mut rng);
            let store = Recorder::on(&left).open(&params);
            let store = store.unwrap_or_else(|error| panic!("cut at {cut}, then at {again}: {error}"));
            assert_eq!(check(&store, &blocks), height, "cut at {cut}, then at {again}");
        }
    }
}

#[test]
fn a_disk_that_is_full_at_any_write_loses_nothing_and_goes_on_when_there_is_room() {
    let params = NetworkParams::dev();
    let start = new_file(&params);
    let blocks = chain(&params, COMMITS);
    let mut failures = 0;
    for room in 0.. {
        let recorder = Recorder::on(&start);
        recorder.disk().room = Some(room);
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
        recorder.disk().room = None;
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

/// All that can be read of the ledger and the lists.
fn content(store: &RedbStore, blocks: &[Block]) -> Vec<String> {
    let mut all = vec![
        format!("{:?}", store.tip()),
        format!("{:?}", store.accounts(10)),
        format!("{:?}", store.names_of(&secret(1).public(), 9)),
        format!("{:?} {:?} {:?}", store.side(), store.own(), store.peers()),
        format!("{:?}", store.blocks_by_prefix("", 99)),
    ];
    for block in blocks {
        let hash = block.hash();
        all.push(format!(
            "{:?}",
            (store.block(&hash), store.body(&hash), store.undo(&hash))
        ));
        all.push(format!("{:?}", store.place(&txid(block.header.height.get()))));
    }
    all
}

#[test]
fn a_file_with_a_torn_page_is_refused_and_not_changed_or_reads_as_before() {
    let params = NetworkParams::dev();
    let blocks = chain(&params, 100);
    let recorder = Recorder::on(&new_file(&params));
    let store = recorder.open(&params).unwrap();
    for block in &blocks {
        store.commit(&[connect(block)]).unwrap();
    }
    let expected = content(&store, &blocks);
    drop(store);
    let whole = recorder.disk().bytes.clone();
    let mut refused = 0;
    for (page, way) in (0..whole.len() / 4096).flat_map(|page| [(page, 0), (page, 1), (page, 2)]) {
        let mut torn = whole.clone();
        let bytes = &mut torn[page * 4096 + if page == 0 { 9 } else { 0 }..(page + 1) * 4096];
        match way {
            0 => bytes.fill(0),
            1 => bytes.fill(0xff),
            _ => bytes[32..].iter_mut().step_by(5).for_each(|byte| *byte ^= 1),
        }
        let disk = Recorder::on(&torn);
        match disk.open(&params) {
            Ok(store) => assert_eq!(content(&store, &blocks), expected, "page {page}"),
            Err(error) => {
                assert_eq!(error.code(), "damaged", "page {page}: {error}");
                assert!(disk.disk().changes.is_empty(), "page {page}");
                refused += 1;
            }
        }
    }
    assert!(refused > 20, "{refused}");
}
