//! Connections, statuses, and the warnings that hang on neighbours.

use std::cell::RefCell;
use std::rc::Rc;

use super::world::{World, address, key};
use crate::chain::ChainStore;
use crate::contract::{Command, Condition, Direction, Event, FoundBy, Reply, Stranger};
use crate::engine::parts::standing::{BANS_MS, Fault};
use crate::engine::{Input, NetFact, StoreFact};
use crate::testing::statuses::boast;
use crate::types::{AccountName, SecretKey};
use crate::wire::{Request, Status};

/// A neighbour that has the same as this node.
fn peaceful(world: &World) -> Status {
    let mut status = boast(7, world.now.ms());
    (status.work, status.height) = ([0; 32], 0);
    status.tip = *world.tip(0).as_bytes();
    status
}

fn warnings(world: &World, wanted: &str) -> Vec<String> {
    let told = world.nodes[0].events.iter().filter_map(|event| match event {
        Event::Warning { code, message } if *code == wanted => Some(message.clone()),
        _ => None,
    });
    told.collect()
}

fn dials(world: &World) -> usize {
    world.nodes[0].kinds.iter().filter(|kind| **kind == "dial").count()
}

fn found(world: &mut World, node: usize, by: FoundBy) {
    let peer = world.nodes[node].peer;
    let address = address(node);
    world.tell(
        0,
        Input::Net(NetFact::Found {
            peer,
            address,
            by,
            from: None,
        }),
    );
}

fn is_connected(event: &Event) -> bool {
    matches!(event, Event::PeerConnected { .. })
}

#[test]
fn a_second_connection_of_a_peer_changes_nothing() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    let again = NetFact::Connected {
        peer: world.nodes[1].peer,
        address: address(1),
        direction: Direction::In,
    };
    world.tell(0, Input::Net(again));
    assert_eq!(world.peers(0), 1);
    world.run(60_000);
    assert_eq!(world.count(0, is_connected), 1);
}

#[test]
fn after_net_off_and_net_on_whoever_called_in_before_is_dialled() {
    let mut world = World::new(2);
    world.link(1, 0);
    world.run(2_000);
    assert_eq!((world.peers(0), dials(&world)), (1, 0));
    world.ask(0, Command::Net(false)).unwrap();
    world.run(1_000);
    assert_eq!((world.peers(0), dials(&world)), (0, 0));
    world.ask(0, Command::Net(true)).unwrap();
    world.run(3_000);
    assert_eq!((world.peers(0), dials(&world)), (1, 1));
}

#[test]
fn who_is_connected_or_banned_is_not_dialled_when_named() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(2_000);
    found(&mut world, 1, FoundBy::Mdns);
    world.run(10_000);
    assert_eq!(dials(&world), 0);
    let peer = world.nodes[1].peer;
    let reason = "garbage".to_owned();
    let fault = Fault::Fatal;
    world.tell(0, Input::Net(NetFact::Malformed { peer, fault, reason }));
    assert_eq!(world.peers(0), 0);
    world.run(10_000);
    found(&mut world, 1, FoundBy::Mdns);
    world.link(1, 0);
    world.run(10_000);
    assert_eq!((dials(&world), world.peers(0)), (0, 0));
    // The network hears when the ban is over.
    let pardons = |world: &World| world.nodes[0].kinds.iter().filter(|kind| **kind == "pardon").count();
    world.run(BANS_MS[0] - 23_000);
    assert_eq!(pardons(&world), 0);
    world.run(3_000);
    assert_eq!(pardons(&world), 1);
}

#[test]
fn the_echo_of_the_own_record_is_no_second_node_with_this_key() {
    let mut world = World::new(1);
    found(&mut world, 0, FoundBy::Mdns);
    world.run(1_000);
    assert!(warnings(&world, "same_key").is_empty());
    assert_eq!(world.count(0, |event| matches!(event, Event::PeerFound { .. })), 0);
}

#[test]
fn started_stands_before_what_was_heard_earlier() {
    let mut world = World::new(2);
    found(&mut world, 1, FoundBy::Mdns);
    world.run(1_000);
    let words: Vec<&str> = world.nodes[0].log.iter().map(|line| &line[..7]).collect();
    assert_eq!(words[..2], ["Started", "PeerFou"]);
}

#[test]
fn sixty_four_peers_are_remembered() {
    let mut world = World::new(1);
    for number in 1..=70_u8 {
        let peer = SecretKey::from_seed([100 + number; 32]).public().peer_id();
        let connected = NetFact::Connected {
            peer,
            address: address(usize::from(number)),
            direction: Direction::In,
        };
        world.tell(0, Input::Net(connected));
        let request = Request::Status(peaceful(&world));
        let token = u64::MAX;
        world.tell(0, Input::Net(NetFact::Request { token, peer, request }));
    }
    world.run(100);
    assert_eq!(world.peers(0), 70);
    assert_eq!(world.nodes[0].store.peers().unwrap().len(), 64);
}

