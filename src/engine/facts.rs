//! Connections: who is there, the status exchange, warnings that hang on peers, and the dial manager's orders.
//!
//! Spec: `proto-notes/sync.md`, "Messages"; `proto-notes/discovery.md`.

use core::net::IpAddr;

use super::io::NetOrder;
use super::machine::{Engine, Question};
use super::out::Shown;
use super::peers::{Consequence, Fault, Peer, SCORE_BAN};
use super::pools::Fact;
use super::remembered::{Outcome, Reason};
use super::runs::Happened;
use super::{dial, exchange};
use crate::chain::ChainStore;
use crate::contract::{DialFailure, Direction, DisconnectReason, Event, FoundBy, NameStanding, Stranger};
use crate::types::{Address, PeerId, Time, Work, count};
use crate::wire::{self, Request};

/// Status goes out this often, and up to a second later.
const STATUS_EVERY_MS: u64 = 10_000;
/// On change at most this often to one peer.
const STATUS_CHANGE_MS: u64 = 1_000;
/// A tip that stands still for so many spacings while peers claim more work is stale: by chance a gap of ten spacings
/// comes once in 22,000 blocks.
const STALE_SPACINGS: u64 = 10;
/// Peers that are asked where they stand when the tip is stale.
const STALE_ASKED: usize = 2;
/// The shortest time between two looks whether another machine has this node's key.
const TWIN_AGAIN_MS: u64 = 60_000;
/// How long `started` waits for one more address: the interfaces are told one by one, within a few milliseconds.
const START_SETTLE_MS: u64 = 30;
/// Own addresses that are shown and told.
const OWN_ADDRESSES_MAX: usize = 64;
/// How long after a warning about being alone the next one comes, if that is still so: ever more rarely.
const ALONE_AGAIN_MS: [u64; 2] = [5 * 60_000, 30 * 60_000];
/// The later ones.
const ALONE_LATER_MS: u64 = 2 * 3_600_000;
/// Why an own link ended that was one too many, for people.
const MAKES_ROOM: &str = "it makes room for another neighbour";

impl<S: ChainStore> Engine<S> {
    /// Whether a link is being closed to make room for another neighbour, and not for anything that the peer did.
    pub fn makes_room(&self, peer: &PeerId) -> bool {
        self.dialer.is_leaving(peer)
    }

    /// The node can be reached here now.
    pub(super) fn on_listening(&mut self, address: Address) {
        if !self.addresses.contains(&address) && self.addresses.len() < OWN_ADDRESSES_MAX {
            self.addresses.push(address);
            // Stable, so in the order of the interfaces; the loopback's helps only nodes of this machine.
            self.addresses.sort_by_key(Address::is_loopback);
            self.dialer.handle(self.now, dial::Fact::Reset);
            self.start_by = self.after(START_SETTLE_MS);
        }
    }

    pub(super) fn on_peer_found(&mut self, peer: PeerId, address: Address, (by, from): (FoundBy, Option<IpAddr>)) {
        if peer == self.peer_id && by == FoundBy::Sibling {
            // Another folder of this machine with a copy of our key, and it is running.
            self.note_same_key("another node on this machine");
        }
        if peer != self.peer_id {
            self.seen.found(self.now, by);
        } else if by == FoundBy::Mdns {
            self.look_for_twin(address);
            return;
        }
        if !self.net || peer == self.peer_id || self.peers.is_banned(self.now, &peer) {
            return;
        }
        let was_known = self.dialer.found_by(&peer).is_some();
        if by == FoundBy::Inbound {
            self.confirm(peer, &address, Direction::In);
        }
        let found = dial::Fact::Found {
            peer,
            address: address.clone(),
            by,
            from,
        };
        self.dialer.handle(self.now, found);
        let is_news = !was_known && by != FoundBy::Inbound && self.dialer.found_by(&peer).is_some();
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
        self.exchange.handle(self.now, fact);
    }

