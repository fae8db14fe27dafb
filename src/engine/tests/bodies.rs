//! Fetching bodies: forged, missing, late and short answers, and how much is under way at once.

use std::cell::RefCell;
use std::rc::Rc;

use super::claims::{bans, overdraft};
use super::sync::{branch, branches, claim};
use super::world::World;
use crate::chain::{Block, Header, NetworkParams};
use crate::engine::Event;
use crate::fuzzing::world::{mine, seal};
use crate::types::{BlockHash, Work};
use crate::wire::{Request, Response};

/// How often a node was asked for bodies, and for which.
type Asked = Rc<RefCell<Vec<Vec<BlockHash>>>>;

/// Lets a node claim the end of these blocks, show their headers, and answer for bodies what `answer` says.
fn serve(
    world: &mut World,
    node: usize,
    blocks: &[Block],
    mut answer: impl FnMut(&[BlockHash]) -> Option<Response> + 'static,
) -> Asked {
    let asked = Asked::default();
    let seen = Rc::clone(&asked);
    let mut lie = claim(world, 0);
    lie.tip = *blocks[blocks.len() - 1].hash().as_bytes();
    world.nodes[node].lie = Some(lie);
    let headers: Vec<[u8; 96]> = blocks.iter().map(|block| block.header.to_bytes()).collect();
    let tips: Vec<[u8; 32]> = blocks.iter().map(|block| *block.hash().as_bytes()).collect();
    world.nodes[node].script = Some(Box::new(move |request| match request {
        Request::GetHeaders { locator } => {
            let known = locator.iter().find_map(|hash| tips.iter().position(|tip| tip == hash));
            let page = headers.iter().skip(known.map_or(0, |at| at + 1)).take(512);
            Some(Response::Headers(page.copied().collect()))
        }
        Request::GetBlocks { hashes } => {
            let hashes: Vec<BlockHash> = hashes.iter().copied().map(BlockHash::new).collect();
            seen.borrow_mut().push(hashes.clone());
            answer(&hashes)
        }
        Request::Status(_) | Request::GetPending { .. } | Request::GetPeers => None,
    }));
    asked
}

/// The bodies that were asked for.
fn bodies(blocks: &[Block], hashes: &[BlockHash]) -> Vec<Vec<u8>> {
    let find = |hash: &BlockHash| blocks.iter().find(|block| block.hash() == *hash);
    hashes.iter().filter_map(find).map(Block::to_bytes).collect()
}

fn three() -> Vec<Block> {
    branch(&NetworkParams::dev().genesis(), 1, 3)
}

#[test]
fn adv_s14_bodies_that_nobody_asked_for_end_in_a_ban() {
    let other = branch(&NetworkParams::dev().genesis(), 2, 1)[0].to_bytes();
    for more in [false, true] {
        let (blocks, other) = (three(), other.clone());
        let mut world = World::new(2);
        let all = blocks.clone();
        let asked = serve(&mut world, 1, &blocks, move |hashes| {
            let mut list = if more { bodies(&all, hashes) } else { Vec::new() };
            list.push(other.clone());
            Some(Response::Blocks(list))
        });
        world.link(0, 1);
        world.run(1_000);
        assert!(bans(&world).contains("nobody asked for"), "{}", bans(&world));
        assert_eq!((asked.borrow().len(), world.height(0), world.peers(0)), (1, 0, 0));
    }
}

