//! What must hold in every world, written apart from the code that it checks.
//!
//! Here: what is checked while a world runs. Elsewhere: the second implementation of the rules (`reference`,
//! `testing::twin`), what is checked at the end (`finish`, `history`), what has come to all (`arrival`).

pub(crate) mod arrival;
pub(crate) mod finish;
mod history;
pub(crate) mod reference;

use std::collections::{BTreeMap, BTreeSet};

use lanchain::chain::{Batch, ChainStore, Transaction};
use lanchain::contract::{Command, CommandError, Event, Reply, Source};
use lanchain::engine::{MinerOrder, NetOrder, Output, Verdict};
use lanchain::types::hash::sha256;
use lanchain::types::{BlockHash, Target, Txid, Work};
use lanchain::wire::message::{GOSSIP_TX_MAX_BYTES, decode_transactions};
use lanchain::wire::{CompactBlock, Request, Response, Topic};

use crate::node::Heard;
use crate::plan::Plan;
use crate::roles::Role;
use crate::world::World;

/// Requests of sync and pool that an engine may have under way to one peer, and one for the status.
const OPEN_MAX: usize = 5;
/// The most transactions of a pool.
const POOL_MAX: usize = 10_000;

/// What was seen of one node.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// The last batch's number in this life.
    batch: u64,
    /// The best tip of this life.
    best: Option<(Work, BlockHash)>,
    /// The tip that its events lead to.
    told: Option<BlockHash>,
    /// The work of that tip, if it is known.
    told_work: Option<Work>,
}

/// Figures for the report.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) blocks: u64,
    pub(crate) reorganisations: u64,
    pub(crate) deepest: u64,
    pub(crate) starts: u64,
    pub(crate) bans: u64,
    pub(crate) thrown_out: u64,
    pub(crate) transactions: u64,
    pub(crate) commands: u64,
    pub(crate) failed_writes: u64,
}

