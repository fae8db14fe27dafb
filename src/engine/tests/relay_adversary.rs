//! Rows of the catalogue (`proto-notes/threats.md`) that an engine meets in gossip: hostile blocks and transactions,
//! each held against the verdict, the sender's fate, and what is left of it.

use crate::testing::blocks::whole;
use crate::testing::keys::account as name;
use std::cell::Cell;
use std::rc::Rc;

use super::world::{World, key};
use crate::chain::{Block, Header, NetworkParams, Reward, Transaction, merkle};
use crate::contract::{Command, Event, Reply};
use crate::engine::{Input, NetFact, Verdict};
use crate::testing::statuses::empty;
use crate::types::{Account, Amount, Bits, BlockHash, Height, WallTime};
use crate::wire::message::encode_transactions;
use crate::wire::{Request, Response, Topic};

/// No message of the world itself has it.
const TOKEN: u64 = u64::MAX;

pub(super) fn count(world: &World, node: usize, wanted: impl Fn(&Event) -> bool) -> usize {
    world.nodes[node].events.iter().filter(|event| wanted(event)).count()
}

pub(super) fn bans(world: &World, node: usize) -> usize {
    count(world, node, |event| {
        matches!(
            event,
            Event::Warning {
                code: "peer_banned",
                ..
            }
        )
    })
}

fn rejected(world: &World, node: usize) -> Vec<&'static str> {
    let code = |event: &Event| match event {
        Event::BlockRejected { code, .. } => Some(*code),
        _ => None,
    };
    world.nodes[node].events.iter().filter_map(code).collect()
}

fn gossip(world: &mut World, topic: Topic, bytes: Vec<u8>) -> Verdict {
    let fact = NetFact::Gossip {
        token: TOKEN,
        peer: world.nodes[1].peer,
        topic,
        bytes,
    };
    world.tell(0, Input::Net(fact));
    *world.nodes[0].verdicts.last().unwrap()
}

/// A valid block on a parent but for what `change` does before the nonce is looked for.
pub(super) fn block(
    params: &NetworkParams,
    parent: &Header,
    content: Vec<Transaction>,
    change: impl Fn(&mut Header),
) -> Block {
    let height = parent.height.next();
    let to = Account::Key(key(200).public());
    let mut transactions = vec![Transaction::Reward(Reward { to, height })];
    transactions.extend(content);
    let ids: Vec<_> = transactions.iter().map(Transaction::txid).collect();
    let time = WallTime::from_ms(parent.time.ms() + 10_000);
    let mut header = Header {
        previous: parent.hash(),
        merkle_root: merkle::root(&ids),
        version: 1,
        bits: params.required_bits(parent, time),
        height,
        time,
        nonce: 0,
    };
    change(&mut header);
    while header.check_proof_of_work(params).is_err() {
        header.nonce += 1;
    }
    Block { header, transactions }
}

pub(super) fn tip(world: &World, node: usize) -> Header {
    let chain = crate::chain::Chain::open(world.params.clone(), world.nodes[node].store.copy(), [1; 32]).unwrap();
    chain.tip().header.clone()
}

fn pair() -> World {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    world
}

pub(super) fn payment(world: &World, sequence: u64) -> Transaction {
    let network = world.params.network_id();
    let accounts = (name("carol"), name("dave"), None);
    Transaction::transfer(&network, &key(1), accounts, Amount::ONE, sequence).unwrap()
}

fn balance(world: &mut World, node: usize, text: &str) -> i64 {
    let account = crate::contract::AccountRef::Account(name(text));
    match world.ask(node, Command::Balance(Some(account))).unwrap() {
        Reply::Balance { balance, .. } => balance,
        other => panic!("{other:?}"),
    }
}

#[test]
fn adv_g04_a_confirmed_transaction_that_comes_again_changes_nothing() {
    let mut world = pair();
    let payment = payment(&world, 0).to_bytes();
    let list = encode_transactions(&[payment]);
    assert_eq!(gossip(&mut world, Topic::Transactions, list.clone()), Verdict::Accept);
    world.mine(0, 1);
    assert_eq!(world.nodes[0].engine.status().pending, 0);
    for _ in 0..20 {
        assert_eq!(gossip(&mut world, Topic::Transactions, list.clone()), Verdict::Ignore);
    }
    assert_eq!(world.nodes[0].engine.status().pending, 0);
    world.mine(0, 1);
    assert_eq!(balance(&mut world, 0, "dave"), 1);
    assert_eq!(world.nodes[0].engine.status().peers, 1, "a repetition is no misdeed");
}

