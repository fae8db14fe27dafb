//! Keys, names and mined blocks for tests.

use crate::chain::memory_store::MemoryStore;
use crate::chain::{Accepted, Block, Chain, ChainStore, Header, NetworkParams, Reward, Switch, Transaction};
use crate::fuzzing::world::solve;
pub(crate) use crate::fuzzing::world::{CLOCK, seal};
use crate::pool::Mempool;
use crate::types::{Account, AccountName, Amount, MerkleRoot, PublicKey, SecretKey};

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

pub(crate) fn word(text: &str) -> AccountName {
    AccountName::new(text).unwrap()
}

pub(crate) fn name(text: &str) -> Account {
    Account::Name(word(text))
}

pub(crate) fn wallet(seed: u8) -> Account {
    Account::Key(key(seed).public())
}

pub(crate) fn open(params: NetworkParams) -> (Chain<MemoryStore>, MemoryStore) {
    let store = MemoryStore::new(&params);
    (Chain::open(params, store.clone(), [7; 32]).unwrap(), store)
}

pub(crate) fn dev() -> (Chain<MemoryStore>, MemoryStore) {
    open(NetworkParams::dev())
}

/// A network where a block may create any number of accounts, so that they are not scarce.
pub(crate) fn roomy() -> (Chain<MemoryStore>, MemoryStore) {
    open(NetworkParams {
        new_accounts_max: u64::MAX,
        ..NetworkParams::dev()
    })
}

/// A transfer between names; the recipient's owner as given.
pub(crate) fn pay(
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

pub(crate) fn claim(params: &NetworkParams, signer: u8, text: &str) -> Transaction {
    Transaction::claim(&params.network_id(), &key(signer), word(text))
}

/// A block on a parent, `later` milliseconds after it, whose reward goes to the wallet of `miner`.
pub(crate) fn mine_after(
    params: &NetworkParams,
    parent: &Header,
    later: u64,
    miner: u8,
    mut content: Vec<Transaction>,
) -> Block {
    let height = parent.height.next();
    content.insert(
        0,
        Transaction::Reward(Reward {
            to: wallet(miner),
            height,
        }),
    );
    seal(params, parent, later, content)
}

/// The header with the first nonce, from its own on, that meets its bits.
pub(crate) fn prove(params: &NetworkParams, header: Header) -> Header {
    let target = header.bits.target(params.halflife_ms).unwrap();
    Header {
        nonce: solve(&header, &target),
        ..header
    }
}

pub(crate) fn mine(params: &NetworkParams, parent: &Header, miner: u8, content: Vec<Transaction>) -> Block {
    mine_after(params, parent, 10_000, miner, content)
}

/// Blocks without content on top of a header.
pub(crate) fn branch(params: &NetworkParams, from: &Header, miner: u8, count: usize) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for _ in 0..count {
        let parent = blocks.last().map_or(from, |block| &block.header).clone();
        blocks.push(mine(params, &parent, miner, Vec::new()));
    }
    blocks
}

/// Accepts a block that becomes the tip.
pub(crate) fn advance<S: ChainStore>(chain: &mut Chain<S>, block: &Block) -> Switch {
    match chain.accept(block.clone(), CLOCK).unwrap() {
        Accepted::Switched(switch) => switch,
        other => panic!("expected a switch, got {other:?}"),
    }
}

/// Mines the content of the pool on top of the tip, and updates the pool.
pub(crate) fn forge<S: ChainStore>(chain: &mut Chain<S>, pool: &mut Mempool, miner: u8) -> Block {
    let content = pool.in_block_order(chain, &wallet(miner));
    let block = mine(&chain.params().clone(), &chain.tip().header.clone(), miner, content);
    let switch = advance(chain, &block);
    let own: Vec<_> = chain.own().unwrap().into_iter().map(|(_, tx)| tx).collect();
    pool.on_switch(chain, &switch, &own);
    block
}

/// The header with another merkle root.
pub(crate) fn with_root(block: &Block, root: MerkleRoot) -> Block {
    let mut forged = block.clone();
    forged.header.merkle_root = root;
    forged
}

/// Writes all pending batches to the store.
pub(crate) fn commit(chain: &mut Chain<MemoryStore>, store: &MemoryStore) {
    while let Some(batch) = chain.take_batch() {
        store.commit(&batch);
        chain.committed(batch.id);
    }
}
