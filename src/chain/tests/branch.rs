//! How blocks are accepted, and what a switch does.

use std::collections::BTreeSet;

use crate::chain::tree::SIDE_MAX_BLOCKS;
use crate::chain::{
    AcceptError, Accepted, BlockError, Chain, ChainStore, HeaderError, NetworkParams, Reward, Transaction,
    TransactionError,
};
use crate::pool::{Mempool, Origin};
use crate::testing::blocks::*;
use crate::types::{BlockHash, Height, MerkleRoot, WallTime, Work};

#[test]
fn block_on_the_tip_becomes_the_tip_and_pays_the_miner() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let block = mine(&params, &params.genesis(), 1, Vec::new());
    let switch = advance(&mut chain, &block);
    assert_eq!((switch.fork, switch.disconnected.len()), (Height::GENESIS, 0));
    assert_eq!(chain.tip().hash, block.hash());
    assert_eq!(chain.account(&wallet(1)).unwrap().balance, 1);
    assert_eq!(chain.accept(block, CLOCK), Ok(Accepted::AlreadyKnown));
}

#[test]
fn ancestor_fault_the_tips_transactions_and_reward_are_covered_by_the_proof() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let payment = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    let block = mine(&params, &params.genesis(), 1, vec![payment]);
    let mut thief = block.clone();
    thief.transactions[0] = Transaction::Reward(Reward {
        to: wallet(2),
        height: Height::new(1),
    });
    let mut changed = block.clone();
    changed.transactions[1] = pay(&params, 1, ("alice", "bob"), None, 6, 0);
    let mut dropped = block.clone();
    dropped.transactions.pop();
    for forged in [thief.clone(), changed, dropped] {
        let error = chain.accept(forged, CLOCK).unwrap_err();
        assert!(
            matches!(error, AcceptError::Block(BlockError::BadMerkleRoot { .. })),
            "{error}"
        );
    }
    let ids: Vec<_> = thief.transactions.iter().map(Transaction::txid).collect();
    let rooted = with_root(&thief, crate::chain::merkle::root(&ids));
    let error = chain.accept(rooted, CLOCK).unwrap_err();
    assert!(
        matches!(error, AcceptError::Header(HeaderError::BadProofOfWork(_))),
        "{error}"
    );
    // The forged bodies had the true header: it must not have become invalid through them.
    advance(&mut chain, &block);
}

#[test]
fn equal_work_is_decided_by_the_smaller_hash_whatever_comes_first() {
    let params = NetworkParams::dev();
    let one = mine(&params, &params.genesis(), 1, Vec::new());
    let two = mine(&params, &params.genesis(), 2, Vec::new());
    let smaller = one.hash().min(two.hash());
    for order in [[&one, &two], [&two, &one]] {
        let (mut chain, _) = dev();
        for block in order {
            chain.accept(block.clone(), CLOCK).unwrap();
        }
        assert_eq!(chain.tip().hash, smaller);
        assert_eq!(chain.tips(10).unwrap().len(), 2);
    }
}

#[test]
fn earlier_stamped_sibling_with_higher_bits_is_not_heavier() {
    let params = NetworkParams::lan();
    let (mut chain, _) = open(params.clone());
    let mut parent = params.genesis();
    // Two fast blocks lift the bits above the floor, so that a sibling's time changes its bits.
    for _ in 0..2 {
        let block = mine_after(&params, &parent, 0, 1, Vec::new());
        advance(&mut chain, &block);
        parent = block.header;
    }
    let honest = mine_after(&params, &parent, 10_000, 1, Vec::new());
    let sibling = mine_after(&params, &parent, 0, 2, Vec::new());
    assert!(sibling.header.bits > honest.header.bits);
    advance(&mut chain, &honest);
    let work = chain.tip().work;
    chain.accept(sibling.clone(), CLOCK).unwrap();
    assert_eq!(chain.block(&sibling.hash()).unwrap().unwrap().work, work);
}

