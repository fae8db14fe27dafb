//! Which tip each peer has, told as an event when it moves.
//!
//! Promises: each peer's first tip is told at once; later ones at most once a second a peer, and then the newest; no tip
//! is told twice in a row; nothing is told of a peer that is gone.
//! Elsewhere: what a peer says of itself (`parts::links`).
//! Spec: `proto-notes/events.md`, "Events".

use std::collections::BTreeMap;

use crate::types::{BlockHash, Height, PeerId, Time, Work};

/// The shortest time between two events about one peer.
const TOLD_EVERY_MS: u64 = 1_000;

/// The tip that a peer says it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClaimedTip {
    pub(crate) hash: BlockHash,
    pub(crate) height: Height,
    pub(crate) work: Work,
}

/// The tips of connected peers, as events told them.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerTips {
    /// What was told of each peer, and when.
    told: BTreeMap<PeerId, (ClaimedTip, Time)>,
    /// What is not told yet.
    waiting: BTreeMap<PeerId, ClaimedTip>,
}

impl PeerTips {
    /// A connected peer says that it has this tip.
    pub(crate) fn claims(&mut self, peer: PeerId, tip: ClaimedTip) {
        if self.told.get(&peer).is_some_and(|(told, _)| *told == tip) {
            self.waiting.remove(&peer);
        } else {
            self.waiting.insert(peer, tip);
        }
    }

    /// A peer is gone.
    pub(crate) fn gone(&mut self, peer: &PeerId) {
        self.told.remove(peer);
        self.waiting.remove(peer);
    }

    /// The next tip to tell.
    pub(crate) fn poll(&mut self, now: Time) -> Option<(PeerId, ClaimedTip)> {
        let due = |peer: &PeerId| self.due(peer) <= now;
        let peer = self.waiting.keys().copied().find(due)?;
        let tip = self.waiting.remove(&peer)?;
        self.told.insert(peer, (tip, now));
        Some((peer, tip))
    }

    fn due(&self, peer: &PeerId) -> Time {
        let told = self.told.get(peer);
        told.map_or(Time::from_ms(0), |(_, at)| at.after_ms(TOLD_EVERY_MS))
    }

    /// When the next tip may be told.
    pub(crate) fn next_wakeup(&self) -> Option<Time> {
        self.waiting.keys().map(|peer| self.due(peer)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::keys::peer;

    const NOW: Time = Time::from_ms(50_000);

    fn tip(height: u64) -> ClaimedTip {
        ClaimedTip {
            hash: BlockHash::new([u8::try_from(height).unwrap(); 32]),
            height: Height::new(height),
            work: Work::ZERO,
        }
    }

    #[test]
    fn the_first_tip_is_told_at_once_and_of_later_ones_the_newest_after_a_second() {
        let mut tips = PeerTips::default();
        tips.claims(peer(1), tip(1));
        assert_eq!(tips.poll(NOW), Some((peer(1), tip(1))));
        for height in [2, 3] {
            tips.claims(peer(1), tip(height));
            assert_eq!(tips.poll(NOW.after_ms(TOLD_EVERY_MS - 1)), None);
        }
        assert_eq!(tips.next_wakeup(), Some(NOW.after_ms(TOLD_EVERY_MS)));
        assert_eq!(tips.poll(NOW.after_ms(TOLD_EVERY_MS)), Some((peer(1), tip(3))));
        assert_eq!((tips.poll(NOW.after_ms(9_000)), tips.next_wakeup()), (None, None));
    }

    #[test]
    fn a_tip_that_returns_before_another_was_told_is_not_told_again() {
        let mut tips = PeerTips::default();
        tips.claims(peer(1), tip(1));
        tips.poll(NOW);
        tips.claims(peer(1), tip(2));
        tips.claims(peer(1), tip(1));
        assert_eq!((tips.poll(NOW.after_ms(5_000)), tips.next_wakeup()), (None, None));
    }

    #[test]
    fn a_peer_that_is_gone_is_not_told_of_and_begins_anew_when_it_is_back() {
        let mut tips = PeerTips::default();
        tips.claims(peer(1), tip(1));
        tips.gone(&peer(1));
        assert_eq!((tips.poll(NOW), tips.next_wakeup()), (None, None));
        tips.claims(peer(1), tip(1));
        tips.claims(peer(2), tip(1));
        assert!(tips.poll(NOW).is_some() && tips.poll(NOW).is_some());
        tips.gone(&peer(1));
        tips.claims(peer(1), tip(1));
        assert_eq!(tips.poll(NOW), Some((peer(1), tip(1))));
    }
}
