//! Checks whether other users can read the key or write to the folder, before a key is made and at each start.
//!
//! Promises: a key is never written where others could read its file, unless the user accepts that. A disk that keeps
//! no permissions is told apart from a disk with wrong ones.
//! Elsewhere: links, pipes and devices in a folder (`files`).
//! Spec: `proto-notes/store.md`, "Private".

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::Path;

use super::OpenError;
use super::files::{self, Owner};

/// Which exposure of the data folder the user accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// None: a folder or key of another user, a folder that others can write, or a key that others can read is refused.
    #[default]
    Private,
    /// All of it: others may read the key and change the folder, because the disk keeps no permissions.
    Shared,
}

impl Trust {
    /// Which user the files of the folder must belong to.
    pub(crate) const fn owner(self) -> Owner {
        match self {
            Self::Private => Owner::Me,
            Self::Shared => Owner::Anybody,
        }
    }
}

/// Checks a folder that a node is going to use. Returns a warning if one is needed.
pub(super) fn check_folder(path: &Path, trust: Trust) -> Result<Option<String>, OpenError> {
    let metadata = fs::metadata(path).map_err(|error| OpenError::from_io(path, &error))?;
    #[cfg(unix)]
    if trust == Trust::Private {
        if !files::is_mine_or_roots(&metadata) {
            return Err(OpenError::OtherOwner {
                path: path.to_path_buf(),
                owner: std::os::unix::fs::MetadataExt::uid(&metadata),
            });
        }
        let mode = mode(&metadata);
        if mode & 0o002 != 0 {
            check_permissions_are_kept(path)?;
            return Err(OpenError::ExposedFolder {
                path: path.to_path_buf(),
                mode,
            });
        }
        if mode & 0o020 != 0 {
            let path = path.display();
            return Ok(Some(format!(
                "members of its group can write the data folder {path} (mode {mode:03o}): chmod g-w {path}"
            )));
        }
    }
    #[cfg(not(unix))]
    let _ = (metadata, trust);
    Ok(None)
}

/// Checks, before a key is made, that only this user could read its file.
pub(super) fn check_new_key(folder: &Path, trust: Trust) -> Result<(), OpenError> {
    match trust {
        Trust::Private => check_permissions_are_kept(folder),
        Trust::Shared => Ok(()),
    }
}

fn check_permissions_are_kept(folder: &Path) -> Result<(), OpenError> {
    match keeps_permissions(folder) {
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::NoPermissions {
            path: folder.to_path_buf(),
        }),
        Err(error) => Err(OpenError::from_io(folder, &error)),
    }
}

/// Tries whether a file made in the folder is private.
fn keeps_permissions(folder: &Path) -> io::Result<bool> {
    // The name holds the process id, because several nodes may try at once.
    let probe = folder.join(format!("permissions-{}.new", std::process::id()));
    let made = files::create_new(&probe)?
        .metadata()
        .map(|metadata| !is_exposed(&metadata));
    fs::remove_file(&probe)?;
    made
}

/// Refuses a key file that others can read.
pub(super) fn check_key(path: &Path, file: &File, trust: Trust) -> Result<(), OpenError> {
    let metadata = file.metadata().map_err(|error| OpenError::from_io(path, &error))?;
    if trust == Trust::Shared || !is_exposed(&metadata) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Err(OpenError::ExposedKey {
        path: path.to_path_buf(),
        mode: mode(&metadata),
        // If a test file cannot be made, `chmod` is the likely remedy.
        chmod_helps: keeps_permissions(folder.unwrap_or(Path::new("."))).unwrap_or(true),
    })
}

/// Writes a secret to a new file that only this user can read, from its first byte on.
pub(super) fn write_secret(path: &Path, bytes: &[u8], trust: Trust) -> Result<(), OpenError> {
    let file = files::create_new(path).map_err(|error| OpenError::from_io(path, &error))?;
    fill(file, path, bytes, trust)
}

/// Writes the secret; removes the file if the disk gave it other permissions than requested.
fn fill(mut file: File, path: &Path, bytes: &[u8], trust: Trust) -> Result<(), OpenError> {
    let failed = |error: io::Error| OpenError::from_io(path, &error);
    let written = match file.metadata() {
        Ok(metadata) if trust == Trust::Private && is_exposed(&metadata) => Err(OpenError::NoPermissions {
            path: path.to_path_buf(),
        }),
        Ok(_) => file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed),
        Err(error) => Err(failed(error)),
    };
    if written.is_err() {
        drop(file);
        fs::remove_file(path).unwrap_or_default();
    }
    written
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
}

#[cfg(not(unix))]
fn mode(_: &Metadata) -> u32 {
    0
}

fn is_exposed(metadata: &Metadata) -> bool {
    mode(metadata) & 0o077 != 0
}

/// Keeps the key out of core dumps: from now on this process makes none.
///
/// The limit is one byte, because Linux runs a program that collects dumps at a limit of zero, but not at one.
pub fn forbid_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let limit = |bytes| {
            let limit = Rlimit {
                current: Some(bytes),
                maximum: Some(bytes),
            };
            setrlimit(Resource::Core, limit)
        };
        if limit(1).is_err() {
            // The limit was zero already and cannot be raised.
            limit(0).unwrap_or_default();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_that_anybody_can_write_is_refused_and_one_of_a_group_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let set = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        for (mode, expected) in [(0o700, None), (0o755, None), (0o775, Some("chmod g-w"))] {
            set(mode);
            let warning = check_folder(folder.path(), Trust::Private).unwrap();
            assert_eq!(warning.is_some(), expected.is_some(), "{mode:o}");
            assert!(
                expected.is_none_or(|words| warning.unwrap().contains(words)),
                "{mode:o}"
            );
        }
        for mode in [0o777, 0o1777, 0o702] {
            set(mode);
            let error = check_folder(folder.path(), Trust::Private).unwrap_err();
            assert_eq!(error.code(), "exposed_folder", "{mode:o}");
            assert!(error.hint().contains("chmod go-w"), "{}", error.hint());
            assert_eq!(check_folder(folder.path(), Trust::Shared).unwrap(), None);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_disk_that_makes_a_secret_readable_by_others_gets_none_unless_that_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy");
        // Gives the file the permissions that a disk without permissions would.
        let made = || {
            let file = files::create_new(&path).unwrap();
            file.set_permissions(fs::Permissions::from_mode(0o777)).unwrap();
            file
        };
        let error = fill(made(), &path, b"secret", Trust::Private).unwrap_err();
        assert_eq!(error.code(), "no_permissions");
        assert!(!path.exists());
        fill(made(), &path, b"secret", Trust::Shared).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"secret");
    }

    #[test]
    fn a_secret_never_takes_the_place_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy");
        write_secret(&path, b"secret", Trust::Private).unwrap();
        assert_eq!(mode(&fs::metadata(&path).unwrap()), 0o600);
        let error = write_secret(&path, b"other", Trust::Private).unwrap_err();
        assert!(error.to_string().contains("there already"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"secret");
    }
}
