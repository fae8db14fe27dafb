//! Many identities of one address against a few honest nodes: floods of payments, blocks beside the chain, wrong clocks,
//! lies about peers. However many they are, they have one voice.
//!
//! Promises: each world is small and ends by itself; at its end the honest agree, and the second implementation of the
//! rules with them. Elsewhere: the lies (`roles`), the same against real processes (`tests/node/hostile/`).

use lanchain::chain::ChainStore;
use lanchain::contract::{Command, MineCommand};

use crate::checkers::{arrival, finish};
use crate::fate;
use crate::plan::{Pace, Plan};
use crate::roles::{FLOOD, Role};
use crate::trace::Depth;
use crate::world::World;

const SEED: u64 = 9;
/// Honest nodes; all are connected, and the first one hears the hostile ones.
const HONEST: usize = 3;
/// Identities of the one address.
const IDENTITIES: usize = 6;
/// All have met.
const MET_MS: u64 = 5_000;
/// A busy machine: a payment in 1.5 ms, whether it is taken or refused.
const BUSY: Pace = Pace {
    payment_us: 1_500,
    bytes_per_ms: 0,
};

/// The honest nodes, and the hostile ones, who know the first `victims` of them.
fn plan(role: Role, victims: usize) -> Plan {
    let mut plan = Plan::calm(HONEST + IDENTITIES);
    plan.one_voice = true;
    for a in 0..HONEST {
        plan.acquaintances.extend((a + 1..HONEST).map(|b| (a, b)));
    }
    for hostile in HONEST..HONEST + IDENTITIES {
        plan.nodes[hostile].role = role;
        plan.acquaintances.extend((0..victims).map(|victim| (victim, hostile)));
    }
    plan
}

fn run_for(world: &mut World, ms: u64) {
    world.run_until(world.now + ms);
}

fn height(world: &World, node: usize) -> u64 {
    world.nodes[node].store.tip().map_or(0, |(height, _)| height.get())
}

/// Mines a block at a node; gives how long it took from there to all honest ones.
fn mine(world: &mut World, miner: usize) -> u64 {
    let wanted = height(world, miner) + 1;
    let late = world.now + 600_000;
    fate::ask(world, miner, Command::Mine(MineCommand::Count(1)));
    while height(world, miner) < wanted {
        assert!(world.now < late, "node {miner} mines nothing");
        run_for(world, 1);
    }
    let begun = world.now;
    while (0..HONEST).any(|node| height(world, node) < wanted) {
        assert!(world.now < late, "a block of node {miner} does not come to all");
        run_for(world, 1);
    }
    world.now - begun
}

/// The floods end; the honest agree, and all rules held.
fn end(world: &mut World) {
    world.quiet = true;
    let late = world.now + 60_000;
    while let Err(why) = finish::agreement(world) {
        if world.now > late {
            world.fail(&format!("no agreement after it: {why}"));
        }
        run_for(world, 100);
    }
    finish::all(world);
}

#[test]
fn a_flood_of_payments_by_identities_of_one_address_delays_no_block_and_keeps_no_newcomer_out() {
    let mut plan = plan(Role::PaymentFlood, 1);
    plan.pace = BUSY;
    let mut world = World::of(SEED, plan, Depth::Light);
    run_for(&mut world, MET_MS + 3_000);
    let took: Vec<u64> = (0..3).map(|_| mine(&mut world, 1)).collect();
    println!("seed {SEED}: blocks came through the flood after {took:?} ms");
    // A block waits for the turn that is under way, and for no message behind it.
    let turn_ms = BUSY.payment_us * u64::try_from(FLOOD).expect("a small number") / 1_000;
    assert!(
        took.iter().all(|took| *took <= turn_ms + 100),
        "blocks wait for {took:?} ms"
    );
    // A newcomer's first payment makes an account, as all of the flood do: 64 have room in a block.
    fate::ask(&mut world, 2, fate::to_the_till());
    run_for(&mut world, 1_000);
    // Users go on paying while a block takes its time: those payments are for later blocks.
    let promised = arrival::promised(&world);
    assert!(promised > 0, "the newcomer's payment was acknowledged");
    for _ in 0..3 {
        mine(&mut world, 0);
    }
    assert!(
        arrival::is_confirmed(&world, promised),
        "three blocks without the newcomer's payment"
    );
    end(&mut world);
}

#[test]
fn side_blocks_by_identities_of_one_address_are_checked_at_a_small_rate_and_delay_no_block() {
    let mut world = World::of(SEED, plan(Role::SideBlocks, 1), Depth::Light);
    run_for(&mut world, 1_000);
    for _ in 0..3 {
        mine(&mut world, 1);
    }
    run_for(&mut world, 10_000);
    let took = mine(&mut world, 1);
    let kept = |node: usize| {
        let all = world.nodes[node].store.blocks_by_prefix("", usize::MAX);
        all.map_or(0, |all| all.len())
    };
    let most = (0..HONEST).map(kept).max().unwrap_or(0);
    println!("seed {SEED}: a block came after {took} ms; at most {most} blocks are kept");
    assert!(took <= 500, "a block waits {took} ms behind side blocks");
    // 300 ms of work at once, 20 ms a second: some forty of them, and between two and three a second.
    assert!((25..=100).contains(&most), "{most} blocks are kept");
    end(&mut world);
}

/// The time of a block that a node mines which goes by its neighbours' clocks, less the even clock's.
fn mined_ahead_ms(clock_ahead_ms: i64, one_voice: bool) -> i64 {
    let mut plan = plan(Role::ClockLiar, HONEST);
    plan.one_voice = one_voice;
    for node in &mut plan.nodes[..HONEST] {
        node.peer_clock = true;
    }
    for node in &mut plan.nodes[HONEST..] {
        node.clock_ahead_ms = clock_ahead_ms;
    }
    let mut world = World::of(SEED, plan, Depth::Light);
    run_for(&mut world, 30_000);
    mine(&mut world, 0);
    let tip = world.nodes[0].store.tip().expect("it is read").1;
    let header = world.nodes[0]
        .store
        .block(&tip)
        .expect("it is read")
        .expect("it is there")
        .header;
    let ahead = header.time.ms().cast_signed() - world.time().ms().cast_signed();
    end(&mut world);
    ahead
}

#[test]
fn identities_of_one_address_do_not_move_those_who_go_by_their_neighbours_clocks() {
    for (clock_ahead_ms, one_voice) in [(240_000, true), (-240_000, true), (86_400_000, false)] {
        let ahead = mined_ahead_ms(clock_ahead_ms, one_voice);
        println!("seed {SEED}: liars {clock_ahead_ms} ms ahead, one voice {one_voice}: a block {ahead} ms ahead");
        assert!(ahead.abs() <= 5_000, "a block is {ahead} ms ahead of the time");
    }
}

#[test]
fn lies_about_peers_by_identities_of_one_address_cost_few_dials() {
    let mut plan = plan(Role::PeerLiar, HONEST);
    plan.exchange = true;
    plan.silent_ms = 10_000;
    let mut world = World::of(SEED, plan, Depth::Light);
    run_for(&mut world, 10_000);
    let before = world.net.dialled.clone();
    run_for(&mut world, 120_000);
    let dials = |node: usize| world.net.dialled.get(&node).unwrap_or(&0) - before.get(&node).unwrap_or(&0);
    let most = (0..HONEST).map(dials).max().unwrap_or(0);
    println!("seed {SEED}: at most {most} dials in two minutes");
    // Two at a time, each of which ends after 10 s.
    assert!((1..=30).contains(&most), "{most} dials");
    assert!(mine(&mut world, 0) <= 500);
    end(&mut world);
}
