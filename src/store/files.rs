//! Opening and replacing the files of a data folder.
//!
//! Promises: only ordinary files are opened: no link is followed, no pipe is waited for, no device is touched. A file
//! that is changed in place has only one name. A new file belongs to its owner alone from its first moment, and nobody
//! ever sees it half written.
//! Elsewhere: files that the user names (`inputs`), other users' access to the files (`privacy`).
//! Spec: `proto-notes/store.md`, "Files".

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use thiserror::Error;

/// Whether a replaced file must survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durable {
    /// The file and its folder are synced before the call returns.
    Yes,
    /// The file need not survive a crash, but is never seen half written.
    No,
}

/// How an existing file will be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    /// The file is read and changed in place.
    Change,
    /// The file is read, and extended at its end.
    Append,
}

/// Which user a file must belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This user or root, who can change every file anyway.
    Me,
    Anybody,
}

/// The words for a symbolic link in error texts.
pub(crate) const LINK: &str = "a symbolic link";

/// Why a path does not lead to a file that a node may use. It is carried inside an [`io::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Unfit {
    #[error("it is {0}, not an ordinary file")]
    Kind(&'static str),
    #[error("it has {0} names (hard links), and what is written here would change the others too")]
    Linked(u64),
    #[error("it belongs to another user (uid {0})")]
    Owner(u32),
}

impl From<Unfit> for io::Error {
    fn from(unfit: Unfit) -> Self {
        Self::other(unfit)
    }
}

impl Unfit {
    /// Extracts the reason from an error of [`open`], if it is one of these.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

/// Opens an existing file after checking that it is an ordinary one.
pub(crate) fn open(path: &Path, access: Access, owner: Owner) -> io::Result<File> {
    // Checked before opening, because opening a device can have effects, and again when open, because it may have been
    // replaced.
    check(&fs::symlink_metadata(path)?, access, owner)?;
    open_swapped(path, access, owner)
}

/// Opens the path and checks the file itself, which may have been replaced since the first check.
fn open_swapped(path: &Path, access: Access, owner: Owner) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(access == Access::Change)
        .append(access == Access::Append);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let bits = i32::try_from(flags.bits()).expect("flags of an int");
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, bits);
    }
    let file = options.open(path)?;
    check(&file.metadata()?, access, owner)?;
    Ok(file)
}

/// Creates a file that does not exist yet, readable and writable for this user alone.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Opens a file, or creates an empty one; returns whether it is new.
pub(crate) fn open_or_create(path: &Path, access: Access, owner: Owner) -> io::Result<(File, bool)> {
    match open(path, access, owner) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened.map(|file| (file, false)),
    }
    match create_new(path) {
        // Another process created it first.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            open(path, access, owner).map(|file| (file, false))
        }
        made => made.map(|file| (file, true)),
    }
}

/// Whether the path exists; a symbolic link that leads nowhere counts.
pub(crate) fn exists(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn check(metadata: &Metadata, access: Access, owner: Owner) -> Result<(), Unfit> {
    if !metadata.is_file() {
        return Err(Unfit::Kind(kind(metadata.file_type())));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if owner == Owner::Me && !is_mine_or_roots(metadata) {
            return Err(Unfit::Owner(metadata.uid()));
        }
        if access != Access::Read && metadata.nlink() > 1 {
            return Err(Unfit::Linked(metadata.nlink()));
        }
    }
    #[cfg(not(unix))]
    let _ = (access, owner);
    Ok(())
}

/// Whether the file belongs to this user or to root.
#[cfg(unix)]
pub(crate) fn is_mine_or_roots(metadata: &Metadata) -> bool {
    let owner = std::os::unix::fs::MetadataExt::uid(metadata);
    owner == 0 || owner == rustix::process::geteuid().as_raw()
}

pub(crate) fn kind(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_block_device() || kind.is_char_device() {
            return "a device";
        }
    }
    if kind.is_symlink() {
        LINK
    } else if kind.is_dir() {
        "a folder"
    } else {
        "something else"
    }
}

/// Replaces a file: writes a new one beside it, readable by this user alone, and renames it.
pub(crate) fn replace(path: &Path, bytes: &[u8], durable: Durable) -> io::Result<()> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = create_new(&beside)?;
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

/// Syncs the folder of a path, so that a new or renamed entry survives a power cut.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

