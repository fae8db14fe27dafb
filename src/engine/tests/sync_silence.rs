//! Peers that promise and do not answer: a bad link and a liar look the same, and neither may do harm.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::world::World;
use crate::contract::Event;
use crate::testing::statuses::boast;
use crate::types::Time;
use crate::wire::{Request, Response};

fn is_gone(event: &Event) -> bool {
    matches!(event, Event::PeerDisconnected { .. })
}

#[test]
fn adv_s23_a_peer_whose_bodies_never_come_in_time_stays_and_serves_when_the_link_is_better() {
    let mut world = World::new(2);
    world.mine(1, 20);
    world.nodes[1].withholds = true;
    world.link(0, 1);
    // Long enough for five tries, which as misdeeds would have been a ban.
    world.run(600_000);
    assert_eq!(world.height(0), 0);
    assert!(!world.nodes[0].events.iter().any(is_gone));
    world.nodes[1].withholds = false;
    world.until(300_000, |world| world.height(0) == 20);
    assert!(!world.nodes[0].events.iter().any(is_gone));
}

#[test]
fn a_liar_that_names_another_tip_each_time_and_answers_nothing_is_asked_ever_more_rarely() {
    let mut world = World::new(2);
    let asked = Rc::new(RefCell::new(Vec::new()));
    let (questions, clock) = (Rc::clone(&asked), Rc::new(Cell::new(0)));
    let mut claim = boast(7, world.now.ms());
    let time = Rc::clone(&clock);
    world.nodes[1].mute = true;
    world.nodes[1].script = Some(Box::new(move |request| match request {
        Request::Status(status) => {
            claim.tip[0] = claim.tip[0].wrapping_add(1);
            claim.clock_ms = status.clock_ms;
            time.set(status.clock_ms);
            Some(Response::Status(claim.clone()))
        }
        Request::GetHeaders { .. } => {
            questions.borrow_mut().push(time.get());
            None
        }
        Request::GetBlocks { .. }
        | Request::GetPending { .. }
        | Request::GetPeers
        | Request::GetTransactions { .. } => None,
    }));
    world.link(0, 1);
    let mut told = false;
    let end = Time::from_ms(world.now.ms() + 600_000);
    while world.now < end {
        world.run(100);
        told |= world.nodes[0].engine.status().syncing;
    }
    let asked = asked.borrow();
    let times = asked.len();
    assert!((4..=12).contains(&times), "{times} questions in ten minutes: {asked:?}");
    assert!(!told, "a claim alone is no sync");
}
