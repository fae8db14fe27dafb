//! Peer exchange: the part alone, by table, then whole engines that tell each other.

use super::world::{World, address};
use crate::chain::NetworkParams;
use crate::contract::{Direction, Event, FoundBy};
use crate::engine::parts::dial::OWN_LINKS;
use crate::engine::parts::exchange::{
    ANSWERS, ASK_PAUSE_MAX_MS, ASK_PAUSE_MIN_MS, Exchange, Fact, Order, may_be_dialled,
};
use crate::engine::parts::remembered::{Placement, REMEMBERED_MAX, Reason, Remembered};
use crate::engine::{Input, NetFact};
use crate::types::prefix::Prefix;
use crate::types::{Address, PeerId, PublicKey, SecretKey, Time};
use crate::wire::{Request, Response, ToldPeer};

fn public(number: u8) -> PublicKey {
    SecretKey::from_seed([number; 32]).public()
}

fn id(number: u8) -> PeerId {
    public(number).peer_id()
}

fn read(text: &str) -> Address {
    Address::parse(text).unwrap().0
}

fn at(ms: u64) -> Time {
    Time::from_ms(9_000_000 + ms)
}

/// What the network tells of a peer that calls in, before its connection.
pub(super) fn calls_in(peer: PeerId, address: Address) -> NetFact {
    NetFact::Found {
        peer,
        from: address.ip(),
        address,
        by: FoundBy::Inbound,
    }
}

fn told(number: u8, addresses: &[&str]) -> ToldPeer {
    ToldPeer {
        key: *public(number).as_bytes(),
        addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
    }
}

fn answered(peer: PeerId, list: Vec<ToldPeer>) -> Fact {
    Fact::Answered {
        peer,
        list,
        own: Vec::new(),
        networks: Vec::new(),
    }
}

fn confirmed(peer: PeerId, address: Address, direction: Direction) -> Fact {
    Fact::Confirmed {
        peer,
        address,
        direction,
    }
}

fn orders(exchange: &mut Exchange) -> Vec<Order> {
    std::iter::from_fn(|| exchange.poll_output()).collect()
}

/// Peers 1 to `count`, connected and confirmed.
fn with_peers(count: u8) -> Exchange {
    let mut exchange = Exchange::new(id(0), 1, true);
    for number in 1..=count {
        let (peer, address) = (id(number), read(&format!("/ip4/10.0.0.{number}/tcp/4001")));
        exchange.handle(at(0), confirmed(peer, address, Direction::In));
        exchange.handle(at(0), Fact::Exchanged(peer));
    }
    exchange
}

fn tick(exchange: &mut Exchange, ms: u64, own_links: usize) -> Vec<Order> {
    exchange.handle(at(ms), Fact::Tick { own_links });
    orders(exchange)
}

#[test]
fn nobody_is_told_of_himself_nor_of_who_came_by_loopback_or_was_never_confirmed() {
    let mut exchange = with_peers(2);
    let (peer, address) = (id(3), read("/ip4/127.0.0.1/tcp/4001"));
    exchange.handle(at(0), confirmed(peer, address, Direction::In));
    exchange.handle(at(0), Fact::Exchanged(id(4)));
    assert_eq!(
        exchange.answer(at(0), id(1)),
        Some(vec![told(2, &["/ip4/10.0.0.2/tcp/4001"])])
    );
}

#[test]
fn thirty_two_of_many_are_told_at_random_each_with_four_addresses() {
    let mut exchange = with_peers(50);
    for host in 100..120 {
        let (peer, address) = (id(7), read(&format!("/ip4/10.0.0.{host}/tcp/4001")));
        exchange.handle(at(0), confirmed(peer, address, Direction::In));
    }
    let mut answers = Vec::new();
    for asker in 60..70 {
        let answer = exchange.answer(at(0), id(asker)).unwrap();
        assert_eq!(answer.len(), 32);
        assert!(answer.iter().all(|peer| peer.addresses.len() <= 4));
        let encoded = Response::Peers(answer.clone()).encode();
        assert_eq!(Response::decode(&encoded), Ok(Response::Peers(answer.clone())));
        answers.push(answer);
    }
    assert!(answers.windows(2).any(|pair| pair[0] != pair[1]));
}

