//! Why a data folder or its chain file cannot be opened, and what the user can do about each reason.

use std::io;
use std::path::{Path, PathBuf};

use strum::IntoStaticStr;
use thiserror::Error;

use super::files::{self, Unfit};
use crate::types::account::NAME_RULE;

/// The flag by which a user accepts a folder that others can read or write.
const ACCEPT: &str = "--allow-exposed-folder";
/// What to do when no more files can be opened.
pub(crate) const TOO_MANY_FILES: &str = "raise the limit in this shell (ulimit -n 1024), or close other programs";

/// Why a data folder or a file in it cannot be used. Each of these errors ends the node with exit status 3.
#[derive(Clone, Debug, PartialEq, Eq, Error, IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[strum(serialize_all = "snake_case")]
pub enum OpenError {
    /// Another node holds the lock of the folder.
    #[error("the data folder {} is in use{}", path.display(), by_process(*pid))]
    InUse {
        /// The folder, or the file in it.
        path: PathBuf,
        /// The process that holds the lock; none if the lock file does not say.
        pid: Option<u32>,
    },
    /// The folder or file holds the chain of another network.
    #[error("{} belongs to network {found}, not to {wanted}", path.display())]
    OtherNetwork {
        /// The folder, or the file in it.
        path: PathBuf,
        /// The network to which it belongs.
        found: String,
        /// The network that was asked for.
        wanted: String,
    },
    /// A newer version wrote the folder or file.
    #[error("{} has format {found}, this version knows formats up to {known}", path.display())]
    NewerFormat {
        /// The folder, or the file in it.
        path: PathBuf,
        /// The format version that was found.
        found: u32,
        /// The newest format that this version knows.
        known: u32,
    },
    /// An older version wrote the file.
    #[error("{} has format {found}, this version writes and reads format {known}", path.display())]
    OlderFormat {
        /// The path of the chain file.
        path: PathBuf,
        /// The format version that was found.
        found: u32,
        /// The format version that this version knows.
        known: u32,
    },
    /// A file is missing, cut off, or holds bytes that no node writes.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong with the file.
        reason: String,
    },
    /// The system does not let this user read or write the folder or file.
    #[error("{} cannot be used: {reason}", path.display())]
    Denied {
        /// The folder, or the file in it.
        path: PathBuf,
        /// The error text of the system.
        reason: String,
    },
    /// Other users can read the secret key.
    #[error("the key file {} can be read by others (mode {mode:03o})", path.display())]
    ExposedKey {
        /// The path of the key file.
        path: PathBuf,
        /// The permission bits of the file.
        mode: u32,
        /// Whether `chmod` can mend it, which it cannot on a disk that keeps no permissions.
        chmod_helps: bool,
    },
    /// Everybody on this machine can write to the folder.
    #[error("everybody on this machine can write the data folder {} (mode {mode:03o})", path.display())]
    ExposedFolder {
        /// The path of the folder.
        path: PathBuf,
        /// The permission bits of the folder.
        mode: u32,
    },
    /// Others can read a file that was made for this user alone: on FAT, shared folders, or Windows disks in WSL.
    #[error("the disk of {} keeps no permissions: others on this machine could read the secret key", path.display())]
    NoPermissions {
        /// The folder, or the file that was to be written.
        path: PathBuf,
    },
    /// The folder or a file in it belongs to another user.
    #[error("{} belongs to another user (uid {owner})", path.display())]
    OtherOwner {
        /// The folder, or the file in it.
        path: PathBuf,
        /// The user id of its owner.
        owner: u32,
    },
    /// A link, a pipe, a device or a folder is in the place of a file, or the file has several hard links.
    #[error("{} is not used: {reason}", path.display())]
    NotAFile {
        /// The path of the thing that is not a file.
        path: PathBuf,
        /// The kind of thing that it is.
        reason: String,
        /// Whether it leads to the content of a file, so that a copy of the content can take its place.
        has_content: bool,
    },
    /// The file that was to be created exists already.
    #[error("{} is there already", path.display())]
    #[strum(serialize = "io")]
    FileExists {
        /// The path of the file.
        path: PathBuf,
    },
    /// This process or the machine has too many open files.
    #[error("{}: too many files are open", path.display())]
    TooManyFiles {
        /// The folder, or the file in it.
        path: PathBuf,
    },
    /// The folder already has a key.
    #[error("{} is there already", path.display())]
    KeyExists {
        /// The path of the key file.
        path: PathBuf,
    },
    /// The name for the folder is not a valid account name.
    #[error("\"{0}\" is no name for a data folder")]
    BadName(String),
    /// Every slot of the network is in use.
    #[error("all {limit} data folders below {} are in use", path.display())]
    NoFreeSlot {
        /// The folder that holds the network's slots.
        path: PathBuf,
        /// The number of slots.
        limit: usize,
    },
    /// The user has no home directory.
    #[error("no data directory is known: this user has no home directory")]
    NoHome,
    /// The disk is full, or this user's quota is used up.
    #[error("{}: the disk is full", path.display())]
    #[strum(serialize = "disk_full")]
    Full {
        /// The folder, or the file in it.
        path: PathBuf,
    },
    /// The system cannot lock files there, as on some network disks.
    #[error("{}: there are no file locks on this disk: {reason}", path.display())]
    NoLocks {
        /// The path of the lock file.
        path: PathBuf,
        /// The error text of the system.
        reason: String,
    },
    /// The system failed in another way.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The folder, or the file in it.
        path: PathBuf,
        /// The error text of the system.
        reason: String,
    },
}

