//! Tests of the store as its users see it; the crash tests see its storage too.

mod adversary;
mod agree;
mod beside;
mod cost;
mod crash;
mod folders;
mod long;
mod old;
mod rot;
mod switches;
mod tables;
mod trust;
mod vectors;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::chain::{AccountState, Batch, Block, Header, NetworkParams, Spot, StoredBlock, Transaction, TxPlace};
use crate::testing::keys::{account as name, key as secret};
use crate::types::{Account, AccountName, BlockHash, Height, Txid, WallTime, Work};

fn txid(number: u64) -> Txid {
    Txid::new(crate::types::hash::sha256(&[&number.to_be_bytes()]))
}

/// Follows a header. The store checks no proof of work.
fn child(parent: &Header, nonce: u64) -> Block {
    Block {
        header: Header {
            previous: parent.hash(),
            height: parent.height.next(),
            time: WallTime::from_ms(parent.time.ms() + 1),
            nonce,
            ..parent.clone()
        },
        transactions: Vec::new(),
    }
}

fn stored(block: &Block) -> (StoredBlock, Vec<u8>) {
    let bytes = block.to_bytes();
    let stored = StoredBlock {
        header: block.header.clone(),
        work: Work::from_be_bytes([u8::try_from(block.header.height.get() % 256).unwrap(); 32]),
        size_bytes: u64::try_from(bytes.len()).unwrap(),
    };
    (stored, bytes)
}

/// The batch that makes a block active: alice has as many coins as the height says.
fn connect(block: &Block) -> Batch {
    let (hash, height) = (block.hash(), block.header.height);
    let balance = i64::try_from(height.get()).unwrap();
    let owner = Some(secret(1).public());
    let state = |balance| AccountState {
        balance,
        next_sequence: 3,
        owner,
    };
    let mut batch = Batch {
        id: height.get(),
        ..Batch::default()
    };
    batch.blocks.insert(hash, Some(stored(block)));
    batch.active.insert(height, Some(hash));
    batch.accounts.insert(name("alice"), Some(state(balance)));
    let spot = Spot::new(&hash, TxPlace { height, index: 0 });
    batch.places.insert((txid(height.get()), spot));
    batch
}

/// A chain of blocks above genesis.
fn chain(params: &NetworkParams, length: u64) -> Vec<Block> {
    let mut parent = params.genesis();
    (0..length)
        .map(|nonce| {
            let block = child(&parent, nonce);
            parent = block.header.clone();
            block
        })
        .collect()
}

/// Every file below a folder by the hash of its content, the lock file's too.
fn snapshot(folder: &Path) -> BTreeMap<String, Option<BlockHash>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let key = path.display().to_string();
            if path.is_dir() {
                found.insert(key, None);
                folders.push(path);
            } else {
                let content = fs::read(path).unwrap();
                found.insert(key, Some(BlockHash::new(crate::types::hash::sha256(&[&content]))));
            }
        }
    }
    found
}

fn genesis_hash(params: &NetworkParams) -> BlockHash {
    params.genesis().hash()
}

const GENESIS: Height = Height::GENESIS;
