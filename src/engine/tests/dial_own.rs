//! Which links the dial manager opens because of a telling, and which of its own links changes.

use super::dial::{Table, address, at, ids};
use crate::contract::{Direction, FoundBy};
use crate::engine::parts::dial::{Fact, LINKS_MANY, OWN_LINKS, Order, TOLD_AGAIN_MS, TOLD_LINKS_MAX};
use crate::types::PeerId;

#[test]
fn one_teller_leads_to_a_third_of_the_own_links_and_two_to_more() {
    let (me, others) = ids(30);
    let mut table = Table::new(me);
    for (number, peer) in others[..10].iter().enumerate() {
        table.told(0, 1, *peer, address(100 + number));
    }
    assert_eq!(table.answer_all(0..10_000).len(), TOLD_LINKS_MAX);
    for (number, peer) in others[10..20].iter().enumerate() {
        table.told(10_000, 2, *peer, address(200 + number));
    }
    assert_eq!(table.answer_all(10_000..20_000).len(), TOLD_LINKS_MAX);
    // Who left and came back is still of the same teller.
    let first = others[..10].iter().copied();
    let linked: Vec<PeerId> = first.filter(|peer| table.dialer.found_by(peer).is_some()).collect();
    linked
        .iter()
        .for_each(|peer| table.tell(20_000, Fact::Disconnected(*peer)));
    assert_eq!(table.answer_all(20_000..30_000).len(), TOLD_LINKS_MAX);
}

#[test]
fn with_eight_own_links_nobody_is_dialled_because_of_a_telling() {
    let (me, others) = ids(OWN_LINKS + 2);
    let mut table = Table::new(me);
    for (number, peer) in others[..OWN_LINKS].iter().enumerate() {
        table.connected(0, *peer, address(number), Direction::Out);
    }
    table.told(0, 1, others[OWN_LINKS], address(100));
    for ms in (0..120_000).step_by(500) {
        assert!(table.dialled(ms).is_empty());
    }
}

#[test]
fn adv_d13_a_lying_teller_costs_one_dial_an_address_in_an_hour() {
    let (me, others) = ids(200);
    let mut table = Table::new(me);
    let mut dials = 0;
    for minute in 0..100_u64 {
        // The same addresses again and again, with ever new identities.
        for number in 0..32 {
            let peer = others[(usize::try_from(minute).unwrap() * 7 + number) % 200];
            table.told(minute * 60_000, 1, peer, address(100 + number));
        }
        for second in 0..60 {
            for peer in table.dialled(minute * 60_000 + second * 1_000) {
                dials += 1;
                table.failed(minute * 60_000 + second * 1_000, peer, false);
            }
        }
    }
    const { assert!(100 * 60_000 < 2 * TOLD_AGAIN_MS) };
    assert_eq!(dials, 2 * 32, "once in the first hour, once in the second");
}

/// Twelve neighbours are known, eight are linked.
fn full_table() -> (Table, Vec<PeerId>) {
    let (me, others) = ids(12);
    let mut table = Table::new(me);
    for (number, peer) in others.iter().enumerate() {
        table.found(0, *peer, address(number), FoundBy::Mdns);
    }
    let linked = table.answer_all(0..3_000);
    assert_eq!(linked.len(), OWN_LINKS);
    (table, linked)
}

#[test]
fn every_twenty_seconds_one_link_more_is_opened_and_the_youngest_closed() {
    let (mut table, linked) = full_table();
    let mut rounds = Vec::new();
    for ms in (3_000..123_000).step_by(250) {
        for (peer, addresses) in table.dials(ms) {
            rounds.push(ms);
            table.connected(ms, peer.unwrap(), addresses[0].clone(), Direction::Out);
            assert_eq!(table.dialer.own_links(), OWN_LINKS + 1);
        }
        for peer in std::mem::take(&mut table.closed) {
            assert!(table.dialer.is_leaving(&peer));
            assert!(!linked[..4].contains(&peer), "the four oldest stay");
            table.tell(ms, Fact::Disconnected(peer));
            assert_eq!(table.dialer.own_links(), OWN_LINKS);
        }
    }
    assert!((5..=7).contains(&rounds.len()), "{rounds:?}");
}

#[test]
fn the_extra_link_waits_for_a_status_and_for_a_sync() {
    let (mut table, linked) = full_table();
    let mut extra = None;
    for ms in (3_000..24_000).step_by(250) {
        for (peer, addresses) in table.dials(ms) {
            let (peer, address) = (peer.unwrap(), addresses[0].clone());
            let direction = Direction::Out;
            table.tell(
                ms,
                Fact::Connected {
                    peer,
                    address,
                    direction,
                },
            );
            extra = Some(peer);
        }
    }
    let extra = extra.expect("one more was dialled");
    assert!(table.closed.is_empty(), "it has not said yet where it stands");
    table.tell(24_000, Fact::Exchanged(extra));
    // Bodies come from all that could make room but one.
    let fetching = linked[5..].to_vec();
    table.tell(24_000, Fact::Tick { fetching });
    assert_eq!(table.dialer.poll_output(), Some(Order::Close(linked[4])));
}

