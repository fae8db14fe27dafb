//! Peers that use what is allowed to them against others: busy for ever, lists that two nodes judge unlike, long pages.

use crate::testing::keys::account as name;
use std::cell::Cell;
use std::rc::Rc;

use super::sync::branch;
use super::world::{World, address, key};
use crate::chain::{Batch, ChainStore, Transaction};
use crate::contract::{AccountRef, Command, Event, Reply};
use crate::engine::{Input, NetFact, StoreFact, Verdict};
use crate::types::Amount;
use crate::wire::message::encode_transactions;
use crate::wire::{Request, Response, Topic};

/// Node 0 hears of transactions from node 1.
fn hear(world: &mut World, list: &[&Transaction]) -> Verdict {
    let list: Vec<_> = list.iter().map(|transaction| transaction.to_bytes()).collect();
    let fact = NetFact::Gossip {
        token: u64::MAX,
        peer: world.nodes[1].peer,
        topic: Topic::Transactions,
        bytes: encode_transactions(&list),
    };
    world.tell(0, Input::Net(fact));
    *world.nodes[0].verdicts.last().unwrap()
}

#[test]
fn two_peers_that_are_busy_for_ever_do_not_keep_the_honest_branch_out() {
    let mut world = World::new(4);
    let genesis = world.params.genesis();
    for (node, blocks) in [(1, 5), (2, 6), (3, 20)] {
        world.give(node, &branch(&genesis, node, blocks));
    }
    for liar in [1, 2] {
        world.nodes[liar].script = Some(Box::new(|request| match request {
            Request::GetBlocks { .. } => Some(Response::Busy),
            Request::Status(_)
            | Request::GetHeaders { .. }
            | Request::GetPending { .. }
            | Request::GetPeers
            | Request::GetTransactions { .. } => None,
        }));
        world.link(0, liar);
    }
    world.run(300);
    world.link(0, 3);
    world.until(40_000, |world| world.height(0) == 20);
}

#[test]
fn branches_that_two_peers_withhold_come_from_who_stands_above_them() {
    let mut world = World::new(4);
    let blocks = branch(&world.params.genesis(), 1, 30);
    world.give(1, &blocks[..20]);
    world.give(2, &blocks[..21]);
    world.give(3, &blocks);
    for node in [1, 2] {
        world.nodes[node].withholds = true;
        world.link(0, node);
    }
    world.run(300);
    world.link(0, 3);
    world.until(5_000, |world| world.height(0) == 30);
}

#[test]
fn a_peer_that_is_busy_between_pages_of_headers_is_asked_again_and_nothing_is_lost() {
    let mut world = World::new(2);
    let blocks = branch(&world.params.genesis(), 1, 1_300);
    world.give(1, &blocks);
    let questions = Rc::new(Cell::new(0_u32));
    let asked = Rc::clone(&questions);
    world.nodes[1].script = Some(Box::new(move |request| match request {
        Request::GetHeaders { .. } => {
            asked.set(asked.get() + 1);
            asked.get().is_multiple_of(2).then_some(Response::Busy)
        }
        Request::Status(_)
        | Request::GetBlocks { .. }
        | Request::GetPending { .. }
        | Request::GetPeers
        | Request::GetTransactions { .. } => None,
    }));
    world.link(0, 1);
    world.until(8_000, |world| world.height(0) == 1_300);
}

#[test]
fn a_bad_signature_is_refused_even_where_the_pool_would_not_take_the_transaction_anyway() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    let network = world.params.network_id();
    let fine = Transaction::transfer(&network, &key(8), (name("anna"), name("ben"), None), Amount::ONE, 0).unwrap();
    let much = Amount::new(5_000).unwrap();
    let honest = Transaction::transfer(&network, &key(9), (name("carl"), name("ben"), None), much, 0).unwrap();
    let mut bytes = honest.to_bytes();
    *bytes.last_mut().unwrap() ^= 1;
    let forged = Transaction::from_bytes(&bytes).unwrap();
    // A debt beyond the credit is another pool's opinion; a forged signature is a fact.
    assert_eq!(hear(&mut world, &[&fine, &honest]), Verdict::Accept);
    assert_eq!(hear(&mut world, &[&forged]), Verdict::Reject);
}

#[test]
fn a_page_of_the_pool_that_is_too_long_is_not_read() {
    let mut world = World::new(2);
    let network = world.params.network_id();
    let mut list: Vec<_> = (0..1_025_u64)
        .map(|number| {
            let parties = (name("anna"), name(&format!("n{number}")), None);
            Transaction::transfer(&network, &key(8), parties, Amount::ONE, 0).unwrap()
        })
        .collect();
    list.sort_by_key(Transaction::txid);
    let page: Vec<_> = list.iter().map(Transaction::to_bytes).collect();
    world.pay(1, "dora", "emil", 1).unwrap();
    world.nodes[1].script = Some(Box::new(move |request| match request {
        Request::GetPending { .. } => Some(Response::Pending(page.clone())),
        Request::Status(_)
        | Request::GetHeaders { .. }
        | Request::GetBlocks { .. }
        | Request::GetPeers
        | Request::GetTransactions { .. } => None,
    }));
    world.link(0, 1);
    world.run(500);
    let taken = |event: &Event| matches!(event, Event::TransactionAccepted { from, .. } if from.as_str() == "anna");
    assert_eq!(world.count(0, taken), 0);
}

#[test]
fn an_own_payment_whose_write_failed_is_not_paid_after_the_disk_is_back() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    world.nodes[0].disk_held = true;
    let network = world.params.network_id();
    let stranger = Transaction::transfer(&network, &key(8), (name("anna"), name("ben"), None), Amount::ONE, 0).unwrap();
    assert_eq!(hear(&mut world, &[&stranger]), Verdict::Accept);
    let pay = Command::Tx {
        from: AccountRef::Account(name("carl")),
        to: AccountRef::Account(name("ben")),
        amount: Amount::new(5).unwrap(),
    };
    world.command(0, pay);
    assert_eq!(world.nodes[0].engine.status().pending, 2);
    // The write is lost.
    let mut lost = Batch::default();
    for (_, bytes) in world.nodes[0].store.own().unwrap() {
        lost.own.insert(Transaction::from_bytes(&bytes).unwrap().txid(), None);
    }
    assert_eq!(lost.own.len(), 1);
    world.nodes[0].store.commit(&lost);
    let reason = "no space".to_owned();
    world.tell(0, Input::Store(StoreFact::Failed { reason }));
    world.tell(0, Input::Store(StoreFact::Reopened));
    assert_eq!(
        world.nodes[0].engine.status().pending,
        1,
        "the stranger's is still there"
    );
}

#[test]
fn an_address_whose_peer_is_connected_already_counts_as_reached() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    let elsewhere = address(41);
    let dial = Command::Dial {
        address: elsewhere.clone(),
        peer: None,
    };
    let id = world.command(0, dial);
    let failed = NetFact::DialFailed {
        peer: Some(world.nodes[1].peer),
        addresses: vec![elsewhere],
        reason: "already connected".into(),
        stranger: None,
    };
    world.tell(0, Input::Net(failed));
    match world.nodes[0].replies.get(&id) {
        Some(Ok(Reply::Dialled { peer_id, .. })) => assert_eq!(*peer_id, world.nodes[1].peer.to_string()),
        other => panic!("{other:?}"),
    }
}
