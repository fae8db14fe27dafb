//! Data folders: one for each node, locked while the node runs, and found again at the next start.
//!
//! Promises: two nodes never share a folder; a refused folder is unchanged, byte for byte; an incomplete new folder is
//! completed at the next start; `--temp` leaves nothing behind.
//! Elsewhere: the chain file (`redb_store`), the key (`key`), the file that other nodes of the user read (`addresses`).
//! Spec: `proto-notes/store.md`, "Folders".

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use etcetera::BaseStrategy;

use super::addresses::{self, FOLDERS_MAX};
use super::files::{self, Access, Durable, Owner};
use super::opening::{check_file, create, named};
use super::redb_store::RedbStore;
use super::{FORMAT, FolderError, OpenError, Trust, key, privacy, stale};
use crate::chain::{ChainStore, NetworkParams, StoreError};
use crate::types::{AccountName, Address, Height, PeerId, SecretKey};

pub(crate) const LOCK_FILE: &str = "lock";
pub(crate) const ADDRESS_FILE: &str = "addresses";
pub(super) const KEY_FILE: &str = "key";
pub(super) const CHAIN_FILE: &str = "chain.redb";
pub(super) const NETWORK_FILE: &str = "network";
const PORT_FILE: &str = "port";

/// The name of the program's folder in the user's data directory.
pub(super) const PROGRAM: &str = "lanchain";
/// The name of the first slot; the others are `node-2`, `node-3` and so on.
pub(crate) const SLOT: &str = "node";
/// The most bytes that are read of small text files.
const SMALL_FILE_MAX_BYTES: u64 = 256;
/// The largest lock file in bytes; it holds a number, so a longer one belongs to another program and is not
/// overwritten.
const LOCK_FILE_MAX_BYTES: u64 = 32;
/// How often the lock is tried: a node that checks whether the folder is free holds the lock for microseconds only.
const LOCK_TRIES: u32 = 3;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Which data folder a node uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FolderChoice {
    /// The given folder (`--data-dir`), created if it does not exist.
    Dir(PathBuf),
    /// A new temporary folder, removed when the node stops (`--temp`).
    Temp,
    /// A folder in the user's data directory.
    Slot {
        /// The name of the slot (`--name`); none means the first slot that is free.
        name: Option<String>,
    },
}

/// A data folder, locked for this process until it is dropped.
///
/// Drop the store first, because dropping a temporary folder removes its files.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The open lock file; none only while the folder is being dropped.
    lock: Option<File>,
    secret_key: SecretKey,
    /// The folder that holds the slots of the network; none for `--data-dir` and `--temp`.
    network_folder: Option<PathBuf>,
    is_temp: bool,
    /// The folder is a further slot that this start made because the ones before it were in use.
    is_spare: bool,
    warning: Option<String>,
}

impl Folder {
    /// Locks a folder for this network and creates what is missing: lock, chain file with its genesis block, key.
    ///
    /// # Errors
    /// [`FolderError`] with the reason; a folder that existed is unchanged then.
    pub fn open(choice: FolderChoice, network: &NetworkParams, trust: Trust) -> Result<Self, FolderError> {
        match choice {
            FolderChoice::Dir(path) => Self::take(path, network, (None, trust)),
            FolderChoice::Temp => Self::open_temp(network, trust),
            FolderChoice::Slot { name } => {
                let strategy = etcetera::choose_base_strategy().map_err(|_| OpenError::NoHome)?;
                Self::open_slot(&strategy.data_dir(), name.as_deref(), network, trust)
            }
        }
    }

    /// Locks a slot below a data directory.
    pub(crate) fn open_slot(
        data_dir: &Path,
        name: Option<&str>,
        network: &NetworkParams,
        trust: Trust,
    ) -> Result<Self, FolderError> {
        let parent = network_folder(data_dir, network);
        let take = |slot: &str| Self::take(parent.join(slot), network, (Some(parent.clone()), trust));
        if let Some(name) = name {
            let name = AccountName::new(name).map_err(|_| OpenError::BadName(name.chars().take(64).collect()))?;
            return take(name.as_str());
        }
        for number in 1..=FOLDERS_MAX {
            let slot = match number {
                1 => SLOT.to_owned(),
                _ => format!("{SLOT}-{number}"),
            };
            let is_new = !parent.join(&slot).join(NETWORK_FILE).exists();
            match take(&slot) {
                Err(OpenError::InUse { .. }) => {}
                Ok(mut folder) => {
                    folder.is_spare = is_new && number > 1;
                    return Ok(folder);
                }
                Err(other) => return Err(other),
            }
        }
        Err(OpenError::NoFreeSlot {
            path: parent,
            limit: FOLDERS_MAX,
        })
    }

