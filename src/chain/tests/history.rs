//! The index of histories: what the blocks say, whatever branch is active.

use super::super::history::{add_block, add_body, pick};
use crate::chain::memory_store::MemoryStore;
use crate::chain::{AccountTag, Block, ChainStore, HistoryEntries, HistoryKey, LongStep, NetworkParams, Transaction};
use crate::testing::blocks::*;
use crate::types::{Account, Amount, Height};

/// The entries that the active blocks make.
fn made(store: &MemoryStore) -> HistoryEntries {
    let mut entries = HistoryEntries::new();
    let mut height = Height::GENESIS;
    while let Some(hash) = store.active(height).unwrap() {
        add_body(&mut entries, &hash, &store.body(&hash).unwrap().unwrap()).unwrap();
        height = height.next();
    }
    entries
}

/// The entries of the index that count.
fn counted(store: &MemoryStore) -> HistoryEntries {
    let all = store.history_above(None, usize::MAX).unwrap().into_iter();
    let counts = |key: &HistoryKey| key.is_in(store.active(key.height).unwrap().as_ref());
    all.filter(|(key, _)| counts(key)).collect()
}

fn heights(store: &MemoryStore, account: &Account) -> Vec<u64> {
    let tag = AccountTag::of(account);
    let entries = counted(store).into_keys();
    entries
        .filter(|key| key.tag == tag)
        .map(|key| key.height.get())
        .collect()
}

/// A transfer from any account to any other.
fn transfer(params: &NetworkParams, signer: u8, from: Account, to: Account, sequence: u64) -> Transaction {
    let owner = match &to {
        Account::Key(key) => Some(*key),
        Account::Name(_) => None,
    };
    let amount = Amount::new(1).unwrap();
    Transaction::transfer(&params.network_id(), &key(signer), (from, to, owner), amount, sequence).unwrap()
}

/// A block with every kind of transaction between every kind of account.
fn mixed(params: &NetworkParams) -> Block {
    let content = vec![
        transfer(params, 1, wallet(1), wallet(2), 0),
        transfer(params, 1, wallet(1), name("alice"), 1),
        transfer(params, 2, name("carol"), wallet(1), 0),
        transfer(params, 2, name("carol"), name("alice"), 1),
        claim(params, 1, "dora"),
    ];
    mine(params, &params.genesis(), 1, content)
}

