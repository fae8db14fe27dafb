//! Tests of the store as its users see it; the crash tests see its storage too.

mod adversary;
mod agree;
mod beside;
mod cost;
mod crash;
mod folders;
mod late;
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

use crate::chain::history::{add_body, index_body};
use crate::chain::{
    AccountState, Batch, Block, ChainStore, Header, HistoryEntries, NetworkParams, Reward, Spot, StoredBlock,
    Transaction, TxPlace,
};
use crate::testing::keys::{account as name, key as secret};
use crate::types::{Account, AccountName, BlockHash, Height, Txid, WallTime, Work};

fn txid(number: u64) -> Txid {
    Txid::new(crate::types::hash::sha256(&[&number.to_be_bytes()]))
}

/// The only transaction of a block at a height.
fn reward(height: Height) -> Transaction {
    let to = name("alice");
    Transaction::Reward(Reward { to, height })
}

/// The id of the transaction that is confirmed at a height.
fn confirmed(height: u64) -> Txid {
    reward(Height::new(height)).txid()
}

/// Follows a header, with a reward. The store checks no proof of work.
fn child(parent: &Header, nonce: u64) -> Block {
    Block {
        header: Header {
            previous: parent.hash(),
            height: parent.height.next(),
            time: WallTime::from_ms(parent.time.ms() + 1),
            nonce,
            ..parent.clone()
        },
        transactions: vec![reward(parent.height.next())],
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
    batch.places.insert((confirmed(height.get()), spot));
    add_body(&mut batch.history, &hash, &block.to_bytes()).unwrap();
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

/// Checks that both indexes say of the active chain exactly what its blocks say.
fn check_indexes(store: &impl ChainStore) {
    let (tip, _) = store.tip().unwrap();
    let (mut places, mut history) = (Vec::new(), HistoryEntries::new());
    for height in (0..=tip.get()).map(Height::new) {
        let hash = store.active(height).unwrap().unwrap();
        let body = store.body(&hash).unwrap().unwrap();
        index_body((&mut places, &mut history), &hash, &body).unwrap();
    }
    for (txid, spot) in places {
        assert_eq!(store.place(&txid).unwrap(), Some(spot.place), "{txid}");
        let counting = store.spots(&txid).unwrap().into_iter();
        let counting = counting.filter(|spot| spot.is_in(store.active(spot.place.height).unwrap().as_ref()));
        assert_eq!(counting.count(), 1, "{txid}");
    }
    let mut found = HistoryEntries::new();
    for (key, indices) in store.history_above(None, usize::MAX).unwrap() {
        if key.is_in(store.active(key.height).unwrap().as_ref()) {
            assert_eq!(found.insert(key, indices), None, "{key:?}");
        }
    }
    assert_eq!(found, history);
    for tag in history.keys().map(|key| key.tag) {
        let listed = store.history(tag, None, usize::MAX).unwrap().into_iter().rev();
        let listed = listed.filter(|(key, _)| key.is_in(store.active(key.height).unwrap().as_ref()));
        let expected = history.iter().filter(|(key, _)| key.tag == tag);
        assert!(listed.eq(expected.map(|(key, indices)| (*key, indices.clone()))));
    }
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
