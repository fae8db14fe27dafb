//! The socket of the side door: made so that only this user can come in, found again by the clients.
//!
//! Promises: the socket has mode 0600 from the moment that it can be reached; a path of any length works on Linux; a
//! socket that a crash left behind is replaced (the folder's lock says that its node is gone).
//! Elsewhere: who comes in (`node::control`). Systems without Unix sockets have no side door.
//! Spec: `proto-notes/control.md`, "The socket".

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::control::Hub;
use super::inbox::Inbox;

#[cfg(unix)]
pub(super) use unix::{connect, open};

#[cfg(not(unix))]
pub(super) fn open(_: &Path, _: &Arc<Hub>, _: &Arc<Inbox>) -> io::Result<PathBuf> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system has no Unix sockets",
    ))
}

#[cfg(unix)]
mod unix {
    use std::fs::{self, DirBuilder, File, Permissions};
    use std::net::Shutdown;
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::sync::mpsc::sync_channel;
    use std::thread;
    use std::time::Duration;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;
    use crate::console::output::Sink;
    use crate::console::render;
    use crate::contract::{CommandError, Reply};
    use crate::engine::Part;
    use crate::node::client_words::gap_line;
    use crate::node::control::{CLIENT, CLIENTS_MAX, ReplyTo, SOCKET};
    use crate::node::control_session::{self, AHEAD_MAX, ClientView};
    use crate::node::drive::Driver;
    use crate::node::hello::Hello;
    use crate::node::long_reply::Collected;
    use crate::node::mailbox::Mailbox;
    use crate::node::session::In;
    use crate::node::view::ReplyTells;
    use crate::threads::{self, panic_point};

    /// Where the socket is made before it is put in its place.
    const WORKSHOP: &str = "control.new";
    /// After a failure to take a client in: the system is short of something, for a while.
    const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

    /// Makes the socket and starts the thread that takes clients in.
    pub(in super::super) fn open(folder: &Path, hub: &Arc<Hub>, inbox: &Arc<Inbox>) -> io::Result<PathBuf> {
        let (listener, path) = listen(folder)?;
        let door = Door {
            hub: Arc::clone(hub),
            inbox: Arc::clone(inbox),
        };
        let lost = Arc::clone(inbox);
        let body = move || {
            loop {
                panic_point("control");
                match listener.accept() {
                    Ok((stream, _)) => {
                        if let Err(error) = door.take_in(&stream) {
                            tracing::debug!(%error, "a client could not be taken in");
                        }
                    }
                    Err(_) => thread::sleep(ACCEPT_PAUSE),
                }
            }
        };
        threads::spawn("control", body, move |reason| lost.failed(Part::Control, reason))?;
        Ok(path)
    }

    /// Bound in a folder that nobody else can enter, made private, then moved to its place.
    fn listen(folder: &Path) -> io::Result<(UnixListener, PathBuf)> {
        let (workshop, path) = (folder.join(WORKSHOP), folder.join(SOCKET));
        // Left by a crash; whoever made them is gone, for this process holds the folder's lock.
        fs::remove_dir_all(&workshop).unwrap_or_default();
        DirBuilder::new().mode(0o700).create(&workshop)?;
        let made = by_short_path(&workshop, |short| UnixListener::bind(short.join(SOCKET))).and_then(|listener| {
            let new = workshop.join(SOCKET);
            fs::set_permissions(&new, Permissions::from_mode(0o600))?;
            fs::rename(&new, &path)?;
            Ok(listener)
        });
        fs::remove_dir_all(&workshop).unwrap_or_default();
        Ok((made?, path))
    }

    /// Connects to the node that holds a folder. A link in the socket's place leads nowhere.
    pub(in super::super) fn connect(folder: &Path) -> io::Result<UnixStream> {
        let kind = fs::symlink_metadata(folder.join(SOCKET))?.file_type();
        if !kind.is_socket() {
            return Err(io::Error::other("what stands in its socket's place is none"));
        }
        by_short_path(folder, |short| UnixStream::connect(short.join(SOCKET)))
    }

