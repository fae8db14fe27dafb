//! The store on a disk that is full at some write or loses power, against the store in memory: after every failure it
//! holds a whole number of commits, all that were acknowledged among them.

use std::sync::OnceLock;

use super::bytes::Bytes;
use super::world::{account, key};
use crate::chain::history::add_body;
use crate::chain::memory_store::MemoryStore;
use crate::chain::{
    AccountState, Batch, Block, ChainStore, HistoryKey, NetworkParams, Reward, Spot, StoredBlock, Transaction, TxPlace,
};
use crate::store::RedbStore;
use crate::store::redb_store::testing;
use crate::testing::disk::{Disk, Files, Kept};
use crate::types::rng::Rng;
use crate::types::{Account, Address, Height, Txid, WallTime, Work};

/// Commits of one input: each costs some milliseconds.
const STEPS_MAX: usize = 8;

/// The bytes of a new chain file and of its sums.
fn new_files(params: &NetworkParams) -> Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    let make = || {
        let disk = Disk::default();
        testing::create_on(disk.clone(), params).unwrap();
        drop(disk.open(params).unwrap());
        disk.files()
    };
    FILES.get_or_init(make).clone()
}

struct Script {
    params: NetworkParams,
    disk: Disk,
    store: RedbStore,
    memory: MemoryStore,
    next_id: u64,
}

pub(super) fn store(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let params = NetworkParams::dev();
    let disk = Disk::new(new_files(&params));
    let mut script = Script {
        store: disk.open(&params).unwrap(),
        memory: MemoryStore::new(&params),
        disk,
        params,
        next_id: 1,
    };
    let mut rng = Rng::new(bytes.u64());
    for _ in 0..STEPS_MAX {
        if bytes.is_empty() {
            break;
        }
        match bytes.u8() % 4 {
            0 | 1 => script.commit(&mut bytes, None),
            2 => {
                let room = u64::from(bytes.u8() % 64);
                script.commit(&mut bytes, Some(room));
            }
            _ => {
                let left = script.disk.after_cut(Kept::Any, &mut rng);
                script.open(Disk::new(left));
                script.check(&script.memory);
            }
        }
    }
    script.check(&script.memory);
}

impl Script {
    fn open(&mut self, disk: Disk) {
        self.store = disk.open(&self.params).unwrap();
        self.disk = disk;
    }

    fn commit(&mut self, bytes: &mut Bytes<'_>, room: Option<u64>) {
        let after = self.memory.copy();
        let mut batches = Vec::new();
        for _ in 0..=bytes.below(2) {
            let batch = self.batch(bytes, &after);
            after.commit(&batch);
            batches.push(batch);
        }
        self.disk.set_room(room);
        let done = self.store.commit(&batches);
        self.disk.set_room(None);
        match done {
            Ok(()) => self.memory = after,
            Err(error) => {
                assert!(room.is_some(), "{error}");
                let disk = Disk::new(self.disk.files());
                self.open(disk);
                // Whole or not at all: the failure may have been in the last write of all.
                if self.store.tip() == after.tip() && self.store.accounts(99) == after.accounts(99) && self.same(&after)
                {
                    self.memory = after;
                }
            }
        }
        self.check(&self.memory);
    }

    fn same(&self, memory: &MemoryStore) -> bool {
        // A batch may change nothing but what is known of a block.
        let blocks = memory.blocks_by_prefix("", 99).unwrap();
        let known = blocks.iter().all(|hash| self.store.block(hash) == memory.block(hash));
        // What is known of blocks that are not active may be lost in a crash.
        let spots = memory.spots_by_prefix("", 99).unwrap();
        let placed = spots
            .iter()
            .all(|(txid, _)| self.store.place(txid) == memory.place(txid));
        let listed = counting(&self.store) == counting(memory);
        let lists = self.store.own() == memory.own() && self.store.peers() == memory.peers();
        known && placed && listed && lists && self.store.side() == memory.side()
    }

