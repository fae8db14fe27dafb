//! Finds existing data folders, and whether a node holds them, without locking any.
//!
//! Promises: the work is bounded, whatever the folders contain; nothing is created, changed or kept locked.
//! Elsewhere: locking a folder for a node (`folder`), the file that other nodes of the user read (`addresses`).
//! Spec: `proto-notes/store.md`, "Folders".

use std::fs::{self, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use thiserror::Error;

use super::addresses::FOLDERS_MAX;
use super::files::{self, Access, Owner};
use super::folder::{
    KEY_FILE, LOCK_FILE, NETWORK_FILE, PROGRAM, SLOT, check_network, make_folders, network_folder, process,
    remove_folders, take_lock,
};
use super::{FolderChoice, OpenError, Trust, key, privacy};
use crate::chain::NetworkParams;
use crate::types::{AccountName, SecretKey};

/// The most networks that are searched for nodes to name in a hint: more than one machine ever takes part in.
const NETWORKS_MAX: usize = 64;

/// A data folder that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFolder {
    /// The path of the folder.
    pub path: PathBuf,
    /// Whether a running node holds it.
    pub running: bool,
    /// The process id of that node; none if the lock file does not say.
    pub pid: Option<u32>,
}

/// What kind of folder is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// A folder that a running node holds.
    Node,
    /// Any data folder, running or not.
    Folder,
}

/// Why not exactly one folder was found.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FindError {
    /// No folder fits the choice.
    #[error("no {} in {}", what(*sought), place.display())]
    None {
        /// The kind of folder that was wanted.
        sought: Sought,
        /// The folder in which the search took place.
        place: PathBuf,
        /// Folders of other networks that would fit.
        elsewhere: Vec<PathBuf>,
    },
    /// Several folders fit the choice.
    #[error("several {}s: {}", what(*sought), list(folders))]
    Several {
        /// The kind of folder that was wanted.
        sought: Sought,
        /// The folders that fit.
        folders: Vec<PathBuf>,
    },
    /// `--temp` was given, and nobody can know which temporary folder is meant.
    #[error("--temp names no folder")]
    Temp,
    /// The folder or data directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl FindError {
    /// The error code of the JSON contract: the variant's name in `snake_case`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::None {
                sought: Sought::Node, ..
            } => "no_node",
            Self::None {
                sought: Sought::Folder, ..
            } => "no_folder",
            Self::Several { .. } => "several_folders",
            Self::Temp => "no_folder",
            Self::Open(error) => error.code(),
        }
    }

    /// What the user can type to get further.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::None { elsewhere, .. } if !elsewhere.is_empty() => {
                format!("choose with --data-dir DIR; on other networks: {}", list(elsewhere))
            }
            Self::None {
                sought: Sought::Node, ..
            } => "start one with `lanchain`, or say where it is with --data-dir DIR".into(),
            Self::None {
                sought: Sought::Folder, ..
            } => "choose one with --data-dir DIR, --name NAME or --network NETWORK; `lanchain paths` lists them".into(),
            Self::Several { .. } => "choose one with --data-dir DIR or --name NAME".into(),
            Self::Temp => "say where the folder is with --data-dir DIR".into(),
            Self::Open(error) => error.hint(),
        }
    }
}

const fn what(sought: Sought) -> &'static str {
    match sought {
        Sought::Node => "running node",
        Sought::Folder => "data folder",
    }
}

fn list(folders: &[PathBuf]) -> String {
    let texts: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    texts.join(", ")
}

/// The user's data directory, in which all slots are.
///
/// # Errors
/// [`OpenError::NoHome`] if the user has no home directory.
pub fn data_dir() -> Result<PathBuf, OpenError> {
    let strategy = etcetera::choose_base_strategy().map_err(|_| OpenError::NoHome)?;
    Ok(strategy.data_dir())
}

/// The folder below a data directory that holds a network's slots.
#[must_use]
pub fn folder_of(data_dir: &Path, network: &NetworkParams) -> PathBuf {
    network_folder(data_dir, network)
}

/// The data folders of a network, ordered by name: `node` before `node-2` before `node-10`.
#[must_use]
pub fn slots(network_folder: &Path) -> Vec<FoundFolder> {
    let Ok(entries) = fs::read_dir(network_folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .take(FOLDERS_MAX)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_data_folder(path))
        .collect();
    paths.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    paths.into_iter().map(place).collect()
}

fn is_data_folder(path: &Path) -> bool {
    path.join(NETWORK_FILE).is_file()
}

/// The state of a folder, whether it exists or not.
#[must_use]
pub fn place(path: PathBuf) -> FoundFolder {
    let lock = path.join(LOCK_FILE);
    let opened = files::open(&lock, Access::Read, Owner::Anybody);
    let running = opened.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)));
    FoundFolder {
        pid: running.then(|| process(&lock)).flatten(),
        running,
        path,
    }
}

