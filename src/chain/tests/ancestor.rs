//! The ancestor's eight unit tests, said again for our types, and those of its faults that lie in this layer.
//!
//! Elsewhere: its other faults; `proto-notes/threats.md`, "The ancestor's faults", names the test of each.

use std::collections::BTreeSet;

use crate::chain::{Accepted, NetworkParams, Transaction, merkle};
use crate::pool::{Mempool, Origin};
use crate::testing::blocks::*;
use crate::types::hash::sha256;
use crate::types::{Address, Height, WallTime};

fn registered(texts: &[&str]) -> BTreeSet<String> {
    texts
        .iter()
        .filter_map(|text| Address::parse(text).ok())
        .map(|(address, _)| address.to_string())
        .collect()
}

#[test]
fn ancestor_valid_nodes_are_registered() {
    let expected = BTreeSet::from(["/ip4/192.168.0.1/tcp/5000".to_owned()]);
    assert_eq!(registered(&["192.168.0.1:5000"]), expected);
    assert_eq!(registered(&["/ip4/192.168.0.1/tcp/5000"]), expected);
    // The ancestor kept the port of this one alone.
    let expected = BTreeSet::from(["/ip4/127.0.0.1/tcp/5000".to_owned()]);
    assert_eq!(registered(&["localhost:5000"]), expected);
}

#[test]
fn ancestor_malformed_nodes_are_not_registered() {
    let malformed = [
        "http//192.168.0.1:5000",
        "",
        "5000",
        "192.168.0.1",
        "192.168.0.1:",
        "[\"2\"]",
        "localhost",
        "localhost:0",
    ];
    assert_eq!(registered(&malformed), BTreeSet::new());
}

#[test]
fn ancestor_registering_twice_is_registering_once() {
    let twice = ["192.168.0.1:5000", "192.168.0.1:5000", "/ip4/192.168.0.1/tcp/5000"];
    assert_eq!(registered(&twice).len(), 1);
}

#[test]
fn ancestor_new_block_follows_the_last_and_holds_a_proof() {
    let (mut chain, _) = dev();
    let mut pool = Mempool::new();
    let parent = chain.tip().header.clone();
    let block = forge(&mut chain, &mut pool, 1);
    assert_eq!(block.header.height, Height::new(1));
    assert_eq!(block.header.previous, parent.hash());
    assert!(block.header.time > WallTime::from_ms(0));
    assert_eq!(block.header.check_proof_of_work(chain.params()), Ok(()));
    assert!(block.hash().to_string().starts_with("0000"));
}

#[test]
fn ancestor_new_transaction_waits_with_its_values() {
    let (chain, _) = dev();
    let mut pool = Mempool::new();
    let payment = pay(chain.params(), 1, ("a", "b"), None, 1, 0);
    pool.add(&chain, payment.clone(), Origin::Own).unwrap();
    let waiting = pool.in_block_order(&chain, &wallet(1));
    let [Transaction::Transfer(transfer)] = waiting.as_slice() else {
        panic!("{waiting:?}");
    };
    assert_eq!(
        (&transfer.from, &transfer.to, transfer.amount.get()),
        (&name("a"), &name("b"), 1)
    );
    assert_eq!(waiting, [payment]);
}

#[test]
fn ancestor_block_empties_the_list_of_waiting_transactions() {
    let (mut chain, _) = dev();
    let mut pool = Mempool::new();
    let payment = pay(chain.params(), 1, ("a", "b"), None, 1, 0);
    pool.add(&chain, payment.clone(), Origin::Own).unwrap();
    assert_eq!(pool.len(), 1);
    let block = forge(&mut chain, &mut pool, 1);
    assert!(pool.is_empty());
    assert_eq!(block.transactions[1..], [payment]);
}

#[test]
fn ancestor_last_block_is_the_newest() {
    let (mut chain, _) = dev();
    let mut pool = Mempool::new();
    assert_eq!(chain.tip().hash, chain.params().genesis().hash());
    for height in 1..=3 {
        let block = forge(&mut chain, &mut pool, 1);
        assert_eq!(chain.tip().hash, block.hash());
        assert_eq!(chain.tip().header.height, Height::new(height));
    }
}

#[test]
fn ancestor_hash_is_64_hex_digits_and_that_of_the_canonical_bytes() {
    let (mut chain, _) = dev();
    let block = forge(&mut chain, &mut Mempool::new(), 1);
    let text = block.hash().to_string();
    assert_eq!(text.len(), 64);
    assert!(
        text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        "{text}"
    );
    assert_eq!(hex::decode(&text).unwrap(), sha256(&[&block.header.to_bytes()]));
}

/// Each start of the ancestor made another first block, and nobody looked at it.
#[test]
fn ancestor_fault_every_start_has_the_same_genesis() {
    let (first, _) = dev();
    let (second, _) = dev();
    assert_eq!(first.tip().hash, second.tip().hash);
    let (mut other, _) = open(NetworkParams::lan());
    assert_ne!(other.tip().hash, first.tip().hash);
    // A chain of one block was always valid there; here a branch on another first block has no parent.
    let dev = NetworkParams::dev();
    let foreign = mine(&dev, &dev.genesis(), 1, Vec::new());
    assert_eq!(other.accept(foreign, CLOCK).unwrap_err().code(), "unknown_parent");
}

/// The ancestor compared lengths that peers claimed; here a longer branch of less work does not win.
#[test]
fn ancestor_fault_length_alone_does_not_win() {
    let params = NetworkParams::lan();
    let (mut chain, _) = open(params.clone());
    // Blocks at once raise the bits; the other branch takes its time and stays at the floor.
    let genesis = params.genesis();
    let mut heavy = vec![mine_after(&params, &genesis, 1, 1, Vec::new())];
    for _ in 0..7 {
        let parent = heavy.last().unwrap().header.clone();
        heavy.push(mine_after(&params, &parent, 1, 1, Vec::new()));
    }
    heavy.iter().for_each(|block| {
        chain.accept(block.clone(), CLOCK).unwrap();
    });
    let tip = chain.tip().hash;
    let work = chain.tip().work;
    let long = branch(&params, &genesis, 2, 9);
    for block in long {
        let accepted = chain.accept(block, CLOCK).unwrap();
        assert!(
            matches!(accepted, Accepted::Stored { work: other } if other < work),
            "{accepted:?}"
        );
    }
    assert_eq!(chain.tip().hash, tip);
}

/// Forged content under a valid header is refused whatever it claims, and any list of transactions has one root.
#[test]
fn ancestor_fault_a_huge_reward_is_refused() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let reward = |miner| {
        Transaction::Reward(crate::chain::Reward {
            to: wallet(miner),
            height: Height::new(1),
        })
    };
    // A reward is 1 by its form; who wants more writes it twice.
    let greedy = seal(&params, &params.genesis(), 10_000, vec![reward(1), reward(1)]);
    assert!(chain.accept(greedy, CLOCK).is_err());
    let ids = [reward(1).txid(), reward(2).txid()];
    assert_ne!(merkle::root(&ids), merkle::root(&ids[..1]));
    assert_eq!(chain.tip().header.height, Height::new(0));
}
