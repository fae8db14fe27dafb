//! Bursts of payments: whoever joins behind one, a line and a mesh have equal pools soon after it.
//!
//! Promises: turns take their time and links carry so many bytes; some gossip is lost, so that what it misses has to come
//! by the comparison of pools. Elsewhere: the comparison itself (`engine::parts::pools`).

use lanchain::contract::{AccountRef, Command};
use lanchain::types::{Account, AccountName, Amount};

use crate::fate;
use crate::plan::{Pace, Plan};
use crate::trace::Depth;
use crate::world::{Happening, World};

/// With this variable set the largest bursts run, too.
const LARGE: &str = "LANCHAIN_SIM_LARGE";
/// Payments that one account makes; a pool that is more than half full takes 64.
const EACH: u64 = 50;
/// The pause between two payments of a script.
const EVERY_MS: u64 = 1;
/// All pools are equal this long after the last payment was acknowledged.
const EQUAL_MS: u64 = 5_000;
/// 100 Mbit/s, and a payment in 28 microseconds.
const PACE: Pace = Pace {
    payment_us: 28,
    bytes_per_ms: 12_500,
};
/// Of a thousand gossip messages so many are lost.
const LOSS: u64 = 100;

/// Of a thousand requests so many end without an answer, so many are answered `Busy`.
#[derive(Clone, Copy, Debug, Default)]
struct Trouble {
    failure: u64,
    turned_away: u64,
}

/// Who is connected with whom.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Two nodes that meet when the burst is over.
    Joiner,
    Line,
    Mesh,
}

fn plan(shape: Shape, trouble: Trouble) -> Plan {
    let count = if matches!(shape, Shape::Joiner) { 2 } else { 5 };
    let mut plan = Plan::calm(count);
    plan.acquaintances = match shape {
        Shape::Joiner => Vec::new(),
        Shape::Line => (1..count).map(|node| (node - 1, node)).collect(),
        Shape::Mesh => (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect(),
    };
    plan.pace = PACE;
    plan.loss = LOSS;
    plan.failure = trouble.failure;
    plan.turned_away = trouble.turned_away;
    plan
}

fn pay(world: &mut World, number: u64, accounts: u64) {
    let name = |text: &str| Account::Name(AccountName::new(text).expect("a name"));
    let command = Command::Tx {
        from: AccountRef::Account(name(&format!("payer-{}", number % accounts))),
        to: AccountRef::Account(name("till")),
        amount: Amount::ONE,
    };
    fate::ask(world, 0, command);
}

fn pools(world: &World) -> Vec<u64> {
    let pool = |node: &crate::node::Node| node.engine.as_ref().map_or(0, |engine| engine.status().pending);
    world.nodes.iter().map(pool).collect()
}

/// How long it takes until all pools hold all of a burst.
fn burst(shape: Shape, count: u64, (seed, trouble): (u64, Trouble)) -> u64 {
    let mut world = World::of(seed, plan(shape, trouble), Depth::Light);
    world.quiet = true;
    world.run_until(5_000);
    for number in 0..count {
        pay(&mut world, number, count.div_ceil(EACH));
        world.run_until(world.now + EVERY_MS);
    }
    while !world.nodes[0].asked.is_empty() {
        world.run_until(world.now + 1);
    }
    let begun = world.now;
    if matches!(shape, Shape::Joiner) {
        world.later(0, Happening::Meet { a: 0, b: 1 });
    }
    while pools(&world).iter().any(|held| *held != count) {
        world.run_until(world.now + 10);
        let late = world.now > begun + EQUAL_MS;
        assert!(
            !late,
            "{shape:?}, {count} payments: {:?} after {EQUAL_MS} ms",
            pools(&world)
        );
    }
    world.now - begun
}

fn bursts(count: u64) {
    for shape in [Shape::Joiner, Shape::Line, Shape::Mesh] {
        println!(
            "{shape:?}, {count} payments: equal after {} ms",
            burst(shape, count, (7, Trouble::default()))
        );
    }
}

#[test]
fn after_a_burst_of_20_and_of_500_payments_all_pools_are_equal_within_five_seconds() {
    bursts(20);
    bursts(500);
}

/// Does nothing without `LANCHAIN_SIM_LARGE`.
#[test]
fn after_a_burst_of_2000_and_of_10000_payments_all_pools_are_equal_within_five_seconds() {
    if std::env::var_os(LARGE).is_some() {
        bursts(2_000);
        bursts(10_000);
    }
}

/// What fails is asked for again after pauses.
#[test]
fn pages_that_fail_or_are_refused_are_asked_for_again_until_pools_are_equal() {
    for seed in 0..6 {
        for (failure, turned_away) in [(400, 0), (0, 500)] {
            let trouble = Trouble { failure, turned_away };
            let took = burst(Shape::Joiner, 40, (seed, trouble));
            println!("seed {seed}, {trouble:?}: equal after {took} ms");
        }
    }
}