#[test]
fn adv_g05_a_peer_that_repeats_itself_is_left_unread_for_a_while_and_never_closed() {
    let mut world = pair();
    let first = payment(&world, 0).to_bytes();
    let many = encode_transactions(&vec![first.clone(); 128]);
    assert_eq!(
        gossip(&mut world, Topic::Transactions, encode_transactions(&[first])),
        Verdict::Accept
    );
    for _ in 0..100 {
        assert_eq!(gossip(&mut world, Topic::Transactions, many.clone()), Verdict::Ignore);
    }
    let next = encode_transactions(&vec![payment(&world, 1).to_bytes(); 128]);
    assert_eq!(gossip(&mut world, Topic::Transactions, next.clone()), Verdict::Ignore);
    assert_eq!(world.nodes[0].engine.status().pending, 1, "it was not looked at");
    world.run(1_000);
    assert_eq!(gossip(&mut world, Topic::Transactions, next), Verdict::Accept);
    let status = world.nodes[0].engine.status();
    assert_eq!((status.pending, status.peers), (2, 1));
}

#[test]
fn adv_g12_a_block_without_work_is_refused_before_its_body_is_read() {
    let mut world = pair();
    let mut lazy = block(&world.params, &world.params.genesis(), Vec::new(), |_| {}).header;
    lazy.nonce += 1;
    assert!(lazy.check_proof_of_work(&world.params).is_err());
    let mut bytes = lazy.to_bytes().to_vec();
    bytes.extend_from_slice(&[0xff; 1_000]);
    assert_eq!(gossip(&mut world, Topic::Blocks, bytes), Verdict::Reject);
    assert_eq!(rejected(&world, 0), ["bad_proof_of_work"], "and not for its body");
    assert_eq!((bans(&world, 0), world.nodes[0].engine.status().peers), (1, 0));
}

#[test]
fn adv_g14_a_block_with_one_bad_signature_is_refused_whole() {
    let mut world = pair();
    world.nodes[1].shy = true;
    let good = payment(&world, 0);
    let lan = NetworkParams::lan().network_id();
    let foreign = Transaction::transfer(&lan, &key(1), (name("carol"), name("dave"), None), Amount::ONE, 1).unwrap();
    let bad = block(&world.params, &world.params.genesis(), vec![good, foreign], |_| {});
    assert_eq!(
        gossip(&mut world, Topic::Blocks, whole(&bad)),
        Verdict::Accept,
        "its header is right"
    );
    world.run(10);
    assert_eq!(rejected(&world, 0), ["bad_signature"]);
    assert_eq!((bans(&world, 0), world.height(0)), (0, 0));
    assert_eq!(balance(&mut world, 0, "dave"), 0);
}

#[test]
fn adv_g17_a_block_older_than_its_parent_is_refused_with_its_sender() {
    let mut world = pair();
    world.mine(0, 1);
    let parent = tip(&world, 0);
    let old = block(&world.params, &parent, Vec::new(), |header| {
        header.time = WallTime::from_ms(parent.time.ms() - 1);
    });
    assert_eq!(gossip(&mut world, Topic::Blocks, whole(&old)), Verdict::Reject);
    assert_eq!(rejected(&world, 0), ["time_too_old"]);
    assert_eq!((bans(&world, 0), world.height(0)), (1, 1));
}

