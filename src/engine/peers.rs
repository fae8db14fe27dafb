//! The peer table: what each connected peer said of itself, and what may be asked of whom.
//!
//! Promises: a peer's claims order the work and are never believed; silence costs nothing.
//! Elsewhere: how often a peer may ask, and what misdeeds cost (`standing`).

use std::collections::BTreeMap;

use super::naming::Called;
use crate::contract::{Direction, FoundBy};
use crate::types::prefix::Prefix;
use crate::types::{AccountName, Address, PeerId, Time, Voice};
use crate::wire;

/// How soon a status that did not arrive is sent again, and how often this doubles: a peer that declines the protocol is
/// asked as rarely as any other.
pub const STATUS_AGAIN_MS: u64 = 1_000;
const STATUS_DOUBLINGS_MAX: u32 = 4;
/// How long a node that is asked itself goes without asking.
pub const STATUS_OWN_MS: u64 = 30_000;
/// A connected peer.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it is.
    pub address: Address,
    /// Who dialled.
    pub direction: Direction,
    /// How it was found.
    pub found_by: FoundBy,
    /// What it last said of itself; none until then.
    pub status: Option<wire::Status>,
    /// What it was last called in an event.
    pub(super) called: Called,
    /// The instance number before the present one.
    last_instance: Option<u64>,
    /// Two nodes with its key were told of.
    twins_told: bool,
    /// The answer time of a ping.
    pub latency_ms: Option<u64>,
    /// How far its clock is ahead of this node's wall clock.
    pub clock_ahead_ms: Option<i64>,
    /// A status request is under way.
    pub status_asked: bool,
    /// When to send the next status at the latest.
    pub next_status: Time,
    /// When the last one was sent.
    pub last_status: Time,
    /// Something changed since.
    pub stale: bool,
    /// Statuses in a row that did not reach it.
    status_failures: u32,
}

impl Peer {
    /// A fresh connection.
    #[must_use]
    pub fn new(now: Time, address: Address, direction: Direction, found_by: FoundBy) -> Self {
        Self {
            address,
            direction,
            found_by,
            status: None,
            called: None,
            last_instance: None,
            twins_told: false,
            latency_ms: None,
            clock_ahead_ms: None,
            status_asked: false,
            next_status: now,
            last_status: Time::from_ms(0),
            stale: false,
            status_failures: 0,
        }
    }

    /// Whether this instance number reveals, for the first time, two nodes with this peer's key: a restart changes the
    /// number once, two that run take turns. To be called before the status that brings it is kept.
    pub fn heard_instance(&mut self, instance: u64) -> bool {
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

    /// Its announced name, if it has the form of one.
    #[must_use]
    pub fn name(&self) -> Option<AccountName> {
        AccountName::new(&self.status.as_ref()?.name).ok()
    }

    /// The status did not reach it, or was not answered: it is told again, ever later up to the ordinary interval.
    pub fn status_failed(&mut self, now: Time) {
        let wait_ms = STATUS_AGAIN_MS << self.status_failures.min(STATUS_DOUBLINGS_MAX);
        self.status_failures = self.status_failures.saturating_add(1);
        self.next_status = self.next_status.min(Time::from_ms(now.ms().saturating_add(wait_ms)));
    }

    /// It asked, and the answer tells it what a status of ours would: that one waits, but never beyond [`STATUS_OWN_MS`]
    /// after the last, for an answer is also the proof that a peer without pings lives.
    pub fn was_asked(&mut self, next: Time) {
        let latest = Time::from_ms(self.last_status.ms().saturating_add(STATUS_OWN_MS));
        self.next_status = self.next_status.max(next.min(latest));
    }

    /// It answered a status.
    pub const fn status_arrived(&mut self) {
        self.status_failures = 0;
    }
}

/// Connected peers.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    connected: BTreeMap<PeerId, Peer>,
}

impl Peers {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            connected: BTreeMap::new(),
        }
    }

    /// A connected peer.
    #[must_use]
    pub fn get(&self, peer: &PeerId) -> Option<&Peer> {
        self.connected.get(peer)
    }

    /// A connected peer, to be changed.
    pub fn get_mut(&mut self, peer: &PeerId) -> Option<&mut Peer> {
        self.connected.get_mut(peer)
    }

    /// Adds a connection.
    pub fn insert(&mut self, id: PeerId, peer: Peer) {
        self.connected.insert(id, peer);
    }

    /// Removes a connection.
    pub fn remove(&mut self, id: &PeerId) -> Option<Peer> {
        self.connected.remove(id)
    }

    /// All connected peers by id.
    pub fn iter(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.connected.iter()
    }

    /// All connected peers by id, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&PeerId, &mut Peer)> {
        self.connected.iter_mut()
    }

    /// Connected peers whose status is known.
    pub fn known(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.connected.iter().filter(|(_, peer)| peer.status.is_some())
    }

    /// How many connections this node opened.
    #[must_use]
    pub fn outbound(&self) -> usize {
        self.connected
            .values()
            .filter(|peer| peer.direction == Direction::Out)
            .count()
    }

    /// Whose voice a peer's is. One that left, or was never here, speaks for itself alone.
    #[must_use]
    pub fn voice(&self, peer: &PeerId, networks: &[Prefix]) -> Voice {
        match self.connected.get(peer) {
            Some(known) => Voice::of(*peer, &known.address, networks),
            None => Voice::Identity(*peer),
        }
    }
}
