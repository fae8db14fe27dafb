//! Verdicts on gossip, and answers to requests.

use std::cell::Cell;
use std::rc::Rc;

use super::kit::mine;
use super::sync::{branch, branches};
use super::sync_claims::{bans, overdraft};
use super::world::{World, key};
use crate::chain::{Block, Header, NetworkParams, Transaction};
use crate::contract::Event;
use crate::engine::{Input, NetFact, StoreFact, Verdict};
use crate::testing::blocks::{seal, whole};
use crate::testing::statuses::boast;
use crate::types::{Account, AccountName, Amount, NetworkId, WallTime};
use crate::wire::message::encode_transactions;
use crate::wire::{Request, Response, Topic};

/// Node 0 hears something from another node; its verdict.
pub(super) fn gossip(world: &mut World, from: usize, topic: Topic, bytes: Vec<u8>) -> Verdict {
    let peer = world.nodes[from].peer;
    let fact = NetFact::Gossip {
        token: u64::MAX,
        peer,
        topic,
        bytes,
    };
    world.tell(0, Input::Net(fact));
    *world.nodes[0].verdicts.last().unwrap()
}

fn block(world: &mut World, from: usize, block: &Block) -> Verdict {
    gossip(world, from, Topic::Blocks, whole(block))
}

/// Node 0 is asked by node 1; its answer.
fn answer(world: &mut World, request: Request) -> Response {
    let peer = world.nodes[1].peer;
    let token = u64::MAX;
    world.tell(0, Input::Net(NetFact::Request { token, peer, request }));
    world.nodes[0].answers.pop().unwrap().1
}

fn pair() -> World {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    world
}

fn payment(network: &NetworkId, sequence: u64) -> Transaction {
    let name = |text| Account::Name(AccountName::new(text).unwrap());
    let parties = (name("carol"), name("dave"), None);
    Transaction::transfer(network, &key(9), parties, Amount::ONE, sequence).unwrap()
}

fn stored(event: &Event) -> bool {
    matches!(event, Event::BlockStored { .. })
}

fn connected(event: &Event) -> bool {
    matches!(event, Event::BlockConnected { .. })
}

#[test]
fn a_block_beside_the_chain_is_kept_and_not_forwarded() {
    let mut world = pair();
    let two = branch(&world.params.genesis(), 1, 2);
    let beside = branch(&world.params.genesis(), 2, 1);
    assert_eq!(block(&mut world, 1, &two[0]), Verdict::Accept);
    assert_eq!(block(&mut world, 1, &two[1]), Verdict::Accept);
    assert_eq!(block(&mut world, 1, &beside[0]), Verdict::Ignore);
    assert_eq!(world.count(0, stored), 1);
    assert_eq!(block(&mut world, 1, &beside[0]), Verdict::Ignore, "known");
    assert_eq!((world.count(0, stored), world.peers(0)), (1, 1));
}

#[test]
fn adv_g21_a_side_block_more_than_144_below_the_tip_is_not_kept() {
    let [shared, _, right] = branches();
    let chain = [&shared[..], right].concat()[..200].to_vec();
    let mut world = World::new(2);
    world.give(0, &chain);
    world.link(0, 1);
    world.run(100);
    for (height, kept) in [(55, 0), (56, 1)] {
        let side = mine(&world.params, &chain[height - 2].header, 10, 3, Vec::new());
        assert_eq!(side.header.height.get(), u64::try_from(height).unwrap());
        world.run(10);
        assert_eq!(block(&mut world, 1, &side), Verdict::Ignore);
        assert_eq!(world.count(0, stored), kept, "height {height}");
    }
}

#[test]
fn adv_g16_sixteen_blocks_of_the_near_future_wait_for_their_time_and_are_forwarded_then() {
    let mut world = pair();
    // Its time is five seconds beyond what the clock allows.
    let clock = WallTime::from_ms(world.params.genesis_time_ms + 1_000_000);
    world.tell(0, Input::Clock(clock));
    let params = world.params.clone();
    for miner in 0..17 {
        let early = mine(
            &params,
            &params.genesis(),
            1_125_000 + 10 * u64::try_from(miner).unwrap(),
            miner,
            Vec::new(),
        );
        assert_eq!(block(&mut world, 1, &early), Verdict::Ignore);
    }
    world.nodes[0].kinds.clear();
    world.run(4_900);
    assert_eq!(world.height(0), 0);
    world.run(400);
    assert_eq!(world.height(0), 1);
    assert_eq!(world.count(0, stored) + world.count(0, connected), 16);
    assert!(world.nodes[0].kinds.contains(&"publish"));
    assert_eq!(world.peers(0), 1);
}

