//! Rows of the catalogue (`proto-notes/threats.md`) that an engine meets while it catches up: lying, slow and vanishing
//! peers, partitions, rewriters, and clocks that are wrong.

use std::cell::Cell;
use std::rc::Rc;

use super::kit::mine;
use super::relay_adversary::{bans, block, count, tip};
use super::world::{World, key};
use crate::chain::{Header, NetworkParams, Transaction};
use crate::contract::{Command, Event, MineCommand, Reply, TxStatus};
use crate::engine::parts::standing::{Kind, QUESTION_BYTES};
use crate::engine::{Input, NetFact};
use crate::testing::statuses::boast;
use crate::types::{Account, AccountName, Amount, BlockHash, SecretKey, Time, Txid, WallTime};
use crate::wire::{Request, Response};

fn txid(reply: &Reply) -> Txid {
    match reply {
        Reply::Tx { tx, .. } => tx.txid,
        other => panic!("{other:?}"),
    }
}

fn headers(params: &NetworkParams, from: &Header, length: usize) -> Vec<Header> {
    let mut list: Vec<Header> = Vec::new();
    for _ in 0..length {
        let parent = list.last().unwrap_or(from).clone();
        list.push(block(params, &parent, Vec::new(), |_| {}).header);
    }
    list
}

/// Node 1 boasts, and answers each question for headers with this page; counts the bodies that it is asked for.
fn serve(world: &mut World, page: &[Header]) -> Rc<Cell<u32>> {
    let bodies = Rc::new(Cell::new(0));
    let asked = Rc::clone(&bodies);
    let page: Vec<[u8; 96]> = page.iter().map(Header::to_bytes).collect();
    let claim = boast(7, world.now.ms());
    world.nodes[1].shy = true;
    world.nodes[1].script = Some(Box::new(move |request| match request {
        Request::Status(_) => Some(Response::Status(claim.clone())),
        Request::GetHeaders { .. } => Some(Response::Headers(page.clone())),
        Request::GetBlocks { .. } => {
            asked.set(asked.get() + 1);
            None
        }
        Request::GetPending { .. } | Request::GetPeers | Request::GetTransactions { .. } => None,
    }));
    bodies
}

/// What these headers bring their sender: it is refused, and nothing was fetched.
fn are_fatal(page: &[Header]) {
    let mut world = World::new(2);
    let bodies = serve(&mut world, page);
    world.link(0, 1);
    world.run(5_000);
    assert_eq!((bans(&world, 0), world.nodes[0].engine.status().peers), (1, 0));
    assert_eq!((bodies.get(), world.height(0)), (0, 0));
    assert!(!world.nodes[0].engine.status().syncing);
}

#[test]
fn adv_s09_headers_with_a_gap_or_in_another_order_are_fatal() {
    let params = NetworkParams::dev();
    let good = headers(&params, &params.genesis(), 12);
    let mut gap = good.clone();
    gap.remove(6);
    are_fatal(&gap);
    let mut turned = good;
    turned.swap(4, 5);
    are_fatal(&turned);
}

#[test]
fn adv_s10_a_page_whose_last_header_has_no_work_is_fatal_and_none_of_it_is_used() {
    let params = NetworkParams::dev();
    let mut page = headers(&params, &params.genesis(), 40);
    let last = page.last_mut().unwrap();
    last.nonce += 1;
    assert!(last.check_proof_of_work(&params).is_err());
    are_fatal(&page);
}

#[test]
fn adv_s22_a_chain_on_another_genesis_is_fatal_at_its_first_header() {
    let lan = NetworkParams::lan();
    are_fatal(&headers(&lan, &lan.genesis(), 3));
}

/// Answers of node 0 to requests of node 1 that the test makes up.
fn ask(world: &mut World, requests: impl IntoIterator<Item = Request>) -> Vec<Response> {
    let before = world.nodes[0].answers.len();
    for (token, request) in (u64::MAX / 2..).zip(requests) {
        let peer = world.nodes[1].peer;
        world.tell(0, Input::Net(NetFact::Request { token, peer, request }));
    }
    let answers = world.nodes[0].answers[before..].iter();
    answers.map(|(_, response)| response.clone()).collect()
}

