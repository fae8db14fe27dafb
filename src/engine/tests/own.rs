//! More own payments in the store than the pool is offered at once.

use super::world::World;
use crate::chain::{Batch, ChainStore, StoreError, Transaction};
use crate::contract::{Command, Reply};
use crate::types::{AccountName, Txid};

/// Has node 0 forget what its pool holds and offer it so many of the stored ones, as at a start.
fn offer(world: &mut World, most: usize) {
    let engine = &mut world.nodes[0].engine;
    engine.payments.own.offered_max = most;
    engine.restore_own().unwrap();
}

fn sequence_of(reply: Reply) -> u64 {
    let Reply::Tx { tx, .. } = reply else {
        panic!("a payment")
    };
    tx.sequence.unwrap()
}

fn waiting(world: &mut World) -> usize {
    let Ok(Reply::Pending { transactions, .. }) = world.ask(0, Command::Pending) else {
        panic!("a list");
    };
    transactions.len()
}

#[test]
fn a_new_own_payment_takes_no_sequence_of_one_that_waits_in_the_store() {
    let mut world = World::new(1);
    for amount in 1..=5 {
        world.pay(0, "anna", "bob", amount).unwrap();
    }
    offer(&mut world, 3);
    assert_eq!(waiting(&mut world), 3);
    for expected in [5, 6] {
        let sequence = sequence_of(world.pay(0, "anna", "carl", 1).unwrap());
        assert_eq!(
            sequence, expected,
            "3 and 4 are used by payments that were acknowledged"
        );
    }
    offer(&mut world, 20_000);
    assert_eq!(waiting(&mut world), 7, "nothing acknowledged is lost");
    world.mine(0, 1);
    assert_eq!(waiting(&mut world), 0);
}

#[test]
fn a_name_that_is_own_by_a_payment_that_waits_in_the_store_is_not_claimed_again() {
    let mut world = World::new(1);
    world.pay(0, "anna", "bob", 1).unwrap();
    world.pay(0, "zoe", "bob", 1).unwrap();
    offer(&mut world, 1);
    let claim = Command::Claim(AccountName::new("zoe").unwrap());
    assert_eq!(world.ask(0, claim).unwrap_err().code, "already_claimed");
    assert_eq!(sequence_of(world.pay(0, "zoe", "bob", 1).unwrap()), 1);
    offer(&mut world, 20_000);
    assert_eq!(waiting(&mut world), 3);
}

/// Puts other bytes in the place of the only own payment in node 0's store.
fn replace_own(world: &World, change: impl FnOnce(&mut Vec<u8>)) {
    let store = &world.nodes[0].store;
    let (number, mut bytes) = store.own().unwrap().remove(0);
    let before = Transaction::from_bytes(&bytes).unwrap().txid();
    change(&mut bytes);
    let after = Txid::new(crate::types::hash::sha256(&[&[0], &bytes]));
    let own = [(before, None), (after, Some((number, bytes)))].into();
    store.commit(&Batch {
        own,
        ..Batch::default()
    });
}

#[test]
fn an_own_payment_that_is_read_back_with_a_wrong_signature_never_enters_a_block() {
    let mut world = World::new(1);
    world.pay(0, "anna", "bob", 1).unwrap();
    world.run(100);
    replace_own(&world, |bytes| {
        let last = bytes.len() - 40;
        bytes[last] ^= 1;
    });
    let refused = world.nodes[0].engine.restore_own().unwrap_err();
    let StoreError::Damaged(reason) = &refused else {
        panic!("{refused}");
    };
    assert!(
        reason.contains("own transaction") && reason.contains("signature"),
        "{reason}"
    );
    replace_own(&world, |bytes| {
        let last = bytes.len() - 40;
        bytes[last] ^= 1;
    });
    world.nodes[0].engine.restore_own().unwrap();
    assert_eq!(waiting(&mut world), 1);
}

#[test]
fn a_block_on_top_reads_no_own_payment_when_the_pool_has_them_all() {
    let mut world = World::new(1);
    world.pay(0, "anna", "bob", 1).unwrap();
    world.pay(0, "zoe", "bob", 1).unwrap();
    world.mine(0, 1);
    world.pay(0, "anna", "bob", 1).unwrap();
    world.run(100);
    // Whoever reads this ends in an error of the store.
    replace_own(&world, |bytes| bytes.truncate(9));
    world.mine(0, 1);
    assert_eq!((world.height(0), waiting(&mut world)), (2, 0));
}