/// The one folder that the choice names: the given one, or else the only one of the network.
///
/// # Errors
/// [`FindError`] if none fits, or several.
pub fn find(choice: &FolderChoice, network: &NetworkParams, sought: Sought) -> Result<PathBuf, FindError> {
    match choice {
        FolderChoice::Dir(path) => named(path.clone(), sought),
        FolderChoice::Temp => Err(FindError::Temp),
        FolderChoice::Slot { name } => find_slot(&data_dir()?, name.as_deref(), network, sought),
    }
}

fn named(path: PathBuf, sought: Sought) -> Result<PathBuf, FindError> {
    let fits = match sought {
        Sought::Node => place(path.clone()).running,
        Sought::Folder => is_data_folder(&path),
    };
    if fits {
        return Ok(path);
    }
    // If this user may not read the folder, its content is unknown.
    if let Err(error) = fs::symlink_metadata(path.join(NETWORK_FILE))
        && error.kind() == io::ErrorKind::PermissionDenied
    {
        return Err(OpenError::from_io(&path, &error).into());
    }
    Err(FindError::None {
        sought,
        place: path,
        elsewhere: Vec::new(),
    })
}

fn find_slot(
    data_dir: &Path,
    name: Option<&str>,
    network: &NetworkParams,
    sought: Sought,
) -> Result<PathBuf, FindError> {
    let parent = network_folder(data_dir, network);
    if let Some(name) = name {
        return named(parent.join(slot_name(name)?), sought);
    }
    let mut found = fitting(&parent, sought);
    match found.len() {
        0 => Err(FindError::None {
            sought,
            elsewhere: elsewhere(data_dir, sought),
            place: parent,
        }),
        1 => Ok(found.remove(0)),
        _ => Err(FindError::Several { sought, folders: found }),
    }
}

fn slot_name(name: &str) -> Result<String, OpenError> {
    let name = AccountName::new(name).map_err(|_| OpenError::BadName(name.chars().take(64).collect()))?;
    Ok(name.to_string())
}

fn fitting(network_folder: &Path, sought: Sought) -> Vec<PathBuf> {
    let fits = |place: &FoundFolder| place.running || sought == Sought::Folder;
    let places = slots(network_folder).into_iter().filter(fits);
    places.map(|place| place.path).collect()
}

fn elsewhere(data_dir: &Path, sought: Sought) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(data_dir.join(PROGRAM)) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .take(NETWORKS_MAX)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .flat_map(|folder| fitting(&folder, sought))
        .collect();
    found.sort();
    found
}

/// The running node that is meant where nothing chooses one: that of the first slot. While there is no first slot, another
/// one. Whether it is the only node of the network that runs comes with it.
#[must_use]
pub fn meant(data_dir: &Path, network: &NetworkParams) -> Option<(FoundFolder, bool)> {
    let parent = network_folder(data_dir, network);
    let first = parent.join(SLOT);
    let mut running: Vec<_> = slots(&parent).into_iter().filter(|place| place.running).collect();
    let is_only = running.len() == 1;
    if first.exists() {
        running.retain(|place| place.path == first);
    }
    (!running.is_empty()).then(|| (running.remove(0), is_only))
}

/// The path for a folder that may be new: the given one, or else the only existing one, or else the first slot.
///
/// # Errors
/// [`FindError`] if several fit.
pub fn find_or_first(choice: &FolderChoice, network: &NetworkParams) -> Result<PathBuf, FindError> {
    match choice {
        FolderChoice::Dir(path) => Ok(path.clone()),
        FolderChoice::Temp => Err(FindError::Temp),
        FolderChoice::Slot { name: Some(name) } => Ok(network_folder(&data_dir()?, network).join(slot_name(name)?)),
        FolderChoice::Slot { name: None } => match find_slot(&data_dir()?, None, network, Sought::Folder) {
            Err(FindError::None { place, .. }) => Ok(place.join(SLOT)),
            other => other,
        },
    }
}

/// Writes a key into a folder that has none: before its first start, or where the key is missing.
///
/// # Errors
/// [`OpenError`]: the folder has a key, a node holds it, it belongs to another network, others could read the key, or
/// the disk fails.
pub fn import_key(
    path: &Path,
    network: &NetworkParams,
    secret_key: &SecretKey,
    trust: Trust,
) -> Result<PathBuf, OpenError> {
    check_network(path, network, trust.owner())?;
    let key_file = path.join(KEY_FILE);
    let made = make_folders(path)?;
    let place = || {
        privacy::check_folder(path, trust)?;
        let (_lock, new_lock) = take_lock(path, trust.owner())?;
        let placed = match key_file.symlink_metadata() {
            Ok(_) => Err(OpenError::KeyExists { path: key_file.clone() }),
            Err(_) => privacy::check_new_key(path, trust).and_then(|()| key::write(&key_file, secret_key)),
        };
        if placed.is_err() && new_lock {
            fs::remove_file(path.join(LOCK_FILE)).unwrap_or_default();
        }
        placed
    };
    let placed = place();
    if placed.is_err() {
        remove_folders(&made);
    }
    placed.map(|()| key_file)
}

/// The path of a folder's key file.
#[must_use]
pub fn key_file(path: &Path) -> PathBuf {
    path.join(KEY_FILE)
}

