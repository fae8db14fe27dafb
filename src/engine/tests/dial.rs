//! The dial manager's bounds, pauses and turns.

use core::net::IpAddr;

use crate::contract::{Direction, FoundBy};
use crate::engine::parts::dial::{
    ADDRESSES_MAX, BACKOFF_MIN_MS, BACKOFF_PRIVATE_MS, BACKOFF_PUBLIC_MS, CANDIDATES_MAX, COURTESY_MS, DIAL_TIMEOUT_MS,
    Dialer, Fact, IN_FLIGHT_MAX, JITTER_MS, JUNK_FAILURES, OTHER_NETWORK_MS, OWN_LINKS, Order, PENDING_MAX,
    PENDING_PER_HOST_MAX,
};
use crate::types::{Address, PeerId, SecretKey, Time, Voice};

fn id(number: usize) -> PeerId {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
    SecretKey::from_seed(seed).public().peer_id()
}

/// The smallest of some ids, so that it dials at once, and the others.
pub(super) fn ids(count: usize) -> (PeerId, Vec<PeerId>) {
    let mut all: Vec<PeerId> = (0..=count).map(id).collect();
    all.sort();
    (all.remove(0), all)
}

/// An address of the hosts' network.
pub(super) fn address(host: usize) -> Address {
    let text = format!("/ip4/10.1.{}.{}/tcp/4001", host / 250, host % 250 + 1);
    Address::parse(&text).unwrap().0
}

fn port(host: usize, port: usize) -> Address {
    let text = format!("/ip4/10.1.{}.{}/tcp/{}", host / 250, host % 250 + 1, 4_001 + port);
    Address::parse(&text).unwrap().0
}

pub(super) fn at(ms: u64) -> Time {
    Time::from_ms(1_000_000 + ms)
}

/// A dial manager and its clock.
pub(super) struct Table {
    pub(super) dialer: Dialer,
    pub(super) closed: Vec<PeerId>,
}

impl Table {
    pub(super) fn new(me: PeerId) -> Self {
        Self {
            dialer: Dialer::new(me, 1, at(0)),
            closed: Vec::new(),
        }
    }

    pub(super) fn tell(&mut self, ms: u64, fact: Fact) {
        self.dialer.handle(at(ms), fact);
    }

    pub(super) fn found(&mut self, ms: u64, peer: PeerId, address: Address, by: FoundBy) {
        self.record(ms, peer, address, (by, None));
    }

    pub(super) fn record(&mut self, ms: u64, peer: PeerId, address: Address, (by, from): (FoundBy, Option<IpAddr>)) {
        self.tell(
            ms,
            Fact::Found {
                peer,
                address,
                by,
                from,
            },
        );
    }

    pub(super) fn told(&mut self, ms: u64, teller: usize, peer: PeerId, address: Address) {
        let teller = Voice::Host(crate::engine::tests::dial::address(teller).ip().unwrap());
        let addresses = vec![address];
        self.tell(
            ms,
            Fact::Told {
                teller,
                peer,
                addresses,
            },
        );
    }

    pub(super) fn connected(&mut self, ms: u64, peer: PeerId, address: Address, direction: Direction) {
        self.tell(
            ms,
            Fact::Connected {
                peer,
                address,
                direction,
            },
        );
        self.tell(ms, Fact::Exchanged(peer));
    }

    pub(super) fn failed(&mut self, ms: u64, peer: PeerId, other_network: bool) {
        let fact = Fact::Failed {
            peer: Some(peer),
            addresses: Vec::new(),
            other_network,
        };
        self.tell(ms, fact);
    }

    /// What is dialled at a time.
    pub(super) fn dials(&mut self, ms: u64) -> Vec<(Option<PeerId>, Vec<Address>)> {
        self.tell(ms, Fact::Tick { fetching: Vec::new() });
        let mut dials = Vec::new();
        while let Some(order) = self.dialer.poll_output() {
            match order {
                Order::Dial { peer, addresses } => dials.push((peer, addresses)),
                Order::Close(peer) => self.closed.push(peer),
            }
        }
        dials
    }

    /// Who is dialled at a time.
    pub(super) fn dialled(&mut self, ms: u64) -> Vec<PeerId> {
        self.dials(ms).into_iter().filter_map(|(peer, _)| peer).collect()
    }

