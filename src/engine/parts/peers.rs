//! All that is kept of peers, connected or not: six parts that know nothing of each other.

use super::dial::Dialer;
use super::exchange::Exchange;
use super::links::Links;
use super::remembered::Remembered;
use super::requests::Requests;
use super::standing::Standing;

/// The parts that deal with peers.
#[derive(Debug)]
pub(crate) struct Peers {
    /// Who is connected, and when statuses are exchanged.
    pub(crate) links: Links,
    /// Points, bans, and how often a peer may ask.
    pub(crate) standing: Standing,
    /// Own questions, and what each link has shown.
    pub(crate) requests: Requests,
    /// Whom to dial, and which own links stay.
    pub(crate) dialer: Dialer,
    /// Who tells of whom.
    pub(crate) exchange: Exchange,
    /// Who is kept for the next start.
    pub(crate) remembered: Remembered,
}