/// The key of a folder, which may belong to another user.
///
/// # Errors
/// [`OpenError`]: the key is missing or damaged, or others can read it.
pub fn read_key(path: &Path, trust: Trust) -> Result<SecretKey, OpenError> {
    key::read(&path.join(KEY_FILE), trust, Owner::Anybody)
}

/// Writes a key to a new file that only this user can read.
///
/// # Errors
/// [`OpenError`]: the file exists already, others could read it, or the disk fails.
pub fn write_key_file(path: &Path, key: &SecretKey, trust: Trust) -> Result<(), OpenError> {
    privacy::write_secret(path, key::text(key).as_bytes(), trust)
}

/// The key in a file that the user names.
///
/// # Errors
/// As [`read_key`].
pub fn read_key_file(path: &Path, trust: Trust) -> Result<SecretKey, OpenError> {
    // The user may name a symbolic link; it is followed.
    let path = fs::canonicalize(path).map_err(|error| OpenError::from_io(path, &error))?;
    key::read(&path, trust, Owner::Anybody)
}

/// The key in the text of a key file.
///
/// # Errors
/// The text of the error says what is wrong.
pub fn parse_key(bytes: &[u8]) -> Result<SecretKey, &'static str> {
    key::parse(bytes)
}

/// The content of the file for a key.
#[must_use]
pub fn key_text(key: &SecretKey) -> zeroize::Zeroizing<String> {
    key::text(key)
}

#[cfg(test)]
mod tests {
    use super::super::Folder;
    use super::*;

    fn network() -> NetworkParams {
        NetworkParams::dev()
    }

    #[test]
    fn the_only_running_node_is_found_and_several_are_listed() {
        let home = tempfile::tempdir().unwrap();
        let find = |name, sought| find_slot(home.path(), name, &network(), sought);
        let none = find(None, Sought::Node).unwrap_err();
        assert_eq!(none.code(), "no_node");

        let first = Folder::open_slot(home.path(), None, &network(), Trust::Private).unwrap();
        assert_eq!(find(None, Sought::Node).unwrap(), first.path());
        let other = Folder::open_slot(home.path(), None, &NetworkParams::lan(), Trust::Private).unwrap();
        assert_eq!(find(None, Sought::Node).unwrap(), first.path());

        let second = Folder::open_slot(home.path(), Some("anna"), &network(), Trust::Private).unwrap();
        let error = find(None, Sought::Node).unwrap_err();
        let folders = [second.path().to_path_buf(), first.path().to_path_buf()];
        assert!(matches!(&error, FindError::Several { folders: found, .. } if *found == folders));
        assert!(error.to_string().contains("anna"), "{error}");
        assert_eq!(find(Some("anna"), Sought::Node).unwrap(), second.path());

        let path = first.path().to_path_buf();
        drop(first);
        assert_eq!(find(None, Sought::Node).unwrap(), second.path());
        assert_eq!(find(Some("node"), Sought::Folder).unwrap(), path);
        assert_eq!(find(Some("node"), Sought::Node).unwrap_err().code(), "no_node");
        drop(second);
        let error = find(None, Sought::Node).unwrap_err();
        assert!(
            error.hint().contains(&other.path().display().to_string()),
            "{}",
            error.hint()
        );
    }

    #[test]
    fn a_start_without_a_choice_means_the_node_of_the_first_slot_that_runs() {
        let home = tempfile::tempdir().unwrap();
        let open = |name| Folder::open_slot(home.path(), name, &network(), Trust::Private).unwrap();
        let meant = || meant(home.path(), &network()).map(|(place, is_only)| (place.path, is_only));
        assert_eq!(meant(), None);
        let anna = open(Some("anna"));
        assert_eq!(
            meant(),
            Some((anna.path().to_path_buf(), true)),
            "the only node there is"
        );
        let first = open(None);
        assert_eq!(meant(), Some((first.path().to_path_buf(), false)));
        drop(anna);
        assert_eq!(meant(), Some((first.path().to_path_buf(), true)));
        drop(first);
        let _anna = open(Some("anna"));
        assert_eq!(meant(), None, "the first slot is free and belongs to somebody");
    }

    #[test]
    fn an_imported_key_is_the_folders_key_and_never_replaces_one() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("new");
        let key = SecretKey::from_seed([7; 32]);
        import_key(&path, &network(), &key, Trust::Private).unwrap();
        let folder = Folder::open(FolderChoice::Dir(path.clone()), &network(), Trust::Private).unwrap();
        assert_eq!(folder.secret_key().public(), key.public());
        let other = SecretKey::from_seed([8; 32]);
        assert_eq!(
            import_key(&path, &network(), &other, Trust::Private)
                .unwrap_err()
                .code(),
            "in_use"
        );
        drop(folder);
        assert_eq!(
            import_key(&path, &network(), &other, Trust::Private)
                .unwrap_err()
                .code(),
            "key_exists"
        );
        assert_eq!(read_key(&path, Trust::Private).unwrap().public(), key.public());
    }
}
