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
use crate::types::{Account, PublicKey};

/// The groups of transactions, in the order in which they are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Own,
    /// The signer owns an account that is older than a hundred blocks.
    Old,
    Other,
}

/// A pool entry with what decides its place in the order, in numbers: a full pool is sorted four times.
#[derive(Clone, Copy)]
struct RankedEntry<'a> {
    entry: &'a PoolEntry,
    class: Class,
    /// The number of the voice that sent it; 0 outside of the class `Other`.
    voice: usize,
    lane: u64,
    /// The number of its signer.
    signer: usize,
    /// The number of its turn within its group, from 0.
    turn: u64,
    arrival: u64,
}

/// Numbers for values, from 1 in the order in which they come.
struct Numbers<K>(BTreeMap<K, usize>);

impl<K: Ord> Numbers<K> {
    fn of(&mut self, value: K) -> usize {
        let next = self.0.len() + 1;
        *self.0.entry(value).or_insert(next)
    }
}

/// The entries in the order in which they are tried for a block.
pub(super) fn in_turn<'a, S: ChainStore>(chain: &Chain<S>, mut entries: Vec<&'a PoolEntry>) -> Vec<&'a PoolEntry> {
    entries.sort_unstable_by_key(|entry| entry.lane);
    let mut items = ranked(chain, &entries);
    give_turns(&mut items, |item| (item.class, item.voice, item.lane));
    give_turns(&mut items, |item| (item.class, item.voice, item.signer));
    // Each voice is one group, whatever number of keys it uses. The other classes stand before all `Other` now.
    let others = items.partition_point(|item| item.class < Class::Other);
    give_turns(&mut items[others..], |item| item.voice);
    items.sort_unstable_by_key(|item| (item.class, item.turn, item.arrival));
    items.into_iter().map(|item| item.entry).collect()
}

/// Finds the class, the voice and the signer of each entry; those of an account stand together.
fn ranked<'a, S: ChainStore>(chain: &Chain<S>, entries: &[&'a PoolEntry]) -> Vec<RankedEntry<'a>> {
    let young = chain.young_accounts();
    let (mut voices, mut signers) = (Numbers(BTreeMap::new()), Numbers(BTreeMap::new()));
    // The last account with its signer, the signer's number, and whether it owns the account for long.
    let mut last: Option<(u64, PublicKey, usize, bool)> = None;
    let rank = |entry: &&'a PoolEntry| {
        let key = entry.signer;
        let known = last.filter(|(lane, signer, ..)| (*lane, *signer) == (entry.lane, key));
        let (.., signer, is_old) = known.unwrap_or_else(|| {
            let is_old = !young.contains(&entry.account) && is_signers(chain, &entry.account, key);
            (entry.lane, key, signers.of(key), is_old)
        });
        last = Some((entry.lane, key, signer, is_old));
        let (class, voice) = match entry.origin {
            Origin::Own => (Class::Own, 0),
            Origin::Peer(_) | Origin::Returned if is_old => (Class::Old, 0),
            Origin::Peer(voice) => (Class::Other, voices.of(voice)),
            Origin::Returned => (Class::Other, 0),
        };
        RankedEntry {
            entry,
            class,
            voice,
            lane: entry.lane,
            signer,
            turn: entry.sequence,
            arrival: entry.arrival,
        }
    };
    entries.iter().map(rank).collect()
}

/// Numbers the items of each group; an item with a lower turn so far gets the lower number.
fn give_turns<'a, K: Ord>(items: &mut [RankedEntry<'a>], group: impl Fn(&RankedEntry<'a>) -> K) {
    items.sort_unstable_by_key(|item| (group(item), item.turn, item.arrival));
    let mut turn = 0;
    for at in 0..items.len() {
        let goes_on = at > 0 && group(&items[at - 1]) == group(&items[at]);
        turn = if goes_on { turn + 1 } else { 0 };
        items[at].turn = turn;
    }
}

/// Whether the account is in the ledger and the signer owns it.
fn is_signers<S: ChainStore>(chain: &Chain<S>, account: &Account, signer: PublicKey) -> bool {
    let Ok(state) = chain.account(account) else {
        return false;
    };
    let is_used = state.next_sequence > 0 || state.balance != 0;
    let owner = match account {
        Account::Key(key) => Some(*key),
        Account::Name(_) => state.owner,
    };
    is_used && owner == Some(signer)
}
