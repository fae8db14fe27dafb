//! A disk that rots, and switches that take many turns.

use super::world::*;
use crate::engine::{AccountRef, Command, Event, Input, MineCommand, StoreFact};
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
