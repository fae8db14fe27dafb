//! What a sync asks of whom: every peer that has the bodies serves as fast as it can, and none holds the others up.
//!
//! Promises: at most [`WINDOW_BYTES`] of bodies wait or are under way, and as much again waits for the disk; who has not
//! answered yet holds one question, which others are asked too once somebody answers; the body that all wait for is asked
//! from a second peer after [`HEDGE_MS`]; nobody is asked for the same body twice at once.
//! Elsewhere: how much one link is asked for (`pace`), when a question has lapsed (`requests`).
//! Spec: `proto-notes/sync.md`, "Bodies".

use std::collections::BTreeSet;

use super::{Order, Phase, Sync, SyncView, Syncs};
use crate::chain::ChainStore;
use crate::engine::parts::requests::Question;
use crate::engine::parts::requests::Responder;
use crate::types::{BlockHash, PeerId, Time};
use crate::wire::{RESPONSE_MAX_BYTES, Request};

/// Bodies waiting for their turn, and answers under way, in bytes; also what may wait for a slow disk.
pub(super) const WINDOW_BYTES: usize = 32 * 1024 * 1024;
/// How far ahead of the next needed body is asked: sixteen of the largest questions.
const AHEAD_MAX: usize = 1_024;
/// Peers that have not answered yet hold so many questions at once: half of what may be under way stays for who answers.
const UNPROVEN_MAX: usize = 8;
/// How long who has not answered yet keeps others from being asked for the same.
const UNPROVEN_MS: u64 = 500;
/// How long all wait for one body before a second peer is asked for it.
const HEDGE_MS: u64 = 250;

impl Syncs {
    /// Peers that have the candidate's bodies and may be asked: the fewest lapses first, then who has answered before,
    /// then the least loaded. When all of these were silent, also who claims more work: it may stand above this branch,
    /// and if not, its answer is empty.
    fn body_peers<S: ChainStore>(&self, ground: &SyncView<'_, S>, sync: &Sync) -> Vec<(u32, u8, u32, PeerId)> {
        let source_tip = self.sources.claim(ground.now, &sync.source).map(|(tip, ..)| tip);
        let holds = |id: &PeerId| {
            let tip = self.sources.tip(id);
            let has = tip.is_some_and(|tip| sync.index.contains_key(&tip) || source_tip == Some(tip));
            has || *id == sync.source
        };
        let mut list = self.askable(ground, sync, holds);
        if list.iter().all(|(stalls, ..)| *stalls > 0) {
            let proven = sync.last.as_ref().map(|last| last.work);
            let claim = |id: &PeerId| self.sources.claim(ground.now, id);
            let above = |id: &PeerId| claim(id).is_some_and(|(_, _, work)| Some(work) > proven);
            list.extend(self.askable(ground, sync, |id| !holds(id) && above(id)));
        }
        list.sort_unstable();
        list
    }

    fn askable<S: ChainStore>(
        &self,
        ground: &SyncView<'_, S>,
        sync: &Sync,
        wanted: impl Fn(&PeerId) -> bool,
    ) -> Vec<(u32, u8, u32, PeerId)> {
        let fine = |id: &PeerId| !sync.lacking.contains(id) && !sync.is_given_up(id);
        let rank = |id: &PeerId| match (sync.proven.contains(id), sync.source == *id) {
            (true, _) => 0,
            // It has shown the headers.
            (false, true) => 1,
            (false, false) => 2,
        };
        self.sources
            .ids()
            .filter(|id| fine(id) && wanted(id))
            .map(|id| {
                let in_flight = ground.requests.link(id).map_or(0, Responder::in_flight);
                (sync.stalls.get(id).copied().unwrap_or(0), rank(id), in_flight, *id)
            })
            .collect()
    }

    fn blocks_under_way<S: ChainStore>(&self, ground: &SyncView<'_, S>) -> usize {
        ground
            .requests
            .for_blocks()
            .filter(|(asked, _)| asked.is_on_time())
            .count()
    }

    fn buffered(&self) -> usize {
        self.candidates.iter().map(|sync| sync.buffered).sum()
    }

    /// The candidates whose bodies are fetched.
    pub(crate) fn fetching(&self) -> Vec<PeerId> {
        let fetching = self.candidates.iter().filter(|sync| sync.phase == Phase::Bodies);
        fetching.map(|sync| sync.source).collect()
    }

