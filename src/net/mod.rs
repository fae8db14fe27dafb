//! The network: libp2p behind the engine's orders and facts.
//!
//! Promises: one task owns the swarm and waits for nobody: neither the engine nor a disk; every queue that a stranger
//! can fill is bounded; a peer is reported only after it has shown that it is of this network.
//! Elsewhere: whom to dial and what a misdeed costs (`engine`); the parts meet in `node`.
//! Spec: `proto-notes/gossip.md`, `proto-notes/discovery.md`, `proto-notes/sync.md`.

mod behaviour;
mod breach;
mod broken;
mod codec;
mod discovery;
mod exchange;
mod gate;
mod interfaces;
pub mod links;
mod listen;
mod mdns;
pub mod multicast;
mod names;
mod outbox;
pub mod peers;
pub mod repairs;
mod restarts;
mod streams;
mod supervisor;
mod swarm;
#[cfg(test)]
mod tests;
mod verdicts;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use mdns::fuzz;

use std::time::Instant;

use libp2p::{Multiaddr, PeerId};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::engine::{NetFact, NetOrder};
use crate::types::prefix::Bind;
use crate::types::{NetworkId, SecretKey};

/// Takes a fact at once, or gives it back because the engine's queue is full. It must not wait.
pub type FactSink = Box<dyn FnMut(Instant, NetFact) -> Result<(), NetFact> + Send>;

/// What the network part must know at its start.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// The node's key: its libp2p identity.
    pub key: SecretKey,
    /// What tells networks apart.
    pub network_id: NetworkId,
    /// Where to listen; empty: every interface on `port`.
    pub listen: Vec<Multiaddr>,
    /// The port if `listen` is empty; 0: any.
    pub port: u16,
    /// The interfaces to look on, and to listen on if `listen` is empty; none: all.
    pub bind: Vec<Bind>,
    /// Whether to look for neighbours by multicast DNS.
    pub mdns: bool,
}

/// Why the network could not start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetError {
    /// Another program listens on the port.
    #[error("port {port} is in use")]
    PortInUse {
        /// Which.
        port: u16,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        reason: String,
    },
    /// This process, or the machine, may open no more files and connections.
    #[error("cannot listen on {address}: too many files and connections are open")]
    TooManyFiles {
        /// Where.
        address: String,
    },
    /// The protocols could not be set up.
    #[error("cannot set up the network: {0}")]
    Setup(String),
}

impl NetError {
    /// What can be done about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::PortInUse { .. } => "use --port 0 to take any free port",
            Self::Listen { .. } => "use --listen with an address of this machine, such as /ip4/0.0.0.0/tcp/0",
            Self::TooManyFiles { .. } => "raise the limit in this shell (ulimit -n 1024), or close other programs",
            Self::Setup(_) => "start the node again; if it fails again, report this message",
        }
    }
}

/// The running network.
#[derive(Debug)]
pub struct NetHandle {
    /// This node's PeerId.
    pub peer_id: PeerId,
    task: JoinHandle<()>,
}

impl NetHandle {
    /// Waits for the end of the network, which comes at most two seconds after the end of the orders: what was
    /// published before is handed over, then every connection is closed.
    pub async fn stopped(self) {
        if let Err(error) = self.task.await {
            tracing::error!(target: "net", %error, "the network task failed");
        }
    }
}

/// Starts listening, then the network's task, which is started anew if it fails. Must be called within a tokio runtime.
///
/// The task ends when `orders` is closed.
///
/// # Errors
/// [`NetError`] if a protocol cannot be set up or an address cannot be listened on; then nothing runs.
pub fn start(config: &NetConfig, orders: mpsc::Receiver<NetOrder>, facts: FactSink) -> Result<NetHandle, NetError> {
    let (supervisor, first) = supervisor::Supervisor::new(config.clone(), orders, facts)?;
    Ok(NetHandle {
        peer_id: first.peer_id(),
        task: tokio::spawn(supervisor.run_watched(first)),
    })
}
