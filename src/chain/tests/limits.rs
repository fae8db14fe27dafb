//! Limits that a block, the side branches and the memory of a chain have.

use crate::chain::params::{BLOCK_MAX_BYTES, BLOCK_MAX_TRANSACTIONS};
use crate::chain::tree::{INVALID_MAX, InvalidSet, SIDE_MAX_BLOCKS, SIDE_MAX_BYTES, SideBlock, SideTree};
use crate::chain::{
    AcceptError, Accepted, Block, BlockError, Chain, ChainStore, NetworkParams, StoreError, Transaction,
};
use crate::testing::blocks::*;
use crate::types::layout::LayoutError;
use crate::types::{AccountName, BlockHash, Height, Work};

fn hash(number: usize) -> BlockHash {
    let mut bytes = [0xee; 32];
    bytes[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
    BlockHash::new(bytes)
}

fn work(number: u64) -> Work {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    Work::from_be_bytes(bytes)
}

/// Side blocks that stand on nothing here, some of little work and the others of much: mining them would take too long.
fn crowd<S: ChainStore>(chain: &mut Chain<S>, light: usize, all: usize) {
    for number in 0..all {
        chain.tree.insert(SideBlock {
            hash: hash(number),
            previous: hash(usize::MAX),
            height: Height::new(1),
            work: work(if number < light { 1 } else { 1 << 40 }),
            size_bytes: 1,
        });
    }
}

#[test]
fn adv_l24_a_block_of_4096_transactions_is_taken_and_one_more_refused() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let claims = |count: usize| -> Vec<Transaction> {
        let name = |n: usize| AccountName::new(&format!("n{n}")).unwrap();
        let network = params.network_id();
        let claim = |n| Transaction::claim(&network, &key(1), name(n));
        (1..count).map(claim).collect()
    };
    let over = mine(&params, &params.genesis(), 1, claims(BLOCK_MAX_TRANSACTIONS + 1));
    let too_many = BlockError::TooManyTransactions(4_097);
    assert_eq!(Block::from_bytes(&over.to_bytes()), Err(too_many.clone()));
    assert_eq!(chain.accept(over, CLOCK), Err(AcceptError::Block(too_many)));
    let full = mine(&params, &params.genesis(), 1, claims(BLOCK_MAX_TRANSACTIONS));
    let bytes = full.to_bytes();
    assert_eq!(Block::from_bytes(&bytes).as_ref(), Ok(&full));
    // The longest transaction has 213 bytes: no block of this layout reaches the limit of bytes.
    assert!(bytes.len() + BLOCK_MAX_TRANSACTIONS * 213 < 2 * BLOCK_MAX_BYTES);
    advance(&mut chain, &full);
}

#[test]
fn adv_g12_bytes_above_a_mebibyte_are_no_block_whatever_they_begin_with() {
    let params = NetworkParams::dev();
    let mut bytes = mine(&params, &params.genesis(), 1, Vec::new()).to_bytes();
    bytes.resize(BLOCK_MAX_BYTES, 0);
    assert!(Block::header_of(&bytes).is_ok());
    bytes.push(0);
    let too_long = LayoutError::TooLong {
        size: BLOCK_MAX_BYTES + 1,
        limit: BLOCK_MAX_BYTES,
    };
    assert_eq!(Block::header_of(&bytes), Err(too_long));
    assert_eq!(Block::header_of(&bytes[..95]), Err(LayoutError::Truncated));
}

#[test]
fn adv_g21_a_side_block_of_too_little_work_is_refused_and_nothing_else_changes() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    for block in branch(&params, &params.genesis(), 1, 2) {
        advance(&mut chain, &block);
    }
    // A protection has ended that let the limit be passed: several are too many at once.
    crowd(&mut chain, 3, SIDE_MAX_BLOCKS + 5);
    let low = mine(&params, &params.genesis(), 2, Vec::new());
    assert!(matches!(
        chain.accept(low.clone(), CLOCK),
        Err(AcceptError::LowWork { .. })
    ));
    assert_eq!(chain.block(&low.hash()), Ok(None));
    assert_eq!(chain.tree.tips().count(), SIDE_MAX_BLOCKS + 5);
    assert!(!chain.is_invalid(&low.hash()));
}

#[test]
fn adv_g21_what_leaves_the_side_branches_leaves_the_store() {
    let params = NetworkParams::dev();
    let genesis = params.genesis();
    // With the block that comes last beside the chain, and with a switch to it.
    for wins in [false, true] {
        let (mut chain, store) = dev();
        let active = branch(&params, &genesis, 1, 2);
        active.iter().for_each(|block| drop(advance(&mut chain, block)));
        let lowest = mine(&params, &genesis, 2, Vec::new());
        assert!(matches!(
            chain.accept(lowest.clone(), CLOCK),
            Ok(Accepted::Stored { .. })
        ));
        commit(&mut chain, &store);
        crowd(&mut chain, 0, SIDE_MAX_BLOCKS - 1);
        let rival = (1..)
            .map(|later| mine_after(&params, &active[0].header, later, 3, Vec::new()))
            .find(|rival| (rival.hash() < active[1].hash()) == wins)
            .unwrap();
        chain.accept(rival.clone(), CLOCK).unwrap();
        assert_eq!(chain.tip().hash == rival.hash(), wins);
        commit(&mut chain, &store);
        let kept = |block: &Block| store.block(&block.hash()).unwrap().is_some();
        assert_eq!((kept(&lowest), kept(&rival), kept(&active[1])), (false, true, true));
        assert_eq!(store.side().unwrap().len(), 1);
    }
}

