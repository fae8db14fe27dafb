//! Own blocks from the future: told, refused as a base of more, and taken off.

use super::world::World;
use crate::contract::{Command, Condition, Event, MineCommand, Reply};
use crate::engine::Input;
use crate::types::WallTime;

const DAY_MS: u64 = 86_400_000;

fn set_clock(world: &mut World, node: usize, clock: WallTime) {
    world.tell(node, Input::Clock(clock));
}

fn warnings(world: &World, node: usize, wanted: &str) -> Vec<String> {
    let told = world.nodes[node].events.iter().filter_map(|event| match event {
        Event::Warning { code, message } if *code == wanted => Some(message.clone()),
        _ => None,
    });
    told.collect()
}

/// A node that mined three blocks, twelve more with a clock a day ahead, and whose clock was put right then.
fn mined_tomorrow() -> World {
    let mut world = World::new(2);
    world.mine(0, 3);
    let ahead = WallTime::from_ms(world.now.ms() + DAY_MS + 600_000);
    set_clock(&mut world, 0, ahead);
    world.mine(0, 12);
    let right = WallTime::at(world.now, 0);
    set_clock(&mut world, 0, right);
    world
}

#[test]
fn adv_t12_own_blocks_from_the_future_are_told_once_and_nothing_waits_for_them() {
    let mut world = mined_tomorrow();
    let told = warnings(&world, 0, "clock_behind_tip");
    assert_eq!(told.len(), 1, "{told:?}");
    for part in [
        "the 12 newest blocks are from the future, by 1 day",
        "`rewind` takes the chain back to block 3",
    ] {
        assert!(told[0].contains(part), "{}", told[0]);
    }
    let refused = world.ask(0, Command::Mine(MineCommand::Count(1))).unwrap_err();
    assert_eq!((refused.code, refused.hint.as_str()), ("clock_behind_tip", "rewind"));
    match world.ask(0, Command::Resolve) {
        Ok(Reply::Resolved {
            notice: Some(notice), ..
        }) => assert!(notice.contains("from the future"), "{notice}"),
        other => panic!("{other:?}"),
    }
    world.link(0, 1);
    world.run(2_000);
    let condition = Condition::Synced;
    let refused = world.ask(0, Command::Wait { condition, seconds: 0 }).unwrap_err();
    assert_eq!(refused.hint, "rewind");
    // The neighbour has the three blocks of today, and hears why it has no more.
    assert_eq!(world.nodes[1].engine.height().get(), 3);
    assert_eq!(warnings(&world, 1, "future_branch").len(), 1);
}

#[test]
fn rewind_takes_blocks_from_the_future_off_and_mining_goes_on() {
    let mut world = mined_tomorrow();
    let removed = match world.ask(0, Command::Rewind) {
        Ok(Reply::Rewound { removed, height, .. }) => (removed, height.get()),
        other => panic!("{other:?}"),
    };
    assert_eq!(removed, (12, 3));
    let gone = world.nodes[0]
        .events
        .iter()
        .filter(|event| matches!(event, Event::BlockDisconnected { .. }));
    assert_eq!(gone.count(), 12);
    world.mine(0, 1);
    assert_eq!(world.nodes[0].engine.height().get(), 4);
    world.link(0, 1);
    world.run(2_000);
    assert_eq!(world.tip(0), world.tip(1));
    let again = world.ask(0, Command::Rewind).unwrap_err();
    assert_eq!(again.code, "nothing_to_rewind");
    // A restart finds the chain as it was left.
    let tip = world.tip(0);
    world.restart(0);
    assert_eq!(world.tip(0), tip);
}

#[test]
fn more_than_a_page_of_blocks_is_not_rewound() {
    let mut world = World::new(1);
    let ahead = WallTime::from_ms(world.now.ms() + DAY_MS);
    set_clock(&mut world, 0, ahead);
    world.mine(0, 513);
    let right = WallTime::at(world.now, 0);
    set_clock(&mut world, 0, right);
    assert_eq!(world.ask(0, Command::Rewind).unwrap_err().code, "too_many_blocks");
    assert_eq!(world.nodes[0].engine.height().get(), 513);
}
