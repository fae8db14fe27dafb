//! One candidate of the dial manager: where it is, who named it, and how its dials went.
//!
//! Elsewhere: who is dialled next (`turns`).

use core::net::IpAddr;

use super::limits::{
    ADDRESSES_MAX, BACKOFF_MIN_MS, BACKOFF_PRIVATE_MS, BACKOFF_PUBLIC_MS, OTHER_NETWORK_MS, PATIENCE_MS,
};
use crate::contract::{Direction, FoundBy};
use crate::types::{Address, PeerId, Time, Voice};

/// Whom to dial: a peer, or, when only an address was typed, the address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Goal {
    Peer(PeerId),
    Address(Address),
}

impl Goal {
    pub(super) const fn peer(&self) -> Option<PeerId> {
        match self {
            Self::Peer(peer) => Some(*peer),
            Self::Address(_) => None,
        }
    }
}

/// Who brought a candidate. Sources take turns, so that none keeps another one waiting. In the order of trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DialSource {
    /// The user named it.
    Named,
    /// It was connected once.
    Known,
    /// A record of discovery that came from this address; none: this machine.
    Record(Option<IpAddr>),
    /// A peer of this voice.
    Told(Voice),
}

impl DialSource {
    /// Who has to make room first: the highest.
    pub(super) const fn rank(self) -> u8 {
        match self {
            Self::Named => 0,
            Self::Known => 1,
            Self::Record(_) => 2,
            Self::Told(_) => 3,
        }
    }

    pub(super) const fn is_told(self) -> bool {
        matches!(self, Self::Told(_))
    }
}

/// An address book entry and its dialling state.
#[derive(Clone, Debug)]
pub(super) struct DialCandidate {
    pub(super) addresses: Vec<Address>,
    /// It answered there: no record pushes this address out.
    pub(super) proven: Option<Address>,
    pub(super) host: Option<IpAddr>,
    pub(super) found_by: FoundBy,
    pub(super) source: DialSource,
    /// Discovery heard it, so that it most likely hears others.
    pub(super) is_heard: bool,
    /// Only this one told of it so far.
    pub(super) teller: Option<DialSource>,
    is_private: bool,
    /// Dials in a row that led nowhere.
    pub(super) failures: u32,
    pub(super) found: Time,
    /// A random number, which decides among equals.
    pub(super) lot: u64,
    /// It is not dialled before this time.
    pub(super) next: Time,
    /// Only the spreading of a room's links keeps its first dial waiting.
    pub(super) is_at_random: bool,
    pub(super) backoff_ms: u64,
    /// When the dial under way began.
    pub(super) dialling: Option<Time>,
    pub(super) last: Option<Time>,
    /// Of an address without an identity: who answered there last. It stays an address: whoever is set up anew there
    /// has another key.
    pub(super) holder: Option<PeerId>,
}

impl DialCandidate {
    pub(super) fn new(now: Time, address: Address, found_by: FoundBy, source: DialSource) -> Self {
        Self {
            host: address.ip(),
            is_private: address.is_private(),
            addresses: vec![address],
            proven: None,
            found_by,
            source,
            is_heard: matches!(found_by, FoundBy::Mdns | FoundBy::Sibling),
            teller: None,
            failures: 0,
            found: now,
            lot: 0,
            next: now,
            is_at_random: false,
            backoff_ms: BACKOFF_MIN_MS,
            dialling: None,
            last: None,
            holder: None,
        }
    }

    /// Who told of it, while it is dialled.
    pub(super) fn teller_under_way(&self) -> Option<DialSource> {
        self.teller.filter(|_| self.dialling.is_some())
    }

    /// Nothing but courtesy keeps it waiting: it was never dialled, and never connected.
    pub(super) const fn waits_out_of_courtesy(&self) -> bool {
        self.last.is_none() && matches!(self.source, DialSource::Record(_))
    }

    /// Nothing but the spreading of links keeps it waiting: it was told of or remembered, never dialled, and never connected.
    pub(super) const fn waits_at_random(&self) -> bool {
        self.is_at_random && self.last.is_none() && self.failures == 0
    }