    fn open_temp(network: &NetworkParams, trust: Trust) -> Result<Self, FolderError> {
        let parent = std::env::temp_dir();
        stale::remove(&parent);
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| OpenError::Io {
            path: parent.clone(),
            reason: format!("no entropy: {error}"),
        })?;
        let path = parent.join(format!("{PROGRAM}-{}", hex::encode(random)));
        // The folder must be new: in a directory that all users share, somebody else may have made it.
        new_folder(&path).map_err(|error| OpenError::from_io(&path, &error))?;
        let taken = Self::take(path.clone(), network, (None, trust));
        match taken {
            Ok(mut folder) => {
                folder.is_temp = true;
                // The mark allows another node to remove the folder once its lock is free. Without the mark it just
                // stays.
                let _ = files::create_new(&path.join(stale::MARK_FILE));
                Ok(folder)
            }
            Err(error) => {
                let _ = fs::remove_dir_all(&path);
                Err(error)
            }
        }
    }

    fn take(
        path: PathBuf,
        network: &NetworkParams,
        (network_folder, trust): (Option<PathBuf>, Trust),
    ) -> Result<Self, FolderError> {
        // Checked before anything is created: a folder of another network does not get a lock file.
        check_network(&path, network, trust.owner())?;
        let made = make_folders(&path)?;
        let locked = privacy::check_folder(&path, trust)
            .and_then(|warning| take_lock(&path, trust.owner()).map(|locked| (locked, warning)));
        let ((lock, new_lock), warning) = match locked {
            // Its node removed it while this one waited for the lock: it is not there any more.
            Ok(_) if !path.join(LOCK_FILE).exists() => return Err(OpenError::InUse { path, pid: None }),
            Ok(locked) => locked,
            Err(error) => {
                remove_folders(&made);
                return Err(error);
            }
        };
        let fail = |error| {
            if new_lock {
                let _ = fs::remove_file(path.join(LOCK_FILE));
            }
            remove_folders(&made);
            error
        };
        let secret_key = complete(&path, network, trust).map_err(fail)?;
        // The number only improves the error text of another node, so a full disk does not matter.
        let _ = write_process(&lock);
        // A crash may have left an address file, which is not true any more.
        let _ = fs::remove_file(path.join(ADDRESS_FILE));
        Ok(Self {
            path,
            lock: Some(lock),
            secret_key,
            network_folder,
            is_temp: false,
            is_spare: false,
            warning,
        })
    }

    /// A warning about the folder for its user, if there is one.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// The path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of its chain file.
    #[must_use]
    pub fn chain_path(&self) -> PathBuf {
        self.path.join(CHAIN_FILE)
    }

    /// The secret key of the node.
    #[must_use]
    pub const fn secret_key(&self) -> &SecretKey {
        &self.secret_key
    }

    /// Gives the folder back at the end of a node. A further slot that this start made, and that nobody used, is removed:
    /// left behind, it would be one more folder to choose from.
    ///
    /// The store must be closed.
    pub fn give_back(mut self, network: &NetworkParams) {
        let is_unused = || {
            let store = RedbStore::open_to_read(&self.chain_path(), network).ok()?;
            has_been_used(&store).ok().map(|used| !used)
        };
        self.is_temp |= self.is_spare && is_unused() == Some(true);
    }

    /// Whether the folder is removed when it is dropped.
    #[must_use]
    pub const fn is_temp(&self) -> bool {
        self.is_temp
    }

    /// The port on which the node listened last; none if it is unknown.
    #[must_use]
    pub fn last_port(&self) -> Option<u16> {
        let bytes = files::read_start(&self.path.join(PORT_FILE), SMALL_FILE_MAX_BYTES, Owner::Anybody).ok()??;
        let port = core::str::from_utf8(&bytes).ok()?.trim_ascii().parse().ok()?;
        (port != 0).then_some(port)
    }

    /// Stores the port for the next start.
    ///
    /// # Errors
    /// The error of the system; the node can go on without the stored port.
    pub fn set_last_port(&self, port: u16) -> io::Result<()> {
        if self.last_port() == Some(port) {
            return Ok(());
        }
        files::replace(&self.path.join(PORT_FILE), format!("{port}\n").as_bytes(), Durable::No)
    }

    /// Publishes the addresses of this node to the user's other nodes; none withdraws them.
    ///
    /// # Errors
    /// The error of the system; the node can go on without it.
    pub fn set_address(&self, addresses: Option<&[String]>) -> io::Result<()> {
        let path = self.path.join(ADDRESS_FILE);
        match addresses {
            Some(addresses) => addresses::write(&path, &self.secret_key.public().peer_id(), addresses),
            None => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            },
        }
    }

    /// The user's running nodes of this network in other slots; always empty for a folder chosen with `--data-dir`.
    #[must_use]
    pub fn siblings(&self) -> Vec<(PeerId, Vec<Address>)> {
        self.network_folder
            .as_ref()
            .map_or_else(Vec::new, |folder| addresses::siblings(folder, &self.path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = self.set_address(None);
        if self.is_temp {
            // The lock file is closed first, because some systems cannot remove open files.
            drop(self.lock.take());
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The folder that holds the slots of a network.
pub(super) fn network_folder(data_dir: &Path, network: &NetworkParams) -> PathBuf {
    let id = network.network_id().to_string();
    let folder = format!("{}-{}", network.label().replace(':', "-"), &id[..8]);
    data_dir.join(PROGRAM).join(folder)
}

/// Creates a folder that only this user may enter.
fn new_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut builder = DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700).create(path)
    }
    #[cfg(not(unix))]
    DirBuilder::new().create(path)
}

/// Creates a folder and its missing parents. Returns the new ones, the lowest first.
pub(super) fn make_folders(path: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let mut missing = Vec::new();
    let mut at = Some(path);
    while let Some(folder) = at.filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        missing.push(folder.to_path_buf());
        at = folder.parent();
    }
    if let Some(existing) = at.filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        return Err(OpenError::Denied {
            path: existing.to_path_buf(),
            reason: "it is not a folder".into(),
        });
    }
    let mut made = Vec::new();
    for folder in missing.into_iter().rev() {
        match new_folder(&folder) {
            Ok(()) => made.insert(0, folder),
            // Another node that starts at the same time created it first.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                remove_folders(&made);
                return Err(OpenError::from_io(&folder, &error));
            }
        }
    }
    Ok(made)
}

