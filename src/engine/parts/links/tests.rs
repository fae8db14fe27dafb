//! Who is connected, and when statuses are exchanged, without an engine.

use super::*;
use crate::testing::keys::peer;

const fn at(ms: u64) -> Time {
    Time::from_ms(ms)
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap().0
}

fn one() -> Links {
    let mut links = Links::new(Rng::new(7));
    let there = (address("10.0.0.1:1"), Direction::In, FoundBy::Inbound);
    links.connected(at(1_000), peer(1), there);
    links
}

fn status(instance: u64) -> wire::Status {
    wire::Status {
        tip: [0; 32],
        height: 0,
        work: [0; 32],
        name: String::new(),
        clock_ms: 0,
        instance,
        pool_count: 0,
        pool_digest: 0,
    }
}

#[test]
fn a_status_goes_out_every_fifteen_seconds_and_a_second_after_a_change_one_at_a_time() {
    let mut links = one();
    assert_eq!(links.due(at(1_000)), [peer(1)]);
    assert!(links.asks(at(1_000), &peer(1)) && !links.asks(at(1_000), &peer(1)));
    links.changed();
    assert!(links.due(at(60_000)).is_empty(), "one is under way");
    links.asked(&peer(1));
    assert_eq!(links.next_wakeup(), Some(at(2_000)), "the change");
    assert!(links.asks(at(2_000), &peer(1)));
    links.asked(&peer(1));
    let next = links.next_wakeup().unwrap();
    assert!((at(17_000)..at(18_000)).contains(&next), "{next:?}");
    assert!(!links.asks(at(2_000), &peer(2)), "nobody is there");
}

#[test]
fn a_status_that_does_not_arrive_is_sent_again_ever_later() {
    let mut links = one();
    assert!(links.asks(at(1_000), &peer(1)));
    let mut waits = Vec::new();
    for _ in 0..5 {
        links.asked(&peer(1));
        links.status_failed(at(1_000), &peer(1));
        waits.push(links.next_wakeup().unwrap().ms() - 1_000);
        links.peers.get_mut(&peer(1)).unwrap().exchange.next = at(20_000);
    }
    assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 16_000]);
    links.status_arrived(&peer(1));
    links.status_failed(at(1_000), &peer(1));
    assert_eq!(links.next_wakeup(), Some(at(2_000)));
}

#[test]
fn whoever_is_asked_puts_off_its_own_question_by_fifteen_seconds_and_to_thirty_at_most() {
    let mut links = one();
    assert!(links.asks(at(1_000), &peer(1)));
    links.asked(&peer(1));
    let mut due = Vec::new();
    for now in [5_000, 12_000, 19_000, 26_000] {
        links.was_asked(at(now), &peer(1));
        due.push(links.next_wakeup().unwrap().ms() / 1_000);
    }
    assert!(matches!(due[..], [20 | 21, 27 | 28, 31, 31]), "{due:?}");
}

#[test]
fn two_nodes_that_take_turns_with_one_key_are_news_once_and_a_restart_is_none() {
    let mut links = one();
    let mut heard = |instance| links.heard(&peer(1), status(instance), 0).unwrap();
    assert!(heard(1).is_first);
    let twins = [2, 3, 3, 2, 3, 2].map(|instance| heard(instance).are_twins);
    assert_eq!(twins, [false, false, false, true, false, false]);
    assert!(links.heard(&peer(2), status(1), 0).is_none());
}

#[test]
fn a_peer_that_comes_back_on_another_machine_has_moved_and_one_on_another_port_has_not() {
    let mut links = one();
    assert_eq!(links.moved(&peer(1), address("10.0.0.1:9"), Direction::Out), None);
    let before = links.moved(&peer(1), address("10.0.0.2:9"), Direction::Out);
    assert_eq!(before, Some(address("10.0.0.1:9")));
    assert_eq!(links.get(&peer(1)).unwrap().direction, Direction::Out);
    assert!(links.gone(&peer(1)).is_some() && links.gone(&peer(1)).is_none());
}

#[test]
fn own_addresses_are_bounded_and_those_of_the_loopback_come_last() {
    let mut links = Links::new(Rng::new(7));
    assert!(links.listens(address("127.0.0.1:5")) && !links.listens(address("127.0.0.1:5")));
    for port in 1..=100 {
        links.listens(address(&format!("10.0.0.1:{port}")));
    }
    assert_eq!(links.addresses().len(), OWN_ADDRESSES_MAX);
    assert!(links.addresses().last().unwrap().is_loopback());
    links.listens_no_longer(&address("10.0.0.1:1"));
    assert_eq!(links.addresses().len(), OWN_ADDRESSES_MAX - 1);
    links.listens_nowhere();
    assert!(links.addresses().is_empty());
}