/// The name of [`OpenError`] in the interface of data folders.
pub type FolderError = OpenError;

impl OpenError {
    /// The error code of the JSON contract: the variant's name in `snake_case`, or that of its kind.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// What the user can type or do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::InUse { path, .. } => format!(
                "lanchain attach --data-dir {0} works at that node, lanchain ctl --data-dir {0} COMMAND gives it one command; \
                 for a second node choose another folder with --data-dir DIR or --name NAME",
                path.display()
            ),
            Self::OtherNetwork { path, found, wanted } => hint_of_network(path, found, wanted),
            Self::NewerFormat { .. } => "use a newer lanchain, or choose another folder with --data-dir DIR".into(),
            Self::OlderFormat { .. } => {
                "take its key along: lanchain key export FILE with the older version or a copy of its file key, then lanchain key \
                import FILE into an empty folder with --data-dir DIR: blocks come back from peers"
                    .into()
            }
            Self::Damaged { path, .. } => hint_of_damage(path),
            Self::Denied { path, .. } => format!(
                "check owner and permissions of {}, or choose another folder with --data-dir DIR",
                path.display()
            ),
            Self::ExposedKey {
                path,
                chmod_helps: true,
                ..
            } => format!("chmod 600 {}", path.display()),
            Self::ExposedKey { .. } | Self::NoPermissions { .. } => format!(
                "chmod changes nothing on this disk: choose a folder on another one, such as your home directory, with \
                --data-dir DIR; or accept that others can read the key and change the folder: {ACCEPT}"
            ),
            Self::ExposedFolder { path, .. } => format!(
                "chmod go-w {}, or choose a folder of your own with --data-dir DIR; {ACCEPT} accepts it as it is",
                path.display()
            ),
            Self::OtherOwner { .. } => format!(
                "start as that user, or choose a folder of your own with --data-dir DIR; {ACCEPT} accepts it as it is"
            ),
            Self::NotAFile {
                path,
                has_content: true,
                ..
            } => format!(
                "put a copy in its place (cp {0} COPY; mv COPY {0}), or choose another folder with --data-dir DIR",
                path.display()
            ),
            Self::NotAFile { path, .. } => format!(
                "move {} away, or choose another folder with --data-dir DIR",
                path.display()
            ),
            Self::FileExists { .. } => "choose a name that is free: no file is overwritten".into(),
            Self::TooManyFiles { .. } => TOO_MANY_FILES.into(),
            Self::KeyExists { .. } => {
                "a key is never overwritten: choose an empty folder with --data-dir DIR, or move the old key away yourself"
                    .into()
            }
            Self::BadName(_) => NAME_RULE.into(),
            Self::NoFreeSlot { .. } => "stop a node, or choose a folder with --data-dir DIR".into(),
            Self::NoHome => "choose a folder with --data-dir DIR, or use --temp".into(),
            Self::Full { .. } => "make room on that disk, or choose another folder with --data-dir DIR".into(),
            Self::NoLocks { .. } => {
                "without locks two nodes could write one folder at once and destroy it: choose a folder on a local disk with \
                --data-dir DIR, or use --temp"
                    .into()
            }
            Self::Io { .. } => "choose another folder with --data-dir DIR, or use --temp".into(),
        }
    }

    /// Converts an error of the system by its kind.
    pub(crate) fn from_io(path: &Path, error: &io::Error) -> Self {
        let (path, reason) = (path.to_path_buf(), error.to_string());
        match Unfit::of(error) {
            Some(Unfit::Owner(owner)) => return Self::OtherOwner { path, owner },
            Some(unfit @ (Unfit::Kind(_) | Unfit::Linked(_))) => {
                return Self::NotAFile {
                    path,
                    reason,
                    has_content: matches!(unfit, Unfit::Kind(files::LINK) | Unfit::Linked(_)),
                };
            }
            None => {}
        }
        if is_too_many_files(error) {
            return Self::TooManyFiles { path };
        }
        match error.kind() {
            io::ErrorKind::AlreadyExists => Self::FileExists { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotADirectory => {
                Self::Denied { path, reason }
            }
            kind if is_full(kind) => Self::Full { path },
            _ => Self::Io { path, reason },
        }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_path_buf(),
            reason: reason.into(),
        }
    }
}

