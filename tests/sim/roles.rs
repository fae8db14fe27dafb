//! Hostile roles: the same engine, with one lie switched on between it and the wire.

use std::rc::Rc;
use std::sync::OnceLock;

use lanchain::chain::{Block, ChainStore, Header, NetworkParams, Reward, Transaction, merkle};
use lanchain::engine::{Input, NetFact, NetOrder};
use lanchain::testing::blocks::prove;
use lanchain::testing::statuses::empty;
use lanchain::types::{Account, Amount, Bits, Height, MerkleRoot, SecretKey, WallTime, Work};
use lanchain::wire::message::{decode_transactions, encode_transactions};
use lanchain::wire::{CompactBlock, Request, Response, Status, ToldPeer, Topic};

use crate::world::{Happening, World};

/// The pause between two messages of a flood.
const FLOOD_EVERY_MS: u64 = 400;
/// Payments of such a message.
pub(crate) const FLOOD: usize = 100;
/// The pause between two side blocks.
const SIDE_EVERY_MS: u64 = 300;
/// No message with a block of these scripted worlds is as large but those beside the chain.
const SIDE_BYTES: usize = 30_000;
/// Payments of a side block: as many as a message has room for.
const SIDE_PAYMENTS: u64 = 300;
/// When a rewriter shows its branch.
const REWRITE_MS: u64 = 45_000;

/// Who a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Honest,
    /// Breaks a signature in what it announces.
    BadSignature,
    /// Announces blocks whose hash misses the target.
    BadProofOfWork,
    /// Another root than its transactions give, or another body under a good header.
    BadRoot,
    /// Two rewards, none, or one of another height.
    BadReward,
    /// Other bits than parent and time demand.
    WrongDifficulty,
    /// A valid form, an invalid ledger.
    BadLedger,
    /// Times before the parent, or far ahead.
    TimeLiar,
    /// Has blocks, gives none.
    WithheldBodies,
    /// Claims more work than anybody.
    LyingStatus,
    /// Answers nothing but `Status`.
    Staller,
    /// Stays on a branch of its own from genesis.
    LowWorkForker,
    /// Two blocks for one height, each to half of its neighbours.
    Equivocator,
    /// Sends too much of everything.
    Spammer,
    /// Takes everything, gives nothing.
    BlackHole,
    /// Keeps its blocks until somebody else finds one; 40 % of the power.
    Selfish,
    /// Mines apart and shows the longer branch later; 60 % of the power.
    Rewriter,
    /// Says something else each time, and comes and goes.
    FlipFlopper,
    /// Tells of peers that are not there, and of honest ones where they are not.
    PeerLiar,
    /// Floods with payments of ever new keys.
    PaymentFlood,
    /// Makes blocks beside the chain, with real work, that help nobody.
    SideBlocks,
    /// Its clock is wrong, and it says so.
    ClockLiar,
}

impl Role {
    pub(crate) const HOSTILE: [Self; 17] = [
        Self::BadSignature,
        Self::BadProofOfWork,
        Self::BadRoot,
        Self::BadReward,
        Self::WrongDifficulty,
        Self::BadLedger,
        Self::TimeLiar,
        Self::WithheldBodies,
        Self::LyingStatus,
        Self::Staller,
        Self::LowWorkForker,
        Self::Equivocator,
        Self::Spammer,
        Self::BlackHole,
        Self::Selfish,
        Self::Rewriter,
        Self::FlipFlopper,
    ];

    /// Those of scripted worlds where they are identities of one address.
    pub(crate) const OF_ONE_VOICE: [Self; 4] = [Self::PeerLiar, Self::PaymentFlood, Self::SideBlocks, Self::ClockLiar];
}

/// What a hostile node keeps.
#[derive(Debug, Default)]
pub(crate) struct Malice {
    held: Vec<Vec<u8>>,
    public: Option<Status>,
    turns: u64,
}

