//! Why a dial led nowhere: the words that the network tells, and what they mean to the doctor.
//!
//! Elsewhere: who finds out (`net::swarm`), what can be done (`inspect::advice`).

/// Somebody is there, with another key than the address named.
pub const OTHER_KEY: &str = "another node is there";
/// The name is not known.
pub const NO_NAME: &str = "the name was not found";
/// The machine is there, and nobody listens on the port.
pub const REFUSED: &str = "the connection was refused";
/// Somebody listens, and hangs up before a word.
pub const CLOSED: &str = "it closed the connection at once";
/// No way leads to the machine.
pub const NO_ROUTE: &str = "no route leads there";
/// Nothing came back.
pub const SILENCE: &str = "no answer came";

/// What a reason means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// [`OTHER_KEY`].
    OtherKey,
    /// [`NO_NAME`].
    NoName,
    /// [`REFUSED`].
    Refused,
    /// [`CLOSED`].
    Closed,
    /// [`NO_ROUTE`].
    NoRoute,
    /// [`SILENCE`], and whatever else.
    Silence,
}

impl Cause {
    /// Of the words that the network told.
    #[must_use]
    pub fn of(reason: &str) -> Self {
        [
            (OTHER_KEY, Self::OtherKey),
            (NO_NAME, Self::NoName),
            (REFUSED, Self::Refused),
            (CLOSED, Self::Closed),
            (NO_ROUTE, Self::NoRoute),
        ]
        .into_iter()
        .find_map(|(start, cause)| reason.starts_with(start).then_some(cause))
        .unwrap_or(Self::Silence)
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
