//! Connections: who is found, connected, gone, or not reached, and two nodes that use one key.
//!
//! Elsewhere: whom to dial (`parts::dial`), what connected peers say of themselves (`statuses`).
//! Spec: `proto-notes/discovery.md`.

use core::net::IpAddr;

use super::io::NetOrder;
use super::machine::Engine;
use super::parts::pools::Fact;
use super::parts::remembered::{Placement, Reason};
use super::parts::runs::Happened;
use super::parts::{dial, exchange};
use crate::chain::ChainStore;
use crate::contract::{DialFailure, Direction, DisconnectReason, Event, FoundBy, Reply, Stranger};
use crate::types::{Address, PeerId};

/// How long `started` waits for one more address: the interfaces are told one by one, within a few milliseconds.
const START_SETTLE_MS: u64 = 30;
/// Why an own link ended that was one too many, for people.
const MAKES_ROOM: &str = "it makes room for another neighbour";

impl<S: ChainStore> Engine<S> {
    /// Whether a link is being closed to make room for another neighbour, and not for anything that the peer did.
    pub fn makes_room(&self, peer: &PeerId) -> bool {
        self.peers.dialer.is_leaving(peer)
    }

    /// The node can be reached here now.
    pub(super) fn on_listening(&mut self, address: Address) {
        if self.peers.links.listens(address) {
            self.peers.dialer.handle(self.clock.now(), dial::Fact::Reset);
            self.mode.start_by = self.after(START_SETTLE_MS);
        }
    }

    pub(super) fn on_peer_found(&mut self, peer: PeerId, address: Address, (by, from): (FoundBy, Option<IpAddr>)) {
        if peer == self.node.peer_id && by == FoundBy::Sibling {
            // Another folder of this machine with a copy of our key, and it is running.
            self.note_same_key(None);
        }
        if peer != self.node.peer_id {
            self.notices.seen.found(self.clock.now(), by);
        } else if by == FoundBy::Mdns {
            self.look_for_twin(address);
            return;
        }
        if !self.mode.net || peer == self.node.peer_id || self.peers.standing.is_banned(self.clock.now(), &peer) {
            return;
        }
        let was_known = self.peers.dialer.found_by(&peer).is_some();
        if by == FoundBy::Inbound {
            self.confirm(peer, &address, Direction::In);
        }
        let found = dial::Fact::Found {
            peer,
            address: address.clone(),
            by,
            from,
        };
        self.peers.dialer.handle(self.clock.now(), found);
        let is_news = !was_known && by != FoundBy::Inbound && self.peers.dialer.found_by(&peer).is_some();
        if is_news {
            self.out.event(Event::PeerFound {
                peer_id: peer.to_string(),
                address: address.with_peer(&peer),
                found_by: by,
            });
        }
    }

    /// A connected peer is reached at this address: others may be told of it.
    fn confirm(&mut self, peer: PeerId, address: &Address, direction: Direction) {
        let fact = exchange::Fact::Confirmed {
            peer,
            address: address.clone(),
            direction,
        };
        self.peers.exchange.handle(self.clock.now(), fact);
    }

    pub(super) fn on_connected(&mut self, peer: PeerId, address: Address, direction: Direction) {
        if peer == self.node.peer_id {
            self.note_same_key(Some(&address));
        }
        self.notices.seen.connected(&peer, &address);
        let connected = dial::Fact::Connected {
            peer,
            address: address.clone(),
            direction,
        };
        self.peers.dialer.handle(self.clock.now(), connected);
        let named = self.peers.dialer.found_by(&peer);
        if direction == Direction::Out {
            self.confirm(peer, &address, direction);
        }
        if peer == self.node.peer_id || self.peers.standing.is_banned(self.clock.now(), &peer) {
            self.out.order(NetOrder::Disconnect { peer });
            return;
        }
        if self.peers.links.get(&peer).is_some() {
            return self.on_moved(peer, address, direction);
        }
        let found_by = match (named, direction) {
            (Some(by), _) => by,
            (None, Direction::In) => FoundBy::Inbound,
            (None, Direction::Out) => FoundBy::Manual,
        };
        if found_by == FoundBy::Manual {
            self.out.order(NetOrder::Protect { peer });
        }
        self.runs.handle(Happened::Connected(peer, &address));
        self.peers.standing.connected(self.clock.now(), peer);
        self.peers.requests.connected(self.clock.now(), peer);
        self.sync.sources.connected(self.clock.now(), peer);
        self.peers
            .links
            .connected(self.clock.now(), peer, (address, direction, found_by));
        self.send_status(peer);
    }

    /// A connected peer came back from elsewhere: where it was leads nowhere.
    fn on_moved(&mut self, id: PeerId, address: Address, direction: Direction) {
        let Some(before) = self.peers.links.moved(&id, address.clone(), direction) else {
            return;
        };
        let left = dial::Fact::Left {
            peer: id,
            address: before.clone(),
        };
        self.peers.dialer.handle(self.clock.now(), left);
        self.peers.exchange.handle(
            self.clock.now(),
            exchange::Fact::Left {
                peer: id,
                address: before,
                to: address.clone(),
            },
        );
        self.remember(id, address, direction);
    }

    /// Another machine announces this node's own identity. Anybody can say so: whoever answers there with the key is one.
    fn look_for_twin(&mut self, address: Address) {
        if self.mode.net && self.notices.twins.seek(self.clock.now()) {
            let addresses = vec![address];
            self.out.order(NetOrder::Dial { peer: None, addresses });
        }
    }

