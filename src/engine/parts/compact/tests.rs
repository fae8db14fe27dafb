//! Assemblies on a block of payments, and the room for those that wait.

use super::*;
use crate::chain::stages::Received;
use crate::pool::Origin;
use crate::testing::blocks::{dev, mine, pay};
use crate::testing::keys::peer;
use crate::types::Txid;

/// A block of a reward and payments, and a pool that holds them.
fn scene(payments: u64) -> (Received, Block, Mempool) {
    let (chain, _) = dev();
    let params = chain.params().clone();
    let list: Vec<Transaction> = (0..payments)
        .map(|sequence| pay(&params, 1, ("alice", "bob"), None, 5, sequence))
        .collect();
    let mut pool = Mempool::new();
    for payment in &list {
        pool.add(&chain, payment.clone(), Origin::Own).unwrap();
    }
    let block = mine(&params, &params.genesis(), 1, list);
    (Received::new(block.header.clone()), block, pool)
}

fn positions(assembly: &Assembly) -> Vec<usize> {
    assembly.missing().collect()
}

#[test]
fn a_block_is_put_together_from_the_pool_and_from_what_its_sender_answers() {
    let (received, block, pool) = scene(5);
    let compact = CompactBlock::of(&block, |_| false);
    let mut assembly = Assembly::new(received.clone(), &compact).unwrap();
    assert_eq!(positions(&assembly), [1, 2, 3, 4, 5], "the reward is given");
    assembly.fill(&compact.ids, &pool);
    assert_eq!(assembly.finish().unwrap().1, block);
    let mut assembly = Assembly::new(received, &compact).unwrap();
    assembly.fill(&compact.ids[..2], &pool);
    assert_eq!(positions(&assembly), [3, 4, 5]);
    let rest: Vec<Vec<u8>> = block.transactions[3..].iter().map(Transaction::to_bytes).collect();
    for wrong in [&rest[..2], &[], &[rest[0].clone(), vec![9; 4], rest[2].clone()]] {
        let mut assembly = assembly.clone();
        assembly.answer(wrong);
        assert!(assembly.finish().is_none());
    }
    assembly.answer(&rest);
    assert_eq!(assembly.finish().unwrap().1, block);
}

#[test]
fn an_id_that_stands_twice_or_fits_two_transactions_names_none() {
    let (received, block, pool) = scene(3);
    let compact = CompactBlock::of(&block, |_| false);
    let mut assembly = Assembly::new(received.clone(), &compact).unwrap();
    assembly.fill(&[compact.ids[0], compact.ids[1], compact.ids[0]], &pool);
    assert_eq!(positions(&assembly), [1, 3]);
    let key = |txid: &Txid| {
        if *txid == block.transactions[3].txid() {
            compact.ids[0]
        } else {
            compact.ids[1]
        }
    };
    let mut assembly = Assembly::new(received, &compact).unwrap();
    assembly.fill_by(
        &compact.ids,
        pool.with_ids().map(|(txid, transaction)| (key(txid), transaction)),
    );
    assert_eq!(
        positions(&assembly),
        [2, 3],
        "two of the three have the second's id, none the third's"
    );
}

#[test]
fn a_third_transaction_with_one_short_id_does_not_take_the_place_of_two_that_share_it() {
    let (received, block, pool) = scene(3);
    let compact = CompactBlock::of(&block, |_| false);
    let mut assembly = Assembly::new(received, &compact).unwrap();
    assembly.fill_by(
        &compact.ids,
        pool.with_ids().map(|(_, transaction)| (compact.ids[0], transaction)),
    );
    assert_eq!(positions(&assembly), [1, 2, 3]);
}

#[test]
fn four_blocks_wait_for_answers_and_two_of_one_peer() {
    let (received, block, _) = scene(1);
    let assembly = Assembly::new(received, &CompactBlock::of(&block, |_| false)).unwrap();
    let mut compacts = Compacts::default();
    // The same block under other hashes.
    for n in 0..4 {
        assert!(compacts.has_room(&peer(n / 2)), "{n}");
        compacts
            .asked
            .insert(BlockHash::new([n; 32]), (peer(n / 2), assembly.clone()));
        assert_eq!(compacts.has_room(&peer(n / 2)), n % 2 == 0, "{n}");
    }
    assert!(!compacts.has_room(&peer(9)));
    assert_eq!(compacts.end(&BlockHash::new([1; 32])).unwrap().0, peer(0));
    assert!(compacts.has_room(&peer(9)) && compacts.has_room(&peer(0)) && !compacts.has_room(&peer(1)));
    assert!(compacts.end(&BlockHash::new([1; 32])).is_none());
}

#[test]
fn what_is_put_off_waits_for_another_turn() {
    let (received, block, _) = scene(1);
    let compact = CompactBlock::of(&block, |_| false);
    let assembly = Assembly::new(received, &compact).unwrap();
    let mut compacts = Compacts::default();
    assert!(!compacts.is_ready());
    compacts.put_off(7, (peer(1), assembly, compact.ids));
    assert!(compacts.take_ready(7).is_none() && compacts.is_ready());
    assert_eq!(compacts.take_ready(8).unwrap().0, peer(1));
    assert!(compacts.take_ready(9).is_none() && !compacts.is_ready());
}
