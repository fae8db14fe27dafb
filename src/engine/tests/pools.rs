//! Pools become equal: joiners, lines, meshes, and neighbours that fail, refuse or lie; what no neighbour has is told.

use std::cell::Cell;
use std::rc::Rc;

use super::world::{World, key};
use crate::chain::{NetworkParams, Transaction};
use crate::contract::{Command, Event, Reply, TxRef};
use crate::engine::Input;
use crate::testing::statuses::boast;
use crate::types::{Account, AccountName, Amount};
use crate::wire::{Request, Response};

/// How soon after the last payment all pools are to be equal.
const EQUAL_MS: u64 = 5_000;

fn pending(world: &World, node: usize) -> u64 {
    world.nodes[node].engine.status().pending
}

/// This node makes so many payments, one after another, from accounts that pay so many each.
fn burst(world: &mut World, node: usize, count: usize, each: usize) {
    for number in 0..count {
        let from = format!("n{node}-{}", number / each);
        world.pay(node, &from, "bank", 1).unwrap();
    }
}

/// Runs until every node holds so many payments.
fn equal(world: &mut World, count: u64) {
    let nodes = world.nodes.len();
    world.until(EQUAL_MS, |world| (0..nodes).all(|node| pending(world, node) == count));
}

#[test]
fn a_joiner_has_every_payment_of_a_long_queue_within_five_seconds() {
    for count in [20, 40, 64, 100, 990] {
        let mut world = World::new(2);
        burst(&mut world, 0, count, count);
        world.link(1, 0);
        equal(&mut world, u64::try_from(count).unwrap());
    }
}

#[test]
fn pools_become_equal_while_another_peer_is_slow_to_show_its_chain() {
    let mut world = World::new(3);
    world.mine(1, 20);
    world.nodes[1].withholds = true;
    world.link(0, 1);
    burst(&mut world, 2, 20, 20);
    world.until(1_000, |world| world.nodes[0].engine.status().syncing);
    world.link(0, 2);
    world.until(EQUAL_MS, |world| pending(world, 0) == 20);
    assert!(world.nodes[0].engine.status().syncing);
}

#[test]
fn a_joiner_has_a_pool_of_many_pages_within_five_seconds_although_pages_fail() {
    let mut world = World::new(2);
    burst(&mut world, 0, 3_000, 50);
    world.lost_every = 4;
    world.link(1, 0);
    equal(&mut world, 3_000);
}

#[test]
fn a_line_of_five_is_equal_within_five_seconds_of_a_burst_although_gossip_is_lost() {
    let mut world = World::new(5);
    (1..5).for_each(|node| world.link(node, node - 1));
    world.run(1_000);
    world.gossip_lost_every = 9;
    burst(&mut world, 0, 2_000, 50);
    equal(&mut world, 2_000);
}

#[test]
fn a_mesh_of_five_is_equal_within_five_seconds_of_bursts_at_all_although_gossip_is_lost() {
    let mut world = World::new(5);
    for node in 1..5 {
        (0..node).for_each(|other| world.link(node, other));
    }
    world.run(1_000);
    world.gossip_lost_every = 3;
    for round in 0..20 {
        for node in 0..5 {
            for number in 0..20 {
                world
                    .pay(node, &format!("n{node}-{round}"), "bank", number + 1)
                    .unwrap();
            }
        }
    }
    equal(&mut world, 2_000);
}

#[test]
fn payments_that_gossip_lost_come_within_five_seconds_whoever_lacks_them() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(1_000);
    for round in 1..=20_u64 {
        // The other one's runs gain nothing each time.
        world.nodes[1].deaf = true;
        world.pay(0, "alice", "bob", 1).unwrap();
        world.nodes[1].deaf = false;
        equal(&mut world, round);
    }
}

/// Node 1 says that its pool holds something, and gives these answers when it is asked for it; how often it was.
fn asked_for(world: &mut World, count: u32, answer: impl Fn(usize) -> Response + 'static) -> Rc<Cell<usize>> {
    let mut status = boast(7, world.now.ms());
    (status.height, status.work) = (0, [0; 32]);
    status.tip = *world.tip(0).as_bytes();
    (status.pool_count, status.pool_digest) = (count, 77);
    world.nodes[1].lie = Some(status);
    let asked = Rc::new(Cell::new(0));
    let seen = Rc::clone(&asked);
    world.nodes[1].script = Some(Box::new(move |request| match request {
        Request::GetPending { .. } => {
            seen.set(seen.get() + 1);
            Some(answer(seen.get()))
        }
        Request::Status(_)
        | Request::GetHeaders { .. }
        | Request::GetBlocks { .. }
        | Request::GetPeers
        | Request::GetTransactions { .. } => None,
    }));
    world.link(0, 1);
    asked
}

fn payment(sequence: u64) -> Transaction {
    let name = |text| Account::Name(AccountName::new(text).unwrap());
    let parties = (name("carol"), name("dave"), None);
    let network = NetworkParams::dev().network_id();
    Transaction::transfer(&network, &key(9), parties, Amount::ONE, sequence).unwrap()
}

#[test]
fn a_peer_that_was_busy_is_asked_for_its_pool_again() {
    let mut world = World::new(2);
    let asked = asked_for(&mut world, 1, |number| match number {
        1..=2 => Response::Busy,
        3 => Response::Pending(vec![payment(0).to_bytes()]),
        _ => Response::Pending(Vec::new()),
    });
    world.until(EQUAL_MS, |world| pending(world, 0) == 1);
    assert!((3..=4).contains(&asked.get()), "{}", asked.get());
}

