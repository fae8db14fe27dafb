//! Ledger entries that a long switch left beside the ledger: visible at once, and moved to their places later.

use super::*;
use crate::chain::{Beside, ChainStore};
use crate::store::RedbStore;

type Entries = std::collections::BTreeMap<Account, Option<AccountState>>;

fn state(balance: i64) -> AccountState {
    AccountState {
        balance,
        ..AccountState::default()
    }
}

fn entries(list: &[(&str, Option<i64>)]) -> Entries {
    let list = list.iter();
    list.map(|(text, balance)| (name(text), balance.map(state))).collect()
}

fn accounts(list: &[(&str, Option<i64>)]) -> Batch {
    Batch {
        accounts: entries(list),
        ..Batch::default()
    }
}

fn beside(beside: Beside, list: &[(&str, Option<i64>)]) -> Batch {
    Batch {
        beside,
        shadow: entries(list),
        ..Batch::default()
    }
}

/// Checks that every kind of read gives this ledger, and that nothing is left beside it.
fn check(store: &RedbStore, shown: &[(&str, i64)], when: usize) {
    let all = shown.iter().map(|(text, balance)| (name(text), state(*balance)));
    let all: Vec<_> = all.collect();
    let total = u64::try_from(all.len()).unwrap();
    for limit in 0..=all.len() {
        assert_eq!(
            store.accounts(limit),
            Ok((total, all[..limit].to_vec())),
            "after {when}"
        );
    }
    for text in ["a", "b", "c", "d", "e", "x"] {
        let entry = shown.iter().find(|(known, _)| *known == text);
        let entry = entry.map(|(_, balance)| state(*balance));
        assert_eq!(store.account(&name(text)), Ok(entry), "after {when}");
        assert_eq!(store.shadow(&name(text)), Ok(None));
    }
}

#[test]
fn what_joined_the_ledger_is_put_in_its_place_some_at_a_time_and_nobody_sees_when() {
    let params = NetworkParams::dev();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.redb");
    let store = RedbStore::open(&path, &params).unwrap();
    let before = accounts(&[("a", Some(1)), ("b", Some(2)), ("c", Some(3)), ("e", Some(5))]);
    let list = [
        ("a", None),
        ("b", Some(20)),
        ("d", Some(40)),
        ("e", Some(50)),
        ("x", None),
    ];
    store.commit(&[before, beside(Beside::Keep, &list)]).unwrap();
    assert_eq!(store.is_unsettled(), Ok(false));
    let last = Batch {
        beside: Beside::Promote,
        ..accounts(&[("e", Some(51))])
    };
    store.commit(&[last]).unwrap();
    check(&store, &[("b", 20), ("c", 3), ("d", 40), ("e", 51)], 0);
    assert_eq!(store.is_unsettled(), Ok(true), "the last step writes none of them");
    // A block arrives in the meantime.
    store.commit(&[accounts(&[("d", Some(41)), ("b", None)])]).unwrap();
    let shown = [("c", 3), ("d", 41), ("e", 51)];
    check(&store, &shown, 0);
    drop(store);
    let store = RedbStore::open(&path, &params).unwrap();
    let mut batches = 0;
    while store.is_unsettled().unwrap() {
        check(&store, &shown, batches);
        store.commit(&[beside(Beside::Settle(1), &[])]).unwrap();
        batches += 1;
    }
    check(&store, &shown, batches);
    assert_eq!(batches, 2, "of five one was newer, two were changed since");
}

#[test]
fn a_new_switch_takes_no_entry_of_the_one_before_for_its_own_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("chain.redb"), &NetworkParams::dev()).unwrap();
    store.commit(&[accounts(&[("d", Some(41))])]).unwrap();
    for kept in [Beside::Drop, Beside::Keep] {
        let switch = [beside(Beside::Drop, &[("c", Some(30))]), beside(Beside::Promote, &[])];
        store.commit(&switch).unwrap();
        assert_eq!(store.is_unsettled(), Ok(true));
        store.commit(&[beside(kept, &[("d", Some(99))])]).unwrap();
        assert_eq!(store.is_unsettled(), Ok(false));
        assert_eq!(store.account(&name("c")), Ok(Some(state(30))));
        assert_eq!(store.account(&name("d")), Ok(Some(state(41))));
        assert_eq!(store.shadow(&name("d")), Ok(Some(Some(state(99)))));
    }
}
