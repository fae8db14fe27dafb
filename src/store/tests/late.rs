//! The indexes while some of their entries wait in memory: reads miss none and count each once, and what a crash loses is
//! made anew.

use super::*;
use crate::store::RedbStore;
use crate::store::redb_store::testing::{as_format_3, forget_mark, open_as_it_is, waiting};
use crate::testing::disk::{Disk, Kept};
use crate::types::rng::Rng;

use super::crash::new_files;

/// Opens what a process that is killed now would leave.
fn killed(disk: &Disk, params: &NetworkParams) -> RedbStore {
    Disk::new(disk.files()).open(params).unwrap()
}

#[test]
fn every_transaction_is_found_once_after_each_commit_a_kill_and_a_clean_stop() {
    let params = NetworkParams::dev();
    let disk = Disk::new(new_files(&params));
    let store = disk.open(&params).unwrap();
    let mut most = 0;
    for block in chain(&params, 60) {
        store.commit(&[connect(&block)]).unwrap();
        check_indexes(&store);
        most = most.max(waiting(&store));
        let height = block.header.height.get();
        if height % 7 == 0 {
            let left = killed(&disk, &params);
            check_indexes(&left);
            assert!(waiting(&left) > 0, "{height}");
            // It goes on, and is killed again.
            let disk = Disk::new(disk.files());
            let store = disk.open(&params).unwrap();
            store.commit(&[connect(&child(&block.header, 7))]).unwrap();
            check_indexes(&killed(&disk, &params));
        }
    }
    assert!(most > 10, "{most} waited");
    store.write_indexes().unwrap();
    assert_eq!(waiting(&store), 0);
    check_indexes(&store);
    drop(store);
    let left = killed(&disk, &params);
    assert_eq!(waiting(&left), 0, "a clean stop leaves nothing to be made");
    check_indexes(&left);
}

#[test]
fn what_waits_is_bounded() {
    let params = NetworkParams::dev();
    let disk = Disk::new(new_files(&params));
    let store = disk.open(&params).unwrap();
    for block in chain(&params, 300) {
        store.commit(&[connect(&block)]).unwrap();
        // Two entries a block, and a round is 16 blocks in tests.
        assert!(waiting(&store) <= 2 * 16 + 2, "{}", waiting(&store));
    }
    check_indexes(&killed(&disk, &params));
}

/// Stores a branch beside the chain as a long switch does, with its entries in the indexes, and makes it the active one in
/// the last batch.
fn long_switch(store: &RedbStore, fork: &Header, losing: &[Block], length: u64) {
    let (mut parent, mut branch) = (fork.clone(), Vec::new());
    for nonce in 0..length {
        let block = child(&parent, 1_000 + nonce);
        parent = block.header.clone();
        let mut batch = connect(&block);
        (batch.active, batch.accounts) = Default::default();
        batch.side.insert(block.hash(), Some(()));
        store.commit(&[batch]).unwrap();
        branch.push(block);
    }
    let mut last = Batch::default();
    last.active
        .extend(losing.iter().map(|block| (block.header.height, None)));
    last.active
        .extend(branch.iter().map(|block| (block.header.height, Some(block.hash()))));
    store.commit(&[last]).unwrap();
}

#[test]
fn a_crash_in_the_wake_of_a_long_switch_loses_no_entry() {
    let params = NetworkParams::dev();
    for (old, new) in [(30, 40), (90, 120), (5, 7)] {
        let recorder = Disk::recording(new_files(&params));
        let store = recorder.open(&params).unwrap();
        let blocks = chain(&params, old);
        for block in &blocks {
            store.commit(&[connect(block)]).unwrap();
        }
        let before = recorder.changes();
        long_switch(&store, &blocks[1].header, &blocks[2..], new);
        check_indexes(&store);
        assert_eq!(store.tip().unwrap().0, Height::new(2 + new));
        let left = killed(&recorder, &params);
        check_indexes(&left);
        assert!(waiting(&left) <= 200, "{}: the first ones were written", waiting(&left));
        for block in [3, 4].map(|nonce| child(&left.block(&left.tip().unwrap().1).unwrap().unwrap().header, nonce)) {
            left.commit(&[connect(&block)]).unwrap();
            check_indexes(&left);
        }
        // The same process goes on, and the mark rises again.
        let going_on = Disk::new(recorder.files());
        drop(left);
        let next =
            |store: &RedbStore, nonce| child(&store.block(&store.tip().unwrap().1).unwrap().unwrap().header, nonce);
        for nonce in 5..12 {
            store.commit(&[connect(&next(&store, nonce))]).unwrap();
            check_indexes(&killed(&recorder, &params));
        }
        check_indexes(&killed(&going_on, &params));
        let seed = 5;
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let changes = recorder.changes();
        drop(store);
        for cut in (before..=changes).step_by(1 + (changes - before) / 40) {
            let left = recorder.as_of(cut).after_cut(Kept::Any, &mut rng);
            check_indexes(
                &Disk::new(left)
                    .open(&params)
                    .unwrap_or_else(|error| panic!("cut at {cut}: {error}")),
            );
        }
    }
}

