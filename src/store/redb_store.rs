//! The chain's store on redb: one file, one atomic and durable transaction for each commit.
//!
//! Promises: when [`RedbStore::commit`] returns, the disk has every batch; when it fails, none of them. A file that is
//! cut off, of another network or of a newer format is refused and left as it was. A panic inside redb, which trusts
//! its file, becomes [`StoreError::Damaged`].
//! Elsewhere: the bytes of records (`records`), the folder and its lock (`folder`).
//! Spec: `proto-notes/store.md`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{
    Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    StorageBackend, Table, TableDefinition, WriteTransaction,
};

use super::backend::Probation;
use super::{FORMAT, OpenError, files, records};
use crate::chain::{AccountState, Batch, Block, ChainStore, NetworkParams, StoreError, StoredBlock, TxPlace, Undo};
use crate::types::{Account, AccountName, Address, BlockHash, Height, PeerId, PublicKey, Txid, Work};

type Bytes = &'static [u8];
type Definition = TableDefinition<'static, Bytes, Bytes>;
type Reading = ReadOnlyTable<Bytes, Bytes>;
type Writing<'a> = Table<'a, Bytes, Bytes>;

const META: Definition = TableDefinition::new("meta");
const HEADERS: Definition = TableDefinition::new("headers");
const BODIES: Definition = TableDefinition::new("bodies");
const UNDO: Definition = TableDefinition::new("undo");
const ACTIVE: Definition = TableDefinition::new("active");
const SIDE: Definition = TableDefinition::new("side");
const ACCOUNTS: Definition = TableDefinition::new("accounts");
const OWNERS: Definition = TableDefinition::new("owners");
const PLACES: Definition = TableDefinition::new("places");
const OWN: Definition = TableDefinition::new("own");
const PEERS: Definition = TableDefinition::new("peers");
const TABLES: [Definition; 11] = [
    META, HEADERS, BODIES, UNDO, ACTIVE, SIDE, ACCOUNTS, OWNERS, PLACES, OWN, PEERS,
];

const META_FORMAT: &[u8] = b"format";
const META_NETWORK: &[u8] = b"network";
const META_LABEL: &[u8] = b"label";

/// A file up to this size is verified page by page at each start, which costs some 5 ms for each MiB. In a larger one
/// redb trusts what it closed cleanly, and the last blocks alone are checked.
const VERIFIED_MAX_BYTES: u64 = 32 * 1024 * 1024;
/// The first bytes of every redb file.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
/// The smallest file that holds a header: one page.
const FILE_MIN_BYTES: u64 = 4096;
/// redb's page cache. Its default of 1 GiB is more than a whole node may use (512 MiB).
const CACHE_BYTES: usize = 64 * 1024 * 1024;
/// So many blocks below the tip are read and linked at each start: a node that crashed wrote no more than these lately.
const CHECKED_BLOCKS: u64 = 64;

/// A cheap handle to the chain file; clones share it. Each read sees the last commit.
#[derive(Clone, Debug)]
pub struct RedbStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    params: NetworkParams,
    /// None after a reopening failed.
    open: RwLock<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    database: Database,
    /// Tells whether the file of this path is still the one that was opened.
    identity: Option<(u64, u64)>,
}

impl RedbStore {
    /// Opens a network's chain file, or makes one that holds the genesis block.
    ///
    /// # Errors
    /// [`OpenError`]; an existing file is then as it was before.
    pub fn open(path: &Path, params: &NetworkParams) -> Result<Self, OpenError> {
        if !path.try_exists().map_err(|error| OpenError::from_io(path, &error))? {
            create(path, params)?;
        }
        let open = open_file(path, params)?;
        Ok(Self(Arc::new(Inner {
            path: path.to_path_buf(),
            params: params.clone(),
            open: RwLock::new(Some(open)),
        })))
    }

    /// Closes the file and opens it again, after a failed commit. The other handles follow.
    ///
    /// # Errors
    /// [`OpenError`]; reads and commits fail until another try succeeds.
    pub fn reopen(&self) -> Result<(), OpenError> {
        let mut open = self.0.open.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = open.take() {
            // After a panic inside it redb's own locks may be poisoned, and closing panics too.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(old)));
        }
        *open = Some(open_file(&self.0.path, &self.0.params)?);
        Ok(())
    }

