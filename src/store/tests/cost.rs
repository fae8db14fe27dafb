//! What the index of histories costs: on the disk, when a full block is written, and when a long history is asked for.
//!
//! Each test prints figures and is run by hand; `proto-notes/decisions/history-index.md` has them.

use std::time::{Duration, Instant};

use super::*;
use crate::chain::history::add_body;
use crate::chain::{ChainStore, Reward};
use crate::contract::Reply;
use crate::inspect::query::{Query, Subject};
use crate::store::RedbStore;
use crate::types::Amount;

/// Payments in a full block.
const PAYMENTS: u64 = 2_000;

/// How many accounts the payments of a block touch.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// As many names as payments, each of which pays the next.
    Ring,
    /// Each payment makes a new name.
    Fresh,
}

/// The payments of the block at a height; their signatures are not valid, which a store does not see.
fn full_block(params: &NetworkParams, parent: &Header, shape: Shape) -> Block {
    let mut block = child(parent, 0);
    let height = block.header.height;
    let name_of = |number: u64| name(&format!("n{number:06}"));
    let to = name_of(0);
    block.transactions.push(Transaction::Reward(Reward { to, height }));
    let parties = (name("a"), name("b"), None);
    let signed = Transaction::transfer(&params.network_id(), &secret(1), parties, Amount::ONE, 0).unwrap();
    let Transaction::Transfer(made) = signed else {
        unreachable!("a transfer was made")
    };
    for number in 0..PAYMENTS {
        let mut payment = made.clone();
        // Numbers that jump, as names do.
        let jump = |number: u64| number * 7_919 % PAYMENTS;
        payment.from = name_of(jump(number));
        payment.to = match shape {
            Shape::Ring => name_of(jump((number + 1) % PAYMENTS)),
            Shape::Fresh => {
                let made = txid(height.get() * PAYMENTS + number).to_string();
                name(&format!("f{}", &made[..7]))
            }
        };
        payment.sequence = height.get();
        block.transactions.push(Transaction::Transfer(payment));
    }
    block
}

/// The batch of a full block.
fn batch_of(block: &Block) -> Batch {
    let (hash, height) = (block.hash(), block.header.height);
    let mut batch = Batch {
        id: height.get(),
        ..Batch::default()
    };
    let bytes = block.to_bytes();
    add_body(&mut batch.history, &hash, &bytes).unwrap();
    batch.blocks.insert(hash, Some(stored(block)));
    batch.active.insert(height, Some(hash));
    for (index, transaction) in (0..).zip(&block.transactions) {
        let place = TxPlace { height, index };
        batch.places.insert((transaction.txid(), Spot::new(&hash, place)));
        for account in transaction.accounts() {
            let state = AccountState {
                balance: 5,
                next_sequence: height.get(),
                owner: Some(secret(1).public()),
            };
            batch.accounts.insert(account, Some(state));
        }
    }
    batch
}

fn ms(time: Duration, of: u64) -> f64 {
    time.as_secs_f64() * 1_000.0 / f64::from(u32::try_from(of).unwrap())
}

/// How many blocks: from the variable `LANCHAIN_BLOCKS`.
fn blocks(default: u64) -> u64 {
    let given = std::env::var("LANCHAIN_BLOCKS").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
#[ignore = "measures, and takes a minute"]
fn a_full_block_with_and_without_the_index() {
    let (params, count) = (NetworkParams::dev(), blocks(100));
    for shape in [Shape::Ring, Shape::Fresh] {
        for with in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let store = RedbStore::open(&folder.path().join("chain.redb"), &params).unwrap();
            let (mut times, mut parent, mut entries) = (Vec::new(), params.genesis(), 0);
            for _ in 0..count {
                let block = full_block(&params, &parent, shape);
                let mut batch = batch_of(&block);
                if !with {
                    batch.history.clear();
                }
                entries += batch.history.len();
                let begun = Instant::now();
                store.commit(&[batch]).unwrap();
                times.push(begun.elapsed());
                parent = block.header;
            }
            let (used, ..) = store.room().unwrap();
            times.sort_unstable();
            println!(
                "{shape:?}, with the index {with}: {} bytes a payment on the disk, {:.1} ms a block (median {:.1}), {} \
                 entries a block",
                used / (count * PAYMENTS),
                ms(times.iter().sum(), count),
                ms(times[times.len() / 2], 1),
                u64::try_from(entries).unwrap() / count,
            );
        }
    }
}

#[test]
#[ignore = "measures, and takes minutes"]
fn a_history_of_very_many_rewards() {
    let (params, count) = (NetworkParams::dev(), blocks(200_000));
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("chain.redb"), &params).unwrap();
    let key = secret(1).public();
    let mut parent = params.genesis();
    let mut batch = Batch::default();
    for number in 1..=count {
        let mut block = child(&parent, number);
        let (to, height) = (Account::Key(key), block.header.height);
        block.transactions.push(Transaction::Reward(Reward { to, height }));
        let hash = block.hash();
        add_body(&mut batch.history, &hash, &block.to_bytes()).unwrap();
        batch.blocks.insert(hash, Some(stored(&block)));
        batch.active.insert(height, Some(hash));
        parent = block.header;
        if number % 4_096 == 0 || number == count {
            store.commit(&[std::mem::take(&mut batch)]).unwrap();
        }
    }
    for (account, limit) in [(Some(Account::Key(key)), 20), (None, 20), (None, 1_000)] {
        let query = Query {
            subject: Subject::History(account, limit, Vec::new()),
            params: params.clone(),
            me: key,
            hash_rate: 0,
        };
        let begun = Instant::now();
        let Ok(Reply::History(view)) = query.answer(store.snapshot().unwrap()) else {
            panic!("no history")
        };
        assert_eq!(view.total, count);
        println!("{limit} of {count} rewards: {:?}", begun.elapsed());
    }
    let begun = Instant::now();
    crate::store::redb_store::testing::remake_history(&store, 8 * 1024 * 1024);
    println!("the index of {count} blocks was made anew in {:?}", begun.elapsed());
}