    /// Answers each dial for some time, and says who was dialled.
    pub(super) fn answer_all(&mut self, ms: core::ops::Range<u64>) -> Vec<PeerId> {
        let mut all = Vec::new();
        for ms in ms.step_by(250) {
            for (peer, addresses) in self.dials(ms) {
                let peer = peer.unwrap();
                self.connected(ms, peer, addresses[0].clone(), Direction::Out);
                all.push(peer);
            }
        }
        all
    }
}

#[test]
fn the_smaller_peer_id_dials_at_once_and_the_larger_waits() {
    let (small, others) = ids(1);
    let mut table = Table::new(small);
    table.found(0, others[0], address(1), FoundBy::Mdns);
    assert_eq!(table.dialled(0).len(), 1);
    let mut table = Table::new(others[0]);
    table.found(0, small, address(1), FoundBy::Mdns);
    assert!(table.dialled(COURTESY_MS - 1).is_empty());
    assert_eq!(table.dialled(COURTESY_MS + JITTER_MS).len(), 1);
}

#[test]
fn a_failed_neighbour_is_dialled_again_within_seconds_and_sooner_when_it_is_found_again() {
    let (me, others) = ids(1);
    let mut table = Table::new(me);
    table.found(0, others[0], address(1), FoundBy::Mdns);
    let mut now = 0;
    for _ in 0..6 {
        assert_eq!(table.dialled(now).len(), 1);
        table.failed(now, others[0], false);
        now += BACKOFF_PRIVATE_MS + JITTER_MS;
    }
    table.dialled(now);
    table.failed(now, others[0], false);
    table.found(now, others[0], address(2), FoundBy::Mdns);
    let dials = table.dials(now + BACKOFF_MIN_MS);
    assert_eq!(dials[0].1, [address(2), address(1)]);
}

#[test]
fn adv_d07_w17_a_peer_of_another_network_is_left_alone_for_an_hour() {
    let (me, others) = ids(1);
    let mut table = Table::new(me);
    table.found(0, others[0], address(1), FoundBy::Mdns);
    table.dialled(0);
    table.failed(0, others[0], true);
    table.found(10, others[0], address(1), FoundBy::Mdns);
    assert!(table.dialled(OTHER_NETWORK_MS - 1).is_empty());
    assert_eq!(table.dialled(OTHER_NETWORK_MS + JITTER_MS).len(), 1);
}

#[test]
fn a_flood_of_records_makes_few_dials_and_a_bounded_list() {
    let (me, others) = ids(400);
    let mut table = Table::new(me);
    for (number, peer) in others.iter().enumerate() {
        table.found(0, *peer, address(number), FoundBy::Mdns);
    }
    let kept = others.iter().filter(|peer| table.dialer.found_by(peer).is_some());
    assert_eq!(kept.count(), CANDIDATES_MAX);
    // Nobody answers: four a second, and never more than can end in time.
    let mut under_way = 0;
    for second in 0..9 {
        let dialled = table.dialled(second * 1_000).len();
        assert!(dialled <= 4, "{dialled} in second {second}");
        under_way += dialled;
    }
    assert!((30..=IN_FLIGHT_MAX).contains(&under_way), "{under_way}");
}

#[test]
fn adv_d08_of_a_hundred_neighbours_found_at_once_eight_are_dialled_and_the_others_kept() {
    let (me, others) = ids(100);
    let mut table = Table::new(me);
    for (number, peer) in others.iter().enumerate() {
        table.found(0, *peer, address(number), FoundBy::Mdns);
    }
    let outbound = table.answer_all(0..10_000);
    assert_eq!((outbound.len(), table.dialer.own_links()), (OWN_LINKS, OWN_LINKS));
    // One of them leaves: one of the others takes its place.
    table.tell(11_000, Fact::Disconnected(outbound[3]));
    let next = table.dialled(11_250);
    assert_eq!(next.len(), 1);
    assert!(!outbound.contains(&next[0]));
}

