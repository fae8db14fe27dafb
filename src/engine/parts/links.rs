//! Who is connected, where this node itself stands, and when statuses are exchanged.
//!
//! Promises: a status goes to each peer every ten seconds and a second or so after a change, one at a time; a peer that
//! does not answer is told again ever later; two nodes with one key are noticed once.
//! Elsewhere: what a status says (`statuses`), whom to dial (`dial`), how often a peer may ask (`standing`), what its claim
//! is worth (`sync::sources`). Spec: `proto-notes/sync.md`, "Messages".

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::contract::{Direction, FoundBy, NameStanding};
use crate::types::prefix::Prefix;
use crate::types::rng::Rng;
use crate::types::{AccountName, Address, PeerId, Time, Voice, count};
use crate::wire;

/// Status goes out this often, and up to a second later.
const STATUS_EVERY_MS: u64 = 15_000;
const STATUS_JITTER_MS: u64 = 1_000;
/// After changes a peer is told at most this often.
const STATUS_CHANGE_MS: u64 = 1_000;
/// How soon a status that did not arrive is sent again, and how often this doubles: a peer that declines the protocol is
/// asked as rarely as any other.
const STATUS_AGAIN_MS: u64 = 1_000;
const STATUS_DOUBLINGS_MAX: u32 = 4;
/// The longest time without an own question for a node that is asked itself.
const STATUS_OWN_MS: u64 = 30_000;
/// Own addresses that are shown and told.
const OWN_ADDRESSES_MAX: usize = 64;
/// Characters of what a peer calls its program: more than any name and version have.
const VERSION_MAX: usize = 64;

/// What a peer was last called in an event.
pub(crate) type Called = Option<(AccountName, NameStanding)>;

/// A connected peer, and what it said of itself.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Where it was reached, or called from.
    pub(crate) address: Address,
    /// Which of the two nodes dialled.
    pub(crate) direction: Direction,
    /// How it was found.
    pub(crate) found_by: FoundBy,
    /// What it last said of itself; none until then.
    pub(crate) status: Option<wire::Status>,
    /// The answer time of a ping.
    pub(crate) latency_ms: Option<u64>,
    /// The time at which it connected.
    pub(crate) since: Time,
    /// The program that it says it is.
    pub(crate) version: Option<String>,
    /// How far its clock is ahead of this node's wall clock.
    pub(crate) clock_ahead_ms: Option<i64>,
    /// What it was last called in an event.
    called: Called,
    /// The instance number before the present one.
    last_instance: Option<u64>,
    /// Two nodes with its key were told of.
    twins_told: bool,
    exchange: StatusExchange,
}

impl Peer {
    /// Its announced name, if it has the form of one.
    pub(crate) fn name(&self) -> Option<AccountName> {
        AccountName::new(&self.status.as_ref()?.name).ok()
    }

    /// Whether this instance number reveals, for the first time, two nodes with this peer's key: a restart changes the
    /// number once, two that run take turns. To be called before the status that brings it is kept.
    fn heard_instance(&mut self, instance: u64) -> bool {
        let before = self.status.as_ref().map(|status| status.instance);
        if before == Some(instance) {
            return false;
        }
        let returns = self.last_instance == Some(instance);
        self.last_instance = before;
        let news = returns && !self.twins_told;
        self.twins_told |= returns;
        news
    }
}

/// When a peer is told where this node stands.
#[derive(Clone, Debug)]
struct StatusExchange {
    /// A status request is under way.
    is_asked: bool,
    /// When to send the next at the latest.
    next: Time,
    /// When the last one was sent.
    last: Time,
    /// Tip or pool changed since the last one.
    is_stale: bool,
    /// How many statuses in a row did not reach it.
    failures: u32,
}

impl StatusExchange {
    /// When the next one is due.
    fn due(&self) -> Time {
        if self.is_asked {
            // The answer comes first, or the network says that none will.
            Time::from_ms(u64::MAX)
        } else if self.is_stale {
            self.next.min(self.last.after_ms(STATUS_CHANGE_MS))
        } else {
            self.next
        }
    }
}