#[test]
fn adv_s13_a_locator_of_unknown_hashes_is_answered_from_genesis() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.mine(0, 3);
    let first = world.nodes[0].store.copy();
    let chain = crate::chain::Chain::open(world.params.clone(), first, [1; 32]).unwrap();
    let all = chain.headers_after(&[], 10).unwrap();
    assert_eq!(all.len(), 3);
    let all = Response::Headers(all.iter().map(Header::to_bytes).collect());
    let locator = (1..=32).map(|n| [n; 32]).collect();
    let answers = ask(&mut world, [Request::GetHeaders { locator }]);
    assert_eq!(answers, std::slice::from_ref(&all));
    let answers = ask(&mut world, [Request::GetHeaders { locator: Vec::new() }]);
    assert_eq!(answers, [all]);
    assert_eq!((bans(&world, 0), world.nodes[0].engine.status().peers), (0, 1));
}

#[test]
fn adv_s14_a_body_asked_for_again_and_again_is_answered_with_busy_until_there_was_a_pause() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.mine(0, 1);
    let hash = *world.tip(0).as_bytes();
    let request = || Request::GetBlocks { hashes: vec![hash] };
    let busy = |answers: &[Response]| answers.iter().filter(|answer| **answer == Response::Busy).count();
    let burst = Kind::Blocks.rate().burst;
    let burst = usize::try_from(burst / QUESTION_BYTES).unwrap();
    let answers = ask(&mut world, (0..burst + 500).map(|_| request()));
    assert_eq!(answers.len(), burst + 500, "each has its answer");
    // The little block counts too.
    let served = answers.len() - busy(&answers);
    assert!((burst - 200..burst).contains(&served), "{served} of {burst}");
    assert!(answers[served..].iter().all(|answer| *answer == Response::Busy));
    world.run(2_000);
    let answers = ask(&mut world, (0..50).map(|_| request()));
    assert_eq!(busy(&answers), 0);
    assert_eq!((bans(&world, 0), world.nodes[0].engine.status().peers), (0, 1));
}

#[test]
fn a_body_counts_by_its_bytes() {
    let mut world = World::new(2);
    let params = world.params.clone();
    let owner = SecretKey::from_seed([50; 32]);
    let pay = |sequence: u64| {
        let name = |text| Account::Name(AccountName::new(text).unwrap());
        let parties = (name("eve"), name("bob"), None);
        Transaction::transfer(&params.network_id(), &owner, parties, Amount::new(1).unwrap(), sequence).unwrap()
    };
    let large = mine(&params, &params.genesis(), 10, 1, (0..950).map(pay).collect());
    let cost = QUESTION_BYTES + u64::try_from(large.to_bytes().len() + 8).unwrap();
    assert!(cost > 150_000);
    let hash = *large.hash().as_bytes();
    world.give(0, &[large]);
    world.link(0, 1);
    world.run(100);
    let burst = Kind::Blocks.rate().burst;
    let most = usize::try_from((burst - QUESTION_BYTES) / cost + 1).unwrap();
    let answers = ask(
        &mut world,
        (0..most + 50).map(|_| Request::GetBlocks { hashes: vec![hash] }),
    );
    let served = answers.iter().filter(|answer| **answer != Response::Busy).count();
    assert_eq!(served, most, "the answer is served first, and owed then");
}

