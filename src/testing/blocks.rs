//! Payments, proof of work, mined blocks and chains for tests.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};

use crate::chain::header::HEADER_BYTES;
use crate::chain::memory_store::MemoryStore;
use crate::chain::{Accepted, Block, Chain, ChainStore, Header, NetworkParams, Reward, Switch, Transaction, merkle};
use crate::miner::MiningWork;
use crate::miner::search::{SearchOutcome, search};
use crate::pool::Mempool;
use crate::types::hash::sha256;
use crate::types::{Account, Amount, MerkleRoot, PublicKey, Target, WallTime};
use crate::wire::{CompactBlock, Topic};

pub use super::keys::{account as name, key, name as word, wallet};

/// A clock that no block is ahead of.
pub const CLOCK: WallTime = WallTime::from_ms(9_000_000_000_000);
/// Nonces that are remembered: tests and fuzzers make the same headers again and again.
const NONCES_MAX: usize = 50_000;

pub fn open(params: NetworkParams) -> (Chain<MemoryStore>, MemoryStore) {
    let store = MemoryStore::new(&params);
    (Chain::open(params, store.clone(), [7; 32]).unwrap(), store)
}

pub fn dev() -> (Chain<MemoryStore>, MemoryStore) {
    open(NetworkParams::dev())
}

/// A network where a block may create any number of accounts, so that they are not scarce.
pub fn roomy() -> (Chain<MemoryStore>, MemoryStore) {
    open(NetworkParams {
        new_accounts_max: u64::MAX,
        ..NetworkParams::dev()
    })
}

/// The gossip of a block that holds its transactions whole, as far as they fit.
pub fn whole(block: &Block) -> Vec<u8> {
    CompactBlock::of(block, |_| true).encode()
}

/// By which gossip knows a message again: a block by its header.
pub fn gossip_id(topic: Topic, bytes: &[u8]) -> [u8; 32] {
    match bytes.first_chunk::<HEADER_BYTES>() {
        Some(header) if topic == Topic::Blocks => sha256(&[header]),
        Some(_) | None => sha256(&[bytes]),
    }
}

/// A transfer between names; the recipient's owner as given.
pub fn pay(
    params: &NetworkParams,
    signer: u8,
    (from, to): (&str, &str),
    owner: Option<PublicKey>,
    amount: u64,
    sequence: u64,
) -> Transaction {
    let amount = Amount::new(amount).unwrap();
    Transaction::transfer(
        &params.network_id(),
        &key(signer),
        (name(from), name(to), owner),
        amount,
        sequence,
    )
    .unwrap()
}

pub fn claim(params: &NetworkParams, signer: u8, text: &str) -> Transaction {
    Transaction::claim(&params.network_id(), &key(signer), word(text))
}

/// A block on a parent, so many milliseconds after it, whose reward goes to this account.
pub fn mine_for(params: &NetworkParams, parent: &Header, later: u64, to: Account, content: Vec<Transaction>) -> Block {
    let height = parent.height.next();
    let mut transactions = vec![Transaction::Reward(Reward { to, height })];
    transactions.extend(content);
    seal(params, parent, later, transactions)
}

/// The same for the wallet of this key.
pub fn mine_after(params: &NetworkParams, parent: &Header, later: u64, miner: u8, content: Vec<Transaction>) -> Block {
    mine_for(params, parent, later, wallet(miner), content)
}

/// The first nonce from the header's own on with which it meets the target.
pub fn solve(header: &Header, target: &Target) -> u64 {
    let work = MiningWork {
        header: header.to_bytes(),
        limit: *target.as_bytes(),
    };
    match search(
        &work,
        header.nonce..=u64::MAX,
        &AtomicBool::new(false),
        &AtomicU64::new(0),
    ) {
        SearchOutcome::Found(nonce) => nonce,
        SearchOutcome::Exhausted | SearchOutcome::Cancelled => panic!("no nonce of 2^64"),
    }
}

/// The header with the first nonce that fits, if its bits have a target.
pub fn prove(params: &NetworkParams, mut header: Header) -> Header {
    thread_local! {
        static NONCES: RefCell<BTreeMap<Vec<u8>, u64>> = const { RefCell::new(BTreeMap::new()) };
    }
    let Some(target) = header.bits.target(params.halflife_ms) else {
        return header;
    };
    header.nonce = 0;
    let known = header.to_bytes()[..HEADER_BYTES - 8].to_vec();
    header.nonce = NONCES.with_borrow_mut(|nonces| {
        if nonces.len() > NONCES_MAX {
            nonces.clear();
        }
        *nonces.entry(known).or_insert_with(|| solve(&header, &target))
    });
    header
}

/// A block with exactly these transactions.
pub fn seal(params: &NetworkParams, parent: &Header, later: u64, transactions: Vec<Transaction>) -> Block {
    let ids: Vec<_> = transactions.iter().map(Transaction::txid).collect();
    let time = parent.time.after_ms(later);
    let header = Header {
        previous: parent.hash(),
        merkle_root: merkle::root(&ids),
        version: 1,
        bits: params.required_bits(parent, time),
        height: parent.height.next(),
        time,
        nonce: 0,
    };
    Block {
        header: prove(params, header),
        transactions,
    }
}

pub fn mine(params: &NetworkParams, parent: &Header, miner: u8, content: Vec<Transaction>) -> Block {
    mine_after(params, parent, 10_000, miner, content)
}

/// Blocks without content on top of a header.
pub fn branch(params: &NetworkParams, from: &Header, miner: u8, count: usize) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for _ in 0..count {
        let parent = blocks.last().map_or(from, |block| &block.header).clone();
        blocks.push(mine(params, &parent, miner, Vec::new()));
    }
    blocks
}

/// Accepts a block that becomes the tip.
pub fn advance<S: ChainStore>(chain: &mut Chain<S>, block: &Block) -> Switch {
    match chain.accept(block.clone(), CLOCK).unwrap() {
        Accepted::Switched(switch) => *switch,
        other => panic!("expected a switch, got {other:?}"),
    }
}

/// Mines the content of the pool on top of the tip, and updates the pool.
pub fn forge<S: ChainStore>(chain: &mut Chain<S>, pool: &mut Mempool, miner: u8) -> Block {
    let content = pool.in_block_order(chain, &wallet(miner));
    let block = mine(&chain.params().clone(), &chain.tip().header.clone(), miner, content);
    let switch = advance(chain, &block);
    let own: Vec<_> = chain.own().unwrap().into_iter().map(|(_, tx)| tx).collect();
    pool.on_switch(chain, &switch, &own);
    block
}

/// The header with another merkle root.
pub fn with_root(block: &Block, root: MerkleRoot) -> Block {
    let mut forged = block.clone();
    forged.header.merkle_root = root;
    forged
}

/// Writes all pending batches to the store.
pub fn commit(chain: &mut Chain<MemoryStore>, store: &MemoryStore) {
    while let Some(batch) = chain.take_batch() {
        store.commit(&batch);
        chain.committed(batch.id);
    }
}
