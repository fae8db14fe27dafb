//! Dials: by identity or by address alone, after a look-up if the user typed a name, and why they fail.
//!
//! Promises: every dial ends in `Connected` or `DialFailed`, with the addresses that the engine gave.
//! Elsewhere: which peer to dial and when (`engine::parts::dial`), names (`net::names`), kinds of errors (`net::broken`), the
//! meaning of a failure (`contract::reasons`).
//! Spec: `proto-notes/discovery.md`, "Dialling".

use std::time::Instant;

use libp2p::swarm::DialError;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId};

use super::super::broken::dial_failure;
use super::super::names;
use super::super::peers::Membership;
use super::{NetTask, OTHER_PROGRAM, RunningDial};
use crate::contract::{DialFailure, Stranger};
use crate::engine::NetFact;
use crate::types::Address;

/// A dial that waits for a name look-up.
#[derive(Debug)]
pub(super) struct AwaitedNames {
    peer: Option<PeerId>,
    /// The addresses that the engine gave.
    addresses: Vec<Address>,
    until: Instant,
}

impl NetTask {
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

    /// Dials numeric addresses; `addresses` are those that the engine gave for them.
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
            match connected.membership {
                // The outcome is reported once identify has answered.
                Membership::Unconfirmed => connected.wanted = true,
                Membership::Confirmed => self.dial_failed(Some(peer), addresses, DialFailure::AlreadyConnected, None),
                Membership::Foreign { stranger, .. } => self.met_stranger(peer, addresses, stranger),
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
        let asked = AwaitedNames { peer, addresses, until };
        self.asked.insert(self.next_asked, asked);
    }

    pub(super) fn named(&mut self, answer: names::Answer) {
        // The answer came too late, and nothing waits for it any more.
        let Some(AwaitedNames { peer, addresses, .. }) = self.asked.remove(&answer.id) else {
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
        let late = |asked: &AwaitedNames| asked.until <= now;
        let ids: Vec<u64> = self
            .asked
            .iter()
            .filter(|(_, asked)| late(asked))
            .map(|(id, _)| *id)
            .collect();
        for AwaitedNames { peer, addresses, .. } in
            ids.iter().filter_map(|id| self.asked.remove(id)).collect::<Vec<_>>()
        {
            let reason = DialFailure::NoNameInTime(names::PATIENCE.as_secs());
            self.dial_failed(peer, addresses, reason, None);
        }
    }

    fn dial_with(&mut self, opts: DialOpts, peer: Option<PeerId>, addresses: Vec<Address>) {
        let connection = opts.connection_id();
        match self.swarm.dial(opts) {
            Ok(()) => {
                self.dials.insert(connection, RunningDial { peer, addresses });
            }
            // An earlier dial of the same peer is under way, and its outcome is also the outcome of this one.
            Err(DialError::DialPeerConditionFalse(_)) => {}
            // libp2p leaves out addresses on which this node itself listens; the engine then forgets such an address.
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

    /// Reports the outcome of a dial to a peer that is already connected and known to be a stranger.
    pub(in crate::net) fn met_stranger(&mut self, peer: PeerId, addresses: Vec<Address>, stranger: Stranger) {
        let reason = match stranger {
            Stranger::Network => "of another network",
            Stranger::Program => OTHER_PROGRAM,
        };
        let reason = DialFailure::Foreign(reason.to_owned());
        self.dial_failed(Some(peer), addresses, reason, Some(stranger));
    }
}

/// Converts the swarm's error of a failed dial.
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