/// What a status brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StatusNews {
    /// It is the first of this connection.
    pub(crate) is_first: bool,
    /// Two nodes use the peer's key: that is news.
    pub(crate) are_twins: bool,
}

/// Connected peers, and where this node stands itself.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    peers: BTreeMap<PeerId, Peer>,
    /// Where this node can be reached.
    addresses: Vec<Address>,
    /// The networks that the interfaces are in.
    networks: Vec<Prefix>,
    rng: Rng,
}

impl Links {
    /// Nobody is connected; `rng` feeds the jitter of statuses.
    pub(crate) const fn new(rng: Rng) -> Self {
        Self {
            peers: BTreeMap::new(),
            addresses: Vec::new(),
            networks: Vec::new(),
            rng,
        }
    }

    // This node itself.

    /// Notes an address at which the node can be reached; returns whether it is new.
    pub(crate) fn listens(&mut self, address: Address) -> bool {
        let is_news = !self.addresses.contains(&address) && self.addresses.len() < OWN_ADDRESSES_MAX;
        if is_news {
            self.addresses.push(address);
            // Stable, so in the order of the interfaces; the loopback's helps only nodes of this machine.
            self.addresses.sort_by_key(Address::is_loopback);
        }
        is_news
    }

    /// The node can no longer be reached at this address.
    pub(crate) fn listens_no_longer(&mut self, address: &Address) {
        self.addresses.retain(|known| known != address);
    }

    /// The network is off, or has failed.
    pub(crate) fn listens_nowhere(&mut self) {
        self.addresses.clear();
    }

    /// Where this node can be reached.
    pub(crate) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The interfaces are in these networks now.
    pub(crate) fn set_networks(&mut self, networks: Vec<Prefix>) {
        self.networks = networks;
    }

    /// The networks that the interfaces are in.
    pub(crate) fn networks(&self) -> &[Prefix] {
        &self.networks
    }

    // The others.

