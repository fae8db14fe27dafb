//! The links that stand, and which of the own ones changes.
//!
//! Promises: with enough own links one more is opened every 20 s, and when it has brought the other's status the youngest
//! own link that nothing protects is closed. Protected are the four oldest, those whom the user named, those that a sync
//! is fetching from, and the new one as long as there is another. With many links, those whom discovery heard make room
//! if they dialled in: they find others.

use std::collections::BTreeMap;

use super::candidate::DialSource;
use super::choice::choose;
use super::limits::{BACKOFF_MIN_MS, LINKS_MANY, OWN_LINKS};
use crate::contract::Direction;
use crate::engine::parts::exchange::{ASK_PAUSE_MAX_MS, ASK_PAUSE_MIN_MS};
use crate::types::rng::Rng;
use crate::types::{PeerId, Time};

/// How often one more link is opened: a cut of the network that was mended is noticed within this time by every node,
/// and within a part of it by one of many.
const EXTRA_EVERY_MS: u64 = 18_000;
/// Spread of that time, so that a room does not do it in step.
const EXTRA_JITTER_MS: u64 = 4_000;
/// The shortest time between two, however many unknown nodes are heard of, and the pause after one that failed.
const EXTRA_SOONEST_MS: u64 = 4_000;
/// Own links, and as many of those that others opened, that never make room: who would cut this node off must have been
/// there before.
const OLDEST_KEPT: usize = 4;
/// How long the status of the newest link is waited for.
const STATUS_PATIENCE_MS: u64 = 10_000;
/// How much later than is due the next question of a peer may come.
const ASK_LATE_MS: u64 = 5_000;
/// How long a peer that had to make room is left alone.
const REPLACED_MS: u64 = 60_000;

#[derive(Clone, Debug)]
struct LinkEntry {
    is_own: bool,
    is_named: bool,
    /// It was told by this source.
    teller: Option<DialSource>,
    since: Time,
    /// Its status is known.
    exchanged: bool,
    /// How often it asked for others, and when it did last.
    asked: Option<(u32, Time)>,
    is_closing: bool,
}

impl LinkEntry {
    /// It asked for others, and has stopped asking: it has enough links of its own.
    fn found_others(&self, now: Time) -> bool {
        let Some((times, at)) = self.asked else { return false };
        let doubled = ASK_PAUSE_MIN_MS.saturating_mul(1 << times.saturating_sub(1).min(10));
        now.since(at) > doubled.min(ASK_PAUSE_MAX_MS) + ASK_LATE_MS
    }

    /// It has not said yet where it stands, and may still do so.
    const fn is_waited_for(&self, now: Time) -> bool {
        !self.exchanged && now.since(self.since) < STATUS_PATIENCE_MS
    }
}

/// All links by peer.
#[derive(Clone, Debug)]
pub(super) struct LinkTable {
    links: BTreeMap<PeerId, LinkEntry>,
    /// The last extra link, dialled or standing.
    extra: Option<PeerId>,
    extra_next: Time,
    extra_last: Time,
}