/// Removes the given folders, as far as they are empty.
pub(super) fn remove_folders(made: &[PathBuf]) {
    for folder in made {
        let _ = fs::remove_dir(folder);
    }
}

/// Takes the lock, and returns whether the lock file is new.
pub(super) fn take_lock(folder: &Path, owner: Owner) -> Result<(File, bool), OpenError> {
    let path = folder.join(LOCK_FILE);
    let io_error = |error: io::Error| OpenError::from_io(&path, &error);
    let (file, is_new) = files::open_or_create(&path, Access::Change, owner).map_err(io_error)?;
    if file.metadata().map_err(io_error)?.len() > LOCK_FILE_MAX_BYTES {
        return Err(OpenError::damaged(&path, "it is no lock file of a node"));
    }
    for attempt in 1..=LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok((file, is_new)),
            Err(TryLockError::WouldBlock) if attempt < LOCK_TRIES => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(error)) => {
                if is_new {
                    let _ = fs::remove_file(&path);
                }
                let reason = error.to_string();
                return Err(OpenError::NoLocks { path, reason });
            }
        }
    }
    Err(OpenError::InUse {
        path: folder.to_path_buf(),
        pid: process(&path),
    })
}

/// The process that holds a lock, by the number in the lock file.
pub(super) fn process(lock: &Path) -> Option<u32> {
    let bytes = files::read_start(lock, SMALL_FILE_MAX_BYTES, Owner::Anybody).ok()??;
    core::str::from_utf8(&bytes).ok()?.trim_ascii().parse().ok()
}