#[test]
fn those_that_called_in_are_told_and_of_the_others_as_many_as_make_eight() {
    for (called, dialled, told_called, told_dialled) in [(0, 20, 0, 8), (5, 20, 5, 3), (9, 20, 9, 0), (40, 20, 32, 0)] {
        let mut exchange = with_peers(called);
        for number in 100..100 + dialled {
            let (peer, address) = (id(number), read(&format!("/ip4/10.0.0.{number}/tcp/4001")));
            exchange.handle(at(0), confirmed(peer, address, Direction::Out));
        }
        let answer = exchange.answer(at(0), id(200)).unwrap();
        let has_called = |peer: &&ToldPeer| (1..=called).any(|number| told(number, &[]).key == peer.key);
        let count = answer.iter().filter(has_called).count();
        assert_eq!((count, answer.len() - count), (told_called, told_dialled));
    }
}

#[test]
fn others_are_not_told_of_a_host_that_a_peer_has_left() {
    let mut exchange = with_peers(0);
    let (old, new) = (read("/ip4/10.0.0.7/tcp/4001"), read("/ip4/10.0.0.8/tcp/4001"));
    exchange.handle(at(0), confirmed(id(7), old.clone(), Direction::Out));
    exchange.handle(at(1), confirmed(id(7), new.clone(), Direction::Out));
    exchange.handle(at(2), moved(7, old, &new));
    let answer = exchange.answer(at(3), id(9)).unwrap();
    assert_eq!(answer[0].addresses, [new.as_str()]);
    // It has moved. Only two nodes are told of each other.
    assert_eq!(exchange.answer(at(3), id(7)), Some(Vec::new()));
}

fn moved(number: u8, address: Address, to: &Address) -> Fact {
    Fact::Left {
        peer: id(number),
        address,
        to: to.clone(),
    }
}

#[test]
fn adv_w07_each_of_two_nodes_with_one_key_is_told_where_the_other_one_is() {
    let mut exchange = with_peers(0);
    let [one, two] = [7, 8].map(|host| read(&format!("/ip4/10.0.0.{host}/tcp/4001")));
    exchange.handle(at(0), confirmed(id(7), one.clone(), Direction::Out));
    exchange.handle(at(1), confirmed(id(7), two.clone(), Direction::Out));
    exchange.handle(at(1), moved(7, one.clone(), &two));
    exchange.handle(at(1), Fact::Twins(id(7)));
    let answer = exchange.answer(at(2), id(7));
    assert_eq!(answer, Some(vec![told(7, &[one.as_str()])]));
    exchange.handle(at(3), confirmed(id(7), one.clone(), Direction::Out));
    exchange.handle(at(3), moved(7, two.clone(), &one));
    let answer = exchange.answer(at(60_000), id(7));
    assert_eq!(answer, Some(vec![told(7, &[two.as_str()])]));
    assert_eq!(exchange.answer(at(60_000), id(9)), Some(vec![told(7, &[one.as_str()])]));
    // What is told may be dialled once by who has the key, if an address is one that a telling may send it to.
    let order = |list: Vec<ToldPeer>| {
        let mut asker = Exchange::new(id(7), 1, true);
        asker.handle(
            at(0),
            Fact::Answered {
                peer: id(1),
                list,
                own: vec![one.clone()],
                networks: Vec::new(),
            },
        );
        orders(&mut asker)
    };
    let refused = [
        one.as_str(),
        "/ip4/10.0.0.9/tcp/22",
        "/ip4/127.0.0.1/tcp/4001",
        "/ip4/8.8.8.8/tcp/4001",
    ];
    assert_eq!(order(vec![told(7, &refused)]), []);
    assert_eq!(order(vec![told(7, &[one.as_str(), two.as_str()])]), [Order::Twin(two)]);
}

#[test]
fn a_peer_is_answered_twice_a_minute() {
    let mut exchange = with_peers(3);
    let mut answered = 0;
    for second in 0..600 {
        answered += u32::from(exchange.answer(at(second * 1_000), id(1)).is_some());
    }
    assert_eq!(answered, 21, "two at once, then one each half minute");
    assert!(
        exchange.answer(at(600_000), id(2)).is_some(),
        "others have their own share"
    );
    assert!(exchange.answer(at(600_000 + ANSWERS.period_ms), id(1)).is_some());
}