#[test]
fn eight_own_links_are_enough_but_a_typed_address_is_always_tried() {
    let (me, others) = ids(OWN_LINKS + 1);
    let mut table = Table::new(me);
    for (number, peer) in others[..OWN_LINKS].iter().enumerate() {
        table.connected(0, *peer, address(number), Direction::Out);
    }
    table.found(0, others[OWN_LINKS], address(20), FoundBy::Sibling);
    assert!(table.dialled(0).is_empty());
    table.tell(0, Fact::Typed(address(30)));
    assert_eq!(table.dials(0), [(None, vec![address(30)])]);
    table.connected(5, others[OWN_LINKS], address(30), Direction::Out);
    assert_eq!(table.dialer.found_by(&others[OWN_LINKS]), Some(FoundBy::Manual));
}

#[test]
fn those_who_call_in_take_the_place_of_no_own_link() {
    let (me, others) = ids(40);
    let mut table = Table::new(me);
    for (number, peer) in others[..20].iter().enumerate() {
        table.connected(0, *peer, address(number), Direction::In);
    }
    for (number, peer) in others[20..].iter().enumerate() {
        table.found(0, *peer, address(100 + number), FoundBy::Mdns);
    }
    assert_eq!(table.answer_all(0..10_000).len(), OWN_LINKS);
}

#[test]
fn a_pulled_cable_stops_dials_and_a_plugged_one_dials_at_once() {
    let (me, others) = ids(1);
    let mut table = Table::new(me);
    table.found(0, others[0], address(1), FoundBy::Mdns);
    table.tell(0, Fact::Enable(false));
    assert!(table.dialled(10_000).is_empty());
    table.tell(10_000, Fact::Enable(true));
    assert_eq!(table.dialled(10_000).len(), 1);
}

#[test]
fn a_dial_is_granted_every_quarter_of_a_second_and_four_at_once() {
    let (me, others) = ids(12);
    let mut table = Table::new(me);
    for (number, peer) in others.iter().enumerate() {
        table.found(0, *peer, address(number), FoundBy::Mdns);
    }
    for (ms, count) in [(0, 4), (249, 0), (250, 1), (499, 0), (500, 1), (1_000, PENDING_MAX - 6)] {
        assert_eq!(table.dialled(ms).len(), count, "at {ms} ms");
    }
}

#[test]
fn a_dial_that_is_not_answered_gives_up_its_place_after_two_seconds_and_goes_on() {
    let (me, others) = ids(3 * PENDING_MAX);
    let mut table = Table::new(me);
    for (number, peer) in others.iter().enumerate() {
        table.found(0, *peer, address(number), FoundBy::Mdns);
    }
    let first = [table.dialled(0), table.dialled(1_000)].concat();
    assert_eq!(first.len(), PENDING_MAX);
    assert!(table.dialled(1_999).is_empty(), "all places are taken");
    assert_eq!(table.dialled(2_000).len(), 4);
    // Nobody is dialled twice meanwhile, and a late answer counts.
    table.connected(6_000, first[0], address(0), Direction::Out);
    assert_eq!(table.dialer.own_links(), 1);
    // The second try of a peer holds its place for four seconds, later ones for ten.
    for (tries, place_ms) in [(1, 4_000), (2, 10_000)] {
        let mut table = Table::new(me);
        for (number, peer) in others.iter().enumerate() {
            table.found(0, *peer, address(number), FoundBy::Mdns);
            (0..tries).for_each(|_| table.failed(0, *peer, false));
        }
        let begin = 20_000;
        let held = [table.dialled(begin), table.dialled(begin + 1_000)].concat();
        assert_eq!(held.len(), PENDING_MAX);
        assert!(table.dialled(begin + place_ms - 1).is_empty(), "after {tries} failures");
        assert!(!table.dialled(begin + place_ms).is_empty(), "after {tries} failures");
    }
}

#[test]
fn typed_peers_are_dialled_first_and_told_ones_last() {
    let (me, others) = ids(4);
    let mut table = Table::new(me);
    // A told one waits for up to a second and a half.
    table.told(0, 9, others[0], address(0));
    let sources = [FoundBy::Mdns, FoundBy::Remembered, FoundBy::Manual];
    for (number, by) in sources.into_iter().enumerate() {
        table.found(COURTESY_MS, others[number + 1], address(number + 1), by);
    }
    assert_eq!(table.dialled(COURTESY_MS), [others[3], others[1], others[2], others[0]]);
}

