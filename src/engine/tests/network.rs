//! What nodes do together: converge, heal, relay, and live with bad neighbours.

use super::world::{World, address, key, solve};
use crate::chain::{Block, NetworkParams, Transaction};
use crate::contract::{Command, Event, Reply, Source};
use crate::engine::{Input, MinerFact, NetFact, Verdict};
use crate::testing::blocks::whole;
use crate::types::{BlockHash, Txid, Work};
use crate::wire::Topic;

fn txid(reply: &Reply) -> Txid {
    match reply {
        Reply::Tx { tx, .. } => tx.txid,
        other => panic!("{other:?}"),
    }
}

fn count(world: &World, node: usize, wanted: impl Fn(&Event) -> bool) -> usize {
    world.nodes[node].events.iter().filter(|event| wanted(event)).count()
}

fn resolve(world: &mut World, node: usize) -> (bool, String) {
    match world.ask(node, Command::Resolve).unwrap() {
        Reply::Resolved { replaced, message, .. } => (replaced, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_nodes_converge_on_the_chain_with_more_work() {
    let mut world = World::new(2);
    world.mine(0, 5);
    world.mine(1, 3);
    world.link(0, 1);
    let tip = world.tip(0);
    world.until(10_000, |world| world.tip(1) == tip);
    world.mine(1, 2);
    world.until(1_000, |world| world.height(0) == 7);
    assert_eq!(world.tip(0), world.tip(1));
}

#[test]
fn every_block_of_a_sync_has_its_event_and_replaying_them_gives_the_chain() {
    let mut world = World::new(2);
    world.mine(0, 40);
    world.mine(1, 3);
    world.link(0, 1);
    world.until(10_000, |world| world.height(1) == 40);
    let mut chain = vec![world.params.genesis().hash()];
    for event in &world.nodes[1].events {
        match event {
            Event::BlockConnected { block, .. } => {
                assert_eq!(chain.last(), Some(&block.previous_hash));
                chain.push(block.hash);
            }
            Event::BlockDisconnected { block } => assert_eq!(chain.pop(), Some(block.hash)),
            _ => {}
        }
    }
    assert_eq!(chain.last(), Some(&world.tip(0)));
    assert_eq!(chain.len(), 41);
    assert_eq!(count(&world, 1, |event| matches!(event, Event::SyncStarted { .. })), 1);
    assert_eq!(count(&world, 1, |event| matches!(event, Event::SyncFinished { .. })), 1);
}

#[test]
fn a_deep_fork_heals_and_the_losers_transaction_is_returned_and_mined_once() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.mine(0, 2);
    world.until(5_000, |world| world.height(1) == 2);
    world.split(0, 1);
    let paid = txid(&world.pay(1, "alice", "bob", 5).unwrap());
    world.mine(1, 20);
    world.mine(0, 30);
    world.link(0, 1);
    let tip = world.tip(0);
    world.until(20_000, |world| world.tip(1) == tip);
    let returned = world.nodes[1].events.iter().find_map(|event| match event {
        Event::Reorganized { depth, returned, .. } => Some((*depth, returned.clone())),
        _ => None,
    });
    assert_eq!(returned, Some((20, vec![paid])));
    world.until(10_000, |world| world.nodes[0].engine.status().pending == 1);
    world.mine(0, 2);
    world.until(5_000, |world| world.height(1) == 34);
    for node in 0..2 {
        let mut found = 0;
        for height in 1..=34 {
            let block = Command::Block(crate::contract::BlockRef::Height(crate::types::Height::new(height)));
            if let Ok(Reply::Block(view)) = world.ask(node, block) {
                found += view.transactions.iter().filter(|tx| tx.txid == paid).count();
            }
        }
        assert_eq!(found, 1);
        assert_eq!(world.nodes[node].engine.status().pending, 0);
    }
}

#[test]
fn a_transaction_made_before_the_first_peer_arrives_later() {
    let mut world = World::new(2);
    let paid = world.pay(0, "alice", "bob", 5).unwrap();
    match &paid {
        Reply::Tx { message, notice, .. } => {
            assert_eq!(message, "Transaction will be added to Block 1");
            assert!(notice.as_ref().unwrap().contains("no peer yet"));
        }
        other => panic!("{other:?}"),
    }
    world.run(60_000);
    world.link(0, 1);
    world.until(3_000, |world| world.nodes[1].engine.status().pending == 1);
    let source = Source::Peer(world.nodes[0].peer);
    assert_eq!(
        count(
            &world,
            1,
            |event| matches!(event, Event::TransactionAccepted { txid: seen, source: from, .. }
            if *seen == txid(&paid) && *from == source)
        ),
        1
    );
}

#[test]
fn a_block_made_before_the_first_peer_arrives_later() {
    let mut world = World::new(2);
    world.mine(0, 1);
    world.run(30_000);
    world.link(1, 0);
    world.until(3_000, |world| world.height(1) == 1);
}

#[test]
fn a_silent_peer_is_replaced_by_the_next() {
    let mut world = World::new(3);
    world.link(0, 1);
    world.mine(0, 20);
    let tip = world.tip(0);
    world.until(5_000, |world| world.tip(1) == tip);
    world.nodes[0].mute = true;
    world.link(2, 0);
    world.run(100);
    world.link(2, 1);
    world.until(20_000, |world| world.tip(2) == tip);
}

#[test]
fn ancestor_fault_one_dead_neighbour_does_not_break_resolve() {
    let mut world = World::new(3);
    world.link(0, 1);
    world.link(0, 2);
    world.run(500);
    world.nodes[1].dead = true;
    world.split(0, 2);
    world.mine(2, 4);
    world.cut.clear();
    world.link(0, 2);
    let before = world.now;
    let (replaced, message) = resolve(&mut world, 0);
    assert!(world.now.since(before) <= 10_100);
    world.until(10_000, |world| world.height(0) == 4);
    if replaced {
        assert_eq!(message, "Our chain was replaced");
    }
    assert_eq!(resolve(&mut world, 0), (false, "Our chain is authoritative".to_owned()));
}

#[test]
fn a_lonely_node_is_authoritative() {
    let mut world = World::new(1);
    assert_eq!(resolve(&mut world, 0), (false, "Our chain is authoritative".to_owned()));
}

#[test]
fn ancestor_fault_two_searches_at_once_never_fork_a_node_against_itself() {
    let mut world = World::new(1);
    let mine = Command::Mine(crate::contract::MineCommand::Count(3));
    let first = world.command(0, mine.clone());
    let second = world.command(0, mine);
    world.until(60_000, |world| world.nodes[0].replies.contains_key(&second));
    assert!(world.nodes[0].replies.contains_key(&first));
    assert_eq!(world.height(0), 6);
    assert_eq!(count(&world, 0, |event| matches!(event, Event::BlockStored { .. })), 0);
    assert_eq!(count(&world, 0, |event| matches!(event, Event::Reorganized { .. })), 0);
}

#[test]
fn ancestor_fault_a_late_find_for_an_old_tip_is_no_second_block() {
    let mut world = World::new(1);
    world.run(100);
    world.command(0, Command::Mine(crate::contract::MineCommand::Count(2)));
    let (job, mut header, target) = world.nodes[0].job.clone().unwrap();
    world.until(60_000, |world| world.height(0) == 1);
    // Another nonce that solves the old search as well.
    header.nonce = solve(&header, &target) + 1;
    let nonce = solve(&header, &target);
    world.tell(0, Input::Miner(MinerFact::Found { job, nonce }));
    world.run(100);
    assert_eq!(count(&world, 0, |event| matches!(event, Event::BlockStored { .. })), 0);
    let at_one = |event: &Event| matches!(event, Event::Mined { block } if block.height.get() == 1);
    assert_eq!(count(&world, 0, at_one), 1);
}

#[test]
fn three_miners_at_the_floor_end_on_one_tip() {
    let mut world = World::with(3, NetworkParams::dev(), |config| config.mine = true);
    world.link(0, 1);
    world.link(1, 2);
    world.run(30_000);
    for node in 0..3 {
        world
            .ask(node, Command::Mine(crate::contract::MineCommand::Off))
            .unwrap();
    }
    world.run(5_000);
    assert!(world.height(0) > 10, "{}", world.height(0));
    assert_eq!(world.tip(0), world.tip(1));
    assert_eq!(world.tip(1), world.tip(2));
}

#[test]
fn a_verdict_leaves_before_the_commit_and_own_news_behind_it() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(1_000);
    world.nodes[0].kinds.clear();
    world.nodes[1].kinds.clear();
    world.mine(0, 1);
    world.until(1_000, |world| world.height(1) == 1);
    assert_eq!(world.nodes[0].kinds[..2], ["commit", "publish"]);
    assert_eq!(world.nodes[0].kinds.last(), Some(&"reply"));
    let kinds = &world.nodes[1].kinds;
    let verdict = kinds.iter().position(|kind| *kind == "verdict").unwrap();
    assert!(verdict < kinds.iter().position(|kind| *kind == "commit").unwrap());
}

fn gossip(world: &mut World, node: usize, from: usize, topic: Topic, bytes: Vec<u8>) -> Verdict {
    let peer = world.nodes[from].peer;
    let fact = NetFact::Gossip {
        token: 1,
        peer,
        topic,
        bytes,
    };
    world.tell(node, Input::Net(fact));
    *world.nodes[node].verdicts.last().unwrap()
}

#[test]
fn a_block_without_proof_of_work_is_rejected_and_its_sender_refused() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    let mut header = world.params.genesis();
    header.previous = header.hash();
    header.height = header.height.next();
    let block = Block {
        header,
        transactions: Vec::new(),
    };
    assert_eq!(gossip(&mut world, 0, 1, Topic::Blocks, whole(&block)), Verdict::Reject);
    assert_eq!(world.nodes[0].engine.status().peers, 0);
    assert_eq!(
        count(&world, 0, |event| matches!(event, Event::BlockRejected { .. })),
        1
    );
}

