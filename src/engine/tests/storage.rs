//! A disk that rots, and switches that take many turns.

use super::world::*;
use crate::contract::{AccountRef, Command, Event, MineCommand, Reply};
use crate::engine::{Input, Room, StoreFact};
use crate::types::{Account, AccountName, Amount};

#[test]
fn rot_is_told_once_and_neither_a_block_nor_a_payment_is_taken_after_it() {
    let mut world = World::new(1);
    world.mine(0, 2);
    world.nodes[0]
        .store
        .spoil("page 7 of the chain file is not what was written there");
    for input in [Input::Tick, Input::Store(StoreFact::Reopened), Input::Tick] {
        world.tell(0, input);
    }
    let told = |event: &&Event| {
        matches!(
            event,
            Event::Warning {
                code: "store_damaged",
                ..
            }
        )
    };
    let warnings: Vec<_> = world.nodes[0].events.iter().filter(told).collect();
    assert_eq!(warnings.len(), 1);
    assert!(
        format!("{warnings:?}").contains("lanchain verify --repair"),
        "{warnings:?}"
    );
    let refused = world.ask(0, Command::Mine(MineCommand::Count(1))).unwrap_err();
    assert_eq!(refused.code, "read_only");
    assert_eq!(world.pay(0, "me", "bob", 1).unwrap_err().code, "read_only");
    assert_eq!(world.nodes[0].engine.status().height.get(), 2);
}

#[test]
fn a_long_switch_leaves_turns_to_everything_else_and_is_told_as_one() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.split(0, 1);
    world.mine(0, 4);
    world.mine(1, 7);
    world.nodes[0].engine.chain.set_long(0, 1);
    let old = world.nodes[0].engine.status().tip;
    world.link(0, 1);
    world.until(60_000, |world| world.nodes[0].engine.chain.is_switching());
    let mut turns = 0;
    let mut paid = Vec::new();
    while world.nodes[0].engine.chain.is_switching() && turns < 500 {
        // The old branch is what there is, and a payment is taken.
        assert_eq!(world.nodes[0].engine.status().tip, old);
        assert!(world.nodes[0].engine.status().syncing);
        let id = world.command(
            0,
            Command::Tx {
                from: AccountRef::Me,
                to: AccountRef::Account(Account::Name(AccountName::new("bob").unwrap())),
                amount: Amount::new(1).unwrap(),
            },
        );
        paid.push(world.nodes[0].replies[&id].clone());
        turns += 1;
        world.run(2);
    }
    assert!(turns >= 3, "{turns}");
    assert!(paid.iter().all(Result::is_ok), "{paid:?}");
    // They have not left the pool with the old tip.
    assert_eq!(
        world.nodes[0].engine.status().pending,
        u64::try_from(paid.len()).unwrap()
    );
    let tip = world.nodes[1].engine.status().tip;
    world.until(60_000, |world| world.nodes[0].engine.status().tip == tip);
    let kinds = |event: &Event| match event {
        Event::BlockDisconnected { .. } => Some('-'),
        Event::BlockConnected { .. } => Some('+'),
        Event::Reorganized { .. } => Some('!'),
        _ => None,
    };
    let told: String = world.nodes[0].events.iter().filter_map(kinds).collect();
    // Its own four blocks, and then each of the others once.
    assert!(told.starts_with("++++----++++"), "{told}");
    let times = |kind| told.matches(kind).count();
    assert_eq!((times('-'), times('+'), times('!')), (4, 4 + 7, 1), "{told}");
    let stored = world.nodes[0].store.copy();
    assert_eq!(crate::chain::ChainStore::tip(&stored).unwrap().1, tip);
    // The payments of the meanwhile still wait.
    assert_eq!(
        world.nodes[0].engine.status().pending,
        u64::try_from(paid.len()).unwrap()
    );
}

/// A disk of 10 GiB, with so many MiB free.
fn room(free_mib: u64) -> Input {
    Input::Store(StoreFact::Room(Room {
        used: 12_345,
        free: free_mib << 20,
        size: 10 << 30,
    }))
}

fn warnings(world: &World, wanted: &str) -> usize {
    let told = |event: &&Event| matches!(event, Event::Warning { code, .. } if *code == wanted);
    world.nodes[0].events.iter().filter(told).count()
}

