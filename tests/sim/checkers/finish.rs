//! What must hold when a world has come to rest: agreement, and each node against the second implementation.

use std::collections::BTreeMap;

use lanchain::chain::ledger::{Accounts, Ledger as Entries};
use lanchain::chain::{AccountState, Block, ChainStore, Difficulty, NetworkParams, StoreError};
use lanchain::testing::twin::Hash;
use lanchain::testing::twin::ledger::{self, entries};
use lanchain::types::{Account, BlockHash, Height, Txid};

use super::Watch;
use super::reference::{Reference, Rules};
use crate::node::Writer;
use crate::world::World;

fn rules(params: &NetworkParams) -> Rules {
    Rules {
        spacing_ms: params.spacing_ms,
        halflife_ms: u64::from(params.halflife_ms),
        adjusting: params.difficulty == Difficulty::Adjusting,
        block_bytes_max: usize::try_from(params.block_bytes_max).expect("at most a mebibyte"),
        ledger: ledger::Rules::of(params),
        genesis: params.genesis().to_bytes(),
    }
}

fn read<T, E: core::fmt::Display>(world: &World, node: usize, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => world.fail(&format!("node {node}: its store cannot be read: {error}")),
    }
}

/// The sum of all balances is the number of rewards.
pub(crate) fn money(world: &World, node: usize) {
    let store = &world.nodes[node].store;
    let (height, _) = read(world, node, store.tip());
    let (total, accounts) = read(world, node, store.accounts(usize::MAX));
    let sum: i128 = accounts.iter().map(|(_, state)| i128::from(state.balance)).sum();
    if sum != i128::from(height.get()) || total != u64::try_from(accounts.len()).unwrap_or(0) {
        world.fail(&format!("node {node}: {sum} coins at height {height}"));
    }
}

/// Whatever was acknowledged is on the disk.
pub(crate) fn promises(world: &World, node: usize) {
    for (_, txid) in world.watch.promised.iter().filter(|(who, _)| *who == node) {
        if !Watch::is_kept(world, node, txid) {
            world.fail(&format!("node {node} lost the acknowledged transaction {txid}"));
        }
    }
    for (_, hash) in world.watch.mined.iter().filter(|(who, _)| *who == node) {
        if !matches!(world.nodes[node].store.block(hash), Ok(Some(_))) {
            world.fail(&format!("node {node} lost the acknowledged block {hash}"));
        }
    }
}

/// All honest nodes run, have one tip, and nothing waits for a disk; else what is missing.
pub(crate) fn agreement(world: &World) -> Result<BlockHash, String> {
    let mut tips: BTreeMap<BlockHash, Vec<usize>> = BTreeMap::new();
    for node in world.plan.honest() {
        let Some(engine) = &world.nodes[node].engine else {
            return Err(format!("node {node} is down"));
        };
        let status = engine.status();
        let busy = !matches!(world.nodes[node].writer, Writer::Idle) || !world.nodes[node].outbox.is_empty();
        // A hostile node may claim a better branch for ever: then it is asked for again and again, in vain.
        let hopes = status.syncing && world.plan.honest().count() == world.nodes.len();
        if hopes || busy {
            return Err(format!(
                "node {node} is busy: syncing {}, writing {busy}",
                status.syncing
            ));
        }
        tips.entry(status.tip).or_default().push(node);
    }
    match tips.len() {
        1 => tips.into_keys().next().ok_or_else(|| "nobody".to_owned()),
        _ => Err(format!("tips {tips:?}")),
    }
}

/// Everything, at the end of a world.
pub(crate) fn all(world: &World) {
    let blocks = world.watch.blocks.iter().map(Vec::as_slice);
    let reference = Reference::of(rules(&world.plan.params), blocks);
    for node in world.plan.honest().collect::<Vec<_>>() {
        promises(world, node);
        money(world, node);
        chain(world, node, &reference);
        ledger(world, node, &reference);
        undo(world, node);
        super::history::sums(world, node);
    }
    verdicts(world, &reference);
}