#[test]
fn a_file_without_its_mark_gets_all_entries_anew_some_at_a_time() {
    let params = NetworkParams::dev();
    let disk = Disk::new(new_files(&params));
    let store = disk.open(&params).unwrap();
    for block in chain(&params, 200) {
        store.commit(&[connect(&block)]).unwrap();
    }
    forget_mark(&store);
    drop(store);
    let store = disk.open(&params).unwrap();
    check_indexes(&store);
    assert!(waiting(&store) <= 2 * 65, "{}", waiting(&store));
    check_indexes(&killed(&disk, &params));
}

#[test]
fn a_snapshot_has_the_entries_of_its_time_whatever_was_written_since() {
    let params = NetworkParams::dev();
    let disk = Disk::new(new_files(&params));
    let store = disk.open(&params).unwrap();
    let blocks = chain(&params, 60);
    let mut kept = Vec::new();
    for block in &blocks {
        store.commit(&[connect(block)]).unwrap();
        if block.header.height.get() % 9 == 0 {
            kept.push((block.header.height, store.snapshot().unwrap()));
        }
    }
    store.write_indexes().unwrap();
    for (height, at) in kept {
        assert_eq!(at.tip().unwrap().0, height);
        check_indexes(&at);
        assert_eq!(at.place(&confirmed(height.get() + 1)), Ok(None));
    }
}

#[test]
fn a_reader_beside_the_writer_misses_nothing_that_was_committed() {
    let params = NetworkParams::dev();
    let disk = Disk::new(new_files(&params));
    let store = disk.open(&params).unwrap();
    let reader = store.clone();
    let reading = std::thread::spawn(move || {
        let mut reads = 0_u64;
        loop {
            let (tip, _) = reader.tip().unwrap();
            for height in tip.get().saturating_sub(40).max(1)..=tip.get() {
                assert!(reader.place(&confirmed(height)).unwrap().is_some(), "{height} of {tip}");
                reads += 1;
            }
            if tip == Height::new(200) {
                return reads;
            }
        }
    });
    for block in chain(&params, 200) {
        store.commit(&[connect(&block)]).unwrap();
    }
    assert!(reading.join().unwrap() > 40);
}

#[test]
fn ids_that_begin_alike_are_two_since_each_is_held_against_its_block() {
    let params = NetworkParams::dev();
    let disk = Disk::new(new_files(&params));
    let store = disk.open(&params).unwrap();
    let block = &chain(&params, 1)[0];
    let mut batch = connect(block);
    let mut alike = *confirmed(1).as_bytes();
    alike[31] ^= 1;
    let spot = batch.places.first().unwrap().1;
    batch.places.insert((Txid::new(alike), spot));
    store.commit(&[batch]).unwrap();
    for store in [store.clone(), killed(&disk, &params)] {
        assert_eq!(store.place(&Txid::new(alike)), Ok(None));
        assert_eq!(store.spots_by_prefix("", 9), Ok(vec![(confirmed(1), spot)]));
        assert!(store.place(&confirmed(1)).unwrap().is_some());
    }
}

#[test]
fn a_file_of_format_3_gets_its_indexes_anew_and_one_that_is_only_read_answers_all_the_same() {
    let params = NetworkParams::dev();
    let disk = Disk::new(new_files(&params));
    let store = disk.open(&params).unwrap();
    for block in chain(&params, 30) {
        store.commit(&[connect(&block)]).unwrap();
    }
    as_format_3(&store);
    drop(store);
    let files = disk.files();
    // A disk without room at the opening: the next one goes on.
    let mut refused = 0;
    for room in (0..).step_by(3) {
        let disk = Disk::new(files.clone());
        disk.set_room(Some(room));
        let is_whole = disk.open(&params).is_ok();
        disk.set_room(None);
        let store = disk.open(&params).unwrap();
        check_indexes(&store);
        assert_eq!(store.has_history(), Ok(true));
        let tip = store.block(&store.tip().unwrap().1).unwrap().unwrap().header;
        store.commit(&[connect(&child(&tip, 1))]).unwrap();
        check_indexes(&store);
        if is_whole {
            break;
        }
        refused += 1;
    }
    assert!(refused > 3, "{refused}");
    // One that is only read.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.redb");
    fs::write(&path, &files[0]).unwrap();
    let store = RedbStore::open_to_read(&path, &params).unwrap();
    assert_eq!(store.has_history(), Ok(false));
    for height in 1..=30 {
        assert!(store.place(&confirmed(height)).unwrap().is_some(), "{height}");
    }
    drop(store);
    // One that goes on as it is: the earlier version cannot open it any more, and a kill loses nothing.
    let store = open_as_it_is(&path, &params).unwrap();
    let tip = store.block(&store.tip().unwrap().1).unwrap().unwrap().header;
    let next = child(&tip, 1);
    store.commit(&[connect(&next)]).unwrap();
    store.commit(&[connect(&child(&next.header, 2))]).unwrap();
    assert_eq!(store.has_history(), Ok(false));
    let copy = folder.path().join("copy.redb");
    fs::copy(&path, &copy).unwrap();
    for store in [store, open_as_it_is(&copy, &params).unwrap()] {
        for height in 1..=32 {
            assert!(store.place(&confirmed(height)).unwrap().is_some(), "{height}");
        }
    }
    for path in [path, copy] {
        let store = RedbStore::open(&path, &params).unwrap();
        assert_eq!(store.has_history(), Ok(true));
        assert_eq!(store.tip().unwrap().0, Height::new(32));
        check_indexes(&store);
    }
}
