//! The network: libp2p behind the engine's orders and facts.
//!
//! Promises: one task owns the swarm and waits neither for the engine nor for a disk; every queue that a stranger can
//! fill is bounded; a peer is reported only after it has shown that it belongs to this network.
//! Elsewhere: which peers to dial, and the price of misbehaviour (`engine`); the connection between the parts (`node`).
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

#[cfg(any(test, feature = "testing"))]
pub(crate) use mdns::fuzz;

use std::time::Instant;

use libp2p::{Multiaddr, PeerId};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::engine::{NetFact, NetOrder};
use crate::types::prefix::Bind;
use crate::types::{NetworkId, SecretKey};

/// Takes a fact at once, or returns it because the engine's queue is full. It must not wait.
pub type FactSink = Box<dyn FnMut(Instant, NetFact) -> Result<(), NetFact> + Send>;

/// The configuration of the network part.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// The node's key, which is also its libp2p identity.
    pub key: SecretKey,
    /// The id of the network that the node belongs to.
    pub network_id: NetworkId,
    /// The addresses to listen on; empty means every interface on `port`.
    pub listen: Vec<Multiaddr>,
    /// The port to listen on if `listen` is empty; 0 means any free port.
    pub port: u16,
    /// The interfaces for discovery, and for listening if `listen` is empty; empty means all.
    pub bind: Vec<Bind>,
    /// Whether to look for neighbours by multicast DNS.
    pub mdns: bool,
}

/// Why the network could not start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetError {
    /// Another program listens on the port already.
    #[error("port {port} is in use")]
    PortInUse {
        /// The port that was asked for.
        port: u16,
    },
    /// The page cannot be served at the address.
    #[error("cannot serve the page at {address}: {reason}")]
    Page {
        /// The address that was asked for.
        address: String,
        /// The error text of the system.
        reason: String,
    },
    /// The node cannot listen on the address.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address that was asked for.
        address: String,
        /// The error text of the system or the library.
        reason: String,
    },
    /// This process or the machine has too many open files and connections.
    #[error("cannot listen on {address}: too many files and connections are open")]
    TooManyFiles {
        /// The address that was asked for.
        address: String,
    },
    /// The protocols could not be set up.
    #[error("cannot set up the network: {0}")]
    Setup(String),
}

impl NetError {
    /// What the user can do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::PortInUse { .. } => "use --port 0 to take any free port",
            Self::Page { .. } => "use --web without an address to take the next free port, or leave it out",
            Self::Listen { .. } => "use --listen with an address of this machine, such as /ip4/0.0.0.0/tcp/0",
            Self::TooManyFiles { .. } => "raise the limit in this shell (ulimit -n 1024), or close other programs",
            Self::Setup(_) => "start the node again; if it fails again, report this message",
        }
    }
}

/// The handle of the running network.
#[derive(Debug)]
pub struct NetHandle {
    /// The PeerId of this node.
    pub peer_id: PeerId,
    task: JoinHandle<()>,
}

impl NetHandle {
    /// Waits for the end of the network, at most two seconds after the end of the orders: first it sends what was
    /// published before, then it closes every connection.
    pub async fn stopped(self) {
        if let Err(error) = self.task.await {
            tracing::error!(target: "net", %error, "the network task failed");
        }
    }
}

/// Starts listening and the network's task, which is restarted if it fails. Must be called within a tokio runtime.
///
/// The task ends when `orders` is closed.
///
/// [`NetError`] if a protocol cannot be set up or the node cannot listen on an address; nothing runs then.
/// [`NetError`] if a protocol cannot be set up or an address cannot be listened on; then nothing runs.
pub fn start(config: &NetConfig, orders: mpsc::Receiver<NetOrder>, facts: FactSink) -> Result<NetHandle, NetError> {
    let (supervisor, first) = supervisor::Supervisor::new(config.clone(), orders, facts)?;
    Ok(NetHandle {
        peer_id: first.peer_id(),
        task: tokio::spawn(supervisor.run_watched(first)),
    })
}