#[test]
fn adv_s25_a_known_invalid_block_is_not_looked_at_again() {
    let mut world = World::new(3);
    world.link(0, 1);
    world.link(0, 2);
    world.run(500);
    let bad = mine(
        &world.params,
        &world.params.genesis(),
        10,
        1,
        vec![overdraft(&world.params)],
    );
    assert_eq!(block(&mut world, 1, &bad), Verdict::Accept, "its header is right");
    world.run(10);
    let refused = |event: &Event| matches!(event, Event::BlockRejected { code: "overdraft", .. });
    assert_eq!(world.count(0, refused), 1);
    // Whoever forwards it may have seen no more than its header.
    assert_eq!(block(&mut world, 2, &bad), Verdict::Ignore);
    world.run(10);
    assert_eq!((world.count(0, refused), world.peers(0)), (1, 2));
}

#[test]
fn a_block_that_only_its_own_branch_refuses_costs_its_sender_no_connection() {
    let mut world = pair();
    let two = branch(&world.params.genesis(), 1, 1);
    assert_eq!(block(&mut world, 1, &two[0]), Verdict::Accept);
    let bad = mine(
        &world.params,
        &world.params.genesis(),
        10,
        2,
        vec![overdraft(&world.params)],
    );
    let child = mine(&world.params, &bad.header, 10, 2, Vec::new());
    // Whichever of the two makes the branch the better one runs the ledger.
    assert_eq!(block(&mut world, 1, &bad), Verdict::Ignore);
    let second = block(&mut world, 1, &child);
    assert!(matches!(second, Verdict::Ignore | Verdict::Reject));
    let refused = |event: &Event| matches!(event, Event::BlockRejected { code: "overdraft", .. });
    assert_eq!((world.count(0, refused), world.peers(0)), (1, 1));
    assert_eq!(world.tip(0), two[0].hash());
}

#[test]
fn adv_l10_a_gossiped_block_without_its_reward_is_refused_and_nobody_blamed() {
    let mut world = pair();
    let unpaid = seal(&world.params, &world.params.genesis(), 10, Vec::new());
    assert_eq!(block(&mut world, 1, &unpaid), Verdict::Accept, "its header is right");
    world.run(10);
    let refused = |event: &Event| matches!(event, Event::BlockRejected { code: "bad_reward", .. });
    assert_eq!((world.count(0, refused), world.height(0)), (1, 0));
    assert_eq!((bans(&world).as_str(), world.peers(0)), ("", 1));
}

#[test]
fn adv_g20_gossiped_blocks_above_the_rate_are_not_looked_at() {
    let mut world = pair();
    let params = world.params.clone();
    let first = mine(&params, &params.genesis(), 1, 1, Vec::new());
    let tip = mine(&params, &first.header, 1, 1, Vec::new());
    block(&mut world, 1, &first);
    block(&mut world, 1, &tip);
    for later in 2..202 {
        let side = mine(&params, &params.genesis(), later, 2, Vec::new());
        assert_eq!(block(&mut world, 1, &side), Verdict::Ignore);
    }
    assert_eq!(
        world.count(0, stored),
        198,
        "two hundred at once, the chain's two among them"
    );
    assert_eq!(world.peers(0), 1);
}

#[test]
fn adv_g05_gossiped_transactions_above_the_rate_are_not_looked_at() {
    let mut world = pair();
    let network = world.params.network_id();
    let fresh = |world: &mut World, sequence| {
        let list = encode_transactions(&[payment(&network, sequence).to_bytes()]);
        gossip(world, 1, Topic::Transactions, list)
    };
    assert_eq!(fresh(&mut world, 0), Verdict::Accept);
    let again = encode_transactions(&vec![payment(&network, 0).to_bytes(); 128]);
    for _ in 0..78 {
        gossip(&mut world, 1, Topic::Transactions, again.clone());
    }
    assert_eq!(fresh(&mut world, 1), Verdict::Accept, "the 9,986th");
    let rest = encode_transactions(&vec![payment(&network, 0).to_bytes(); 14]);
    gossip(&mut world, 1, Topic::Transactions, rest);
    assert_eq!(fresh(&mut world, 2), Verdict::Ignore, "the 10,001st");
    world.run(100);
    assert_eq!(fresh(&mut world, 2), Verdict::Accept);
}