#[test]
fn every_second_dial_is_for_those_who_were_connected_before() {
    let (me, others) = ids(12);
    let mut table = Table::new(me);
    for (number, peer) in others.iter().enumerate() {
        let by = if number < 6 { FoundBy::Remembered } else { FoundBy::Mdns };
        table.found(0, *peer, address(number), by);
    }
    let dialled = [table.dialled(0), table.dialled(1_000)].concat();
    let known = dialled.iter().filter(|peer| others[..6].contains(peer)).count();
    assert_eq!((dialled.len(), known), (8, 4));
}

/// Sixteen addresses name 32 peers each that answer nothing, and go on with fresh ones: an honest record that comes then
/// is dialled within five seconds, whoever is being tried.
#[test]
fn adv_d04_a_flood_from_sixteen_addresses_costs_an_honest_record_five_seconds_at_most() {
    let (me, others) = ids(2_000);
    let honest = others[1_999];
    for begins_ms in [0, 3_000, 17_300, 61_700] {
        let mut table = Table::new(me);
        let (mut next, mut dialled_at) = (0, None);
        let mut silent = std::collections::VecDeque::new();
        for ms in (0..begins_ms + 10_000).step_by(50) {
            // A record of the flood every 50 ms, from each of the sixteen in turn.
            let flooder = next % 16;
            let from = address(flooder).ip();
            let address = port(flooder, next / 16 % 32);
            table.record(ms, others[next % 1_990], address, (FoundBy::Mdns, from));
            next += 1;
            if ms == begins_ms {
                table.found(ms, honest, super::dial::address(300), FoundBy::Mdns);
            }
            while silent.front().is_some_and(|(end, _)| *end <= ms) {
                let (_, peer) = silent.pop_front().unwrap();
                table.failed(ms, peer, false);
            }
            for peer in table.dialled(ms) {
                silent.push_back((ms + 10_000, peer));
                if peer == honest {
                    dialled_at.get_or_insert(ms);
                }
            }
        }
        let took_ms = dialled_at.expect("it is dialled") - begins_ms;
        assert!(took_ms <= 5_000, "after {took_ms} ms, begun at {begins_ms}");
    }
}

#[test]
fn one_address_that_names_many_has_two_dials_at_a_time_and_others_their_turn() {
    let (me, others) = ids(40);
    let mut table = Table::new(me);
    for (number, peer) in others[..30].iter().enumerate() {
        table.record(0, *peer, port(1, number), (FoundBy::Mdns, address(1).ip()));
    }
    assert_eq!(table.dialled(0).len(), PENDING_PER_HOST_MAX);
    for (number, peer) in others[30..].iter().enumerate() {
        table.found(100, *peer, address(50 + number), FoundBy::Mdns);
    }
    let dialled = [table.dialled(1_000), table.dialled(2_000)].concat();
    let of_others = dialled.iter().filter(|peer| others[30..].contains(peer)).count();
    assert!(of_others >= 6, "{of_others} of {}", dialled.len());
}

/// A node that was just starting when it was dialled is tried again although fresh records never end.
#[test]
fn a_quarter_of_the_dials_is_for_those_that_failed_before() {
    let (me, others) = ids(1_000);
    let booting = others[0];
    let mut table = Table::new(me);
    table.found(0, booting, address(0), FoundBy::Mdns);
    assert_eq!(table.dialled(0), [booting]);
    table.failed(0, booting, false);
    let (mut dials, mut again) = (0, None);
    for ms in (50..20_000).step_by(50) {
        let number = usize::try_from(ms / 50).unwrap();
        table.found(ms, others[number], address(number), FoundBy::Mdns);
        for peer in table.dialled(ms) {
            dials += 1;
            if peer == booting {
                again.get_or_insert(ms);
            }
        }
    }
    assert!(
        again.is_some_and(|ms| ms <= BACKOFF_MIN_MS + JITTER_MS + 1_500),
        "{again:?} of {dials} dials"
    );
}

#[test]
fn records_that_lead_nowhere_leave_and_those_who_were_connected_stay() {
    let (me, others) = ids(3);
    let mut table = Table::new(me);
    let sources = [FoundBy::Mdns, FoundBy::Remembered, FoundBy::Manual];
    for (number, by) in sources.into_iter().enumerate() {
        table.found(0, others[number], address(number), by);
    }
    for _ in 0..JUNK_FAILURES {
        others.iter().for_each(|peer| table.failed(0, *peer, false));
    }
    let left: Vec<bool> = others
        .iter()
        .map(|peer| table.dialer.found_by(peer).is_none())
        .collect();
    assert_eq!(left, [true, false, false]);
    // It comes back when it is found again, behind those that never failed.
    table.found(100_000, others[0], address(0), FoundBy::Mdns);
    assert!(table.dialled(100_000).contains(&others[0]));
}