#[test]
fn adv_s06_a_sync_cut_off_in_the_middle_goes_on_after_a_restart_from_what_was_stored() {
    let mut world = World::new(3);
    world.link(1, 2);
    world.mine(1, 150);
    let tip = world.tip(1);
    world.until(5_000, |world| world.tip(2) == tip);
    world.latency_ms = 40;
    let served = Rc::new(Cell::new(0));
    let pages = Rc::clone(&served);
    world.nodes[1].script = Some(Box::new(move |request| match request {
        Request::GetBlocks { .. } => {
            pages.set(pages.get() + 1);
            // The last peer dies with half of the bodies delivered.
            (pages.get() > 2).then(|| Response::Blocks(Vec::new()))
        }
        Request::Status(_)
        | Request::GetHeaders { .. }
        | Request::GetPending { .. }
        | Request::GetPeers
        | Request::GetTransactions { .. } => None,
    }));
    world.link(0, 1);
    world.until(5_000, |world| world.height(0) >= 32);
    world.nodes[1].dead = true;
    world.unlink(0, 1);
    let reached = world.height(0);
    assert!(reached < 150);
    world.restart(0);
    assert_eq!(world.height(0), reached);
    world.link(0, 2);
    world.until(20_000, |world| world.tip(0) == tip);
    let shown = |world: &mut World, node: usize| {
        let accounts = world.ask(node, Command::Accounts).unwrap();
        (format!("{accounts:?}"), world.nodes[node].engine.status().work)
    };
    assert_eq!(shown(&mut world, 0), shown(&mut world, 2));
    let connected = |event: &Event| matches!(event, Event::BlockConnected { .. });
    assert_eq!(
        count(&world, 0, connected),
        usize::try_from(150 - reached).unwrap(),
        "only the rest was fetched"
    );
}

