//! What sync knows of each peer as a source: what it claims, which claim led nowhere, and how it served before.
//!
//! Promises: a claim is never believed, it only says whom to ask; a claim that led nowhere is not followed for a while;
//! who stays silent is left to others ever longer, until it serves.
//! Spec: `proto-notes/sync.md`, "Headers", "Patience".

use std::collections::BTreeMap;

use crate::types::{BlockHash, Height, PeerId, Time, Work};

/// How long a peer that stayed silent is not followed, and how often this doubles while it stays so: a bad link gets its
/// chance again within two minutes, and one that promises and never serves is asked ever more rarely.
const SILENT_MS: u64 = 10_000;
const SILENT_DOUBLINGS_MAX: u32 = 3;
/// Empty pages of headers in a row from a peer that claims more work. One can be a race of its status with its answer.
const EMPTY_PAGES_MAX: u32 = 3;

/// A tip that a peer claims, its height and its work.
pub(crate) type Claim = (BlockHash, Height, Work);

/// What is known of one connected peer as a source of blocks.
#[derive(Clone, Debug)]
struct SyncSource {
    /// The last one that it told; none before its status.
    claim: Option<Claim>,
    /// Its claim about this tip led nowhere; it is not asked for it until then.
    void: Option<(BlockHash, Time)>,
    /// It sent a block whose parent is unknown here.
    hint: bool,
    /// Such a block is not followed before: an earlier one led nowhere.
    hint_from: Time,
    /// Candidates in a row that ended because it did not answer.
    silences: u32,
    /// Nothing is fetched from it before for that reason.
    silent_until: Time,
    /// Empty pages of headers in a row.
    empty_pages: u32,
}

/// All connected peers as sources of blocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    all: BTreeMap<PeerId, SyncSource>,
}

impl Sources {
    /// A peer connected: it has claimed nothing yet.
    pub(crate) fn connected(&mut self, now: Time, peer: PeerId) {
        self.all.insert(
            peer,
            SyncSource {
                claim: None,
                void: None,
                hint: false,
                hint_from: now,
                silences: 0,
                silent_until: now,
                empty_pages: 0,
            },
        );
    }

    /// Its last connection is gone.
    pub(crate) fn gone(&mut self, peer: &PeerId) {
        self.all.remove(peer);
    }

    /// It told where it stands.
    pub(crate) fn claimed(&mut self, peer: &PeerId, claim: Claim) {
        if let Some(source) = self.all.get_mut(peer) {
            source.claim = Some(claim);
        }
    }

    /// It sent a block whose parent is unknown here.
    pub(crate) fn hinted(&mut self, peer: &PeerId) {
        if let Some(source) = self.all.get_mut(peer) {
            source.hint = true;
        }
    }

    /// It is followed now: what it hinted at is being looked for.
    pub(super) fn chosen(&mut self, peer: &PeerId) {
        if let Some(source) = self.all.get_mut(peer) {
            source.hint = false;
        }
    }

    /// All of them, by id.
    pub(super) fn ids(&self) -> impl Iterator<Item = &PeerId> {
        self.all.keys()
    }

    /// Whether it is connected.
    pub(super) fn contains(&self, peer: &PeerId) -> bool {
        self.all.contains_key(peer)
    }

    /// What it last claimed, be it that this led nowhere.
    pub(super) fn last_claim(&self, peer: &PeerId) -> Option<Claim> {
        self.all.get(peer)?.claim
    }

    /// The tip that it last named.
    pub(super) fn tip(&self, peer: &PeerId) -> Option<BlockHash> {
        self.last_claim(peer).map(|(tip, ..)| tip)
    }

    /// What it claims, unless that led nowhere lately.
    pub(crate) fn claim(&self, now: Time, peer: &PeerId) -> Option<Claim> {
        let source = self.all.get(peer)?;
        let claim = source.claim?;
        match source.void {
            Some((void, until)) if void == claim.0 && now < until => None,
            Some(_) | None => Some(claim),
        }
    }

    /// Every claim that did not lead nowhere lately.
    pub(crate) fn claims(&self, now: Time) -> impl Iterator<Item = Claim> {
        self.all.keys().filter_map(move |peer| self.claim(now, peer))
    }

    /// Whether it hinted at a branch that may be looked for.
    pub(super) fn hints(&self, now: Time, peer: &PeerId) -> bool {
        self.all
            .get(peer)
            .is_some_and(|source| source.hint && source.hint_from <= now)
    }

    /// Whether it is left to others because it stayed silent.
    pub(super) fn is_silent(&self, now: Time, peer: &PeerId) -> bool {
        self.all.get(peer).is_some_and(|source| now < source.silent_until)
    }

    /// Its present claim is not followed until then, nor a hint before `hint_from`.
    pub(super) fn void(&mut self, peer: &PeerId, until: Time, hint_from: Time) {
        if let Some(source) = self.all.get_mut(peer) {
            source.void = source.claim.map(|(tip, ..)| (tip, until));
            source.hint_from = hint_from;
        }
    }

    /// A candidate ended because it did not answer.
    pub(super) fn fell_silent(&mut self, now: Time, peer: &PeerId) {
        if let Some(source) = self.all.get_mut(peer) {
            let wait_ms = SILENT_MS << source.silences.min(SILENT_DOUBLINGS_MAX);
            source.silences = source.silences.saturating_add(1);
            source.silent_until = now.after_ms(wait_ms);
        }
    }

