//! The choice between two connections to one peer.
//!
//! A peer that lost its cable comes back on a new connection, while the old one is still open at this end and swallows
//! half of what is sent. Two nodes that dial each other at the same time also make two connections, and both of these
//! work.
//! Promises: as far as pings can tell, a connection that answers never ends in favour of one that does not. If both
//! work, both ends keep the same one, or only one end chooses. The code is pure: the time is a parameter.
//! Elsewhere: when the choice is made, and the state of a peer (`net::peers`). Spec: `proto-notes/discovery.md`,
//! "Connections".

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::swarm::ConnectionId;

use crate::contract::Direction;
use crate::types::{Address, PeerId};

/// The largest difference in age of two connections that come from a mutual dial; a larger one means that the peer has
/// come back. The handshakes of crossed dials end within a second of each other, and a killed process needs about as
/// long to return.
pub const MUTUAL_WITHIN: Duration = Duration::from_secs(1);
/// How long both connections of a mutual dial may stay: by then both ends know of both.
pub const SPARE_AFTER: Duration = Duration::from_secs(5);
/// How long a connection has to prove that it works: a ping is sent every seven seconds, and a slow link answers late.
pub const PROOF_WITHIN: Duration = Duration::from_secs(10);
/// A peer that has come back twice within this time may be two machines with the same key.
pub const TWINS_WITHIN: Duration = Duration::from_secs(60);

/// One established connection to a peer.
#[derive(Clone, Debug)]
pub struct Link {
    /// Whether the peer or this node dialled.
    pub direction: Direction,
    /// The address of the remote end.
    pub address: Multiaddr,
    /// The address at which the peer says that it listens, on the host that it called from.
    pub listens: Option<Address>,
    /// The time when it was established.
    pub since: Instant,
    /// The last time when it showed that it works; at first, the time when it was established.
    pub heard: Instant,
    /// The last time when it brought a message, or carried part of one in either direction, as the peer's only
    /// connection.
    pub carried: Instant,
    /// Whether it answers pings. If the peer does not speak ping, its responses to requests count instead.
    pub pings: bool,
    /// Whether this node is closing it.
    pub ending: bool,
}

impl Link {
    /// A connection that was just established.
    pub const fn new(direction: Direction, address: Multiaddr, since: Instant) -> Self {
        Self {
            direction,
            address,
            listens: None,
            since,
            heard: since,
            carried: since,
            pings: true,
            ending: false,
        }
    }
}

/// The last two times when a younger connection of a peer replaced an older one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Returns([Option<Instant>; 2]);

impl Returns {
    fn note(&mut self, now: Instant) {
        self.0 = [self.0[1], Some(now)];
    }

    fn are_twins(&self, now: Instant) -> bool {
        let is_recent = |at: &Option<Instant>| at.is_some_and(|at| now < at + TWINS_WITHIN);
        self.0.iter().all(is_recent)
    }

    /// Notes that the refused one of two machines with the same key has come again; the other one stays as long as it
    /// tries.
    fn renew(&mut self, now: Instant) {
        self.0 = [Some(now); 2];
    }
}

/// The connection that should end now; none if there is only one, or if the choice is not clear yet.
pub fn spare(
    (local, remote): (&PeerId, &PeerId),
    links: &BTreeMap<ConnectionId, Link>,
    returns: &mut Returns,
    now: Instant,
) -> Option<ConnectionId> {
    let mut standing: Vec<_> = links.iter().filter(|(_, link)| !link.ending).collect();
    standing.sort_by_key(|(id, link)| (link.since, **id));
    let (older, younger) = match standing.as_slice() {
        [older, .., younger] => (*older, *younger),
        [] | [_] => return None,
    };
    let answers = |(_, link): (&ConnectionId, &Link)| link.heard > younger.1.since;
    let inbound = [older, younger].map(|(_, link)| link.direction == Direction::In);
    // A peer that dials twice has lost its first connection.
    let has_returned = inbound == [true, true] || younger.1.since > older.1.since + MUTUAL_WITHIN;
    let is_proven = now >= younger.1.since + PROOF_WITHIN;
    let ended = if has_returned && !returns.are_twins(now) {
        returns.note(now);
        older
    } else if has_returned && answers(older) {
        returns.renew(now);
        younger
    } else if has_returned && is_proven {
        returns.note(now);
        older
    } else if has_returned || now < younger.1.since + SPARE_AFTER {
        return None;
    } else {
        match (answers(older), answers(younger)) {
            (true, true) => mutual((local, remote), older, younger),
            _ if !is_proven => return None,
            (true, false) => younger,
            (false, true) => older,
            (false, false) => mutual((local, remote), older, younger),
        }
    };
    Some(*ended.0)
}

/// The connection to end if both were made at the same time: the one that the larger PeerId dialled. If this node
/// dialled both, it is the older one; the other end has closed that one already, if it knows of both.
fn mutual<'a>(
    (local, remote): (&PeerId, &PeerId),
    older: (&'a ConnectionId, &'a Link),
    younger: (&'a ConnectionId, &'a Link),
) -> (&'a ConnectionId, &'a Link) {
    let kept = if local < remote { Direction::Out } else { Direction::In };
    if older.1.direction != younger.1.direction && younger.1.direction != kept {
        younger
    } else {
        older
    }
}

#[cfg(test)]
mod tests;
