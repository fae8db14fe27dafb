//! What the dial manager is told, and what it orders.

use core::net::IpAddr;

use crate::contract::{Direction, FoundBy};
use crate::types::{Address, PeerId, Voice};

/// What the dial manager is told.
#[derive(Clone, Debug)]
pub enum Fact {
    /// Discovery, a user or the store named a peer.
    Found {
        /// The peer that was named.
        peer: PeerId,
        /// Where it is said to be.
        address: Address,
        /// Who or what named it first.
        by: FoundBy,
        /// Where the record came from, if it came over the network.
        from: Option<IpAddr>,
    },
    /// A user named an address without a peer.
    Typed(Address),
    /// A peer told of another one.
    Told {
        /// The voice of the peer that told of it.
        teller: Voice,
        /// The peer that was told of.
        peer: PeerId,
        /// Where, checked by the exchange of peers.
        addresses: Vec<Address>,
    },
    /// The first link to a peer stands, or an address turns out to lead to a peer that is connected.
    Connected {
        /// The peer at the other end.
        peer: PeerId,
        /// Where it was reached, or called from.
        address: Address,
        /// Which of the two nodes dialled.
        direction: Direction,
    },
    /// A connected peer is no longer on the host of this address.
    Left {
        /// The peer that moved.
        peer: PeerId,
        /// An address on the host that it left.
        address: Address,
    },
    /// A connected peer has said where it stands.
    Exchanged(PeerId),
    /// A peer asked for others.
    Asked(PeerId),
    /// The last link to a peer is gone.
    Disconnected(PeerId),
    /// A dial ended without a link.
    Failed {
        /// Who was dialled, if known.
        peer: Option<PeerId>,
        /// The addresses that were tried.
        addresses: Vec<Address>,
        /// It answered, and is no node of this network.
        other_network: bool,
    },
    /// Not dialled again until it is named anew: a banned peer.
    Forget(PeerId),
    /// An address that leads nowhere worth going: this node itself.
    ForgetAddress(Address),
    /// The cable: off dials nobody, on dials all at once.
    Enable(bool),
    /// An interface changed: pauses end, as the network is another one.
    Reset,
    /// Time has passed. Named are those whose links are in use by a sync.
    Tick {
        /// Peers that are being fetched from.
        fetching: Vec<PeerId>,
    },
}

/// What the dial manager orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Open a connection to a peer.
    Dial {
        /// The peer that must answer; none if only an address is known.
        peer: Option<PeerId>,
        /// The addresses to try.
        addresses: Vec<Address>,
    },
    /// Close an own link that is one too many.
    Close(PeerId),
}
