//! What a node is told once, at its start.

use super::parts::clocks::PeerClock;
use super::parts::sync::HEADERS_KEPT_MAX;
use crate::chain::NetworkParams;
use crate::types::hash::HashMany;
use crate::types::{AccountName, Address, PeerId, PublicKey, SecretKey};

/// What a node is told once, at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The rules of the network that the node belongs to.
    pub params: NetworkParams,
    /// The node's key: identity and wallet.
    pub key: SecretKey,
    /// The announced name, claimed at the start if it is free.
    pub name: Option<AccountName>,
    /// Feeds jitter and random choices.
    pub seed: u64,
    /// Feeds the batch check of signatures; nobody else may know it.
    pub secret: [u8; 32],
    /// The fastest way to hash many messages on this machine.
    pub hash_many: HashMany,
    /// Random at each start: reveals two nodes with one key.
    pub instance: u64,
    /// The data folder, as `status` shows it.
    pub data_dir: String,
    /// Which clock it goes by.
    pub peer_clock: PeerClock,
    /// Start mining at once.
    pub mine: bool,
    /// What the start has to say: a code and a sentence each.
    pub start_warnings: Vec<(&'static str, String)>,
    /// Other keys in folders of this machine, each with a sentence on how to reach its node.
    pub keys_here: Vec<(PublicKey, String)>,
    /// Whether peers are asked for other peers.
    pub exchange: bool,
    /// Peers given on the command line.
    pub manual_peers: Vec<(Address, Option<PeerId>)>,
    /// What a node holds at most.
    pub limits: Limits,
}

/// What a node holds at most. Worlds whose chains are shorter than real ones have lower ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Headers of one candidate branch in memory.
    pub headers_kept: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            headers_kept: HEADERS_KEPT_MAX,
        }
    }
}

/// Who a node is.
#[derive(Debug)]
pub(super) struct Identity {
    /// What it was told at its start.
    pub(super) config: Config,
    /// The key that signs and owns.
    pub(super) me: PublicKey,
    /// The same key as peers know it.
    pub(super) peer_id: PeerId,
}

impl From<Config> for Identity {
    fn from(config: Config) -> Self {
        let me = config.key.public();
        Self {
            config,
            me,
            peer_id: me.peer_id(),
        }
    }
}