#[test]
fn adv_g18_a_block_with_easier_bits_than_demanded_is_refused_by_its_header_alone() {
    let params = NetworkParams::lan();
    let mut world = World::with(2, params.clone(), |_| {});
    world.link(0, 1);
    world.run(500);
    // A quick second block has to be harder than the floor.
    let genesis = params.genesis();
    let first = block(&params, &genesis, Vec::new(), |header| {
        header.time = WallTime::from_ms(genesis.time.ms() + 900_000);
        header.bits = params.required_bits(&genesis, header.time);
    });
    assert_eq!(gossip(&mut world, Topic::Blocks, whole(&first)), Verdict::Accept);
    let time = WallTime::from_ms(first.header.time.ms() + 1_000);
    let floor = Bits::floor(params.halflife_ms);
    assert!(params.required_bits(&first.header, time) > floor);
    let easy = block(&params, &first.header, Vec::new(), |header| {
        header.time = time;
        header.bits = floor;
    });
    let mut bytes = easy.header.to_bytes().to_vec();
    bytes.extend_from_slice(&[0xff; 1_000]);
    assert_eq!(gossip(&mut world, Topic::Blocks, bytes), Verdict::Reject);
    assert_eq!(rejected(&world, 0), ["bad_target"]);
    assert_eq!((bans(&world, 0), world.height(0)), (1, 1));
}

/// Node 1 says that it has nothing; counts how often it is asked for headers.
fn modest(world: &mut World) -> Rc<Cell<u32>> {
    let pages = Rc::new(Cell::new(0));
    let asked = Rc::clone(&pages);
    let nothing = empty(*world.params.genesis().hash().as_bytes(), world.now.ms());
    world.nodes[1].shy = true;
    world.nodes[1].script = Some(Box::new(move |request| match request {
        Request::Status(_) => Some(Response::Status(nothing.clone())),
        Request::GetHeaders { .. } => {
            asked.set(asked.get() + 1);
            None
        }
        Request::GetBlocks { .. }
        | Request::GetPending { .. }
        | Request::GetPeers
        | Request::GetTransactions { .. } => None,
    }));
    pages
}

#[test]
fn adv_s02_who_says_that_it_has_nothing_is_not_asked_but_its_gossip_counts() {
    let mut world = World::new(2);
    world.mine(1, 5);
    let pages = modest(&mut world);
    world.link(0, 1);
    world.run(30_000);
    assert_eq!((pages.get(), world.height(0)), (0, 0));
    world.mine(1, 1);
    world.until(3_000, |world| world.height(0) == 6);
    assert_eq!((bans(&world, 0), world.nodes[0].engine.status().peers), (0, 1));
}

#[test]
fn adv_g19_of_an_orphan_nothing_is_kept_but_whom_to_ask() {
    let mut world = World::new(2);
    world.mine(1, 3);
    let pages = modest(&mut world);
    world.link(0, 1);
    world.run(500);
    let orphan = block(&world.params, &tip(&world, 1), Vec::new(), |_| {});
    let mut bytes = orphan.header.to_bytes().to_vec();
    // Its body is never read, else it would be refused.
    bytes.extend_from_slice(&[0xff; 1_000]);
    for _ in 0..6 {
        assert_eq!(gossip(&mut world, Topic::Blocks, bytes.clone()), Verdict::Ignore);
    }
    let stored = |event: &Event| matches!(event, Event::BlockStored { .. });
    assert_eq!((world.height(0), count(&world, 0, stored)), (0, 0));
    assert!(rejected(&world, 0).is_empty());
    world.until(3_000, |world| world.height(0) == 3);
    assert!(pages.get() >= 1);
    assert_eq!((bans(&world, 0), world.nodes[0].engine.status().peers), (0, 1));
}

#[test]
fn adv_g21_a_block_beside_the_active_chain_is_kept_and_not_forwarded() {
    let mut world = pair();
    world.mine(0, 3);
    world.until(3_000, |world| world.height(1) == 3);
    let side = block(&world.params, &world.params.genesis(), Vec::new(), |_| {});
    assert_eq!(gossip(&mut world, Topic::Blocks, whole(&side)), Verdict::Ignore);
    let hash = side.hash();
    let kept = |event: &Event| matches!(event, Event::BlockStored { block, .. } if block.hash == hash);
    assert_eq!(count(&world, 0, kept), 1);
    assert_eq!(world.height(0), 3);
    assert_eq!((bans(&world, 0), world.nodes[0].engine.status().peers), (0, 1));
    // Twice is once.
    assert_eq!(gossip(&mut world, Topic::Blocks, whole(&side)), Verdict::Ignore);
    assert_eq!(count(&world, 0, kept), 1);
}