#[test]
fn the_entries_of_a_block_are_the_same_from_its_bytes_as_from_its_transactions() {
    let params = NetworkParams::dev();
    let block = mixed(&params);
    let hash = block.hash();
    let (mut typed, mut raw) = (HistoryEntries::new(), HistoryEntries::new());
    add_block(&mut typed, &hash, &block);
    add_body(&mut raw, &hash, &block.to_bytes()).unwrap();
    assert_eq!(typed, raw);
    let of = |tag| typed.get(&HistoryKey::new(tag, block.header.height, &hash)).cloned();
    assert_eq!(of(AccountTag::of(&wallet(1))), Some(vec![0, 1, 2, 3]));
    assert_eq!(of(AccountTag::of(&name("alice"))), Some(vec![2, 4]));
    assert_eq!(of(AccountTag::of(&name("dora"))), Some(vec![5]));
    assert_eq!(
        of(AccountTag::names_of(&key(2).public())),
        Some(vec![3]),
        "the first one alone"
    );
    assert_eq!(
        of(AccountTag::names_of(&key(1).public())),
        Some(vec![5]),
        "no key account"
    );
    // Cut off or continued, it is no block.
    let bytes = block.to_bytes();
    for cut in 0..bytes.len() {
        assert!(add_body(&mut raw, &hash, &bytes[..cut]).is_err(), "cut at {cut}");
    }
    assert!(add_body(&mut raw, &hash, &[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn picked_transactions_are_those_at_the_indices() {
    let params = NetworkParams::dev();
    let block = mixed(&params);
    let bytes = block.to_bytes();
    for indices in [&[0][..], &[5], &[1, 3, 4], &[0, 1, 2, 3, 4, 5], &[]] {
        let picked = pick(&bytes, indices).unwrap();
        let expected = indices
            .iter()
            .map(|index| (*index, block.transactions[usize::from(*index)].clone()));
        assert_eq!(picked, expected.collect::<Vec<_>>());
    }
    assert_eq!(pick(&bytes, &[6]).unwrap(), [], "there is none");
    assert!(pick(&bytes[..200], &[5]).is_err());
}

#[test]
fn a_reorganisation_leaves_no_entry_of_the_lost_branch_and_one_back_restores_them() {
    let (mut chain, store) = dev();
    let params = NetworkParams::dev();
    let ours = mine(
        &params,
        &params.genesis(),
        1,
        vec![pay(&params, 1, ("alice", "bob"), None, 5, 0)],
    );
    advance(&mut chain, &ours);
    commit(&mut chain, &store);
    assert_eq!(heights(&store, &name("bob")), [1]);
    for block in &branch(&params, &params.genesis(), 2, 3) {
        chain.accept(block.clone(), CLOCK).unwrap();
        commit(&mut chain, &store);
        assert_eq!(counted(&store), made(&store));
    }
    assert_eq!(heights(&store, &name("bob")), [0; 0], "its block has left");
    assert_eq!(heights(&store, &wallet(2)), [1, 2, 3]);
    for block in &branch(&params, &ours.header, 1, 5) {
        chain.accept(block.clone(), CLOCK).unwrap();
        commit(&mut chain, &store);
        assert_eq!(counted(&store), made(&store));
    }
    assert_eq!(heights(&store, &name("bob")), [1], "its block is back");
    assert_eq!(heights(&store, &wallet(2)), [0; 0]);
    assert_eq!(heights(&store, &wallet(1)), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_long_switch_writes_the_index_in_pieces_and_shows_it_with_its_last_step() {
    let params = NetworkParams::dev();
    let (mut chain, store) = open(params.clone());
    chain.set_long(0, 1);
    let payment = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    advance(&mut chain, &mine(&params, &params.genesis(), 1, vec![payment]));
    commit(&mut chain, &store);
    let mut parent = params.genesis();
    for sequence in 0..4 {
        let to = format!("c{sequence}");
        let block = mine(
            &params,
            &parent,
            2,
            vec![pay(&params, 3, ("carol", &to), None, 1, sequence)],
        );
        parent = block.header.clone();
        chain.accept(block, CLOCK).unwrap();
    }
    let (mut steps, mut switches) = (0, 0);
    loop {
        let step = chain.step_switch().unwrap();
        let mut most = 0;
        while let Some(batch) = chain.take_batch() {
            most = most.max(batch.places.len() + batch.history.len());
            store.commit(&batch);
            chain.committed(batch.id);
        }
        assert!(most <= 2, "{most} entries in one batch");
        assert_eq!(counted(&store), made(&store), "step {steps}");
        steps += 1;
        match step {
            LongStep::Done(_) => switches += 1,
            LongStep::Working | LongStep::Waiting if switches > 0 => {}
            LongStep::Working | LongStep::Waiting => assert_eq!(heights(&store, &name("bob")), [1], "step {steps}"),
            LongStep::Idle => break,
        }
    }
    assert!(steps > 10 && switches > 0, "{steps} steps, {switches} switches");
    assert_eq!(heights(&store, &name("carol")), [1, 2, 3, 4]);
    assert_eq!(heights(&store, &name("bob")), [0; 0]);
}

#[test]
fn a_page_of_the_index_begins_below_the_last_key_of_the_page_before() {
    let (mut chain, store) = dev();
    for block in &branch(&NetworkParams::dev(), &NetworkParams::dev().genesis(), 1, 7) {
        advance(&mut chain, block);
    }
    commit(&mut chain, &store);
    let tag = AccountTag::of(&wallet(1));
    let (mut below, mut found) = (None, Vec::new());
    loop {
        let page = store.history(tag, below, 3).unwrap();
        let Some((last, _)) = page.last() else { break };
        below = Some(*last);
        found.extend(page.iter().map(|(key, _)| key.height.get()));
    }
    assert_eq!(found, [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(store.history(AccountTag::of(&wallet(9)), None, 3), Ok(Vec::new()));
}
