//! Fetching bodies: forged, missing, late and short answers, and how much is under way at once.

use std::cell::RefCell;
use std::rc::Rc;

use super::kit::mine;
use super::sync::{branch, branches};
use super::sync_claims::{bans, overdraft};
use super::world::World;
use crate::chain::Transaction;
use crate::chain::{Block, Header, NetworkParams};
use crate::contract::Event;
use crate::testing::blocks::{pay, seal};
use crate::testing::statuses::boast;
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
    let mut lie = boast(0, world.now.ms());
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
        Request::Status(_) | Request::GetPending { .. } | Request::GetPeers | Request::GetTransactions { .. } => None,
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
fn adv_s04_a_question_for_bodies_that_lapses_three_times_ends_the_candidate() {
    let mut world = World::new(2);
    world.nodes[1].mute = true;
    let asked = serve(&mut world, 1, &three(), |_| None);
    world.link(0, 1);
    // Two seconds, then four, then eight; nobody is asked for what he may still send.
    for (at, syncing) in [
        (1_900, true),
        (6_200, true),
        (13_900, true),
        (14_200, false),
        (23_000, false),
    ] {
        let start = world.params.genesis_time_ms + 1_000_000;
        world.run(start + at - world.now.ms());
        assert_eq!(asked.borrow().len(), 1, "after {at} ms");
        assert_eq!(world.nodes[0].engine.status().syncing, syncing, "after {at} ms");
    }
    assert_eq!((world.height(0), world.peers(0)), (0, 1));
    assert_eq!(world.count(0, is_blame), 0, "slowness costs nothing");
}

/// An answer that comes when the candidate has nearly been given up counts, and clears the record.
#[test]
fn an_answer_that_comes_late_is_taken_and_costs_nothing() {
    for late_ms in [2_500, 7_000, 13_000] {
        let mut world = World::new(2);
        world.give(1, &long(100));
        world.run(10);
        world.latency_ms = 1;
        world.nodes[1].answer_delay_ms = late_ms;
        world.link(0, 1);
        world.until(150_000, |world| world.height(0) == 100);
        assert_eq!(world.count(0, is_blame), 0, "{late_ms}");
        assert_eq!(world.peers(0), 1, "{late_ms}");
    }
}

/// Points lost, or worse.
fn is_blame(event: &Event) -> bool {
    matches!(
        event,
        Event::Warning {
            code: "peer_fault" | "peer_banned",
            ..
        } | Event::PeerDisconnected { .. }
    )
}

#[test]
fn one_good_peer_among_silent_ones_sets_the_pace() {
    let blocks = long(1_110);
    for silent in [1, 7, 15] {
        let mut world = World::new(silent + 2);
        let good = silent + 1;
        for node in 1..=silent {
            world.nodes[node].mute = true;
            serve(&mut world, node, &blocks, |_| None);
            // They call: of too many own links a node closes the youngest.
            world.link(node, 0);
        }
        let all = blocks.clone();
        serve(&mut world, good, &blocks, move |hashes| {
            Some(Response::Blocks(bodies(&all, hashes)))
        });
        world.link(0, good);
        // Alone it takes a tenth of a second; before each of the others fell silent it held something for 250 ms.
        world.until(4_000, |world| world.height(0) == 1_110);
        assert_eq!(world.count(0, is_blame), 0);
    }
}

#[test]
fn one_peer_that_falls_silent_in_the_middle_holds_nobody_up() {
    let blocks = long(1_110);
    let mut world = World::new(3);
    for node in [1, 2] {
        let (all, mut answers) = (blocks.clone(), 0);
        world.nodes[node].mute = true;
        serve(&mut world, node, &blocks, move |hashes| {
            answers += 1;
            (node == 2 || answers < 5).then(|| Response::Blocks(bodies(&all, hashes)))
        });
        world.link(0, node);
    }
    world.until(1_900, |world| world.height(0) == 1_110);
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
    assert!(asked.borrow().iter().all(|hashes| hashes.len() <= 64));
    assert_eq!(world.peers(0), 1, "a short answer is no fault");
}

