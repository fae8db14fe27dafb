//! What leaves the pool with what, what is remembered of it, and what comes back from a lost branch.

use crate::chain::switch::{UNDONE_MAX, Undone};
use crate::chain::{Accepted, Block, Claim, NetworkParams, Transaction, Transfer};
use crate::pool::mempool::{DROPPED_MAX, POOL_MAX_TRANSACTIONS};
use crate::pool::{Mempool, Origin, PoolError};
use crate::testing::blocks::*;
use crate::types::{AccountName, Txid};

fn peer(seed: u8) -> Origin {
    Origin::Peer(key(seed).public().peer_id().into())
}

/// Claims of any number of names with one signature, which is not looked at.
fn claims(count: usize) -> Vec<Transaction> {
    let Transaction::Claim(signed) = claim(&NetworkParams::dev(), 1, "x") else {
        panic!("a claim")
    };
    let named = |n: usize| {
        Transaction::Claim(Claim {
            name: AccountName::new(&format!("n{n}")).unwrap(),
            ..signed.clone()
        })
    };
    (0..count).map(named).collect()
}

#[test]
fn what_is_pushed_out_takes_along_what_stands_on_it_but_nothing_of_our_own() {
    let (chain, _) = roomy();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let [first, second, own] = [0, 1, 2].map(|n| pay(&params, 1, ("alice", "bob"), None, 1 + n, n));
    let mut others = claims(POOL_MAX_TRANSACTIONS - 2);
    let last = others.pop().unwrap();
    for other in others {
        pool.add_checked(&chain, other, peer(9)).unwrap();
    }
    pool.add_checked(&chain, own.clone(), Origin::Own).unwrap();
    pool.add_checked(&chain, second.clone(), peer(9)).unwrap();
    pool.add_checked(&chain, first.clone(), peer(9)).unwrap();
    assert_eq!(pool.len(), POOL_MAX_TRANSACTIONS);
    let added = pool.add_checked(&chain, last, peer(8)).unwrap();
    assert_eq!(added.evicted, [first.txid(), second.txid()]);
    assert!(pool.contains(&own.txid()));
    assert_eq!(pool.pending_balance(&chain, &name("alice")).unwrap(), -3);
    assert_eq!(pool.pending_balance(&chain, &name("bob")).unwrap(), 3);
}

#[test]
fn who_would_then_hold_as_much_as_anybody_pushes_nobody_out() {
    let (chain, _) = roomy();
    let mut pool = Mempool::new();
    let mut all = claims(POOL_MAX_TRANSACTIONS + 1);
    let last = all.pop().unwrap();
    for (n, transaction) in all.into_iter().enumerate() {
        let origin = match n {
            0 => Origin::Own,
            1..5_000 => peer(8),
            _ => peer(9),
        };
        pool.add_checked(&chain, transaction, origin).unwrap();
    }
    let refused = pool.add_checked(&chain, last.clone(), peer(8));
    assert_eq!(refused, Err(PoolError::PoolFull));
    assert!(pool.add_checked(&chain, last, peer(7)).is_ok());
}

#[test]
fn the_reasons_of_the_last_4096_dropped_ones_are_remembered_until_they_wait_again() {
    let (chain, _) = dev();
    let mut pool = Mempool::new();
    let all = claims(DROPPED_MAX + 1);
    for transaction in &all {
        pool.drop_for(transaction.txid(), transaction.clone(), PoolError::PushedOut);
    }
    assert_eq!(pool.dropped_reason(&all[0].txid()), None);
    assert!(all[1..].iter().all(|tx| pool.dropped_reason(&tx.txid()).is_some()));
    pool.add_checked(&chain, all[5].clone(), peer(9)).unwrap();
    assert_eq!(pool.dropped_reason(&all[5].txid()), None);
}

#[test]
fn returned_ones_come_back_beyond_the_cap_of_an_account() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let payments: Vec<_> = (0..70).map(|n| pay(&params, 1, ("alice", "bob"), None, 1, n)).collect();
    advance(&mut chain, &mine(&params, &params.genesis(), 1, payments.clone()));
    let mut returned = Vec::new();
    for block in branch(&params, &params.genesis(), 2, 2) {
        if let Accepted::Switched(switch) = chain.accept(block, CLOCK).unwrap() {
            returned.extend(pool.on_switch(&chain, &switch, &[]).returned);
        }
    }
    let wanted: Vec<Txid> = payments.iter().map(Transaction::txid).collect();
    assert_eq!(returned, wanted);
}

#[test]
fn a_lost_payment_that_the_winning_branch_holds_too_is_neither_returned_nor_dropped() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let payment = pay(&params, 1, ("alice", "bob"), None, 1, 0);
    advance(&mut chain, &mine(&params, &params.genesis(), 1, vec![payment.clone()]));
    let first = mine(&params, &params.genesis(), 2, vec![payment]);
    let second = mine(&params, &first.header, 2, Vec::new());
    for block in [first, second] {
        if let Accepted::Switched(switch) = chain.accept(block, CLOCK).unwrap() {
            assert_eq!(pool.on_switch(&chain, &switch, &[]), Default::default());
        }
    }
    assert_eq!(chain.tip().header.height.get(), 2);
}

#[test]
fn of_what_many_blocks_held_the_oldest_is_handed_back_and_the_rest_counted() {
    let params = NetworkParams::dev();
    let Transaction::Transfer(signed) = pay(&params, 1, ("alice", "bob"), None, 1, 0) else {
        panic!("a transfer")
    };
    let block = |from: u64| Block {
        header: params.genesis(),
        transactions: (from..from + 6_000)
            .map(|sequence| {
                Transaction::Transfer(Transfer {
                    sequence,
                    ..signed.clone()
                })
            })
            .collect(),
    };
    let mut undone = Undone::default();
    undone.put_before(block(6_000));
    undone.put_before(block(0));
    let kept: Vec<u64> = undone.iter().filter_map(|tx| Some(tx.sequence()?.1)).collect();
    let most = u64::try_from(UNDONE_MAX).unwrap();
    assert_eq!(kept, (0..most).collect::<Vec<_>>());
    assert_eq!(undone.beyond(), 2_000);
}
