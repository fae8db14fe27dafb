//! The store on disk against the one in memory: under random batches, and below a chain that reorganises.

use super::*;
use crate::chain::memory_store::MemoryStore;
use crate::chain::{Accepted, Chain, ChainStore, Transaction};
use crate::store::RedbStore;
use crate::testing::blocks::mine_for;
use crate::types::Address;
use crate::types::rng::Rng;

const CLOCK: WallTime = WallTime::from_ms(9_000_000_000_000);

/// Compares all reads of two stores.
///
/// After a restart the indexes may lack blocks that are not active.
fn assert_same(disk: &RedbStore, memory: &MemoryStore, after_restart: bool) {
    assert_eq!(disk.tip(), memory.tip());
    assert_eq!(disk.side(), memory.side());
    assert_eq!(disk.own(), memory.own());
    assert_eq!(disk.peers(), memory.peers());
    for limit in [0, 3, 1_000] {
        assert_eq!(disk.accounts(limit), memory.accounts(limit));
        assert_eq!(disk.blocks_by_prefix("", limit), memory.blocks_by_prefix("", limit));
    }
    for digit in "0123456789abcdef".chars() {
        let prefix = digit.to_string();
        assert_eq!(disk.blocks_by_prefix(&prefix, 9), memory.blocks_by_prefix(&prefix, 9));
    }
    for hash in memory.blocks_by_prefix("", 1_000).unwrap() {
        assert_eq!(disk.block(&hash), memory.block(&hash));
        assert_eq!(disk.body(&hash), memory.body(&hash));
    }
    for height in (0..20).map(Height::new) {
        assert_eq!(disk.active(height), memory.active(height));
    }
    for (account, _) in memory.accounts(1_000).unwrap().1 {
        assert_eq!(disk.account(&account), memory.account(&account));
    }
    // The disk gets the whole id and the height of a position from its block.
    let is_stored = |spot: &Spot| {
        let start = hex::encode(spot.block);
        !memory.blocks_by_prefix(&start, 1).unwrap().is_empty()
    };
    if after_restart {
        return;
    }
    let mut all = memory.spots_by_prefix("", 1_000).unwrap();
    all.retain(|(_, spot)| is_stored(spot));
    assert_eq!(disk.spots_by_prefix("", 1_000).unwrap(), all);
    for (txid, _) in memory.spots_by_prefix("", 1_000).unwrap() {
        let mut spots = memory.spots(&txid).unwrap();
        spots.retain(is_stored);
        assert_eq!(disk.spots(&txid).unwrap(), spots);
        let text = txid.to_string();
        let found: Vec<_> = disk.spots_by_prefix(&text[..9], 9).unwrap();
        assert_eq!(found, spots.iter().map(|spot| (txid, *spot)).collect::<Vec<_>>());
    }
    assert_eq!(disk.history_above(None, 1_000), memory.history_above(None, 1_000));
    for (key, _) in memory.history_above(None, 1_000).unwrap() {
        for below in [None, Some(key)] {
            assert_eq!(disk.history(key.tag, below, 3), memory.history(key.tag, below, 3));
        }
        assert_eq!(disk.history_above(Some(key), 2), memory.history_above(Some(key), 2));
    }
}