    /// One request for the candidate, if it needs one and somebody may be asked.
    pub(crate) fn ask_next<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, source: PeerId) -> bool {
        let Some(sync) = self.candidates.iter().find(|sync| sync.source == source) else {
            return false;
        };
        let peers = self.body_peers(ground, sync);
        if peers.is_empty() && !self.is_asked(ground, sync) && !sync.bodies.contains_key(&sync.next) {
            self.give_up_bodies(ground, source);
            return false;
        }
        let has_room = self.blocks_under_way(ground) * RESPONSE_MAX_BYTES + self.buffered() < WINDOW_BYTES;
        let chosen = peers.into_iter().find_map(|(.., peer)| {
            if !self.may_fetch(ground, sync, &peer) {
                return None;
            }
            let chunk = if has_room {
                self.chunk(ground, sync, &peer)
            } else {
                Vec::new()
            };
            let chunk = if chunk.is_empty() {
                self.hedge(ground, sync, &peer)
            } else {
                chunk
            };
            (!chunk.is_empty()).then_some((peer, chunk))
        });
        if let Some((peer, chunk)) = &chosen {
            self.ask_chunk(*peer, chunk);
        }
        chosen.is_some()
    }

    /// Whether a peer may be asked for one more chunk.
    fn may_fetch<S: ChainStore>(&self, ground: &SyncView<'_, S>, sync: &Sync, id: &PeerId) -> bool {
        let Some(link) = ground.requests.link(id) else {
            return false;
        };
        if !link.is_free(ground.now) || link.fetch_from(ground.now) > ground.now {
            return false;
        }
        let own = ground
            .requests
            .for_blocks()
            .filter(|(asked, _)| asked.peer == *id)
            .count();
        if sync.proven.contains(id) {
            return own < link.pace().questions();
        }
        let unproven = |peer: &PeerId| self.candidates.iter().all(|sync| !sync.proven.contains(peer));
        let waiting = ground.requests.for_blocks();
        let waiting = waiting.filter(|(asked, _)| asked.is_on_time() && unproven(&asked.peer));
        own == 0 && waiting.count() < UNPROVEN_MAX
    }

    /// The next missing bodies that nobody else is about to send.
    fn chunk<S: ChainStore>(&self, ground: &SyncView<'_, S>, sync: &Sync, peer: &PeerId) -> Vec<BlockHash> {
        let is_proven = sync.proven.contains(peer);
        let holds = |id: &PeerId, asked_at: Time| {
            let fresh = ground.now.since(asked_at) < UNPROVEN_MS;
            !is_proven || sync.proven.contains(id) || fresh
        };
        let mut held = BTreeSet::new();
        for (asked, hashes) in ground.requests.for_blocks() {
            if asked.peer == *peer || (asked.is_on_time() && holds(&asked.peer, asked.at)) {
                held.extend(hashes.iter().filter_map(|hash| sync.index.get(hash).copied()));
            }
        }
        self.missing(ground, sync, peer, &held)
    }

    /// The bodies from the next one on, when all wait for it and who was asked has not sent it: once more.
    fn hedge<S: ChainStore>(&self, ground: &SyncView<'_, S>, sync: &Sync, peer: &PeerId) -> Vec<BlockHash> {
        let Some(next) = sync.steps.get(sync.next).map(|step| step.hash) else {
            return Vec::new();
        };
        let holders = ground.requests.for_blocks();
        let holders: Vec<_> = holders
            .filter(|(asked, hashes)| (asked.is_on_time() || asked.peer == *peer) && hashes.contains(&next))
            .collect();
        let [(first, hashes)] = holders[..] else {
            return Vec::new();
        };
        let is_due = first.peer != *peer && ground.now.since(first.at) >= HEDGE_MS;
        if !is_due || !sync.proven.contains(peer) || sync.lacks(&next).is_none() {
            return Vec::new();
        }
        let places = hashes.iter().filter_map(|hash| sync.index.get(hash).copied());
        let last = places.max().unwrap_or(sync.next);
        let held: BTreeSet<usize> = (last + 1..sync.next + AHEAD_MAX).collect();
        self.missing(ground, sync, peer, &held)
    }

    /// As many missing bodies as the peer's link is asked for at once, without these.
    fn missing<S: ChainStore>(
        &self,
        ground: &SyncView<'_, S>,
        sync: &Sync,
        peer: &PeerId,
        without: &BTreeSet<usize>,
    ) -> Vec<BlockHash> {
        let most = ground.requests.link(peer).map_or(1, |link| link.pace().blocks());
        let limit = sync.next.saturating_add(AHEAD_MAX).min(sync.steps.len());
        (sync.next..limit)
            .filter(|index| !sync.bodies.contains_key(index) && !without.contains(index))
            .filter_map(|index| sync.steps.get(index).map(|step| step.hash))
            .take(most)
            .collect()
    }

    fn ask_chunk(&mut self, peer: PeerId, hashes: &[BlockHash]) {
        let request = Request::GetBlocks {
            hashes: hashes.iter().map(|hash| *hash.as_bytes()).collect(),
        };
        self.out.push_back(Order::Ask {
            peer,
            what: Question::Blocks(hashes.to_vec()),
            request,
        });
    }

    /// When somebody may be asked for bodies without anything else happening before.
    pub(super) fn bodies_wakeup<S: ChainStore>(&self, ground: &SyncView<'_, S>, sync: &Sync) -> Option<Time> {
        let next = sync.steps.get(sync.next).map(|step| step.hash)?;
        let holding = ground.requests.for_blocks();
        let holding = holding.filter(|(asked, hashes)| asked.is_on_time() && hashes.contains(&next));
        let hedge = holding.map(|(asked, _)| asked.at.after_ms(HEDGE_MS));
        let ready = ground.requests.links().map(|link| link.fetch_from(ground.now));
        hedge.chain(ready).filter(|at| *at > ground.now).min()
    }
}