/// The second node says that its clock is ahead by so much.
pub(super) fn tells_its_clock(world: &mut World, ahead_ms: i64) {
    let mut status = peaceful(world);
    status.clock_ms = status.clock_ms.saturating_add_signed(ahead_ms);
    world.nodes[1].lie = Some(status.clone());
    let peer = world.nodes[1].peer;
    let request = Request::Status(status);
    let token = u64::MAX;
    world.tell(0, Input::Net(NetFact::Request { token, peer, request }));
}

/// The warnings of a node whose one neighbour's clock is ahead by so much at these times.
fn clock_warnings(course: &[(u64, i64)]) -> Vec<String> {
    let mut world = World::new(2);
    world.nodes[1].lie = Some(peaceful(&world));
    world.link(0, 1);
    for (ms, ahead_ms) in course {
        tells_its_clock(&mut world, *ahead_ms);
        world.run(*ms);
        world.tell(0, Input::Tick);
    }
    warnings(&world, "clock")
}

#[test]
fn a_clock_off_by_more_than_thirty_seconds_for_five_is_warned_of_once_until_it_is_mended() {
    assert!(clock_warnings(&[(100, 0), (9_000, 29_000)]).is_empty());
    assert!(
        clock_warnings(&[(100, 0), (4_000, 31_000)]).is_empty(),
        "the first peer may be wrong"
    );
    let behind = clock_warnings(&[(100, 0), (6_000, 31_000)]);
    assert!(behind.len() == 1 && behind[0].contains("31 s behind"), "{behind:?}");
    let ahead = clock_warnings(&[(100, 0), (6_000, -40_000)]);
    assert!(ahead.len() == 1 && ahead[0].contains("40 s ahead of"), "{ahead:?}");
    // Each time it goes wrong it has its five seconds.
    assert!(clock_warnings(&[(100, 0), (3_000, 31_000), (500, 0), (3_000, 31_000)]).is_empty());
    assert_eq!(
        clock_warnings(&[(100, 0), (6_000, 60_000), (100, 0), (6_000, 60_000)]).len(),
        2
    );
}

#[test]
fn changes_are_told_within_a_second_and_not_more_often() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(5_000);
    let told: Rc<RefCell<Vec<Status>>> = Rc::default();
    let heard = Rc::clone(&told);
    world.nodes[1].script = Some(Box::new(move |request| {
        if let Request::Status(status) = request {
            heard.borrow_mut().push(status.clone());
        }
        None
    }));
    for _ in 0..10 {
        world.mine(0, 1);
        world.run(100);
    }
    world.run(1_100);
    let count = told.borrow().len();
    assert!((2..=4).contains(&count), "{count} statuses in two and a half seconds");
    assert_eq!(told.borrow()[count - 1].height, 10);
}

#[test]
fn an_own_payment_is_with_the_neighbour_before_any_status() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    world.pay(0, "alice", "bob", 5).unwrap();
    world.run(20);
    assert_eq!(world.nodes[1].engine.status().pending, 1);
}

#[test]
fn a_strangers_payment_outlives_a_disk_that_failed_for_a_while() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    world.pay(1, "alice", "bob", 5).unwrap();
    world.until(3_000, |world| world.nodes[0].engine.status().pending == 1);
    let reason = "no space".to_owned();
    world.tell(0, Input::Store(StoreFact::Failed { reason }));
    world.tell(0, Input::Store(StoreFact::Reopened));
    assert_eq!(world.nodes[0].engine.status().pending, 1);
}