/// What the engine of this role is allowed to hear.
pub(crate) fn hear(world: &mut World, node: usize, input: Input) -> Option<Input> {
    let role = world.plan.nodes[node].role;
    if matches!(role, Role::PaymentFlood | Role::SideBlocks) {
        return hear_no_flood(world, node, input);
    }
    let deaf = match role {
        Role::LowWorkForker => true,
        Role::Rewriter => world.now < REWRITE_MS && !world.quiet,
        Role::Selfish => {
            if let Input::Net(NetFact::Gossip {
                topic: Topic::Blocks, ..
            }) = &input
            {
                release(world, node);
            }
            false
        }
        _ => false,
    };
    if !deaf {
        return Some(input);
    }
    match input {
        Input::Net(NetFact::Gossip {
            token,
            topic: Topic::Blocks,
            ..
        }) => {
            world.nodes[node].tokens.remove(&token);
            None
        }
        Input::Net(NetFact::Request {
            token,
            peer,
            request: Request::Status(status),
        }) => {
            let request = Request::Status(nothing(status));
            Some(Input::Net(NetFact::Request { token, peer, request }))
        }
        Input::Net(NetFact::Response {
            id,
            peer,
            response: Some(Response::Status(status)),
        }) => {
            let response = Some(Response::Status(nothing(status)));
            Some(Input::Net(NetFact::Response { id, peer, response }))
        }
        input => Some(input),
    }
}

/// Who floods looks at nobody's flood.
fn hear_no_flood(world: &mut World, node: usize, input: Input) -> Option<Input> {
    match input {
        Input::Net(NetFact::Gossip {
            token, topic, bytes, ..
        }) if topic == Topic::Transactions || bytes.len() >= SIDE_BYTES => {
            world.nodes[node].tokens.remove(&token);
            None
        }
        Input::Net(NetFact::Response {
            id,
            peer,
            response: Some(Response::Pending(_)),
        }) => {
            let response = Some(Response::Pending(Vec::new()));
            Some(Input::Net(NetFact::Response { id, peer, response }))
        }
        input => Some(input),
    }
}

/// A status that claims nothing.
const fn nothing(mut status: Status) -> Status {
    status.work = [0; 32];
    status.height = 0;
    status
}

/// A selfish miner shows what it has.
fn release(world: &mut World, node: usize) {
    world.nodes[node].malice.public = None;
    for bytes in std::mem::take(&mut world.nodes[node].malice.held) {
        world.publish(node, Topic::Blocks, bytes);
    }
}

/// What leaves instead of this order.
pub(crate) fn rewrite(world: &mut World, node: usize, order: NetOrder) -> Vec<NetOrder> {
    let role = world.plan.nodes[node].role;
    match (role, order) {
        (Role::Honest, order) => vec![order],
        (_, NetOrder::Publish { topic, bytes }) => publish(world, node, role, topic, bytes),
        (Role::BlackHole, NetOrder::Answer { .. }) => Vec::new(),
        (Role::BlackHole, NetOrder::Verdict { token, .. }) => {
            world.nodes[node].tokens.remove(&token);
            Vec::new()
        }
        (_, NetOrder::Answer { token, response }) => answer(world, node, role, response)
            .map(|response| NetOrder::Answer { token, response })
            .into_iter()
            .collect(),
        (_, NetOrder::Request { id, peer, request }) => {
            let request = match request {
                Request::Status(status) => Request::Status(lie(world, node, role, status)),
                request => request,
            };
            vec![NetOrder::Request { id, peer, request }]
        }
        (_, order) => vec![order],
    }
}

fn answer(world: &mut World, node: usize, role: Role, response: Response) -> Option<Response> {
    Some(match (role, response) {
        (role, Response::Status(status)) => Response::Status(lie(world, node, role, status)),
        (Role::Staller, _) => return None,
        (Role::PeerLiar, Response::Peers(_)) => Response::Peers(invented_peers(world)),
        (Role::WithheldBodies, Response::Blocks(_)) => Response::Blocks(Vec::new()),
        (Role::BadRoot, Response::Blocks(blocks)) => {
            let forged = |bytes: &Vec<u8>| Block::from_bytes(bytes).map(|block| forge_body(block).to_bytes());
            Response::Blocks(blocks.iter().filter_map(|bytes| forged(bytes).ok()).collect())
        }
        (_, response) => response,
    })
}

/// As many peers as an answer holds: invented ones where honest nodes are or nobody is, honest ones where they are not.
fn invented_peers(world: &mut World) -> Vec<ToldPeer> {
    let count = world.nodes.len();
    let mut invent = |_| {
        let mut seed = [5; 32];
        seed[..8].copy_from_slice(&world.dice.next().to_be_bytes());
        let honest = world.dice.index(0, count);
        let key = if world.dice.chance(300) {
            crate::node::key(honest).public()
        } else {
            SecretKey::from_seed(seed).public()
        };
        let other = world.dice.index(0, count + 50);
        let port = if world.dice.chance(500) { 4_001 } else { 4_002 };
        ToldPeer {
            key: *key.as_bytes(),
            addresses: vec![format!("/ip4/10.0.{}.{}/tcp/{port}", other / 250, other % 250 + 1)],
        }
    };
    (0..32).map(&mut invent).collect()
}