#[test]
fn while_the_disk_fails_nobodys_payment_is_taken_or_forwarded() {
    let mut world = pair();
    let bytes = encode_transactions(&[payment(&world.params.network_id(), 0).to_bytes()]);
    let reason = "no space".to_owned();
    let (failed, reopened) = (StoreFact::Failed { reason }, StoreFact::Reopened);
    for (fact, verdict, pending) in [(failed, Verdict::Ignore, 0), (reopened, Verdict::Accept, 1)] {
        world.tell(0, Input::Store(fact));
        assert_eq!(
            gossip(&mut world, 1, Topic::Transactions, bytes.clone()),
            verdict,
            "{pending} wait"
        );
        assert_eq!(world.nodes[0].engine.status().pending, pending);
    }
}

#[test]
fn adv_w11_two_malformed_lists_of_transactions_end_the_connection() {
    let mut world = pair();
    for peers in [1, 0] {
        assert_eq!(gossip(&mut world, 1, Topic::Transactions, vec![7; 9]), Verdict::Reject);
        assert_eq!(world.peers(0), peers);
    }
}

#[test]
fn adv_s13_who_asks_too_often_is_told_that_we_are_busy() {
    let mut world = pair();
    world.mine(0, 1);
    world.run(10_000);
    let request = || Request::GetHeaders { locator: Vec::new() };
    for _ in 0..100 {
        assert!(matches!(answer(&mut world, request()), Response::Headers(list) if list.len() == 1));
    }
    assert_eq!(answer(&mut world, request()), Response::Busy);
    assert_eq!(world.peers(0), 1, "asking too often alone ends no connection");
    world.run(100);
    assert!(matches!(answer(&mut world, request()), Response::Headers(_)));
}

/// A block of 4,096 transactions, as long as they get: 870 kB.
fn large(params: &NetworkParams, parent: &Header, account: u8) -> Block {
    let name = |start: char, n: u8| {
        let text = format!("{start}{n}{}", "x".repeat(32));
        Account::Name(AccountName::new(&text[..32]).unwrap())
    };
    let content = (0..4_095_u64).map(|n| {
        let from = account * 5 + u8::try_from(n / 819).unwrap();
        let parties = (name('a', from), name('b', from), None);
        Transaction::transfer(&params.network_id(), &key(3), parties, Amount::ONE, n % 819).unwrap()
    });
    mine(params, parent, 10, 1, content.collect())
}