#[test]
fn heavier_branch_replaces_the_chain_and_the_ledger_with_it() {
    let (mut chain, store) = dev();
    let params = NetworkParams::dev();
    let payment = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    let lost = mine(&params, &params.genesis(), 1, vec![payment.clone()]);
    advance(&mut chain, &lost);
    commit(&mut chain, &store);
    let winners = branch(&params, &params.genesis(), 2, 3);
    let mut last = None;
    for block in &winners {
        last = Some(chain.accept(block.clone(), CLOCK).unwrap());
    }
    assert!(matches!(last, Some(Accepted::Switched(_))));
    assert_eq!(chain.tip().hash, winners[2].hash());
    assert_eq!(chain.account(&wallet(1)).unwrap(), Default::default());
    assert_eq!(chain.account(&name("alice")).unwrap().owner, None);
    assert_eq!(chain.place(&payment.txid()).unwrap(), None);
    assert_eq!(chain.account(&wallet(2)).unwrap().balance, 3);
    assert_eq!(chain.accounts(10).unwrap().0, 1);
    let before = (
        chain.tip().clone(),
        chain.tips(10).unwrap(),
        chain.accounts(10).unwrap(),
    );
    commit(&mut chain, &store);
    assert_eq!(store.tip().unwrap(), (Height::new(3), winners[2].hash()));
    chain.reload().unwrap();
    assert_eq!(
        (
            chain.tip().clone(),
            chain.tips(10).unwrap(),
            chain.accounts(10).unwrap()
        ),
        before
    );
}

#[test]
fn adv_s17_reorganisation_of_depth_100_is_one_batch() {
    let (mut chain, store) = dev();
    let params = NetworkParams::dev();
    let mut rivals = [1, 2].map(|miner| (miner, branch(&params, &params.genesis(), miner, 101)));
    // The one with the smaller hash at depth 100 is first, so that the other one wins with its last block only.
    rivals.sort_by_key(|(_, blocks)| blocks[99].hash());
    let [(loser, losing), (winner, winning)] = rivals;
    for block in losing[..100].iter().chain(&winning[..100]) {
        chain.accept(block.clone(), CLOCK).unwrap();
    }
    commit(&mut chain, &store);
    assert_eq!(chain.account(&wallet(loser)).unwrap().balance, 100);
    let switch = advance(&mut chain, &winning[100]);
    assert_eq!((switch.disconnected.len(), switch.connected.len()), (100, 101));
    let batch = chain.take_batch().unwrap();
    assert_eq!(chain.take_batch(), None);
    assert_eq!(batch.active.len(), 101);
    assert_eq!(chain.account(&wallet(loser)).unwrap().balance, 0);
    assert_eq!(chain.account(&wallet(winner)).unwrap().balance, 101);
}

#[test]
fn adv_g14_branch_that_turns_out_invalid_changes_nothing_and_is_remembered() {
    let (mut chain, store) = dev();
    let params = NetworkParams::dev();
    for block in branch(&params, &params.genesis(), 1, 2) {
        advance(&mut chain, &block);
    }
    let tip = chain.tip().clone();
    let accounts = chain.accounts(10).unwrap();
    let first = mine(&params, &params.genesis(), 2, Vec::new());
    let overdraft = pay(&params, 3, ("eve", "bob"), None, 5_000, 0);
    let bad = mine(&params, &first.header, 2, vec![overdraft]);
    let on_bad = branch(&params, &bad.header, 2, 2);
    chain.accept(first.clone(), CLOCK).unwrap();
    let early = chain.accept(bad.clone(), CLOCK);
    let error = match early {
        Err(error) => error,
        Ok(_) => chain.accept(on_bad[0].clone(), CLOCK).unwrap_err(),
    };
    assert!(
        matches!(&error, AcceptError::Ledger { block, index: 1, .. } if *block == bad.hash()),
        "{error}"
    );
    assert_eq!(error.code(), "overdraft");
    assert_eq!((chain.tip(), &chain.accounts(10).unwrap()), (&tip, &accounts));
    assert!(chain.is_invalid(&bad.hash()));
    assert_eq!(chain.block(&bad.hash()).unwrap(), None);
    assert_eq!(
        chain.accept(on_bad[0].clone(), CLOCK).unwrap_err().code(),
        "known_invalid"
    );
    assert_eq!(
        chain.accept(bad.clone(), CLOCK),
        Err(AcceptError::KnownInvalid(bad.hash()))
    );
    assert!(chain.block(&first.hash()).unwrap().is_some());
    commit(&mut chain, &store);
    assert_eq!(store.block(&bad.hash()).unwrap(), None);
}

#[test]
fn adv_g16_block_ahead_of_the_clock_is_not_yet_and_later_welcome() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let block = mine(&params, &params.genesis(), 1, Vec::new());
    let early = WallTime::from_ms(block.header.time.ms() - 120_001);
    let error = chain.accept(block.clone(), early).unwrap_err();
    assert_eq!(
        error,
        AcceptError::Header(HeaderError::TimeTooNew { ahead_ms: 120_001 })
    );
    let due = WallTime::from_ms(block.header.time.ms() - 120_000);
    assert!(matches!(chain.accept(block, due), Ok(Accepted::Switched(_))));
}