    /// Writes batches in one atomic step, and returns when the disk has them.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of them is there, and [`RedbStore::reopen`] comes before the next commit.
    pub fn commit(&self, batches: &[Batch]) -> Result<(), StoreError> {
        self.with(|open| {
            if identity(&self.0.path) != open.identity {
                let path = self.0.path.display();
                return Err(StoreError::Io(format!("{path} was moved or deleted")));
            }
            write(&open.database, |transaction| apply(transaction, batches))
        })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    fn with<T>(&self, work: impl FnOnce(&Open) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let open = self.0.open.read().unwrap_or_else(PoisonError::into_inner);
        let open = open
            .as_ref()
            .ok_or_else(|| StoreError::Io("the store is closed".into()))?;
        unpanicked(|| work(open))
    }

    fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.with(|open| work(&open.database.begin_read().map_err(failed)?))
    }
}

/// What tells a file from another one of the same name; none where the system has no such thing.
fn identity(path: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        let metadata = fs::metadata(path).ok()?;
        Some((
            std::os::unix::fs::MetadataExt::dev(&metadata),
            std::os::unix::fs::MetadataExt::ino(&metadata),
        ))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Turns a panic of redb, which trusts what it reads, into an error.
fn unpanicked<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(StoreError::Damaged("its pages contradict each other".into())))
}

/// Sorts an error of redb.
fn failed(error: impl Into<redb::Error>) -> StoreError {
    let error = error.into();
    let text = error.to_string();
    match error {
        redb::Error::Corrupted(text) => StoreError::Damaged(text),
        redb::Error::Io(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) => {
            StoreError::Damaged(text)
        }
        redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableIsNotMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::UpgradeRequired(_) => StoreError::Damaged(text),
        // Everything else, and what redb may add: the system's refusals.
        _ => StoreError::Io(text),
    }
}

/// Makes the file beside its place and renames it, so that it is there with its genesis block or not at all.
fn create(path: &Path, params: &NetworkParams) -> Result<(), OpenError> {
    let beside = path.with_extension("new");
    let io_error = |error: io::Error| OpenError::from_io(path, &error);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
        Ok(()) | Err(_) => {}
    }
    let made = unpanicked(|| {
        let database = builder().create(&beside).map_err(failed)?;
        initialise(&database, params)?;
        database.close().map_err(failed)
    });
    let placed = match made {
        Ok(()) => File::open(&beside)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&beside, path))
            .and_then(|()| files::sync_folder_of(path))
            .map_err(io_error),
        Err(error) => Err(OpenError::Io {
            path: path.to_path_buf(),
            reason: error.to_string(),
        }),
    };
    if placed.is_err() {
        let _ = fs::remove_file(&beside);
    }
    placed
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// One durable transaction. Quick repair brings two-phase commit: contents come from strangers.
fn write(
    database: &Database,
    work: impl FnOnce(&WriteTransaction) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut transaction = database.begin_write().map_err(failed)?;
    transaction.set_quick_repair(true);
    transaction.set_durability(Durability::Immediate).map_err(failed)?;
    match work(&transaction) {
        Ok(()) => transaction.commit().map_err(failed),
        Err(error) => {
            // The first error is the one to tell.
            let _ = transaction.abort();
            Err(error)
        }
    }
}

/// What a new file holds: every table, format and network, the genesis block.
fn initialise(database: &Database, params: &NetworkParams) -> Result<(), StoreError> {
    let block = Block {
        header: params.genesis(),
        transactions: Vec::new(),
    };
    let (hash, bytes) = (block.hash(), block.to_bytes());
    let stored = StoredBlock {
        header: block.header,
        work: Work::ZERO,
        size_bytes: u64::try_from(bytes.len()).expect("100 bytes"),
    };
    let mut batch = Batch::default();
    batch.blocks.insert(hash, Some((stored, bytes)));
    batch.active.insert(Height::GENESIS, Some(hash));
    write(database, |transaction| {
        for table in TABLES {
            transaction.open_table(table).map_err(failed)?;
        }
        let mut meta = transaction.open_table(META).map_err(failed)?;
        put(&mut meta, META_FORMAT, &FORMAT.to_be_bytes())?;
        put(&mut meta, META_NETWORK, params.network_id().as_bytes())?;
        put(&mut meta, META_LABEL, params.label().as_bytes())?;
        drop(meta);
        apply(transaction, &[batch])
    })
}