/// Whether the system refused because this process or the machine has too many open files.
pub(crate) fn is_too_many_files(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let codes = [Errno::MFILE.raw_os_error(), Errno::NFILE.raw_os_error()];
        error.raw_os_error().is_some_and(|code| codes.contains(&code))
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}

/// Whether the system refused because the disk or the quota is full.
pub(super) fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn by_process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
}

/// What to do when a file of a folder is damaged.
fn hint_of_damage(path: &Path) -> String {
    let text = if path.ends_with(super::folder::KEY_FILE) {
        "restore the key file from a copy (lanchain key import FILE, once a damaged one was moved away), or choose another \
         folder with --data-dir DIR: it gets a new key"
    } else {
        "lanchain verify --repair keeps the blocks that are sound, the others come back from peers; or restore the folder from \
         a copy, or copy its file key into an empty folder and start there with --data-dir DIR"
    };
    text.into()
}

/// What to do when a folder belongs to another network. One of the same name is an earlier version's or another file's.
fn hint_of_network(path: &Path, found: &str, wanted: &str) -> String {
    let label = found.split(' ').next().unwrap_or(found);
    if wanted.split(' ').next() != Some(label) {
        return format!("start with --network {label}, or choose another folder with --data-dir DIR");
    }
    let folder = if path.is_file() { path.parent() } else { None };
    format!(
        "it has the same name and other rules: an earlier version made it, or another network file. Its chain does not go on \
         here, but its key can be taken along: lanchain key import --data-dir NEW {}, then start with --data-dir NEW",
        folder.unwrap_or(path).join("key").display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_disk_is_told_with_path_and_remedy() {
        let error = OpenError::from_io(Path::new("/x/y"), &io::Error::from(io::ErrorKind::ReadOnlyFilesystem));
        assert_eq!(error.code(), "denied");
        assert!(error.to_string().starts_with("/x/y cannot be used"));
        assert!(error.hint().contains("/x/y"));
    }

    #[test]
    fn every_code_is_the_contracts() {
        use strum::VariantNames;
        let mut codes = OpenError::VARIANTS.to_vec();
        codes.sort_unstable();
        let mut expected = vec![
            "in_use",
            "other_network",
            "newer_format",
            "older_format",
            "damaged",
            "denied",
            "exposed_key",
            "exposed_folder",
            "no_permissions",
            "other_owner",
            "not_a_file",
            "too_many_files",
            "key_exists",
            "bad_name",
            "no_free_slot",
            "no_home",
            "disk_full",
            "no_locks",
            "io",
            "io",
        ];
        expected.sort_unstable();
        assert_eq!(codes, expected);
    }
}
