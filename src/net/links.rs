//! Which of two connections to one peer stays.
//!
//! A peer that lost its cable comes back on a new connection while the old one still stands at this end, and swallows
//! half of what is sent. Two nodes that dial each other at once make two connections, too, and both of those live.
//! Promises: a connection that answers is never ended in favour of one that does not, as far as pings can tell; of two
//! that live both ends keep the same one, or one end alone chooses; pure: the time comes as a value.
//! Elsewhere: when this is asked, and what a peer is (`net::peers`). Spec: `proto-notes/discovery.md`, "Connections".

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::swarm::ConnectionId;

use crate::contract::Direction;
use crate::types::{Address, PeerId};

/// Two connections of which one is older by more than this are no mutual dial: the peer has come back. Handshakes of
/// dials that crossed end within a second of each other, and a process that was killed needs about as long to return.
pub const MUTUAL_WITHIN: Duration = Duration::from_secs(1);
/// How long both connections of a mutual dial may stand: both ends see both by then.
pub const SPARE_AFTER: Duration = Duration::from_secs(5);
/// How long a connection has to prove that it lives: a ping is asked every five seconds, and a slow link answers late.
pub const PROOF_WITHIN: Duration = Duration::from_secs(8);
/// A peer that has come back twice within this time may be two machines with one key.
pub const TWINS_WITHIN: Duration = Duration::from_secs(60);

/// A connection.
#[derive(Clone, Debug)]
pub struct Link {
    /// Who dialled.
    pub direction: Direction,
    /// The remote end.
    pub address: Multiaddr,
    /// Where the peer says that it listens, on the host that it called from.
    pub listens: Option<Address>,
    /// When it was established.
    pub since: Instant,
    /// When it last showed that it lives; at first, when it was established.
    pub heard: Instant,
    /// When it last brought a message, or carried a part of one either way, as the only connection of its peer.
    pub carried: Instant,
    /// Whether it answers pings. If the peer does not speak ping, its answers to requests count instead.
    pub pings: bool,
    /// This node is closing it.
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

/// The last two times that a younger connection of a peer took the place of an older one.
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

    /// The twin that was turned away comes again: the peace lasts as long as it tries.
    fn renew(&mut self, now: Instant) {
        self.0 = [Some(now); 2];
    }
}

/// The connection that should end now, if two stand and it is clear which.
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
    // Who dials twice does not know of its first connection any more.
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

/// Of two connections that were made at once, the one that the larger PeerId dialled ends. If this node dialled both,
/// the older one does: the other end has ended that already, if it knows of both.
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
