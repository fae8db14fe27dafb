//! How peers are called while the chain settles whose a name is, and while it takes that back.

use super::world::World;
use crate::chain::NetworkParams;
use crate::contract::{Command, Event, Reply};
use crate::testing::statuses::boast;
use crate::types::AccountName;

/// So many nodes that all call themselves anna.
fn annas(count: usize) -> World {
    World::with(count, NetworkParams::dev(), |config| {
        config.name = Some(AccountName::new("anna").unwrap());
    })
}

/// What node 0 was told of a node's name, in order: proven, taken.
fn told(world: &World, node: usize) -> Vec<(bool, bool)> {
    let id = world.nodes[node].peer.to_string();
    let named = world.nodes[0].events.iter().filter_map(|event| match event {
        Event::PeerNamed {
            peer_id,
            name: Some(name),
            name_proven,
            name_taken,
            ..
        } if *peer_id == id && name.as_str() == "anna" => Some((*name_proven, *name_taken)),
        _ => None,
    });
    named.collect()
}

/// Whether node 0's list says that the name is the node's.
fn is_listed_as_proven(world: &mut World, node: usize) -> bool {
    let id = world.nodes[node].peer.to_string();
    let Ok(Reply::Peers { peers, .. }) = world.ask(0, Command::Peers) else {
        panic!("a list");
    };
    peers.iter().any(|peer| peer.peer_id == id && peer.name_proven)
}

#[test]
fn a_name_that_the_chain_settles_and_a_reorganisation_takes_back_is_told_when_it_happens() {
    let mut world = annas(3);
    world.split(0, 2);
    world.split(1, 2);
    world.link(1, 0);
    world.run(1_000);
    let taken = |event: &Event| matches!(event, Event::PeerConnected { name_taken: true, .. });
    assert_eq!(world.count(0, taken), 1, "node 0 goes by that name itself");
    assert!(told(&world, 1).is_empty() && !is_listed_as_proven(&mut world, 1));

    world.mine(1, 1);
    world.until(10_000, |world| world.height(0) == 1);
    assert_eq!(told(&world, 1), [(true, false)]);
    assert!(is_listed_as_proven(&mut world, 1));
    // In the same turn as the block that says so, and no more.
    let log = &world.nodes[0].log;
    let at = |word: &str| log.iter().position(|line| line.starts_with(word)).unwrap();
    let between = &log[at("BlockConnected")..at("PeerNamed")];
    assert!(
        between.iter().all(|line| !line.starts_with("Transaction")),
        "{between:?}"
    );
    world.mine(1, 1);
    world.run(5_000);
    assert_eq!(told(&world, 1).len(), 1);

    world.mine(2, 4);
    world.cut.clear();
    world.link(2, 0);
    world.until(20_000, |world| world.tip(0) == world.tip(2));
    assert_eq!(told(&world, 1), [(true, false), (false, true)]);
    assert!(!is_listed_as_proven(&mut world, 1) && is_listed_as_proven(&mut world, 2));
}

#[test]
fn a_peer_that_calls_itself_something_else_is_called_so_everywhere() {
    let mut world = World::with(2, NetworkParams::dev(), |config| {
        config.name = Some(AccountName::new("ben").unwrap());
    });
    world.link(1, 0);
    world.run(1_000);
    let mut status = boast(1, world.now.ms());
    (status.work, status.height) = ([0; 32], 0);
    status.tip = *world.tip(0).as_bytes();
    status.name = "anna".to_owned();
    world.nodes[1].lie = Some(status);
    world.run(30_000);
    assert_eq!(told(&world, 1), [(false, false)], "once, however often it says so");
}
