//! The node's secret key in its file: 64 hex digits, readable by its owner alone.
//!
//! Promises: a new key is whole on disk, with its name in the folder, before it is used; a key that others can read is
//! refused; copies in memory are wiped.
//! Spec: `proto-notes/store.md`, "Key file".

use std::path::Path;

use zeroize::Zeroizing;

use super::OpenError;
use super::files::{self, Durable};
use crate::types::SecretKey;

/// A key file has 64 digits and a line end; a few blanks more do not matter.
const KEY_FILE_MAX_BYTES: u64 = 128;

/// Reads the key file.
///
/// # Errors
/// [`OpenError`]: missing or no key, or readable by others.
pub(crate) fn read(path: &Path) -> Result<SecretKey, OpenError> {
    check_mode(path)?;
    let bytes = files::read_start(path, KEY_FILE_MAX_BYTES)
        .map_err(|error| OpenError::from_io(path, &error))?
        .map(Zeroizing::new)
        .ok_or_else(|| OpenError::damaged(path, "the key file is missing"))?;
    parse(&bytes).ok_or_else(|| OpenError::damaged(path, "it does not hold 64 hex digits"))
}

/// Makes a new key and its file.
///
/// # Errors
/// [`OpenError`] if the disk or the system's entropy fails.
pub(crate) fn create(path: &Path) -> Result<SecretKey, OpenError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|error| OpenError::Io {
        path: path.to_path_buf(),
        reason: format!("no entropy: {error}"),
    })?;
    let key = SecretKey::from_seed(*seed);
    write(path, &key)?;
    Ok(key)
}

/// The content of a key file.
pub(crate) fn text(key: &SecretKey) -> Zeroizing<String> {
    Zeroizing::new(format!("{}\n", &*Zeroizing::new(hex::encode(*key.seed()))))
}

/// Reads the content of a key file.
pub(crate) fn parse(bytes: &[u8]) -> Option<SecretKey> {
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(bytes.trim_ascii(), &mut *seed).ok()?;
    Some(SecretKey::from_seed(*seed))
}

/// Writes a key file, readable by this user alone.
///
/// # Errors
/// [`OpenError`] if the disk fails.
pub(crate) fn write(path: &Path, key: &SecretKey) -> Result<(), OpenError> {
    files::replace(path, text(key).as_bytes(), Durable::Yes).map_err(|error| OpenError::from_io(path, &error))
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => Err(OpenError::ExposedKey {
            path: path.to_path_buf(),
            mode: metadata.permissions().mode() & 0o777,
        }),
        // Whether it is missing, the reading says.
        Ok(_) | Err(_) => Ok(()),
    }
}

#[cfg(not(unix))]
fn check_mode(_path: &Path) -> Result<(), OpenError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_key_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made = create(&path).unwrap();
        assert_eq!(read(&path).unwrap().public(), made.public());
        assert_ne!(create(&path).unwrap().public(), made.public());
    }

    #[test]
    fn what_is_no_key_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for text in [
            "",
            "00",
            &"0".repeat(63),
            &"0".repeat(66),
            &"g".repeat(64),
            &"0".repeat(200),
        ] {
            files::replace(&path, text.as_bytes(), Durable::No).unwrap();
            assert_eq!(read(&path).unwrap_err().code(), "damaged", "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_command_that_mends_it() {
        use std::fs::{Permissions, set_permissions};
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path).unwrap();
        for mode in [0o640, 0o604, 0o601, 0o620] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err();
            assert_eq!(error.code(), "exposed_key");
            assert_eq!(error.hint(), format!("chmod 600 {}", path.display()));
        }
        set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        read(&path).unwrap();
    }
}
