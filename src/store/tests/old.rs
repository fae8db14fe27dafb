//! A folder of the version before, which has no index of histories: it is brought up to date at its first opening.
//!
//! What is in the folder: `testing::old_folder`.

use super::*;
use crate::chain::ChainStore;
use crate::store::{Folder, FolderChoice, Progress, Reading, RedbStore, Trust};
use crate::testing::disk::{Disk, Files, Kept};
use crate::testing::old_folder;
use crate::types::rng::Rng;

/// The files of its chain, without sums, which the opening makes.
fn old_files() -> Files {
    [old_folder::chain(), Vec::new()]
}

/// Checks that the index is what the active blocks make, and that all else is as it was.
fn check(store: &impl ChainStore) {
    let (height, tip) = store.tip().unwrap();
    assert_eq!(height, Height::new(10));
    assert!(tip.to_string().starts_with("000061081e18"), "{tip}");
    assert_eq!((store.own().unwrap().len(), store.side().unwrap().len()), (2, 4));
    assert_eq!(store.account(&name("alice")).unwrap().unwrap().balance, -5);
    assert_eq!(store.has_history(), Ok(true));
    check_indexes(store);
    let found = store.history_above(None, usize::MAX).unwrap();
    assert!(found.len() > 10);
}

#[test]
fn a_folder_of_the_version_before_gets_its_index_at_the_first_start_and_is_opened_at_once_at_the_next() {
    let place = tempfile::tempdir().unwrap();
    let params = NetworkParams::dev();
    old_folder::leave(place.path());
    let open = || Folder::open(FolderChoice::Dir(place.path().into()), &params, Trust::Private).unwrap();
    let told = |folder: &Folder| {
        let mut told: Vec<Progress> = Vec::new();
        let store =
            RedbStore::open_telling(&folder.chain_path(), &params, &mut |progress| told.push(progress)).unwrap();
        check(&store);
        told
    };
    let folder = open();
    let heights: Vec<u64> = told(&folder).iter().map(|progress| progress.height.get()).collect();
    assert!(heights.len() > 1 && heights.is_sorted(), "{heights:?}");
    assert_eq!(heights.last(), Some(&10));
    assert_eq!(told(&folder), [], "it is complete");
}

#[test]
fn a_folder_of_the_version_before_can_be_read_without_being_changed() {
    let place = tempfile::tempdir().unwrap();
    old_folder::leave(place.path());
    let before = snapshot(place.path());
    let (store, reading) = Reading::open(place.path(), &NetworkParams::dev()).unwrap();
    assert_eq!(store.has_history(), Ok(false));
    assert_eq!(store.history_above(None, 9), Ok(Vec::new()));
    assert_eq!(store.tip().unwrap().0, Height::new(10));
    drop((store, reading));
    assert_eq!(snapshot(place.path()), before);
}

#[test]
fn a_crash_at_any_write_of_the_first_opening_is_harmless() {
    let params = NetworkParams::dev();
    let recorder = Disk::recording(old_files());
    check(&recorder.open(&params).unwrap());
    let changes = recorder.changes();
    assert!(changes > 20, "{changes}");
    let mut rng = Rng::new(14);
    for cut in 0..=changes {
        let left = recorder.as_of(cut).after_cut(Kept::Any, &mut rng);
        let second = Disk::recording(left);
        check(
            &second
                .open(&params)
                .unwrap_or_else(|error| panic!("cut at {cut}: {error}")),
        );
        // And once more while it goes on.
        let again = rng.below(u64::try_from(second.changes() + 1).unwrap());
        let left = second
            .as_of(usize::try_from(again).unwrap())
            .after_cut(Kept::Any, &mut rng);
        check(
            &Disk::new(left)
                .open(&params)
                .unwrap_or_else(|error| panic!("cut at {cut}, {again}: {error}")),
        );
    }
}

#[test]
fn a_full_disk_at_the_first_opening_leaves_a_store_without_the_index_that_the_next_one_completes() {
    let params = NetworkParams::dev();
    let mut without = 0;
    for room in 0.. {
        let disk = Disk::recording(old_files());
        disk.set_room(Some(room));
        let opened = disk.open(&params);
        let is_complete = opened.as_ref().is_ok_and(|store| store.has_history() == Ok(true));
        drop(opened);
        if is_complete {
            break;
        }
        without += 1;
        disk.set_room(None);
        check(
            &disk
                .open(&params)
                .unwrap_or_else(|error| panic!("room for {room}: {error}")),
        );
    }
    assert!(without > 10, "{without}");
}

#[test]
fn blocks_of_the_version_before_are_found_and_removed_where_they_are() {
    let params = NetworkParams::dev();
    let disk = Disk::new(old_files());
    let store = disk.open(&params).unwrap();
    let old = store.blocks_by_prefix("", 99).unwrap();
    assert_eq!(old.len(), 15);
    let tip = store.block(&store.tip().unwrap().1).unwrap().unwrap().header;
    let new = child(&tip, 1);
    let gone = store.side().unwrap()[0];
    let mut batch = connect(&new);
    batch.blocks.insert(gone, None);
    batch.side.insert(gone, None);
    store.commit(&[batch]).unwrap();
    drop(store);
    let store = disk.open(&params).unwrap();
    let mut expected: Vec<_> = old
        .into_iter()
        .filter(|hash| *hash != gone)
        .chain([new.hash()])
        .collect();
    expected.sort_unstable();
    assert_eq!(store.blocks_by_prefix("", 99).unwrap(), expected);
    assert_eq!(store.blocks_by_prefix("", 7).unwrap(), expected[..7]);
    for hash in expected {
        assert!(store.block(&hash).unwrap().is_some() && store.body(&hash).unwrap().is_some());
        assert_eq!(store.blocks_by_prefix(&hash.to_string()[..20], 9).unwrap(), [hash]);
    }
    assert_eq!((store.block(&gone), store.body(&gone)), (Ok(None), Ok(None)));
    check_indexes(&store);
}
