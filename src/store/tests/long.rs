//! Files too large to be verified whole at a start.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::*;
use crate::chain::{ChainStore, StoreError};
use crate::store::opening::VERIFIED_MAX_BYTES;
use crate::store::redb_store::testing::create_on;
use crate::store::{OpenError, RedbStore};

/// The bytes of an old block: nearly as many as one may have.
const LARGE: usize = 1_000_000;
/// Blocks on top of the old ones: more than a start looks at.
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

impl Counter {
    fn open(&self, params: &NetworkParams) -> Result<RedbStore, OpenError> {
        RedbStore::on_storage(Box::new(self.clone()), params)
    }

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

/// A file with so many large blocks and [`RECENT`] small ones above them; gives the large ones too.
fn file(params: &NetworkParams, large: u64) -> (Counter, Vec<Block>) {
    let disk = Counter::default();
    create_on(disk.clone(), params).unwrap();
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
    blocks.truncate(usize::try_from(large).unwrap());
    (disk, blocks)
}

#[test]
fn adv_t16_a_start_reads_the_last_blocks_of_a_large_file_and_the_rest_when_it_is_asked_for() {
    let params = NetworkParams::dev();
    let (disk, old) = file(&params, 140);
    assert!(disk.size() > VERIFIED_MAX_BYTES, "{}", disk.size());
    disk.rot(&old[20]);
    for start in ["after a clean stop", "after a crash"] {
        disk.0.read_bytes.store(0, Ordering::Relaxed);
        let store = disk.open(&params).unwrap();
        let read = disk.0.read_bytes.load(Ordering::Relaxed);
        // A redb with debug assertions walks over every page for them, without verifying it.
        let few = cfg!(debug_assertions) || read < 4 * 1024 * 1024;
        assert!(few, "{start}: {read} bytes of {}", disk.size());
        assert_eq!(store.tip().unwrap().0, Height::new(240));
        assert!(store.body(&old[21].hash()).unwrap().is_some());
        let rotten = store.body(&old[20].hash());
        assert!(matches!(rotten, Err(StoreError::Damaged(_))), "{rotten:?}");
        // What a process that is killed leaves: never closed.
        std::mem::forget(store);
    }
}

#[test]
fn a_small_file_is_verified_whole_at_a_start() {
    let params = NetworkParams::dev();
    let (disk, old) = file(&params, 5);
    assert!(disk.size() < VERIFIED_MAX_BYTES);
    drop(disk.open(&params).unwrap());
    disk.rot(&old[2]);
    let refused = disk.open(&params).map(drop);
    assert!(matches!(refused, Err(OpenError::Damaged { .. })), "{refused:?}");
}