fn write_process(mut lock: &File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

/// Checks the `network` file; false if there is none. It is written last, so a folder that has it was complete once.
pub(super) fn check_network(folder: &Path, network: &NetworkParams, owner: Owner) -> Result<bool, OpenError> {
    let path = folder.join(NETWORK_FILE);
    match files::read_start(&path, SMALL_FILE_MAX_BYTES, owner) {
        Ok(Some(bytes)) => check_network_file(folder, &bytes, network).map(|()| true),
        Ok(None) => Ok(false),
        Err(error) => Err(OpenError::from_io(&path, &error)),
    }
}

/// Checks the content of the `network` file: it must name this format and this network.
pub(crate) fn check_network_file(folder: &Path, bytes: &[u8], network: &NetworkParams) -> Result<(), OpenError> {
    let damaged = |reason| Err(OpenError::damaged(&folder.join(NETWORK_FILE), reason));
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let format = lines.next().and_then(|line| line.strip_prefix("lanchain "));
    match format.and_then(|format| format.parse::<u32>().ok()) {
        Some(found) if found > FORMAT => {
            return Err(OpenError::NewerFormat {
                path: folder.to_path_buf(),
                found,
                known: FORMAT,
            });
        }
        Some(1..) => {}
        Some(0) | None => return damaged("its first line names no format"),
    }
    let (Some(label), Some(id)) = (lines.next(), lines.next()) else {
        return damaged("it ends too early");
    };
    if id == network.network_id().to_string() {
        return Ok(());
    }
    Err(OpenError::OtherNetwork {
        path: folder.to_path_buf(),
        found: named(label, id),
        wanted: named(&network.label(), &network.network_id().to_string()),
    })
}

/// Creates what is missing in a new folder. In a folder that was complete, everything must exist.
fn complete(folder: &Path, network: &NetworkParams, trust: Trust) -> Result<SecretKey, OpenError> {
    let mut made = Vec::new();
    let completed = make_missing(folder, network, trust, &mut made);
    if completed.is_err() {
        for file in made {
            let _ = fs::remove_file(file);
        }
    }
    completed
}

/// Does the work of [`complete`], and records the new files in `made`, also when it fails.
fn make_missing(
    folder: &Path,
    network: &NetworkParams,
    trust: Trust,
    made: &mut Vec<PathBuf>,
) -> Result<SecretKey, OpenError> {
    let (chain_file, key_file) = (folder.join(CHAIN_FILE), folder.join(KEY_FILE));
    if check_network(folder, network, trust.owner())? {
        check_file(&chain_file, Access::Change, trust.owner())?;
        return key::read(&key_file, trust, trust.owner());
    }
    let is_there = |path: &Path| files::exists(path).map_err(|error| OpenError::from_io(path, &error));
    // The key is read first: if it is refused, nothing may have been created.
    let old_key = match is_there(&key_file)? {
        true => Some(key::read(&key_file, trust, trust.owner())?),
        false => {
            privacy::check_new_key(folder, trust)?;
            None
        }
    };
    if is_there(&chain_file)? {
        // An interrupted start left the file, so it must be of this network.
        let store = RedbStore::open_to_read(&chain_file, network)?;
        if old_key.is_none()
            && has_been_used(&store).map_err(|error| OpenError::damaged(&chain_file, error.to_string()))?
        {
            return Err(OpenError::damaged(
                &key_file,
                "the key file is missing, and the chain beside it has been used: a new key would be another identity",
            ));
        }
    } else {
        create(&chain_file, network)?;
        made.push(chain_file);
    }
    let secret_key = match old_key {
        Some(secret_key) => secret_key,
        None => {
            let new_key = key::create(&key_file)?;
            made.push(key_file);
            new_key
        }
    };
    let path = folder.join(NETWORK_FILE);
    let text = format!("{PROGRAM} {FORMAT}\n{}\n{}\n", network.label(), network.network_id());
    files::replace(&path, text.as_bytes(), Durable::Yes).map_err(|error| OpenError::from_io(&path, &error))?;
    Ok(secret_key)
}

/// Whether a node has used the store. A store whose creation was interrupted holds only the genesis block.
fn has_been_used(store: &impl ChainStore) -> Result<bool, StoreError> {
    Ok(store.tip()?.0 != Height::GENESIS
        || !store.side()?.is_empty()
        || !store.own()?.is_empty()
        || !store.peers()?.is_empty())
}
