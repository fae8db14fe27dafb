//! The data folder that a tool works on: choosing, locking and opening it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Failure, STATUS_FAILED, STATUS_FOLDER};
use crate::chain::{ChainStore, StoreError};
use crate::cli::{Args, DataFolder};
use crate::store::error::{TOO_MANY_FILES, is_too_many_files};
use crate::store::{FindError, Folder, FolderChoice, OpenError, Progress, Reading, RedbStore, Sought, places};

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let hint = match &error {
            OpenError::InUse { path, .. } => {
                format!("stop that node first: lanchain ctl --data-dir {} quit", path.display())
            }
            other => other.hint(),
        };
        let status = match &error {
            OpenError::FileExists { .. } => STATUS_FAILED,
            _ => STATUS_FOLDER,
        };
        Self::new(status, error.code(), error.to_string(), hint)
    }
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        Self::new(STATUS_FOLDER, error.code(), error.to_string(), error.hint())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (status, hint) = match &error {
            StoreError::Damaged(_) => (STATUS_FOLDER, "lanchain verify"),
            StoreError::Full => (
                STATUS_FAILED,
                "make room on the disk of the data folder, then try again",
            ),
            StoreError::Io(_) => (
                STATUS_FAILED,
                "look whether the data folder and its disk are still there, then try again",
            ),
        };
        Self::new(status, error.code(), error.to_string(), hint)
    }
}

/// Converts an error of the system with a file.
pub(super) fn file_failed(path: &Path, error: &io::Error) -> Failure {
    let hint = match error.kind() {
        _ if is_too_many_files(error) => TOO_MANY_FILES,
        ErrorKind::AlreadyExists => "choose a name that is free: no file is overwritten",
        ErrorKind::TimedOut => {
            "start the program that writes into it, or pass its output on: PROGRAM | lanchain import -"
        }
        ErrorKind::NotFound => "look whether the name is right, and whether its folder is there",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on that disk",
        _ => "check the file's name and permissions",
    };
    Failure::new(STATUS_FAILED, "io", format!("{}: {error}", path.display()), hint)
}

pub(super) fn choice(args: &Args) -> FolderChoice {
    match &args.folder {
        DataFolder::Dir(folder) => FolderChoice::Dir(folder.clone()),
        DataFolder::Temp => FolderChoice::Temp,
        DataFolder::Slot => FolderChoice::Slot {
            name: args.name.as_ref().map(ToString::to_string),
        },
    }
}

/// The path of the existing folder that the arguments name.
pub(super) fn existing(args: &Args) -> Result<PathBuf, Failure> {
    Ok(places::find(&choice(args), &args.network, Sought::Folder)?)
}

/// Locks a folder and opens its store. The caller must drop the store first.
pub(super) fn take(path: PathBuf, args: &Args) -> Result<(RedbStore, Folder), Failure> {
    let folder = Folder::open(FolderChoice::Dir(path), &args.network, args.trust)?;
    let mut tell = |Progress { height, last }| eprintln!("index of histories: height {height} of {last}");
    let store = RedbStore::open_telling(&folder.chain_path(), &args.network, &mut tell)?;
    Ok((store, folder))
}

/// Opens the store of an existing folder for reading only. The caller must drop the store first.
pub(super) fn read(args: &Args) -> Result<(impl ChainStore + use<>, Reading), Failure> {
    Ok(Reading::open(&existing(args)?, &args.network)?)
}

/// Whether a file name means standard input or output.
pub(super) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}