#[test]
fn adv_l09_l10_forged_rewards_are_refused() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let reward = |seed, height| {
        Transaction::Reward(Reward {
            to: wallet(seed),
            height: Height::new(height),
        })
    };
    let payment = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    let contents = [
        Vec::new(),
        vec![reward(1, 2)],
        vec![reward(1, 1), reward(2, 1)],
        vec![payment.clone(), reward(1, 1)],
        vec![payment],
    ];
    for content in contents {
        let block = seal(&params, &params.genesis(), 1_000, content);
        let error = chain.accept(block.clone(), CLOCK).unwrap_err();
        assert_eq!(error.code(), "bad_reward");
        assert!(chain.is_invalid(&block.hash()));
    }
}

#[test]
fn adv_g01_block_with_a_signature_for_another_network_is_refused() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let foreign = pay(&NetworkParams::lan(), 1, ("alice", "bob"), None, 5, 0);
    let block = mine(&params, &params.genesis(), 1, vec![foreign]);
    let error = chain.accept(block, CLOCK).unwrap_err();
    assert_eq!(
        error,
        AcceptError::Block(BlockError::Transaction {
            index: 1,
            error: TransactionError::BadSignature
        })
    );
}

#[test]
fn adv_l08_second_of_two_spends_that_fit_only_alone_makes_the_block_invalid() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let spends = vec![
        pay(&params, 1, ("alice", "bob"), None, 700, 0),
        pay(&params, 1, ("alice", "bob"), None, 700, 1),
    ];
    let block = mine(&params, &params.genesis(), 1, spends);
    let error = chain.accept(block, CLOCK).unwrap_err();
    assert!(matches!(error, AcceptError::Ledger { index: 2, .. }), "{error}");
    assert_eq!(chain.accounts(10).unwrap().0, 0);
}

#[test]
fn unknown_parent_is_named() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let blocks = branch(&params, &params.genesis(), 1, 2);
    let parent = blocks[0].hash();
    assert_eq!(
        chain.accept(blocks[1].clone(), CLOCK),
        Err(AcceptError::UnknownParent { parent })
    );
}

#[test]
fn own_transactions_leave_the_table_when_confirmed_and_return_oldest_first() {
    let (mut chain, store) = dev();
    let params = NetworkParams::dev();
    chain.set_own_key(key(1).public());
    let own: Vec<_> = (0..4).map(|n| pay(&params, 1, ("alice", "bob"), None, 5, n)).collect();
    for transaction in &own {
        chain.keep_own(transaction);
    }
    let first = mine(&params, &params.genesis(), 1, own[..2].to_vec());
    let second = mine(&params, &first.header, 1, own[2..3].to_vec());
    advance(&mut chain, &first);
    advance(&mut chain, &second);
    let listed = |chain: &Chain<_>| -> Vec<_> { chain.own().unwrap().into_iter().map(|(_, tx)| tx).collect() };
    assert_eq!(listed(&chain), own[3..]);
    commit(&mut chain, &store);
    for block in branch(&params, &params.genesis(), 2, 3) {
        chain.accept(block, CLOCK).unwrap();
    }
    assert_eq!(listed(&chain), own);
    commit(&mut chain, &store);
    let again = Chain::open(params, store, [7; 32]).unwrap();
    assert_eq!(listed(&again), own);
}

#[test]
fn locator_is_short_and_finds_the_fork() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let blocks = branch(&params, &params.genesis(), 1, 40);
    for block in &blocks {
        advance(&mut chain, block);
    }
    let locator = chain.locator().unwrap();
    assert!(locator.len() <= 32);
    assert_eq!(locator.first(), Some(&blocks[39].hash()));
    assert_eq!(locator.last(), Some(&params.genesis().hash()));
    let headers = chain
        .headers_after(&[MerkleRoot::ZERO.as_bytes()].map(|b| BlockHash::new(*b)), 3)
        .unwrap();
    assert_eq!(headers[0], blocks[0].header);
    let headers = chain.headers_after(&[blocks[37].hash()], 512).unwrap();
    assert_eq!(headers, [blocks[38].header.clone(), blocks[39].header.clone()]);
}

