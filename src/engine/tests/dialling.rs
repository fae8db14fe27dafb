//! The dial manager's bounds and pauses.

use crate::engine::FoundBy;
use crate::engine::dial::{
    ADDRESSES_MAX, BACKOFF_MIN_MS, BACKOFF_PUBLIC_MS, CANDIDATES_MAX, DIAL_TIMEOUT_MS, Dialer, JITTER_MS,
    OTHER_NETWORK_MS, PENDING_MAX,
};
use crate::types::{Address, PeerId, SecretKey, Time};

fn id(number: usize) -> PeerId {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
    SecretKey::from_seed(seed).public().peer_id()
}

/// The smallest of some ids, so that it dials at once, and the others.
fn ids(count: usize) -> (PeerId, Vec<PeerId>) {
    let mut all: Vec<PeerId> = (0..=count).map(id).collect();
    all.sort();
    (all.remove(0), all)
}

fn address(number: usize) -> Address {
    Address::parse(&format!("/ip4/192.168.1.2/tcp/{}", number + 1))
        .unwrap()
        .0
}

fn at(ms: u64) -> Time {
    Time::from_ms(1_000_000 + ms)
}

/// Who is dialled at a time.
fn dialled(dialer: &mut Dialer, ms: u64) -> Vec<PeerId> {
    dialer.due(at(ms), 0).iter().filter_map(|dial| dial.peer).collect()
}

#[test]
fn a_dial_is_granted_every_quarter_of_a_second_and_four_at_once() {
    let (me, others) = ids(12);
    let mut dialer = Dialer::new(me, 1, at(0));
    for (number, peer) in others.iter().enumerate() {
        dialer.found(at(0), *peer, address(number), FoundBy::Mdns);
    }
    for (ms, count) in [
        (0, 4),
        (249, 0),
        (250, 1),
        (499, 0),
        (500, 1),
        (10_000, PENDING_MAX - 6),
    ] {
        assert_eq!(dialled(&mut dialer, ms).len(), count, "at {ms} ms");
    }
}

#[test]
fn typed_peers_are_dialled_first_and_remembered_ones_last() {
    let (me, others) = ids(4);
    let mut dialer = Dialer::new(me, 1, at(0));
    let sources = [FoundBy::Remembered, FoundBy::Mdns, FoundBy::Sibling, FoundBy::Manual];
    for (number, by) in sources.into_iter().enumerate() {
        dialer.found(at(0), others[number], address(number), by);
    }
    assert_eq!(dialled(&mut dialer, 0), [others[3], others[2], others[1], others[0]]);
}

#[test]
fn a_flood_pushes_out_no_typed_peer_and_none_that_is_connected() {
    let (me, others) = ids(CANDIDATES_MAX * 4);
    let mut dialer = Dialer::new(me, 1, at(0));
    dialer.found(at(0), others[0], address(0), FoundBy::Manual);
    dialer.found(at(0), others[1], address(1), FoundBy::Mdns);
    dialer.connected(others[1], &address(1));
    for peer in &others[2..] {
        dialer.found(at(0), *peer, address(2), FoundBy::Mdns);
    }
    assert_eq!(dialer.found_by(&others[0]), Some(FoundBy::Manual));
    assert_eq!(dialer.found_by(&others[1]), Some(FoundBy::Mdns));
    let kept = others.iter().filter(|peer| dialer.found_by(peer).is_some()).count();
    assert_eq!(kept, CANDIDATES_MAX);
}

#[test]
fn eight_addresses_of_a_peer_are_kept_the_newest_first() {
    let (me, others) = ids(1);
    let mut dialer = Dialer::new(me, 1, at(0));
    for number in 0..20 {
        dialer.found(at(0), others[0], address(number), FoundBy::Mdns);
    }
    assert_eq!(dialer.addresses(&others[0]).len(), ADDRESSES_MAX);
    assert_eq!(dialer.addresses(&others[0])[0], address(19));
}

#[test]
fn strangers_addresses_have_a_minute_of_rest_after_each_failure() {
    let (me, others) = ids(1);
    let (public, _) = Address::parse("/ip4/198.51.100.7/tcp/1").unwrap();
    let mut dialer = Dialer::new(me, 1, at(0));
    dialer.found(at(0), others[0], public, FoundBy::Mdns);
    assert_eq!(dialled(&mut dialer, 0).len(), 1);
    dialer.failed(at(0), Some(others[0]), &[], false);
    assert!(dialled(&mut dialer, BACKOFF_PUBLIC_MS - 1).is_empty());
    assert_eq!(dialled(&mut dialer, BACKOFF_PUBLIC_MS + JITTER_MS).len(), 1);
}

