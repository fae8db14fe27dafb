//! In which order waiting transactions are tried when a block has no room for all: everybody has a turn.
//!
//! Promises: own ones come first; then signers whose account is older than a hundred blocks, in turn; then all others,
//! in turn by the voice that brought them first, and within it by signer. Fresh keys cost nothing, so fairness among
//! them alone would be none. Elsewhere: what fits (`pool::order`), which accounts are new (`chain::young`), what a voice is (`types::voice`).
//! Spec: `proto-notes/mempool.md`, "Order".

use std::collections::BTreeMap;

use super::mempool::{Entry, Origin};
use crate::chain::state::Chain;
use crate::chain::store::ChainStore;
use crate::types::{Account, PublicKey, Voice};

/// Who is served before whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Own,
    /// The signer owns an account that is old.
    Old,
    Other,
}

/// An entry on its way to its place.
struct Item<'a> {
    entry: &'a Entry,
    class: Class,
    /// Who brought it, where that counts.
    voice: Option<Voice>,
    signer: Option<PublicKey>,
    /// Its turn within its group.
    turn: u64,
}

/// The entries in the order in which they are tried.
pub(super) fn in_turn<'a, S: ChainStore>(chain: &Chain<S>, entries: &[&'a Entry]) -> Vec<&'a Entry> {
    let young = chain.young_accounts();
    let mut known: BTreeMap<(&Account, Option<PublicKey>), bool> = BTreeMap::new();
    let mut items: Vec<Item<'a>> = Vec::with_capacity(entries.len());
    for entry in entries.iter().copied() {
        let signer = entry.transaction.signer();
        let mut is_old = || {
            *known
                .entry((&entry.account, signer))
                .or_insert_with(|| !young.contains(&entry.account) && is_signers(chain, &entry.account, signer))
        };
        let class = match entry.origin {
            Origin::Own => Class::Own,
            Origin::Peer(_) | Origin::Returned if is_old() => Class::Old,
            Origin::Peer(_) | Origin::Returned => Class::Other,
        };
        let voice = match (class, entry.origin) {
            (Class::Other, Origin::Peer(voice)) => Some(voice),
            (Class::Own | Class::Old | Class::Other, _) => None,
        };
        items.push(Item {
            entry,
            class,
            voice,
            signer,
            turn: entry.sequence,
        });
    }
    give_turns(&mut items, |item| (item.class, item.voice, &item.entry.account));
    give_turns(&mut items, |item| (item.class, item.voice, item.signer));
    give_turns_but(&mut items);
    items.sort_by_key(|item| (item.class, item.turn, item.entry.arrival));
    items.into_iter().map(|item| item.entry).collect()
}

/// Numbers the items of each group, those of the lower turn first.
fn give_turns<'a, K: Ord>(items: &mut [Item<'a>], group: impl Fn(&Item<'a>) -> K) {
    items.sort_by(|a, b| {
        let within = |item: &Item<'_>| (item.turn, item.entry.arrival);
        group(a).cmp(&group(b)).then_with(|| within(a).cmp(&within(b)))
    });
    let mut turn = 0;
    for at in 0..items.len() {
        let goes_on = at > 0 && group(&items[at - 1]) == group(&items[at]);
        turn = if goes_on { turn + 1 } else { 0 };
        items[at].turn = turn;
    }
}

/// Among the others a voice is one group, whatever keys it brings.
fn give_turns_but(items: &mut Vec<Item<'_>>) {
    let mut others: Vec<Item<'_>> = Vec::new();
    let mut rest = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        match item.class {
            Class::Other => others.push(item),
            Class::Own | Class::Old => rest.push(item),
        }
    }
    give_turns(&mut others, |item| item.voice);
    rest.extend(others);
    *items = rest;
}

/// Whether the account is in the ledger, and the signer owns it.
fn is_signers<S: ChainStore>(chain: &Chain<S>, account: &Account, signer: Option<PublicKey>) -> bool {
    let Ok(state) = chain.account(account) else {
        return false;
    };
    let is_used = state.next_sequence > 0 || state.balance != 0;
    let owner = match account {
        Account::Key(key) => Some(*key),
        Account::Name(_) => state.owner,
    };
    is_used && owner.is_some() && owner == signer
}
