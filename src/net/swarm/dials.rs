//! Dials: by identity or by address alone, after a look-up where a user typed a name, and why they fail.
//!
//! Promises: every dial ends in `Connected` or `DialFailed`, under the addresses that the engine named.
//! Elsewhere: whom to dial and when (`engine::dial`), names (`net::names`), kinds of errors (`net::broken`), what a
//! failure means (`contract::reasons`).
//! Spec: `proto-notes/discovery.md`, "Dialling".

use std::time::Instant;

use libp2p::swarm::DialError;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId};

use super::super::broken::dial_failure;
use super::super::names;
use super::super::peers::Standing;
use super::{Dial, OTHER_PROGRAM, Task};
use crate::contract::{DialFailure, Stranger};
use crate::engine::NetFact;
use crate::types::Address;

/// A dial whose names are looked up.
#[derive(Debug)]
pub(super) struct Asked {
    peer: Option<PeerId>,
    /// As the engine named them.
    addresses: Vec<Address>,
    until: Instant,
}

impl Task {
    pub(super) fn dial(&mut self, peer: Option<PeerId>, addresses: Vec<Address>) {
        let names: Vec<Address> = addresses.iter().filter(|address| address.is_name()).cloned().collect();
        if !self.lasting.enabled {
            self.dial_failed(peer, addresses, DialFailure::NetworkOff, None);
        } else if names.is_empty() {
            self.dial_at(peer, addresses.clone(), addresses);
        } else {
            self.look_up(peer, addresses, names);
        }
    }

    /// Dials numeric addresses for those that the engine named.
    fn dial_at(&mut self, peer: Option<PeerId>, numeric: Vec<Address>, addresses: Vec<Address>) {
        let multiaddrs = numeric.iter().filter_map(|known| known.as_str().parse().ok());
        let multiaddrs: Vec<Multiaddr> = multiaddrs.collect();
        let Some(peer) = peer else {
            for address in multiaddrs {
                let opts = DialOpts::unknown_peer_id().address(address).allocate_new_port();
                self.dial_with(opts.build(), None, addresses.clone());
            }
            return;
        };
        if let Some(connected) = self.peers.get_mut(&peer) {
            match connected.standing {
                // Its outcome comes when identify has spoken.
                Standing::Unconfirmed => connected.wanted = true,
                Standing::Confirmed => self.dial_failed(Some(peer), addresses, DialFailure::AlreadyConnected, None),
                Standing::Foreign { stranger, .. } => self.met_stranger(peer, addresses, stranger),
            }
            return;
        }
        let opts = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(multiaddrs)
            .allocate_new_port();
        self.dial_with(opts.build(), Some(peer), addresses);
    }

    fn look_up(&mut self, peer: Option<PeerId>, addresses: Vec<Address>, names: Vec<Address>) {
        self.next_asked += 1;
        if !self.names.look_up(self.next_asked, names) {
            return self.dial_failed(peer, addresses, DialFailure::NamesBusy, None);
        }
        let until = Instant::now() + names::PATIENCE;
        let asked = Asked { peer, addresses, until };
        self.asked.insert(self.next_asked, asked);
    }

    pub(super) fn named(&mut self, answer: names::Answer) {
        // Nobody waits for one that came too late.
        let Some(Asked { peer, addresses, .. }) = self.asked.remove(&answer.id) else {
            return;
        };
        let mut numeric = answer.addresses;
        numeric.extend(addresses.iter().filter(|address| !address.is_name()).cloned());
        if numeric.is_empty() {
            self.dial_failed(peer, addresses, DialFailure::NoName, None);
        } else if self.lasting.enabled {
            self.dial_at(peer, numeric, addresses);
        } else {
            self.dial_failed(peer, addresses, DialFailure::NetworkOff, None);
        }
    }

    pub(super) fn give_up_names(&mut self, now: Instant) {
        let late = |asked: &Asked| asked.until <= now;
        let ids: Vec<u64> = self
            .asked
            .iter()
            .filter(|(_, asked)| late(asked))
            .map(|(id, _)| *id)
            .collect();
        for Asked { peer, addresses, .. } in ids.iter().filter_map(|id| self.asked.remove(id)).collect::<Vec<_>>() {
            let reason = DialFailure::NoNameInTime(names::PATIENCE.as_secs());
            self.dial_failed(peer, addresses, reason, None);
        }
    }

    fn dial_with(&mut self, opts: DialOpts, peer: Option<PeerId>, addresses: Vec<Address>) {
        let connection = opts.connection_id();
        match self.swarm.dial(opts) {
            Ok(()) => {
                self.dials.insert(connection, Dial { peer, addresses });
            }
            // An earlier dial of the same peer is under way: its outcome is this one's, too.
            Err(DialError::DialPeerConditionFalse(_)) => {}
            // libp2p leaves out what this node listens on itself; the engine forgets such an address.
            Err(DialError::NoAddresses) if peer.is_none() && !addresses.is_empty() => {
                self.dial_failed(Some(self.peer_id()), addresses, DialFailure::OwnKey, None);
            }
            Err(error) => self.dial_failed(peer, addresses, why_failed(&error), None),
        }
    }

    pub(in crate::net) fn dial_failed(
        &mut self,
        peer: Option<PeerId>,
        addresses: Vec<Address>,
        reason: DialFailure,
        stranger: Option<Stranger>,
    ) {
        self.outbox.keep(NetFact::DialFailed {
            peer,
            addresses,
            reason,
            stranger,
        });
    }

    /// Somebody is dialled again who is known as a stranger and still connected.
    pub(in crate::net) fn met_stranger(&mut self, peer: PeerId, addresses: Vec<Address>, stranger: Stranger) {
        let reason = match stranger {
            Stranger::Network => "of another network",
            Stranger::Program => OTHER_PROGRAM,
        };
        let reason = DialFailure::Foreign(reason.to_owned());
        self.dial_failed(Some(peer), addresses, reason, Some(stranger));
    }
}

/// Why a dial failed.
pub(super) fn why_failed(error: &DialError) -> DialFailure {
    match error {
        DialError::LocalPeerId { .. } => DialFailure::OwnKey,
        DialError::NoAddresses => DialFailure::NoAddress,
        DialError::WrongPeerId { obtained, .. } => DialFailure::OtherKey(*obtained),
        DialError::Denied { cause } => DialFailure::Denied(cause.to_string()),
        DialError::Transport(errors) => errors
            .first()
            .map_or(DialFailure::NothingTried, |(_, error)| dial_failure(error)),
        DialError::DialPeerConditionFalse(_) => DialFailure::UnderWay,
        DialError::Aborted => DialFailure::GivenUp,
    }
}
