//! Routes facts and orders between the engine and two of its parts: the dial manager and the exchange of peers.
//!
//! Elsewhere: what the parts decide (`engine::parts::dial`, `engine::parts::exchange`).

use super::config::Config;
use super::io::NetOrder;
use super::machine::{Engine, Question};
use super::parts::dial::Dialer;
use super::parts::standing::Fault;
use super::parts::{dial, exchange};
use crate::chain::ChainStore;
use crate::contract::{Event, FoundBy};
use crate::types::{Address, PeerId, Time};
use crate::wire::{Request, Response, ToldPeer};

impl<S: ChainStore> Engine<S> {
    /// A peer asks for others.
    pub(super) fn on_peers_asked(&mut self, token: u64, peer: PeerId) {
        self.peers.dialer.handle(self.clock.now(), dial::Fact::Asked(peer));
        let response = match self.peers.exchange.answer(self.clock.now(), peer) {
            Some(list) => Response::Peers(list),
            None => {
                self.punish(peer, Fault::Limit, "too many requests");
                Response::Busy
            }
        };
        self.out.announce(NetOrder::Answer { token, response });
    }

    /// A peer told of others.
    pub(super) fn on_peers_told(&mut self, peer: PeerId, list: Vec<ToldPeer>) {
        let fact = exchange::Fact::Answered {
            peer,
            list,
            own: self.peers.links.addresses().to_vec(),
            networks: self.peers.links.networks().to_vec(),
        };
        self.peers.exchange.handle(self.clock.now(), fact);
    }

    /// What a peer would be answered.
    #[cfg(test)]
    pub(super) fn peers_told(&mut self, peer: PeerId) -> Option<Vec<ToldPeer>> {
        self.peers.exchange.answer(self.clock.now(), peer)
    }

    /// A peer tells of others.
    #[cfg(test)]
    pub(super) fn tell_peers(&mut self, peer: PeerId, list: Vec<ToldPeer>) {
        self.on_peers_told(peer, list);
    }

    pub(super) fn no_peers_told(&mut self, peer: PeerId) {
        self.peers
            .exchange
            .handle(self.clock.now(), exchange::Fact::Failed(peer));
    }

    pub(super) fn pump_exchange(&mut self) {
        let own_links = self.peers.dialer.own_links();
        self.peers
            .exchange
            .handle(self.clock.now(), exchange::Fact::Tick { own_links });
        while let Some(order) = self.peers.exchange.poll_output() {
            match order {
                exchange::Order::Ask(peer) if self.peers.requests.is_free(self.clock.now(), &peer) => {
                    self.ask(peer, Question::Peers, Request::GetPeers, None);
                }
                exchange::Order::Ask(peer) => self
                    .peers
                    .exchange
                    .handle(self.clock.now(), exchange::Fact::Postponed(peer)),
                exchange::Order::Twin(address) => self.look_for_told_twin(address),
                exchange::Order::Told {
                    teller,
                    peer,
                    addresses,
                } => self.told_of(teller, peer, addresses),
            }
        }
    }

    pub(super) fn told_of(&mut self, teller: PeerId, peer: PeerId, addresses: Vec<Address>) {
        let Some(first) = addresses.first().cloned() else {
            return;
        };
        if !self.mode.net
            || self.peers.standing.is_banned(self.clock.now(), &peer)
            || self.peers.dialer.found_by(&peer).is_some()
        {
            return;
        }
        let teller = self.voice_of(&teller);
        let told = dial::Fact::Told {
            teller,
            peer,
            addresses,
        };
        self.peers.dialer.handle(self.clock.now(), told);
        if self.peers.dialer.found_by(&peer).is_some() {
            self.out.event(Event::PeerFound {
                peer_id: peer.to_string(),
                address: first.with_peer(&peer),
                found_by: FoundBy::Told,
            });
        }
    }

    /// How many links this node opened itself.
    #[must_use]
    pub fn own_links(&self) -> usize {
        self.peers.dialer.own_links()
    }

    pub(super) fn pump_dials(&mut self) {
        if !self.mode.net || self.mode.stopping || !self.mode.started {
            return;
        }
        let fetching = self.sync.fetched_from();
        self.peers
            .dialer
            .handle(self.clock.now(), dial::Fact::Tick { fetching });
        while let Some(order) = self.peers.dialer.poll_output() {
            self.out.order(match order {
                dial::Order::Dial { peer, addresses } => NetOrder::Dial { peer, addresses },
                dial::Order::Close(peer) => NetOrder::Disconnect { peer },
            });
        }
    }
}

/// What a start names: the user's peers, then those of earlier runs.
pub(super) fn first_candidates(
    mut dialer: Dialer,
    now: Time,
    config: &Config,
    remembered: &[(PeerId, Vec<Address>)],
) -> Dialer {
    let found = |peer: PeerId, address: &Address, by| dial::Fact::Found {
        peer,
        address: address.clone(),
        by,
        from: None,
    };
    for (address, peer) in &config.manual_peers {
        let fact = peer.map(|peer| found(peer, address, FoundBy::Manual));
        dialer.handle(now, fact.unwrap_or_else(|| dial::Fact::Typed(address.clone())));
    }
    for (peer, addresses) in remembered {
        // Names are for users to type anew.
        for address in addresses.iter().filter(|address| !address.is_name()) {
            dialer.handle(now, found(*peer, address, FoundBy::Remembered));
        }
    }
    dialer
}