#[test]
fn resolve_tells_of_a_replaced_chain_and_waits_for_nobody_who_left() {
    let mut world = World::new(3);
    world.link(0, 1);
    world.link(0, 2);
    world.run(500);
    world.nodes[1].dead = true;
    let id = world.command(0, Command::Resolve);
    world.run(5_000);
    assert!(!world.nodes[0].replies.contains_key(&id), "an answer is missing");
    // An own block is no replacement.
    world.mine(0, 1);
    world.split(0, 1);
    let told = |world: &World| match &world.nodes[0].replies[&id] {
        Ok(Reply::Resolved { replaced, message, .. }) => (*replaced, message.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(told(&world), (false, "Our chain is authoritative".to_owned()));
    world.split(0, 2);
    world.mine(2, 40);
    world.link(0, 2);
    world.run(3);
    let id = world.command(0, Command::Resolve);
    world.until(9_000, |world| world.nodes[0].replies.contains_key(&id));
    assert_eq!(world.height(0), world.height(2));
    let replaced = match &world.nodes[0].replies[&id] {
        Ok(Reply::Resolved { replaced, message, .. }) => (*replaced, message.as_str()),
        other => panic!("{other:?}"),
    };
    assert_eq!(replaced, (true, "Our chain was replaced"));
}

#[test]
fn dial_fails_at_a_peer_that_never_says_where_it_stands_and_at_the_own_id() {
    let mut world = World::new(1);
    world.run(100);
    let dial = |node: usize, peer| Command::Dial {
        address: address(node),
        peer,
    };
    let id = world.command(0, dial(40, None));
    let connected = NetFact::Connected {
        peer: key(9).public().peer_id(),
        address: address(40),
        direction: Direction::Out,
    };
    world.tell(0, Input::Net(connected));
    world.run(9_900);
    assert!(!world.nodes[0].replies.contains_key(&id));
    world.run(200);
    assert_eq!(world.nodes[0].replies[&id].clone().unwrap_err().code, "dial_failed");
    let me = Some(key(0).public().peer_id());
    let own = world.ask(0, dial(5, me)).unwrap_err();
    assert!(own.message.contains("own PeerId"), "{}", own.message);
}

#[test]
fn dial_to_another_network_names_the_flag_and_promises_nothing() {
    let mut world = World::new(1);
    world.run(100);
    let fails = |world: &mut World, node: usize, stranger| {
        let dial = Command::Dial {
            address: address(node),
            peer: None,
        };
        let id = world.command(0, dial);
        let failed = NetFact::DialFailed {
            peer: None,
            addresses: vec![address(node)],
            reason: "of another network".into(),
            stranger,
        };
        world.tell(0, Input::Net(failed));
        world.run(11_000);
        world.nodes[0].replies[&id].clone().unwrap_err()
    };
    let foreign = fails(&mut world, 40, Some(Stranger::Network));
    assert!(
        foreign.message.contains("--network") && !foreign.message.contains("again"),
        "{foreign:?}"
    );
    assert_eq!(foreign.hint, "help dial");
    let silent = fails(&mut world, 41, None);
    assert!(silent.message.contains("tried again by itself"), "{silent:?}");
}

#[test]
fn conditions_do_not_hold_too_early() {
    let mut world = World::new(2);
    let wait = |world: &mut World, condition, seconds| world.ask(0, Command::Wait { condition, seconds }).is_ok();
    assert!(!wait(&mut world, Condition::Synced, 1), "alone is not synced");
    assert!(wait(&mut world, Condition::Peers(0), 1));
    world.mine(1, 30);
    world.link(0, 1);
    world.run(5);
    assert!(!wait(&mut world, Condition::Peers(0), 1));
    world.split(0, 1);
    world.mine(1, 30);
    world.link(0, 1);
    world.until(1_000, |world| world.peers(0) == 1);
    assert!(wait(&mut world, Condition::Synced, 10));
    assert_eq!(world.height(0), 60);
}

#[test]
fn sixty_four_commands_wait_and_a_stopping_node_takes_none() {
    let mut world = World::new(1);
    world.run(100);
    let wait = || Command::Wait {
        condition: Condition::Peers(9),
        seconds: 9_000,
    };
    let ids: Vec<u64> = (0..65).map(|_| world.command(0, wait())).collect();
    let code = |world: &World, id: &u64| {
        world.nodes[0]
            .replies
            .get(id)
            .map(|reply| reply.clone().unwrap_err().code)
    };
    assert!(ids[..64].iter().all(|id| code(&world, id).is_none()));
    assert_eq!(code(&world, &ids[64]), Some("interrupted"));
    world.tell(0, Input::Stop);
    assert!(ids.iter().all(|id| code(&world, id) == Some("interrupted")));
    assert_eq!(world.ask(0, Command::Status).unwrap_err().code, "interrupted");
}

#[test]
fn a_pulled_cable_leaves_no_address() {
    let mut world = World::new(1);
    world.run(100);
    assert_eq!(world.nodes[0].engine.status().addresses.len(), 1);
    world.ask(0, Command::Net(false)).unwrap();
    assert!(world.nodes[0].engine.status().addresses.is_empty());
}

#[test]
fn a_name_that_another_key_owns_is_warned_of_once() {
    let mut world = World::with(2, crate::chain::NetworkParams::dev(), |config| {
        config.name = Some(AccountName::new("anna").unwrap());
    });
    world.link(0, 1);
    world.run(100);
    for node in [1, 0] {
        world.mine(node, 1);
        world.run(100);
    }
    world.mine(1, 3);
    world.run(1_000);
    let [one, other] = [0, 1].map(|node| {
        let taken = |event: &Event| matches!(event, Event::Warning { code: "name_taken", .. });
        world.count(node, taken)
    });
    assert_eq!(one + other, 1, "one of them owns the name");
}

#[test]
fn reorganisations_from_depth_six_on_bring_a_warning() {
    for (depth, told) in [(5, 0), (6, 1)] {
        let mut world = World::new(2);
        world.mine(0, depth);
        world.mine(1, depth + 1);
        world.link(0, 1);
        world.until(10_000, |world| world.height(0) == u64::from(depth) + 1);
        assert_eq!(warnings(&world, "deep_reorganization").len(), told, "depth {depth}");
    }
}