/// Reads at most `limit` bytes of a file; none if the file does not exist.
pub(crate) fn read_start(path: &Path, limit: u64, owner: Owner) -> io::Result<Option<Vec<u8>>> {
    let file = match open(path, Access::Read, owner) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::privacy::{self, Trust};
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn refusal(path: &Path, access: Access) -> Unfit {
        let error = open(path, access, Owner::Me).expect_err("no ordinary file");
        Unfit::of(&error).unwrap_or_else(|| panic!("{error}"))
    }

    #[test]
    fn only_ordinary_files_are_opened_and_nothing_else_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "text").unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        symlink("/dev/zero", at("device link")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(at("pipe")).status();
        assert!(made.unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for access in [Access::Read, Access::Change, Access::Append] {
            open(&at("file"), access, Owner::Me).unwrap();
            for name in ["link", "dangling", "device link"] {
                assert_eq!(refusal(&at(name), access), Unfit::Kind("a symbolic link"), "{name}");
            }
            assert_eq!(refusal(&at("folder"), access), Unfit::Kind("a folder"));
            assert_eq!(refusal(&at("pipe"), access), Unfit::Kind("a named pipe"));
            assert_eq!(refusal(&at("socket"), access), Unfit::Kind("a socket"));
            assert_eq!(refusal(Path::new("/dev/zero"), access), Unfit::Kind("a device"));
            let missing = open(&at("missing"), access, Owner::Me).unwrap_err();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        }
        assert_eq!(fs::read(at("file")).unwrap(), b"text");
    }

    #[test]
    fn a_link_that_took_the_place_of_a_file_after_the_look_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "text").unwrap();
        symlink(&file, &link).unwrap();
        for access in [Access::Read, Access::Change, Access::Append] {
            open_swapped(&file, access, Owner::Me).unwrap();
            let error = open_swapped(&link, access, Owner::Me).unwrap_err();
            assert_eq!(
                error.raw_os_error(),
                Some(rustix::io::Errno::LOOP.raw_os_error()),
                "{error}"
            );
        }
    }

    #[test]
    fn a_pipe_that_took_the_place_of_a_file_after_the_look_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let (tell, told) = std::sync::mpsc::channel();
        let opening = std::thread::spawn({
            let pipe = pipe.clone();
            move || {
                tell.send(open_swapped(&pipe, Access::Read, Owner::Me).map(drop))
                    .unwrap()
            }
        });
        let opened = told.recv_timeout(std::time::Duration::from_secs(20));
        // Opening the pipe releases the thread if it waits for a writer.
        drop(OpenOptions::new().read(true).write(true).open(&pipe).unwrap());
        opening.join().unwrap();
        let error = opened.expect("nothing is waited for").unwrap_err();
        assert_eq!(Unfit::of(&error), Some(Unfit::Kind("a named pipe")));
    }

    #[test]
    fn a_file_with_two_names_is_read_but_never_written_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        fs::write(&first, "text").unwrap();
        fs::hard_link(&first, &second).unwrap();
        open(&second, Access::Read, Owner::Me).unwrap();
        assert_eq!(refusal(&second, Access::Change), Unfit::Linked(2));
        assert_eq!(refusal(&second, Access::Append), Unfit::Linked(2));
        replace(&second, b"new", Durable::No).unwrap();
        assert_eq!(fs::read(&first).unwrap(), b"text");
    }

    #[test]
    fn a_new_file_is_its_owners_alone_and_takes_no_name_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        let (_, is_new) = open_or_create(&path, Access::Change, Owner::Me).unwrap();
        assert!(is_new);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (_, is_new) = open_or_create(&path, Access::Change, Owner::Me).unwrap();
        assert!(!is_new);
        let link = folder.path().join("link");
        symlink(folder.path().join("target"), &link).unwrap();
        assert!(create_new(&link).is_err() && open_or_create(&link, Access::Change, Owner::Me).is_err());
        assert!(!folder.path().join("target").exists());
        assert!(exists(&link).unwrap() && !exists(&folder.path().join("target")).unwrap());
    }

    #[test]
    fn what_belongs_to_another_user_is_refused_unless_that_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "text").unwrap();
        // Only root can give a file to another user.
        if std::os::unix::fs::chown(&path, Some(12_345), None).is_err() {
            eprintln!("SKIPPED: this user may give no file to another one");
            return;
        }
        for access in [Access::Read, Access::Change, Access::Append] {
            assert_eq!(refusal(&path, access), Unfit::Owner(12_345));
            open(&path, access, Owner::Anybody).unwrap();
        }
        std::os::unix::fs::chown(folder.path(), Some(12_345), None).unwrap();
        let refused = privacy::check_folder(folder.path(), Trust::Private).unwrap_err();
        assert_eq!(refused.code(), "other_owner");
        privacy::check_folder(folder.path(), Trust::Shared).unwrap();
    }
}