/// Refuses what is no whole redb file before redb sees it: redb makes a new database of an empty one.
pub(crate) fn check_file(path: &Path) -> Result<(), OpenError> {
    let io_error = |error: io::Error| OpenError::from_io(path, &error);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::damaged(path, "the file is missing"));
        }
        Err(error) => return Err(io_error(error)),
    };
    let len = file.metadata().map_err(io_error)?.len();
    if len < FILE_MIN_BYTES {
        return Err(OpenError::damaged(path, format!("it ends after {len} bytes")));
    }
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).map_err(io_error)?;
    if magic == MAGIC {
        Ok(())
    } else {
        Err(OpenError::damaged(path, "it is no chain file"))
    }
}

fn open_file(path: &Path, params: &NetworkParams) -> Result<Open, OpenError> {
    check_file(path)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| OpenError::from_io(path, &error))?;
    let backend = FileBackend::new(file).map_err(|error| OpenError::Io {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })?;
    let identity = identity(path);
    let database = open_storage(Box::new(backend), path, params)?;
    Ok(Open { database, identity })
}

/// Opens a storage on probation, checks what it holds, and only then lets anything be written.
fn open_storage(storage: Box<dyn StorageBackend>, path: &Path, params: &NetworkParams) -> Result<Database, OpenError> {
    let refused = |error: StoreError| match error {
        StoreError::Damaged(reason) => OpenError::damaged(path, reason),
        StoreError::Io(reason) => OpenError::Io {
            path: path.to_path_buf(),
            reason,
        },
    };
    let probation = Probation::new(storage).map_err(|error| OpenError::from_io(path, &error))?;
    let storage = probation.clone();
    let verified = storage.len().is_ok_and(|len| len <= VERIFIED_MAX_BYTES);
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let mut builder = builder();
        builder.set_check_integrity_on_open(verified);
        let database = builder.create_with_backend(storage).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => OpenError::InUse {
                path: path.to_path_buf(),
                pid: None,
            },
            error => refused(failed(error)),
        })?;
        let reading = database.begin_read().map_err(|error| refused(failed(error)))?;
        check_meta(&reading, path, params)?;
        check_recent(&reading, params).map_err(refused)?;
        reading.close().map_err(|error| refused(failed(error)))?;
        Ok(database)
    }));
    let database = opened.unwrap_or_else(|_| Err(OpenError::damaged(path, "its pages contradict each other")))?;
    probation.release().map_err(|error| OpenError::from_io(path, &error))?;
    Ok(database)
}

/// Format first: a newer one may mean anything by the rest.
fn check_meta(reading: &ReadTransaction, path: &Path, params: &NetworkParams) -> Result<(), OpenError> {
    let damaged = |error: StoreError| OpenError::damaged(path, error.to_string());
    let field = |key: &[u8]| {
        get(reading, META, key)
            .and_then(|value| value.ok_or_else(|| records::damaged("meta", "a field is missing")))
            .map_err(damaged)
    };
    let format = field(META_FORMAT)?;
    let found = u32::from_be_bytes(
        format
            .try_into()
            .map_err(|_| OpenError::damaged(path, "its format is no number"))?,
    );
    if found > FORMAT {
        return Err(OpenError::NewerFormat {
            path: path.to_path_buf(),
            found,
            known: FORMAT,
        });
    }
    if found == 0 {
        return Err(OpenError::damaged(path, "format 0 never existed"));
    }
    let network = records::hash("network id", &field(META_NETWORK)?).map_err(damaged)?;
    if network != *params.network_id().as_bytes() {
        let label = String::from_utf8_lossy(&field(META_LABEL)?).into_owned();
        return Err(OpenError::OtherNetwork {
            path: path.to_path_buf(),
            found: named(&label, &hex::encode(network)),
            wanted: named(&params.label(), &params.network_id().to_string()),
        });
    }
    Ok(())
}

