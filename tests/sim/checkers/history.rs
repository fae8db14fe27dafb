//! The histories of accounts: whatever branches came and went, the changes add up to the balances.

use lanchain::chain::ChainStore;
use lanchain::contract::Reply;
use lanchain::inspect::query::{Query, Subject};
use lanchain::types::{Account, SecretKey};

use crate::world::World;

/// The most accounts of a node whose histories are read: a world has few.
const ACCOUNTS_MAX: usize = 50;
/// The most transactions that are listed at once.
const LISTED_MAX: u32 = 1_000;

/// For each account of a node, and for all that its key owns: each balance is the one before plus the change, from 0 on,
/// and the newest is the balance of the ledger.
pub(super) fn sums(world: &World, node: usize) {
    let store = &world.nodes[node].store;
    let Ok((_, accounts)) = store.accounts(ACCOUNTS_MAX) else {
        world.fail(&format!("node {node}: its accounts cannot be read"));
    };
    let key = |account: &Account| match account {
        Account::Key(key) => Some(*key),
        Account::Name(_) => None,
    };
    // Any key will do: that of an account which has one, or of nobody.
    let nobody = SecretKey::from_seed([0xee; 32]).public();
    let keys: Vec<_> = accounts.iter().filter_map(|(account, _)| key(account)).collect();
    for (account, state) in &accounts {
        check(world, node, (Some(account), nobody), state.balance);
    }
    let (total, all) = match store.accounts(usize::MAX) {
        Ok(read) => read,
        Err(error) => world.fail(&format!("node {node}: {error}")),
    };
    assert_eq!(u64::try_from(all.len()), Ok(total), "node {node}");
    for key in keys {
        let is_own = |(account, state): &&(Account, lanchain::chain::AccountState)| {
            *account == Account::Key(key) || state.owner == Some(key)
        };
        let sum = all.iter().filter(is_own).map(|(_, state)| state.balance).sum();
        check(world, node, (None, key), sum);
    }
}

fn check(world: &World, node: usize, (account, me): (Option<&Account>, lanchain::types::PublicKey), balance: i64) {
    let query = Query {
        subject: Subject::History(account.cloned(), LISTED_MAX, Vec::new()),
        params: world.plan.params.clone(),
        me,
        hash_rate: 0,
    };
    let whose = account.map_or_else(|| format!("all of {}", me.peer_id()), ToString::to_string);
    let view = match query.answer(world.nodes[node].store.clone()) {
        Ok(Reply::History(view)) => view,
        other => world.fail(&format!("node {node}: no history of {whose}: {other:?}")),
    };
    let newest = view.entries.first().map_or(0, |entry| entry.balance);
    if newest != balance {
        world.fail(&format!(
            "node {node}: the history of {whose} ends with {newest}, the ledger says {balance}"
        ));
    }
    if view.total > view.entries.len().try_into().unwrap_or(u64::MAX) {
        return;
    }
    let mut sum = 0;
    for entry in view.entries.iter().rev() {
        sum += entry.change;
        if entry.balance != sum {
            world.fail(&format!(
                "node {node}: in the history of {whose} {sum} coins are {entry:?}"
            ));
        }
    }
}
