//! Rows of the catalogue (`proto-notes/threats.md`) about the disk that need a whole chain above it.

use super::crash::new_files;
use super::*;
use crate::chain::memory_store::MemoryStore;
use crate::chain::{Accepted, Chain, ChainStore};
use crate::store::RedbStore;
use crate::testing::blocks::{CLOCK, claim, mine_after};
use crate::testing::disk::{Disk, Kept};
use crate::types::rng::Rng;

/// A block at the floor: a reward, and a claim of a name for each miner.
fn mine(params: &NetworkParams, parent: &Header, miner: u8) -> Block {
    let word = format!("n{miner}-{}", parent.height.next());
    mine_after(params, parent, 1, miner, vec![claim(params, miner, &word)])
}

fn branch(params: &NetworkParams, miner: u8, length: usize) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for _ in 0..length {
        let parent = blocks
            .last()
            .map_or_else(|| params.genesis(), |block| block.header.clone());
        blocks.push(mine(params, &parent, miner));
    }
    blocks
}

/// The visible state of a chain.
fn shown<S: ChainStore>(chain: &Chain<S>) -> String {
    format!("{:?} {:?}", chain.tip(), chain.accounts(50))
}

#[test]
fn adv_s19_a_power_cut_at_any_write_of_a_reorganisation_leaves_the_old_tip_or_the_new_one() {
    let params = NetworkParams::dev();
    let start = new_files(&params);
    let recorder = Disk::recording(start);
    let disk = recorder.open(&params).unwrap();
    let mut chain = Chain::open(params.clone(), disk.clone(), [7; 32]).unwrap();
    let (losing, winning) = (branch(&params, 1, 4), branch(&params, 2, 5));
    let offer = |chain: &mut Chain<RedbStore>, block: &Block| {
        let accepted = chain.accept(block.clone(), CLOCK).unwrap();
        let batch = chain.take_batch().unwrap();
        disk.commit(std::slice::from_ref(&batch)).unwrap();
        chain.committed(batch.id);
        accepted
    };
    for block in losing.iter().chain(&winning[..3]) {
        offer(&mut chain, block);
    }
    let old = shown(&chain);
    let before = recorder.changes();
    // The fourth wins if its hash is the smaller one, else the fifth.
    let mut last = 3;
    while !matches!(offer(&mut chain, &winning[last]), Accepted::Switched(_)) {
        last += 1;
    }
    let new = shown(&chain);
    let changes = recorder.changes();
    drop((chain, disk));
    let mut rng = Rng::new(3);
    let (mut kept, mut switched) = (0, 0);
    for cut in before..=changes {
        for _ in 0..3 {
            let left = recorder.as_of(cut).after_cut(Kept::Any, &mut rng);
            let disk = Disk::new(left)
                .open(&params)
                .unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
            check_indexes(&disk);
            let mut chain = Chain::open(params.clone(), disk, [7; 32]).unwrap();
            let seen = shown(&chain);
            assert!(seen == old || seen == new, "cut at {cut}: {seen}");
            kept += u32::from(seen == old);
            switched += u32::from(seen == new);
            // From there it goes on like one that was never cut.
            for block in &winning {
                chain.accept(block.clone(), CLOCK).unwrap();
            }
            let mut twin = Chain::open(params.clone(), MemoryStore::new(&params), [7; 32]).unwrap();
            for block in &winning {
                twin.accept(block.clone(), CLOCK).unwrap();
            }
            assert_eq!(shown(&chain), shown(&twin), "cut at {cut}");
        }
    }
    assert!(kept > 10 && switched > 0, "{kept} kept, {switched} switched");
}
