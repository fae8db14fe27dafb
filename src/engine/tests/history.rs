//! `history`: what it lists, in which order, and that its changes add up to the balances.

use super::world::World;
use crate::contract::{AccountRef, Command, HistoryEntry, HistoryView, Reply, TxStatus};
use crate::testing::keys::{account, name};
use crate::types::Account;

fn history(world: &mut World, node: usize, whose: Option<&str>, limit: u32) -> HistoryView {
    let whose = whose.map(|whose| match whose {
        "me" => AccountRef::Me,
        whose => AccountRef::Account(account(whose)),
    });
    let asked = Command::History { account: whose, limit };
    match world.ask(node, asked) {
        Ok(Reply::History(view)) => *view,
        other => panic!("{other:?}"),
    }
}

/// A whole history: each balance is that before plus the change, and the last one before all is 0.
fn whole(world: &mut World, node: usize, whose: Option<&str>) -> Vec<HistoryEntry> {
    let view = history(world, node, whose, 1_000);
    assert_eq!(usize::try_from(view.total), Ok(view.entries.len()));
    let mut sum = 0;
    for entry in view.entries.iter().rev() {
        sum += entry.change;
        assert_eq!(entry.balance, sum, "{entry:?} of {whose:?}");
    }
    view.entries
}

/// Kind, change and status of each entry.
fn told(entries: &[HistoryEntry]) -> Vec<(&'static str, i64, bool)> {
    let is_confirmed = |entry: &HistoryEntry| entry.status == TxStatus::Confirmed;
    let told = entries
        .iter()
        .map(|entry| (entry.kind, entry.change, is_confirmed(entry)));
    told.collect()
}

#[test]
fn an_accounts_history_has_its_payments_rewards_and_claims_the_newest_first() {
    let mut world = World::new(1);
    world.mine(0, 1);
    world.ask(0, Command::Claim(name("carol"))).unwrap();
    world.pay(0, "alice", "bob", 5).unwrap();
    world.mine(0, 1);
    world.pay(0, "alice", "carol", 2).unwrap();
    assert_eq!(
        told(&whole(&mut world, 0, Some("alice"))),
        [("transfer", -2, false), ("transfer", -5, true)]
    );
    assert_eq!(
        told(&whole(&mut world, 0, Some("carol"))),
        [("transfer", 2, false), ("claim", 0, true)]
    );
    assert_eq!(
        told(&whole(&mut world, 0, Some("me"))),
        [("reward", 1, true), ("reward", 1, true)]
    );
    assert_eq!(told(&whole(&mut world, 0, Some("nosuch"))), []);
    let entries = whole(&mut world, 0, Some("bob"));
    assert_eq!(told(&entries), [("transfer", 5, true)]);
    assert_eq!(
        (entries[0].from.as_str(), &entries[0].to),
        ("alice", &Some(account("bob")))
    );
    assert_eq!(
        (entries[0].height, entries[0].block_hash),
        (Some(crate::types::Height::new(2)), Some(world.tip(0)))
    );
}

#[test]
fn all_that_a_node_owns_is_one_history_in_which_payments_between_own_accounts_change_nothing() {
    let mut world = World::new(2);
    world.mine(0, 1);
    world.ask(0, Command::Claim(name("carol"))).unwrap();
    world.pay(0, "alice", "bob", 5).unwrap();
    world.mine(0, 1);
    world.pay(0, "alice", "carol", 2).unwrap();
    // Another node's payment to nobody's name, and one from a name whose first signature waits.
    world.pay(0, "erna", "bob", 3).unwrap();
    let entries = whole(&mut world, 0, None);
    let mut waiting = told(&entries[..2]);
    waiting.sort_unstable();
    assert_eq!(waiting, [("transfer", -3, false), ("transfer", 0, false)]);
    let mut confirmed = told(&entries[2..5]);
    confirmed.sort_unstable();
    assert_eq!(
        confirmed,
        [("claim", 0, true), ("reward", 1, true), ("transfer", -5, true)]
    );
    assert_eq!(told(&entries[5..]), [("reward", 1, true)]);
    assert_eq!(entries[0].balance, -6);
    world.mine(0, 1);
    let entries = whole(&mut world, 0, None);
    assert_eq!((entries.len(), entries[0].balance), (7, -5));
    assert!(entries.iter().all(|entry| entry.status == TxStatus::Confirmed));
}