/// A network's label and the start of its id: two networks from files may share a label.
pub(crate) fn named(label: &str, id: &str) -> String {
    format!("{label} (id {})", id.get(..8).unwrap_or(id))
}

/// The genesis block stands below, and the last blocks are there, whole and linked.
fn check_recent(reading: &ReadTransaction, params: &NetworkParams) -> Result<(), StoreError> {
    for table in TABLES {
        reading.open_table(table).map_err(failed)?;
    }
    if active(reading, Height::GENESIS)? != Some(params.genesis().hash()) {
        return Err(records::damaged(
            "active chain",
            "it does not start with the genesis block",
        ));
    }
    let (mut height, mut hash) = tip(reading)?;
    for _ in 0..CHECKED_BLOCKS {
        let gone = |what: &str| records::damaged("active chain", format_args!("block {height} has no {what}"));
        let value = get(reading, HEADERS, hash.as_bytes())?.ok_or_else(|| gone("header"))?;
        let block = records::block(&hash, &value)?;
        let body = get(reading, BODIES, hash.as_bytes())?.ok_or_else(|| gone("body"))?;
        let whole = Block::header_of(&body).is_ok_and(|header| header == block.header)
            && u64::try_from(body.len()).is_ok_and(|size| size == block.size_bytes);
        if !whole || block.header.height != height {
            return Err(gone("body of its own"));
        }
        let Some(below) = height.previous() else { break };
        let undo = get(reading, UNDO, hash.as_bytes())?.ok_or_else(|| gone("undo data"))?;
        records::undo(&undo)?;
        if active(reading, below)? != Some(block.header.previous) {
            return Err(gone("parent below it"));
        }
        (height, hash) = (below, block.header.previous);
    }
    Ok(())
}

fn get(reading: &ReadTransaction, table: Definition, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let table: Reading = reading.open_table(table).map_err(failed)?;
    let value = table.get(key).map_err(failed)?;
    Ok(value.map(|value| value.value().to_vec()))
}

fn tip(reading: &ReadTransaction) -> Result<(Height, BlockHash), StoreError> {
    let table = reading.open_table(ACTIVE).map_err(failed)?;
    let (height, hash) = table
        .last()
        .map_err(failed)?
        .ok_or_else(|| records::damaged("active chain", "it is empty"))?;
    Ok((
        records::height(height.value())?,
        records::hash("active block", hash.value()).map(BlockHash::new)?,
    ))
}

fn active(reading: &ReadTransaction, height: Height) -> Result<Option<BlockHash>, StoreError> {
    get(reading, ACTIVE, &records::height_key(height))?
        .map(|value| records::hash("active block", &value).map(BlockHash::new))
        .transpose()
}

/// Reads entries of a key range in order until `limit` are there.
fn collect<T>(
    reading: &ReadTransaction,
    table: Definition,
    (from, to): (&[u8], &[u8]),
    limit: usize,
    read: impl Fn(&[u8], &[u8]) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let table = reading.open_table(table).map_err(failed)?;
    let entries = table.range::<&[u8]>(from..=to).map_err(failed)?;
    entries
        .take(limit)
        .map(|entry| {
            let (key, value) = entry.map_err(failed)?;
            read(key.value(), value.value())
        })
        .collect()
}

/// Above every key of every table: no key is longer than 65 bytes.
const LAST_KEY: [u8; 66] = [0xff; 66];
const EVERY_KEY: (&[u8], &[u8]) = (&[], &LAST_KEY);

fn put(table: &mut Writing<'_>, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    table.insert(key, value).map(drop).map_err(failed)
}

/// Writes or deletes each entry of a map.
fn put_all<K, V>(
    transaction: &WriteTransaction,
    table: Definition,
    entries: impl IntoIterator<Item = (K, Option<V>)>,
) -> Result<(), StoreError>
where
    K: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    let mut table = transaction.open_table(table).map_err(failed)?;
    for (key, value) in entries {
        match value {
            Some(value) => put(&mut table, key.as_ref(), value.as_ref())?,
            None => table.remove(key.as_ref()).map(drop).map_err(failed)?,
        }
    }
    Ok(())
}