/// The same header over other transactions.
fn forge_body(mut block: Block) -> Block {
    if block.transactions.len() > 1 {
        block.transactions.pop();
    } else {
        let to = Account::Name(crate::node::own_name(77));
        let height = block.header.height;
        block.transactions = vec![Transaction::Reward(Reward { to, height })];
    }
    block
}

/// A compact block that holds every transaction whole.
fn whole(block: &Block) -> Vec<u8> {
    let given = (0..)
        .zip(&block.transactions)
        .map(|(at, transaction)| (at, transaction.to_bytes()));
    let compact = CompactBlock {
        header: block.header.to_bytes(),
        given: given.collect(),
        ids: Vec::new(),
    };
    compact.encode()
}

/// The block that a node's own engine announces with these bytes.
fn own_block(world: &World, node: usize, bytes: &[u8]) -> Option<Block> {
    let hash = Header::from_bytes(bytes.first_chunk()?).hash();
    let body = world.nodes[node].store.body(&hash).ok().flatten()?;
    Block::from_bytes(&body).ok()
}

fn lie(world: &mut World, node: usize, role: Role, mut status: Status) -> Status {
    let draw = world.dice.next();
    let deaf = world.now < REWRITE_MS && !world.quiet;
    match role {
        Role::LyingStatus => {
            status.work = Work::ZERO.to_be_bytes();
            status.work[8] = 1;
            status.height = 1_000_000;
            status.tip[..8].copy_from_slice(&draw.to_be_bytes());
            status.pool_digest = draw;
            status.pool_count = 7;
        }
        Role::FlipFlopper => {
            world.nodes[node].malice.turns += 1;
            match world.nodes[node].malice.turns % 3 {
                0 => {}
                1 => status.work[20] = u8::try_from(draw % 256).unwrap_or(0),
                _ => {
                    status = nothing(status);
                    status.clock_ms = draw;
                }
            }
        }
        Role::Selfish => {
            return world.nodes[node].malice.public.clone().unwrap_or(status);
        }
        Role::Rewriter if deaf => return nothing(status),
        _ => {}
    }
    status
}

fn publish(world: &mut World, node: usize, role: Role, topic: Topic, bytes: Vec<u8>) -> Vec<NetOrder> {
    let block = match topic {
        Topic::Blocks => own_block(world, node, &bytes),
        Topic::Transactions => None,
    };
    let honest = |bytes| vec![NetOrder::Publish { topic, bytes }];
    match (role, block) {
        (Role::BlackHole, _) | (Role::WithheldBodies, Some(_)) => Vec::new(),
        (Role::BadSignature, None) => honest(break_signatures(&bytes)),
        (Role::Selfish, Some(_)) => {
            if world.nodes[node].malice.public.is_none() {
                world.nodes[node].malice.public = before(world, node);
            }
            world.nodes[node].malice.held.push(bytes);
            Vec::new()
        }
        (Role::Rewriter, Some(_)) if world.now < REWRITE_MS && !world.quiet => Vec::new(),
        (Role::Equivocator, Some(block)) => {
            equivocate(world, node, &block, bytes);
            Vec::new()
        }
        (Role::BadRoot, Some(block)) if world.dice.chance(500) => honest(whole(&forge_body(block))),
        (role, Some(block)) => match spoil(world, role, block) {
            Some(spoiled) => honest(whole(&spoiled)),
            None => honest(bytes),
        },
        (_, None) => honest(bytes),
    }
}

/// What a selfish miner says while it holds blocks back: that it has nothing.
fn before(world: &World, node: usize) -> Option<Status> {
    let status = world.nodes[node].engine.as_ref()?.status();
    Some(Status {
        instance: 1,
        ..empty(*status.tip.as_bytes(), world.wall(node).ms())
    })
}

fn break_signatures(bytes: &[u8]) -> Vec<u8> {
    let Ok(mut list) = decode_transactions(bytes) else {
        return bytes.to_vec();
    };
    for transaction in &mut list {
        let middle = transaction.len() - 40;
        transaction[middle] ^= 1;
    }
    encode_transactions(&list)
}