#[test]
fn an_answer_holds_the_longest_prefix_of_the_asked_blocks_within_two_mebibytes() {
    let mut world = World::new(2);
    let params = world.params.clone();
    let mut blocks = vec![mine(&params, &params.genesis(), 10, 1, Vec::new())];
    for account in 0..3 {
        blocks.push(large(&params, &blocks[blocks.len() - 1].header, account));
    }
    world.give(0, &blocks);
    world.link(0, 1);
    world.run(1);
    let hashes: Vec<[u8; 32]> = blocks.iter().map(|block| *block.hash().as_bytes()).collect();
    let sizes = |world: &mut World, hashes: &[[u8; 32]]| match answer(
        world,
        Request::GetBlocks {
            hashes: hashes.to_vec(),
        },
    ) {
        Response::Blocks(list) => list.iter().map(Vec::len).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let lengths: Vec<usize> = blocks.iter().map(|block| block.to_bytes().len()).collect();
    assert!(lengths[1] > 700_000 && lengths[1] <= 1024 * 1024, "{lengths:?}");
    world.run(10);
    assert_eq!(sizes(&mut world, &hashes), lengths[..3]);
    assert_eq!(sizes(&mut world, &hashes[3..]), lengths[3..]);
    // What is not at hand ends the prefix.
    let mut unknown = hashes.clone();
    unknown[1] = [9; 32];
    assert_eq!(sizes(&mut world, &unknown), lengths[..1]);
    assert!(sizes(&mut world, &unknown[1..]).is_empty());
}

#[test]
fn an_answer_of_another_kind_than_the_question_ends_in_a_ban() {
    let mut world = World::new(2);
    world.nodes[1].lie = Some(boast(7, world.now.ms()));
    world.nodes[1].script = Some(Box::new(|request| match request {
        Request::GetHeaders { .. } => Some(Response::Pending(Vec::new())),
        Request::Status(_)
        | Request::GetBlocks { .. }
        | Request::GetPending { .. }
        | Request::GetPeers
        | Request::GetTransactions { .. } => None,
    }));
    world.link(0, 1);
    world.run(100);
    assert!(bans(&world).contains("another question"), "{}", bans(&world));
}

#[test]
fn an_answer_from_somebody_else_than_who_was_asked_is_nothing() {
    let mut world = World::new(3);
    world.mine(1, 3);
    world.nodes[1].mute = true;
    world.link(0, 1);
    world.link(0, 2);
    world.run(1_000);
    // A question for headers to node 1 is open.
    let peer = world.nodes[2].peer;
    for id in 0..100 {
        let response = Some(Response::Pending(Vec::new()));
        world.tell(0, Input::Net(NetFact::Response { id, peer, response }));
    }
    assert_eq!(world.peers(0), 2);
}

#[test]
fn a_busy_peer_is_asked_for_bodies_again_after_half_a_second() {
    let mut world = World::new(2);
    world.mine(1, 3);
    let asked = Rc::new(Cell::new(0));
    let seen = Rc::clone(&asked);
    world.nodes[1].script = Some(Box::new(move |request| match request {
        Request::GetBlocks { .. } => {
            seen.set(seen.get() + 1);
            (seen.get() <= 5).then_some(Response::Busy)
        }
        Request::Status(_)
        | Request::GetHeaders { .. }
        | Request::GetPending { .. }
        | Request::GetPeers
        | Request::GetTransactions { .. } => None,
    }));
    world.link(0, 1);
    world.run(1_900);
    assert_eq!(asked.get(), 4);
    world.until(2_000, |world| world.height(0) == 3);
    assert_eq!((asked.get(), world.peers(0)), (6, 1));
}

/// A peer that says that its pool holds something; how often that was asked for in a minute.
fn pool_questions(count: u32, digest: u64) -> u32 {
    let mut world = World::new(2);
    let mut status = boast(7, world.now.ms());
    (status.height, status.work) = (0, [0; 32]);
    status.tip = *world.tip(0).as_bytes();
    (status.pool_count, status.pool_digest) = (count, digest);
    world.nodes[1].lie = Some(status);
    let asked = Rc::new(Cell::new(0));
    let seen = Rc::clone(&asked);
    world.nodes[1].script = Some(Box::new(move |request| {
        if let Request::GetPending { .. } = request {
            seen.set(seen.get() + 1);
        }
        None
    }));
    world.link(0, 1);
    world.run(60_000);
    asked.get()
}

#[test]
fn another_pool_that_turned_out_to_hold_nothing_is_asked_for_rarely() {
    let asked = pool_questions(5, 77);
    assert!((1..=2).contains(&asked), "{asked} times a minute");
    assert_eq!(pool_questions(0, 77), 0, "an empty one");
    assert_eq!(pool_questions(5, 0), 0, "the same as ours");
}

/// What node 0 takes of a page of the pool.
fn takes(page: Vec<Vec<u8>>) -> u64 {
    let mut world = World::new(2);
    let mut status = boast(7, world.now.ms());
    (status.height, status.work) = (0, [0; 32]);
    status.tip = *world.tip(0).as_bytes();
    (status.pool_count, status.pool_digest) = (3, 77);
    world.nodes[1].lie = Some(status);
    world.nodes[1].script = Some(Box::new(move |request| match request {
        Request::GetPending { after } => Some(Response::Pending(if *after == [0; 32] {
            page.clone()
        } else {
            Vec::new()
        })),
        Request::Status(_)
        | Request::GetHeaders { .. }
        | Request::GetBlocks { .. }
        | Request::GetPeers
        | Request::GetTransactions { .. } => None,
    }));
    world.link(0, 1);
    world.run(5_000);
    world.nodes[0].engine.status().pending
}

#[test]
fn a_page_of_the_pool_is_read_up_to_what_is_out_of_order_or_forged() {
    let network = NetworkParams::dev().network_id();
    let mut list: Vec<Transaction> = (0..4).map(|n| payment(&network, n)).collect();
    list.sort_by_key(Transaction::txid);
    let bytes: Vec<Vec<u8>> = list.iter().map(Transaction::to_bytes).collect();
    assert_eq!(takes(bytes.clone()), 4);
    assert_eq!(
        takes(vec![
            bytes[0].clone(),
            bytes[2].clone(),
            bytes[1].clone(),
            bytes[3].clone()
        ]),
        2
    );
    // The same payments signed for another network.
    let lan = NetworkParams::lan().network_id();
    let forged = (0..4).map(|n| payment(&lan, n)).min_by_key(Transaction::txid).unwrap();
    let behind = list
        .iter()
        .filter(|tx| tx.txid() > forged.txid())
        .map(Transaction::to_bytes);
    let page: Vec<Vec<u8>> = core::iter::once(forged.to_bytes()).chain(behind).collect();
    assert!(page.len() > 1);
    // What stands before it in the account's own order is taken.
    let before = |bytes: &&Vec<u8>| Transaction::from_bytes(bytes).unwrap().sequence() < forged.sequence();
    let taken = page.iter().filter(before).count();
    assert_eq!(takes(page), u64::try_from(taken).unwrap());
}
