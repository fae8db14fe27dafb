//! Transactions that leave without being in the active chain: each has a word.

use super::sync::branch;
use super::world::World;
use crate::contract::{Command, Condition, Event, Reply};
use crate::types::{AccountName, Txid};

fn txid(reply: &Reply) -> Txid {
    match reply {
        Reply::Tx { tx, .. } => tx.txid,
        other => panic!("{other:?}"),
    }
}

/// What node 0 told of drops: codes of single ones.
fn dropped(world: &World, node: usize) -> Vec<&'static str> {
    let codes = world.nodes[node].events.iter().filter_map(|event| match event {
        Event::TransactionDropped { code, .. } => Some(*code),
        _ => None,
    });
    codes.collect()
}

#[test]
fn a_mined_payment_that_a_longer_branch_made_void_is_told_once_and_who_waits_for_it_hears_so_at_once() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.mine(0, 1);
    world.until(5_000, |world| world.height(1) == 1);
    world.split(0, 1);
    let paid = txid(&world.pay(0, "alice", "gina", 3).unwrap());
    world.mine(0, 1);
    let condition = Condition::Confirmed(paid);
    assert!(world.ask(0, Command::Wait { condition, seconds: 1 }).is_ok());
    world.ask(1, Command::Claim(AccountName::new("gina").unwrap())).unwrap();
    world.mine(1, 3);
    world.link(0, 1);
    let tip = world.tip(1);
    world.until(20_000, |world| world.tip(0) == tip);
    assert_eq!(dropped(&world, 0), ["owner_changed"]);
    assert!(dropped(&world, 1).is_empty(), "it never had it");
    let told = world.nodes[0].events.iter().find_map(|event| match event {
        Event::Reorganized {
            returned,
            returned_count,
            dropped,
            dropped_count,
            ..
        } => Some((returned.clone(), *returned_count, dropped.clone(), *dropped_count)),
        _ => None,
    });
    let (returned, returned_count, listed, dropped_count) = told.unwrap();
    assert_eq!((returned.len(), returned_count, dropped_count), (0, 0, 1));
    assert_eq!((listed[0].txid, listed[0].code), (paid, "owner_changed"));
    let refused = world.ask(0, Command::Wait { condition, seconds: 60 }).unwrap_err();
    assert_eq!(refused.code, "owner_changed");
    // It is offered again at each new tip, and refused each time, without a word.
    world.mine(1, 3);
    let tip = world.tip(1);
    world.until(20_000, |world| world.tip(0) == tip);
    assert_eq!(dropped(&world, 0), ["owner_changed"]);
}

#[test]
fn an_own_payment_that_was_dropped_comes_back_when_its_branch_wins_and_that_is_told() {
    let mut world = World::new(3);
    world.link(0, 1);
    world.mine(0, 1);
    world.until(5_000, |world| world.height(1) == 1);
    world.split(0, 1);
    let paid = txid(&world.pay(0, "alice", "gina", 3).unwrap());
    world.ask(1, Command::Claim(AccountName::new("gina").unwrap())).unwrap();
    world.mine(1, 2);
    world.link(0, 1);
    let tip = world.tip(1);
    world.until(20_000, |world| world.tip(0) == tip);
    assert_eq!(dropped(&world, 0), ["owner_changed"]);
    assert_eq!(world.nodes[0].engine.status().pending, 0);
    let accepted = |world: &World| {
        let is_it = |event: &&Event| matches!(event, Event::TransactionAccepted { txid, .. } if *txid == paid);
        world.nodes[0].events.iter().filter(is_it).count()
    };
    assert_eq!(accepted(&world), 1, "when it was made");
    // A branch without the claim wins.
    world.give(2, &branch(&world.params.genesis(), 7, 8));
    world.link(0, 2);
    let tip = world.tip(2);
    world.until(20_000, |world| world.tip(0) == tip);
    assert_eq!(accepted(&world), 2, "it waits again");
    assert_eq!(dropped(&world, 0), ["owner_changed"]);
}
