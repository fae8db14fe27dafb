//! Notices when nobody reads standard output any more, also while there is nothing to say.
//!
//! Promises: never ends a node whose output is a file, a terminal, or a pipe that is only slow.
//! Elsewhere: a write that fails (`console::output`), what a closed output means (`node::session`).
//! Spec: `proto-notes/events.md`, "Stopping".

use super::mailbox::Mailbox;
#[cfg(unix)]
use super::session::In;
#[cfg(unix)]
use crate::threads;

/// Watches standard output on a thread of its own; tells once when its reader is gone.
#[cfg(unix)]
pub(super) fn watch(mailbox: Mailbox) {
    let body = move || {
        if is_closed_at_last() {
            mailbox.send(In::Stop);
        }
    };
    // The next write notices it too.
    let failed = |reason: &str| tracing::warn!(target: "node", reason, "the watch over the output's reader failed");
    if let Err(error) = threads::spawn("hangup", body, failed) {
        // The next write notices it too.
        tracing::debug!(%error, "no thread to watch the output with");
    }
}

/// Elsewhere the next write notices it.
#[cfg(not(unix))]
pub(super) fn watch(_mailbox: Mailbox) {}

/// Waits until the reader is gone; false if the system cannot tell.
#[cfg(unix)]
fn is_closed_at_last() -> bool {
    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let out = std::io::stdout();
    loop {
        // Nothing is asked for: an error and a hang-up are told all the same.
        let mut watched = [PollFd::new(out.as_fd(), PollFlags::empty())];
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => {
                let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
                return watched[0].revents().is_some_and(|told| told.intersects(gone));
            }
            Err(_) => return false,
        }
    }
}
