//! Two nodes with one key: who notices, and what is said.

use super::world::{World, address, key};
use crate::chain::{ChainStore, NetworkParams};
use crate::contract::{Command, Direction, Event, FoundBy, Reply};
use crate::engine::{Input, NetFact};
use crate::testing::statuses::empty;
use crate::types::Address;
use crate::wire::{Request, Status};

fn warnings(world: &World) -> usize {
    let same_key = |event: &&Event| matches!(event, Event::Warning { code: "same_key", .. });
    world.nodes[0].events.iter().filter(same_key).count()
}

fn status(world: &World, instance: u64) -> Request {
    Request::Status(Status {
        instance,
        ..empty(*world.tip(0).as_bytes(), world.now.ms())
    })
}

/// Node 0 hears these instance numbers from one peer.
fn hear(instances: &[u64]) -> World {
    let mut world = World::new(1);
    let connected = NetFact::Connected {
        peer: key(1).public().peer_id(),
        address: address(1),
        direction: Direction::In,
    };
    world.tell(0, Input::Net(connected));
    for (token, instance) in (0..).zip(instances) {
        let request = NetFact::Request {
            token,
            peer: key(1).public().peer_id(),
            request: status(&world, *instance),
        };
        world.tell(0, Input::Net(request));
    }
    world.run(1_000);
    world
}

#[test]
fn adv_k11_two_nodes_with_one_key_are_noticed_by_the_instances_that_take_turns() {
    assert_eq!(warnings(&hear(&[1, 1, 1])), 0);
    assert_eq!(warnings(&hear(&[1, 1, 2, 2])), 0, "a node that was restarted");
    assert_eq!(warnings(&hear(&[1, 2, 1, 2, 1])), 1, "two that run, said once");
}

#[test]
fn adv_w07_a_sibling_with_a_copy_of_the_key_is_named_once_and_never_dialled() {
    let mut world = World::new(1);
    for _ in 0..2 {
        let found = NetFact::Found {
            peer: key(0).public().peer_id(),
            address: address(1),
            by: FoundBy::Sibling,
            from: None,
        };
        world.tell(0, Input::Net(found));
    }
    world.run(5_000);
    assert_eq!(warnings(&world), 1);
    assert!(world.nodes[0].engine.status().peers == 0);
}

#[test]
fn adv_w07_a_dialled_address_that_is_our_own_is_told_from_a_clones() {
    let mut world = World::new(1);
    world.run(100);
    let (elsewhere, _) = Address::parse("/ip4/10.9.9.9/tcp/9").unwrap();
    let dial = |address: Address| Command::Dial { address, peer: None };
    let own = world.ask(0, dial(address(0))).unwrap_err();
    assert_eq!(own.message, "this is the node's own address");
    let id = world.command(0, dial(elsewhere.clone()));
    let failed = NetFact::DialFailed {
        peer: Some(key(0).public().peer_id()),
        addresses: vec![elsewhere],
        reason: "that is this node itself".into(),
        stranger: None,
    };
    world.tell(0, Input::Net(failed));
    let clone = world.nodes[0].replies[&id].clone().unwrap_err();
    assert_eq!((own.code, clone.code), ("dial_failed", "dial_failed"));
    assert!(clone.message.contains("own key"), "{}", clone.message);
    assert_eq!(warnings(&world), 1);
}

/// Another machine announces node 0's own identity: it is dialled, once a minute at most, and only a key makes a twin.
#[test]
fn adv_w07_a_machine_that_announces_our_identity_is_asked_and_only_its_key_makes_it_a_twin() {
    let mut world = World::new(1);
    world.run(100);
    let elsewhere = Address::parse("/ip4/10.9.9.9/tcp/9").unwrap().0;
    let announced = || NetFact::Found {
        peer: key(0).public().peer_id(),
        address: elsewhere.clone(),
        by: FoundBy::Mdns,
        from: elsewhere.ip(),
    };
    let dials = |world: &World| world.nodes[0].kinds.iter().filter(|kind| **kind == "dial").count();
    (0..5).for_each(|_| world.tell(0, Input::Net(announced())));
    assert_eq!((dials(&world), warnings(&world)), (1, 0), "a record alone says nothing");
    world.run(61_000);
    world.tell(0, Input::Net(announced()));
    assert_eq!(dials(&world), 2);
    let answered = NetFact::DialFailed {
        peer: Some(key(0).public().peer_id()),
        addresses: vec![elsewhere.clone()],
        reason: "that is this node itself".into(),
        stranger: None,
    };
    world.tell(0, Input::Net(answered));
    world.run(61_000);
    world.tell(0, Input::Net(announced()));
    assert_eq!((dials(&world), warnings(&world)), (2, 1), "said once, with what to do");
}

#[test]
fn a_peer_that_came_back_from_elsewhere_is_shown_told_and_remembered_there_alone() {
    let mut world = World::new(1);
    let peer = key(1).public().peer_id();
    let [before, now] =
        ["/ip4/10.0.0.7/tcp/4141", "/ip4/10.0.0.8/tcp/4141"].map(|text| Address::parse(text).unwrap().0);
    let connected = |address: &Address| {
        Input::Net(NetFact::Connected {
            peer,
            address: address.clone(),
            direction: Direction::Out,
        })
    };
    world.tell(0, connected(&before));
    let request = status(&world, 1);
    world.tell(
        0,
        Input::Net(NetFact::Request {
            token: 1,
            peer,
            request,
        }),
    );
    world.tell(0, connected(&now));
    let Ok(Reply::Peers { peers, .. }) = world.ask(0, Command::Peers) else {
        panic!("no list");
    };
    assert_eq!(peers[0].address, now.with_peer(&peer));
    world.run(100);
    let kept = world.nodes[0].store.peers().unwrap();
    assert_eq!(kept, [(peer, vec![now])]);
}

#[test]
fn adv_w07_a_neighbour_that_knows_both_tells_each_of_two_nodes_with_one_key() {
    let mut world = World::new(1);
    let peer = key(1).public().peer_id();
    let places = ["/ip4/10.0.0.7/tcp/4141", "/ip4/10.0.0.8/tcp/4141"].map(|text| Address::parse(text).unwrap().0);
    for (token, place) in [(0, 0), (1, 1), (2, 0)] {
        let connected = NetFact::Connected {
            peer,
            address: places[place].clone(),
            direction: Direction::Out,
        };
        world.tell(0, Input::Net(connected));
        let instance = u64::try_from(place).unwrap() + 1;
        let request = status(&world, instance);
        world.tell(0, Input::Net(NetFact::Request { token, peer, request }));
    }
    world.run(100);
    assert_eq!(warnings(&world), 1);
    let list = world.nodes[0].engine.peers_told(peer).unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(&list[0].key, key(1).public().as_bytes());
    assert_eq!(list[0].addresses, [places[1].as_str()]);
    // The one that is told looks for the other, once.
    let mut twin = World::with(1, NetworkParams::dev(), |config| config.exchange = true);
    twin.run(100);
    let me = key(0).public();
    let told = || {
        vec![crate::wire::ToldPeer {
            key: *me.as_bytes(),
            addresses: vec![places[1].as_str().to_owned()],
        }]
    };
    let dials = |world: &World| world.nodes[0].kinds.iter().filter(|kind| **kind == "dial").count();
    for _ in 0..5 {
        twin.nodes[0].engine.tell_peers(peer, told());
        twin.run(61_000);
    }
    assert_eq!(dials(&twin), 1);
}
