//! Opens the chain file: it is checked before anything is written, and created whole or not at all.
//!
//! Promises: a refused file is unchanged; a panic inside redb, which trusts its file, becomes an error.
//! Spec: `proto-notes/store.md`, "Opening".

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Database, ReadTransaction, ReadableDatabase, StorageBackend};

use super::backend::Probation;
use super::checked::{Checked, Sums, rotten};
use super::files::{self, Access, Owner};
use super::late::Late;
use super::reading::FileToRead;
use super::tables::{self, META, TABLES, active, failed, get, put, tip, unpanicked, write};
use super::trust::{META_KEYS, VERSION as KEYS_VERSION};
use super::{CHAIN_FORMAT, CHAIN_FORMAT_MIN, OpenError, blocks, histories, index, records};
use crate::chain::{Batch, Block, NetworkParams, StoreError, StoredBlock};
use crate::types::{Height, Work};

pub(super) const META_FORMAT: &[u8] = b"format";
const META_NETWORK: &[u8] = b"network";
const META_LABEL: &[u8] = b"label";

/// The file extension of the file with the page sums.
const SUMS_ENDING: &str = "sums";
/// The first bytes of every redb file.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
/// The smallest file that has a header, in bytes: one page.
const FILE_MIN_BYTES: u64 = 4096;
/// The size of redb's page cache in bytes. The default of 1 GiB is more than a whole node may use (512 MiB); more than
/// this helps little, because most reads and writes are close together.
const CACHE_BYTES: usize = 8 * 1024 * 1024;
/// How many blocks below the tip are read and checked at each start; a crash cannot have affected more than these.
const CHECKED_BLOCKS: u64 = 64;
/// The longest label that is shown, in bytes: `NAME:SALT` with 32 bytes each.
const LABEL_SHOWN_MAX: usize = 65;

#[derive(Debug)]
pub(super) struct Open {
    pub(super) database: Database,
    pub(super) pages: Checked,
    /// What waits for the tables of the indexes, up to a height; until it is taken.
    pub(super) late: Option<(Late, Height)>,
    /// Device and inode of the opened file, to see whether the path still leads to it.
    pub(super) identity: Option<(u64, u64)>,
}

/// Device and inode of the file at a path; none on systems that have no such numbers.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        // A link in its place counts as another file.
        let metadata = fs::symlink_metadata(path).ok()?;
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

/// The bytes that the chain file and its sums use on the disk, the bytes that this user may still write, and the size
/// of the disk. A file is measured by its blocks: redb doubles the length of a file when it grows, and the tail is a
/// hole.
pub(super) fn room(path: &Path) -> Option<(u64, u64, u64)> {
    #[cfg(unix)]
    {
        /// The unit of a file's block count in bytes, whatever the block size of the disk is.
        const BLOCK_BYTES: u64 = 512;
        let disk = rustix::fs::statvfs(path.parent()?).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        let taken = |path: &Path| {
            fs::symlink_metadata(path).map_or(0, |metadata| std::os::unix::fs::MetadataExt::blocks(&metadata))
        };
        let blocks = taken(path).saturating_add(taken(&sums_path(path)));
        Some((
            blocks.saturating_mul(BLOCK_BYTES),
            bytes(disk.f_bavail),
            bytes(disk.f_blocks),
        ))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Creates the file under another name and renames it, so that it exists with its genesis block or not at all.
pub(super) fn create(path: &Path, params: &NetworkParams) -> Result<(), OpenError> {
    let beside = path.with_extension("new");
    let io_error = |error: io::Error| OpenError::from_io(path, &error);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
        Ok(()) | Err(_) => {}
    }
    // Created here, because redb would make it readable by others.
    let file = files::create_new(&beside).map_err(io_error)?;
    let made = unpanicked(|| {
        let backend = FileBackend::new(file).map_err(failed)?;
        let database = builder().create_with_backend(backend).map_err(failed)?;
        initialise(&database, params)?;
        database.close().map_err(failed)
    });
    let placed = match made {
        // Sums of an earlier file do not fit this one. The file is opened for writing because Windows syncs only such
        // files.
        Ok(()) => remove_sums(path)
            .and_then(|()| OpenOptions::new().write(true).open(&beside))
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&beside, path))
            .and_then(|()| files::sync_folder_of(path))
            .map_err(io_error),
        Err(error) => Err(refused(path, error)),
    };
    if placed.is_err() {
        let _ = fs::remove_file(&beside);
    }
    placed
}

/// The path of the file with the page sums.
pub(super) fn sums_path(path: &Path) -> PathBuf {
    path.with_extension(SUMS_ENDING)
}