fn status(world: &mut World, node: usize, txid: Txid) -> TxStatus {
    match world.ask(node, Command::Transaction(txid.into())).unwrap() {
        Reply::Transaction { status, .. } => status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn adv_s21_a_healed_partition_is_one_chain_within_ten_seconds_and_loses_no_transaction_in_silence() {
    let mut world = World::new(4);
    for (a, b) in [(0, 1), (1, 2), (2, 3)] {
        world.link(a, b);
    }
    world.run(500);
    world.split(1, 2);
    // Both sides take the name; one of the two payments from it cannot survive.
    let kept: Vec<Txid> = [(0, "anna"), (3, "dora")]
        .map(|(node, from)| txid(&world.pay(node, from, "bob", 2).unwrap()))
        .to_vec();
    let rivals = [0, 3].map(|node| txid(&world.pay(node, "gold", "bob", 3).unwrap()));
    world.mine(0, 120);
    world.mine(3, 130);
    world.link(1, 2);
    let tip = world.tip(3);
    world.until(10_000, |world| (0..4).all(|node| world.tip(node) == tip));
    world.run(5_000);
    world.mine(1, 2);
    let tip = world.tip(1);
    world.until(10_000, |world| (0..4).all(|node| world.tip(node) == tip));
    for node in 0..4 {
        for txid in &kept {
            assert!(
                matches!(status(&mut world, node, *txid), TxStatus::Confirmed),
                "node {node}"
            );
        }
        assert!(matches!(status(&mut world, node, rivals[1]), TxStatus::Confirmed));
    }
    let lost = world.ask(0, Command::Transaction(rivals[0].into())).unwrap();
    match lost {
        Reply::Transaction { status, reason, .. } => {
            assert!(matches!(status, TxStatus::Dropped));
            assert!(reason.is_some_and(|reason| !reason.is_empty()), "it says why");
        }
        other => panic!("{other:?}"),
    }
    assert!((0..4).all(|node| bans(&world, node) == 0));
}

#[test]
fn adv_s23_twenty_slow_and_lossy_peers_are_enough_and_none_is_blamed() {
    let mut world = World::new(21);
    for peer in 2..21 {
        world.link(1, peer);
    }
    world.mine(1, 60);
    let tip = world.tip(1);
    world.until(20_000, |world| (2..21).all(|peer| world.tip(peer) == tip));
    // An answer takes longer than the first patience with a peer.
    world.latency_ms = 1_200;
    world.lost_every = 5;
    // They call in: of its own links a node keeps eight.
    for peer in 1..21 {
        world.link(peer, 0);
    }
    world.until(120_000, |world| world.tip(0) == tip);
    assert_eq!((bans(&world, 0), world.nodes[0].engine.status().peers), (0, 20));
    assert_eq!(
        count(&world, 0, |event| matches!(event, Event::PeerDisconnected { .. })),
        0
    );
}

#[test]
fn adv_s27_a_peer_that_contradicts_itself_delays_nobody_and_is_left() {
    let mut world = World::new(3);
    let own = headers(&world.params, &world.params.genesis(), 3);
    let other = block(&world.params, &own[1], Vec::new(), |header| {
        header.previous = BlockHash::new([3; 32]);
    });
    serve(&mut world, &own);
    world.mine(2, 10);
    world.link(0, 1);
    world.run(100);
    let fact = NetFact::Gossip {
        token: u64::MAX,
        peer: world.nodes[1].peer,
        topic: crate::wire::Topic::Blocks,
        bytes: crate::testing::blocks::whole(&other),
    };
    world.tell(0, Input::Net(fact));
    world.link(0, 2);
    world.until(6_000, |world| world.height(0) == 10);
    // Its claim is not followed for a minute each time; the second lie is enough.
    world.until(200_000, |world| {
        count(world, 0, |event| matches!(event, Event::PeerDisconnected { .. })) > 0
    });
    assert!(world.nodes[0].events.iter().all(|event| match event {
        Event::PeerDisconnected { peer_id, .. } => *peer_id == world.nodes[1].peer.to_string(),
        _ => true,
    }));
    assert_eq!(world.height(0), 10);
}

/// Node 1 rewrites all but the first of node 0's blocks; what node 0 says of it.
fn rewritten(depth: u32) -> (World, Txid) {
    let mut world = World::new(2);
    world.link(0, 1);
    world.mine(0, 1);
    world.until(2_000, |world| world.height(1) == 1);
    world.split(0, 1);
    let paid = txid(&world.pay(0, "anna", "bob", 2).unwrap());
    world.mine(0, depth);
    world.mine(1, depth + 1);
    world.link(0, 1);
    let tip = world.tip(1);
    world.until(10_000, |world| world.tip(0) == tip);
    (world, paid)
}

#[test]
fn adv_l29_a_rewriter_is_followed_and_what_it_undid_is_told_from_the_sixth_block_on_loudly() {
    let loud = |event: &Event| matches!(event, Event::Warning { code: "deep_reorganization", message } if message.contains("1 transactions returned"));
    for (depth, warnings) in [(5, 0), (6, 1)] {
        let (mut world, paid) = rewritten(depth);
        assert_eq!(count(&world, 0, loud), warnings, "depth {depth}");
        let undone = |event: &Event| matches!(event, Event::Reorganized { depth: seen, returned, .. } if *seen == u64::from(depth) && *returned == [paid]);
        assert_eq!(count(&world, 0, undone), 1);
        assert!(matches!(status(&mut world, 0, paid), TxStatus::Pending));
        assert_eq!(bans(&world, 0), 0);
    }
}

#[test]
fn adv_p04_eight_hours_of_sleep_in_the_middle_of_a_sync_harm_nobody() {
    let mut world = World::new(3);
    world.link(1, 2);
    world.mine(1, 80);
    let tip = world.tip(1);
    world.until(5_000, |world| world.tip(2) == tip);
    world.latency_ms = 40;
    world.link(0, 1);
    world.link(0, 2);
    world.until(5_000, |world| world.nodes[0].engine.status().syncing);
    let before: Vec<usize> = world.nodes.iter().map(|node| node.events.len()).collect();
    world.now = Time::from_ms(world.now.ms() + 8 * 3_600_000);
    for (node, before) in before.into_iter().enumerate() {
        let clock = WallTime::at(world.now, 0);
        world.tell(node, Input::Clock(clock));
        world.tell(node, Input::Tick);
        let said = world.nodes[node].events.len() - before;
        assert!(said < 10, "node {node} says {said} things at once");
    }
    world.until(30_000, |world| world.tip(0) == tip);
    world.mine(2, 1);
    let tip = world.tip(2);
    world.until(10_000, |world| (0..3).all(|node| world.tip(node) == tip));
    assert!((0..3).all(|node| bans(&world, node) == 0));
    assert!((0..3).all(|node| world.nodes[node].engine.status().peers == 2));
}

#[test]
fn adv_p17_clocks_half_a_minute_apart_have_no_effect() {
    let mut world = World::new(3);
    for (node, ahead) in [(0, -30_000), (1, 0), (2, 30_000)] {
        let clock = WallTime::at(world.now, ahead);
        world.tell(node, Input::Clock(clock));
    }
    for (a, b) in [(0, 1), (1, 2), (0, 2)] {
        world.link(a, b);
    }
    for miner in [0, 2, 1, 2, 0] {
        world.mine(miner, 1);
        let tip = world.tip(miner);
        world.until(2_000, |world| (0..3).all(|node| world.tip(node) == tip));
    }
    let clock = |event: &Event| matches!(event, Event::Warning { code: "clock", .. });
    assert!((0..3).all(|node| bans(&world, node) == 0));
    assert_eq!(count(&world, 1, clock), 0);
}

#[test]
fn adv_t12_a_clock_that_jumps_stalls_nothing_and_makes_no_unlawful_block() {
    const DAY: u64 = 86_400_000;
    let mut world = World::new(1);
    world.mine(0, 1);
    let first = tip(&world, 0);
    let back = WallTime::from_ms(world.now.ms() - DAY);
    world.tell(0, Input::Clock(back));
    let refused = world.ask(0, Command::Mine(MineCommand::Count(1))).unwrap_err();
    assert_eq!(refused.hint, "rewind");
    world.run(20_000);
    let waits = |event: &Event| {
        matches!(
            event,
            Event::Warning {
                code: "clock_behind_tip",
                ..
            }
        )
    };
    let mined = |event: &Event| matches!(event, Event::Mined { .. });
    assert_eq!(count(&world, 0, waits), 1, "told once");
    assert_eq!(count(&world, 0, mined), 1, "no block is found that could not be kept");
    let truth = WallTime::at(world.now, 0);
    world.tell(0, Input::Clock(truth));
    world.mine(0, 1);
    let second = tip(&world, 0);
    assert!(second.time >= first.time);
    // Two minutes back is within what every clock allows.
    let back = WallTime::from_ms(second.time.ms() - 100_000);
    world.tell(0, Input::Clock(back));
    let before = world.now;
    world.mine(0, 1);
    assert!(world.now.since(before) < 5_000, "at once");
    assert_eq!(tip(&world, 0).time, second.time, "never below the parent's");
    let year = WallTime::from_ms(world.now.ms() + 365 * DAY);
    world.tell(0, Input::Clock(year));
    world.mine(0, 2);
    assert_eq!((world.height(0), count(&world, 0, mined)), (5, 5));
    assert!(tip(&world, 0).time >= year);
}

#[test]
fn adv_k11_the_second_payment_of_two_nodes_with_one_key_is_refused_with_its_reason() {
    let mut world = World::with(3, NetworkParams::dev(), |config| {
        if config.instance == 2 {
            config.key = key(0);
        }
    });
    // The twins cannot be connected to one another; node 1 hears of both.
    world.link(0, 1);
    world.run(500);
    let first = txid(&world.pay(0, "me", "bob", 5).unwrap());
    let second = txid(&world.pay(2, "me", "carol", 6).unwrap());
    world.until(3_000, |world| world.nodes[1].engine.status().pending == 1);
    world.mine(1, 1);
    let mine = world.tip(1);
    world.until(3_000, |world| world.tip(0) == mine);
    assert!(matches!(status(&mut world, 0, first), TxStatus::Confirmed));
    // The twin learns of the block by itself.
    let body = world.nodes[1].store.copy();
    let chain = crate::chain::Chain::open(world.params.clone(), body, [1; 32]).unwrap();
    let bytes = chain.body(&mine).unwrap().unwrap();
    let fact = NetFact::Gossip {
        token: u64::MAX,
        peer: world.nodes[1].peer,
        topic: crate::wire::Topic::Blocks,
        bytes: crate::testing::blocks::whole(&crate::chain::Block::from_bytes(&bytes).unwrap()),
    };
    world.tell(2, Input::Net(fact));
    world.run(10);
    assert_eq!(world.tip(2), mine);
    match world.ask(2, Command::Transaction(second.into())).unwrap() {
        Reply::Transaction { status, reason, .. } => {
            assert!(matches!(status, TxStatus::Dropped));
            assert!(reason.is_some_and(|reason| reason.contains("sequence")));
        }
        other => panic!("{other:?}"),
    }
}