#[test]
fn a_forged_signature_is_rejected_and_a_policy_difference_ignored() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    let network = world.params.network_id();
    let name = |text| crate::types::Account::Name(crate::types::AccountName::new(text).unwrap());
    let make = |network, sequence| {
        Transaction::transfer(
            network,
            &key(1),
            (name("carol"), name("dave"), None),
            crate::types::Amount::ONE,
            sequence,
        )
        .unwrap()
        .to_bytes()
    };
    let list = |bytes: Vec<u8>| crate::wire::message::encode_transactions(&[bytes]);
    let far = make(&network, 900);
    assert_eq!(
        gossip(&mut world, 0, 1, Topic::Transactions, list(far)),
        Verdict::Ignore
    );
    assert_eq!(world.nodes[0].engine.status().peers, 1);
    let other = crate::types::NetworkId::new([1; 32]);
    let forged = make(&other, 0);
    assert_eq!(
        gossip(&mut world, 0, 1, Topic::Transactions, list(forged)),
        Verdict::Reject
    );
    let cost = |event: &Event| matches!(event, Event::Warning { code: "peer_fault", message } if message.contains("loses 10 of its 50 points: "));
    assert_eq!(count(&world, 0, cost), 1, "what it cost the peer is told");
    let good = make(&network, 0);
    assert_eq!(
        gossip(&mut world, 0, 1, Topic::Transactions, list(good.clone())),
        Verdict::Accept
    );
    assert_eq!(
        gossip(&mut world, 0, 1, Topic::Transactions, list(good)),
        Verdict::Ignore
    );
}