    /// A socket's path has room for about a hundred bytes. Linux has a short name for every open folder.
    fn by_short_path<T>(folder: &Path, work: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
        match work(folder) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && cfg!(target_os = "linux") => {
                let open = File::open(folder)?;
                work(&PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd())))
            }
            other => other,
        }
    }

    /// What a new client needs.
    struct Door {
        hub: Arc<Hub>,
        inbox: Arc<Inbox>,
    }

    impl Door {
        fn take_in(&self, stream: &UnixStream) -> io::Result<()> {
            let mailbox = Mailbox::default();
            let (more, asked) = sync_channel(AHEAD_MAX);
            let closed = mailbox.clone();
            let run = self.hub.run();
            let lost = Box::new(move |missing| gap_line(run, missing));
            let on_closed = move |_: &io::Error| {
                closed.send(In::Closed);
            };
            let sink = Sink::lines(CLIENT, lost, stream.try_clone()?, on_closed)?;
            let (ending, watched, input) = (stream.try_clone()?, stream.try_clone()?, stream.try_clone()?);
            let hang_up = move || ending.shutdown(Shutdown::Both).unwrap_or_default();
            let reply_to = ReplyTo {
                mailbox: mailbox.clone(),
                tells: ReplyTells::default(),
            };
            let tells = reply_to.tells.clone();
            let Some(number) = self.hub.enter(reply_to, sink.clone(), Box::new(hang_up)) else {
                sink.must(render::json_reply::<Reply>(0, None, &Err(too_many())), None);
                // Nobody waits for a stranger to read: the line fits into the socket's own buffer.
                let _ = sink.finish(ACCEPT_PAUSE);
                return stream.shutdown(Shutdown::Both);
            };
            let view = ClientView {
                number,
                hub: Arc::clone(&self.hub),
                sink,
                tells,
                has_hung_up: Box::new(move || is_hung_up(&watched)),
                hello: Hello::SILENT,
                long: Collected::default(),
                mined_before: 0,
            };
            let driver = Driver {
                number,
                mailbox: mailbox.clone(),
                more: Some(more),
                inbox: Arc::clone(&self.inbox),
                node: self.hub.console().clone(),
            };
            let reading = move || control_session::read(input, &mailbox, &asked);
            let started = threads::spawn("client-in", reading, self.closes(number, stream)?).and_then(|_| {
                let ending = stream.try_clone()?;
                let serving = move || {
                    panic_point("client");
                    let stays = control_session::serve(&driver, view);
                    if !stays {
                        ending.shutdown(Shutdown::Both).unwrap_or_default();
                    }
                };
                threads::spawn("client", serving, self.closes(number, stream)?)
            });
            if let Err(error) = started {
                self.hub.leave(number);
                return stream.shutdown(Shutdown::Both).and(Err(error));
            }
            Ok(())
        }
    }

    impl Door {
        /// What is done when a thread of a client has failed: the client sees its connection end.
        fn closes(&self, number: u64, stream: &UnixStream) -> io::Result<impl FnOnce(&str) + Send + use<>> {
            let (hub, stream) = (Arc::clone(&self.hub), stream.try_clone()?);
            Ok(move |reason: &str| {
                tracing::error!(reason, "a client's thread failed, its connection is closed");
                hub.leave(number);
                stream.shutdown(Shutdown::Both).unwrap_or_default();
            })
        }
    }

    /// Whether both directions are closed. One that only sends no more still reads.
    fn is_hung_up(stream: &UnixStream) -> bool {
        let mut watched = [PollFd::new(stream.as_fd(), PollFlags::empty())];
        matches!(poll(&mut watched, PollTimeout::ZERO), Ok(1..))
            && watched[0]
                .revents()
                .is_some_and(|told| told.intersects(PollFlags::POLLHUP | PollFlags::POLLERR))
    }

    fn too_many() -> CommandError {
        CommandError {
            code: "too_many_clients",
            message: format!("{CLIENTS_MAX} clients are connected to this node, or it is about to stop"),
            hint: "end one of them (`detach`), then try again".into(),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_socket_is_private_and_replaces_one_that_a_crash_left() {
            let folder = tempfile::tempdir().unwrap();
            let (first, path) = listen(folder.path()).unwrap();
            drop(first);
            let (_second, _) = listen(folder.path()).unwrap();
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600);
            connect(folder.path()).unwrap();
            assert!(!folder.path().join(WORKSHOP).exists());
        }

        #[test]
        fn a_link_in_the_sockets_place_leads_nowhere() {
            let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let (_listener, path) = listen(other.path()).unwrap();
            std::os::unix::fs::symlink(path, folder.path().join(SOCKET)).unwrap();
            assert!(connect(folder.path()).is_err());
            connect(other.path()).unwrap();
        }

        #[cfg(target_os = "linux")]
        #[test]
        fn a_folder_with_a_long_path_has_its_socket_too() {
            let folder = tempfile::tempdir().unwrap();
            let deep = folder.path().join("d".repeat(150));
            fs::create_dir(&deep).unwrap();
            let (_listener, _) = listen(&deep).unwrap();
            connect(&deep).unwrap();
        }

        #[test]
        fn only_a_client_that_reads_no_more_is_gone() {
            let (near, far) = UnixStream::pair().unwrap();
            assert!(!is_hung_up(&near));
            far.shutdown(Shutdown::Write).unwrap();
            assert!(!is_hung_up(&near));
            drop(far);
            assert!(is_hung_up(&near));
        }
    }
}
