//! The engine itself: its parts, and how facts are handed to them.

use std::collections::VecDeque;

use super::io::{Input, NetFact, Output};
use super::reply::Status;
use crate::chain::{ChainStore, NetworkParams, StoreError};
use crate::types::{Account, AccountName, Address, PeerId, SecretKey, Time};

/// What a node is told once, at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The network's rules.
    pub params: NetworkParams,
    /// The node's key: identity and wallet.
    pub key: SecretKey,
    /// The announced name, claimed at the start if it is free.
    pub name: Option<AccountName>,
    /// Feeds jitter and random choices.
    pub seed: u64,
    /// Feeds the batch check of signatures; nobody else may know it.
    pub secret: [u8; 32],
    /// Random at each start: reveals two nodes with one key.
    pub instance: u64,
    /// The data folder, as `status` shows it.
    pub data_dir: String,
    /// Take the peers' median clock instead of the own one.
    pub peer_clock: bool,
    /// Start mining at once.
    pub mine: bool,
    /// Peers given on the command line.
    pub manual_peers: Vec<(Address, Option<PeerId>)>,
}

/// A node's decisions: told facts, gives orders.
pub struct Engine<S> {
    config: Config,
    store: S,
    out: VecDeque<Output>,
    started: bool,
    addresses: Vec<Address>,
}

impl<S: ChainStore> Engine<S> {
    /// Opens the chain in the store. `now` runs evenly, `clock` is the wall clock.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub fn new(config: Config, store: S, _now: Time, _clock: Time) -> Result<Self, StoreError> {
        store.tip()?;
        Ok(Self {
            config,
            store,
            out: VecDeque::new(),
            started: false,
            addresses: Vec::new(),
        })
    }

    /// Takes a fact.
    pub fn handle(&mut self, _now: Time, input: Input) {
        if let Input::Net(NetFact::Listening(address)) = input {
            self.addresses.push(address);
            if !self.started {
                self.started = true;
                let status = Box::new(self.status());
                self.out.push_back(Output::Event(super::Event::Started(status)));
            }
        }
    }

    /// The next order, in the order in which they must be carried out.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to send [`Input::Tick`] if nothing else happens before.
    #[must_use]
    pub const fn next_wakeup(&self) -> Option<Time> {
        None
    }

    /// What `status` answers.
    #[must_use]
    pub fn status(&self) -> Status {
        let key = self.config.key.public();
        let (height, tip) = self.store.tip().unwrap_or_default();
        let stored = self.store.block(&tip).ok().flatten();
        let peer = key.peer_id();
        Status {
            peer_id: peer.to_string(),
            name: self.config.name.clone(),
            account: Account::Key(key),
            network: self.config.params.label(),
            network_id: self.config.params.network_id(),
            height,
            tip,
            work: stored.as_ref().map(|block| block.work).unwrap_or_default(),
            bits: stored.map_or_else(|| self.config.params.genesis().bits, |block| block.header.bits),
            peers: 0,
            pending: 0,
            addresses: self.addresses.iter().map(|address| address.with_peer(&peer)).collect(),
            data_dir: self.config.data_dir.clone(),
            mining: false,
            hash_rate: 0,
            syncing: false,
            net: true,
        }
    }
}
