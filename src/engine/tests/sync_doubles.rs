//! Two candidates that turn out to be one branch: the later one ends, and nothing is asked for twice.

use std::rc::Rc;

use super::sync::{branch, branches};
use super::sync_claims::{Asked, stranger};
use super::world::World;
use crate::chain::{Block, Header, NetworkParams};
use crate::contract::Event;
use crate::testing::statuses::boast;

/// How late the first page of the slow peer is: later than a second peer of the same tip is asked too.
const LATE_MS: u64 = 1_500;

/// Two peers claim and show these blocks, the first one late; neither gives a body. What each was asked for when the late
/// page had come.
fn late_and_quick(world: &mut World, blocks: &[Block]) -> [Rc<Asked>; 2] {
    let asked = [1, 2].map(|node| {
        let headers: Vec<Header> = blocks.iter().map(|block| block.header.clone()).collect();
        let mut lie = boast(0, world.now.ms());
        lie.tip = *blocks[blocks.len() - 1].hash().as_bytes();
        world.nodes[node].mute = true;
        stranger(world, node, Some(lie), move |_, locator| {
            let place = |hash: &[u8; 32]| headers.iter().position(|header| header.hash().as_bytes() == hash);
            let at = locator.iter().find_map(place).map_or(0, |at| at + 1);
            Some(headers[at..].iter().take(512).map(Header::to_bytes).collect())
        })
    });
    world.latency_ms = LATE_MS;
    world.link(0, 1);
    world.until(20_000, |_| asked[0].headers.get() > 0);
    world.latency_ms = 5;
    world.link(0, 2);
    // Bodies that do not come are given up later.
    world.run(LATE_MS + 200);
    let starts = world.count(0, |event| matches!(event, Event::SyncStarted { .. }));
    assert_eq!(starts, 1, "it is one branch");
    assert!(world.nodes[0].engine.status().syncing);
    asked
}

#[test]
fn a_late_page_of_a_branch_that_is_being_fetched_makes_nobody_fetch_it_twice() {
    let mut world = World::new(3);
    let [late, quick] = late_and_quick(&mut world, &branch(&NetworkParams::dev().genesis(), 1, 20));
    assert_eq!((late.headers.get(), quick.headers.get()), (1, 1));
    let questions = late.blocks.get() + quick.blocks.get();
    assert_eq!(questions, 2, "sixteen bodies and four");
}

#[test]
fn late_pages_of_a_long_branch_that_is_being_fetched_are_not_asked_for_again() {
    let [shared, left, right] = branches();
    let mut world = World::new(3);
    world.give(0, &[shared, &left[..530]].concat());
    world.nodes[0].engine.sync.headers_kept_max = 512;
    let [late, quick] = late_and_quick(&mut world, &[shared, &right[..540]].concat());
    // Two pages measure it; what was measured is then shown again to be kept, a window of one page at first.
    assert_eq!((late.headers.get(), quick.headers.get()), (2, 3));
}
