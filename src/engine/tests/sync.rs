//! Sync in the small world: deep forks, long candidates, and peers that lie, stall or withhold.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::LazyLock;

use super::kit::mine;
use super::sync_claims::stranger;
use super::world::World;
use crate::chain::{Block, Header, NetworkParams};
use crate::contract::Event;
use crate::engine::{Input, MinerFact, NetFact, Verdict};
use crate::testing::blocks::solve;
use crate::testing::statuses::boast;
use crate::types::{Bits, BlockHash, Height, MerkleRoot, WallTime};
use crate::wire::{Request, Response, Status, Topic};

fn count(world: &World, node: usize, wanted: impl Fn(&Event) -> bool) -> usize {
    world.nodes[node].events.iter().filter(|event| wanted(event)).count()
}

/// Blocks on top of each other, whose rewards go to a wallet of their own.
pub(super) fn branch(from: &Header, miner: usize, count: usize) -> Vec<Block> {
    let params = NetworkParams::dev();
    let mut blocks: Vec<Block> = Vec::with_capacity(count);
    for _ in 0..count {
        let parent = blocks.last().map_or(from, |block| &block.header);
        blocks.push(mine(&params, parent, 10, miner, Vec::new()));
    }
    blocks
}

/// Ten shared blocks, and two branches on them: mined once for all tests of a run.
pub(super) fn branches() -> &'static [Vec<Block>; 3] {
    static BRANCHES: LazyLock<[Vec<Block>; 3]> = LazyLock::new(|| {
        let shared = branch(&NetworkParams::dev().genesis(), 0, 10);
        let [short, long] = [(1, 530), (2, 1_100)].map(|(miner, count)| branch(&shared[9].header, miner, count));
        [shared, short, long]
    });
    &BRANCHES
}

/// Two nodes that share ten blocks and then part for longer than headers are kept.
fn deep_fork(kept: usize, (short, long): (usize, usize)) -> World {
    let [shared, left, right] = branches();
    let mut world = World::new(2);
    world.give(0, &[shared, &left[..short]].concat());
    world.give(1, &[shared, &right[..long]].concat());
    for node in &mut world.nodes {
        node.engine.sync.headers_kept_max = kept;
    }
    world
}

fn heals(mut world: World, kept: usize, depth: u64) {
    world.link(0, 1);
    let tip = world.tip(1);
    let most = Cell::new(0);
    world.until(60_000, |world| {
        most.set(most.get().max(world.nodes[0].engine.sync.headers_in_memory()));
        world.tip(0) == tip
    });
    assert!(most.get() > 0 && most.get() <= kept, "{} headers", most.get());
    assert_eq!(
        count(
            &world,
            0,
            |event| matches!(event, Event::Reorganized { depth: seen, .. } if *seen == depth)
        ),
        1
    );
    assert_eq!(world.nodes[0].engine.status().peers, 1);
    world.run(2_000);
    assert!(!world.nodes[0].engine.status().syncing);
}

#[test]
fn a_fork_longer_than_a_page_of_headers_heals() {
    let mut world = deep_fork(super::super::parts::sync::HEADERS_KEPT_MAX, (530, 540));
    world.link(0, 1);
    let tip = world.tip(1);
    world.until(60_000, |world| world.tip(0) == tip);
}

#[test]
fn a_fork_deeper_than_the_headers_kept_heals_by_itself() {
    heals(deep_fork(512, (530, 1_100)), 512, 530);
}

#[test]
fn a_fork_deeper_than_side_branches_may_be_heals_for_what_is_fetched_is_protected() {
    let mut world = deep_fork(512, (530, 1_100));
    world.nodes[0].engine.chain.set_side_max(400);
    heals(world, 512, 530);
}

#[test]
#[ignore = "a minute and more of proof of work: run it in a release build"]
fn a_fork_of_ten_thousand_blocks_heals_with_the_real_limits() {
    let kept = super::super::parts::sync::HEADERS_KEPT_MAX;
    let mut world = World::new(2);
    let genesis = world.params.genesis();
    for (node, blocks) in [(0, 10_000), (1, 10_005)] {
        world.give(node, &branch(&genesis, node, blocks));
    }
    heals(world, kept, 10_000);
}