/// The active chain is the best valid branch of what is stored.
fn chain(world: &World, node: usize, reference: &Reference) {
    let store = &world.nodes[node].store;
    let (height, tip) = read(world, node, store.tip());
    let Some(branch) = reference.branch(tip.as_bytes()) else {
        let why = reference.invalid.get(tip.as_bytes());
        world.fail(&format!("node {node} is on {tip}, which is invalid: {why:?}"));
    };
    if u64::try_from(branch.len()).ok() != Some(height.get()) {
        world.fail(&format!("node {node}: {} blocks at height {height}", branch.len()));
    }
    for (number, hash) in (1..).zip(&branch) {
        let active = read(world, node, store.active(Height::new(number)));
        if active != Some(BlockHash::new(*hash)) {
            world.fail(&format!("node {node}: another block at height {number}"));
        }
        for (index, txid) in (0..).zip(&reference.valid[hash].txids) {
            let place = read(world, node, store.place(&Txid::new(*txid)));
            if place.is_none_or(|place| place.height.get() != number || place.index != index) {
                world.fail(&format!(
                    "node {node}: transaction {index} of block {number} is elsewhere"
                ));
            }
        }
    }
    if let Some(txid) = reference.confirmed_twice(tip.as_bytes()) {
        world.fail(&format!("transaction {} is confirmed twice", Txid::new(txid)));
    }
    let stored: Vec<Hash> = read(world, node, store.blocks_by_prefix("", usize::MAX))
        .iter()
        .map(|hash| *hash.as_bytes())
        .collect();
    let best = reference.best(stored.iter());
    if best != Some(*tip.as_bytes()) {
        let better = best.map(BlockHash::new);
        world.fail(&format!("node {node} is on {tip}, and has the better {better:?}"));
    }
    let work = world.nodes[node].engine.as_ref().map(|engine| engine.status().work);
    let expected = reference.valid[tip.as_bytes()].work.to_be_bytes();
    if work.is_some_and(|work| work.to_be_bytes()[16..] != expected) {
        world.fail(&format!("node {node} counts another work for {tip}"));
    }
}

/// The ledger on disk is that of a replay from genesis, names and owners with it.
fn ledger(world: &World, node: usize, reference: &Reference) {
    let store = &world.nodes[node].store;
    let (_, tip) = read(world, node, store.tip());
    let (_, accounts) = read(world, node, store.accounts(usize::MAX));
    let ours = entries(accounts.iter().map(|(account, state)| (account, state)));
    let theirs = &reference.valid[tip.as_bytes()].ledger.entries;
    if ours != *theirs {
        let differs = ours
            .iter()
            .find(|(account, entry)| theirs.get(*account) != Some(*entry));
        world.fail(&format!(
            "node {node}: the ledger differs from a replay, first at {differs:?}"
        ));
    }
}

/// A ledger as it is listed.
struct Plain(BTreeMap<Account, AccountState>);

impl Accounts for Plain {
    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError> {
        Ok(self.0.get(account).cloned())
    }
}

/// Undoing every block leads back to an empty ledger.
fn undo(world: &World, node: usize) {
    let store = &world.nodes[node].store;
    let (_, accounts) = read(world, node, store.accounts(usize::MAX));
    let mut ledger: BTreeMap<Account, AccountState> = accounts.into_iter().collect();
    let (mut height, mut at) = read(world, node, store.tip());
    while let Some(below) = height.previous() {
        let body = read(world, node, store.body(&at)).unwrap_or_default();
        let Ok(block) = Block::from_bytes(&body) else {
            world.fail(&format!("node {node}: block {height} cannot be undone"));
        };
        let before = Plain(ledger);
        let mut undone = Entries::new(&world.plan.params, &before);
        if let Err(error) = undone.revert_block(&block) {
            world.fail(&format!("node {node}: block {height} cannot be undone: {error}"));
        }
        let changed = undone.finish();
        ledger = before.0;
        for (account, before) in changed {
            match before {
                Some(state) => ledger.insert(account, state),
                None => ledger.remove(&account),
            };
        }
        let sum: i128 = ledger.values().map(|state| i128::from(state.balance)).sum();
        if sum != i128::from(below.get()) {
            world.fail(&format!("node {node}: {sum} coins after undoing block {height}"));
        }
        at = read(world, node, store.active(below)).unwrap_or(at);
        height = below;
    }
    if !ledger.is_empty() {
        world.fail(&format!("node {node}: undoing all leaves {} accounts", ledger.len()));
    }
}

/// The second implementation agrees with every verdict on a block.
fn verdicts(world: &World, reference: &Reference) {
    for (node, hash, code, at) in &world.watch.rejected {
        // Another body under this header may be the right one.
        let of_body = matches!(
            *code,
            "bad_merkle_root" | "malformed" | "layout" | "trailing_bytes" | "truncated"
        );
        if !of_body && reference.valid.contains_key(hash.as_bytes()) {
            world.fail(&format!(
                "node {node} called the valid block {hash} invalid at {at} ms: {code}"
            ));
        }
    }
    for (node, hash) in &world.watch.accepted {
        // A block is forwarded by its header, before anybody has seen its body.
        let of_header = ["version", "height", "time", "bits", "proof of work"];
        let reason = reference.invalid.get(hash.as_bytes());
        if reason.is_some_and(|why| of_header.iter().any(|rule| why.starts_with(rule))) {
            world.fail(&format!("node {node} forwarded the invalid block {hash}: {reason:?}"));
        }
    }
}
