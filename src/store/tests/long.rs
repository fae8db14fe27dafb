//! A start reads little of a file, however large; what rotted is found when it is read.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::*;
use crate::chain::{ChainStore, StoreError};
use crate::store::redb_store::testing::create_on;
use crate::store::{OpenError, RedbStore};

/// The size of an old block in bytes: nearly the largest.
const LARGE: usize = 1_000_000;
/// The number of blocks on top of the old ones: more than a start reads.
const RECENT: u64 = 100;

/// A disk in memory that counts what is read of it.
#[derive(Clone, Debug, Default)]
struct Counter(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    memory: InMemoryBackend,
    read_bytes: AtomicU64,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            memory: InMemoryBackend::new(),
            read_bytes: AtomicU64::new(0),
        }
    }
}

impl StorageBackend for Counter {
    fn len(&self) -> io::Result<u64> {
        self.0.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let count = u64::try_from(out.len()).unwrap();
        self.0.read_bytes.fetch_add(count, Ordering::Relaxed);
        self.0.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.memory.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.memory.write(offset, data)
    }
}

/// The two files of a store.
#[derive(Clone, Debug, Default)]
struct Files {
    chain: Counter,
    sums: Counter,
}

impl Files {
    fn open(&self, params: &NetworkParams) -> Result<RedbStore, OpenError> {
        RedbStore::on_storage(Box::new(self.chain.clone()), Box::new(self.sums.clone()), params)
    }

    fn read_bytes(&self) -> u64 {
        let read = |file: &Counter| file.0.read_bytes.swap(0, Ordering::Relaxed);
        read(&self.chain) + read(&self.sums)
    }
}

impl Counter {
    fn size(&self) -> u64 {
        self.len().unwrap()
    }

    /// Changes one byte of a block's body, which is the one place where its header is followed by sevens.
    fn rot(&self, block: &Block) {
        let wanted = [&block.header.to_bytes()[..], &[7; 64]].concat();
        let mut bytes = vec![0; usize::try_from(self.size()).unwrap()];
        self.0.memory.read(0, &mut bytes).unwrap();
        let places = bytes.windows(wanted.len()).enumerate();
        let found: Vec<_> = places.filter(|(_, window)| *window == wanted).collect();
        let [(at, _)] = found[..] else {
            panic!("{} copies of the body", found.len());
        };
        self.0.memory.write(u64::try_from(at).unwrap() + 90, &[0xee]).unwrap();
    }
}

/// A file with `large` large blocks and [`RECENT`] small ones above them; it also returns the large ones.
fn file(params: &NetworkParams, large: u64) -> (Files, Vec<Block>) {
    let disk = Files::default();
    create_on(disk.chain.clone(), params).unwrap();
    let store = disk.open(params).unwrap();
    let mut blocks = chain(params, large + RECENT);
    for (block, number) in blocks.iter().zip(0..) {
        let mut batch = connect(block);
        if let Some((stored, bytes)) = batch.blocks.get_mut(&block.hash()).unwrap()
            && number < large
        {
            // The store looks at no more of a body than its header.
            bytes.truncate(96);
            bytes.resize(LARGE, 7);
            stored.size_bytes = u64::try_from(LARGE).unwrap();
        }
        store.commit(&[batch]).unwrap();
    }
    // The entries of the indexes are in their tables, so that none is made of the blocks, which have no transactions.
    store.write_indexes().unwrap();
    blocks.truncate(usize::try_from(large).unwrap());
    (disk, blocks)
}

#[test]
fn adv_t16_a_start_reads_the_last_blocks_of_a_file_and_the_rest_when_it_is_asked_for() {
    let params = NetworkParams::dev();
    let (disk, old) = file(&params, 40);
    disk.chain.rot(&old[20]);
    for start in ["after a clean stop", "after a crash"] {
        disk.read_bytes();
        let store = disk.open(&params).unwrap();
        let read = disk.read_bytes();
        assert!(read < 4 * 1024 * 1024, "{start}: {read} bytes of {}", disk.chain.size());
        assert_eq!(store.tip().unwrap().0, Height::new(140));
        assert!(store.body(&old[21].hash()).unwrap().is_some());
        assert_eq!(store.damage(), None);
        let rotten = store.body(&old[20].hash());
        assert!(matches!(rotten, Err(StoreError::Damaged(_))), "{rotten:?}");
        // What a process that is killed leaves: never closed.
        std::mem::forget(store);
    }
}

#[test]
fn what_rotted_is_never_read_and_nothing_is_written_any_more_while_the_rest_can_be_read() {
    let params = NetworkParams::dev();
    let (disk, old) = file(&params, 5);
    disk.chain.rot(&old[2]);
    let store = disk.open(&params).unwrap();
    let (_, tip) = store.tip().unwrap();
    for _ in 0..2 {
        let rotten = store.body(&old[2].hash());
        assert!(matches!(rotten, Err(StoreError::Damaged(_))), "{rotten:?}");
        assert!(store.damage().is_some());
        assert_eq!(store.tip().unwrap().1, tip);
        assert!(store.body(&old[3].hash()).unwrap().is_some());
        assert!(store.account(&name("alice")).unwrap().is_some());
        let next = child(&store.block(&tip).unwrap().unwrap().header, 9_999);
        let refused = store.commit(&[connect(&next)]);
        assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
    }
}

#[test]
fn a_file_without_sums_is_verified_whole_and_gets_them() {
    let params = NetworkParams::dev();
    let (disk, old) = file(&params, 5);
    let without = || Files {
        chain: disk.chain.clone(),
        ..Files::default()
    };
    let fresh = without();
    drop(fresh.open(&params).unwrap());
    assert!(fresh.sums.size() > 4 * disk.chain.size() / 4096);
    disk.chain.rot(&old[2]);
    assert!(fresh.open(&params).unwrap().body(&old[2].hash()).is_err());
    let refused = without().open(&params).map(drop);
    assert!(matches!(refused, Err(OpenError::Damaged { .. })), "{refused:?}");
}