/// A batch that writes and deletes at random among few keys.
fn random_batch(id: u64, blocks: &[Block], rng: &mut Rng) -> Batch {
    let mut batch = Batch { id, ..Batch::default() };
    let mut dice = |sides: u64| rng.below(sides);
    for _ in 0..dice(6) {
        let number = u8::try_from(dice(8)).unwrap();
        let account = match dice(3) {
            0 => Account::Key(secret(number).public()),
            _ => name(&format!("n{number}")),
        };
        let state = AccountState {
            balance: i64::try_from(dice(9)).unwrap() - 4,
            next_sequence: dice(u64::MAX),
            owner: (dice(2) == 0 && matches!(account, Account::Name(_)))
                .then(|| secret(u8::try_from(dice(3)).unwrap()).public()),
        };
        batch.accounts.insert(account, (dice(4) > 0).then_some(state));
    }
    for _ in 0..dice(4) {
        let block = &blocks[usize::try_from(dice(12)).unwrap()];
        let keep = dice(3) > 0;
        batch.blocks.insert(block.hash(), keep.then(|| stored(block)));
        batch.side.insert(block.hash(), keep.then_some(()));
        let place = TxPlace {
            height: block.header.height,
            index: 0,
        };
        let reward = block.transactions[0].txid();
        batch.places.insert((reward, Spot::new(&block.hash(), place)));
        add_body(&mut batch.history, &block.hash(), &block.to_bytes()).unwrap();
        batch.own.insert(txid(dice(4)), keep.then(|| (id, vec![1; 70])));
        let address = Address::parse(&format!("10.0.0.1:{}", dice(9) + 1)).unwrap().0;
        let peer = secret(u8::try_from(dice(4)).unwrap()).public().peer_id();
        batch.peers.insert(peer, keep.then(|| vec![address]));
    }
    batch
}

#[test]
fn random_batches_leave_disk_and_memory_alike() {
    let params = NetworkParams::dev();
    let folder = tempfile::tempdir().unwrap();
    let disk = RedbStore::open(&folder.path().join("chain.redb"), &params).unwrap();
    let memory = MemoryStore::new(&params);
    let blocks = chain(&params, 12);
    let mut rng = Rng::new(2);
    for round in 1..60 {
        let batches: Vec<_> = (0..rng.below(4))
            .map(|part| random_batch(round * 10 + part, &blocks, &mut rng))
            .collect();
        let (at, copy) = (disk.snapshot().unwrap(), memory.copy());
        disk.commit(&batches).unwrap();
        batches.iter().for_each(|batch| memory.commit(batch));
        assert_same(&disk, &memory, false);
        // What was there before, whatever was written since.
        assert_same(&at, &copy, false);
    }
}

/// A block at the floor with a reward and these transactions.
fn mine(params: &NetworkParams, parent: &Header, later: u64, content: &[Transaction]) -> Block {
    mine_for(params, parent, later, name("miner"), content.to_vec())
}

#[test]
fn a_chain_that_reorganises_is_the_same_on_disk_and_after_each_restart() {
    let params = NetworkParams::dev();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.redb");
    let memory = MemoryStore::new(&params);
    let claim = |number: u8, text: &str| {
        let word = AccountName::new(text).unwrap();
        Transaction::claim(&params.network_id(), &secret(number), word)
    };
    let first = mine(&params, &params.genesis(), 1, &[claim(1, "amy")]);
    let second = mine(&params, &first.header, 1, &[claim(1, "ben")]);
    let other = mine(&params, &first.header, 2, &[claim(2, "ben")]);
    let third = mine(&params, &other.header, 1, &[claim(2, "cid")]);
    let fourth = mine(&params, &third.header, 1, &[]);
    let mut switched = 0;
    for block in [first, second, other, third, fourth] {
        let disk = RedbStore::open(&path, &params).unwrap();
        let mut on_disk = Chain::open(params.clone(), disk.clone(), [7; 32]).unwrap();
        let mut in_memory = Chain::open(params.clone(), memory.clone(), [7; 32]).unwrap();
        let accepted = on_disk.accept(block.clone(), CLOCK).unwrap();
        assert_eq!(accepted, in_memory.accept(block, CLOCK).unwrap());
        switched += u64::from(matches!(accepted, Accepted::Switched(_)));
        disk.commit(&[on_disk.take_batch().unwrap()]).unwrap();
        memory.commit(&in_memory.take_batch().unwrap());
        assert_same(&disk, &memory, true);
        check_indexes(&disk);
    }
    assert!(switched >= 3, "{switched}");
    let disk = RedbStore::open(&path, &params).unwrap();
    assert_eq!(disk.tip().unwrap().0, Height::new(4));
    for text in ["ben", "cid"] {
        assert_eq!(
            disk.account(&name(text)).unwrap().unwrap().owner,
            Some(secret(2).public())
        );
    }
}
