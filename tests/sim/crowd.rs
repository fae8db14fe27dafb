//! Rooms of ten to a thousand whole nodes that find each other by peer exchange: what a node sends, how many links it
//! has and how soon news is everywhere, and how soon a room that was cut in halves has one tip again.
//!
//! Promises: the same seed gives the same figures. Elsewhere: the dial managers of such rooms alone, in less time
//! (`engine::tests::dial_rooms`).

use lanchain::contract::{Command, FoundBy, MineCommand};
use lanchain::engine::dial::OWN_LINKS;
use lanchain::engine::{Input, NetFact};
use lanchain::types::SecretKey;

use crate::checkers::finish;
use crate::dice::Dice;
use crate::fate;
use crate::net::INBOUND_MAX;
use crate::node::address;
use crate::plan::Plan;
use crate::roles::Role;
use crate::trace::Depth;
use crate::world::World;

/// Rooms of so many nodes, by commas; without it the tests take small ones, or large ones with [`LARGE`].
const ROOMS: &str = "LANCHAIN_SIM_ROOMS";
/// With this variable set the tests take rooms of up to a thousand nodes.
const LARGE: &str = "LANCHAIN_SIM_LARGE";
/// Own links, one more for a moment, and all that a node lets in.
const LINKS_MAX: usize = OWN_LINKS + 1 + INBOUND_MAX;
/// A dial that nobody answers.
const SILENT_MS: u64 = 10_000;
/// Payments whose way is measured.
const PAYMENTS: u64 = 10;
/// Half minutes before a cut.
const ROUNDS: usize = 2;
/// How long a cut lasts.
const CUT_MS: u64 = 120_000;
/// From then on each half finds blocks of its own.
const MINES_AT_MS: u64 = 100_000;
/// One tip after a cut was mended.
const MENDED_MS: u64 = 20_000;

fn rooms(usual: &[usize], large: &[usize]) -> Vec<usize> {
    let usual = if std::env::var_os(LARGE).is_some() {
        large
    } else {
        usual
    };
    let read = |text: String| {
        let parse = |word: &str| word.trim().parse().expect("numbers with commas between them");
        text.split(',').map(parse).collect()
    };
    std::env::var(ROOMS).map_or_else(|_| usual.to_vec(), read)
}

/// A ring with two chords a node: discovery names four neighbours to each, the others have to be told.
fn room(count: usize, liars: bool) -> World {
    let mut plan = Plan::calm(count);
    let mut dice = Dice::new(11);
    for node in 0..count {
        plan.acquaintances.push((node, (node + 1) % count));
        let other = dice.index(0, count);
        if other != node {
            plan.acquaintances.push((node, other));
        }
    }
    plan.exchange = true;
    plan.silent_ms = SILENT_MS;
    if liars {
        for node in plan.nodes.iter_mut().skip(1).step_by(2) {
            node.role = Role::PeerLiar;
        }
    }
    let mut world = World::of(3, plan, Depth::Light);
    world.quiet = true;
    world
}

/// Discovery names as many who are not there as neighbours that are.
fn name_dead(world: &mut World, round: usize) {
    for node in 0..world.nodes.len() {
        for number in 0..4 {
            let mut seed = [9; 32];
            seed[0] = u8::try_from(number).expect("below four");
            seed[1] = u8::try_from(round % 250).expect("below 250");
            seed[2..10].copy_from_slice(&u64::try_from(node).expect("a small number").to_be_bytes());
            let place = address(20_000 + node * 4 + number);
            let fact = NetFact::Found {
                peer: SecretKey::from_seed(seed).public().peer_id(),
                from: place.ip(),
                address: place,
                by: FoundBy::Mdns,
            };
            world.tell(node, Input::Net(fact));
        }
    }
}

fn run_for(world: &mut World, ms: u64) {
    world.run_until(world.now + ms);
}

fn degrees(world: &World) -> Vec<usize> {
    let mut all: Vec<usize> = (0..world.nodes.len())
        .map(|node| world.net.neighbours(node).len())
        .collect();
    all.sort_unstable();
    all
}

/// The value that so many per cent are not above.
fn share<T: Copy>(sorted: &[T], per_cent: usize) -> T {
    sorted[(sorted.len() - 1) * per_cent / 100]
}

/// How long each piece of news took to each node, in order.
fn took(world: &mut World) -> Vec<u64> {
    let news = std::mem::take(&mut world.watch.news);
    let mut all = Vec::new();
    for times in news.into_values() {
        let first = times.iter().min().copied().unwrap_or(0);
        all.extend(times.iter().map(|at| at - first));
    }
    all.sort_unstable();
    all
}