/// Breaks one rule of a block and does the work for it anew; none if this role breaks none here.
fn spoil(world: &mut World, role: Role, mut block: Block) -> Option<Block> {
    let height = block.header.height;
    let odd = world.dice.chance(500);
    match role {
        Role::BadProofOfWork => {
            block.header.nonce = block.header.nonce.wrapping_add(1);
            return Some(block);
        }
        Role::BadSignature => match block.transactions.last_mut()? {
            Transaction::Transfer(transfer) => transfer.signature.0[1] ^= 1,
            Transaction::Claim(claim) => claim.signature.0[1] ^= 1,
            Transaction::Reward(_) => return None,
        },
        Role::BadRoot => {
            block.header.merkle_root = MerkleRoot::new([7; 32]);
            block.header = prove(&world.plan.params, block.header);
            return Some(block);
        }
        Role::BadReward => match &mut block.transactions[0] {
            Transaction::Reward(reward) if odd => reward.height = Height::new(height.get() + 1),
            _ => {
                let to = Account::Name(crate::node::own_name(0));
                block.transactions.push(Transaction::Reward(Reward { to, height }));
            }
        },
        Role::WrongDifficulty => {
            let bits = block.header.bits.0;
            let floor = Bits::floor(world.plan.params.halflife_ms).0;
            block.header.bits = Bits(if odd && bits > floor { bits - 1 } else { bits + 1_000 });
        }
        Role::BadLedger => {
            let again = block.transactions.last()?.clone();
            if odd && again.signer().is_some() {
                block.transactions.push(again);
            } else {
                block.transactions.push(overdraft(world));
            }
        }
        Role::TimeLiar if odd => {
            // Not yet valid, but valid once the clocks get there.
            let ahead = 130_000;
            block.header.time = WallTime::from_ms(block.header.time.ms() + ahead);
            let floor = Bits::floor(world.plan.params.halflife_ms).0;
            block.header.bits = Bits(block.header.bits.0.saturating_sub(130_000).max(floor));
        }
        Role::TimeLiar => block.header.time = WallTime::from_ms(5),
        _ => return None,
    }
    let txids: Vec<_> = block.transactions.iter().map(Transaction::txid).collect();
    let root = merkle::root(&txids);
    let header = Header {
        merkle_root: root,
        ..block.header
    };
    block.header = prove(&world.plan.params, header);
    Some(block)
}

/// A payment of more than anybody may owe, by an account that was never used.
fn overdraft(world: &mut World) -> Transaction {
    let mut seed = [3; 32];
    seed[..8].copy_from_slice(&world.dice.next().to_be_bytes());
    let key = SecretKey::from_seed(seed);
    let to = Account::Name(crate::node::own_name(99));
    let amount = Amount::new(1_000_001).expect("small");
    let network = world.plan.params.network_id();
    Transaction::transfer(&network, &key, (Account::Key(key.public()), to, None), amount, 0).expect("two accounts")
}

/// A sibling with another reward; each half of the neighbours gets one of the two.
fn equivocate(world: &mut World, node: usize, block: &Block, bytes: Vec<u8>) {
    let mut twin = block.clone();
    let to = Account::Key(crate::node::key(world.dice.index(0, world.nodes.len())).public());
    let height = twin.header.height;
    twin.transactions[0] = Transaction::Reward(Reward { to, height });
    let txids: Vec<_> = twin.transactions.iter().map(Transaction::txid).collect();
    twin.header.merkle_root = merkle::root(&txids);
    twin.header = prove(&world.plan.params, twin.header);
    let (first, second) = (Rc::new(bytes), Rc::new(whole(&twin)));
    for shown in [&first, &second] {
        crate::checkers::Watch::published(world, node, Topic::Blocks, shown);
    }
    for (turn, other) in world.net.neighbours(node).into_iter().enumerate() {
        let shown = if turn % 2 == 0 { &first } else { &second };
        world.send_gossip(node, other, Topic::Blocks, shown);
    }
}