#[test]
fn a_short_list_has_the_newest_entries_with_their_balances_and_the_number_of_all() {
    let mut world = World::new(1);
    for amount in 1..=6 {
        world.pay(0, "alice", "bob", amount).unwrap();
        if amount % 2 == 0 {
            world.mine(0, 1);
        }
    }
    world.pay(0, "alice", "bob", 7).unwrap();
    let all = whole(&mut world, 0, Some("bob"));
    for limit in 1..=8 {
        let view = history(&mut world, 0, Some("bob"), limit);
        let shown = all
            .iter()
            .take(usize::try_from(limit).unwrap())
            .cloned()
            .collect::<Vec<_>>();
        assert_eq!((view.total, view.entries), (7, shown), "the newest {limit}");
    }
}

#[test]
fn a_waiting_payment_has_the_time_when_it_was_first_seen_and_a_confirmed_one_its_blocks() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.pay(0, "alice", "bob", 5).unwrap();
    world.until(5_000, |world| world.nodes[1].engine.status().pending == 1);
    let seen = history(&mut world, 1, Some("bob"), 9).entries[0].time_ms;
    world.run(5_000);
    assert_eq!(
        history(&mut world, 1, Some("bob"), 9).entries[0].time_ms,
        seen,
        "it stays that time"
    );
    assert!(seen.ms() + 5_000 <= world.now.ms(), "{seen:?}");
    world.mine(0, 1);
    world.until(5_000, |world| world.height(1) == 1);
    let entry = history(&mut world, 1, Some("bob"), 9).entries[0].clone();
    let Ok(Reply::Chain { blocks, .. }) = world.ask(1, Command::Chain(1)) else {
        panic!("no chain")
    };
    assert_eq!((entry.time_ms, entry.status), (blocks[0].time_ms, TxStatus::Confirmed));
}

#[test]
fn a_reorganisation_takes_lost_rewards_and_dropped_payments_out_of_the_history() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.mine(0, 1);
    world.until(5_000, |world| world.height(1) == 1);
    world.split(0, 1);
    world.pay(0, "alice", "gina", 3).unwrap();
    world.pay(0, "alice", "bob", 1).unwrap();
    world.mine(0, 1);
    assert_eq!(told(&whole(&mut world, 0, Some("gina"))), [("transfer", 3, true)]);
    assert_eq!(told(&whole(&mut world, 0, Some("me"))).len(), 2);
    world.ask(1, Command::Claim(name("gina"))).unwrap();
    world.mine(1, 3);
    world.link(0, 1);
    let tip = world.tip(1);
    world.until(20_000, |world| world.tip(0) == tip);
    assert_eq!(told(&whole(&mut world, 0, Some("gina"))), [("claim", 0, true)]);
    assert_eq!(told(&whole(&mut world, 0, Some("me"))).len(), 1);
    let owner = Account::Key(super::kit::key(1).public());
    let Ok(Reply::History(view)) = world.ask(
        0,
        Command::History {
            account: Some(AccountRef::Account(owner)),
            limit: 9,
        },
    ) else {
        panic!("no history")
    };
    assert_eq!(told(&view.entries), [("reward", 1, true); 3]);
    for node in 0..2 {
        whole(&mut world, node, None);
        whole(&mut world, node, Some("alice"));
        whole(&mut world, node, Some("bob"));
    }
}

#[test]
fn the_owner_of_a_name_whose_claim_waits_is_told_and_is_its_owner_with_the_block() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.ask(0, Command::Claim(name("carol"))).unwrap();
    world.until(5_000, |world| world.nodes[1].engine.status().pending == 1);
    let owners = |world: &mut World, node: usize| {
        let asked = Command::Balance(Some(AccountRef::Account(account("carol"))));
        match world.ask(node, asked) {
            Ok(Reply::Balance {
                owner,
                pending_owner,
                pending_owner_height,
                will_be_own,
                ..
            }) => (
                owner,
                pending_owner,
                pending_owner_height.map(|height| height.get()),
                will_be_own,
            ),
            other => panic!("{other:?}"),
        }
    };
    let id = Some(world.nodes[0].peer.to_string());
    assert_eq!(owners(&mut world, 0), (None, id.clone(), Some(1), true));
    assert_eq!(owners(&mut world, 1), (None, id.clone(), Some(1), false));
    world.mine(0, 1);
    assert_eq!(owners(&mut world, 0), (id, None, None, false));
}

#[test]
fn an_own_payment_was_first_seen_at_the_restart_that_read_it_back() {
    let mut world = World::new(1);
    world.pay(0, "alice", "bob", 5).unwrap();
    world.run(5_000);
    let seen = history(&mut world, 0, None, 9).entries[0].time_ms;
    world.restart(0);
    let restarted = world.now;
    let again = history(&mut world, 0, None, 9).entries[0].time_ms;
    assert!(
        seen.ms() + 5_000 <= again.ms() && again.ms() <= restarted.ms(),
        "{seen:?}, {again:?}"
    );
}