/// Removes the sums. The next opening then checks the whole chain file and computes them anew.
pub(super) fn remove_sums(path: &Path) -> io::Result<()> {
    match fs::remove_file(sums_path(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Opens the file with the sums, or creates an empty one; returns whether it is new.
fn open_sums(path: &Path) -> Result<(FileBackend, bool), OpenError> {
    let path = sums_path(path);
    let opened = files::open_or_create(&path, Access::Change, Owner::Anybody);
    let (file, is_new) = opened.map_err(|error| OpenError::from_io(&path, &error))?;
    match FileBackend::new(file) {
        Ok(backend) => Ok((backend, is_new)),
        Err(error) => Err(OpenError::Io {
            reason: error.to_string(),
            path,
        }),
    }
}

/// The sums for a store that is only read: the existing ones, or none.
fn sums_to_read(path: &Path) -> Result<Box<dyn StorageBackend>, OpenError> {
    let path = sums_path(path);
    match files::open(&path, Access::Read, Owner::Anybody) {
        Ok(file) => Ok(Box::new(FileToRead(file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Box::new(InMemoryBackend::new())),
        Err(error) => Err(OpenError::from_io(&path, &error)),
    }
}

/// Creates a new database in a storage that the caller provides.
#[cfg(any(test, feature = "testing"))]
pub(super) fn create_in(storage: impl StorageBackend, params: &NetworkParams) -> Result<(), StoreError> {
    let database = builder().create_with_backend(storage).map_err(failed)?;
    initialise(&database, params)?;
    database.close().map_err(failed)
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Writes the content of a new file: all tables, format and network, the genesis block.
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
        blocks::create(transaction)?;
        index::create(transaction)?;
        let mut meta = transaction.open_table(META).map_err(failed)?;
        put(&mut meta, META_FORMAT, &CHAIN_FORMAT.to_be_bytes())?;
        put(&mut meta, META_NETWORK, params.network_id().as_bytes())?;
        put(&mut meta, META_LABEL, params.label().as_bytes())?;
        // It has no key yet, and whoever writes one has checked it.
        put(&mut meta, META_KEYS, KEYS_VERSION)?;
        drop(meta);
        tables::apply(transaction, &[batch])?;
        index::set_mark(transaction, Height::GENESIS)
    })
}

/// Refuses a file that is not a whole redb file, before redb opens it: redb would make a new database in an empty file.
pub(super) fn check_file(path: &Path, access: Access, owner: Owner) -> Result<File, OpenError> {
    let io_error = |error: io::Error| OpenError::from_io(path, &error);
    let mut file = match files::open(path, access, owner) {
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
        Ok(file)
    } else {
        Err(OpenError::damaged(path, "it is no chain file"))
    }
}

pub(super) fn open_file(path: &Path, params: &NetworkParams) -> Result<Open, OpenError> {
    // The owner was checked when the folder was taken.
    let file = check_file(path, Access::Change, Owner::Anybody)?;
    let backend = FileBackend::new(file).map_err(|error| OpenError::Io {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })?;
    let (sums, is_new) = open_sums(path)?;
    let identity = identity(path);
    let opened = open_storage(Box::new(backend), Box::new(sums), path, params);
    if opened.is_err() && is_new {
        // A refused file leaves no new file behind.
        let _ = remove_sums(path);
    }
    let (database, pages, late) = opened?;
    Ok(Open {
        database,
        pages,
        late: Some(late),
        identity,
    })
}

/// Opens a file for reading only. Whatever redb writes, even a repair, stays in memory.
pub(super) fn open_to_read(path: &Path, params: &NetworkParams) -> Result<Open, OpenError> {
    let file = check_file(path, Access::Read, Owner::Anybody)?;
    let sums = sums_to_read(path)?;
    let (database, _, pages, _, late) = open_on_probation(Box::new(FileToRead(file)), sums, path, params)?;
    Ok(Open {
        database,
        pages,
        late: Some(late),
        identity: None,
    })
}

/// Opens a damaged file for reading only, if redb can read anything of it.
pub(super) fn open_damaged(path: &Path, params: &NetworkParams) -> Result<Open, OpenError> {
    let file = check_file(path, Access::Read, Owner::Anybody)?;
    let io_error = |error: io::Error| OpenError::from_io(path, &error);
    let (pages, _) = Checked::new(Box::new(FileToRead(file)), sums_to_read(path)?).map_err(io_error)?;
    let probation = Probation::new(Box::new(pages.clone())).map_err(io_error)?;
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let made = builder().create_with_backend(probation);
        let database = made.map_err(|error| refused(path, failed(error)))?;
        let reading = database.begin_read().map_err(|error| refused(path, failed(error)))?;
        check_meta(&reading, path, params)?;
        Ok(database)
    }));
    let opened = opened.unwrap_or_else(|_| Err(OpenError::damaged(path, "its pages contradict each other")));
    Ok(Open {
        database: opened?,
        pages,
        late: None,
        identity: None,
    })
}