    pub(super) fn on_connected(&mut self, peer: PeerId, address: Address, direction: Direction) {
        if peer == self.peer_id {
            self.note_same_key(address.as_str());
        }
        self.seen.connected(&peer, &address);
        let connected = dial::Fact::Connected {
            peer,
            address: address.clone(),
            direction,
        };
        self.dialer.handle(self.now, connected);
        let named = self.dialer.found_by(&peer);
        if direction == Direction::Out {
            self.confirm(peer, &address, direction);
        }
        if peer == self.peer_id || self.peers.is_banned(self.now, &peer) {
            self.out.order(NetOrder::Disconnect { peer });
            return;
        }
        if self.peers.get(&peer).is_some() {
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
        self.peers
            .insert(peer, Peer::new(self.now, address, direction, found_by));
        self.send_status(peer);
    }

    /// A connected peer came back from elsewhere: where it was leads nowhere.
    fn on_moved(&mut self, id: PeerId, address: Address, direction: Direction) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let before = core::mem::replace(&mut peer.address, address.clone());
        peer.direction = direction;
        if before.ip() == address.ip() {
            return;
        }
        let left = dial::Fact::Left {
            peer: id,
            address: before.clone(),
        };
        self.dialer.handle(self.now, left);
        self.exchange.handle(
            self.now,
            exchange::Fact::Left {
                peer: id,
                address: before,
            },
        );
        self.remember(id, address, direction);
    }

    /// Another machine announces this node's own identity. Anybody can say so: whoever answers there with the key is one.
    fn look_for_twin(&mut self, address: Address) {
        if self.twins.warned || self.twins.sought.is_some_and(|at| self.now.since(at) < TWIN_AGAIN_MS) || !self.net {
            return;
        }
        self.twins.sought = Some(self.now);
        let addresses = vec![address];
        self.out.order(NetOrder::Dial { peer: None, addresses });
    }

    /// Two nodes with one key sign over each other's sequence numbers, and each hides the other from the network.
    fn note_same_key(&mut self, place: &str) {
        if !self.twins.warned {
            self.twins.warned = true;
            let message = format!(
                "another node uses this node's key ({place}): payments of one are refused at the other, and neighbours keep only one of them. \
                 Stop one, and start it in an empty folder with --data-dir DIR"
            );
            self.out.warn("same_key", message);
        }
    }

    /// A dialled address answered with this node's own key: it is our own address, or a clone's.
    fn on_self_dialled(&mut self, addresses: &[Address]) {
        let clone = addresses.iter().find(|address| !self.addresses.contains(address));
        let reason = match clone {
            Some(address) => {
                self.note_same_key(address.as_str());
                "another node with this node's own key answers there"
            }
            None => "this is the node's own address",
        };
        for address in addresses {
            let fact = dial::Fact::ForgetAddress(address.clone());
            self.dialer.handle(self.now, fact);
        }
        self.runs.handle(Happened::DialFailed {
            peer: None,
            addresses,
            reason,
            is_final: true,
        });
    }

