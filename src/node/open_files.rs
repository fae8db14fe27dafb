//! How many files and connections the system lets this process open.
//!
//! Promises: the process's own limit is raised as far as the user may, up to what a node can need; what is too little for
//! that is told once, with what helps.
//! Elsewhere: the limits of connections (`net`), and of clients (`node::control`).
//! Spec: `proto-notes/limits.md`.

/// What a node can have open at once: 52 connections, 32 handshakes, 16 own dials, 16 clients with three handles each, its
/// files and its listeners, twice.
#[cfg(unix)]
const ENOUGH: u64 = 512;

/// Raises the limit. Gives a warning if it stays below what a node can need.
pub(super) fn raise_limit() -> Option<String> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        if limit.current.is_none_or(|current| current >= ENOUGH) {
            return None;
        }
        let most = limit.maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
        let raised = Rlimit {
            current: Some(most),
            maximum: limit.maximum,
        };
        let now = if setrlimit(Resource::Nofile, raised).is_ok() {
            Some(most)
        } else {
            limit.current
        };
        now.filter(|now| *now < ENOUGH).map(|now| {
            format!(
                "this process may open {now} files and connections, a node with many peers needs {ENOUGH}: ulimit -n {ENOUGH}"
            )
        })
    }
    #[cfg(not(unix))]
    None
}