fn apply(transaction: &WriteTransaction, batches: &[Batch]) -> Result<(), StoreError> {
    for batch in batches {
        apply_blocks(transaction, batch)?;
        apply_accounts(transaction, batch)?;
        let places = batch.places.iter();
        put_all(
            transaction,
            PLACES,
            places.map(|(txid, place)| (txid.as_bytes(), place.as_ref().map(records::place_value))),
        )?;
        let own = batch.own.iter();
        put_all(
            transaction,
            OWN,
            own.map(|(txid, own)| {
                let value = own.as_ref().map(|(number, bytes)| records::own_value(*number, bytes));
                (txid.as_bytes(), value)
            }),
        )?;
        let peers = batch.peers.iter();
        put_all(
            transaction,
            PEERS,
            peers.map(|(peer, addresses)| {
                let value = addresses.as_ref().map(|addresses| records::addresses_value(addresses));
                (peer.to_bytes(), value)
            }),
        )?;
    }
    Ok(())
}

fn apply_blocks(transaction: &WriteTransaction, batch: &Batch) -> Result<(), StoreError> {
    let blocks = batch.blocks.iter();
    put_all(
        transaction,
        HEADERS,
        blocks.clone().map(|(hash, block)| {
            let value = block.as_ref().map(|(stored, _)| records::block_value(stored));
            (hash.as_bytes(), value)
        }),
    )?;
    put_all(
        transaction,
        BODIES,
        blocks.map(|(hash, block)| (hash.as_bytes(), block.as_ref().map(|(_, body)| body))),
    )?;
    let undo = batch.undo.iter().map(|(hash, undo)| {
        let value = undo.as_ref().map(records::undo_value).transpose()?;
        Ok((hash.as_bytes(), value))
    });
    put_all(transaction, UNDO, undo.collect::<Result<Vec<_>, StoreError>>()?)?;
    let active = batch.active.iter();
    put_all(
        transaction,
        ACTIVE,
        active.map(|(height, hash)| (records::height_key(*height), hash.as_ref().map(BlockHash::as_bytes))),
    )?;
    let side = batch.side.iter();
    put_all(
        transaction,
        SIDE,
        side.map(|(hash, there)| (hash.as_bytes(), there.map(|()| []))),
    )
}

/// Writes the ledger, and with it the index from owners to names.
fn apply_accounts(transaction: &WriteTransaction, batch: &Batch) -> Result<(), StoreError> {
    let mut accounts = transaction.open_table(ACCOUNTS).map_err(failed)?;
    let mut owners = transaction.open_table(OWNERS).map_err(failed)?;
    for (account, state) in &batch.accounts {
        let key = records::account_key(account);
        let index = |owner: &[u8]| records::owner_key(owner, &key);
        let after = state.as_ref().map(records::state_value);
        let before = match &after {
            Some(value) => accounts.insert(key.as_slice(), value.as_slice()),
            None => accounts.remove(key.as_slice()),
        };
        let before = before.map_err(failed)?;
        let old = before
            .as_ref()
            .and_then(|value| records::owner_bytes(value.value()).and_then(index));
        let new = after.as_deref().and_then(records::owner_bytes).and_then(index);
        if old == new {
            continue;
        }
        if let Some(old) = old {
            owners.remove(old.as_slice()).map(drop).map_err(failed)?;
        }
        if let Some(new) = new {
            put(&mut owners, &new, &[])?;
        }
    }
    Ok(())
}

impl ChainStore for RedbStore {
    fn tip(&self) -> Result<(Height, BlockHash), StoreError> {
        self.read(tip)
    }

    fn block(&self, hash: &BlockHash) -> Result<Option<StoredBlock>, StoreError> {
        let value = self.read(|reading| get(reading, HEADERS, hash.as_bytes()))?;
        value.map(|value| records::block(hash, &value)).transpose()
    }

    fn body(&self, hash: &BlockHash) -> Result<Option<Vec<u8>>, StoreError> {
        let body = self.read(|reading| get(reading, BODIES, hash.as_bytes()))?;
        match &body {
            Some(bytes) if !Block::header_of(bytes).is_ok_and(|header| header.hash() == *hash) => {
                Err(records::damaged("body", format_args!("it is not that of block {hash}")))
            }
            Some(_) | None => Ok(body),
        }
    }

