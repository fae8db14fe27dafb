//! Small files that must never be seen half written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

/// Whether a file must survive a power cut, or only must not be seen half written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durable {
    /// Synced, with its folder, before the call returns.
    Yes,
    /// Worth nothing after a crash.
    No,
}

/// Replaces a file: written beside it, readable by this user alone, then renamed.
pub(crate) fn replace(path: &Path, bytes: &[u8], durable: Durable) -> io::Result<()> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    let written = file.write_all(bytes).and_then(|()| match durable {
        Durable::Yes => file.sync_all(),
        Durable::No => Ok(()),
    });
    drop(file);
    if let Err(error) = written.and_then(|()| fs::rename(&beside, path)) {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    match durable {
        Durable::Yes => sync_folder_of(path),
        Durable::No => Ok(()),
    }
}

/// Makes a new or renamed entry of a folder survive a power cut.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

/// Reads at most `limit` bytes of a file; none if there is no such file.
pub(crate) fn read_start(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
