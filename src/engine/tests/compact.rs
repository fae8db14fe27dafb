//! Compact blocks: what goes on early, what is asked for, and that nobody is blamed for what nobody could see.

use std::cell::RefCell;
use std::rc::Rc;

use super::kit::mine;
use super::relay;
use super::relay_adversary::{bans, payment, tip};
use super::sync_claims::overdraft;
use super::world::World;
use crate::chain::{Block, Transaction};
use crate::contract::Event;
use crate::engine::{Input, NetFact, Verdict};
use crate::wire::{CompactBlock, Request, Response, Topic};

/// Three nodes with nothing but genesis; the first two are connected.
fn lone_pair() -> World {
    let mut world = World::new(3);
    world.link(0, 1);
    world.run(500);
    world
}

/// A block on genesis with payments that nobody has heard of.
fn unheard_block(world: &World, later: u64, payments: u64) -> Block {
    let list = (0..payments).map(|sequence| payment(world, sequence)).collect();
    mine(&world.params, &world.params.genesis(), later, 5, list)
}

/// The message with as many short ids as can be.
fn ids(block: &Block) -> Vec<u8> {
    CompactBlock::of(block, |_| false).encode()
}

/// Node 0 hears a block from another node; its verdict.
fn gossip(world: &mut World, from: usize, bytes: Vec<u8>) -> Verdict {
    relay::gossip(world, from, Topic::Blocks, bytes)
}

/// Node 1 gives the transactions of these blocks; what it was asked for.
fn giving(world: &mut World, blocks: Vec<Block>) -> Rc<RefCell<Vec<Vec<u16>>>> {
    giving_from(world, 1, blocks)
}

/// The same of another node.
fn giving_from(world: &mut World, node: usize, blocks: Vec<Block>) -> Rc<RefCell<Vec<Vec<u16>>>> {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&asked);
    world.nodes[node].script = Some(Box::new(move |request| match request {
        Request::GetTransactions { block, positions } => {
            seen.borrow_mut().push(positions.clone());
            let held = blocks.iter().find(|held| held.hash().as_bytes() == block)?;
            let at = |at: &u16| held.transactions[usize::from(*at)].to_bytes();
            Some(Response::Transactions(positions.iter().map(at).collect()))
        }
        Request::GetBlocks { .. } => panic!("no whole block is asked for"),
        Request::Status(_) | Request::GetHeaders { .. } | Request::GetPending { .. } | Request::GetPeers => None,
    }));
    asked
}

fn rejected(event: &Event) -> bool {
    matches!(event, Event::BlockRejected { .. })
}

fn answer(world: &mut World, block: [u8; 32], positions: Vec<u16>) -> Response {
    let peer = world.nodes[1].peer;
    let request = Request::GetTransactions { block, positions };
    let token = u64::MAX;
    world.tell(0, Input::Net(NetFact::Request { token, peer, request }));
    world.nodes[0].answers.pop().unwrap().1
}

#[test]
fn a_header_on_the_tip_goes_on_at_once_and_its_payments_are_asked_for() {
    let mut world = lone_pair();
    let block = unheard_block(&world, 10, 3);
    let asked = giving(&mut world, vec![block.clone()]);
    assert_eq!(gossip(&mut world, 1, ids(&block)), Verdict::Accept);
    assert_eq!(world.height(0), 0, "its body was not looked at");
    world.run(200);
    assert_eq!((world.tip(0), asked.take()), (block.hash(), vec![vec![1, 2, 3]]));
    assert_eq!((world.count(0, rejected), world.peers(0)), (0, 1));
}

#[test]
fn of_known_payments_nothing_is_asked() {
    let mut world = lone_pair();
    let list: Vec<Transaction> = (0..4).map(|sequence| payment(&world, sequence)).collect();
    let bytes = crate::wire::message::encode_transactions(&list.iter().map(Transaction::to_bytes).collect::<Vec<_>>());
    let fact = NetFact::Gossip {
        token: 1,
        peer: world.nodes[1].peer,
        topic: Topic::Transactions,
        bytes,
    };
    world.tell(0, Input::Net(fact));
    let block = unheard_block(&world, 10, 4);
    let asked = giving(&mut world, Vec::new());
    assert_eq!(gossip(&mut world, 1, ids(&block)), Verdict::Accept);
    world.run(10);
    assert_eq!((world.tip(0), asked.take().len()), (block.hash(), 0));
    assert_eq!(world.nodes[0].engine.status().pending, 0);
}

#[test]
fn a_child_that_comes_right_behind_its_parent_finds_it() {
    let mut world = lone_pair();
    let parent = unheard_block(&world, 10, 0);
    let child = mine(&world.params, &parent.header, 10, 5, Vec::new());
    assert_eq!(gossip(&mut world, 1, ids(&parent)), Verdict::Accept);
    assert_eq!(gossip(&mut world, 1, ids(&child)), Verdict::Accept);
    world.run(10);
    assert_eq!(world.tip(0), child.hash());
}