#[test]
fn before_a_disk_is_full_no_blocks_are_taken_or_made_and_own_payments_still_are() {
    let mut world = World::new(2);
    world.tell(0, room(64));
    world.link(0, 1);
    world.mine(0, 1);
    let running = world.command(0, Command::Mine(MineCommand::Count(3)));
    for _ in 0..2 {
        world.tell(0, room(63));
    }
    assert_eq!(warnings(&world, "disk_low"), 1);
    assert_eq!(world.nodes[0].replies[&running].clone().unwrap_err().code, "disk_low");
    let refused = world.ask(0, Command::Mine(MineCommand::Count(1))).unwrap_err();
    assert_eq!(refused.code, "disk_low");
    // A neighbour goes on: what it finds comes by gossip, is asked for by nobody, and is no fault of its.
    world.mine(1, 4);
    world.run(30_000);
    assert_eq!(world.nodes[0].engine.status().height.get(), 1);
    assert!(!world.nodes[0].engine.status().syncing);
    let blames = |event: &Event| {
        let is_blame = |code: &str| ["peer_fault", "peer_banned", "stale_tip"].contains(&code);
        matches!(event, Event::BlockRejected { .. } | Event::PeerDisconnected { .. })
            || matches!(event, Event::Warning { code, .. } if is_blame(code))
    };
    for node in &world.nodes {
        assert!(!node.events.iter().any(blames), "{:?}", node.events);
    }
    // Own payments are written, and the neighbour hears of them.
    world.pay(0, "me", "bob", 1).unwrap();
    world.until(10_000, |world| world.nodes[1].engine.status().pending == 1);
    let stats = world.ask(0, Command::Stats(10)).unwrap();
    let Reply::Stats(stats) = stats else {
        panic!("{stats:?}")
    };
    assert_eq!(stats.disk.unwrap().chain_bytes, 12_345);
    // A little room is not enough; twice what is kept is.
    world.tell(0, room(127));
    assert!(world.ask(0, Command::Mine(MineCommand::Count(1))).is_err());
    world.tell(0, room(128));
    assert_eq!(warnings(&world, "disk_room"), 1);
    let tip = world.nodes[1].engine.status().tip;
    world.until(30_000, |world| world.nodes[0].engine.status().tip == tip);
    assert_eq!(world.nodes[0].engine.status().pending, 1);
    world.mine(0, 1);
}

#[test]
fn a_long_switch_waits_for_room_and_goes_on_by_itself() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.split(0, 1);
    world.mine(0, 4);
    world.mine(1, 7);
    world.nodes[0].engine.chain.set_long(0, 1);
    world.link(0, 1);
    world.until(60_000, |world| world.nodes[0].engine.chain.is_switching());
    let old = world.nodes[0].engine.status().tip;
    world.tell(0, room(1));
    world.run(60_000);
    assert_eq!(world.nodes[0].engine.status().tip, old);
    world.tell(0, room(1_000));
    let tip = world.nodes[1].engine.status().tip;
    world.until(60_000, |world| world.nodes[0].engine.status().tip == tip);
}

#[test]
fn nobody_searches_on_the_old_tip_of_a_long_switch_and_what_was_asked_for_is_found_after_it() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.split(0, 1);
    world.mine(0, 4);
    world.mine(1, 7);
    // Nothing is spilled, so that no commit wakes the switch.
    world.nodes[0].engine.chain.set_long(0, 1_000);
    world.link(0, 1);
    world.until(60_000, |world| world.nodes[0].engine.chain.is_switching());
    let tip = world.nodes[1].engine.status().tip;
    let id = world.command(0, Command::Mine(MineCommand::Count(1)));
    let mut turns = 0;
    while world.nodes[0].engine.chain.is_switching() && turns < 500 {
        assert!(world.nodes[0].job.is_none(), "turn {turns}");
        turns += 1;
        world.run(2);
    }
    // Each step wakes for the next one: nothing else does.
    assert!((3..60).contains(&turns), "{turns}");
    world.until(60_000, |world| world.nodes[0].replies.contains_key(&id));
    assert!(world.nodes[0].replies[&id].is_ok());
    let made = world.nodes[0].engine.chain.tip().header.clone();
    assert_eq!((made.previous, made.height.get()), (tip, 8));
}