    /// It answered after its time was over: it is slow and not silent, so it is asked again at once.
    pub(crate) fn answered_late(&mut self, now: Time, peer: &PeerId) {
        if let Some(source) = self.all.get_mut(peer)
            && source.silent_until > now
        {
            source.silent_until = now;
            source.void = None;
        }
    }

    /// It served what it promised.
    pub(super) fn served(&mut self, now: Time, peer: &PeerId) {
        if let Some(source) = self.all.get_mut(peer) {
            source.silences = 0;
            source.silent_until = now;
        }
    }

    /// The user wants everybody asked: nothing is held against anybody.
    pub(crate) fn trust_again(&mut self, now: Time) {
        for source in self.all.values_mut() {
            source.void = None;
            source.silences = 0;
            source.silent_until = now;
        }
    }

    /// It sent a page with headers: empty ones before count no more.
    pub(super) fn sent_headers(&mut self, peer: &PeerId) {
        if let Some(source) = self.all.get_mut(peer) {
            source.empty_pages = 0;
        }
    }

    /// It claims more work and sent a page without headers; whether it did so too often.
    pub(super) fn sent_none(&mut self, peer: &PeerId) -> bool {
        self.all.get_mut(peer).is_some_and(|source| {
            source.empty_pages += 1;
            source.empty_pages >= EMPTY_PAGES_MAX
        })
    }

    /// When somebody may be followed again.
    pub(super) fn next_wakeup(&self, now: Time) -> Option<Time> {
        let ends = |source: &SyncSource| {
            let hint = source.hint.then_some(source.hint_from);
            [source.void.map(|(_, until)| until), Some(source.silent_until), hint]
        };
        let all = self.all.values().flat_map(ends).flatten();
        all.filter(|at| *at > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SecretKey;

    const fn at(ms: u64) -> Time {
        Time::from_ms(ms)
    }

    fn one() -> (Sources, PeerId) {
        let peer = SecretKey::from_seed([1; 32]).public().peer_id();
        let mut sources = Sources::default();
        sources.connected(at(1_000), peer);
        (sources, peer)
    }

    const fn claim(n: u8) -> Claim {
        (BlockHash::new([n; 32]), Height::new(7), Work::ZERO)
    }

    #[test]
    fn a_silent_peer_is_left_alone_ever_longer_until_it_serves() {
        let (mut sources, peer) = one();
        let now = at(1_000);
        for wait_ms in [10_000, 20_000, 40_000, 80_000, 80_000] {
            sources.fell_silent(now, &peer);
            assert_eq!(sources.next_wakeup(now), Some(at(1_000 + wait_ms)));
            assert!(sources.is_silent(at(999 + wait_ms), &peer) && !sources.is_silent(at(1_000 + wait_ms), &peer));
        }
        sources.served(now, &peer);
        assert_eq!(sources.next_wakeup(now), None);
        sources.fell_silent(now, &peer);
        assert_eq!(sources.next_wakeup(now), Some(at(11_000)));
    }

    #[test]
    fn a_peer_that_answers_late_is_asked_again_at_once() {
        let (mut sources, peer) = one();
        sources.claimed(&peer, claim(1));
        sources.fell_silent(at(1_000), &peer);
        sources.void(&peer, at(60_000), at(1_000));
        assert_eq!(sources.claim(at(2_000), &peer), None);
        sources.answered_late(at(2_000), &peer);
        assert!(!sources.is_silent(at(2_000), &peer));
        assert_eq!(sources.claim(at(2_000), &peer), Some(claim(1)));
    }

    #[test]
    fn a_claim_that_led_nowhere_is_not_followed_for_a_while_and_a_newer_one_is() {
        let (mut sources, peer) = one();
        assert_eq!(sources.claim(at(1), &peer), None, "before its status");
        sources.claimed(&peer, claim(1));
        sources.hinted(&peer);
        sources.void(&peer, at(5_000), at(3_000));
        assert_eq!(
            (sources.claim(at(4_999), &peer), sources.tip(&peer)),
            (None, Some(claim(1).0))
        );
        assert!(!sources.hints(at(2_999), &peer) && sources.hints(at(3_000), &peer));
        assert_eq!(sources.next_wakeup(at(2_000)), Some(at(3_000)));
        assert_eq!(sources.claim(at(5_000), &peer), Some(claim(1)));
        sources.claimed(&peer, claim(2));
        assert_eq!(sources.claims(at(2_000)).collect::<Vec<_>>(), [claim(2)]);
        sources.claimed(&peer, claim(1));
        sources.trust_again(at(2_000));
        assert_eq!(
            sources.claim(at(2_000), &peer),
            Some(claim(1)),
            "the user wants it asked"
        );
        sources.chosen(&peer);
        assert!(!sources.hints(at(9_000), &peer));
    }

    #[test]
    fn three_empty_pages_in_a_row_are_too_many() {
        let (mut sources, peer) = one();
        assert!(!sources.sent_none(&peer) && !sources.sent_none(&peer));
        sources.sent_headers(&peer);
        assert!(!sources.sent_none(&peer) && !sources.sent_none(&peer) && sources.sent_none(&peer));
        sources.gone(&peer);
        assert!(!sources.sent_none(&peer) && !sources.contains(&peer));
    }
}
