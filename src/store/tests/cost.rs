//! What blocks cost: on the disk, by table; when they are written, in time of the processor and bytes; and what the index
//! of histories costs, when a full block is written and when a long history is asked for.
//!
//! Each test prints figures and is run by hand; `proto-notes/performance.md` and
//! `proto-notes/decisions/history-index.md` have them.

use std::time::{Duration, Instant};

use super::*;
use crate::chain::ChainStore;
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
    /// No payments: only a reward, always for the same name.
    Empty,
}

impl Shape {
    const fn payments(self) -> u64 {
        match self {
            Self::Ring | Self::Fresh => PAYMENTS,
            Self::Empty => 0,
        }
    }
}

/// The payments of the block at a height; their signatures are not valid, which a store does not see.
fn full_block(params: &NetworkParams, parent: &Header, shape: Shape) -> Block {
    let mut block = child(parent, 0);
    let height = block.header.height;
    let name_of = |number: u64| name(&format!("n{number:06}"));
    block.transactions = vec![Transaction::Reward(Reward { to: name_of(0), height })];
    let parties = (name("a"), name("b"), None);
    let signed = Transaction::transfer(&params.network_id(), &secret(1), parties, Amount::ONE, 0).unwrap();
    let Transaction::Transfer(made) = signed else {
        unreachable!("a transfer was made")
    };
    for number in 0..shape.payments() {
        let mut payment = made.clone();
        // Numbers that jump, as names do.
        let jump = |number: u64| number * 7_919 % PAYMENTS;
        payment.from = name_of(jump(number));
        payment.to = match shape {
            Shape::Ring => name_of(jump((number + 1) % PAYMENTS)),
            Shape::Fresh | Shape::Empty => {
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

/// The seconds of the processor that this process used, and the bytes that it wrote; zero where the system does not say.
fn spent() -> (f64, u64) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u32>().ok());
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    // Linux counts a hundredth of a second as one tick.
    let seconds = f64::from(ticks.sum::<u32>()) / 100.0;
    (seconds, written.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Writes blocks, so many in each commit, and prints what a block took.
fn write_blocks(shape: Shape, count: u64, at_once: u64) {
    let params = NetworkParams::dev();
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("chain.redb"), &params).unwrap();
    let (mut parent, mut bodies, mut batches) = (params.genesis(), 0, Vec::new());
    let (mut seconds, mut written, mut longest) = (0.0, 0, Duration::ZERO);
    for number in 1..=count {
        let block = full_block(&params, &parent, shape);
        bodies += u64::try_from(block.to_bytes().len()).unwrap();
        batches.push(batch_of(&block));
        parent = block.header;
        if number % at_once == 0 || number == count {
            let (before, begun) = (spent(), Instant::now());
            store.commit(&batches).unwrap();
            longest = longest.max(begun.elapsed());
            let after = spent();
            seconds += after.0 - before.0;
            written += after.1 - before.1;
            batches.clear();
        }
    }
    let (used, ..) = store.room().unwrap();
    println!(
        "{shape:?}, {count} blocks, {at_once} in a commit: on the disk {} bytes a block, {:.3} a byte of body; {:.1} us of \
         the processor and {} bytes written a block; the longest commit {longest:.1?}",
        used / count,
        ratio(used, bodies),
        seconds * 1e6 / f64::from(u32::try_from(count).unwrap()),
        written / count,
    );
    for (name, bytes) in crate::store::redb_store::testing::table_bytes(&store) {
        println!(
            "    {name}: {} bytes a block, {:.3} a byte of body",
            bytes / count,
            ratio(bytes, bodies)
        );
    }
}

fn ratio(a: u64, b: u64) -> f64 {
    let thousandths = a * 1_000 / b.max(1);
    f64::from(u32::try_from(thousandths).unwrap()) / 1_000.0
}

#[test]
#[ignore = "measures, and takes minutes"]
fn what_blocks_cost() {
    let (full, empty) = (blocks(200), 500 * blocks(200));
    for (shape, count, at_once) in [
        (Shape::Ring, full, 1),
        (Shape::Ring, full, 16),
        (Shape::Fresh, full, 1),
        (Shape::Empty, empty / 10, 1),
        (Shape::Empty, empty, 256),
    ] {
        write_blocks(shape, count, at_once);
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
        block.transactions = vec![Transaction::Reward(Reward { to, height })];
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