impl LinkTable {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            links: BTreeMap::new(),
            extra: None,
            extra_next: now.after_ms(EXTRA_EVERY_MS),
            extra_last: Time::from_ms(0),
        }
    }

    pub(super) fn has(&self, peer: &PeerId) -> bool {
        self.links.contains_key(peer)
    }

    pub(super) fn count(&self) -> usize {
        self.links.len()
    }

    /// Own links that are to stay.
    pub(super) fn own(&self) -> usize {
        self.links
            .values()
            .filter(|link| link.is_own && !link.is_closing)
            .count()
    }

    /// Own links that one teller led to.
    pub(super) fn told_by(&self, source: DialSource) -> usize {
        let told = |link: &&LinkEntry| link.is_own && link.teller == Some(source);
        self.links.values().filter(told).count()
    }

    pub(super) fn made(
        &mut self,
        now: Time,
        peer: PeerId,
        (direction, is_named, teller): (Direction, bool, Option<DialSource>),
    ) {
        let is_own = direction == Direction::Out;
        let link = self.links.entry(peer).or_insert(LinkEntry {
            is_own,
            is_named,
            teller,
            since: now,
            exchanged: false,
            asked: None,
            is_closing: false,
        });
        link.is_named |= is_named;
    }

    /// A link is gone; gives the pause before the peer may be dialled again.
    pub(super) fn gone(&mut self, now: Time, peer: &PeerId) -> u64 {
        let Some(link) = self.links.remove(peer) else {
            return BACKOFF_MIN_MS;
        };
        if self.extra == Some(*peer) {
            self.extra = None;
            self.hurry(now, EXTRA_SOONEST_MS);
        }
        // With enough other own links there is no hurry: it may have had too many.
        let is_spare = link.is_own && !link.is_named && self.own() >= OWN_LINKS / 2;
        if link.is_closing || is_spare {
            REPLACED_MS
        } else {
            BACKOFF_MIN_MS
        }
    }

    pub(super) fn exchanged(&mut self, peer: &PeerId) {
        if let Some(link) = self.links.get_mut(peer) {
            link.exchanged = true;
        }
    }

    /// A peer asked for others.
    pub(super) fn asked(&mut self, now: Time, peer: &PeerId) {
        if let Some(link) = self.links.get_mut(peer) {
            let times = link.asked.map_or(1, |(times, _)| times.saturating_add(1));
            link.asked = Some((times, now));
        }
    }

    // ---- the extra link ----

    /// When the next extra link is due; none while there are too few own ones, or one too many.
    pub(super) fn extra_due(&self, now: Time) -> Option<Time> {
        let own = self.own();
        let is_waited_for = |peer: PeerId| self.links.get(&peer).is_none_or(|link| link.is_waited_for(now));
        let is_settled = own == OWN_LINKS || own > OWN_LINKS && self.surplus(now, &[]).is_none();
        let is_free = is_settled && !self.extra.is_some_and(is_waited_for);
        is_free.then_some(self.extra_next)
    }

    /// An extra link is being dialled, or nobody was there to be dialled.
    pub(super) fn extra_began(&mut self, now: Time, peer: Option<PeerId>, rng: &mut Rng) {
        self.extra = peer;
        self.extra_last = now;
        self.extra_next = now.after_ms(EXTRA_EVERY_MS + rng.below(EXTRA_JITTER_MS));
    }

    pub(super) fn extra_failed(&mut self, now: Time, peer: &PeerId) {
        if self.extra == Some(*peer) && !self.has(peer) {
            self.extra = None;
            self.hurry(now, EXTRA_SOONEST_MS);
        }
    }

    /// Discovery heard of somebody unknown: perhaps a cut was mended.
    pub(super) fn heard_unknown(&mut self, now: Time, rng: &mut Rng) {
        // With too few links everybody is dialled anyway.
        if self.own() >= OWN_LINKS {
            self.hurry(now, 1_000 + rng.below(1_000));
        }
    }

    fn hurry(&mut self, now: Time, ms: u64) {
        let soonest = self.extra_last.after_ms(EXTRA_SOONEST_MS);
        self.extra_next = self.extra_next.min(now.after_ms(ms).max(soonest));
    }

    /// The own link that is one too many, once the newest has brought its status.
    pub(super) fn surplus(&self, now: Time, fetching: &[PeerId]) -> Option<PeerId> {
        if self.own() <= OWN_LINKS {
            return None;
        }
        let own = self.links.iter().filter(|(_, link)| link.is_own && !link.is_closing);
        let mut own: Vec<(&PeerId, &LinkEntry)> = own.collect();
        own.sort_by_key(|(peer, link)| (link.since, **peer));
        let is_new = |peer: &PeerId| self.extra == Some(*peer);
        let is_free = |(peer, link): &&(&PeerId, &LinkEntry)| {
            !link.is_waited_for(now) && !link.is_named && !fetching.contains(peer)
        };
        let mut open = own.iter().skip(OLDEST_KEPT).filter(is_free);
        if own.iter().any(|(peer, link)| is_new(peer) && link.is_waited_for(now)) {
            return None;
        }
        let youngest = open.clone().rfind(|(peer, _)| !is_new(peer));
        youngest.or_else(|| open.next_back()).map(|(peer, _)| **peer)
    }

    /// A link that somebody else opened, when there are many: one of those who `find_others`, at random, so that whoever
    /// comes now has the same prospects as those who came before.
    pub(super) fn crowding(
        &self,
        now: Time,
        fetching: &[PeerId],
        (rng, find_others): (&mut Rng, impl Fn(&PeerId) -> bool),
    ) -> Option<PeerId> {
        // Asked in every turn, and mostly there are few.
        if self.links.len() <= LINKS_MANY {
            return None;
        }
        let standing = self.links.iter().filter(|(_, link)| !link.is_closing);
        let counted = standing.filter(|(peer, link)| link.is_own || find_others(peer) || link.found_others(now));
        let (own, mut others): (Vec<_>, Vec<_>) = counted.partition(|(_, link)| link.is_own);
        if own.len() + others.len() <= LINKS_MANY {
            return None;
        }
        others.sort_by_key(|(peer, link)| (link.since, **peer));
        let is_free = |(peer, link): &(&PeerId, &LinkEntry)| {
            !link.is_waited_for(now) && !link.is_named && !fetching.contains(peer)
        };
        let free: Vec<PeerId> = others
            .into_iter()
            .skip(OLDEST_KEPT)
            .filter(is_free)
            .map(|(peer, _)| *peer)
            .collect();
        choose(rng, &free)
    }

    pub(super) fn close(&mut self, peer: &PeerId) {
        if let Some(link) = self.links.get_mut(peer) {
            link.is_closing = true;
        }
    }

    pub(super) fn is_closing(&self, peer: &PeerId) -> bool {
        self.links.get(peer).is_some_and(|link| link.is_closing)
    }
}