#[test]
fn adv_s07_a_long_branch_with_less_work_is_measured_and_none_of_it_is_stored() {
    let mut world = deep_fork(512, (530, 540));
    let bodies = Rc::new(Cell::new(0));
    let asked = Rc::clone(&bodies);
    let pages = Rc::new(Cell::new(0));
    let turned = Rc::clone(&pages);
    let mut lie = boast(7, world.now.ms());
    lie.height = 2_000;
    world.nodes[0].script = Some(Box::new(move |request| match request {
        Request::Status(_) => Some(Response::Status(lie.clone())),
        Request::GetBlocks { .. } => {
            asked.set(asked.get() + 1);
            None
        }
        Request::GetHeaders { .. } => {
            turned.set(turned.get() + 1);
            None
        }
        Request::GetPending { .. } | Request::GetPeers | Request::GetTransactions { .. } => None,
    }));
    world.link(0, 1);
    let tip = world.tip(1);
    let most = Cell::new(0);
    world.until(10_000, |world| {
        most.set(most.get().max(world.nodes[1].engine.sync.headers_in_memory()));
        !world.nodes[1].engine.status().syncing && pages.get() >= 2
    });
    world.run(2_000);
    assert!(most.get() <= 512, "{} headers", most.get());
    assert_eq!(world.tip(1), tip);
    assert_eq!(
        bodies.get(),
        0,
        "bodies only of a branch that the headers prove to be preferred"
    );
    assert_eq!(count(&world, 1, |event| matches!(event, Event::BlockStored { .. })), 0);
}

/// A node holds the short branch; its peer shows a longer one until it is measured, and then what is given. How often it
/// was asked for headers and bodies, and what it was blamed for.
fn second_time(shown: &[Block]) -> (u32, u32, Vec<String>) {
    let [shared, left, right] = branches();
    let mut world = deep_fork(512, (530, 540));
    let list = |blocks: &[Block]| -> Vec<Header> {
        let all = shared.iter().chain(blocks);
        all.map(|block| block.header.clone()).collect()
    };
    let (first, second) = (list(&right[..540]), list(shown));
    let asked = stranger(&mut world, 1, None, move |page, locator| {
        // Two pages measure it.
        let from = if page <= 2 { &first } else { &second };
        let place = |hash: &[u8; 32]| from.iter().position(|header| header.hash().as_bytes() == hash);
        let at = locator.iter().find_map(place).map_or(0, |at| at + 1);
        Some(from[at..].iter().take(512).map(Header::to_bytes).collect())
    });
    world.link(0, 1);
    world.run(5_000);
    assert_eq!(world.tip(0), left[529].hash());
    assert_eq!(count(&world, 0, |event| matches!(event, Event::BlockStored { .. })), 0);
    let faults = world.nodes[0].events.iter().filter_map(|event| match event {
        Event::Warning {
            code: "peer_fault",
            message,
        } => message.split(": ").nth(1).map(str::to_owned),
        _ => None,
    });
    let faults = faults.collect();
    (asked.headers.get(), asked.blocks.get(), faults)
}

#[test]
fn adv_s07_a_peer_that_shows_other_headers_the_second_time_is_left() {
    let right = &branches()[2];
    // As long as what was measured, and another from below the first mark on.
    let other = branch(&right[299].header, 3, 250);
    let (pages, bodies, faults) = second_time(&[&right[..300], &other].concat());
    assert_eq!((pages, bodies), (3, 0));
    assert_eq!(faults, ["it showed other headers the second time"]);
}

#[test]
fn adv_s07_a_peer_that_shows_fewer_headers_the_second_time_is_left() {
    let (pages, bodies, faults) = second_time(&branches()[2][..300]);
    assert_eq!((pages, bodies), (3, 0));
    assert_eq!(faults, ["it showed fewer headers the second time"]);
}