#[test]
fn the_last_1024_invalid_blocks_are_remembered() {
    let mut set = InvalidSet::default();
    for number in 0..=INVALID_MAX {
        set.insert(hash(number));
        set.insert(hash(number));
    }
    assert!(!set.contains(&hash(0)));
    assert!((1..=INVALID_MAX).all(|number| set.contains(&hash(number))));
}

#[test]
fn bytes_on_their_way_to_the_disk_are_counted_until_it_has_them() {
    let (mut chain, store) = dev();
    let params = NetworkParams::dev();
    let blocks = branch(&params, &params.genesis(), 1, 2);
    let size = |block: &Block| block.to_bytes().len();
    for block in &blocks {
        advance(&mut chain, block);
        store.commit(&chain.take_batch().unwrap());
    }
    assert_eq!(chain.unwritten_bytes(), size(&blocks[0]) + size(&blocks[1]));
    chain.committed(1);
    assert_eq!(chain.unwritten_bytes(), size(&blocks[1]));
    chain.committed(2);
    assert_eq!(chain.unwritten_bytes(), 0);
    let third = mine(&params, &blocks[1].header, 1, Vec::new());
    let fourth = mine(&params, &third.header, 1, Vec::new());
    for block in [&third, &fourth] {
        advance(&mut chain, block);
        store.commit(&chain.take_batch().unwrap());
    }
    // A disk tells of the last batch only.
    chain.committed(4);
    assert_eq!(chain.unwritten_bytes(), 0);
}

#[test]
fn a_store_of_another_network_is_not_opened() {
    let (_, store) = dev();
    let other = Chain::open(NetworkParams::lan(), store, [7; 32]);
    assert!(matches!(other.err(), Some(StoreError::Damaged(_))));
}

#[test]
fn own_transactions_keep_their_order_over_restarts() {
    let params = NetworkParams::dev();
    let (mut chain, store) = dev();
    let own: Vec<_> = (0..3).map(|n| pay(&params, 1, ("alice", "bob"), None, 5, n)).collect();
    for transaction in &own {
        chain.keep_own(transaction);
        commit(&mut chain, &store);
        chain = Chain::open(params.clone(), store.clone(), [7; 32]).unwrap();
    }
    let listed: Vec<_> = chain
        .own()
        .unwrap()
        .into_iter()
        .map(|(_, transaction)| transaction)
        .collect();
    assert_eq!(listed, own);
}

#[test]
fn adv_s15_a_shorter_branch_of_more_work_leaves_nothing_of_the_longer_one_behind() {
    let params = NetworkParams::lan();
    let (mut chain, store) = open(params.clone());
    let genesis = params.genesis();
    // On time at the floor; the others come at once and raise the bits.
    let long = branch(&params, &genesis, 1, 9);
    long.iter().for_each(|block| drop(advance(&mut chain, block)));
    commit(&mut chain, &store);
    let mut short = vec![mine_after(&params, &genesis, 1, 2, Vec::new())];
    while chain.tip().hash != short[short.len() - 1].hash() {
        chain.accept(short[short.len() - 1].clone(), CLOCK).unwrap();
        if chain.tip().hash != short[short.len() - 1].hash() {
            short.push(mine_after(&params, &short[short.len() - 1].header, 1, 2, Vec::new()));
        }
    }
    assert!(short.len() < long.len());
    let check = |chain: &Chain<_>| {
        assert_eq!(chain.active(Height::new(9)), Ok(None));
        assert_eq!(chain.headers_after(&[], 100).unwrap().len(), short.len());
    };
    check(&chain);
    commit(&mut chain, &store);
    assert_eq!(store.tip().unwrap().1, short[short.len() - 1].hash());
    check(&Chain::open(params, store.clone(), [7; 32]).unwrap());
}

#[test]
fn a_side_branch_has_one_end_and_its_bytes_count_once() {
    let mut tree = SideTree::default();
    let block = |number: usize, previous: usize| SideBlock {
        hash: hash(number),
        previous: hash(previous),
        height: Height::new(1),
        work: work(u64::try_from(number).unwrap()),
        size_bytes: SIDE_MAX_BYTES / 2,
    };
    let ends = |tree: &SideTree| -> Vec<BlockHash> { tree.tips().map(|end| end.hash).collect() };
    for (number, previous) in [(1, 0), (2, 1), (2, 1)] {
        tree.insert(block(number, previous));
    }
    assert_eq!(ends(&tree), [hash(2)]);
    assert_eq!(tree.evict(), []);
    tree.remove(&hash(2));
    assert_eq!(ends(&tree), [hash(1)]);
}

#[test]
fn headers_begin_at_the_fork_for_who_stands_on_a_side_block() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let active = branch(&params, &params.genesis(), 1, 2);
    active.iter().for_each(|block| drop(advance(&mut chain, block)));
    let side = mine(&params, &params.genesis(), 2, Vec::new());
    chain.accept(side.clone(), CLOCK).unwrap();
    let headers = chain
        .headers_after(&[side.hash(), params.genesis().hash()], 10)
        .unwrap();
    assert_eq!(headers, [active[0].header.clone(), active[1].header.clone()]);
}