#[test]
fn peers_are_asked_ever_more_rarely_and_only_while_links_are_missing() {
    let mut exchange = with_peers(1);
    let mut asked = Vec::new();
    for second in 0..7_200 {
        let own_links = if second < 3_600 { 1 } else { OWN_LINKS };
        if !tick(&mut exchange, second * 1_000, own_links).is_empty() {
            asked.push(second * 1_000);
            exchange.handle(at(second * 1_000), Fact::Failed(id(1)));
        }
    }
    let pauses: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses[0], ASK_PAUSE_MIN_MS);
    assert!(pauses.windows(2).all(|pair| pair[1] >= pair[0]));
    assert!(pauses.iter().all(|pause| *pause <= ASK_PAUSE_MAX_MS));
    assert_eq!(asked.len(), 6, "{asked:?}");
}

#[test]
fn whoever_lost_a_neighbour_asks_the_others_anew() {
    let mut exchange = with_peers(2);
    assert_eq!(tick(&mut exchange, 1_000, 2).len(), 2);
    for peer in [id(1), id(2)] {
        exchange.handle(at(1_000), Fact::Failed(peer));
    }
    exchange.handle(at(2_000), Fact::Disconnected(id(1)));
    assert!(tick(&mut exchange, 30_000, 1).is_empty());
    assert_eq!(tick(&mut exchange, 31_500, 1), [Order::Ask(id(2))]);
}

#[test]
fn without_exchange_nobody_is_asked_and_no_telling_is_taken() {
    let mut exchange = Exchange::new(id(0), 1, false);
    exchange.handle(at(0), Fact::Exchanged(id(1)));
    assert!(tick(&mut exchange, 60_000, 0).is_empty());
    assert_eq!(exchange.next_wakeup(), None);
    let list = vec![told(5, &["/ip4/10.0.0.5/tcp/4001"])];
    exchange.handle(at(0), answered(id(1), list));
    assert_eq!(orders(&mut exchange), []);
}

#[test]
fn adv_d13_a_telling_leads_to_no_service_no_stranger_and_not_to_this_node() {
    let own = [read("/ip4/10.0.0.1/tcp/4001"), read("/ip4/130.149.5.5/tcp/4141")];
    let networks = [Prefix::new("130.149.5.5".parse().unwrap(), 17)];
    let here = (&own[..], &networks[..]);
    for fine in [
        "/ip4/10.0.0.2/tcp/4001",
        "/ip4/10.0.0.1/tcp/4002",
        "/ip4/172.16.0.9/tcp/1024",
        "/ip4/192.168.3.4/tcp/65535",
        "/ip4/100.64.0.1/tcp/4141",
        "/ip4/130.149.7.9/tcp/4141",
        "/ip6/fd00::5/tcp/4141",
    ] {
        assert!(may_be_dialled(&read(fine), here), "{fine}");
    }
    for refused in [
        "/ip4/10.0.0.1/tcp/4001",
        "/ip4/127.0.0.1/tcp/4001",
        "/ip6/::1/tcp/4001",
        "/ip4/0.0.0.0/tcp/4001",
        "/ip6/::/tcp/4001",
        "/ip4/224.0.0.1/tcp/4001",
        "/ip4/239.1.1.1/tcp/4001",
        "/ip6/ff02::1/tcp/4001",
        "/ip4/255.255.255.255/tcp/4001",
        "/ip4/169.254.1.1/tcp/4001",
        "/ip6/fe80::1/tcp/4001",
        "/ip6/::ffff:8.8.8.8/tcp/4001",
        "/ip4/10.0.0.2/tcp/22",
        "/ip4/10.0.0.2/tcp/1023",
        "/ip4/10.0.0.2/tcp/9100",
        "/ip4/10.0.0.2/udp/4001/quic-v1",
        "/dns4/printer.local/tcp/4001",
        "/dns/victim.example/tcp/4001",
        "/ip4/8.8.8.8/tcp/4001",
        "/ip4/130.149.200.9/tcp/4141",
        "/ip6/2001:db8::1/tcp/4141",
    ] {
        assert!(!may_be_dialled(&read(refused), here), "{refused}");
    }
}

