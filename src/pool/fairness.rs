//! The order in which waiting transactions enter a block that has no room for all: everybody gets a turn.
//!
//! Promises: own transactions come first. Then come signers whose account is older than a hundred blocks, in turn. Then
//! come all others, in turn by the voice that sent them first, and by signer within a voice: fresh keys cost nothing,
//! so turns by signer alone would not be fair. Elsewhere: what fits into a block (`pool::order`), which accounts are
//! new (`chain::young`), what a voice is (`types::voice`).
//! Spec: `proto-notes/mempool.md`, "Order".

use std::collections::BTreeMap;

use super::mempool::{Origin, PoolEntry};
use crate::chain::state::Chain;
use crate::chain::store::ChainStore;
use crate::types::{Account, PublicKey, Voice};

/// The groups of transactions, in the order in which they are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Own,
    /// The signer owns an account that is older than a hundred blocks.
    Old,
    Other,
}

/// A pool entry with what decides its place in the order.
struct RankedEntry<'a> {
    entry: &'a PoolEntry,
    class: Class,
    /// The voice that sent it; set only for the class `Other`.
    voice: Option<Voice>,
    signer: Option<PublicKey>,
    /// The number of its turn within its group, from 0.
    turn: u64,
}

/// The entries in the order in which they are tried for a block.
pub(super) fn in_turn<'a, S: ChainStore>(chain: &Chain<S>, entries: &[&'a PoolEntry]) -> Vec<&'a PoolEntry> {
    let young = chain.young_accounts();
    let mut known: BTreeMap<(&Account, Option<PublicKey>), bool> = BTreeMap::new();
    let mut items: Vec<RankedEntry<'a>> = Vec::with_capacity(entries.len());
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
        items.push(RankedEntry {
            entry,
            class,
            voice,
            signer,
            turn: entry.sequence,
        });
    }
    give_turns(&mut items, |item| (item.class, item.voice, &item.entry.account));
    give_turns(&mut items, |item| (item.class, item.voice, item.signer));
    give_turns_to_others(&mut items);
    items.sort_by_key(|item| (item.class, item.turn, item.entry.arrival));
    items.into_iter().map(|item| item.entry).collect()
}

/// Numbers the items of each group; an item with a lower turn so far gets the lower number.
fn give_turns<'a, K: Ord>(items: &mut [RankedEntry<'a>], group: impl Fn(&RankedEntry<'a>) -> K) {
    items.sort_by(|a, b| {
        let within = |item: &RankedEntry<'_>| (item.turn, item.entry.arrival);
        group(a).cmp(&group(b)).then_with(|| within(a).cmp(&within(b)))
    });
    let mut turn = 0;
    for at in 0..items.len() {
        let goes_on = at > 0 && group(&items[at - 1]) == group(&items[at]);
        turn = if goes_on { turn + 1 } else { 0 };
        items[at].turn = turn;
    }
}

/// Gives turns among the class `Other`: each voice is one group, whatever number of keys it uses.
fn give_turns_to_others(items: &mut Vec<RankedEntry<'_>>) {
    let mut others: Vec<RankedEntry<'_>> = Vec::new();
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

/// Whether the account is in the ledger and the signer owns it.
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
