//! Parts of the node that fail: what the engine tells, forgets, and orders anew.

use super::world::{World, address};
use crate::contract::{Command, Event, FoundBy, MineCommand, Reply};
use crate::engine::Fault;
use crate::engine::{Input, NetFact, Part, PartFact};

fn ended(part: Part, again_ms: Option<u64>) -> PartFact {
    PartFact::Ended {
        part,
        reason: "a wrong index".into(),
        again_ms,
    }
}

fn failures(world: &World) -> Vec<&str> {
    let told = world.nodes[0].events.iter().filter_map(|event| match event {
        Event::Warning { code, message } if code.starts_with("part_") => Some(message.as_str()),
        _ => None,
    });
    told.collect()
}

fn orders(world: &World, kind: &str) -> usize {
    world.nodes[0].kinds.iter().filter(|known| **known == kind).count()
}

#[test]
fn with_the_network_every_connection_ends_and_nobody_is_dialled_until_it_is_back() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    let (peer, by) = (world.nodes[1].peer, FoundBy::Mdns);
    world.tell(0, Input::Net(NetFact::Part(ended(Part::Network, Some(1_000)))));
    assert_eq!(world.peers(0), 0);
    assert_eq!(
        world.count(0, |event| matches!(event, Event::PeerDisconnected { .. })),
        1
    );
    let before = orders(&world, "dial");
    world.tell(
        0,
        Input::Net(NetFact::Found {
            peer,
            address: address(1),
            by,
            from: None,
        }),
    );
    world.run(5_000);
    assert_eq!(orders(&world, "dial"), before, "there is no network to dial with");
    world.tell(0, Input::Net(NetFact::Part(PartFact::Started { part: Part::Network })));
    world.run(5_000);
    assert!(orders(&world, "dial") > before);
    let told = failures(&world);
    assert!(
        told[0].contains("the network part of this node failed: a wrong index"),
        "{told:?}"
    );
    assert!(told[0].ends_with("it is started again in 1 s"), "{told:?}");
    assert_eq!(told[1..], ["the network part of this node runs again"]);
}

#[test]
fn a_network_that_is_back_is_told_again_whom_to_refuse() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    let (peer, fault) = (world.nodes[1].peer, Fault::Fatal);
    let reason = "nonsense".into();
    world.tell(0, Input::Net(NetFact::Malformed { peer, fault, reason }));
    assert_eq!(orders(&world, "ban"), 1);
    world.tell(0, Input::Net(NetFact::Part(ended(Part::Network, Some(1_000)))));
    world.tell(0, Input::Net(NetFact::Part(PartFact::Started { part: Part::Network })));
    assert_eq!(orders(&world, "ban"), 2);
}

#[test]
fn a_failed_mining_thread_ends_every_search_with_a_reply() {
    let mut world = World::new(1);
    world.command(0, Command::Mine(MineCommand::On));
    world.tell(0, Input::Part(ended(Part::Mining, None)));
    assert!(!world.nodes[0].engine.status().mining);
    for command in [MineCommand::On, MineCommand::Count(1)] {
        let error = world.ask(0, Command::Mine(command)).unwrap_err();
        assert_eq!((error.code, error.hint.as_str()), ("internal", "quit"));
    }
    assert!(matches!(
        world.ask(0, Command::Mine(MineCommand::Off)),
        Ok(Reply::Mining { mining: false })
    ));
}