fn pay(world: &mut World) {
    let node = world.dice.index(0, world.nodes.len());
    fate::ask(world, node, fate::to_the_till());
}

#[test]
fn what_a_node_sends_and_keeps_stays_flat_as_the_room_grows() {
    println!("| nodes | links: fewest, median, 99 %, most | dials a minute | messages a second | bytes a second |");
    println!("| a payment: messages, bytes a node; ms to half, to all | a block: ms to half, to all |");
    for count in rooms(&[10, 30], &[10, 30, 100, 300, 1_000]) {
        let mut world = room(count, false);
        let nodes = f64::from(u32::try_from(count).expect("a small number"));
        run_for(&mut world, 90_000);
        let before = world.net.traffic;
        run_for(&mut world, 60_000);
        let idle = world.net.traffic.since(before);
        let links = degrees(&world);
        world.watch.times_news = true;
        let before = world.net.traffic;
        for _ in 0..PAYMENTS {
            pay(&mut world);
            run_for(&mut world, 500);
        }
        let paid = world.net.traffic.since(before);
        let payments = took(&mut world);
        fate::ask(&mut world, 0, Command::Mine(MineCommand::Count(1)));
        run_for(&mut world, 30_000);
        let blocks = took(&mut world);
        let of = |per_cent| share(&links, per_cent);
        println!(
            "| {count} | {}, {}, {}, {} | {:.1} | {:.1} | {:.0} | {:.1}, {:.0}; {}, {} | {}, {} |",
            of(0),
            of(50),
            of(99),
            of(100),
            idle.dials / nodes,
            idle.messages / nodes / 60.0,
            idle.bytes / nodes / 60.0,
            (paid.messages / nodes - idle.messages / nodes / 12.0) / 10.0,
            (paid.bytes / nodes - idle.bytes / nodes / 12.0) / 10.0,
            share(&payments, 50),
            share(&payments, 100),
            share(&blocks, 50),
            share(&blocks, 100),
        );
        assert_eq!(payments.len(), count * 10, "each payment came to each node");
        assert_eq!(blocks.len(), count);
        assert!(of(0) >= OWN_LINKS.min(count - 1), "{links:?}");
        // What bends first: a few are told to so many that others fill all the places which they keep for inbound links.
        assert!(of(50) <= 20 && of(99) <= 32 && of(100) <= LINKS_MAX, "{links:?}");
        assert!(idle.dials / nodes <= 6.0, "{:.1} dials a minute", idle.dials / nodes);
    }
}

/// Cuts a room in halves for two minutes, each of which mines; gives the time until there is one tip after that.
fn mended(count: usize, liars: bool) -> u64 {
    let mut world = room(count, liars);
    for round in 0..ROUNDS {
        if liars {
            name_dead(&mut world, round);
        }
        run_for(&mut world, 30_000);
    }
    world.net.halves = Some(count / 2);
    for a in 0..count / 2 {
        for b in world.net.neighbours(a) {
            if b >= count / 2 {
                world.expect_silence(a, b);
            }
        }
    }
    for round in 0..MINES_AT_MS / 20_000 {
        if liars {
            name_dead(&mut world, ROUNDS + usize::try_from(round).expect("a few"));
        }
        run_for(&mut world, 20_000);
    }
    fate::ask(&mut world, 0, Command::Mine(MineCommand::Count(1)));
    fate::ask(&mut world, count - 2, Command::Mine(MineCommand::Count(2)));
    run_for(&mut world, CUT_MS - MINES_AT_MS);
    assert!(finish::agreement(&world).is_err(), "each half has its own tip");
    world.net.halves = None;
    let begun = world.now;
    while finish::agreement(&world).is_err() {
        run_for(&mut world, 100);
        let late = world.now > begun + MENDED_MS;
        let across: usize = (0..count / 2)
            .map(|node| world.net.neighbours(node).iter().filter(|b| **b >= count / 2).count())
            .sum();
        assert!(
            !late,
            "{count} nodes, liars {liars}: two tips still, {across} links across"
        );
    }
    world.now - begun
}

fn mend(count: usize, liars: bool) {
    let took = mended(count, liars);
    println!("{count} nodes, liars {liars}: one tip after {took} ms");
}

#[test]
fn a_room_that_was_cut_in_halves_for_two_minutes_has_one_tip_within_twenty_seconds() {
    for count in rooms(&[20, 100], &[100, 1_000]) {
        mend(count, false);
    }
}

#[test]
fn a_room_that_was_cut_in_halves_has_one_tip_in_time_though_half_of_its_nodes_and_candidates_lie() {
    for count in rooms(&[40], &[100, 1_000]) {
        mend(count, true);
    }
}