#[test]
fn adv_s03_a_forged_body_is_fetched_from_another_peer_and_its_sender_banned() {
    let blocks = three();
    let mut world = World::new(3);
    // Of two who have a body the smaller PeerId is asked first.
    let forger = if world.nodes[1].peer < world.nodes[2].peer {
        1
    } else {
        2
    };
    let honest = 3 - forger;
    world.give(honest, &blocks);
    let mut forged = blocks[0].clone();
    forged.transactions.clear();
    let all = blocks.clone();
    let asked = serve(&mut world, forger, &blocks, move |hashes| {
        let mut list = bodies(&all, hashes);
        list[0] = forged.to_bytes();
        Some(Response::Blocks(list))
    });
    world.run(100);
    world.link(0, forger);
    world.link(0, honest);
    world.until(5_000, |world| world.height(0) == 3);
    assert_eq!(asked.borrow().len(), 1);
    let log = &world.nodes[0].log;
    assert!(bans(&world).contains("merkle root"), "{log:?}");
    assert_eq!(world.peers(0), 1);
}

#[test]
fn adv_g14_an_invalid_block_in_a_sync_bans_whoever_showed_it() {
    let params = NetworkParams::dev();
    let genesis = params.genesis();
    let unpaid = seal(&params, &genesis, 10, Vec::new());
    let broke = mine(&params, &genesis, 10, 1, vec![overdraft(&params)]);
    for (bad, words) in [(unpaid, "must be the reward"), (broke, "paying 5000")] {
        let blocks = vec![bad.clone(), mine(&params, &bad.header, 10, 1, Vec::new())];
        let mut world = World::new(2);
        let all = blocks.clone();
        serve(&mut world, 1, &blocks, move |hashes| {
            Some(Response::Blocks(bodies(&all, hashes)))
        });
        world.link(0, 1);
        world.run(1_000);
        assert!(bans(&world).contains(words), "{words}: {}", bans(&world));
        assert_eq!((world.height(0), world.peers(0)), (0, 0), "{words}");
        let refused = |event: &Event| matches!(event, Event::BlockRejected { .. });
        assert_eq!(world.count(0, refused), 1, "{words}");
    }
}

#[test]
fn adv_s03_who_has_headers_but_no_bodies_is_asked_once_a_minute_and_twice_in_all() {
    let mut world = World::new(2);
    let asked = serve(&mut world, 1, &three(), |_| Some(Response::Blocks(Vec::new())));
    world.link(0, 1);
    world.run(59_000);
    assert_eq!((asked.borrow().len(), world.height(0), world.peers(0)), (1, 0, 1));
    // It would dial again at once.
    world.cut.insert((0, 1));
    world.run(3_000);
    assert_eq!((asked.borrow().len(), world.height(0), world.peers(0)), (2, 0, 0));
}

#[test]
fn adv_s04_three_questions_for_bodies_that_lapse_end_the_candidate() {
    let mut world = World::new(2);
    world.nodes[1].mute = true;
    let asked = serve(&mut world, 1, &three(), |_| None);
    world.link(0, 1);
    // Two seconds, then four, then eight.
    for (at, questions) in [(1_900, 1), (2_200, 2), (5_900, 2), (6_200, 3), (13_900, 3), (25_000, 3)] {
        let start = world.params.genesis_time_ms + 1_000_000;
        world.run(start + at - world.now.ms());
        assert_eq!(asked.borrow().len(), questions, "after {at} ms");
    }
    assert!(!world.nodes[0].engine.status().syncing);
    assert_eq!((world.height(0), world.peers(0)), (0, 1), "slowness is a small fault");
}

#[test]
fn the_rest_of_a_short_answer_is_asked_for_again() {
    let blocks = branch(&NetworkParams::dev().genesis(), 1, 20);
    let mut world = World::new(2);
    let all = blocks.clone();
    let asked = serve(&mut world, 1, &blocks, move |hashes| {
        Some(Response::Blocks(bodies(&all, &hashes[..1])))
    });
    world.link(0, 1);
    world.until(5_000, |world| world.height(0) == 20);
    assert!(asked.borrow().iter().all(|hashes| hashes.len() <= 16));
    assert_eq!(world.peers(0), 1, "a short answer is no fault");
}