    pub(super) fn on_disconnected(&mut self, id: PeerId, reason: DisconnectReason) {
        let makes_room = self.dialer.is_leaving(&id);
        self.dialer.handle(self.now, dial::Fact::Disconnected(id));
        self.exchange.handle(self.now, exchange::Fact::Disconnected(id));
        let Some(peer) = self.peers.remove(&id) else { return };
        let gone: Vec<u64> = self.requests.to(&id).map(|(request, _)| *request).collect();
        for request in gone {
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
            if self.peers.known().next().is_none() {
                // The last of them: that is told if it stays so.
                self.alone_told = 1;
                self.alone_at = Some(self.after(ALONE_AGAIN_MS[0]));
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
        if peer == Some(self.peer_id) {
            return self.on_self_dialled(addresses);
        }
        if let Some(id) = peer.filter(|id| self.peers.get(id).is_some() && stranger.is_none()) {
            return self.on_known_dialled(id, addresses);
        }
        let failed = dial::Fact::Failed {
            peer,
            addresses: addresses.to_vec(),
            other_network: stranger.is_some(),
        };
        self.dialer.handle(self.now, failed);
        self.seen.failed(self.now, peer, addresses.first(), (reason, stranger));
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
            self.dialer.handle(self.now, connected);
        }
        self.runs.handle(Happened::Known(id, addresses));
    }

    /// What this node says of itself.
    pub(super) fn own_status(&self) -> wire::Status {
        let shown = self.out.shown(self.present());
        wire::Status {
            tip: *shown.tip.as_bytes(),
            height: shown.height.get(),
            work: shown.work.to_be_bytes(),
            name: self
                .config
                .name
                .as_ref()
                .map_or_else(String::new, |name| name.as_str().to_owned()),
            clock_ms: self.clock.told(self.now).ms(),
            instance: self.config.instance,
            pool_count: shown.pool_count,
            pool_digest: shown.pool_digest,
        }
    }

    /// Tip and pool as they are now.
    pub(super) fn present(&self) -> Shown {
        let tip = self.chain.tip();
        Shown {
            tip: tip.hash,
            height: tip.header.height,
            work: tip.work,
            pool_count: u32::try_from(self.pool.len()).unwrap_or(u32::MAX),
            pool_digest: self.pool.digest(),
        }
    }

    /// The tip is new: patience with it begins anew.
    pub(super) fn tip_moved(&mut self) {
        self.stale_at = self.after(self.stale_ms());
        self.stale_warned = false;
    }

    const fn stale_ms(&self) -> u64 {
        self.chain.params().spacing_ms.saturating_mul(STALE_SPACINGS)
    }

    /// No new block for a long time although peers claim more work: others are asked, more are dialled, the user hears
    /// of it.
    fn check_stale(&mut self) {
        if self.stale_at > self.now {
            return;
        }
        self.stale_at = self.after(self.stale_ms());
        let own = self.chain.tip().work;
        let work = |peer: &Peer| peer.status.as_ref().map(|status| Work::from_be_bytes(status.work));
        let ahead = |peer: &Peer| work(peer).is_some_and(|work| work > own);
        if !self.takes_blocks() || !self.peers.known().any(|(_, peer)| ahead(peer)) {
            return;
        }
        let mut others: Vec<PeerId> = self.peers.known().map(|(id, _)| *id).collect();
        for _ in 0..STALE_ASKED {
            let choice = self.rng.below(count(others.len()));
            if let Some(at) = usize::try_from(choice).ok().filter(|at| *at < others.len()) {
                let id = others.swap_remove(at);
                self.send_status(id);
            }
        }
        self.dialer.handle(self.now, dial::Fact::Reset);
        if !core::mem::replace(&mut self.stale_warned, true) {
            self.out.warn(
                "stale_tip",
                "peers claim more work, but none of them has shown it for a long time; `peers` shows who claims what"
                    .to_owned(),
            );
        }
    }

    pub(super) fn send_status(&mut self, id: PeerId) {
        let jitter = self.rng.below(1_000);
        let next = self.after(STATUS_EVERY_MS + jitter);
        let now = self.now;
        match self.peers.get_mut(&id) {
            Some(peer) if !peer.status_asked => {
                peer.status_asked = true;
                peer.stale = false;
                peer.last_status = now;
                peer.next_status = next;
            }
            Some(_) | None => return,
        }
        let status = self.own_status();
        self.ask(id, Question::Status, Request::Status(status), None);
    }

    /// A peer asked for the status: it hears of this node by the answer, and said what an answer of its own would say.
    pub(super) fn status_was_asked(&mut self, id: PeerId) {
        let jitter = self.rng.below(1_000);
        let next = self.after(STATUS_EVERY_MS + jitter);
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.was_asked(next);
        }
    }

    /// When the next status to a peer is due.
    pub(super) fn status_due(&self, peer: &Peer) -> Time {
        if peer.status_asked {
            // The answer comes first, or the network says that none will.
            Time::from_ms(u64::MAX)
        } else if peer.stale {
            peer.next_status
                .min(Time::from_ms(peer.last_status.ms().saturating_add(STATUS_CHANGE_MS)))
        } else {
            peer.next_status
        }
    }