#[test]
fn two_blocks_at_once_are_both_put_together() {
    let mut world = lone_pair();
    let blocks = [unheard_block(&world, 10, 2), unheard_block(&world, 20, 3)];
    let asked = giving(&mut world, blocks.to_vec());
    // Neither is the tip before its payments are there.
    let verdicts = [0, 1].map(|at| gossip(&mut world, 1, ids(&blocks[at])));
    assert_eq!(verdicts, [Verdict::Accept; 2], "both stand on the tip");
    world.run(200);
    assert_eq!(asked.take(), [vec![1, 2], vec![1, 2, 3]]);
    let has = |block: &Block| world.nodes[0].engine.chain.block(&block.hash()).unwrap().is_some();
    assert!(blocks.iter().all(has) && world.height(0) == 1);
    // Without anything to ask for the first is the tip when the second comes.
    let next = [30, 40].map(|later| mine(&world.params, &tip(&world, 0), later, 5, Vec::new()));
    let verdicts = [0, 1].map(|at| gossip(&mut world, 1, ids(&next[at])));
    assert_eq!(verdicts[0], Verdict::Accept);
    let wins = next[1].hash() < next[0].hash();
    assert_eq!(verdicts[1], if wins { Verdict::Accept } else { Verdict::Ignore });
    assert_eq!((bans(&world, 0), world.count(0, rejected)), (0, 0));
}

#[test]
fn adv_g32_a_list_that_leads_to_another_root_is_nobodys_fault_and_the_block_comes_all_the_same() {
    let mut world = lone_pair();
    let block = unheard_block(&world, 10, 3);
    world.give(2, core::slice::from_ref(&block));
    let other = mine(&world.params, &world.params.genesis(), 20, 6, Vec::new());
    let shuffled = |change: &dyn Fn(&mut CompactBlock)| {
        let mut compact = CompactBlock::of(&block, |_| true);
        change(&mut compact);
        compact.encode()
    };
    let reward = other.transactions[0].to_bytes();
    let lists = [
        shuffled(&|compact| compact.given.truncate(2)),
        shuffled(&|compact| compact.given[0].1.clone_from(&reward)),
        shuffled(&|compact| compact.ids = vec![[9; 6]; 3]),
        shuffled(&|compact| {
            let last = compact.given[3].1.clone();
            compact.given[3].1 = core::mem::replace(&mut compact.given[2].1, last);
        }),
    ];
    for list in lists {
        assert_eq!(gossip(&mut world, 1, list), Verdict::Accept, "the header is right");
        world.run(300);
        assert_eq!((world.height(0), world.count(0, rejected), bans(&world, 0)), (0, 0, 0));
    }
    world.link(0, 2);
    world.until(5_000, |world| world.tip(0) == block.hash());
    assert_eq!((world.peers(0), bans(&world, 0)), (2, 0));
}

#[test]
fn adv_g33_an_honest_header_over_a_body_that_breaks_the_ledger_bans_nobody() {
    let mut world = lone_pair();
    world.link(0, 2);
    world.run(500);
    let content = vec![overdraft(&world.params)];
    let bad = mine(&world.params, &world.params.genesis(), 10, 1, content);
    let asked = giving(&mut world, vec![bad.clone()]);
    assert_eq!(gossip(&mut world, 1, ids(&bad)), Verdict::Accept);
    world.run(200);
    let overdrafts = |event: &Event| matches!(event, Event::BlockRejected { code: "overdraft", .. });
    assert_eq!((world.count(0, overdrafts), world.height(0)), (1, 0));
    // Now it is known, and so is who repeats it: a node that has not got so far.
    assert_eq!(gossip(&mut world, 2, ids(&bad)), Verdict::Ignore);
    world.run(200);
    assert_eq!((world.count(0, rejected), asked.take().len()), (1, 1));
    assert_eq!((world.peers(0), bans(&world, 0)), (2, 0));
}

#[test]
fn a_block_beside_the_tip_is_not_forwarded_and_its_payments_are_asked_for() {
    let mut world = lone_pair();
    let first = unheard_block(&world, 10, 0);
    assert_eq!(gossip(&mut world, 1, ids(&first)), Verdict::Accept);
    world.run(10);
    let side = unheard_block(&world, 20, 2);
    giving(&mut world, vec![side.clone()]);
    assert_eq!(gossip(&mut world, 1, ids(&side)), Verdict::Ignore);
    world.run(200);
    assert!(world.nodes[0].engine.chain.block(&side.hash()).unwrap().is_some());
}

#[test]
fn adv_g34_after_a_sender_that_does_not_answer_or_goes_the_block_comes_from_another() {
    for goes in [false, true] {
        let mut world = lone_pair();
        world.nodes[1].mute = true;
        let block = unheard_block(&world, 10, 2);
        assert_eq!(gossip(&mut world, 1, ids(&block)), Verdict::Accept);
        world.run(10);
        assert!(world.nodes[0].engine.compacts.holds(&block.hash()));
        if goes {
            world.unlink(0, 1);
        }
        world.run(5_100);
        assert!(
            !world.nodes[0].engine.compacts.holds(&block.hash()),
            "it is not waited for any more"
        );
        world.give(2, core::slice::from_ref(&block));
        world.link(0, 2);
        world.until(5_000, |world| world.tip(0) == block.hash());
        assert_eq!(bans(&world, 0), 0);
    }
}