/// The memory of the checks.
#[derive(Default)]
pub(crate) struct Watch {
    honest: Vec<bool>,
    seen: Vec<Seen>,
    /// Every block that crossed the wire or reached a disk, once.
    blocks: Vec<Vec<u8>>,
    known: BTreeSet<[u8; 32]>,
    parents: BTreeMap<BlockHash, BlockHash>,
    /// Blocks that an honest node called invalid: who, which, why, when.
    rejected: Vec<(usize, BlockHash, &'static str, u64)>,
    /// Blocks that an honest node forwarded.
    accepted: Vec<(usize, BlockHash)>,
    /// What was acknowledged to a user.
    promised: Vec<(usize, Txid)>,
    mined: Vec<(usize, BlockHash)>,
    /// What waited in each pool when it was shown last.
    pending: BTreeMap<usize, BTreeSet<Txid>>,
    pub(crate) figures: Figures,
    /// When each piece of news came to each node, if that is asked for.
    pub(crate) times_news: bool,
    pub(crate) news: BTreeMap<[u8; 32], Vec<u64>>,
}

/// The block that a node announces, as far as message and disk hold it.
fn whole_block(world: &World, node: usize, bytes: &[u8]) -> Option<Vec<u8>> {
    let compact = CompactBlock::decode(bytes).ok()?;
    if compact.ids.is_empty() {
        let count = u32::try_from(compact.given.len()).expect("a message is short");
        let given = compact.given.into_iter().flat_map(|(_, bytes)| bytes);
        let frame = compact.header.into_iter().chain(count.to_be_bytes());
        return Some(frame.chain(given).collect());
    }
    let hash = BlockHash::new(sha256(&[&compact.header]));
    world.nodes[node].store.body(&hash).ok().flatten()
}

impl Watch {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            honest: plan.nodes.iter().map(|node| node.role == Role::Honest).collect(),
            seen: vec![Seen::default(); plan.nodes.len()],
            ..Self::default()
        }
    }

    pub(crate) fn add_block(&mut self, bytes: &[u8]) {
        let Some(header) = bytes.first_chunk::<96>() else {
            return;
        };
        if self.known.insert(sha256(&[bytes])) {
            let previous = <[u8; 32]>::try_from(&header[..32]).expect("32 bytes");
            let hash = BlockHash::new(sha256(&[header]));
            self.parents.insert(hash, BlockHash::new(previous));
            self.blocks.push(bytes.to_vec());
        }
    }

    // ---- what the engine orders, before anything waits ----

    pub(crate) fn ordered(world: &mut World, node: usize, output: &Output) {
        match output {
            Output::Commit(batch) => Self::committed(world, node, batch),
            Output::Net(NetOrder::Ban { peer, banned: true }) => {
                world.watch.figures.bans += 1;
                Self::no_blame(world, node, *peer, "bans");
            }
            // However bad the link: slowness and silence cost nothing.
            // One own link too many ends, whoever is there.
            Output::Net(NetOrder::Disconnect { peer })
                if world.nodes[node]
                    .engine
                    .as_ref()
                    .is_some_and(|engine| engine.makes_room(peer)) => {}
            Output::Net(NetOrder::Disconnect { peer }) => {
                world.watch.figures.thrown_out += 1;
                Self::no_blame(world, node, *peer, "throws out");
            }
            Output::Event(Event::Warning {
                code: "peer_fault",
                message,
            }) => Self::no_points(world, node, message),
            Output::Net(NetOrder::Request { peer, request, .. }) if world.is_honest(node) => {
                let bytes = request.encode();
                if Request::decode(&bytes).as_ref() != Ok(request) {
                    world.fail(&format!("node {node} asks what nobody can read: {request:?}"));
                }
                let to = world.index[peer];
                // Requests of a connection that is gone end 20 s after they were made.
                let settled = world.nodes[node].met.get(&to).is_some_and(|at| at + 20_000 < world.now);
                if settled && world.net.open_requests(node, to) > OPEN_MAX {
                    world.fail(&format!("node {node} has too many requests under way to node {to}"));
                }
            }
            Output::Miner(MinerOrder::Mine { header, target, .. }) if world.is_honest(node) => {
                let wall = world.wall(node);
                let status = world.nodes[node].engine.as_ref().expect("it runs").status();
                let wanted: Option<Target> = header.bits.target(world.plan.params.halflife_ms);
                let parent = world.nodes[node].store.block(&header.previous).ok().flatten();
                let after = parent.is_none_or(|parent| parent.header.time <= header.time);
                let ahead = header.time.since(wall);
                // A peer clock or a parent ahead of us may be a little later than the own clock.
                let legal = after && (ahead <= 120_000 || Self::was_moved(world, node));
                if header.previous != status.tip || wanted != Some(*target) || !legal {
                    world.fail(&format!("node {node} mines {header:?} at {wall:?} on {}", status.tip));
                }
            }
            Output::Net(_)
            | Output::Miner(_)
            | Output::Check(_)
            | Output::Event(_)
            | Output::Errand { .. }
            | Output::Reply { .. } => {}
        }
    }

    /// The own clock was set back below blocks that were fine before.
    fn was_moved(world: &World, node: usize) -> bool {
        let moves = |fault: &crate::plan::Fault| matches!(fault, crate::plan::Fault::ClockJump { .. });
        world.plan.nodes[node].peer_clock || world.plan.faults.iter().any(|(_, fault)| moves(fault))
    }

    /// Honest nodes have no reason to refuse each other.
    fn no_blame(world: &World, node: usize, peer: lanchain::types::PeerId, what: &str) {
        let other = world.index[&peer];
        if world.is_honest(node) && world.is_honest(other) {
            world.fail(&format!("honest node {node} {what} honest node {other}"));
        }
    }

    /// Nor to take points from each other.
    fn no_points(world: &World, node: usize, message: &str) {
        let who = message.split(' ').next().and_then(|word| word.parse().ok());
        let other = who.and_then(|peer: lanchain::types::PeerId| world.index.get(&peer).copied());
        if world.is_honest(node) && other.is_some_and(|other| world.is_honest(other)) {
            world.fail(&format!("honest node {node} says: {message}"));
        }
    }

    fn committed(world: &mut World, node: usize, batch: &Batch) {
        for (_, bytes) in batch.blocks.values().flatten() {
            world.watch.add_block(bytes);
        }
        let before = world.watch.seen[node].batch;
        if batch.id != before + 1 {
            world.fail(&format!("node {node}: batch {} follows {before}", batch.id));
        }
        world.watch.seen[node].batch = batch.id;
        if batch.active.is_empty() {
            return;
        }
        world.watch.figures.blocks += 1;
        let status = world.nodes[node].engine.as_ref().expect("it runs").status();
        if let Some((work, hash)) = world.watch.seen[node].best {
            let better = status.work > work || status.work == work && status.tip < hash;
            if !better {
                world.fail(&format!(
                    "node {node} went from {hash} to {}, which is no better",
                    status.tip
                ));
            }
        }
        world.watch.seen[node].best = Some((status.work, status.tip));
    }

    // ---- what leaves the node ----

    pub(crate) fn carried_out(world: &mut World, node: usize, output: &Output) {
        if !world.is_honest(node) {
            return;
        }
        match output {
            Output::Event(event) => Self::event(world, node, event),
            Output::Reply { id, result } => Self::replied(world, node, *id, result),
            Output::Net(_) | Output::Miner(_) | Output::Check(_) | Output::Errand { .. } | Output::Commit(_) => {}
        }
    }

    fn event(world: &mut World, node: usize, event: &Event) {
        match event {
            Event::Started(status) => {
                world.watch.seen[node].told = Some(status.tip);
                world.watch.seen[node].told_work = Some(status.work);
            }
            Event::BlockConnected { block, .. } => {
                let hash = block.hash;
                Self::came(world, hash.as_bytes());
                let seen = &mut world.watch.seen[node];
                let (told, work) = (seen.told.replace(hash), seen.told_work.replace(block.work));
                if told.is_some_and(|told| told != block.previous_hash) {
                    world.fail(&format!("node {node}: block_connected {hash} does not follow {told:?}"));
                }
                if work.is_some_and(|work| work.plus(block.adds_work) != block.work) {
                    world.fail(&format!(
                        "node {node}: {hash} adds {:?} to {work:?}, which makes no {:?}",
                        block.adds_work, block.work
                    ));
                }
            }
            Event::BlockDisconnected { block } => {
                let (hash, parent) = (block.hash, Some(block.previous_hash));
                world.watch.seen[node].told_work = None;
                let told = std::mem::replace(&mut world.watch.seen[node].told, parent);
                if told.is_some_and(|told| told != hash) {
                    world.fail(&format!("node {node}: block_disconnected {hash}, the tip was {told:?}"));
                }
            }
            Event::Reorganized { depth, .. } => {
                world.watch.figures.reorganisations += 1;
                world.watch.figures.deepest = world.watch.figures.deepest.max(*depth);
            }
            Event::BlockRejected {
                hash: Some(hash), code, ..
            } => {
                let entry = (node, *hash, *code, world.now);
                world.watch.rejected.push(entry);
            }
            Event::Warning {
                code: "internal",
                message,
            } => {
                world.fail(&format!("node {node} warns of itself: {message}"));
            }
            Event::Warning {
                code: "read_only",
                message,
            } => {
                world.watch.figures.failed_writes += 1;
                let full = |fault: &crate::plan::Fault| matches!(fault, crate::plan::Fault::DiskFull { .. });
                if !world.plan.faults.iter().any(|(_, fault)| full(fault)) {
                    world.fail(&format!("node {node} is read-only on a good disk: {message}"));
                }
            }
            Event::TransactionAccepted { txid, .. } => Self::came(world, txid.as_bytes()),
            Event::TransactionRejected { code, source, .. } => {
                if let Source::Peer(peer) = source
                    && world.is_honest(world.index[peer])
                    && matches!(*code, "bad_signature" | "malformed" | "wrong_key")
                {
                    world.fail(&format!("node {node} refuses what an honest node forwarded: {code}"));
                }
            }
            _ => {}
        }
    }

    fn came(world: &mut World, news: &[u8; 32]) {
        let now = world.now;
        if world.watch.times_news {
            world.watch.news.entry(*news).or_default().push(now);
        }
    }

    fn replied(world: &mut World, node: usize, id: u64, result: &Result<Reply, CommandError>) {
        world.watch.figures.commands += 1;
        let command = world.nodes[node].asked.get(&id).map(|asked| asked.command.clone());
        match result {
            Ok(Reply::Tx { tx, .. }) => {
                world.watch.figures.transactions += 1;
                if !Self::is_kept(world, node, &tx.txid) {
                    world.fail(&format!("node {node} acknowledged {} and has it not on disk", tx.txid));
                }
                world.watch.promised.push((node, tx.txid));
            }
            Ok(Reply::Mined { blocks, .. }) => {
                for block in blocks {
                    if !matches!(world.nodes[node].store.block(&block.hash), Ok(Some(_))) {
                        world.fail(&format!("node {node} acknowledged block {} and has it not", block.hash));
                    }
                    world.watch.mined.push((node, block.hash));
                }
            }
            Ok(Reply::Pending { transactions, .. }) => {
                if transactions.len() > POOL_MAX {
                    world.fail(&format!("node {node} has a pool of {}", transactions.len()));
                }
                let shown = transactions.iter().map(|shown| shown.txid).collect();
                world.watch.pending.insert(node, shown);
            }
            Err(error) if error.code == "internal" || error.hint.is_empty() || error.message.is_empty() => {
                world.fail(&format!("node {node} answers {command:?} with {error:?}"));
            }
            Err(error) if error.code == "interrupted" && !Self::may_be_cancelled(command.as_ref()) => {
                world.fail(&format!("node {node} interrupts {command:?}: {error:?}"));
            }
            Ok(_) | Err(_) => {}
        }
    }

    const fn may_be_cancelled(command: Option<&Command>) -> bool {
        matches!(
            command,
            Some(
                Command::Mine(_)
                    | Command::Dial { .. }
                    | Command::Resolve
                    | Command::Wait { .. }
                    | Command::Chain(_)
                    | Command::Stats(_)
                    | Command::Tamper(_)
                    | Command::Doctor
            )
        )
    }

    /// An own transaction is on the disk, waiting or confirmed.
    fn is_kept(world: &World, node: usize, txid: &Txid) -> bool {
        let store = &world.nodes[node].store;
        matches!(store.place(txid), Ok(Some(_))) || store.own().is_ok_and(|own| Self::is_among(&own, txid))
    }

    /// What was made last is mostly asked for. The id is a hash of the bytes: nothing is parsed.
    fn is_among(own: &[(u64, Vec<u8>)], txid: &Txid) -> bool {
        let is_it = |bytes: &[u8]| sha256(&[&[0], bytes]) == *txid.as_bytes();
        own.iter().rev().any(|(_, bytes)| is_it(bytes))
    }

    pub(crate) fn published(world: &mut World, node: usize, topic: Topic, bytes: &[u8]) {
        match topic {
            Topic::Blocks => {
                if let Some(block) = whole_block(world, node, bytes) {
                    world.watch.add_block(&block);
                }
            }
            Topic::Transactions => {}
        }
        if !world.is_honest(node) {
            return;
        }
        match topic {
            Topic::Blocks => {
                let hash = BlockHash::new(sha256(&[&bytes[..96]]));
                let kept = matches!(world.nodes[node].store.block(&hash), Ok(Some(_)));
                if CompactBlock::decode(bytes).is_err() || !kept {
                    world.fail(&format!("node {node} announces block {hash}, which is not on its disk"));
                }
            }
            Topic::Transactions => {
                let list = match decode_transactions(bytes) {
                    Ok(list) if bytes.len() <= GOSSIP_TX_MAX_BYTES => list,
                    Ok(_) | Err(_) => world.fail(&format!("node {node} publishes what nobody can read")),
                };
                let own = world.nodes[node].key.public();
                let kept = world.nodes[node].store.own().unwrap_or_default();
                let is_kept = |txid: &Txid| Self::is_among(&kept, txid) || Self::is_kept(world, node, txid);
                for transaction in list.iter().filter_map(|bytes| Transaction::from_bytes(bytes).ok()) {
                    if transaction.signer() == Some(own) && !is_kept(&transaction.txid()) {
                        world.fail(&format!("node {node} announces a transaction that is not on its disk"));
                    }
                }
            }
        }
    }

    pub(crate) fn answered(world: &mut World, node: usize, response: &Response) {
        if let Response::Blocks(blocks) = response {
            blocks.iter().for_each(|bytes| world.watch.add_block(bytes));
        }
        if world.is_honest(node) && Response::decode(&response.encode()).as_ref() != Ok(response) {
            world.fail(&format!("node {node} answers what nobody can read"));
        }
    }

    pub(crate) fn judged(world: &mut World, node: usize, heard: &Heard, verdict: Verdict) {
        if !world.is_honest(node) {
            return;
        }
        match (verdict, heard.topic) {
            (Verdict::Reject, topic) if world.is_honest(heard.from) => {
                world.fail(&format!("node {node} rejects {topic:?} of honest node {}", heard.from));
            }
            (Verdict::Accept, Topic::Blocks) => {
                let hash = BlockHash::new(sha256(&[&heard.bytes[..96]]));
                world.watch.accepted.push((node, hash));
            }
            (Verdict::Accept | Verdict::Reject | Verdict::Ignore, _) => {}
        }
    }

    // ---- the disk ----

    /// The disk has these: money is conserved in what it has now.
    pub(crate) fn written(world: &mut World, node: usize, batches: &[Batch]) {
        let moved = batches.iter().any(|batch| !batch.active.is_empty());
        if moved && (world.steps + u64::try_from(node).unwrap_or(0)).is_multiple_of(4) {
            finish::money(world, node);
        }
    }

    /// A life begins, or the store was reopened: what was promised must be there.
    pub(crate) fn started(world: &mut World, node: usize) {
        world.watch.figures.starts += 1;
        let batch = world.watch.seen[node].batch;
        world.watch.seen[node] = Seen {
            batch,
            ..Seen::default()
        };
        if !world.watch.honest[node] {
            return;
        }
        finish::promises(world, node);
        finish::money(world, node);
    }

    /// A process ended: its numbers begin anew.
    pub(crate) fn ended(world: &mut World, node: usize) {
        world.watch.seen[node] = Seen::default();
    }
}
