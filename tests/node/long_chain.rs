//! A node with a million blocks: what its start takes. On demand, in a release build:
//!
//!     LANCHAIN_BLOCKS=1000000 cargo test --release --locked --test node long_chain -- --ignored --nocapture
//!
//! Promises: the blocks are made by the store's own writer, each with a reward, an account, undo data and a place; only
//! their proof of work is missing, which no start looks at.
//! Spec: `proto-notes/store.md`, "Opening".

use std::path::Path;
use std::time::Instant;

use lanchain::chain::history::add_body;
use lanchain::chain::{
    AccountState, Batch, Block, Header, NetworkParams, Reward, Spot, StoredBlock, Transaction, TxPlace, merkle,
};
use lanchain::store::RedbStore;
use lanchain::types::{Account, AccountName, WallTime, Work};

use crate::harness::Node;

/// Blocks in one commit: many, so that few pages are written twice.
const BATCH: u64 = 50_000;
/// Accounts that are rewarded in turn.
const MINERS: u64 = 10_000;
/// What a node may take, whatever happens: DESIGN's bound.
const RESIDENT_MAX_KIB: u64 = 512 * 1024;

fn miner(number: u64) -> Account {
    Account::Name(AccountName::new(&format!("miner-{number}")).expect("a name"))
}

/// A block of a reward on a parent.
fn reward(parent: &Header) -> Block {
    let height = parent.height.next();
    let to = miner(height.get() % MINERS);
    let transactions = vec![Transaction::Reward(Reward { to, height })];
    let ids: Vec<_> = transactions.iter().map(Transaction::txid).collect();
    let header = Header {
        previous: parent.hash(),
        merkle_root: merkle::root(&ids),
        height,
        time: WallTime::from_ms(parent.time.ms() + 10_000),
        ..parent.clone()
    };
    Block { header, transactions }
}

/// The batch that makes a block active.
fn connect(batch: &mut Batch, block: &Block, work: Work) {
    let (hash, height) = (block.hash(), block.header.height);
    let bytes = block.to_bytes();
    let stored = StoredBlock {
        header: block.header.clone(),
        work,
        size_bytes: u64::try_from(bytes.len()).expect("a small block"),
    };
    let rounds = i64::try_from(height.get() / MINERS).expect("a small number");
    let state = |balance| AccountState {
        balance,
        next_sequence: 0,
        owner: None,
    };
    let account = miner(height.get() % MINERS);
    add_body(&mut batch.history, &hash, &bytes).expect("a block");
    batch.blocks.insert(hash, Some((stored, bytes)));
    batch.active.insert(height, Some(hash));
    batch.accounts.insert(account, Some(state(rounds + 1)));
    let place = TxPlace { height, index: 0 };
    batch
        .places
        .insert((block.transactions[0].txid(), Spot::new(&hash, place)));
}

/// Appends blocks to a folder's chain.
fn extend(folder: &Path, blocks: u64) {
    let params = NetworkParams::built_in("dev").expect("a network");
    let store = RedbStore::open(&folder.join("chain.redb"), &params).expect("a chain");
    let mut parent = params.genesis();
    let work = parent.bits.work(params.halflife_ms).expect("the floor");
    let mut total = Work::ZERO;
    let mut made = 0;
    while made < blocks {
        let mut batch = Batch {
            id: made + 1,
            ..Batch::default()
        };
        for _ in 0..BATCH.min(blocks - made) {
            let block = reward(&parent);
            total = total.plus(work);
            connect(&mut batch, &block, total);
            parent = block.header;
            made += 1;
        }
        store.commit(&[batch]).expect("the disk has room");
    }
}

#[test]
#[ignore = "a million blocks: a minute and some gigabytes, and figures of a release build only"]
fn adv_t16_a_node_with_a_million_blocks_starts_and_answers_within_its_memory() {
    let blocks = std::env::var("LANCHAIN_BLOCKS").map_or(1_000_000, |text| text.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(Node::in_folder(folder.path()).stop().code(), Some(0));
    let began = Instant::now();
    extend(folder.path(), blocks);
    let bytes = std::fs::metadata(folder.path().join("chain.redb"))
        .expect("a file")
        .len();
    println!("{blocks} blocks: {} MiB, made in {:?}", bytes >> 20, began.elapsed());
    for start in ["after a clean stop", "again", "after a kill"] {
        let began = Instant::now();
        let mut node = Node::in_folder(folder.path());
        let started = began.elapsed();
        assert!(node.ok("status")["height"].as_u64() >= Some(blocks));
        let at_start = node.memory_kib("VmHWM");
        node.ok("chain 1000");
        node.ok("accounts");
        node.ok("stats");
        node.ok("tree");
        node.ok("mine");
        let (peak, now) = (node.memory_kib("VmHWM"), node.memory_kib("VmRSS"));
        println!(
            "{start}: started in {started:?}, peak {} MiB then, {} MiB after work, {} MiB now",
            at_start >> 10,
            peak >> 10,
            now >> 10
        );
        assert!(peak < RESIDENT_MAX_KIB, "{peak} KiB");
        if start == "again" {
            node.kill();
        } else {
            assert_eq!(node.stop().code(), Some(0));
        }
    }
}
