//! Dials: by identity or by address alone, after a look-up where a user typed a name, and why they fail.
//!
//! Promises: every dial ends in `Connected` or `DialFailed`, under the addresses that the engine named.
//! Elsewhere: whom to dial and when (`engine::dial`), names (`net::names`), what a reason means (`contract::reasons`).
//! Spec: `proto-notes/discovery.md`, "Dialling".

use std::time::Instant;

use libp2p::swarm::DialError;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId};

use super::super::names;
use super::super::peers::Standing;
use super::{Dial, IT_IS_US, OTHER_PROGRAM, Task};
use crate::contract::Stranger;
use crate::contract::reasons::{CLOSED, NO_NAME, NO_ROUTE, OTHER_KEY, REFUSED, SILENCE};
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
            self.dial_failed(peer, addresses, "the network is off".into(), None);
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
                Standing::Confirmed => self.dial_failed(Some(peer), addresses, "already connected".into(), None),
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
            let reason = format!("{NO_NAME} yet: other names are still looked up");
            return self.dial_failed(peer, addresses, reason, None);
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
            self.dial_failed(peer, addresses, NO_NAME.into(), None);
        } else if self.lasting.enabled {
            self.dial_at(peer, numeric, addresses);
        } else {
            self.dial_failed(peer, addresses, "the network is off".into(), None);
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
            let reason = format!("{NO_NAME} within {} s", names::PATIENCE.as_secs());
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
                self.dial_failed(Some(self.peer_id()), addresses, IT_IS_US.into(), None);
            }
            Err(error) => self.dial_failed(peer, addresses, dial_reason(&error), None),
        }
    }

    pub(in crate::net) fn dial_failed(
        &mut self,
        peer: Option<PeerId>,
        addresses: Vec<Address>,
        reason: String,
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
        self.dial_failed(Some(peer), addresses, reason.into(), Some(stranger));
    }
}

/// Why a dial failed, in a few words.
pub(super) fn dial_reason(error: &DialError) -> String {
    match error {
        DialError::LocalPeerId { .. } => IT_IS_US.into(),
        DialError::NoAddresses => "no address is known".into(),
        DialError::WrongPeerId { obtained, .. } => format!("{OTHER_KEY}: {obtained}"),
        DialError::Denied { cause } => format!("refused by this node: {cause}"),
        DialError::Transport(errors) => errors
            .iter()
            .map(|(_, error)| transport_reason(error))
            .next()
            .unwrap_or_else(|| "no address could be tried".into()),
        DialError::DialPeerConditionFalse(_) => "a dial is under way".into(),
        DialError::Aborted => "given up".into(),
    }
}

/// What the system's words mean; on Windows, where they are in the user's language, its numbers.
const WORDS: [(&str, &str); 13] = [
    ("refused", REFUSED),
    ("os error 10061", REFUSED),
    ("No route to host", NO_ROUTE),
    ("unreachable", NO_ROUTE),
    ("os error 10051", NO_ROUTE),
    ("os error 10065", NO_ROUTE),
    ("reset by peer", CLOSED),
    ("os error 10054", CLOSED),
    ("end of file", CLOSED),
    ("Broken pipe", CLOSED),
    ("timed out", SILENCE),
    ("os error 10060", SILENCE),
    // The library's words for a dial that nobody answers.
    ("Timeout has been reached", SILENCE),
];

/// The kinds of errors are lost on the way here, only their words come through.
fn transport_reason(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    let known = WORDS.iter().find(|(words, _)| text.contains(words));
    known.map_or(text.clone(), |(_, reason)| (*reason).to_owned())
}
