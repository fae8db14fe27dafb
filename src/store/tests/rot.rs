//! Bits that flip on the disk, in every page: the answer is that of the sound file, or there is none.

use super::crash::new_files;
use super::*;
use crate::chain::{AccountTag, ChainStore};
use crate::store::RedbStore;
use crate::testing::disk::{Disk, Files};
use crate::types::rng::Rng;

/// So many entries that the ledger's tree has three levels: a page holds about sixty entries or branches.
const ACCOUNTS: u64 = 6_000;
const BLOCKS: u64 = 70;
/// The number of bits of a page that are flipped, one at a time; further cases tear the page.
const FLIPS: u64 = 2;
const WAYS: u64 = FLIPS + 3;

fn named(number: u64) -> Account {
    name(&format!("n{number:05}"))
}

/// A file with branches above branches, and its sums.
fn grown(params: &NetworkParams) -> (Files, Vec<Block>) {
    let recorder = Disk::new(new_files(params));
    let store = recorder.open(params).unwrap();
    let blocks = chain(params, BLOCKS);
    for block in &blocks {
        let mut batch = connect(block);
        if block.header.height == Height::new(1) {
            for number in 0..ACCOUNTS {
                let state = AccountState {
                    balance: i64::try_from(number).unwrap(),
                    next_sequence: 1,
                    owner: Some(secret(1).public()),
                };
                batch.accounts.insert(named(number), Some(state));
            }
        }
        store.commit(&[batch]).unwrap();
    }
    drop(store);
    let files = recorder.files();
    (files, blocks)
}

/// All reads, each independent of the others.
fn answers(store: &RedbStore, blocks: &[Block]) -> Vec<Result<String, String>> {
    fn told<T: std::fmt::Debug, E: std::fmt::Display>(read: Result<T, E>) -> Result<String, String> {
        read.map(|value| format!("{value:?}"))
            .map_err(|error| error.to_string())
    }
    let mut all = vec![
        told(store.accounts(usize::MAX)),
        told(store.tip()),
        told(store.side()),
        told(store.own()),
        told(store.peers()),
        told(store.blocks_by_prefix("", 999)),
        told(store.history_above(None, usize::MAX)),
        told(store.history(AccountTag::of(&name("alice")), None, 9)),
    ];
    all.extend(
        (0..ACCOUNTS)
            .step_by(29)
            .map(|number| told(store.account(&named(number)))),
    );
    for block in blocks {
        let hash = block.hash();
        all.push(told(store.block(&hash)));
        all.push(told(store.body(&hash)));
        all.push(told(store.active(block.header.height)));
        all.push(told(store.place(&confirmed(block.header.height.get()))));
    }
    all
}

/// Flips a bit of a page or tears it; returns a description of the change.
fn spoil(bytes: &mut [u8], page: usize, way: u64, rng: &mut Rng) -> String {
    let used = if page == 0 { 320 } else { 4096 };
    let end = bytes.len().min(page * 4096 + used);
    let there = &mut bytes[page * 4096..end];
    match way {
        0..FLIPS => {
            let at = usize::try_from(rng.below(u64::try_from(there.len()).unwrap())).unwrap();
            there[at] ^= 1 << rng.below(8);
            return format!("byte {at} of page {page}");
        }
        2 => there.fill(0),
        3 => there.fill(0xff),
        _ => there.iter_mut().skip(32).step_by(5).for_each(|byte| *byte ^= 1),
    }
    format!("page {page} in way {way}")
}

#[test]
fn a_flipped_bit_in_any_page_leads_to_the_sound_files_answer_or_to_none() {
    let params = NetworkParams::dev();
    let (sound, blocks) = grown(&params);
    let expected = answers(&Disk::new(sound.clone()).open(&params).unwrap(), &blocks);
    assert!(expected.iter().all(Result::is_ok));
    let seed = 11;
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let (mut refused, mut unheard, mut silent) = (0, 0, 0);
    let pages = (0..2).flat_map(|file| (0..sound[file].len().div_ceil(4096)).map(move |page| (file, page)));
    for ((file, page), way) in pages.flat_map(|place| (0..WAYS).map(move |way| (place, way))) {
        let mut files = sound.clone();
        let what = spoil(&mut files[file], page, way, &mut rng);
        let disk = Disk::new(files.clone());
        let Ok(store) = disk.open(&params) else {
            assert!(disk.changes() == 0, "{what} of file {file}");
            refused += 1;
            continue;
        };
        let found = answers(&store, &blocks);
        let mut errors = 0;
        for (found, expected) in found.iter().zip(&expected) {
            errors += usize::from(found.is_err());
            assert!(
                found.is_err() || found == expected,
                "{what} of file {file}: {found:?} instead of {expected:?}"
            );
        }
        // Told once anything was refused, and not otherwise.
        assert_eq!(store.damage().is_some(), errors > 0, "{what} of file {file}");
        unheard += usize::from(errors == 0);
        silent += usize::from(errors > 0);
    }
    println!("{refused} refused, {silent} read in part, {unheard} never read");
    assert!(refused > 20 && silent > 50, "{refused} {silent}");
}

#[test]
fn each_bit_of_the_header_is_missed() {
    let params = NetworkParams::dev();
    let (sound, blocks) = grown(&params);
    let expected = answers(&Disk::new(sound.clone()).open(&params).unwrap(), &blocks);
    for bit in 0..320 * 8 {
        let mut files = sound.clone();
        files[0][bit / 8] ^= 1 << (bit % 8);
        if let Ok(store) = Disk::new(files.clone()).open(&params) {
            assert_eq!(answers(&store, &blocks), expected, "bit {bit}");
        }
    }
}
