//! What the doctor says, and what to type.

use super::neighbours::tells_its_clock;
use super::world::{World, address};
use crate::engine::doctor::{Diagnosis, Interface, Probe, Surroundings};
use crate::engine::{Command, Event, FoundBy, Input, NetFact, Reply, Stranger};
use crate::types::{PeerId, SecretKey};

fn doctor(world: &mut World, surroundings: Surroundings) -> Diagnosis {
    match world.ask(0, Command::Doctor(Box::new(surroundings))) {
        Ok(Reply::Diagnosis(told)) => *told,
        other => panic!("{other:?}"),
    }
}

fn lan() -> Surroundings {
    Surroundings {
        interfaces: vec![
            Interface::plain("eth0", [10, 0, 0, 1]),
            Interface::plain("docker0", [172, 17, 0, 1]),
        ],
        failure: None,
        discovery: true,
        others_heard: None,
        twin: None,
        looked: true,
    }
}

#[test]
fn the_doctor_tells_what_became_of_its_question() {
    let mut world = World::new(1);
    world.run(100);
    let mut told = |probe: Probe, others: u64| {
        let mut seen = lan();
        seen.interfaces[0].probe = probe;
        seen.others_heard = Some(others);
        let told = doctor(&mut world, seen);
        (told.interfaces[0].multicast, told.advice[0].clone())
    };
    let (returned, lost) = (Probe::Sent { returned: true }, Probe::Sent { returned: false });
    let (word, advice) = told(returned.clone(), 0);
    assert!(
        word == Some("returned") && advice.contains("nobody answers"),
        "{advice}"
    );
    let (_, advice) = told(returned.clone(), 3);
    assert!(advice.contains("no node is among them"), "{advice}");
    let (word, advice) = told(lost, 0);
    assert!(word == Some("lost") && advice.contains("firewall"), "{advice}");
    let (word, advice) = told(Probe::Refused("no".into()), 0);
    assert!(
        word == Some("refused") && advice.contains("sends no multicast"),
        "{advice}"
    );
    let (word, advice) = told(Probe::Taken, 0);
    assert!(
        word == Some("taken") && advice.contains("another program has UDP port 5353"),
        "{advice}"
    );
}

#[test]
fn the_doctor_tells_what_keeps_multicast_back_though_others_were_heard() {
    let mut world = World::new(1);
    world.run(100);
    let found = NetFact::Found {
        peer: SecretKey::from_seed([71; 32]).public().peer_id(),
        address: address(5),
        by: FoundBy::Mdns,
        from: None,
    };
    world.tell(0, Input::Net(found));
    let mut seen = lan();
    seen.interfaces[0].probe = Probe::Refused("not permitted".into());
    let told = doctor(&mut world, seen);
    assert_eq!(told.multicast_heard, 1);
    assert!(told.advice[0].contains("5353"), "{:?}", told.advice);
}

#[test]
fn the_doctor_tells_where_a_copy_of_the_key_runs_and_not_to_start_another() {
    let mut world = World::new(1);
    world.run(100);
    let mut seen = lan();
    seen.interfaces[0].probe = Probe::Sent { returned: true };
    seen.others_heard = Some(1);
    seen.twin = Some(address(7));
    let told = doctor(&mut world, seen);
    assert_eq!(
        (told.same_key, told.same_key_at.as_deref()),
        (true, Some(address(7).as_str()))
    );
    assert!(told.advice[0].contains(address(7).as_str()) && told.advice[0].contains("--data-dir"));
    assert!(
        !told.advice.iter().any(|advice| advice.contains("no node is among")),
        "{:?}",
        told.advice
    );
}

#[test]
fn the_doctor_tells_a_lonely_node_what_to_type_elsewhere() {
    let mut world = World::new(1);
    world.run(100);
    let told = doctor(&mut world, lan());
    let used: Vec<_> = told
        .interfaces
        .iter()
        .map(|view| (view.name.as_str(), view.used))
        .collect();
    assert_eq!(used, [("eth0", true), ("docker0", false)]);
    let dial = format!("dial {}", address(0).as_str());
    assert_eq!(told.dial.as_deref(), Some(dial.as_str()));
    assert!(
        told.advice
            .iter()
            .any(|advice| advice.contains("no multicast was heard")),
        "{:?}",
        told.advice
    );
    assert!(told.advice.last().unwrap().ends_with(&dial));
    let alone =
        |event: &Event| matches!(event, Event::Warning { code: "alone", message } if message.contains("doctor"));
    world.run(11_000);
    assert_eq!(world.nodes[0].events.iter().filter(|event| alone(event)).count(), 1);
    world.run(60_000);
    assert_eq!(world.nodes[0].events.iter().filter(|event| alone(event)).count(), 1);
}

