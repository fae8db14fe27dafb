//! Transactions that leave without being in the active chain: each has a word.

use super::sync::branch;
use super::world::World;
use crate::contract::{Command, Condition, Direction, Event, Reply};
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

/// What a node told of own payments: whether each was confirmed, its direction, its block.
fn own_payments(world: &World, node: usize) -> Vec<(bool, Direction, u64)> {
    let told = world.nodes[node].events.iter().filter_map(|event| match event {
        Event::PaymentConfirmed { payment } => Some((true, payment.direction, payment.height.get())),
        Event::PaymentUnconfirmed { payment } => Some((false, payment.direction, payment.height.get())),
        _ => None,
    });
    told.collect()
}

#[test]
fn payer_and_payee_are_told_when_a_payment_is_confirmed_and_when_a_longer_branch_takes_it_back() {
    let mut world = World::new(3);
    world.link(0, 1);
    world.ask(1, Command::Claim(AccountName::new("bob").unwrap())).unwrap();
    world.until(5_000, |world| world.nodes[0].engine.status().pending == 1);
    world.mine(0, 1);
    world.until(5_000, |world| world.height(1) == 1);
    // Node 2 stands apart and will show a longer branch.
    world.link(0, 2);
    world.until(5_000, |world| world.height(2) == 1);
    world.split(0, 2);
    world.pay(0, "alice", "bob", 3).unwrap();
    world.until(5_000, |world| world.nodes[1].engine.status().pending == 1);
    world.mine(0, 1);
    world.until(5_000, |world| world.height(1) == 2);
    assert_eq!(own_payments(&world, 0), [(true, Direction::Out, 2)]);
    assert_eq!(own_payments(&world, 1), [(true, Direction::In, 2)]);
    world.mine(2, 3);
    world.link(0, 2);
    let tip = world.tip(2);
    world.until(20_000, |world| world.tip(0) == tip && world.tip(1) == tip);
    assert_eq!(own_payments(&world, 0)[1..], [(false, Direction::Out, 2)]);
    assert_eq!(own_payments(&world, 1)[1..], [(false, Direction::In, 2)]);
    world.mine(0, 1);
    world.until(5_000, |world| world.height(1) == 5);
    assert_eq!(own_payments(&world, 0)[2..], [(true, Direction::Out, 5)]);
    assert_eq!(own_payments(&world, 1)[2..], [(true, Direction::In, 5)]);
    assert!(own_payments(&world, 2).is_empty(), "it concerns others");
}

#[test]
fn a_payment_that_both_branches_hold_is_only_told_where_it_is_now() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.pay(0, "alice", "bob", 3).unwrap();
    world.until(5_000, |world| world.nodes[1].engine.status().pending == 1);
    world.split(0, 1);
    world.mine(0, 1);
    world.mine(1, 2);
    world.link(0, 1);
    let tip = world.tip(1);
    world.until(20_000, |world| world.tip(0) == tip);
    assert_eq!(
        own_payments(&world, 0),
        [(true, Direction::Out, 1), (true, Direction::Out, 1)]
    );
}

#[test]
fn an_own_payment_that_was_dropped_comes_back_when_its_branch_wins_and_that_is_told() {
    let mut world = World::new(3);
    world.link(0, 1);
    world.mine(0, 1);
    world.until(5_000, |world| world.height(1) == 1);
    world.split(0, 1);
    let paid = txid(&world.pay(0, "alice", "gina", 3).unwrap());
    let condition = Condition::Confirmed(paid);
    let waits = world.command(
        0,
        Command::Wait {
            condition,
            seconds: 600,
        },
    );
    world.ask(1, Command::Claim(AccountName::new("gina").unwrap())).unwrap();
    world.mine(1, 2);
    world.link(0, 1);
    let tip = world.tip(1);
    world.until(20_000, |world| world.tip(0) == tip);
    assert_eq!(dropped(&world, 0), ["owner_changed"]);
    let code = world.nodes[0]
        .replies
        .get(&waits)
        .map(|reply| reply.clone().unwrap_err().code);
    assert_eq!(code, Some("owner_changed"), "who waited since before hears of it too");
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

#[test]
fn a_reorganisation_lists_own_payments_that_cannot_come_back_before_others() {
    let mut world = World::new(3);
    world.link(0, 1);
    world.link(0, 2);
    world.mine(0, 1);
    world.until(5_000, |world| world.height(1) == 1 && world.height(2) == 1);
    world.split(0, 1);
    let own = txid(&world.pay(0, "alice", "gina", 3).unwrap());
    let other = txid(&world.pay(2, "carol", "gina", 3).unwrap());
    world.until(5_000, |world| world.nodes[2].engine.status().pending == 2);
    // Its own payment is first in its block, and so in what the block gives back.
    world.mine(2, 1);
    let tip = world.tip(2);
    world.until(5_000, |world| world.tip(0) == tip);
    world.ask(1, Command::Claim(AccountName::new("gina").unwrap())).unwrap();
    world.mine(1, 3);
    world.link(0, 1);
    let tip = world.tip(1);
    world.until(20_000, |world| world.tip(0) == tip);
    let listed = world.nodes[0].events.iter().find_map(|event| match event {
        Event::Reorganized { dropped, .. } => Some(dropped.iter().map(|one| one.txid).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(listed, Some(vec![own, other]));
}