#[test]
fn an_extra_link_that_fails_is_followed_by_another_soon() {
    let (mut table, _) = full_table();
    let mut tries = Vec::new();
    for ms in (3_000..43_000).step_by(250) {
        for peer in table.dialled(ms) {
            tries.push(ms);
            table.failed(ms + 1, peer, false);
        }
    }
    assert!(tries.len() >= 5 && tries.len() <= 8, "{tries:?}");
}

#[test]
fn who_had_to_make_room_is_left_alone_for_a_minute() {
    let (mut table, _) = full_table();
    let mut left = Vec::new();
    for ms in (3_000..80_000).step_by(250) {
        for (peer, addresses) in table.dials(ms) {
            let peer = peer.unwrap();
            let again = left.iter().find(|(gone, _)| *gone == peer);
            assert!(again.is_none_or(|(_, at)| ms >= at + 60_000));
            table.connected(ms, peer, addresses[0].clone(), Direction::Out);
        }
        for peer in std::mem::take(&mut table.closed) {
            left.push((peer, ms));
            table.tell(ms, Fact::Disconnected(peer));
        }
    }
    assert!(left.len() >= 3);
}

#[test]
fn nobody_is_dialled_extra_while_there_are_too_few_links_or_nobody_else() {
    let (me, others) = ids(OWN_LINKS);
    let mut table = Table::new(me);
    for (number, peer) in others.iter().enumerate() {
        table.found(0, *peer, address(number), FoundBy::Mdns);
    }
    assert_eq!(table.answer_all(0..3_000).len(), OWN_LINKS);
    for ms in (3_000..120_000).step_by(1_000) {
        assert!(table.dialled(ms).is_empty());
        assert!(table.dialer.next_wakeup(at(ms)).is_none(), "nothing to wake up for");
    }
}

/// A table with so many links that others opened; discovery heard them or did not.
fn crowd(count: usize, heard: bool) -> (Table, Vec<PeerId>) {
    let (me, others) = ids(count);
    let mut table = Table::new(me);
    for (number, peer) in others.iter().enumerate() {
        // It dialled, said where it listens, and was heard later.
        let ms = u64::try_from(number).unwrap();
        if number % 2 == 0 {
            table.found(ms, *peer, address(number), FoundBy::Inbound);
        }
        table.connected(ms, *peer, address(number), Direction::In);
        if heard {
            table.found(500, *peer, address(number), FoundBy::Mdns);
        }
    }
    (table, others)
}

#[test]
fn with_more_than_twenty_links_those_make_room_who_dialled_in_and_find_others() {
    let (mut table, others) = crowd(40, true);
    for ms in (1_000..11_000).step_by(250) {
        assert!(table.dialled(ms).is_empty());
        for peer in std::mem::take(&mut table.closed) {
            assert!(!others[..4].contains(&peer), "the four oldest stay");
            assert!(table.dialer.is_leaving(&peer), "it is no fault of the peer");
            table.tell(ms, Fact::Disconnected(peer));
        }
    }
    assert_eq!(table.dialer.links(), LINKS_MANY);
}

#[test]
fn with_more_than_twenty_links_those_make_room_who_asked_for_others_and_ask_no_more() {
    let (mut table, others) = crowd(40, false);
    // A node with too few links asks again after one minute, then after two.
    for peer in &others[..30] {
        table.tell(1_000, Fact::Asked(*peer));
    }
    for peer in &others[..15] {
        table.tell(61_000, Fact::Asked(*peer));
    }
    table.dialled(65_000);
    assert!(table.closed.is_empty(), "{} closed", table.closed.len());
    for ms in (66_000..180_000).step_by(1_000) {
        table.dialled(ms);
        assert!(
            table.closed.is_empty(),
            "fifteen have stopped, fifteen are asking, ten never did"
        );
    }
    for ms in (187_000..200_000).step_by(250) {
        table.dialled(ms);
        for peer in std::mem::take(&mut table.closed) {
            assert!(others[4..30].contains(&peer), "four old ones stay, and who never asked");
            table.tell(ms, Fact::Disconnected(peer));
        }
    }
    assert_eq!(table.dialer.links(), 40 - (30 - LINKS_MANY));
}

#[test]
fn whom_discovery_does_not_hear_may_have_nobody_else_and_stays() {
    let (mut table, _) = crowd(32, false);
    for ms in (1_000..11_000).step_by(250) {
        table.dialled(ms);
        assert!(table.closed.is_empty());
    }
    // Nor do they push out those who are heard.
    let (_, others) = ids(36);
    for (number, peer) in others[32..].iter().enumerate() {
        table.found(11_000, *peer, address(100 + number), FoundBy::Mdns);
        table.connected(11_000, *peer, address(100 + number), Direction::In);
    }
    table.dialled(12_000);
    assert!(table.closed.is_empty());
}

#[test]
fn a_node_with_enough_links_leaves_whoever_ended_one_alone_for_a_minute() {
    let (mut table, linked) = full_table();
    table.tell(3_000, Fact::Disconnected(linked[7]));
    for ms in (3_000..60_000).step_by(250) {
        for (peer, addresses) in table.dials(ms) {
            assert_ne!(peer, Some(linked[7]), "at {ms}");
            table.connected(ms, peer.unwrap(), addresses[0].clone(), Direction::Out);
        }
        for peer in std::mem::take(&mut table.closed) {
            table.tell(ms, Fact::Disconnected(peer));
        }
    }
}
