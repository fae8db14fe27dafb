//! Commands that wait, without an engine: what ends each.

use super::*;
use crate::testing::keys::peer;

fn address(port: u16) -> Address {
    Address::parse(&format!("/ip4/10.0.0.1/tcp/{port}")).unwrap().0
}

const fn hash(n: u8) -> BlockHash {
    BlockHash::new([n; 32])
}

/// A node with one peer at height 5, to which nothing happens.
fn with_around(now: u64, look: impl FnOnce(&mut RunsView<'_>)) {
    let known = peer(1);
    look(&mut RunsView {
        now: Time::from_ms(now),
        network: "dev",
        tip: (Height::new(5), hash(5)),
        known_peers: 1,
        is_synced: false,
        is_improving: false,
        is_dialling: false,
        ahead: None,
        address_of: &|id| (*id == known).then(|| "there".to_owned()),
        is_open: &|id| id == 7,
        is_confirmed: &|_| false,
    });
}

/// The codes of what ended; "ok" where a command reached what it waited for.
fn ended(runs: &mut Runs, now: u64, change: impl Fn(&mut RunsView<'_>)) -> Vec<(u64, &'static str)> {
    let mut ended = Vec::new();
    with_around(now, |around| {
        change(around);
        let code = |result: Result<Reply, CommandError>| result.map_or_else(|error| error.code, |_| "ok");
        ended.extend(runs.poll(around).into_iter().map(|(id, result)| (id, code(result))));
    });
    ended
}

#[test]
fn a_dial_ends_by_its_peer_by_a_final_failure_or_by_its_deadline() {
    let at = Time::from_ms(0);
    let mut runs = Runs::default();
    for id in 1..=4 {
        assert!(runs.dial(id, at, address(u16::try_from(id).unwrap()), None));
    }
    assert_eq!(ended(&mut runs, 1, |_| {}), []);
    runs.handle(Happened::Connected(peer(1), &address(1)));
    // Who answered first is who was meant.
    runs.handle(Happened::Connected(peer(2), &address(1)));
    runs.handle(Happened::DialFailed {
        peer: None,
        addresses: &[address(2)],
        reason: "no answer",
        is_final: false,
    });
    runs.handle(Happened::DialFailed {
        peer: None,
        addresses: &[address(3)],
        reason: "another network",
        is_final: true,
    });
    assert_eq!(ended(&mut runs, 2, |_| {}), [(1, "ok"), (3, "dial_failed")]);
    runs.handle(Happened::Known(peer(1), &[address(4)]));
    assert_eq!(ended(&mut runs, 3, |_| {}), [(4, "ok")]);
    assert_eq!(runs.next_wakeup(Time::from_ms(9)), Some(Time::from_ms(10_000)));
    assert_eq!(ended(&mut runs, 10_000, |_| {}), [(2, "dial_failed")]);
    assert!(runs.dial(5, at, address(5), None));
    runs.handle(Happened::NetworkFailed("it failed"));
    assert_eq!(ended(&mut runs, 1, |_| {}), [(5, "dial_failed")]);
}

#[test]
fn resolve_waits_for_answers_and_for_better_branches() {
    let mut runs = Runs::default();
    assert!(runs.resolve(1, Time::from_ms(0), vec![7]));
    assert!(runs.resolve(2, Time::from_ms(0), vec![8]));
    assert_eq!(ended(&mut runs, 1, |around| around.is_improving = true), []);
    assert_eq!(ended(&mut runs, 2, |_| {}), [(2, "ok")]);
    assert_eq!(ended(&mut runs, 9_999, |_| {}), []);
    assert_eq!(ended(&mut runs, 10_000, |_| {}), [(1, "ok")]);
}

#[test]
fn resolve_says_whether_the_chain_was_replaced_meanwhile() {
    let mut runs = Runs::default();
    assert!(runs.resolve(1, Time::from_ms(0), Vec::new()));
    runs.handle(Happened::Replaced);
    assert!(runs.resolve(2, Time::from_ms(0), Vec::new()));
    let mut replies = Vec::new();
    with_around(1, |around| replies = runs.poll(around));
    let replaced = replies.into_iter().map(|(_, reply)| match reply {
        Ok(Reply::Resolved { replaced, .. }) => replaced,
        other => panic!("{other:?}"),
    });
    assert_eq!(replaced.collect::<Vec<_>>(), [true, false]);
}

#[test]
fn wait_ends_when_its_condition_holds_or_its_time_is_over() {
    let txid = Txid::new([9; 32]);
    for (condition, holds) in [
        (Condition::Peers(1), true),
        (Condition::Peers(2), false),
        (Condition::Peers(0), false),
        (Condition::Height(Height::new(5)), true),
        (Condition::Height(Height::new(6)), false),
        (Condition::Synced, false),
        (Condition::Confirmed(txid), false),
    ] {
        let mut runs = Runs::default();
        assert!(runs.wait(1, Time::from_ms(0), condition, 2));
        let at_once = if holds { vec![(1, "ok")] } else { vec![] };
        assert_eq!(ended(&mut runs, 1_999, |_| {}), at_once, "{condition:?}");
        let late = if holds { vec![] } else { vec![(1, "timeout")] };
        assert_eq!(ended(&mut runs, 2_000, |_| {}), late, "{condition:?}");
    }
    let mut runs = Runs::default();
    assert!(runs.wait(1, Time::from_ms(0), Condition::Synced, 2));
    assert_eq!(ended(&mut runs, 1, |around| around.is_synced = true), [(1, "ok")]);
}

#[test]
fn blocks_count_for_the_oldest_mine_and_the_last_hundred_are_told() {
    let mut runs = Runs::default();
    assert!(runs.mine(3, 101) && runs.mine(4, 1) && runs.is_mining());
    for n in 1..=100 {
        assert_eq!(runs.mined(hash(n)), None);
    }
    let mined = runs.mined(hash(101)).unwrap();
    assert_eq!((mined.id, mined.count, mined.blocks.len()), (3, 101, 100));
    assert_eq!((mined.blocks[0], mined.blocks[99]), (hash(2), hash(101)));
    assert_eq!(runs.end_mining(), [4]);
    assert!(!runs.is_mining() && runs.mined(hash(1)).is_none());
}

#[test]
fn commands_that_wait_are_bounded_and_end_once() {
    let mut runs = Runs::default();
    let begun = (0..100).filter(|id| runs.mine(*id, 1)).count();
    assert_eq!(begun, RUNNING_MAX);
    assert!(runs.cancel(5).is_some() && runs.cancel(5).is_none());
    assert_eq!(runs.ids().len(), RUNNING_MAX - 1);
}

#[test]
fn work_that_is_done_elsewhere_counts_once_and_only_while_somebody_waits_for_it() {
    let mut runs = Runs::default();
    assert!(runs.errand(1) && runs.errand(2) && runs.mine(3, 1));
    assert_eq!(ended(&mut runs, 60_000, |_| {}), [], "it takes as long as it takes");
    assert!(runs.done(1) && !runs.done(1));
    assert!(runs.cancel(2).is_some() && !runs.done(2), "it was given up");
    assert!(!runs.done(3), "that is no errand");
    assert_eq!(runs.ids(), [3]);
}

#[test]
fn mine_off_ends_every_search_and_says_how_many_blocks_were_stored() {
    let mut runs = Runs::default();
    assert!(runs.mine(1, 5) && runs.mine(2, 3) && runs.errand(3));
    (0..2).for_each(|number| drop(runs.mined(hash(number))));
    let ended = runs.mining_off();
    let told: Vec<(u64, &str, &str)> = ended
        .iter()
        .map(|(id, error)| (*id, error.code, error.message.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (
                1,
                "interrupted",
                "mining was switched off: 2 of 5 blocks were mined and stored"
            ),
            (
                2,
                "interrupted",
                "mining was switched off: 0 of 3 blocks were mined and stored"
            )
        ]
    );
    assert_eq!(runs.ids(), [3], "other commands go on");
}

#[test]
fn resolve_waits_for_a_first_peer_only_while_somebody_is_dialled_and_no_longer_than_three_seconds() {
    let alone = |dials: bool, until: u64| {
        let mut runs = Runs::default();
        assert!(runs.resolve(1, Time::from_ms(0), Vec::new()));
        let around = |around: &mut RunsView<'_>| (around.is_dialling, around.known_peers) = (dials, 0);
        assert_eq!(runs.next_wakeup(Time::from_ms(0)), Some(Time::from_ms(FIRST_PEER_MS)));
        (ended(&mut runs, until, around), runs.next_wakeup(Time::from_ms(until)))
    };
    assert_eq!(alone(false, 1).0, [(1, "ok")], "nobody can be asked");
    assert_eq!(alone(true, FIRST_PEER_MS - 1).0, []);
    assert_eq!(alone(true, FIRST_PEER_MS).0, [(1, "ok")]);
    let mut runs = Runs::default();
    assert!(runs.resolve(1, Time::from_ms(0), Vec::new()));
    assert_eq!(ended(&mut runs, 1, |around| around.known_peers = 1), [(1, "ok")]);
}
