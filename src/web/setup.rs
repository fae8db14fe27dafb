//! What a server needs, and what it wants of the node.
//!
//! Elsewhere: serving (`web::server`), what the node does with a command (`node::page_session`).
//! Spec: `proto-notes/web.md`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::guard::Token;
use super::ring::Ring;
use crate::contract::CommandError;

/// The port of the page if no other is given.
pub const PORT: u16 = 8645;
/// How many ports behind [`PORT`] are tried when it is taken: more nodes than anybody runs on one machine.
const PORTS_TRIED: u16 = 64;
/// How long a request may take to come, and a reader to take a piece of an answer.
pub const REQUEST_MAX: Duration = Duration::from_secs(10);
/// Pieces of an answer that wait for a reader. One is being written, one is ready.
pub const PIECES_AHEAD: usize = 1;

/// What an answer consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The whole reply, as `--json` has it.
    Reply,
    /// The `data` of the reply, or `{"error": …}`.
    Data,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The whole answer of a command that was carried out, or the beginning of it.
    Done(String),
    /// The whole answer of a command that was refused or failed.
    Refused(String, CommandError),
    /// What follows a beginning.
    More(String),
    /// The answer ends before its end.
    Broken,
}

/// A command that runs. Dropping it cancels the command, as Ctrl-C does at the prompt.
pub struct Running {
    /// The parts of the answer; the end of the channel is the end of the answer.
    pub pieces: mpsc::Receiver<Piece>,
    /// What is dropped when nobody waits for the answer any more.
    pub cancels: Box<dyn Send>,
}

/// What the server wants of the node.
pub trait Commands: Send + Sync + 'static {
    /// Has one line carried out, in a session of its own.
    ///
    /// # Errors
    /// [`CommandError`] if too many commands run, or the node stops.
    fn begin(&self, line: &str, form: Form) -> Result<Running, CommandError>;
}

/// What a server needs.
pub struct Setup {
    /// Where it listens: a socket from [`bind`] or [`bind_default`].
    pub listener: TcpListener,
    /// What opens the door for commands.
    pub token: Token,
    /// Names of hosts by which it may be called, besides addresses.
    pub hosts: Vec<String>,
    /// The events of the node.
    pub ring: Arc<Ring>,
    /// What carries commands out.
    pub commands: Arc<dyn Commands>,
    /// How long a request may take: [`REQUEST_MAX`] but in tests.
    pub request_max: Duration,
}

/// Listens on exactly this address.
///
/// # Errors
/// The system's, if the address is taken or not this machine's.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Listens on the loopback address, on [`PORT`] or the next free one.
///
/// # Errors
/// The system's, if none of [`PORT`] and the 63 ports behind it is free.
pub fn bind_default() -> std::io::Result<TcpListener> {
    let at = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let mut tried = bind(at(PORT));
    for port in PORT + 1..PORT + PORTS_TRIED {
        match tried {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => tried = bind(at(port)),
            other => return other,
        }
    }
    tried
}
