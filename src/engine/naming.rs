//! How a peer is called: the name that it gives itself, and what the chain says of that name.
//!
//! Promises: the only place that judges a peer's name, so that events, the log and `peers` agree at any time; a change is
//! told once, by [`Event::PeerNamed`], in the same turn as the blocks that brought it.
//! Elsewhere: how a standing is written (`console::human`).
//! Spec: `proto-notes/events.md`, "Events".

use super::machine::Engine;
use super::parts::links::Called;
use crate::chain::ChainStore;
use crate::contract::{Event, NameStanding};
use crate::types::{Account, AccountName, PeerId, PublicKey};

impl<S: ChainStore> Engine<S> {
    /// What is to be thought of a name that a peer gives itself.
    pub(super) fn name_standing(&self, peer: &PeerId, name: &AccountName) -> NameStanding {
        match self.chain.owner(&Account::Name(name.clone())) {
            Ok(Some(key)) if key.peer_id() == *peer => NameStanding::Proven,
            Ok(Some(_)) => NameStanding::Taken,
            Ok(None) | Err(_) if self.node.config.name.as_ref() == Some(name) => NameStanding::Taken,
            Ok(None) | Err(_) => NameStanding::Said,
        }
    }

    /// A key that is not this node's, in words: its node, and how to reach that if the key lies on this machine.
    pub(super) fn other_key(&self, key: &PublicKey) -> String {
        let here = self.node.config.keys_here.iter().find(|(other, _)| other == key);
        let how = here.map_or(String::new(), |(_, how)| format!("; {how}"));
        format!("{}{how}", self.key_words(key))
    }

    /// Whether the chain says that a name is this peer's.
    pub(super) fn is_name_proven(&self, peer: &PeerId, name: &AccountName) -> bool {
        self.name_standing(peer, name) == NameStanding::Proven
    }

    /// Whether another key holds a name here: by the chain, or, while nobody owns it, because this node goes by it.
    pub(super) fn is_name_taken(&self, peer: &PeerId, name: &AccountName) -> bool {
        self.name_standing(peer, name) == NameStanding::Taken
    }

    /// What a peer is to be called now.
    pub(super) fn called(&self, peer: &PeerId) -> Called {
        let name = self.peers.links.get(peer)?.name()?;
        let standing = self.name_standing(peer, &name);
        Some((name, standing))
    }

    /// A key as people read it: by the name of the connected node that has it, and the end of its PeerId.
    pub(super) fn key_words(&self, key: &PublicKey) -> String {
        let peer = key.peer_id();
        match self.called(&peer) {
            Some((name, NameStanding::Proven | NameStanding::Said)) => format!("{name} ({peer})"),
            Some((_, NameStanding::Taken)) | None => format!("another key, {peer}"),
        }
    }

    /// The chain may say something else of the connected peers' names.
    pub(super) fn check_peer_names(&mut self) {
        let known: Vec<PeerId> = self.peers.links.known().map(|(id, _)| *id).collect();
        known.into_iter().for_each(|id| self.check_peer_name(id));
    }

    /// The same for one peer, which may give itself another name now.
    pub(super) fn check_peer_name(&mut self, id: PeerId) {
        let called = self.called(&id);
        if !self.peers.links.call(&id, &called) {
            return;
        }
        let Some(peer) = self.peers.links.get(&id) else { return };
        let address = peer.address.with_peer(&id);
        let is = |wanted| called.as_ref().is_some_and(|(_, standing)| *standing == wanted);
        let (name_proven, name_taken) = (is(NameStanding::Proven), is(NameStanding::Taken));
        self.out.event(Event::PeerNamed {
            peer_id: id.to_string(),
            name: called.map(|(name, _)| name),
            name_proven,
            name_taken,
            address,
        });
    }
}