#[test]
fn adv_s01_a_lying_peer_never_delays_the_honest_branch() {
    for seed in 0..8 {
        let mut world = World::with(3, NetworkParams::dev(), |config| config.seed += seed * 1_000);
        world.mine(2, 20);
        world.nodes[1].mute = true;
        world.nodes[1].lie = Some(boast(7, world.now.ms()));
        world.link(0, 1);
        world.link(0, 2);
        // The liar's two seconds of patience are not over then.
        world.until(1_000, |world| world.height(0) == 20);
    }
}

#[test]
fn adv_s04_a_silent_peer_of_the_same_tip_delays_by_a_second_at_most() {
    for seed in 0..8 {
        let mut world = World::with(3, NetworkParams::dev(), |config| config.seed += seed * 1_000);
        world.mine(2, 20);
        let mut lie = boast(7, world.now.ms());
        lie.tip = *world.tip(2).as_bytes();
        world.nodes[1].lie = Some(lie);
        world.nodes[1].mute = true;
        world.link(0, 1);
        world.link(0, 2);
        // A body may be asked of the silent one once: two seconds more.
        world.until(1_500, |world| {
            world.nodes[0]
                .events
                .iter()
                .any(|event| matches!(event, Event::SyncStarted { .. }))
        });
        world.until(5_000, |world| world.height(0) == 20);
    }
}

#[test]
fn adv_s24_one_honest_among_fifteen_liars_is_enough() {
    for seed in 0..3 {
        let mut world = World::with(17, NetworkParams::dev(), |config| config.seed += seed * 1_000);
        world.mine(16, 20);
        for liar in 1..16 {
            world.nodes[liar].mute = true;
            world.nodes[liar].lie = Some(boast(u8::try_from(liar).unwrap(), world.now.ms()));
            world.link(0, liar);
        }
        world.run(100);
        world.link(0, 16);
        world.until(32_000, |world| world.height(0) == 20);
    }
}

#[test]
fn adv_s03_headers_without_bodies_leave_the_tip_alone_and_the_honest_branch_wins() {
    let mut world = World::new(3);
    world.mine(1, 8);
    world.mine(2, 6);
    world.nodes[1].script = Some(Box::new(|request| match request {
        Request::GetBlocks { .. } => Some(Response::Blocks(Vec::new())),
        Request::Status(_)
        | Request::GetHeaders { .. }
        | Request::GetPending { .. }
        | Request::GetPeers
        | Request::GetTransactions { .. } => None,
    }));
    world.link(0, 1);
    world.run(1_000);
    assert_eq!(world.height(0), 0);
    world.link(0, 2);
    world.until(5_000, |world| world.height(0) == 6);
}

/// A block that stands on nothing, with proof of work for its bits.
pub(super) fn orphan(params: &NetworkParams, (height, time, nonce): (u64, u64, u64)) -> Block {
    let header = Header {
        previous: BlockHash::new([5; 32]),
        merkle_root: MerkleRoot::ZERO,
        version: 1,
        bits: Bits::floor(params.halflife_ms),
        height: Height::new(height),
        time: WallTime::from_ms(params.genesis_time_ms + time),
        nonce,
    };
    let target = header.bits.target(params.halflife_ms).unwrap();
    Block {
        header: Header {
            nonce: solve(&header, &target),
            ..header
        },
        transactions: Vec::new(),
    }
}

pub(super) fn gossip(world: &mut World, bytes: Vec<u8>) -> Verdict {
    let fact = NetFact::Gossip {
        token: 1,
        peer: world.nodes[1].peer,
        topic: Topic::Blocks,
        bytes,
    };
    world.tell(0, Input::Net(fact));
    *world.nodes[0].verdicts.last().unwrap()
}

#[test]
fn a_chain_longer_than_its_time_allows_is_refused_on_sight() {
    let params = NetworkParams::lan();
    let mut world = World::with(2, params.clone(), |_| {});
    world.link(0, 1);
    world.run(500);
    // A hundred blocks fit into a thousand seconds at the floor, and not one more.
    let fits = orphan(&params, (100, 1_000_000, 0)).to_bytes();
    assert_eq!(gossip(&mut world, fits), Verdict::Ignore);
    let long = orphan(&params, (101, 1_000_000, 0)).to_bytes();
    assert_eq!(gossip(&mut world, long), Verdict::Reject);
    let code = |event: &Event| {
        matches!(
            event,
            Event::BlockRejected {
                code: "chain_too_long",
                ..
            }
        )
    };
    assert_eq!(count(&world, 0, code), 1);
    assert_eq!(
        world.nodes[0].engine.status().peers,
        0,
        "it could have seen that itself"
    );
}