#[test]
fn bodies_of_a_long_branch_come_from_every_peer_of_its_tip() {
    let blocks = long(1_110);
    let mut world = World::new(3);
    world.nodes[0].engine.headers_kept_max = 512;
    let asked = [1, 2].map(|node| {
        let all = blocks.clone();
        serve(&mut world, node, &blocks, move |hashes| {
            Some(Response::Blocks(bodies(&all, hashes)))
        })
    });
    world.link(0, 1);
    world.link(0, 2);
    world.until(20_000, |world| world.height(0) == 1_110);
    // The tip that both claim is not among the first headers that are kept.
    let first: Vec<BlockHash> = blocks[..400].iter().map(Block::hash).collect();
    for asked in asked {
        let shared = asked
            .borrow()
            .iter()
            .flatten()
            .filter(|hash| first.contains(hash))
            .count();
        assert!(shared > 100, "{shared} of 400");
    }
}

#[test]
fn who_shows_a_branch_ahead_of_the_clock_is_not_blamed_and_believed_when_its_time_comes() {
    let params = NetworkParams::dev();
    let genesis = params.genesis();
    // Ten minutes ahead of this world's first moment.
    let blocks = vec![mine(&params, &genesis, 1_600_000, 1, Vec::new())];
    let mut world = World::new(2);
    let all = blocks.clone();
    serve(&mut world, 1, &blocks, move |hashes| {
        Some(Response::Blocks(bodies(&all, hashes)))
    });
    if let Some(claim) = &mut world.nodes[1].lie {
        claim.height = 1;
        claim.work = Work::ZERO.plus(Header::weight(&genesis, &params)).to_be_bytes();
    }
    world.link(0, 1);
    world.run(400_000);
    let blames = |event: &Event| {
        matches!(
            event,
            Event::Warning {
                code: "peer_fault" | "peer_banned",
                ..
            }
        )
    };
    assert_eq!((world.height(0), world.peers(0), world.count(0, blames)), (0, 1, 0));
    world.until(120_000, |world| world.height(0) == 1);
    assert_eq!(world.count(0, blames), 0);
}

/// The branch of 1,110 blocks, whole or cut.
fn long(count: usize) -> Vec<Block> {
    let [shared, _, right] = branches();
    [&shared[..], right].concat()[..count].to_vec()
}

#[test]
fn four_questions_for_bodies_are_under_way_to_one_peer_and_sixteen_in_all() {
    let blocks = long(500);
    for (peers, questions) in [(1, 4), (5, 16)] {
        let mut world = World::new(1 + peers);
        let mut all = Vec::new();
        for node in 1..=peers {
            world.nodes[node].mute = true;
            all.push(serve(&mut world, node, &blocks, |_| None));
            world.link(0, node);
        }
        // Less than the patience with a silent peer.
        world.run(1_500);
        let asked: usize = all.iter().map(|asked| asked.borrow().len()).sum();
        assert_eq!(asked, questions, "an answer may have two mebibytes");
    }
}

#[test]
fn bodies_are_fetched_at_most_512_ahead_of_the_next_one() {
    let blocks = long(1_110);
    let mut world = World::new(3);
    // The smaller PeerId is asked first: the next body is the one that does not come.
    let silent = if world.nodes[1].peer < world.nodes[2].peer {
        1
    } else {
        2
    };
    let honest = 3 - silent;
    world.nodes[silent].mute = true;
    let late = serve(&mut world, silent, &blocks, |_| None);
    let all = blocks.clone();
    let quick = serve(&mut world, honest, &blocks, move |hashes| {
        Some(Response::Blocks(bodies(&all, hashes)))
    });
    world.link(0, silent);
    world.link(0, honest);
    world.run(1_500);
    assert_eq!(late.borrow()[0][0], blocks[0].hash());
    let place = |hash: &BlockHash| blocks.iter().position(|block| block.hash() == *hash).unwrap();
    let furthest = quick.borrow().iter().flatten().map(place).max();
    assert_eq!(furthest, Some(511));
    world.until(20_000, |world| world.height(0) == 1_110);
}