#[test]
fn the_doctor_tells_foreign_networks_from_firewalls() {
    let mut world = World::new(1);
    world.run(100);
    let [foreign, silent]: [PeerId; 2] = [71, 72].map(|seed| SecretKey::from_seed([seed; 32]).public().peer_id());
    for (peer, stranger) in [(foreign, Some(Stranger::Network)), (silent, None)] {
        let found = NetFact::Found {
            peer,
            address: address(5),
            by: FoundBy::Mdns,
            from: None,
        };
        world.tell(0, Input::Net(found));
        let failed = NetFact::DialFailed {
            peer: Some(peer),
            addresses: vec![address(5)],
            reason: "because".into(),
            stranger,
        };
        world.tell(0, Input::Net(failed));
    }
    let told = doctor(&mut world, lan());
    assert_eq!((told.multicast_heard, told.failures.len()), (2, 2));
    assert_eq!(told.failures.iter().filter(|failure| failure.other_network).count(), 1);
    let says = |word: &str| told.advice.iter().any(|advice| advice.contains(word));
    assert!(says("--network") && says("firewall"), "{:?}", told.advice);
    world.ask(0, Command::Net(false)).unwrap();
    assert_eq!(doctor(&mut world, lan()).advice, ["the net is off: type `net on`"]);
}

#[test]
fn the_doctor_tells_other_programs_from_other_networks() {
    let mut world = World::new(1);
    world.run(100);
    let mut failed = |seed: u8, stranger: Stranger| {
        let fact = NetFact::DialFailed {
            peer: Some(SecretKey::from_seed([seed; 32]).public().peer_id()),
            addresses: vec![address(5)],
            reason: "because".into(),
            stranger: Some(stranger),
        };
        world.tell(0, Input::Net(fact));
        doctor(&mut world, lan()).advice.join("\n")
    };
    let advice = failed(71, Stranger::Program);
    assert!(
        advice.contains("no lanchain node is among them") && !advice.contains("another network"),
        "{advice}"
    );
    let advice = failed(72, Stranger::Network);
    assert!(advice.contains("nodes of another network answer"), "{advice}");
}

#[test]
fn the_doctor_is_content_with_peers_and_right_clocks() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    let told = doctor(&mut world, lan());
    assert_eq!(told.advice, ["1 peer is connected: type `peers`"]);
    assert!(told.clock_ahead_ms.unwrap().unsigned_abs() < 1_000);
    assert!(!told.same_key);
}

#[test]
fn the_doctor_tells_whose_clock_is_wrong_and_the_flag_that_helps() {
    for (ahead_ms, word) in [
        (3_600_000, " s behind the peers"),
        (-3_600_000, " s ahead of the peers"),
    ] {
        let mut world = World::new(2);
        world.link(0, 1);
        tells_its_clock(&mut world, ahead_ms);
        world.run(500);
        let told = doctor(&mut world, lan());
        let advice = &told.advice[0];
        assert!(advice.contains(word) && advice.contains("--peer-clock"), "{advice}");
    }
}

#[test]
fn the_doctor_tells_what_hinders_a_node_that_does_not_look_for_others() {
    let mut world = World::new(1);
    world.run(100);
    let mut seen = lan();
    seen.discovery = false;
    let told = doctor(&mut world, seen);
    assert!(told.advice[0].contains("without --no-mdns"), "{:?}", told.advice);
    assert!(!told.advice.iter().any(|advice| advice.contains("multicast")));
}

#[test]
fn the_doctor_knows_that_a_tunnel_alone_finds_nobody_by_itself() {
    let mut world = World::new(1);
    world.run(100);
    let mut seen = lan();
    seen.interfaces[0].multicast = false;
    let told = doctor(&mut world, seen);
    assert_eq!(told.interfaces[0].multicast, Some("none"));
    assert!(
        told.advice[0].contains("no interface here carries multicast"),
        "{:?}",
        told.advice
    );
}