    /// It was named again.
    pub(super) fn learn(&mut self, now: Time, offer: Self) {
        for address in offer.addresses {
            self.add_address(address);
        }
        self.proven = offer.proven.or_else(|| self.proven.take());
        self.is_heard |= offer.is_heard;
        if offer.teller.is_none() {
            self.teller = None;
        }
        if offer.source < self.source {
            self.source = offer.source;
            if offer.found_by != FoundBy::Remembered {
                self.found_by = offer.found_by;
            }
        }
        let by_user = offer.found_by == FoundBy::Manual;
        if by_user {
            self.failures = 0;
        }
        let paused = self.backoff_ms == OTHER_NETWORK_MS && !by_user;
        // Who was named again is there again: only the shortest pause is left.
        if offer.found_by != FoundBy::Remembered && self.dialling.is_none() && !paused {
            let earliest = self.last.map_or(now, |last| last.after_ms(BACKOFF_MIN_MS).max(now));
            let wait_ms = offer.next.since(now);
            self.next = self.next.min(earliest.after_ms(wait_ms));
            self.backoff_ms = BACKOFF_MIN_MS;
        }
    }

    fn add_address(&mut self, address: Address) {
        if self.addresses.contains(&address) {
            return;
        }
        if self.addresses.len() >= ADDRESSES_MAX
            && let Some(oldest) = self
                .addresses
                .iter()
                .rposition(|known| Some(known) != self.proven.as_ref())
        {
            self.addresses.remove(oldest);
        }
        self.is_private |= address.is_private();
        self.addresses.insert(0, address);
    }

    /// It is no longer on the host of this address. What the user typed stays: at least one address does.
    pub(super) fn left(&mut self, address: &Address) {
        let elsewhere = |known: &Address| known.ip() != address.ip();
        if self.addresses.iter().any(elsewhere) {
            self.addresses.retain(elsewhere);
            self.host = self.addresses.first().and_then(Address::ip);
        }
        self.proven = self.proven.take().filter(elsewhere);
    }

    /// A link to it stands.
    pub(super) fn answered(&mut self, address: &Address, direction: Direction) {
        self.dialling = None;
        self.is_at_random = false;
        self.failures = 0;
        self.backoff_ms = BACKOFF_MIN_MS;
        if direction == Direction::Out {
            self.add_address(address.clone());
            self.proven = Some(address.clone());
        }
        self.source = self.source.min(DialSource::Known);
    }

    /// A link to who holds this address stands, whatever way it came.
    pub(super) const fn answered_elsewhere(&mut self) {
        self.dialling = None;
        self.failures = 0;
        self.backoff_ms = BACKOFF_MIN_MS;
    }

    /// A dial led nowhere.
    pub(super) fn failed(&mut self, now: Time, other_network: bool, jitter_ms: u64) {
        self.dialling = None;
        self.failures = self.failures.saturating_add(1);
        let pause_ms = match (other_network, self.is_private) {
            (true, _) => OTHER_NETWORK_MS,
            (false, true) => self.backoff_ms.min(BACKOFF_PRIVATE_MS),
            (false, false) => BACKOFF_PUBLIC_MS,
        };
        self.next = now.after_ms(pause_ms.saturating_add(jitter_ms));
        self.backoff_ms = if other_network {
            OTHER_NETWORK_MS
        } else {
            pause_ms.saturating_mul(2).min(BACKOFF_PUBLIC_MS)
        };
    }

    /// Until when its dial holds a place; zero if there is none under way.
    pub(super) fn place_until(&self) -> Time {
        let Some(began) = self.dialling else {
            return Time::from_ms(0);
        };
        let [.., longest] = PATIENCE_MS;
        let tries = usize::try_from(self.failures).unwrap_or(usize::MAX);
        let patience_ms = PATIENCE_MS.get(tries).filter(|_| self.is_private);
        let patience_ms = patience_ms.copied().unwrap_or(longest);
        began.after_ms(patience_ms)
    }
}