#[test]
fn what_is_no_key_no_address_or_known_is_passed_over() {
    let mut exchange = with_peers(2);
    let list = vec![
        told(0, &["/ip4/10.0.0.50/tcp/4001"]),
        told(2, &["/ip4/10.0.0.51/tcp/4001"]),
        told(9, &["nowhere", "/ip4/127.0.0.1/tcp/4001"]),
        ToldPeer {
            key: [0; 32],
            addresses: vec!["/ip4/10.0.0.52/tcp/4001".into()],
        },
        told(10, &["nowhere", "/ip4/10.0.0.53/tcp/4001"]),
    ];
    let teller = id(1);
    exchange.handle(at(0), answered(teller, list));
    let good = Order::Told {
        teller,
        peer: id(10),
        addresses: vec![read("/ip4/10.0.0.53/tcp/4001")],
    };
    // Under its own key a node is told of another one that has it.
    let twin = Order::Twin(read("/ip4/10.0.0.50/tcp/4001"));
    assert_eq!(orders(&mut exchange), [twin, good]);
}

// ---- who is remembered ----

#[test]
fn a_hundred_and_thirty_three_passing_identities_push_out_nobody_whom_the_user_named() {
    let number = |n: usize| {
        let mut seed = [9; 32];
        seed[..8].copy_from_slice(&u64::try_from(n).unwrap().to_be_bytes());
        SecretKey::from_seed(seed).public().peer_id()
    };
    for seed in 0..50 {
        let mut remembered = Remembered::new(core::iter::empty(), seed);
        let present = |_: &PeerId| false;
        assert_eq!(remembered.add(number(0), Reason::Named, present), Placement::Kept);
        let mut kept = vec![number(0)];
        for passing in 1..=133 {
            let reason = if passing % 2 == 0 {
                Reason::Dialled
            } else {
                Reason::Called
            };
            match remembered.add(number(passing), reason, present) {
                Placement::Kept => kept.push(number(passing)),
                Placement::InPlaceOf(gone) => {
                    kept.retain(|peer| *peer != gone);
                    kept.push(number(passing));
                }
                Placement::Refused => {}
            }
        }
        assert_eq!((kept[0], kept.len()), (number(0), REMEMBERED_MAX), "seed {seed}");
    }
}

#[test]
fn those_of_an_earlier_run_make_room_for_named_ones_or_when_they_are_gone() {
    let earlier = || Remembered::new((1..=64).map(id), 1);
    let mut remembered = earlier();
    for reason in [Reason::Called, Reason::Dialled] {
        assert_eq!(remembered.add(id(100), reason, |_| false), Placement::Refused);
    }
    let gone = remembered.add(id(100), Reason::Dialled, |peer| *peer == id(7));
    assert_eq!(gone, Placement::InPlaceOf(id(7)));
    let named = earlier().add(id(101), Reason::Named, |_| false);
    assert!(matches!(named, Placement::InPlaceOf(_)));
}

// ---- engines ----

fn world(count: usize) -> World {
    World::with(count, NetworkParams::dev(), |config| config.exchange = true)
}

fn peer_counts(world: &World) -> Vec<u64> {
    (0..world.nodes.len()).map(|node| world.peers(node)).collect()
}

#[test]
fn three_hosts_of_whom_two_dial_the_third_become_a_triangle_and_survive_its_end() {
    let mut world = world(3);
    world.link(0, 2);
    world.link(1, 2);
    world.until(10_000, |world| peer_counts(world) == [2, 2, 2]);
    let told = |event: &Event| matches!(event, Event::PeerFound { found_by, .. } if *found_by == FoundBy::Told);
    assert!(world.count(0, told) + world.count(1, told) >= 1);
    for other in [0, 1] {
        world.split(2, other);
    }
    world.run(30_000);
    assert_eq!(peer_counts(&world)[..2], [1, 1]);
    world.mine(0, 1);
    world.until(5_000, |world| world.height(1) == 1);
}

#[test]
fn a_line_of_twelve_becomes_a_net_of_eight_own_links_at_most() {
    let mut world = world(12);
    for node in 1..12 {
        world.link(node - 1, node);
    }
    world.until(120_000, |world| peer_counts(world).iter().all(|peers| *peers >= 6));
    let own = |node: &super::world::Node| node.engine.own_links();
    assert!(world.nodes.iter().all(|node| own(node) <= OWN_LINKS + 1));
}