/// Counts the pages of headers that node 1 is asked for.
fn count_pages(world: &mut World, lie: Option<Status>) -> Rc<Cell<u32>> {
    let pages = Rc::new(Cell::new(0));
    let asked = Rc::clone(&pages);
    world.nodes[1].script = Some(Box::new(move |request| match request {
        Request::GetHeaders { .. } => {
            asked.set(asked.get() + 1);
            None
        }
        Request::Status(_) => lie.clone().map(Response::Status),
        Request::GetBlocks { .. }
        | Request::GetPending { .. }
        | Request::GetPeers
        | Request::GetTransactions { .. } => None,
    }));
    pages
}

#[test]
fn a_claim_that_time_leaves_no_room_for_is_not_followed() {
    for (height, followed) in [(2_000, true), (1_000_000, false)] {
        let mut world = World::with(2, NetworkParams::lan(), |_| {});
        let mut lie = boast(7, world.now.ms());
        lie.height = height;
        let pages = count_pages(&mut world, Some(lie));
        world.link(0, 1);
        world.run(3_000);
        assert_eq!(pages.get() > 0, followed, "height {height}");
    }
}

#[test]
fn adv_g20_a_flood_of_orphans_is_one_question_in_ten_seconds() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    let pages = count_pages(&mut world, None);
    for number in 0..8 {
        let block = orphan(&world.params, (50, 1_000, number << 32)).to_bytes();
        assert_eq!(gossip(&mut world, block), Verdict::Ignore);
        world.until(200, |world| !world.nodes[0].engine.status().syncing);
    }
    assert_eq!(pages.get(), 1);
    assert_eq!(world.nodes[0].engine.status().peers, 1, "an orphan is no misdeed");
    world.run(11_000);
    assert_eq!(pages.get(), 2, "the flag stays, the question comes later");
}

#[test]
fn adv_s16_a_tip_that_stands_still_while_peers_claim_more_brings_a_warning() {
    let stale = |event: &Event| matches!(event, Event::Warning { code: "stale_tip", .. });
    let mut world = World::new(3);
    world.link(0, 2);
    world.mine(0, 1);
    world.run(250_000);
    assert_eq!(count(&world, 0, stale), 0, "nobody claims more");
    world.nodes[1].lie = Some(boast(7, world.now.ms()));
    world.nodes[1].mute = true;
    world.link(0, 1);
    world.until(1_500_000, |world| count(world, 0, stale) == 1);
    world.run(500_000);
    assert_eq!(count(&world, 0, stale), 1, "said once");
    world.mine(0, 1);
    // The peer's own engine tells the truth in between.
    world.until(1_500_000, |world| count(world, 0, stale) == 2);
}

#[test]
fn an_own_block_or_payment_is_in_no_status_before_the_disk_has_it() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    type Told = Vec<([u8; 32], u32)>;
    let told: Rc<RefCell<Told>> = Rc::default();
    let heard = Rc::clone(&told);
    world.nodes[1].script = Some(Box::new(move |request| {
        if let Request::Status(status) = request {
            heard.borrow_mut().push((status.tip, status.pool_count));
        }
        None
    }));
    world.nodes[0].disk_held = true;
    world.pay(0, "alice", "bob", 5).unwrap();
    world.run(12_000);
    world.mine(0, 1);
    world.run(12_000);
    world.tell(0, Input::Miner(MinerFact::Rate(1)));
    let genesis = *world.params.genesis().hash().as_bytes();
    assert!(told.borrow().len() >= 2);
    assert!(told.borrow().iter().all(|told| *told == (genesis, 0)), "{told:?}");
    world.release_disk(0);
    let tip = *world.tip(0).as_bytes();
    world.until(2_000, |_| told.borrow().last() == Some(&(tip, 0)));
}