    /// Changes of every kind; what opening checks stays true: active blocks are whole and linked.
    fn batch(&mut self, bytes: &mut Bytes<'_>, at: &MemoryStore) -> Batch {
        let mut batch = Batch {
            id: self.next_id,
            ..Batch::default()
        };
        self.next_id += 1;
        let (height, tip) = at.tip().unwrap();
        let parent = at.block(&tip).unwrap().unwrap();
        let way = bytes.u8();
        let mut header = parent.header.clone();
        header.previous = tip;
        header.height = height.next();
        header.time = WallTime::from_ms(header.time.ms() + 1);
        let nonce = bytes.u8();
        header.nonce = nonce.into();
        // A header stands for one body.
        let reward = Reward {
            to: account(usize::from(nonce % 9)),
            height: header.height,
        };
        let block = Block {
            header: header.clone(),
            transactions: vec![Transaction::Reward(reward)],
        };
        let (hash, body) = (header.hash(), block.to_bytes());
        let stored = StoredBlock {
            header,
            work: Work::from_be_bytes([way; 32]),
            size_bytes: u64::try_from(body.len()).unwrap(),
        };
        match way % 4 {
            0 | 1 => {
                let place = TxPlace {
                    height: height.next(),
                    index: 0,
                };
                let txid = block.transactions[0].txid();
                batch.places.insert((txid, Spot::new(&hash, place)));
                add_body(&mut batch.history, &hash, &body).unwrap();
                batch.blocks.insert(hash, Some((stored, body)));
                batch.active.insert(height.next(), Some(hash));
                batch.side.insert(hash, None);
            }
            2 => {
                batch.blocks.insert(hash, Some((stored, body)));
                batch.side.insert(hash, Some(()));
            }
            _ if height > Height::GENESIS => {
                batch.active.insert(height, None);
                batch.side.insert(tip, Some(()));
            }
            _ => {}
        }
        small_changes(bytes, &mut batch);
        batch
    }

    /// Every read of both.
    fn check(&self, memory: &MemoryStore) {
        let disk = &self.store;
        assert_eq!(disk.tip(), memory.tip());
        assert!(self.same(memory));
        for limit in [0, 2, 99] {
            assert_eq!(disk.accounts(limit), memory.accounts(limit));
            assert_eq!(disk.blocks_by_prefix("", limit), memory.blocks_by_prefix("", limit));
        }
        for hash in memory.blocks_by_prefix("", 99).unwrap() {
            assert_eq!(
                (disk.block(&hash), disk.body(&hash)),
                (memory.block(&hash), memory.body(&hash))
            );
            let prefix = &hash.to_string()[..3];
            assert_eq!(disk.blocks_by_prefix(prefix, 9), memory.blocks_by_prefix(prefix, 9));
        }
        for number in 0..12 {
            assert_eq!(disk.active(Height::new(number)), memory.active(Height::new(number)));
        }
        for choice in 0..9 {
            assert_eq!(disk.account(&account(choice)), memory.account(&account(choice)));
        }
    }
}

/// The entries of the index of histories that count.
fn counting(store: &impl ChainStore) -> Vec<(HistoryKey, Vec<u16>)> {
    let mut all = store.history_above(None, 999).unwrap();
    all.retain(|(key, _)| key.is_in(store.active(key.height).unwrap().as_ref()));
    all
}

/// Accounts, own transactions and peers.
fn small_changes(bytes: &mut Bytes<'_>, batch: &mut Batch) {
    for _ in 0..bytes.below(6) {
        let (way, number) = (bytes.u8(), bytes.u8());
        let there = !way.is_multiple_of(5);
        let id = Txid::new([number % 4; 32]);
        match way % 4 {
            0 | 1 => {
                let account = account(usize::from(number % 9));
                let owner = match &account {
                    Account::Name(_) if number >= 64 => Some(key(usize::from(number)).public()),
                    Account::Name(_) | Account::Key(_) => None,
                };
                let state = AccountState {
                    balance: i64::from(way) - 99,
                    next_sequence: u64::from(number),
                    owner,
                };
                batch.accounts.insert(account, there.then_some(state));
            }
            2 => {
                batch
                    .own
                    .insert(id, there.then(|| (u64::from(number), vec![way; usize::from(number)])));
            }
            _ => {
                let peer = key(usize::from(number)).public().peer_id();
                let address = Address::parse(&format!("10.0.0.{way}:{}", u16::from(number) + 1))
                    .unwrap()
                    .0;
                batch
                    .peers
                    .insert(peer, there.then(|| vec![address; usize::from(number % 3)]));
            }
        }
    }
}
