//! What is searched for, when the search changes, and how long it pauses.

use super::world::{World, solve};
use crate::chain::NetworkParams;
use crate::contract::{Command, Event, MineCommand, Reply};
use crate::engine::{Input, MinerFact, PeerClock, StoreFact};
use crate::testing::statuses::boast;
use crate::types::{Time, WallTime};

fn on(world: &mut World) {
    world.ask(0, Command::Mine(MineCommand::On)).unwrap();
}

#[test]
fn a_clock_that_went_back_makes_no_block_older_than_its_parent() {
    let mut world = World::new(1);
    world.mine(0, 1);
    let minute_ago = WallTime::from_ms(world.now.ms() - 60_000);
    world.tell(0, Input::Clock(minute_ago));
    world.mine(0, 2);
    assert_eq!(world.height(0), 3);
    assert_eq!(world.count(0, |event| matches!(event, Event::Warning { .. })), 0);
}

#[test]
fn adv_t12_a_clock_too_far_behind_the_tip_mines_nothing_says_so_once_and_goes_on_when_it_is_set() {
    let mut world = World::new(1);
    world.mine(0, 1);
    let set = |world: &mut World, behind_ms: u64| {
        let clock = WallTime::from_ms(world.now.ms() - behind_ms);
        world.tell(0, Input::Clock(clock));
    };
    set(&mut world, 86_400_000);
    let refused = world.ask(0, Command::Mine(MineCommand::Count(2))).unwrap_err();
    assert_eq!(refused.code, "clock_behind_tip", "it does not wait for a day");
    on(&mut world);
    world.run(60_000);
    let told = |event: &Event| {
        matches!(
            event,
            Event::Warning {
                code: "clock_behind_tip",
                ..
            }
        )
    };
    assert_eq!((world.height(0), world.count(0, told)), (1, 1));
    assert_eq!(world.count(0, |event| matches!(event, Event::Mined { .. })), 1);
    set(&mut world, 0);
    world.until(60_000, |world| world.height(0) >= 3);
}

#[test]
fn at_the_floor_mining_pauses_a_second_between_blocks_on_average() {
    let mut world = World::new(1);
    on(&mut world);
    world.run(200_000);
    let blocks = world.height(0);
    assert!((120..280).contains(&blocks), "{blocks} blocks in 200 s");
    // Who asks for a number of blocks does not wait, not even for the rest of a pause.
    let before = world.now;
    world.mine(0, 30);
    let took = world.now.since(before);
    assert!(took < 30 * 60, "{took} ms");
}

#[test]
fn while_blocks_are_rarer_than_one_a_second_mining_does_not_pause() {
    let mut world = World::new(1);
    for _ in 0..12 {
        world.mine(0, 1);
        world.run(2_000);
    }
    on(&mut world);
    assert_eq!(world.nodes[0].delays.last(), Some(&0));
    world.run(50);
    assert_eq!(world.height(0), 13);
}

#[test]
fn the_last_four_templates_count_and_older_ones_do_not() {
    for (age, height) in [(3, 1), (4, 0)] {
        let mut world = World::new(1);
        world.run(100);
        world.command(0, Command::Mine(MineCommand::Count(1)));
        let mut jobs = vec![world.nodes[0].job.clone().unwrap()];
        for _ in 0..age {
            world.now = Time::from_ms(world.now.ms() + 1_000);
            world.tell(0, Input::Tick);
            jobs.push(world.nodes[0].job.clone().unwrap());
        }
        let (job, header, target) = &jobs[0];
        assert!(jobs.iter().skip(1).all(|(other, ..)| other != job));
        let nonce = solve(header, target);
        world.tell(0, Input::Miner(MinerFact::Found { job: *job, nonce }));
        assert_eq!(world.height(0), height, "{age} templates ago");
    }
}

#[test]
fn a_find_after_the_stop_is_no_block() {
    let mut world = World::new(1);
    world.run(100);
    on(&mut world);
    let (job, header, target) = world.nodes[0].job.clone().unwrap();
    world.ask(0, Command::Mine(MineCommand::Off)).unwrap();
    let nonce = solve(&header, &target);
    world.tell(0, Input::Miner(MinerFact::Found { job, nonce }));
    assert_eq!(world.height(0), 0);
}

#[test]
fn a_new_tip_and_an_own_payment_change_the_search_at_once() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    let height = world.height(0);
    // Slow enough that this node finds nothing itself meanwhile.
    world.nodes[0].searches = false;
    on(&mut world);
    world.mine(1, 1);
    world.run(10);
    assert_eq!(world.height(0), height + 1);
    let job = world.nodes[0].job.clone().unwrap();
    assert_eq!(job.1.previous, world.tip(0));
    world.pay(0, "alice", "bob", 5).unwrap();
    let with_payment = world.nodes[0].job.clone().unwrap();
    assert_ne!(with_payment.1.merkle_root, job.1.merkle_root);
}

#[test]
fn mining_many_shows_the_last_hundred_and_mining_none_is_mining_one() {
    let mut world = World::new(1);
    match world.mine(0, 101) {
        Reply::Mined { count, blocks, .. } => {
            assert_eq!((count, blocks.len()), (101, 100));
            assert_eq!(blocks[99].hash, world.tip(0));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(world.mine(0, 0), Reply::Mined { count: 1, .. }));
}

#[test]
fn a_read_only_node_does_not_begin_to_mine() {
    let mut world = World::new(1);
    world.run(100);
    let reason = "no space".to_owned();
    world.tell(0, Input::Store(StoreFact::Failed { reason }));
    let error = world.ask(0, Command::Mine(MineCommand::On)).unwrap_err();
    assert_eq!(error.code, "read_only");
    assert!(!world.nodes[0].engine.status().mining);
}

#[test]
fn templates_take_the_own_clock_or_with_peer_clock_the_middle_of_three_voices_or_a_chosen_one() {
    let chosen = PeerClock::Key(World::new(2).nodes[1].peer);
    for (clock, liars, off_ms, expected) in [
        (PeerClock::Own, 3, 60_000, 1_000),
        (PeerClock::Median, 3, 60_000, 1_060),
        (PeerClock::Median, 2, 60_000, 1_000),
        (PeerClock::Median, 3, 301_000, 1_000),
        (chosen, 1, 86_400_000, 87_400),
    ] {
        let said = format!("{clock:?}, {liars} liars");
        let mut world = World::with(1 + liars, NetworkParams::dev(), |config| {
            config.peer_clock = clock.clone()
        });
        for liar in 1..=liars {
            let mut status = boast(7, world.now.ms());
            (status.work, status.height) = ([0; 32], 0);
            status.tip = *world.tip(0).as_bytes();
            status.clock_ms += off_ms;
            world.nodes[liar].lie = Some(status);
            world.link(0, liar);
        }
        world.run(100);
        world.mine(0, 1);
        let ahead = match world.ask(0, Command::Block(crate::contract::BlockRef::Hash(world.tip(0)))) {
            Ok(Reply::Block(block)) => block.time_ms.since(world.params.genesis().time) / 1_000,
            other => panic!("{other:?}"),
        };
        assert_eq!(ahead, expected, "{said}");
    }
}
