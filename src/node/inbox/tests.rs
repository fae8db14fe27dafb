//! The lanes before the engine: what overtakes what, and whose turn it is.

use super::*;
use crate::contract::Direction;
use crate::types::Address;

fn listening(port: usize) -> NetFact {
    let (address, _) = Address::parse(&format!("127.0.0.1:{}", port + 1)).unwrap();
    NetFact::Listening(address)
}

fn gossip(peer: PeerId, topic: Topic, token: u64) -> NetFact {
    let bytes = Vec::new();
    NetFact::Gossip {
        token,
        peer,
        topic,
        bytes,
    }
}

fn tokens(inbox: &Inbox) -> Vec<u64> {
    let mut list = Vec::new();
    while let Taken::Input(input) = inbox.take(Lanes::All, Duration::ZERO) {
        match input {
            Input::Net(NetFact::Gossip { token, .. } | NetFact::Request { token, .. }) => list.push(token),
            other => panic!("{other:?}"),
        }
    }
    list
}

#[test]
fn disk_and_commands_overtake_a_full_network_lane() {
    let inbox = Inbox::default();
    for port in 0..NET_LANE_MAX {
        inbox.push_net(listening(port)).unwrap();
    }
    assert!(inbox.push_net(listening(0)).is_err());
    inbox.push(Input::Stop);
    inbox.push_disk(StoreFact::Reopened);
    let next = |lanes| inbox.take(lanes, Duration::ZERO);
    assert!(matches!(next(Lanes::All), Taken::Input(Input::Store(_))));
    assert!(matches!(next(Lanes::DiskOnly), Taken::Nothing));
    assert!(matches!(next(Lanes::All), Taken::Input(Input::Stop)));
    assert!(matches!(next(Lanes::All), Taken::Input(Input::Net(_))));
    assert!(inbox.push_net(listening(0)).is_ok());
}

#[test]
fn blocks_overtake_payments_and_questions() {
    let (inbox, peer) = (Inbox::default(), PeerId::random());
    let request = Request::GetPending { after: [0; 32] };
    inbox.push_net(gossip(peer, Topic::Transactions, 1)).unwrap();
    let token = 2;
    inbox.push_net(NetFact::Request { token, peer, request }).unwrap();
    inbox.push_net(gossip(peer, Topic::Blocks, 3)).unwrap();
    assert_eq!(tokens(&inbox)[0], 3);
}

#[test]
fn a_flood_of_payments_delays_another_neighbours_by_one_message_and_never_fills_the_lane() {
    let (inbox, flood, honest) = (Inbox::default(), PeerId::random(), PeerId::random());
    let refused = (0..5_000).filter(|n| inbox.push_net(gossip(flood, Topic::Transactions, *n)).is_err());
    assert!(refused.count() > 4_000);
    inbox.push_net(gossip(honest, Topic::Transactions, 9_999)).unwrap();
    assert!(inbox.push_net(gossip(flood, Topic::Transactions, 1)).is_err());
    let place = tokens(&inbox).iter().position(|token| *token == 9_999);
    assert!(place.is_some_and(|place| place <= 1), "{place:?}");
}

fn connected(peer: PeerId, text: &str) -> NetFact {
    NetFact::Connected {
        peer,
        address: Address::parse(text).unwrap().0,
        direction: Direction::In,
    }
}

#[test]
fn thirty_one_identities_of_one_address_have_one_turn_and_those_of_this_machine_have_theirs() {
    for (text, place_max) in [("/ip4/10.0.0.7/tcp/1", 1), ("/ip4/127.0.0.1/tcp/1", 31)] {
        let inbox = Inbox::default();
        let flood: Vec<PeerId> = (0..31).map(|_| PeerId::random()).collect();
        flood
            .iter()
            .for_each(|peer| inbox.push_net(connected(*peer, text)).unwrap());
        let honest = PeerId::random();
        inbox.push_net(connected(honest, "/ip4/10.0.0.8/tcp/1")).unwrap();
        while !inbox.is_heard() {
            let _ = inbox.take(Lanes::All, Duration::ZERO);
        }
        for n in 0..2_000 {
            let _ = inbox.push_net(gossip(flood[n % 31], Topic::Transactions, 1));
        }
        inbox.push_net(gossip(honest, Topic::Transactions, 9_999)).unwrap();
        let place = tokens(&inbox).iter().position(|token| *token == 9_999).unwrap();
        assert!(place <= place_max, "{text}: {place}");
    }
}

#[test]
fn who_floods_behind_a_router_leaves_room_for_the_others_behind_it() {
    let inbox = Inbox::default();
    let [flood, honest] = [PeerId::random(), PeerId::random()];
    for peer in [flood, honest] {
        inbox.push_net(connected(peer, "/ip4/10.0.0.7/tcp/1")).unwrap();
    }
    while !inbox.is_heard() {
        let _ = inbox.take(Lanes::All, Duration::ZERO);
    }
    for _ in 0..2_000 {
        let _ = inbox.push_net(gossip(flood, Topic::Transactions, 1));
    }
    inbox.push_net(gossip(honest, Topic::Transactions, 9_999)).unwrap();
    let place = tokens(&inbox).iter().position(|token| *token == 9_999).unwrap();
    assert!(place <= 1, "{place}");
}

#[test]
fn questions_and_payments_take_turns() {
    let (inbox, peer) = (Inbox::default(), PeerId::random());
    for token in 0..3 {
        let request = Request::GetPending { after: [0; 32] };
        inbox.push_net(NetFact::Request { token, peer, request }).unwrap();
        inbox.push_net(gossip(peer, Topic::Transactions, 10 + token)).unwrap();
    }
    assert_eq!(tokens(&inbox), [10, 0, 11, 1, 12, 2]);
}

#[test]
fn what_was_read_counts_as_heard_only_when_all_before_it_was_taken() {
    let inbox = Inbox::default();
    let start = Instant::now();
    let read = |ms| start + Duration::from_millis(ms);
    inbox.push_read(read(10), listening(1)).unwrap();
    inbox.push_read(read(20), listening(2)).unwrap();
    // A payment that was read later waits behind and says nothing about answers.
    inbox
        .push_read(read(5), gossip(PeerId::random(), Topic::Transactions, 1))
        .unwrap();
    let heard = || inbox.next(Lanes::All, Duration::ZERO).1;
    assert!(!inbox.is_heard());
    assert_eq!((heard(), heard()), (Heard::Before(read(10)), Heard::Before(read(20))));
    assert!(inbox.is_heard());
    assert_eq!(heard(), Heard::All);
}

#[test]
fn an_answer_that_found_no_room_keeps_deadlines_from_passing() {
    let inbox = Inbox::default();
    (0..NET_LANE_MAX).for_each(|port| inbox.push_net(listening(port)).unwrap());
    assert!(inbox.push_net(listening(0)).is_err());
    while let Taken::Input(_) = inbox.take(Lanes::All, Duration::ZERO) {}
    assert!(!inbox.is_heard(), "one waits outside");
    assert_eq!(inbox.next(Lanes::All, Duration::ZERO).1, Heard::NotAll);
    inbox.push_net(listening(0)).unwrap();
    assert!(matches!(inbox.take(Lanes::All, Duration::ZERO), Taken::Input(_)));
    assert!(inbox.is_heard());
}