#[test]
fn bodies_of_a_long_branch_come_from_every_peer_of_its_tip() {
    let blocks = long(1_110);
    let mut world = World::new(3);
    world.nodes[0].engine.sync.headers_kept_max = 512;
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
    let blocks = long(1_110);
    // Who has not answered yet is asked once, and eight of them at a time.
    for (peers, answers, questions) in [(1, 0, 1), (5, 0, 5), (12, 0, 8), (1, 3, 4), (5, 3, 16)] {
        let mut world = World::new(1 + peers);
        let mut all = Vec::new();
        for node in 1..=peers {
            let (blocks, mut left) = (blocks.clone(), answers);
            world.nodes[node].mute = true;
            all.push(serve(&mut world, node, &blocks.clone(), move |hashes| {
                left -= i32::from(left >= 0);
                // One block of each, so that enough is left to ask for.
                (left >= 0).then(|| Response::Blocks(bodies(&blocks, &hashes[..1])))
            }));
            world.link(0, node);
        }
        // Less than the patience with a silent peer, and less than the time after which a second one is asked.
        world.run(200);
        let asked: usize = all.iter().map(|asked| asked.borrow().len()).sum();
        let answered = peers * usize::try_from(answers).unwrap();
        assert_eq!(asked - answered, questions, "an answer may have two mebibytes");
    }
}

#[test]
fn bodies_are_fetched_at_most_1024_ahead_of_the_next_one() {
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
    let (all, first) = (blocks.clone(), blocks[0].hash());
    let quick = serve(&mut world, honest, &blocks, move |hashes| {
        Some(Response::Blocks(bodies(&all, hashes)))
    });
    world.link(0, silent);
    world.link(0, honest);
    // Then the other is asked for the next one too.
    world.run(240);
    assert!(!quick.borrow().iter().flatten().any(|hash| *hash == first));
    assert_eq!(late.borrow()[0][0], blocks[0].hash());
    let place = |hash: &BlockHash| blocks.iter().position(|block| block.hash() == *hash).unwrap();
    let furthest = quick.borrow().iter().flatten().map(place).max();
    assert_eq!(furthest, Some(1_023));
    world.until(20_000, |world| world.height(0) == 1_110);
}

/// Three blocks with so many payments that they are checked beside the engine; the second with a wrong signature if that
/// is wanted.
fn large(is_forged: bool) -> Vec<Block> {
    let params = NetworkParams::dev();
    let mut blocks: Vec<Block> = Vec::new();
    for height in 0..3_u64 {
        let parent = blocks.last().map_or(params.genesis(), |block| block.header.clone());
        let payment = |at| pay(&params, 60, ("carla", "bob"), None, 1, 60 * height + at);
        let mut content: Vec<Transaction> = (0..60).map(payment).collect();
        if let (true, 1, Some(Transaction::Transfer(transfer))) = (is_forged, height, content.last_mut()) {
            transfer.signature.0[40] ^= 1;
        }
        blocks.push(mine(&params, &parent, 10, 1, content));
    }
    blocks
}

#[test]
fn large_bodies_are_checked_beside_the_engine_and_taken_in_order() {
    let mut world = World::new(2);
    let blocks = large(false);
    world.give(1, &blocks);
    world.link(0, 1);
    world.until(10_000, |world| world.height(0) == 3);
    assert!(world.nodes[0].kinds.contains(&"check"));
    assert_eq!(world.tip(0), blocks[2].hash());
    assert_eq!(bans(&world), "");
}

#[test]
fn a_wrong_signature_in_a_large_body_ends_the_candidate_and_bans_its_sender() {
    let blocks = large(true);
    let mut world = World::new(2);
    let all = blocks.clone();
    serve(&mut world, 1, &blocks, move |hashes| {
        Some(Response::Blocks(bodies(&all, hashes)))
    });
    world.link(0, 1);
    world.run(2_000);
    assert!(world.nodes[0].kinds.contains(&"check"));
    assert!(bans(&world).contains("signature"), "{}", bans(&world));
    assert_eq!((world.height(0), world.peers(0)), (1, 0));
    assert!(world.nodes[0].engine.chain.is_invalid(&blocks[1].hash()));
}