#[test]
fn a_flood_pushes_out_no_typed_peer_and_none_that_is_connected_or_was() {
    let (me, others) = ids(CANDIDATES_MAX * 4);
    let mut table = Table::new(me);
    table.found(0, others[0], address(0), FoundBy::Manual);
    table.found(0, others[1], address(1), FoundBy::Mdns);
    table.connected(0, others[1], address(1), Direction::Out);
    table.found(0, others[2], address(2), FoundBy::Mdns);
    table.connected(0, others[2], address(2), Direction::Out);
    table.tell(0, Fact::Disconnected(others[2]));
    // One honest record is not pushed out by those of a single address.
    table.record(0, others[3], address(3), (FoundBy::Mdns, address(3).ip()));
    for (number, peer) in others[4..].iter().enumerate() {
        table.record(0, *peer, port(9, number % 900), (FoundBy::Mdns, address(9).ip()));
    }
    let kept: Vec<bool> = others[..4]
        .iter()
        .map(|peer| table.dialer.found_by(peer).is_some())
        .collect();
    assert_eq!(kept, [true; 4]);
    let kept = others
        .iter()
        .filter(|peer| table.dialer.found_by(peer).is_some())
        .count();
    assert_eq!(kept, CANDIDATES_MAX);
}

#[test]
fn passing_strangers_leave_half_of_the_places_to_those_that_discovery_finds() {
    let (me, others) = ids(700);
    let mut table = Table::new(me);
    for (number, peer) in others[..400].iter().enumerate() {
        table.found(0, *peer, address(number), FoundBy::Inbound);
        table.connected(0, *peer, address(number), Direction::In);
        table.tell(0, Fact::Disconnected(*peer));
    }
    for (number, peer) in others[400..].iter().enumerate() {
        table.found(0, *peer, address(400 + number), FoundBy::Mdns);
    }
    let found = others[400..]
        .iter()
        .filter(|peer| table.dialer.found_by(peer).is_some());
    assert!(found.count() >= CANDIDATES_MAX / 2);
}

#[test]
fn eight_addresses_of_a_peer_are_kept_the_newest_first_and_the_one_that_answered_for_good() {
    let (me, others) = ids(1);
    let mut table = Table::new(me);
    for number in 0..20 {
        table.found(0, others[0], address(number), FoundBy::Mdns);
    }
    assert_eq!(table.dialer.addresses(&others[0]).len(), ADDRESSES_MAX);
    assert_eq!(table.dialer.addresses(&others[0])[0], address(19));
    table.connected(0, others[0], address(15), Direction::Out);
    for number in 30..50 {
        table.found(0, others[0], address(number), FoundBy::Mdns);
    }
    assert_eq!(table.dialer.addresses(&others[0]).len(), ADDRESSES_MAX);
    assert!(table.dialer.addresses(&others[0]).contains(&address(15)));
}

#[test]
fn strangers_addresses_have_a_minute_of_rest_after_each_failure() {
    let (me, others) = ids(1);
    let (public, _) = Address::parse("/ip4/198.51.100.7/tcp/1").unwrap();
    let mut table = Table::new(me);
    table.found(0, others[0], public, FoundBy::Mdns);
    assert_eq!(table.dialled(0).len(), 1);
    table.failed(0, others[0], false);
    assert!(table.dialled(BACKOFF_PUBLIC_MS - 1).is_empty());
    assert_eq!(table.dialled(BACKOFF_PUBLIC_MS + JITTER_MS).len(), 1);
}

#[test]
fn a_dial_whose_end_is_never_told_is_forgotten_and_made_again() {
    let (me, others) = ids(1);
    let mut table = Table::new(me);
    table.found(0, others[0], address(0), FoundBy::Mdns);
    assert_eq!(table.dialled(0).len(), 1);
    assert!(table.dialled(DIAL_TIMEOUT_MS - 1).is_empty());
    assert_eq!(table.dialled(DIAL_TIMEOUT_MS).len(), 1);
}

