//! The file of the node's secret key: 64 hex digits, readable by its owner alone.
//!
//! Promises: a new key is completely on disk, with its name in the folder, before it is used. A key that others can
//! read is refused. Copies in memory are wiped.
//! Spec: `proto-notes/store.md`, "Key file".

use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::files::{self, Access, Durable, Owner};
use super::{OpenError, Trust, privacy};
use crate::types::SecretKey;
use crate::types::text::{is_utf16, without_mark};

/// The largest key file in bytes: 64 digits, a line end, and room for a byte order mark and a few blanks.
const KEY_FILE_MAX_BYTES: u64 = 128;
/// The initial capacity of the buffer in bytes, so that it never grows and leaves a copy of the key behind.
const KEY_FILE_MAX_ROOM: usize = 256;

/// Reads the key file.
///
/// # Errors
/// [`OpenError`]: the key is missing or invalid, others can read it, or it belongs to another user.
pub(crate) fn read(path: &Path, trust: Trust, owner: Owner) -> Result<SecretKey, OpenError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => OpenError::damaged(path, "the key file is missing"),
        _ => OpenError::from_io(path, &error),
    };
    let file = files::open(path, Access::Read, owner).map_err(failed)?;
    privacy::check_key(path, &file, trust)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_FILE_MAX_ROOM));
    file.take(KEY_FILE_MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    parse(&bytes).map_err(|reason| OpenError::damaged(path, reason))
}

/// Creates a new key and writes its file.
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

/// The content of the file for a key.
pub(crate) fn text(key: &SecretKey) -> Zeroizing<String> {
    Zeroizing::new(format!("{}\n", &*Zeroizing::new(hex::encode(*key.seed()))))
}

/// Parses the content of a key file.
///
/// # Errors
/// The text says what is wrong with the content.
pub(crate) fn parse(bytes: &[u8]) -> Result<SecretKey, &'static str> {
    if is_utf16(bytes) {
        return Err("it is UTF-16 text: save it as UTF-8");
    }
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(without_mark(bytes).trim_ascii(), &mut *seed).map_err(|_| "it does not hold 64 hex digits")?;
    Ok(SecretKey::from_seed(*seed))
}

/// Writes a key file that only this user can read.
///
/// # Errors
/// [`OpenError`] if the disk fails.
pub(crate) fn write(path: &Path, key: &SecretKey) -> Result<(), OpenError> {
    files::replace(path, text(key).as_bytes(), Durable::Yes).map_err(|error| OpenError::from_io(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> Result<SecretKey, OpenError> {
        super::read(path, Trust::Private, Owner::Me)
    }

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

    #[test]
    fn a_byte_order_mark_is_no_damage_and_utf_16_is_named() {
        let key = SecretKey::from_seed([7; 32]);
        let text = text(&key);
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        assert_eq!(parse(&marked).unwrap().public(), key.public());
        let utf16: Vec<u8> = core::iter::once(0xfeff)
            .chain(text.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        for bytes in [&utf16[..], &utf16[2..]] {
            assert!(parse(bytes).unwrap_err().contains("UTF-16"));
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
