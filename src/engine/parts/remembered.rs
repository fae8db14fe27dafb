//! Whose addresses are kept for the next start.
//!
//! Promises: at most [`REMEMBERED_MAX`]; whom the user named never makes room for anybody; whom an earlier run knew, and
//! who is still there, makes room only for those whom the user names; passing strangers make room first.
//! Elsewhere: the table on disk (`chain::store`).

use std::collections::BTreeMap;

use crate::types::PeerId;
use crate::types::rng::Rng;

/// Peers kept for the next start: more than one room has.
pub(crate) const REMEMBERED_MAX: usize = 64;

/// Why somebody is remembered, the weakest reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// It dialled this node.
    Called,
    /// This node dialled it.
    Dialled,
    /// It is from an earlier run.
    Earlier,
    /// The user named it.
    Named,
}

/// What became of a peer that is to be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// It is remembered, and there was room.
    Kept,
    /// It is remembered in the place of this one.
    InPlaceOf(PeerId),
    /// There is no place for it.
    Refused,
}

/// The peers that the store keeps for the next start.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    peers: BTreeMap<PeerId, Reason>,
    rng: Rng,
}

impl Remembered {
    /// Those of an earlier run.
    pub(crate) fn new(earlier: impl Iterator<Item = PeerId>, seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            peers: earlier.map(|peer| (peer, Reason::Earlier)).collect(),
        }
    }

    /// Remembers a peer. `is_gone` says who of an earlier run answers no dial: such a one counts as a stranger.
    pub(crate) fn add(&mut self, peer: PeerId, reason: Reason, is_gone: impl Fn(&PeerId) -> bool) -> Placement {
        if let Some(known) = self.peers.get_mut(&peer) {
            *known = (*known).max(reason);
            return Placement::Kept;
        }
        if self.peers.len() < REMEMBERED_MAX {
            self.peers.insert(peer, reason);
            return Placement::Kept;
        }
        let weight = |(peer, known): (&PeerId, &Reason)| match known {
            Reason::Earlier if is_gone(peer) => Reason::Called,
            Reason::Called | Reason::Dialled | Reason::Earlier | Reason::Named => *known,
        };
        let weakest = self.peers.iter().map(weight).min().unwrap_or(Reason::Named);
        let may_take = match weakest {
            Reason::Called | Reason::Dialled => weakest <= reason,
            Reason::Earlier => reason == Reason::Named,
            Reason::Named => false,
        };
        if !may_take {
            return Placement::Refused;
        }
        let weak = self.peers.iter().filter(|entry| weight(*entry) == weakest);
        let weak: Vec<PeerId> = weak.map(|(peer, _)| *peer).collect();
        let at = self.rng.below(u64::try_from(weak.len()).unwrap_or(1));
        let Some(gone) = usize::try_from(at).ok().and_then(|at| weak.get(at)).copied() else {
            return Placement::Refused;
        };
        self.peers.remove(&gone);
        self.peers.insert(peer, reason);
        Placement::InPlaceOf(gone)
    }
}
