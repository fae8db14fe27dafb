//! What must have come to all when machines that moved are back: what was acknowledged before, and what is paid now.

use lanchain::chain::ChainStore;
use lanchain::contract::Command;
use lanchain::types::Txid;

use super::finish::agreement;
use crate::fate;
use crate::world::World;

/// By gossip a payment is everywhere in this time; the comparison of pools begins after 500 ms.
const AT_ONCE_MS: u64 = 450;
/// The slowest disk has written by then.
const WRITTEN_MS: u64 = 5_000;

/// In so much quiet all that was acknowledged has come to all: one tip, and each payment in its chain or in each pool.
pub(crate) fn arrived(world: &mut World, within_ms: u64) {
    let end = world.now + within_ms;
    world.run_until(end - 10);
    let honest: Vec<usize> = world.plan.honest().collect();
    for node in &honest {
        fate::ask(world, *node, Command::Pending);
    }
    world.run_until(end);
    if let Err(why) = agreement(world) {
        world.fail(&format!("no agreement {within_ms} ms after the last fault: {why}"));
    }
    for node in honest {
        let is_there = |txid: &Txid| {
            let waits = world.watch.pending.get(&node).is_some_and(|pool| pool.contains(txid));
            waits || matches!(world.nodes[node].store.place(txid), Ok(Some(_)))
        };
        let missing: Vec<_> = world
            .watch
            .promised
            .iter()
            .filter(|(_, txid)| !is_there(txid))
            .collect();
        if let Some((payer, txid)) = missing.first() {
            let (count, all) = (missing.len(), world.watch.promised.len());
            world.fail(&format!(
                "node {node} lacks {count} of {all} payments after {within_ms} ms of quiet, one is {txid} of node {payer}"
            ));
        }
    }
}

/// How many payments were acknowledged to users of honest nodes so far.
pub(crate) fn promised(world: &World) -> usize {
    world.watch.promised.len()
}

/// Whether the first so many of these payments are in the chain of each honest node.
pub(crate) fn is_confirmed(world: &World, first: usize) -> bool {
    let has = |node: usize, txid: &Txid| matches!(world.nodes[node].store.place(txid), Ok(Some(_)));
    let mut promised = world.watch.promised.iter().take(first);
    promised.all(|(_, txid)| world.plan.honest().all(|node| has(node, txid)))
}

/// What each of them pays now comes to all by gossip: each has announced itself to each neighbour on what stands.
pub(crate) fn at_once(world: &mut World) {
    let honest: Vec<usize> = world.plan.honest().collect();
    world.watch.times_news = true;
    for payer in &honest {
        let id = fate::ask(world, *payer, fate::to_the_till());
        let late = world.now + WRITTEN_MS;
        while world.now < late && id.is_some_and(|id| world.nodes[*payer].asked.contains_key(&id)) {
            world.run_until(world.now + 1);
        }
        world.run_until(world.now + AT_ONCE_MS);
        let news = std::mem::take(&mut world.watch.news);
        let count = news.values().map(Vec::len).max().unwrap_or(0);
        if count != honest.len() {
            let all = honest.len();
            world.fail(&format!(
                "{count} of {all} nodes heard of a payment of node {payer} at once"
            ));
        }
    }
    world.watch.times_news = false;
}
