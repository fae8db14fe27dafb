//! What became of a block that was offered to the chain.

/// What became of an offered block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// The chain had it before.
    Known,
    /// New and valid, on the active chain or beside it.
    Taken,
    /// The bytes are not the header's: another copy may be right.
    WrongBody(String),
    /// Against the rules for ever.
    Invalid(String),
    /// Refused by the ledger: who keeps it on a side branch cannot know.
    Ledger(String),
    /// Not now: its time, its parent, its weight, or our disk.
    NotNow(&'static str),
}
