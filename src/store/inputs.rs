//! Input files that the user names: symbolic links are followed, and a pipe can be read.
//!
//! Promises: a folder is refused; a pipe without a writer ends in an error after a while.
//! Elsewhere: the files of a data folder, which are opened more carefully (`files`).
//! Spec: `proto-notes/events.md`, "Tasks".

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
#[cfg(unix)]
use std::time::{Duration, Instant};

use super::files::{self, Unfit};

/// How long a named pipe waits for a writer: a program that was started beside this one has begun to write by then.
#[cfg(unix)]
const WRITER_PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait between two looks for a writer.
#[cfg(unix)]
const WRITER_PAUSE: Duration = Duration::from_millis(20);

/// Opens a file that the user named.
///
/// # Errors
/// The error of the system; [`io::ErrorKind::TimedOut`] if the file is a pipe and nobody opened it for writing within
/// 10 s.
pub(crate) fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(Unfit::Kind(files::kind(kind)).into());
    }
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_fifo(&kind) {
        return Ok(Box::new(Pipe::open(path, Instant::now() + WRITER_PATIENCE)?));
    }
    Ok(Box::new(File::open(path)?))
}

/// Reads a whole file that the user named, if it has at most `limit` bytes.
///
/// # Errors
/// As [`open`]; [`io::ErrorKind::FileTooLarge`] if the file is longer.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size > limit) {
        let message = format!("it has more than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// A named pipe. It is opened without waiting, and reads wait for data once there is a writer.
#[cfg(unix)]
struct Pipe {
    file: File,
    /// The time until which a writer must have begun; none once it has.
    deadline: Option<Instant>,
}

#[cfg(unix)]
impl Pipe {
    fn open(path: &Path, deadline: Instant) -> io::Result<Self> {
        use rustix::fs::OFlags;
        let bits = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).expect("flags of an int");
        let mut options = fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::custom_flags(options.read(true), bits);
        Ok(Self {
            file: options.open(path)?,
            deadline: Some(deadline),
        })
    }

    fn wait_from_now_on(&mut self) -> io::Result<()> {
        use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
        self.deadline = None;
        let flags = fcntl_getfl(&self.file)?;
        Ok(fcntl_setfl(&self.file, flags - OFlags::NONBLOCK)?)
    }
}

#[cfg(unix)]
impl Read for Pipe {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(deadline) = self.deadline {
            match self.file.read(out) {
                // Without a writer, a read reports the end of the pipe.
                Ok(0) if Instant::now() < deadline => std::thread::sleep(WRITER_PAUSE),
                Ok(0) => {
                    let words = "it is a pipe, and nobody writes into it";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, words));
                }
                Ok(size) => return self.wait_from_now_on().map(|()| size),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_from_now_on()?,
                Err(error) => return Err(error),
            }
        }
        self.file.read(out)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::Write;

    fn pipe() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo is there").success());
        (folder, path)
    }

    #[test]
    fn a_pipe_is_read_to_the_end_of_who_writes_whenever_that_begins() {
        let (_folder, path) = pipe();
        let mut reading = open(&path).unwrap();
        let writing = std::thread::spawn({
            let path = path.clone();
            move || {
                let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
                for _ in 0..3 {
                    file.write_all(&[b'x'; 40_000]).unwrap();
                }
            }
        });
        let mut bytes = Vec::new();
        reading.read_to_end(&mut bytes).unwrap();
        writing.join().unwrap();
        assert_eq!(bytes.len(), 120_000);
    }

    #[test]
    fn a_pipe_that_nobody_writes_into_is_an_error() {
        let (_folder, path) = pipe();
        let mut reading = Pipe::open(&path, Instant::now()).unwrap();
        let error = reading.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn folders_are_refused_links_followed_and_sizes_held() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "12345").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read(&link, 5).unwrap(), b"12345");
        assert_eq!(read(&file, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        let error = read(folder.path(), 5).unwrap_err();
        assert!(error.to_string().contains("folder"), "{error}");
        assert!(read(Path::new("/dev/zero"), 5).is_err());
    }
}