#[test]
fn adv_g21_a_block_on_a_parent_far_below_the_tip_is_not_kept() {
    let mut world = pair();
    world.mine(0, 146);
    let stale = block(&world.params, &world.params.genesis(), Vec::new(), |_| {});
    assert_eq!(gossip(&mut world, Topic::Blocks, whole(&stale)), Verdict::Ignore);
    assert_eq!(count(&world, 0, |event| matches!(event, Event::BlockStored { .. })), 0);
    assert_eq!((bans(&world, 0), world.nodes[0].engine.status().peers), (0, 1));
}

#[test]
fn adv_g28_a_node_whose_gossip_is_swallowed_by_sixteen_sybils_hears_of_the_tip_all_the_same() {
    let mut world = World::new(18);
    for sybil in 1..=16 {
        world.nodes[sybil].dead = true;
        world.nodes[sybil].shy = true;
        world.link(0, sybil);
    }
    world.link(0, 17);
    world.run(500);
    world.nodes[0].deaf = true;
    for height in 1..=3 {
        world.mine(17, 1);
        world.until(12_000, |world| world.height(0) == height);
    }
    assert_eq!(bans(&world, 0), 0);
}

#[test]
fn adv_g30_blocks_that_do_not_connect_yet_are_no_misdeed_while_syncing() {
    let mut world = World::new(3);
    world.link(1, 2);
    world.mine(1, 120);
    let tip = world.tip(1);
    world.until(5_000, |world| world.tip(2) == tip);
    world.latency_ms = 50;
    world.link(0, 1);
    world.link(0, 2);
    world.until(5_000, |world| world.nodes[0].engine.status().syncing);
    world.mine(1, 60);
    let tip = world.tip(1);
    world.until(20_000, |world| world.tip(0) == tip);
    let ignored = world.nodes[0]
        .verdicts
        .iter()
        .filter(|verdict| **verdict == Verdict::Ignore);
    assert!(ignored.count() > 0, "some came before their parents");
    assert!(
        world.nodes[0]
            .verdicts
            .iter()
            .all(|verdict| *verdict != Verdict::Reject)
    );
    assert_eq!((bans(&world, 0), world.nodes[0].engine.status().peers), (0, 2));
}

#[test]
fn adv_s25_a_block_known_to_be_invalid_is_ignored_unread() {
    let mut world = World::new(3);
    world.link(0, 1);
    world.link(0, 2);
    world.run(500);
    let broke = Transaction::transfer(
        &world.params.network_id(),
        &key(1),
        (name("carol"), name("dave"), None),
        Amount::new(900_000).unwrap(),
        0,
    );
    let bad = block(&world.params, &world.params.genesis(), vec![broke.unwrap()], |_| {});
    assert_eq!(
        gossip(&mut world, Topic::Blocks, whole(&bad)),
        Verdict::Accept,
        "its header is right"
    );
    world.run(10);
    assert_eq!(rejected(&world, 0), ["overdraft"]);
    // Another offers it again; of what follows its header nothing is looked at.
    let mut again = bad.header.to_bytes().to_vec();
    again.extend_from_slice(&[0xff; 1_000]);
    let fact = NetFact::Gossip {
        token: TOKEN,
        peer: world.nodes[2].peer,
        topic: Topic::Blocks,
        bytes: again,
    };
    world.tell(0, Input::Net(fact));
    assert_eq!(world.nodes[0].verdicts.last(), Some(&Verdict::Ignore));
    assert_eq!(rejected(&world, 0), ["overdraft"], "it was judged once");
    assert_eq!((bans(&world, 0), world.nodes[0].engine.status().peers), (0, 2));
    // What stands on it is refused unvalidated.
    let child = block(&world.params, &bad.header, Vec::new(), |_| {});
    let peer = world.nodes[1].peer;
    let fact = NetFact::Gossip {
        token: TOKEN,
        peer,
        topic: Topic::Blocks,
        bytes: whole(&child),
    };
    world.tell(0, Input::Net(fact));
    assert_ne!(world.nodes[0].verdicts.last(), Some(&Verdict::Accept));
    assert_eq!((world.height(0), world.tip(0)), (0, world.params.genesis().hash()));
    assert_ne!(bad.hash(), BlockHash::ZERO);
    assert_eq!(child.header.height, Height::new(2));
}
