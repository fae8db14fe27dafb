//! Removes temporary folders that a crash left, when a node makes a new one.
//!
//! Promises: a folder is removed only if it is marked, its lock is free and it belongs to this user. Links are not
//! followed. At most [`LOOKED_AT_MAX`] entries are examined.
//! Spec: `proto-notes/store.md`, "Folders".

use std::fs::{self, Metadata};
use std::path::Path;

use super::files::{self, Access, Owner};
use super::folder::{LOCK_FILE, PROGRAM};

/// The file that marks a folder as temporary. It is written once the folder is locked.
pub(super) const MARK_FILE: &str = "temporary";
/// The most folders that are examined in one start; a killed test run leaves a few dozen.
const LOOKED_AT_MAX: usize = 256;
/// The number of hexadecimal digits at the end of the name.
const DIGITS: usize = 16;

/// Removes stale folders below `parent`. What cannot be removed stays and does no harm.
pub(super) fn remove(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let named = entries.filter(|entry| is_name(&entry.file_name().to_string_lossy()));
    for entry in named.take(LOOKED_AT_MAX) {
        let path = entry.path();
        let is_own = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir() && is_mine(&metadata));
        if is_own && is_marked(&path) {
            remove_if_free(&path);
        }
    }
}

fn is_name(name: &str) -> bool {
    let digits = name.strip_prefix(PROGRAM).and_then(|rest| rest.strip_prefix('-'));
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_marked(path: &Path) -> bool {
    fs::symlink_metadata(path.join(MARK_FILE)).is_ok_and(|metadata| metadata.is_file())
}

fn remove_if_free(path: &Path) {
    let Ok(lock) = files::open(&path.join(LOCK_FILE), Access::Read, Owner::Me) else {
        return;
    };
    // A running node holds it, or another node is just removing it.
    if lock.try_lock().is_err() {
        return;
    }
    // Some systems do not remove open files. Nobody can take the folder in between, because no node uses an existing
    // one.
    drop(lock);
    let _ = fs::remove_dir_all(path);
}

#[cfg(unix)]
fn is_mine(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_mine(_: &Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(parent: &Path, name: &str, files: &[&str]) -> std::path::PathBuf {
        let path = parent.join(name);
        fs::create_dir(&path).unwrap();
        files.iter().for_each(|file| fs::write(path.join(file), b"").unwrap());
        path
    }

    #[test]
    fn only_marked_folders_that_nobody_holds_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let both = [MARK_FILE, LOCK_FILE];
        let stale = folder(parent.path(), "lanchain-0123456789abcdef", &both);
        let held = folder(parent.path(), "lanchain-1123456789abcdef", &both);
        let unmarked = folder(parent.path(), "lanchain-2123456789abcdef", &[LOCK_FILE]);
        let unlocked = folder(parent.path(), "lanchain-3123456789abcdef", &[MARK_FILE]);
        let other = folder(parent.path(), "lanchain-mine", &both);
        let lock = fs::File::open(held.join(LOCK_FILE)).unwrap();
        lock.try_lock().unwrap();
        remove(parent.path());
        assert!(!stale.exists());
        for kept in [&held, &unmarked, &unlocked, &other] {
            assert!(kept.exists(), "{kept:?}");
        }
        drop(lock);
        remove(parent.path());
        assert!(!held.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_leads_nowhere() {
        let parent = tempfile::tempdir().unwrap();
        let elsewhere = folder(parent.path(), "precious", &[MARK_FILE, LOCK_FILE]);
        let link = parent.path().join("lanchain-0123456789abcdef");
        std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
        remove(parent.path());
        assert!(elsewhere.join(MARK_FILE).exists());
    }
}