#[test]
fn adv_g35_of_headers_without_bodies_twenty_of_an_address_go_on_in_a_second() {
    let mut world = lone_pair();
    world.nodes[1].mute = true;
    let mut early = 0;
    for number in 0..50 {
        let block = unheard_block(&world, 10 + number, 1);
        early += usize::from(gossip(&mut world, 1, ids(&block)) == Verdict::Accept);
    }
    assert_eq!(early, 20);
    assert_eq!((world.height(0), world.peers(0), bans(&world, 0)), (0, 1, 0));
}

#[test]
fn adv_g36_whoever_brings_full_blocks_that_are_invalid_is_not_listened_to_for_a_while() {
    let mut world = lone_pair();
    let again = payment(&world, 0);
    let bad = |later| {
        let content = vec![again.clone(); 4_000];
        mine(&world.params, &world.params.genesis(), later, 5, content)
    };
    let blocks: Vec<Block> = (10..13).map(bad).collect();
    giving(&mut world, blocks.clone());
    for block in &blocks {
        assert_eq!(gossip(&mut world, 1, ids(block)), Verdict::Accept);
        world.run(200);
    }
    assert_eq!((world.count(0, rejected), bans(&world, 0)), (3, 0));
    let good = unheard_block(&world, 20, 0);
    assert_eq!(
        gossip(&mut world, 1, ids(&good)),
        Verdict::Ignore,
        "what three full blocks cost"
    );
    world.run(2_000);
    assert_eq!(gossip(&mut world, 1, ids(&good)), Verdict::Accept);
}

#[test]
fn adv_g37_a_message_that_is_no_compact_block_bans_its_sender_and_nobody_who_sends_the_same_header() {
    let mut world = lone_pair();
    world.link(0, 2);
    world.run(500);
    let block = unheard_block(&world, 10, 0);
    let broken = [&block.header.to_bytes()[..], &[0xff; 40]].concat();
    // Other bytes may stand behind this header elsewhere, and gossip knows it by the header.
    assert_eq!(gossip(&mut world, 1, broken), Verdict::Ignore);
    assert_eq!((world.peers(0), bans(&world, 0)), (1, 1));
    assert_eq!(gossip(&mut world, 2, ids(&block)), Verdict::Accept);
    world.run(10);
    assert_eq!(world.tip(0), block.hash());
}

#[test]
fn transactions_of_a_stored_block_are_answered_and_others_are_not_at_hand() {
    let mut world = lone_pair();
    let block = unheard_block(&world, 10, 3);
    world.give(0, core::slice::from_ref(&block));
    world.link(0, 1);
    world.run(100);
    let hash = *block.hash().as_bytes();
    let at = |at: usize| block.transactions[at].to_bytes();
    assert_eq!(
        answer(&mut world, hash, vec![3, 1]),
        Response::Transactions(vec![at(3), at(1)])
    );
    for (block, positions) in [(hash, vec![1, 4]), (hash, vec![]), ([1; 32], vec![0])] {
        assert_eq!(answer(&mut world, block, positions), Response::Transactions(Vec::new()));
    }
}

#[test]
fn a_payment_that_nobody_else_has_yet_travels_whole() {
    let mut world = lone_pair();
    // The payment itself gets lost, and the block finds its way.
    let asked = giving_from(&mut world, 0, Vec::new());
    world.gossip_lost_every = 1;
    world.pay(0, "me", "bob", 5).unwrap();
    world.gossip_lost_every = 0;
    world.nodes[0].kinds.clear();
    world.mine(0, 1);
    assert!(world.nodes[0].kinds.contains(&"publish"));
    world.run(20);
    assert_eq!((world.tip(1), asked.take().len()), (world.tip(0), 0));
    assert_eq!(world.nodes[1].engine.status().pending, 0);
}

#[test]
fn whoever_sends_what_cannot_be_put_together_is_asked_for_its_headers() {
    let mut world = lone_pair();
    let block = unheard_block(&world, 10, 1);
    let pages = Rc::new(RefCell::new(0));
    let seen = Rc::clone(&pages);
    world.nodes[1].script = Some(Box::new(move |request| match request {
        Request::GetHeaders { .. } => {
            *seen.borrow_mut() += 1;
            None
        }
        Request::GetTransactions { .. } => Some(Response::Transactions(Vec::new())),
        Request::Status(_) | Request::GetBlocks { .. } | Request::GetPending { .. } | Request::GetPeers => None,
    }));
    assert_eq!(gossip(&mut world, 1, ids(&block)), Verdict::Accept);
    world.run(200);
    assert_eq!((world.height(0), *pages.borrow()), (0, 1));
}
