//! Who is followed next: a peer that claims more work, or hints at it, at random among those whose links are best.
//!
//! Elsewhere: what is known of each peer (`sync::sources`).
//! Spec: `proto-notes/sync.md`, "Headers".

use super::candidate::{Phase, Sync};
use super::{CANDIDATES_MAX, HURRY_MS, Order, SyncView, Syncs};
use crate::chain::ChainStore;
use crate::types::{Height, PeerId, count};

impl Syncs {
    pub(super) fn choose_syncs<S: ChainStore>(&mut self, ground: &SyncView<'_, S>) {
        while self.candidates.len() < CANDIDATES_MAX {
            let Some(id) = self.choose_source(ground) else {
                return;
            };
            self.sources.chosen(&id);
            let claim = self.sources.last_claim(&id);
            let target = claim.map_or(Height::GENESIS, |(_, height, _)| height);
            let mut sync = Sync::new(id, target, ground.now);
            sync.top = claim.map(|(tip, ..)| tip);
            self.candidates.push(sync);
            self.ask_headers(ground, id);
            if matches!(self.out.back(), Some(Order::StoreFailed(_))) {
                // Nothing can be asked: it would be chosen again and again.
                return;
            }
        }
    }

    /// The next peer to be followed: at random among the most reliable, for the
    /// loudest claim must not always be served first, nor a silent peer again and again.
    fn choose_source<S: ChainStore>(&mut self, ground: &SyncView<'_, S>) -> Option<PeerId> {
        let mut candidates: Vec<(u64, PeerId)> = Vec::new();
        for id in self.sources.ids() {
            let claims = self.claims_better(ground, id);
            let hints = self.sources.hints(ground.now, id);
            let silent = self.sources.is_silent(ground.now, id);
            let Some(link) = ground.requests.link(id) else { continue };
            if link.is_free(ground.now) && !silent && (claims || hints) && !self.is_covered(ground, *id) {
                candidates.push((link.pace().patience_ms(), *id));
            }
        }
        let patience = candidates.iter().map(|(patience_ms, ..)| *patience_ms).min()?;
        candidates.retain(|(patience_ms, ..)| *patience_ms == patience);
        let choice = self.rng.below(count(candidates.len()));
        candidates.get(usize::try_from(choice).ok()?).map(|(_, id)| *id)
    }

    /// Whether what a peer has is being fetched already.
    fn is_covered<S: ChainStore>(&self, ground: &SyncView<'_, S>, id: PeerId) -> bool {
        let tip = self.sources.tip(&id);
        self.candidates.iter().any(|sync| {
            let same = tip.is_some() && self.sources.tip(&sync.source) == tip;
            let inside = tip.is_some_and(|tip| sync.index.contains_key(&tip));
            let slow = sync.phase == Phase::Headers && ground.now.since(sync.began) >= HURRY_MS;
            sync.source == id || ((same || inside) && !slow)
        })
    }
}
