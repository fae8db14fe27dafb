//! Replies about accounts in words: what an account owns or owes, whose it is, and all that this node owns.
//!
//! Spec: `proto-notes/events.md`, "In words".

use super::{coins, foreign, line, many, short_account, short_peer};
use crate::contract::{AccountView, Reply};
use crate::types::{Account, AccountName};

pub(super) fn balance_reply(reply: &Reply) -> String {
    let Reply::Balance {
        account,
        balance,
        pending,
        owner,
        pending_owner,
        pending_owner_height,
        own,
        will_be_own,
        ..
    } = reply
    else {
        return String::new();
    };
    let account = short_account(&account.to_string());
    let mut text = format!("{account} {}\n", held(*balance));
    if pending != balance {
        line(
            &mut text,
            format_args!("  once every waiting transaction is in a block: {}", held(*pending)),
        );
    }
    let block = pending_owner_height.map_or_else(|| "a later block".to_owned(), |height| format!("block {height}"));
    match (owner, pending_owner) {
        (Some(owner), _) => line(&mut text, format_args!("  owner {}", foreign(owner))),
        (None, Some(_)) if *will_be_own => line(&mut text, format_args!("  yours once {block} holds the claim")),
        (None, Some(owner)) => {
            let owner = short_peer(owner);
            line(
                &mut text,
                format_args!("  {owner} owns it once {block} holds the claim"),
            );
        }
        (None, None) => text.push_str("  nobody owns this name yet\n"),
    }
    let owned = own.iter().flatten().filter(|view| view.balance != 0);
    let parts: Vec<String> = owned.clone().map(own_part).collect();
    if parts.len() > 1 {
        let sum = owned.fold(0_i64, |sum, view| sum.saturating_add(view.balance));
        line(
            &mut text,
            format_args!("  this node {} in all: {}", held(sum), parts.join(", ")),
        );
    }
    text
}

/// What an own account has: "24 as anna".
fn own_part(view: &AccountView) -> String {
    match &view.account {
        Account::Name(name) => format!("{} as {name}", view.balance),
        Account::Key(_) => format!("{} as the key", view.balance),
    }
}

pub(super) fn whoami_reply(reply: &Reply) -> String {
    let Reply::Whoami {
        peer_id,
        name,
        account,
        balance,
        accounts,
    } = reply
    else {
        return String::new();
    };
    let called = name.as_ref().map_or("a node without a name", AccountName::as_str);
    let mut text = format!("{called}\n");
    line(&mut text, format_args!("  key {}", foreign(peer_id)));
    let rewards = short_account(&account.to_string());
    line(&mut text, format_args!("  rewards go to {rewards}"));
    line(&mut text, format_args!("  {}", held(*balance)));
    for view in accounts {
        let account = short_account(&view.account.to_string());
        line(&mut text, format_args!("    {account:<32}  {:>12}", view.balance));
    }
    text
}

/// What a balance is: "owns 3 coins" or "owes 3 coins".
fn held(balance: i64) -> String {
    match balance {
        0.. => format!("owns {}", coins(balance)),
        _ => format!("owes {}", coins(balance.unsigned_abs())),
    }
}

pub(super) fn accounts_reply(total: u64, shown: &[AccountView]) -> String {
    let mut text = many(total, "account") + "\n";
    for view in shown {
        let owner = view.owner.as_deref().map_or_else(|| "nobody".to_owned(), short_peer);
        let account = short_account(&view.account.to_string());
        line(
            &mut text,
            format_args!("  {account:<32}  {:>12}  owner {owner}", view.balance),
        );
    }
    let count = usize::try_from(total).unwrap_or(usize::MAX);
    if let Some(more) = count.checked_sub(shown.len()).filter(|more| *more > 0) {
        line(&mut text, format_args!("  … and {more} more that own less"));
    }
    text
}