    /// A peer said what program it is.
    pub(crate) fn called_itself(&mut self, id: &PeerId, agent: &str) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.version = Some(agent.chars().take(VERSION_MAX).collect());
        }
    }

    /// A peer connected: it is told where this node stands at once.
    pub(crate) fn connected(
        &mut self,
        now: Time,
        id: PeerId,
        (address, direction, found_by): (Address, Direction, FoundBy),
    ) {
        let peer = Peer {
            address,
            direction,
            found_by,
            status: None,
            latency_ms: None,
            since: now,
            version: None,
            clock_ahead_ms: None,
            called: None,
            last_instance: None,
            twins_told: false,
            exchange: StatusExchange {
                is_asked: false,
                next: now,
                last: Time::from_ms(0),
                is_stale: false,
                failures: 0,
            },
        };
        self.peers.insert(id, peer);
    }

    /// Its last connection is gone.
    pub(crate) fn gone(&mut self, id: &PeerId) -> Option<Peer> {
        self.peers.remove(id)
    }

    /// A peer came back from another address. Returns the one before, if it is another machine's.
    pub(crate) fn moved(&mut self, id: &PeerId, address: Address, direction: Direction) -> Option<Address> {
        let peer = self.peers.get_mut(id)?;
        peer.direction = direction;
        let moves = peer.address.ip() != address.ip();
        let before = core::mem::replace(&mut peer.address, address);
        moves.then_some(before)
    }

    /// A ping came back.
    pub(crate) fn measured(&mut self, id: &PeerId, ms: u64) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.latency_ms = Some(ms);
        }
    }

    /// A peer said where it stands; its clock is so far ahead.
    pub(crate) fn heard(&mut self, id: &PeerId, status: wire::Status, clock_ahead_ms: i64) -> Option<StatusNews> {
        let peer = self.peers.get_mut(id)?;
        let is_first = peer.status.is_none();
        let are_twins = peer.heard_instance(status.instance);
        peer.clock_ahead_ms = Some(clock_ahead_ms);
        peer.status = Some(status);
        Some(StatusNews { is_first, are_twins })
    }

    /// Notes how events call a peer now. Returns whether that is another name, or the same with another standing.
    pub(crate) fn call(&mut self, id: &PeerId, called: &Called) -> bool {
        self.peers.get_mut(id).is_some_and(|peer| {
            let is_news = peer.called != *called;
            peer.called.clone_from(called);
            is_news
        })
    }

    /// What is known of a peer; none if it is not connected.
    pub(crate) fn get(&self, id: &PeerId) -> Option<&Peer> {
        self.peers.get(id)
    }

    /// All connected peers by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.peers.iter()
    }

    /// The ids of all connected peers, in order.
    pub(crate) fn ids(&self) -> Vec<PeerId> {
        self.peers.keys().copied().collect()
    }

    /// Connected peers whose status is known.
    pub(crate) fn known(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.iter().filter(|(_, peer)| peer.status.is_some())
    }

    /// Takes one of these peers at random.
    pub(crate) fn take_one(&mut self, of: &mut Vec<PeerId>) -> Option<PeerId> {
        let at = self.rng.below(count(of.len()));
        let at = usize::try_from(at).ok().filter(|at| *at < of.len())?;
        Some(of.swap_remove(at))
    }

    /// The voice that a peer speaks with. One that is not connected speaks for itself alone.
    pub(crate) fn voice(&self, id: &PeerId) -> Voice {
        match self.peers.get(id) {
            Some(peer) => Voice::of(*id, &peer.address, &self.networks),
            None => Voice::Identity(*id),
        }
    }

    // Statuses.

    /// Who is to be told where this node stands.
    pub(crate) fn due(&self, now: Time) -> Vec<PeerId> {
        let due = self.iter().filter(|(_, peer)| peer.exchange.due() <= now);
        due.map(|(id, _)| *id).collect()
    }

    /// A status is about to be sent; false if one is under way to that peer, or it is not connected.
    pub(crate) fn asks(&mut self, now: Time, id: &PeerId) -> bool {
        let next = self.next_status(now);
        let exchange = self.peers.get_mut(id).map(|peer| &mut peer.exchange);
        let Some(exchange) = exchange.filter(|exchange| !exchange.is_asked) else {
            return false;
        };
        *exchange = StatusExchange {
            is_asked: true,
            is_stale: false,
            last: now,
            next,
            failures: exchange.failures,
        };
        true
    }

    /// The network ended the request.
    pub(crate) fn asked(&mut self, id: &PeerId) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.exchange.is_asked = false;
        }
    }

    /// It answered a status.
    pub(crate) fn status_arrived(&mut self, id: &PeerId) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.exchange.failures = 0;
        }
    }

    /// The status did not reach it, or was not answered: it is told again, ever later up to the ordinary interval.
    pub(crate) fn status_failed(&mut self, now: Time, id: &PeerId) {
        if let Some(peer) = self.peers.get_mut(id) {
            let exchange = &mut peer.exchange;
            let wait_ms = STATUS_AGAIN_MS << exchange.failures.min(STATUS_DOUBLINGS_MAX);
            exchange.failures = exchange.failures.saturating_add(1);
            exchange.next = exchange.next.min(now.after_ms(wait_ms));
        }
    }

    /// A peer asked for our status, and the answer tells it what a status of ours would. So ours waits, but never longer than
    /// [`STATUS_OWN_MS`] after the last one: an answer is also the proof that a peer without pings lives.
    pub(crate) fn was_asked(&mut self, now: Time, id: &PeerId) {
        let next = self.next_status(now);
        if let Some(peer) = self.peers.get_mut(id) {
            let latest = peer.exchange.last.after_ms(STATUS_OWN_MS);
            peer.exchange.next = peer.exchange.next.max(next.min(latest));
        }
    }

    /// Tip or pool changed: every peer hears of it within a second or so.
    pub(crate) fn changed(&mut self) {
        self.peers.values_mut().for_each(|peer| peer.exchange.is_stale = true);
    }

    /// When the next status is due.
    pub(crate) fn next_wakeup(&self) -> Option<Time> {
        self.peers.values().map(|peer| peer.exchange.due()).min()
    }

    fn next_status(&mut self, now: Time) -> Time {
        now.after_ms(STATUS_EVERY_MS + self.rng.below(STATUS_JITTER_MS))
    }
}