#[test]
fn uncommitted_batches_stay_visible_until_the_disk_has_them_and_vanish_on_reload() {
    let (mut chain, store) = dev();
    let params = NetworkParams::dev();
    let blocks = branch(&params, &params.genesis(), 1, 3);
    advance(&mut chain, &blocks[0]);
    let first = chain.take_batch().unwrap();
    advance(&mut chain, &blocks[1]);
    let second = chain.take_batch().unwrap();
    assert_eq!((first.id, second.id), (1, 2));
    assert_eq!(chain.account(&wallet(1)).unwrap().balance, 2);
    store.commit(&first);
    chain.committed(1);
    assert_eq!(chain.active(Height::new(2)).unwrap(), Some(blocks[1].hash()));
    chain.reload().unwrap();
    assert_eq!(chain.tip().hash, blocks[0].hash());
    assert_eq!(chain.tip().work, chain.block(&blocks[0].hash()).unwrap().unwrap().work);
    advance(&mut chain, &blocks[1]);
    assert_eq!(chain.take_batch().unwrap().id, 3);
}

/// Hand-made side blocks: mining 4,096 of them would take too long.
#[test]
fn adv_g21_side_branches_stop_at_their_cap_and_the_lowest_work_leaves_first() {
    use crate::chain::tree::{SideBlock, SideTree};
    let hash = |n: u64| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        BlockHash::new(bytes)
    };
    let work = |n: u64| {
        let mut bytes = [0; 32];
        bytes[24..].copy_from_slice(&n.to_be_bytes());
        Work::from_be_bytes(bytes)
    };
    let block = |n: u64, previous: u64, size_bytes: u64| SideBlock {
        hash: hash(n),
        previous: hash(previous),
        height: Height::new(n),
        work: work(n),
        size_bytes,
    };
    let mut tree = SideTree::default();
    let cap = u64::try_from(SIDE_MAX_BLOCKS).unwrap();
    for n in 1..=cap {
        tree.insert(block(n, 0, 1));
        assert_eq!(tree.evict(), []);
    }
    tree.insert(block(cap + 1, 0, 1));
    assert_eq!(tree.evict(), [block(1, 0, 1)]);
    tree.protect(BTreeSet::from([hash(2)]));
    tree.insert(block(cap + 2, 0, 1));
    assert_eq!(tree.evict(), [block(3, 0, 1)]);
    // A body that alone is above the cap of bytes drives all leaves out but the heaviest and the protected one.
    tree.insert(block(cap + 3, 0, 256 * 1024 * 1024 - 1));
    assert_eq!(tree.evict().len(), SIDE_MAX_BLOCKS - 1);
    assert_eq!(tree.tips().count(), 2);
}

#[test]
fn ancestor_fault_losers_transactions_return_and_are_mined_again() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let payments = [
        pay(&params, 1, ("alice", "bob"), None, 5, 0),
        pay(&params, 1, ("alice", "bob"), None, 6, 1),
    ];
    for payment in &payments {
        pool.add(&chain, payment.clone(), Origin::Returned).unwrap();
        forge(&mut chain, &mut pool, 1);
    }
    assert!(pool.is_empty());
    let mut returned = Vec::new();
    for block in branch(&params, &params.genesis(), 2, 3) {
        if let Accepted::Switched(switch) = chain.accept(block, CLOCK).unwrap() {
            returned.extend(pool.on_switch(&chain, &switch, &[]).returned);
        }
    }
    assert_eq!(returned, payments.each_ref().map(Transaction::txid));
    forge(&mut chain, &mut pool, 2);
    assert_eq!(chain.account(&name("bob")).unwrap().balance, 11);
}

#[test]
fn ancestor_fault_pending_transaction_in_the_winning_chain_is_not_mined_twice() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let payment = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    pool.add(&chain, payment.clone(), Origin::Own).unwrap();
    let first = mine(&params, &params.genesis(), 2, vec![payment.clone()]);
    let switch = advance(&mut chain, &first);
    let change = pool.on_switch(&chain, &switch, std::slice::from_ref(&payment));
    assert_eq!((change.returned, change.dropped), (vec![], vec![]));
    // The store may forget it.
    assert_eq!(change.confirmed, [payment.txid()]);
    assert!(pool.is_empty());
    assert_eq!(
        pool.add(&chain, payment.clone(), Origin::Own).unwrap_err().code(),
        "already_confirmed"
    );
    // And a block that repeats it is invalid.
    let twice = mine(&params, &first.header, 2, vec![payment]);
    assert_eq!(chain.accept(twice, CLOCK).unwrap_err().code(), "wrong_sequence");
}
