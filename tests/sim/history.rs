//! Worlds with a past: some nodes come with a chain that is longer than what the others keep of headers. These measure
//! it and fetch it in two passes, while everything else of a world goes wrong around them.
//!
//! Promises: the blocks are made once for a network and a process, and are the same in every run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use lanchain::chain::{Block, Chain, Header, NetworkParams, Reward, Transaction, merkle};
use lanchain::testing::blocks::prove;
use lanchain::types::{Account, SecretKey, WallTime};

use crate::dice::Dice;
use crate::full;
use crate::plan::NodePlan;
use crate::store::{Kind, SimStore};

/// Seeds with this bit are worlds with a past.
pub(crate) const HISTORY: u64 = 1 << 47;
/// What their nodes keep of a candidate's headers: one page, so that more of them takes two passes.
pub(crate) const HEADERS_KEPT: usize = 512;
/// The long branch.
const LONG: usize = 1_250;
/// Where the other branch leaves it, and how many blocks it has of its own.
const FORK: (usize, usize) = (30, 560);
/// Blocks of the past are this far apart: at the floor on every network of the worlds.
const APART_MS: u64 = 10_000;

/// What a node has before it starts for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    Nothing,
    /// So many blocks of the long branch.
    Long(usize),
    /// The other branch, whole.
    Fork,
    /// So many full blocks.
    Full(usize),
    /// Full blocks of another branch.
    OtherFull,
}

#[derive(Debug)]
struct Branches {
    long: Vec<Block>,
    fork: Vec<Block>,
}

/// Who has what.
pub(crate) fn deal(dice: &mut Dice, nodes: &mut [NodePlan]) {
    for (index, node) in nodes.iter_mut().enumerate() {
        node.past = match index {
            0 => Past::Long(LONG - dice.index(0, 150)),
            1 => Past::Fork,
            _ if dice.chance(300) => Past::Long(dice.index(1, 400)),
            _ => Past::Nothing,
        };
        if node.past != Past::Nothing {
            node.store = Kind::Memory;
        }
    }
}

/// The blocks that a node has.
pub(crate) fn blocks(past: Past, params: &NetworkParams) -> Vec<Block> {
    match past {
        Past::Nothing => Vec::new(),
        Past::Long(length) => branches(params).long[..length].to_vec(),
        Past::Fork => branches(params).fork.clone(),
        Past::Full(length) => full::long(length),
        Past::OtherFull => full::other(),
    }
}

/// Puts them into its store.
pub(crate) fn load(store: &SimStore, params: &NetworkParams, blocks: &[Block]) {
    let late = WallTime::from_ms(u64::MAX / 2);
    let mut chain = Chain::open(params.clone(), store.clone(), [9; 32]).expect("a new store opens");
    for block in blocks {
        chain.accept(block.clone(), late).expect("the past is valid");
        let batch = chain.take_batch().expect("something changed");
        let id = batch.id;
        store.commit(&[batch]).expect("the disk has room");
        chain.committed(id);
    }
}

fn branches(params: &NetworkParams) -> Arc<Branches> {
    static MADE: Mutex<BTreeMap<[u8; 32], Arc<Branches>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = made.entry(*params.network_id().as_bytes()).or_insert_with(|| {
        let long = extended(params, Vec::new(), LONG, 1);
        let fork = extended(params, long[..FORK.0].to_vec(), FORK.1, 2);
        Arc::new(Branches { long, fork })
    });
    Arc::clone(entry)
}

/// So many more blocks of one miner.
fn extended(params: &NetworkParams, mut blocks: Vec<Block>, more: usize, miner: u8) -> Vec<Block> {
    for _ in 0..more {
        let parent = blocks
            .last()
            .map_or_else(|| params.genesis(), |block| block.header.clone());
        blocks.push(mined(params, &parent, miner));
    }
    blocks
}

fn mined(params: &NetworkParams, parent: &Header, miner: u8) -> Block {
    let height = parent.height.next();
    let to = Account::Key(SecretKey::from_seed([miner; 32]).public());
    let transactions = vec![Transaction::Reward(Reward { to, height })];
    let time = WallTime::from_ms(parent.time.ms() + APART_MS);
    let ids: Vec<_> = transactions.iter().map(Transaction::txid).collect();
    let header = Header {
        previous: parent.hash(),
        merkle_root: merkle::root(&ids),
        version: 1,
        bits: params.required_bits(parent, time),
        height,
        time,
        nonce: 0,
    };
    Block {
        header: prove(params, header),
        transactions,
    }
}
