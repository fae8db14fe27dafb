//! Identities behind one address are one voice wherever the engine shares something out.

use super::world::{World, address};
use crate::contract::{Direction, Event};
use crate::engine::Fault;
use crate::engine::parts::dial::TOLD_MAX;
use crate::engine::{Input, NetFact};
use crate::testing::statuses::boast;
use crate::types::{Address, PeerId, SecretKey};
use crate::wire::Request;

fn id(number: u8) -> PeerId {
    SecretKey::from_seed([100 + number; 32]).public().peer_id()
}

/// An identity calls node 0 from a host, and says how far its clock is ahead.
fn call(world: &mut World, number: u8, host: u8, ahead_ms: i64) {
    let (address, _) = Address::parse(&format!("/ip4/10.0.9.{host}/tcp/{}", 5_000 + u16::from(number))).unwrap();
    let direction = Direction::In;
    let peer = id(number);
    world.tell(
        0,
        Input::Net(NetFact::Connected {
            peer,
            address,
            direction,
        }),
    );
    let mut status = boast(7, world.now.ms());
    (status.work, status.height) = ([0; 32], 0);
    status.tip = *world.tip(0).as_bytes();
    status.clock_ms = world.now.ms().saturating_add_signed(ahead_ms);
    let request = Request::Status(status);
    let token = u64::MAX;
    world.tell(0, Input::Net(NetFact::Request { token, peer, request }));
}

#[test]
fn adv_t12_five_identities_behind_one_address_are_one_voice_about_the_time() {
    let mut world = World::new(1);
    world.run(1_000);
    for number in 1..=5 {
        call(&mut world, number, 1, 240_000);
    }
    call(&mut world, 6, 2, 100);
    call(&mut world, 7, 3, 100);
    let middle = world.nodes[0].engine.middle_clock().unwrap();
    assert_eq!((middle.voices, middle.ahead_ms), (3, 100));
}

#[test]
fn of_the_misdeeds_of_identities_behind_one_address_four_are_told_and_others_still_are() {
    let mut world = World::new(1);
    world.run(1_000);
    for number in 1..=8 {
        call(&mut world, number, 1, 0);
    }
    call(&mut world, 9, 2, 0);
    for number in 1..=9 {
        let (peer, fault, reason) = (id(number), Fault::Mid, "garbage".to_owned());
        world.tell(0, Input::Net(NetFact::Malformed { peer, fault, reason }));
    }
    let told = |event: &Event| matches!(event, Event::Warning { code: "peer_fault", .. });
    assert_eq!(world.count(0, told), 4 + 1);
}

#[test]
fn tellings_of_identities_behind_one_address_have_the_places_of_one() {
    let mut world = World::new(1);
    world.run(1_000);
    call(&mut world, 1, 1, 0);
    call(&mut world, 2, 1, 0);
    call(&mut world, 3, 2, 0);
    let engine = &mut world.nodes[0].engine;
    let kept = [1_u8, 2, 3].map(|teller| {
        let told = (0..100_u8).filter(|number| {
            let mut seed = [200; 32];
            (seed[0], seed[1]) = (teller, *number);
            let peer = SecretKey::from_seed(seed).public().peer_id();
            engine.told_of(id(teller), peer, vec![address(usize::from(*number) + 100)]);
            engine.peers.dialer.found_by(&peer).is_some()
        });
        told.count()
    });
    assert_eq!(
        kept,
        [TOLD_MAX, 0, TOLD_MAX],
        "one address has one share, and another its own"
    );
}