#[test]
fn a_plugged_cable_and_a_new_interface_end_pauses_but_not_those_of_other_networks() {
    let (me, others) = ids(2);
    let public = |host| Address::parse(&format!("/ip4/198.51.100.{host}/tcp/1")).unwrap().0;
    for plugged in [true, false] {
        let mut table = Table::new(me);
        for (peer, host) in others.iter().zip([7, 8]) {
            table.found(0, *peer, public(host), FoundBy::Mdns);
        }
        assert_eq!(table.dialled(0).len(), 2);
        table.failed(0, others[0], false);
        table.failed(0, others[1], true);
        if plugged {
            table.tell(5_000, Fact::Enable(false));
            table.tell(5_000, Fact::Enable(true));
        } else {
            table.tell(5_000, Fact::Reset);
        }
        let soon = 5_000 + if plugged { 0 } else { BACKOFF_MIN_MS };
        assert_eq!(table.dialled(soon), [others[0]], "plugged: {plugged}");
        let later = table.dialled(OTHER_NETWORK_MS + JITTER_MS);
        assert!(later.contains(&others[1]));
    }
}

#[test]
fn a_node_without_a_link_dials_one_told_or_remembered_peer_at_once_and_the_others_in_their_time() {
    // The largest id: it would wait longest.
    let (small, mut others) = ids(6);
    let me = others.pop().unwrap();
    others.push(small);
    for is_told in [true, false] {
        let mut table = Table::new(me);
        for (host, peer) in others.iter().enumerate() {
            if is_told {
                table.told(0, 200, *peer, address(host));
            } else {
                table.found(0, *peer, address(host), FoundBy::Remembered);
            }
        }
        let first = table.dialled(0);
        assert_eq!(first.len(), 1, "told: {is_told}");
        assert_eq!(table.dialled(0), [], "it may lead to a link");
        // It leads nowhere: the node is as alone as before.
        table.failed(1, first[0], false);
        assert_eq!(table.dialled(1).len(), 1, "told: {is_told}");
    }
    // With a link there is something to spread, and whoever was connected before waits as ever.
    let mut table = Table::new(me);
    table.connected(0, others[0], address(0), Direction::In);
    for (host, peer) in others.iter().enumerate().skip(1) {
        table.told(0, 200, *peer, address(host));
    }
    assert_eq!(table.dialled(0), []);
    let mut table = Table::new(me);
    table.found(0, others[0], address(0), FoundBy::Remembered);
    table.connected(0, others[0], address(0), Direction::Out);
    table.tell(1_000, Fact::Disconnected(others[0]));
    assert_eq!(table.dialled(1_000), []);
}

#[test]
fn whoever_called_in_is_dialled_when_it_is_gone() {
    let (me, others) = ids(1);
    let mut table = Table::new(me);
    table.found(0, others[0], address(0), FoundBy::Inbound);
    table.connected(0, others[0], address(0), Direction::In);
    assert!(table.dialled(0).is_empty());
    table.tell(1_000, Fact::Disconnected(others[0]));
    assert_eq!(table.dialled(1_000 + BACKOFF_MIN_MS + JITTER_MS), [others[0]]);
}

#[test]
fn an_address_named_without_an_identity_stays_an_address_whoever_is_there() {
    let (me, others) = ids(2);
    let mut table = Table::new(me);
    table.tell(0, Fact::Typed(address(9)));
    assert_eq!(table.dials(0), [(None, vec![address(9)])]);
    table.connected(0, others[0], address(9), Direction::Out);
    assert_eq!(table.dialer.found_by(&others[0]), Some(FoundBy::Manual));
    assert!(table.dials(60_000).is_empty(), "it is connected");
    // The node there is set up anew: it has another key.
    table.tell(60_000, Fact::Disconnected(others[0]));
    assert_eq!(table.dials(62_000), [(None, vec![address(9)])]);
    table.connected(62_000, others[1], address(9), Direction::Out);
    assert!(table.dials(120_000).is_empty());
    // Banned is banned.
    table.tell(180_000, Fact::Disconnected(others[1]));
    table.tell(180_000, Fact::Forget(others[1]));
    assert!(table.dials(240_000).is_empty());
}
