//! Why a dial failed and why a connection ended: the facts from the network, with the texts that users read.
//!
//! Promises: no code decides by these texts; decisions depend on the variants.
//! Elsewhere: where the reasons arise (`net::swarm`, `net::broken`), what the user can do (`inspect::advice`).

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::types::PeerId;

/// Why a dial failed. The text is what the user reads.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DialFailure {
    /// A node with another key than the address named has answered.
    #[error("another node is there: {0}")]
    OtherKey(PeerId),
    /// No host has this name.
    #[error("the name was not found")]
    NoName,
    /// The name look-up took longer than this number of seconds.
    #[error("the name was not found within {0} s")]
    NoNameInTime(u64),
    /// Too many name look-ups are under way.
    #[error("the name was not found yet: other names are still looked up")]
    NamesBusy,
    /// The machine is there, but no program listens on the port.
    #[error("the connection was refused")]
    Refused,
    /// A program listens, but closes the connection at once.
    #[error("it closed the connection at once")]
    Closed,
    /// There is no route to the machine.
    #[error("no route leads there")]
    NoRoute,
    /// Nothing came back before the time was over.
    #[error("no answer came")]
    Silence,
    /// The node that answered has this node's own key.
    #[error("that is this node itself")]
    OwnKey,
    /// The user switched the network of this node off.
    #[error("the network is off")]
    NetworkOff,
    /// There is a connection to that peer already.
    #[error("already connected")]
    AlreadyConnected,
    /// An earlier dial of the same peer has not ended yet.
    #[error("a dial is under way")]
    UnderWay,
    /// There was no address to dial.
    #[error("no address is known")]
    NoAddress,
    /// None of the named addresses could be tried.
    #[error("no address could be tried")]
    NothingTried,
    /// A limit or a ban of this node forbids the connection.
    #[error("refused by this node: {0}")]
    Denied(String),
    /// The dial was cancelled.
    #[error("given up")]
    GivenUp,
    /// A connection was made, but ended before the peer had told its network.
    #[error("{0}")]
    Lost(DisconnectReason),
    /// A program that speaks libp2p answered, but is not a node of this network; the text says how it differs.
    #[error("{0}")]
    Foreign(String),
    /// Any other reason, in the words of the system or the library.
    #[error("{0}")]
    Other(String),
}

/// The cause of a failed dial, as far as advice to the user depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Another node than expected is at the address.
    OtherKey,
    /// The name cannot be resolved.
    NoName,
    /// No program listens on the port.
    Refused,
    /// A program listens, but closes the connection at once.
    Closed,
    /// There is no route to the machine.
    NoRoute,
    /// Nothing came back, or the reason has no advice of its own.
    Silence,
}

impl DialFailure {
    /// The cause that advice is given for.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Self::OtherKey(_) => Cause::OtherKey,
            Self::NoName | Self::NoNameInTime(_) | Self::NamesBusy => Cause::NoName,
            Self::Refused => Cause::Refused,
            Self::Closed => Cause::Closed,
            Self::NoRoute => Cause::NoRoute,
            Self::Silence
            | Self::OwnKey
            | Self::NetworkOff
            | Self::AlreadyConnected
            | Self::UnderWay
            | Self::NoAddress
            | Self::NothingTried
            | Self::Denied(_)
            | Self::GivenUp
            | Self::Lost(_)
            | Self::Foreign(_)
            | Self::Other(_) => Cause::Silence,
        }
    }
}

impl From<&str> for DialFailure {
    /// A failure that is only known by its text.
    fn from(words: &str) -> Self {
        Self::Other(words.to_owned())
    }
}

impl Serialize for DialFailure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a connection ended. The text is the one in events.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DisconnectReason {
    /// This node ended the connection, or nothing more is known; the text is this node's own.
    #[error("{0}")]
    Own(Cow<'static, str>),
    /// The peer closed the connection; the text is the library's.
    #[error("the connection was lost: {0}")]
    Closed(String),
    /// The peer went away without closing the connection; the text is the library's.
    #[error("the connection was lost: {0}")]
    Reset(String),
    /// The connection broke in another way; the text is the library's.
    #[error("the connection was lost: {0}")]
    Broken(String),
}

impl From<&'static str> for DisconnectReason {
    /// A reason in this node's own words.
    fn from(words: &'static str) -> Self {
        Self::Own(Cow::Borrowed(words))
    }
}

impl Serialize for DisconnectReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How a program that answered a dial over libp2p fails to be a node of this network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// It is a lanchain node of another network or version, or it does not tell its network.
    Network,
    /// It is not lanchain at all.
    Program,
}
