//! Why a dial led nowhere and why a connection ended: facts that the network tells, with the words that users read.
//!
//! Promises: nobody reads these words to decide; what follows from a failure follows from its variant.
//! Elsewhere: who finds out (`net::swarm`, `net::broken`), what can be done (`inspect::advice`).

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::types::PeerId;

/// Why a dial led nowhere. The text is what the user reads.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DialFailure {
    /// Somebody is there, with another key than the address named.
    #[error("another node is there: {0}")]
    OtherKey(PeerId),
    /// The name is not known.
    #[error("the name was not found")]
    NoName,
    /// The name was still being looked up after so many seconds.
    #[error("the name was not found within {0} s")]
    NoNameInTime(u64),
    /// Too many names are being looked up already.
    #[error("the name was not found yet: other names are still looked up")]
    NamesBusy,
    /// The machine is there, and nobody listens on the port.
    #[error("the connection was refused")]
    Refused,
    /// Somebody listens, and hangs up before a word.
    #[error("it closed the connection at once")]
    Closed,
    /// No way leads to the machine.
    #[error("no route leads there")]
    NoRoute,
    /// Nothing came back.
    #[error("no answer came")]
    Silence,
    /// Who answered has this node's own key.
    #[error("that is this node itself")]
    OwnKey,
    /// The network of this node is switched off.
    #[error("the network is off")]
    NetworkOff,
    /// A connection to that peer stands already.
    #[error("already connected")]
    AlreadyConnected,
    /// An earlier dial of the same peer has not ended.
    #[error("a dial is under way")]
    UnderWay,
    /// Nothing was named that could be dialled.
    #[error("no address is known")]
    NoAddress,
    /// Of the named addresses none could be tried.
    #[error("no address could be tried")]
    NothingTried,
    /// A limit or ban of this node itself stands against it.
    #[error("refused by this node: {0}")]
    Denied(String),
    /// The dial was broken off.
    #[error("given up")]
    GivenUp,
    /// A connection stood, and ended before the peer had said what it is.
    #[error("{0}")]
    Lost(DisconnectReason),
    /// Who answered speaks libp2p and is no node of this network: how it differs.
    #[error("{0}")]
    Foreign(String),
    /// Anything else, in the words of the system or the library.
    #[error("{0}")]
    Other(String),
}

/// What a failed dial means to whoever looks for the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Another node than expected is there.
    OtherKey,
    /// The name leads nowhere.
    NoName,
    /// Nobody listens on the port.
    Refused,
    /// Whoever listens hangs up.
    Closed,
    /// No way leads there.
    NoRoute,
    /// Nothing came back, or whatever else.
    Silence,
}

impl DialFailure {
    /// What it means.
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
    /// A failure without a meaning of its own, in these words.
    fn from(words: &str) -> Self {
        Self::Other(words.to_owned())
    }
}

impl Serialize for DialFailure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a connection ended. The text is that of events.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DisconnectReason {
    /// In this node's own words: it ended the connection itself, or nothing more is known.
    #[error("{0}")]
    Own(Cow<'static, str>),
    /// The peer closed it; the network library's words.
    #[error("the connection was lost: {0}")]
    Closed(String),
    /// The peer went away without closing it; the network library's words.
    #[error("the connection was lost: {0}")]
    Reset(String),
    /// It broke in another way; the network library's words.
    #[error("the connection was lost: {0}")]
    Broken(String),
}

impl From<&'static str> for DisconnectReason {
    /// This node's own words.
    fn from(words: &'static str) -> Self {
        Self::Own(Cow::Borrowed(words))
    }
}

impl Serialize for DisconnectReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Who answered a dial, speaks libp2p, and is no node of this network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// A lanchain node of another network or version, or one that does not tell.
    Network,
    /// Another program.
    Program,
}