#[test]
fn a_dial_whose_end_is_never_told_is_forgotten_and_made_again() {
    let (me, others) = ids(1);
    let mut dialer = Dialer::new(me, 1, at(0));
    dialer.found(at(0), others[0], address(0), FoundBy::Mdns);
    assert_eq!(dialled(&mut dialer, 0).len(), 1);
    assert!(dialled(&mut dialer, DIAL_TIMEOUT_MS - 1).is_empty());
    assert_eq!(dialled(&mut dialer, DIAL_TIMEOUT_MS).len(), 1);
}

#[test]
fn a_dial_that_led_to_a_connection_is_no_longer_under_way() {
    let (me, others) = ids(2 * PENDING_MAX);
    let mut dialer = Dialer::new(me, 1, at(0));
    for (number, peer) in others.iter().enumerate() {
        dialer.found(at(0), *peer, address(number), FoundBy::Sibling);
    }
    let mut all = Vec::new();
    for second in 0..4 {
        for peer in dialled(&mut dialer, second * 1_000) {
            dialer.connected(peer, &address(0));
            all.push(peer);
        }
    }
    assert_eq!(all.len(), 2 * PENDING_MAX);
}

#[test]
fn a_plugged_cable_and_a_new_interface_end_pauses_but_not_those_of_other_networks() {
    let (me, others) = ids(2);
    let (public, _) = Address::parse("/ip4/198.51.100.7/tcp/1").unwrap();
    for plugged in [true, false] {
        let mut dialer = Dialer::new(me, 1, at(0));
        for peer in &others {
            dialer.found(at(0), *peer, public.clone(), FoundBy::Mdns);
        }
        assert_eq!(dialled(&mut dialer, 0).len(), 2);
        dialer.failed(at(0), Some(others[0]), &[], false);
        dialer.failed(at(0), Some(others[1]), &[], true);
        if plugged {
            dialer.enable(at(5_000), false);
            dialer.enable(at(5_000), true);
        } else {
            dialer.reset(at(5_000));
        }
        let soon = 5_000 + if plugged { 0 } else { BACKOFF_MIN_MS };
        assert_eq!(dialled(&mut dialer, soon), [others[0]], "plugged: {plugged}");
        assert_eq!(
            dialled(&mut dialer, OTHER_NETWORK_MS + JITTER_MS).last(),
            Some(&others[1])
        );
    }
}

#[test]
fn an_address_named_without_an_identity_stays_an_address_whoever_is_there() {
    let (me, others) = ids(2);
    let mut dialer = Dialer::new(me, 1, at(0));
    dialer.found_address(at(0), address(9));
    assert_eq!(dialer.due(at(0), 0).len(), 1);
    assert_eq!(dialer.connected(others[0], &address(9)), Some(FoundBy::Manual));
    assert_eq!(dialer.found_by(&others[0]), Some(FoundBy::Manual));
    assert!(dialer.due(at(60_000), 0).is_empty(), "it is connected");
    // The node there is set up anew: it has another key.
    dialer.disconnected(at(60_000), &others[0]);
    let dials = dialer.due(at(62_000), 0);
    assert_eq!(dials.len(), 1);
    assert_eq!((dials[0].peer, &dials[0].addresses[..]), (None, &[address(9)][..]));
    assert_eq!(dialer.connected(others[1], &address(9)), Some(FoundBy::Manual));
    assert!(dialer.due(at(120_000), 0).is_empty());
    // Who is known by discovery too is dialled by its identity first, and whatever way it comes, it is there.
    dialer.found(at(120_000), others[1], address(3), FoundBy::Mdns);
    dialer.connected(others[1], &address(3));
    dialer.disconnected(at(120_000), &others[1]);
    assert_eq!(dialled(&mut dialer, 121_500), [others[1]]);
    dialer.connected(others[1], &address(3));
    assert!(dialer.due(at(180_000), 0).is_empty());
    // Banned is banned.
    dialer.disconnected(at(180_000), &others[1]);
    dialer.forget(&others[1]);
    assert!(dialer.due(at(240_000), 0).is_empty());
}
