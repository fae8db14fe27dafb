//! What the doctor says, and what to type.

use super::links::tells_its_clock;
use super::world::{World, address};
use crate::contract::{Command, Diagnosis, Event, FoundBy, Interface, Probe, Reply, Stranger, Surroundings};
use crate::contract::{DialFailure, Multicast};
use crate::engine::{Errand, Input, NetFact, Outcome};
use crate::types::prefix::Prefix;
use crate::types::{Address, PeerId, SecretKey};

impl World {
    /// What a machine does beside the engine, in no time.
    pub(super) fn do_errand(&self, node: usize, errand: Errand) -> Outcome {
        match errand {
            Errand::Look { .. } => Outcome::Looked(Box::new(self.surroundings.clone())),
            Errand::Read(query) => Outcome::Read(Box::new(query.answer(self.nodes[node].store.copy()))),
        }
    }
}

fn doctor(world: &mut World, surroundings: Surroundings) -> Diagnosis {
    world.surroundings = surroundings;
    match world.ask(0, Command::Doctor) {
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
        word == Some(Multicast::Returned) && advice.contains("nobody answers"),
        "{advice}"
    );
    let (_, advice) = told(returned.clone(), 3);
    assert!(advice.contains("no node is among them"), "{advice}");
    let (word, advice) = told(lost, 0);
    assert!(word == Some(Multicast::Lost) && advice.contains("firewall"), "{advice}");
    let (word, advice) = told(Probe::Refused("no".into()), 0);
    assert!(
        word == Some(Multicast::Refused) && advice.contains("sends no multicast"),
        "{advice}"
    );
    let (word, advice) = told(Probe::Taken, 0);
    assert!(
        word == Some(Multicast::Taken) && advice.contains("another program has UDP port 5353"),
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
    let told = |world: &World| world.nodes[0].events.iter().filter(|event| alone(event)).count();
    world.run(60_000);
    assert_eq!(told(&world), 1);
    // Being alone for long is said again, ever more rarely.
    for (minutes, times) in [(5, 2), (20, 2), (11, 3), (100, 3), (21, 4)] {
        world.run(minutes * 60_000);
        assert_eq!(told(&world), times, "{minutes} minutes later");
    }
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
fn the_doctor_tells_that_a_clock_is_far_off_and_advises_nobody_to_follow_strangers() {
    for (ahead_ms, word) in [
        (3_690_000, "1 h 1 min behind the other nodes"),
        (-3_700_000, "1 h 1 min ahead of the other nodes"),
    ] {
        let mut world = World::new(2);
        world.link(0, 1);
        tells_its_clock(&mut world, ahead_ms);
        world.run(500);
        let told = doctor(&mut world, lan());
        let advice = &told.advice[0];
        assert!(advice.contains(word) && !advice.contains("--peer-clock"), "{advice}");
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
    assert_eq!(told.interfaces[0].multicast, Some(Multicast::None));
    assert!(
        told.advice[0].contains("no interface here carries multicast"),
        "{:?}",
        told.advice
    );
}

/// A failed dial of an address, for this reason.
fn fails(world: &mut World, text: &str, reason: DialFailure) {
    let failed = NetFact::DialFailed {
        peer: None,
        addresses: vec![Address::parse(text).unwrap().0],
        reason,
        stranger: None,
    };
    world.tell(0, Input::Net(failed));
}

#[test]
fn the_doctor_has_a_sentence_for_each_cause_and_says_it_alone() {
    let other = SecretKey::from_seed([7; 32]).public().peer_id();
    let causes = [
        (DialFailure::OtherKey(other), "another node than expected"),
        (DialFailure::NoName, "leads nowhere"),
        (DialFailure::Refused, "refuses"),
        (DialFailure::Closed, "hangs up at once"),
        (DialFailure::NoRoute, "no way leads to"),
        (DialFailure::Silence, "nothing comes back"),
        (DialFailure::Other("whatever else".into()), "nothing comes back"),
    ];
    for (reason, sentence) in &causes {
        let mut world = World::new(1);
        world.run(100);
        fails(&mut world, "/ip4/10.9.9.9/tcp/4141", reason.clone());
        let told = doctor(&mut world, lan()).advice;
        for (_, other) in &causes {
            let is_said = told.iter().any(|advice| advice.contains(other));
            assert_eq!(is_said, other == sentence, "{reason}: {told:?}");
        }
        assert!(
            told.iter().any(|advice| advice.contains("/ip4/10.9.9.9/tcp/4141")),
            "{told:?}"
        );
    }
}

#[test]
fn the_doctor_knows_a_network_that_keeps_its_machines_apart() {
    let mut world = World::new(1);
    world.run(100);
    let own = Prefix::new("10.0.0.1".parse().unwrap(), 24);
    world.tell(0, Input::Net(NetFact::Networks(vec![own])));
    let mut seen = lan();
    seen.interfaces[0].probe = Probe::Sent { returned: true };
    seen.others_heard = Some(0);
    let is_isolated = |told: &Diagnosis| {
        told.advice
            .iter()
            .any(|advice| advice.contains("keeps its machines apart"))
    };
    assert!(!is_isolated(&doctor(&mut world, seen.clone())), "nobody may be there");
    fails(&mut world, "/ip4/10.9.9.9/tcp/4141", DialFailure::Silence);
    assert!(!is_isolated(&doctor(&mut world, seen.clone())), "it is elsewhere");
    fails(&mut world, "/ip4/10.0.0.2/tcp/4141", DialFailure::NoRoute);
    let told = doctor(&mut world, seen.clone());
    assert!(is_isolated(&told), "{:?}", told.advice);
    assert!(
        !told.advice.iter().any(|advice| advice.contains("nobody answers")),
        "{:?}",
        told.advice
    );
    fails(&mut world, "/ip4/10.0.0.3/tcp/4141", DialFailure::Refused);
    assert!(!is_isolated(&doctor(&mut world, seen)), "a refusal came through");
}

#[test]
fn the_doctor_counts_what_was_dropped_for_its_address() {
    let mut world = World::new(1);
    world.run(100);
    let source = "130.149.7.9".parse().unwrap();
    world.tell(0, Input::Net(NetFact::Elsewhere { count: 7, source }));
    let told = doctor(&mut world, lan());
    assert_eq!(told.multicast_dropped, 7);
    let is_said = told
        .advice
        .iter()
        .any(|advice| advice.contains("public addresses") && advice.contains("130.149.7.9"));
    assert!(is_said, "{:?}", told.advice);
}

#[test]
fn the_doctor_knows_a_machine_with_link_local_ipv6_alone() {
    let mut world = World::new(1);
    world.run(100);
    let mut seen = lan();
    seen.interfaces.truncate(1);
    seen.interfaces[0].addresses.clear();
    seen.interfaces[0].link_local = true;
    let told = doctor(&mut world, seen);
    assert!(
        told.advice.iter().any(|advice| advice.contains("fe80::")),
        "{:?}",
        told.advice
    );
}

#[test]
fn the_doctor_knows_a_machine_that_is_heard_and_hears_nobody() {
    let mut world = World::new(2);
    // The other one calls.
    world.link(1, 0);
    world.run(500);
    let mut seen = lan();
    seen.interfaces[0].probe = Probe::Sent { returned: true };
    seen.others_heard = Some(0);
    let advice = doctor(&mut world, seen.clone()).advice;
    assert!(
        advice.iter().any(|advice| advice.contains("does not hear theirs")),
        "{advice:?}"
    );
    seen.others_heard = Some(1);
    let advice = doctor(&mut world, seen).advice;
    assert!(
        !advice.iter().any(|advice| advice.contains("does not hear theirs")),
        "{advice:?}"
    );
}