/// Converts a store error to the reason why the file at a path is not opened.
pub(super) fn refused(path: &Path, error: StoreError) -> OpenError {
    let path = path.to_path_buf();
    match error {
        StoreError::Damaged(reason) => OpenError::Damaged { path, reason },
        StoreError::Full => OpenError::Full { path },
        StoreError::Io(reason) => OpenError::Io { path, reason },
    }
}

/// Opens a storage on probation, checks its content, and only then lets redb write.
pub(super) fn open_storage(
    storage: Box<dyn StorageBackend>,
    sums: Box<dyn StorageBackend>,
    path: &Path,
    params: &NetworkParams,
) -> Result<(Database, Checked, (Late, Height)), OpenError> {
    let (database, probation, pages, known, late) = open_on_probation(storage, sums, path, params)?;
    let io_error = |error: io::Error| OpenError::from_io(path, &error);
    if known == Sums::Missing {
        pages.build().map_err(io_error)?;
    }
    probation.release().map_err(io_error)?;
    Ok((database, pages, late))
}

/// A database that is open and checked, but must be released before anything is written.
type Probed = (Database, Probation, Checked, Sums, (Late, Height));

/// Opens a storage and checks its content. Nothing is written until the probation is released.
fn open_on_probation(
    storage: Box<dyn StorageBackend>,
    sums: Box<dyn StorageBackend>,
    path: &Path,
    params: &NetworkParams,
) -> Result<Probed, OpenError> {
    let io_error = |error: io::Error| OpenError::from_io(path, &error);
    let (pages, known) = Checked::new(storage, sums).map_err(io_error)?;
    let probation = Probation::new(Box::new(pages.clone())).map_err(io_error)?;
    let opened = catch_unwind(AssertUnwindSafe(|| {
        open_checked(probation.clone(), known, path, params)
    }));
    let opened = opened.unwrap_or_else(|_| Err(OpenError::damaged(path, "its pages contradict each other")));
    // Report a damaged page first, because it explains every other error.
    if let Some(page) = pages.rot() {
        return Err(OpenError::damaged(path, rotten(page)));
    }
    let (database, late) = opened?;
    Ok((database, probation, pages, known, late))
}

fn open_checked(
    storage: Probation,
    sums: Sums,
    path: &Path,
    params: &NetworkParams,
) -> Result<(Database, (Late, Height)), OpenError> {
    let refused = |error: StoreError| refused(path, error);
    let mut builder = builder();
    // Pages that have sums are checked when they are read.
    builder.set_check_integrity_on_open(sums == Sums::Missing);
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
    let late = late(&reading).map_err(refused)?;
    reading.close().map_err(|error| refused(failed(error)))?;
    Ok((database, late))
}

/// What waits for the tables of the indexes, and up to which height; nothing in a file of an earlier version.
fn late(reading: &ReadTransaction) -> Result<(Late, Height), StoreError> {
    match histories::is_complete(reading)? {
        true => index::load(reading),
        false => Ok((Late::incomplete(), tip(reading)?.0)),
    }
}

/// Checks the format first, because a newer format may give another meaning to everything else.
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
    if found > CHAIN_FORMAT {
        return Err(OpenError::NewerFormat {
            path: path.to_path_buf(),
            found,
            known: CHAIN_FORMAT,
        });
    }
    if found == 0 {
        return Err(OpenError::damaged(path, "format 0 never existed"));
    }
    if found < CHAIN_FORMAT_MIN {
        return Err(OpenError::OlderFormat {
            path: path.to_path_buf(),
            found,
            known: CHAIN_FORMAT,
        });
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

/// A network's label with the start of its id, because two networks from files may share a label.
///
/// Both come from a file that anybody may have written, so control characters are left out.
pub(super) fn named(label: &str, id: &str) -> String {
    let shown = |text: &str, max| {
        text.chars()
            .filter(char::is_ascii_graphic)
            .take(max)
            .collect::<String>()
    };
    format!("{} (id {})", shown(label, LABEL_SHOWN_MAX), shown(id, 8))
}

/// Checks that the genesis block is at height 0, and that the last blocks are complete and linked.
fn check_recent(reading: &ReadTransaction, params: &NetworkParams) -> Result<(), StoreError> {
    for table in TABLES {
        reading.open_table(table).map_err(failed)?;
    }
    if histories::is_complete(reading)? {
        index::check(reading)?;
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
        let block = blocks::block(reading, &hash)?.ok_or_else(|| gone("header"))?;
        let body = blocks::body(reading, &hash)?.ok_or_else(|| gone("body"))?;
        let whole = Block::header_of(&body).is_ok_and(|header| header == block.header)
            && u64::try_from(body.len()).is_ok_and(|size| size == block.size_bytes);
        if !whole || block.header.height != height {
            return Err(gone("body of its own"));
        }
        let Some(below) = height.previous() else { break };
        if active(reading, below)? != Some(block.header.previous) {
            return Err(gone("parent below it"));
        }
        (height, hash) = (below, block.header.previous);
    }
    Ok(())
}