/// What a hostile node does by itself, now and then.
pub(crate) fn act(world: &mut World, node: usize) {
    let life = world.nodes[node].life;
    let role = world.plan.nodes[node].role;
    let pause = match role {
        Role::PaymentFlood | Role::SideBlocks if world.quiet => return,
        Role::PaymentFlood => FLOOD_EVERY_MS,
        Role::SideBlocks => SIDE_EVERY_MS,
        _ => 500 + world.dice.below(4_000),
    };
    world.later(pause, Happening::Act { node, life });
    match role {
        Role::PaymentFlood => flood(world, node),
        Role::SideBlocks => side_block(world, node),
        Role::Spammer => spam(world, node),
        Role::FlipFlopper => {
            let others = world.net.neighbours(node);
            if !others.is_empty() {
                let other = *world.dice.pick(&others);
                world.unlink(node, other, "it went");
            }
        }
        Role::Selfish if world.quiet => release(world, node),
        _ => {}
    }
}

fn spam(world: &mut World, node: usize) {
    let others = world.net.neighbours(node);
    for other in others {
        let peer = world.nodes[other].peer;
        for _ in 0..20 {
            let draw = world.dice.next();
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&draw.to_be_bytes());
            let garbage = draw.to_be_bytes().repeat(usize::try_from(draw % 60).unwrap_or(1));
            let request = match draw % 6 {
                0 => Request::GetBlocks { hashes: vec![hash; 16] },
                1 => Request::GetHeaders {
                    locator: vec![hash; 32],
                },
                2 => Request::GetPending { after: hash },
                3 => {
                    world.publish(node, Topic::Transactions, encode_transactions(&[garbage]));
                    continue;
                }
                4 => {
                    world.publish(node, Topic::Blocks, garbage);
                    continue;
                }
                _ => Request::GetHeaders { locator: Vec::new() },
            };
            world.request(node, draw | 1 << 63, peer, &request);
        }
    }
}

/// As many payments as a message of a flood has, of as many keys that nobody has seen.
fn flood(world: &mut World, node: usize) {
    let network = world.plan.params.network_id();
    let to = Account::Name(crate::node::own_name(88));
    let payment = |_| {
        let mut seed = [4; 32];
        seed[..8].copy_from_slice(&world.dice.next().to_be_bytes());
        let key = SecretKey::from_seed(seed);
        let parties = (Account::Key(key.public()), to.clone(), None);
        let payment = Transaction::transfer(&network, &key, parties, Amount::ONE, 0);
        payment.expect("two accounts").to_bytes()
    };
    let list: Vec<Vec<u8>> = (0..FLOOD).map(payment).collect();
    world.publish(node, Topic::Transactions, encode_transactions(&list));
}

/// A sibling of the block below the tip: it never leads to a better branch.
fn side_block(world: &mut World, node: usize) {
    let store = &world.nodes[node].store;
    let below = store.tip().ok().and_then(|(height, _)| height.previous());
    let hash = below.and_then(|height| store.active(height).ok().flatten());
    let body = hash.and_then(|hash| store.body(&hash).ok().flatten());
    let Some(mut twin) = body.and_then(|bytes| Block::from_bytes(&bytes).ok()) else {
        return;
    };
    let height = twin.header.height;
    if height == Height::GENESIS {
        return;
    }
    let mut seed = [6; 32];
    seed[..8].copy_from_slice(&world.dice.next().to_be_bytes());
    let to = Account::Key(SecretKey::from_seed(seed).public());
    twin.transactions = vec![Transaction::Reward(Reward { to, height })];
    twin.transactions.extend_from_slice(payments_of_side_blocks());
    let txids: Vec<_> = twin.transactions.iter().map(Transaction::txid).collect();
    twin.header.merkle_root = merkle::root(&txids);
    twin.header = prove(&world.plan.params, twin.header);
    world.publish(node, Topic::Blocks, whole(&twin));
}

/// Made once for a process, for the network `lan`.
fn payments_of_side_blocks() -> &'static [Transaction] {
    static MADE: OnceLock<Vec<Transaction>> = OnceLock::new();
    MADE.get_or_init(|| {
        let network = NetworkParams::lan().network_id();
        let key = SecretKey::from_seed([6; 32]);
        let parties = (
            Account::Key(key.public()),
            Account::Name(crate::node::own_name(66)),
            None,
        );
        let payment = |sequence| Transaction::transfer(&network, &key, parties.clone(), Amount::ONE, sequence);
        (0..SIDE_PAYMENTS)
            .map(|sequence| payment(sequence).expect("two accounts"))
            .collect()
    })
}