    /// A neighbour says so.
    pub(super) fn look_for_told_twin(&mut self, address: Address) {
        if self.mode.net && self.notices.twins.seek_told(self.clock.now(), &address) {
            let addresses = vec![address];
            self.out.order(NetOrder::Dial { peer: None, addresses });
        }
    }

    /// Two nodes with one key sign over each other's sequence numbers, and each hides the other from the network.
    fn note_same_key(&mut self, place: Option<&Address>) {
        if self.notices.twins.found(place) {
            let place = place.map_or("another node on this machine", Address::as_str);
            let message = format!(
                "another node uses this node's key ({place}): payments of one are refused at the other, and neighbours keep only one of them. \
                 Stop one, and start it in an empty folder with --data-dir DIR"
            );
            self.out.warn("same_key", message);
        }
    }

    /// A dialled address answered with this node's own key: it is our own address, or a clone's.
    fn on_self_dialled(&mut self, addresses: &[Address]) {
        let clone = addresses
            .iter()
            .find(|address| !self.peers.links.addresses().contains(address));
        let reason = match clone {
            Some(address) => {
                self.note_same_key(Some(address));
                "another node with this node's own key answers there"
            }
            None => "this is the node's own address",
        };
        for address in addresses {
            let fact = dial::Fact::ForgetAddress(address.clone());
            self.peers.dialer.handle(self.clock.now(), fact);
        }
        self.runs.handle(Happened::DialFailed {
            peer: None,
            addresses,
            reason,
            is_final: true,
        });
    }

    pub(super) fn on_disconnected(&mut self, id: PeerId, reason: DisconnectReason) {
        let makes_room = self.peers.dialer.is_leaving(&id);
        self.peers.dialer.handle(self.clock.now(), dial::Fact::Disconnected(id));
        self.peers
            .exchange
            .handle(self.clock.now(), exchange::Fact::Disconnected(id));
        self.peers.standing.gone(&id);
        self.sync.sources.gone(&id);
        self.notices.tips.gone(&id);
        let Some(peer) = self.peers.links.gone(&id) else { return };
        for request in self.peers.requests.gone(&id) {
            self.on_response(request, id, None);
        }
        self.sync_lost(id);
        self.tell_pools(Fact::Gone { peer: id });
        if peer.status.is_some() {
            self.out.event(Event::PeerDisconnected {
                peer_id: id.to_string(),
                name_taken: peer.name().is_some_and(|name| self.is_name_taken(&id, &name)),
                name: peer.name(),
                reason: if makes_room { MAKES_ROOM.into() } else { reason },
            });
            if self.peers.links.known().next().is_none() {
                self.notices.alone.left(self.clock.now());
            }
        }
    }

    pub(super) fn on_dial_failed(
        &mut self,
        peer: Option<PeerId>,
        addresses: &[Address],
        reason: &DialFailure,
        stranger: Option<Stranger>,
    ) {
        if peer == Some(self.node.peer_id) {
            return self.on_self_dialled(addresses);
        }
        if let Some(id) = peer.filter(|id| self.peers.links.get(id).is_some() && stranger.is_none()) {
            return self.on_known_dialled(id, addresses);
        }
        let failed = dial::Fact::Failed {
            peer,
            addresses: addresses.to_vec(),
            other_network: stranger.is_some(),
        };
        self.peers.dialer.handle(self.clock.now(), failed);
        self.notices
            .seen
            .failed(self.clock.now(), peer, addresses.first(), (reason, stranger));
        self.runs.handle(Happened::DialFailed {
            peer,
            addresses,
            reason: &reason.to_string(),
            is_final: stranger.is_some(),
        });
    }

    /// Who answered there is connected already: as good as a new connection for whoever asked for the address.
    fn on_known_dialled(&mut self, id: PeerId, addresses: &[Address]) {
        for address in addresses {
            let connected = dial::Fact::Connected {
                peer: id,
                address: address.clone(),
                direction: Direction::Out,
            };
            self.peers.dialer.handle(self.clock.now(), connected);
        }
        self.runs.handle(Happened::Known(id, addresses));
    }

    /// Keeps a peer's address for the next start.
    pub(super) fn remember(&mut self, id: PeerId, address: Address, direction: Direction) {
        if self.mode.read_only {
            return;
        }
        let reason = match (self.peers.dialer.found_by(&id), direction) {
            (Some(FoundBy::Manual), _) => Reason::Named,
            (_, Direction::Out) => Reason::Dialled,
            (_, Direction::In) => Reason::Called,
        };
        let dialer = &self.peers.dialer;
        match self.peers.remembered.add(id, reason, |peer| dialer.is_gone(peer)) {
            Placement::Kept => {}
            Placement::InPlaceOf(gone) => self.chain.remember_peer(gone, None),
            Placement::Refused => return,
        }
        let mut addresses = vec![address];
        for known in self.peers.dialer.addresses(&id) {
            if !addresses.contains(known) && addresses.len() < dial::ADDRESSES_MAX {
                addresses.push(known.clone());
            }
        }
        self.chain.remember_peer(id, Some(addresses));
    }

    /// `net on` and `net off`: the cable, as far as this node goes.
    pub(super) fn set_net(&mut self, on: bool) -> Reply {
        if self.mode.net != on {
            if !on {
                // What is gathered leaves while there is somebody to hear it.
                self.publish_before_silence();
            }
            self.mode.net = on;
            self.peers
                .dialer
                .handle(self.clock.now(), dial::Fact::Enable(on && !self.mode.no_network));
            self.out.order(NetOrder::Enable(on));
            if !on {
                self.peers.links.listens_nowhere();
            }
        }
        Reply::Net { net: on }
    }
}