#[test]
fn without_exchange_a_star_stays_a_star() {
    let mut world = World::new(3);
    world.link(0, 2);
    world.link(1, 2);
    world.run(120_000);
    assert_eq!(peer_counts(&world), [1, 1, 2]);
}

#[test]
fn whoever_asks_for_peers_too_often_is_told_that_this_node_is_busy() {
    let mut world = world(2);
    world.link(0, 1);
    world.run(1_000);
    let peer = world.nodes[1].peer;
    for token in 0..100 {
        let request = Request::GetPeers;
        let token = 5_000_000 + token;
        world.tell(0, Input::Net(NetFact::Request { token, peer, request }));
    }
    let busy = |(_, answer): &&(u64, Response)| *answer == Response::Busy;
    assert!(world.nodes[0].answers.iter().filter(busy).count() >= 98);
    assert_eq!(world.peers(0), 1, "that alone closes no connection");
}

#[test]
fn adv_d13_who_tells_lies_about_peers_costs_dials_and_keeps_nobody_apart() {
    let mut world = world(4);
    // Node 3 tells of sixty-four peers that are not there; the honest ones know each other through node 2.
    let mut turn = 0_u8;
    world.nodes[3].script = Some(Box::new(move |request| match request {
        Request::GetPeers | Request::GetTransactions { .. } => {
            let addresses: Vec<String> = (0..32)
                .map(|host| format!("/ip4/10.9.{turn}.{}/tcp/4001", host + 1))
                .collect();
            turn += 1;
            let list = addresses
                .iter()
                .zip(100..)
                .map(|(text, number)| told(number + turn, &[text]));
            Some(Response::Peers(list.collect()))
        }
        _ => None,
    }));
    world.link(0, 3);
    world.link(1, 3);
    world.run(2_000);
    world.link(0, 2);
    world.link(1, 2);
    world.until(20_000, |world| world.peers(0) == 3 && world.peers(1) == 3);
    world.run(600_000);
    let dials = world.nodes[0].kinds.iter().filter(|kind| **kind == "dial").count();
    assert!(dials <= 6 * 32 + 4, "{dials} dials in ten minutes");
}

/// A room in which everybody hears everybody is cut in halves, each half mines, the halves can reach each other again.
fn cut_and_healed(half: usize, liars: bool) -> (u64, Vec<u64>) {
    let mut world = World::with(2 * half, NetworkParams::dev(), |config| config.exchange = true);
    let hear = |world: &mut World| {
        for node in 0..2 * half {
            for other in 0..2 * half {
                let found = NetFact::Found {
                    peer: world.nodes[other].peer,
                    address: address(other),
                    by: FoundBy::Mdns,
                    from: address(other).ip(),
                };
                world.tell(node, Input::Net(found));
                if liars && other % 2 == 0 {
                    let text = format!("/ip4/10.0.9.{}/tcp/4001", other + 1);
                    let found = NetFact::Found {
                        peer: id(200 - u8::try_from(other / 2).unwrap()),
                        address: read(&text),
                        by: FoundBy::Mdns,
                        from: read(&text).ip(),
                    };
                    world.tell(node, Input::Net(found));
                }
            }
        }
    };
    hear(&mut world);
    world.run(15_000);
    for a in 0..half {
        for b in half..2 * half {
            world.split(a, b);
        }
    }
    for _ in 0..3 {
        world.run(10_000);
        hear(&mut world);
    }
    world.mine(0, 2);
    world.mine(half, 3);
    world.run(10_000);
    let tips = |world: &World| {
        (0..2 * half)
            .map(|node| world.tip(node))
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(tips(&world).len(), 2, "each half has its own");
    world.cut.clear();
    let began = world.now.ms();
    world.until(20_000, |world| tips(world).len() == 1);
    let took = world.now.ms() - began;
    (took, peer_counts(&world))
}

#[test]
fn a_room_cut_in_halves_agrees_within_twenty_seconds_of_its_mending() {
    let (took, peers) = cut_and_healed(10, false);
    println!("one tip after {took} ms, peers {peers:?}");
}

#[test]
fn a_room_cut_in_halves_agrees_in_time_though_half_of_the_candidates_are_lies() {
    let (took, peers) = cut_and_healed(10, true);
    println!("one tip after {took} ms, peers {peers:?}");
}