    pub(super) fn pump_status(&mut self) {
        let due: Vec<PeerId> = self
            .peers
            .iter()
            .filter(|(_, peer)| self.status_due(peer) <= self.now)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.send_status(id);
        }
    }

    /// Tip or pool changed: every peer hears of it within a second or so.
    pub(super) fn status_changed(&mut self) {
        self.peers.iter_mut().for_each(|(_, peer)| peer.stale = true);
    }

    /// A peer said where it stands.
    pub(super) fn take_status(&mut self, id: PeerId, status: wire::Status) {
        let own_clock = self.clock.own(self.now).ms().cast_signed();
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let clock_ms = status.clock_ms;
        let first = peer.status.is_none();
        let direction = peer.direction;
        let twins = peer.heard_instance(status.instance);
        peer.clock_ahead_ms = Some(status.clock_ms.cast_signed().saturating_sub(own_clock));
        let (count, digest) = (status.pool_count, status.pool_digest);
        peer.status = Some(status);
        if self.is_chosen_clock(&id) {
            self.clock.heard_chosen(self.now, Time::from_ms(clock_ms));
        }
        if !first {
            self.check_peer_name(id);
        }
        let called = self.called(&id);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.called.clone_from(&called);
        let address = peer.address.clone();
        let event = first.then(|| Event::PeerConnected {
            peer_id: id.to_string(),
            name_taken: matches!(called, Some((_, NameStanding::Taken))),
            name: called.map(|(name, _)| name),
            address: peer.address.with_peer(&id),
            direction: peer.direction,
            found_by: peer.found_by,
        });
        if twins {
            let place = address.as_str();
            let message = format!(
                "two nodes use the key of {id} ({place}): stop one of them, and start it in an empty folder with --data-dir DIR"
            );
            self.out.warn("same_key", message);
        }
        self.tell_pools(Fact::Status {
            peer: id,
            count,
            digest,
        });
        let Some(event) = event else { return };
        self.out.event(event);
        self.dialer.handle(self.now, dial::Fact::Exchanged(id));
        self.exchange.handle(self.now, exchange::Fact::Exchanged(id));
        self.remember(id, address, direction);
        self.alone_at = None;
        self.alone_told = 0;
    }

    /// Keeps a peer's address for the next start.
    fn remember(&mut self, id: PeerId, address: Address, direction: Direction) {
        if self.read_only {
            return;
        }
        let reason = match (self.dialer.found_by(&id), direction) {
            (Some(FoundBy::Manual), _) => Reason::Named,
            (_, Direction::Out) => Reason::Dialled,
            (_, Direction::In) => Reason::Called,
        };
        let dialer = &self.dialer;
        match self.remembered.add(id, reason, |peer| dialer.is_gone(peer)) {
            Outcome::Kept => {}
            Outcome::InPlaceOf(gone) => self.chain.remember_peer(gone, None),
            Outcome::Refused => return,
        }
        let mut addresses = vec![address];
        for known in self.dialer.addresses(&id) {
            if !addresses.contains(known) && addresses.len() < dial::ADDRESSES_MAX {
                addresses.push(known.clone());
            }
        }
        self.chain.remember_peer(id, Some(addresses));
    }

    /// Notes a misdeed and carries out what follows.
    pub(super) fn punish(&mut self, id: PeerId, fault: Fault, reason: &str) {
        let consequence = self.peers.punish(self.now, id, fault);
        let (cost, points) = (fault.cost(), SCORE_BAN.abs());
        match consequence {
            // Asking too much is slowed down and forgiven; told would be a storm.
            Consequence::Keep if fault == Fault::Limit => {}
            Consequence::Keep => {
                self.complain(
                    id,
                    "peer_fault",
                    format!("{id} loses {cost} of its {points} points: {reason}"),
                );
            }
            Consequence::Disconnect => {
                self.out.order(NetOrder::Disconnect { peer: id });
                let text = format!("{id} loses {cost} of its {points} points and the connection: {reason}");
                self.complain(id, "peer_fault", text);
            }
            Consequence::Ban => {
                self.dialer.handle(self.now, dial::Fact::Forget(id));
                self.out.order(NetOrder::Ban { peer: id, banned: true });
                self.complain(
                    id,
                    "peer_banned",
                    format!("{id} loses all its points and is refused for a while: {reason}"),
                );
            }
        }
    }

    /// Tells a misdeed, or only counts it when too many are told already.
    fn complain(&mut self, id: PeerId, code: &'static str, text: String) {
        if self.complaints.take(self.now, self.voice_of(&id)) {
            self.out.warn(code, text);
        }
    }

    /// Timers that hang on nothing else.
    pub(super) fn keep_house(&mut self) {
        if !self.started && self.start_by <= self.now {
            self.start();
        }
        for peer in self.peers.pardoned(self.now) {
            self.out.order(NetOrder::Ban { peer, banned: false });
        }
        if let Some(line) = self.complaints.poll(self.now) {
            self.out.warn("peer_faults", line);
        }
        self.check_alone();
        self.check_stale();
        self.check_clock();
        self.check_ahead();
        self.check_unheard();
        self.retry_early();
        self.check_deadline();
    }

    fn check_alone(&mut self) {
        if self.alone_at.is_none_or(|at| at > self.now) {
            return;
        }
        let pause = ALONE_AGAIN_MS.get(self.alone_told).copied().unwrap_or(ALONE_LATER_MS);
        self.alone_at = Some(self.after(pause));
        let is_first = self.alone_told == 0;
        self.alone_told = self.alone_told.saturating_add(1);
        // Later ones only where somebody could be: not on a machine whose cable is out.
        let is_worth_it = is_first || self.addresses.iter().any(|address| !address.is_loopback());
        if self.net && is_worth_it && self.peers.known().next().is_none() {
            let yet = if is_first {
                "no other node was found yet"
            } else {
                "there is still no other node"
            };
            let by_hand = self.dial_line().map_or_else(String::new, |line| {
                format!("; to join by hand, type at another node: {line}")
            });
            self.out
                .warn("alone", format!("{yet}: type `doctor` to see why{by_hand}"));
        }
    }
}