    fn undo(&self, hash: &BlockHash) -> Result<Option<Undo>, StoreError> {
        let value = self.read(|reading| get(reading, UNDO, hash.as_bytes()))?;
        value.map(|value| records::undo(&value)).transpose()
    }

    fn active(&self, height: Height) -> Result<Option<BlockHash>, StoreError> {
        self.read(|reading| active(reading, height))
    }

    fn side(&self) -> Result<Vec<BlockHash>, StoreError> {
        self.read(|reading| {
            collect(reading, SIDE, EVERY_KEY, usize::MAX, |key, _| {
                records::hash("side block", key).map(BlockHash::new)
            })
        })
    }

    fn blocks_by_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<BlockHash>, StoreError> {
        let Some((first, last)) = records::prefix_range(prefix) else {
            return Ok(Vec::new());
        };
        self.read(|reading| {
            collect(reading, HEADERS, (&first, &last), limit, |key, _| {
                records::hash("header", key).map(BlockHash::new)
            })
        })
    }

    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError> {
        let value = self.read(|reading| get(reading, ACCOUNTS, &records::account_key(account)))?;
        value.map(|value| records::state(&value)).transpose()
    }

    fn accounts(&self, limit: usize) -> Result<(u64, Vec<(Account, AccountState)>), StoreError> {
        self.read(|reading| {
            let total = reading.open_table(ACCOUNTS).map_err(failed)?.len().map_err(failed)?;
            let first = collect(reading, ACCOUNTS, EVERY_KEY, limit, |key, value| {
                Ok((records::account(key)?, records::state(value)?))
            })?;
            Ok((total, first))
        })
    }

    fn names_of(&self, owner: &PublicKey, limit: usize) -> Result<Vec<AccountName>, StoreError> {
        let first = owner.as_bytes();
        let last = [&first[..], &[0xff; 33]].concat();
        self.read(|reading| {
            collect(reading, OWNERS, (first, &last), limit, |key, _| {
                records::owned_name(key)
            })
        })
    }

    fn place(&self, txid: &Txid) -> Result<Option<TxPlace>, StoreError> {
        let value = self.read(|reading| get(reading, PLACES, txid.as_bytes()))?;
        value.map(|value| records::place(&value)).transpose()
    }

    fn own(&self) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let mut own =
            self.read(|reading| collect(reading, OWN, EVERY_KEY, usize::MAX, |_, value| records::own(value)))?;
        own.sort_unstable();
        Ok(own)
    }

    fn peers(&self) -> Result<Vec<(PeerId, Vec<Address>)>, StoreError> {
        self.read(|reading| collect(reading, PEERS, EVERY_KEY, usize::MAX, records::peer))
    }
}

/// Applies batches and then fails, as a full disk would.
#[cfg(test)]
pub(crate) fn tests_only_fail_after(store: &RedbStore, batches: &[Batch]) -> Result<(), StoreError> {
    store.with(|open| {
        write(&open.database, |transaction| {
            apply(transaction, batches)?;
            Err(StoreError::Io("the disk is full".into()))
        })
    })
}

/// Pretends that a newer version wrote the file.
#[cfg(test)]
pub(crate) fn tests_only_set_format(store: &RedbStore, format: u32) {
    let set = |transaction: &WriteTransaction| {
        let mut meta = transaction.open_table(META).map_err(failed)?;
        put(&mut meta, META_FORMAT, &format.to_be_bytes())
    };
    store.with(|open| write(&open.database, set)).unwrap();
}

/// A store on a storage of the test's own.
#[cfg(test)]
pub(crate) fn tests_only_on(storage: Box<dyn StorageBackend>, params: &NetworkParams) -> Result<RedbStore, OpenError> {
    let path = PathBuf::from("in memory");
    let database = open_storage(storage, &path, params)?;
    let open = Open {
        database,
        identity: None,
    };
    Ok(RedbStore(Arc::new(Inner {
        path,
        params: params.clone(),
        open: RwLock::new(Some(open)),
    })))
}