#[test]
fn a_peer_whose_pool_is_not_what_it_says_is_read_ever_more_rarely() {
    let mut world = World::new(2);
    let asked = asked_for(&mut world, 5, |_| Response::Pending(Vec::new()));
    world.run(10_000);
    let first = asked.get();
    world.run(290_000);
    let all = asked.get();
    assert!(
        (1..=2).contains(&first) && (3..=8).contains(&all),
        "{first}, then {all} in five minutes"
    );
}

#[test]
fn a_pool_that_was_busy_forty_times_leaves_its_peer_a_source_of_blocks() {
    let mut world = World::new(2);
    let asked = asked_for(&mut world, 5, |number| match number % 2 {
        1 => Response::Busy,
        _ => Response::Pending(Vec::new()),
    });
    world.run(1_800_000);
    assert!(asked.get() > 50, "{}", asked.get());
    let peer = world.nodes[1].peer;
    assert!(!world.nodes[0].engine.peers.requests.is_always_busy(&peer));
}

#[test]
fn a_status_that_failed_is_sent_again_after_a_second() {
    let mut world = World::new(2);
    world.lost_every = 1;
    world.link(0, 1);
    world.run(500);
    world.lost_every = 0;
    assert_eq!(world.peers(0), 0);
    world.until(1_000, |world| world.peers(0) == 1 && world.peers(1) == 1);
}

fn warnings(world: &World) -> usize {
    world.count(0, |event| matches!(event, Event::Warning { code: "unheard", .. }))
}

fn known(world: &mut World, reply: &Reply) -> Option<bool> {
    let Reply::Tx { tx, .. } = reply else {
        panic!("{reply:?}")
    };
    match world.ask(0, Command::Transaction(TxRef::Id(tx.txid))).unwrap() {
        Reply::Transaction { known_to_neighbour, .. } => known_to_neighbour,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_payment_that_no_neighbour_has_is_told_after_five_seconds_and_the_next_that_is_heard_is_not() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(1_000);
    world.nodes[1].deaf = true;
    world.nodes[0].script = Some(Box::new(|request| match request {
        Request::GetPending { .. } => Some(Response::Busy),
        Request::Status(_)
        | Request::GetHeaders { .. }
        | Request::GetBlocks { .. }
        | Request::GetPeers
        | Request::GetTransactions { .. } => None,
    }));
    let lost = world.pay(0, "alice", "bob", 1).unwrap();
    assert_eq!(known(&mut world, &lost), None);
    world.run(4_900);
    assert_eq!(warnings(&world), 0);
    world.run(5_000);
    assert_eq!((warnings(&world), known(&mut world, &lost)), (1, Some(false)));
    world.nodes[1].deaf = false;
    world.nodes[0].script = None;
    world.run(12_000);
    assert_eq!((pending(&world, 1), known(&mut world, &lost)), (1, Some(true)));
    let heard = world.pay(0, "alice", "bob", 1).unwrap();
    world.run(2_500);
    assert_eq!((warnings(&world), known(&mut world, &heard)), (1, Some(true)));
    world.mine(0, 1);
    assert_eq!(known(&mut world, &heard), None, "confirmed");
}

#[test]
fn a_payment_is_known_to_a_neighbour_whose_pool_lacks_another_one() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(1_000);
    // The neighbour takes another one of the same account and sequence first, so the pools never become equal.
    world.nodes[0].deaf = true;
    world.nodes[1].deaf = true;
    world.pay(0, "carol", "bob", 1).unwrap();
    world.pay(1, "carol", "bob", 2).unwrap();
    world.nodes[0].deaf = false;
    world.nodes[1].deaf = false;
    world.run(30_000);
    let warned = warnings(&world);
    let heard = world.pay(0, "alice", "bob", 1).unwrap();
    world.run(3_000);
    assert_eq!((pending(&world, 0), pending(&world, 1)), (2, 2));
    assert_eq!((warnings(&world), known(&mut world, &heard)), (warned, Some(true)));
}

fn published(world: &World) -> usize {
    world.nodes[0].kinds.iter().filter(|kind| **kind == "publish").count()
}

#[test]
fn own_payments_are_gathered_and_what_is_gathered_leaves_before_a_stop_and_before_silence() {
    for last in [
        Input::Stop,
        Input::Command {
            id: 9_999,
            command: Command::Net(false),
        },
    ] {
        let mut world = World::new(2);
        world.link(0, 1);
        world.run(1_000);
        burst(&mut world, 0, 100, 100);
        world.run(100);
        let (paid, messages) = (pending(&world, 0), published(&world));
        assert!(paid == 100 && (2..=20).contains(&messages), "{messages} messages");
        world.nodes[0].kinds.clear();
        world.pay(0, "zoe", "bob", 1).unwrap();
        world.pay(0, "zoe", "bob", 1).unwrap();
        assert_eq!(published(&world), 1, "the first leaves at once");
        world.tell(0, last);
        assert_eq!(published(&world), 2);
        let kinds = &world.nodes[0].kinds;
        let commit = kinds.iter().position(|kind| *kind == "commit");
        assert!(commit < kinds.iter().position(|kind| *kind == "publish"), "{kinds:?}");
    }
}