#[test]
fn a_block_of_the_near_future_is_taken_when_its_time_comes() {
    let mut world = World::new(2);
    world.mine(1, 1);
    let ahead = crate::types::WallTime::from_ms(world.now.ms() - 121_000);
    world.tell(0, Input::Clock(ahead));
    world.link(0, 1);
    world.run(300);
    assert_eq!(world.height(0), 0);
    world.run(25_000);
    assert_eq!(world.height(0), 1, "an early header is no lie");
    assert_eq!(
        count(&world, 0, |event| matches!(event, Event::Warning { code: "clock", .. })),
        1
    );
}

#[test]
fn ancestor_fault_a_restart_loses_neither_blocks_nor_own_transactions() {
    let mut world = World::new(1);
    world.mine(0, 3);
    let tip = world.tip(0);
    let paid = txid(&world.pay(0, "alice", "bob", 5).unwrap());
    world.restart(0);
    assert_eq!(world.tip(0), tip);
    assert_eq!(world.nodes[0].engine.status().pending, 1);
    world.mine(0, 1);
    assert!(matches!(
        world.ask(0, Command::Transaction(paid.into())),
        Ok(Reply::Transaction { height: Some(_), .. })
    ));
}

#[test]
fn found_peers_are_dialled_and_dialled_again_after_a_loss() {
    let mut world = World::new(2);
    let peer = world.nodes[1].peer;
    let fact = NetFact::Found {
        peer,
        address: address(1),
        by: crate::contract::FoundBy::Mdns,
        from: None,
    };
    world.tell(0, Input::Net(fact));
    world.until(3_000, |world| world.nodes[0].engine.status().peers == 1);
    assert_eq!(count(&world, 0, |event| matches!(event, Event::PeerFound { .. })), 1);
    world.unlink(0, 1);
    world.until(5_000, |world| world.nodes[0].engine.status().peers == 1);
    assert_eq!(
        count(&world, 0, |event| matches!(event, Event::PeerDisconnected { .. })),
        1
    );
}

#[test]
fn ones_own_tip_is_never_voided_by_zero_work() {
    let world = World::new(1);
    assert_eq!(world.nodes[0].engine.status().work, Work::ZERO);
    assert_ne!(world.tip(0), BlockHash::ZERO);
}
