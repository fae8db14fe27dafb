//! The second half of a sync: the bodies of a proven window come from all who have them, and are offered in order.
//!
//! Promises: each body is offered to the chain once, in order; a turn takes blocks while it has effort left, and at least
//! one; silence and slowness end a candidate without blame.
//! Elsewhere: what is asked of whom (`sync::fetch`), what a turn may do (`effort`).
//! Spec: `proto-notes/sync.md`, "Bodies".

use super::candidate::{Arrived, Content};
use super::{NOT_YET_MS, Order, Pass, Phase, Sync, SyncView, Syncs, VOID_MS};
use crate::chain::ChainStore;
use crate::chain::stages::Received;
use crate::contract::Event;
use crate::engine::Fault;
use crate::engine::parts::offer::Offer;
use crate::engine::parts::requests::LAPSES_MAX;
use crate::types::{BlockHash, PeerId, Time};

/// How often `sync_progress` is told at most.
const PROGRESS_MS: u64 = 1_000;

impl Syncs {
    /// The candidates that asked for some of these bodies.
    fn askers<'a>(&'a mut self, hashes: &'a [BlockHash]) -> impl Iterator<Item = &'a mut Sync> {
        self.candidates
            .iter_mut()
            .filter(|sync| hashes.iter().any(|hash| sync.index.contains_key(hash)))
    }

    /// Bodies that were asked for at `at`.
    pub(crate) fn on_blocks<S: ChainStore>(
        &mut self,
        ground: &SyncView<'_, S>,
        peer: PeerId,
        (at, hashes): (Time, &[BlockHash]),
        blocks: Vec<Vec<u8>>,
    ) {
        let headers: Vec<_> = blocks.iter().map(|bytes| Received::read(bytes)).collect();
        let is_right = |(header, hash): (&Result<Received, _>, &BlockHash)| {
            header.as_ref().is_ok_and(|header| header.hash() == *hash)
        };
        if blocks.len() > hashes.len() || !headers.iter().zip(hashes).all(is_right) {
            self.askers(hashes).for_each(|sync| {
                sync.lacking.insert(peer);
            });
            self.blame(peer, Fault::Fatal, "blocks that nobody asked for");
            return;
        }
        let bytes = blocks.iter().map(|bytes| bytes.len().saturating_add(8)).sum();
        self.out.push_back(Order::Brought {
            peer,
            at,
            count: blocks.len(),
            bytes,
        });
        if !blocks.is_empty() {
            self.sources.answered_late(ground.now, &peer);
        }
        for sync in self.askers(hashes) {
            if blocks.is_empty() {
                sync.lacking.insert(peer);
                sync.proven.remove(&peer);
            } else {
                sync.lacking.remove(&peer);
                sync.stalls.remove(&peer);
                sync.proven.insert(peer);
            }
        }
        for (header, bytes) in headers.into_iter().flatten().zip(blocks) {
            // Two candidates may share a block: each gets it, and the later one finds it stored.
            for sync in &mut self.candidates {
                if let Some(index) = sync.lacks(&header.hash()) {
                    sync.buffered += bytes.len();
                    let body = Arrived {
                        peer,
                        received: header.clone(),
                        size: bytes.len(),
                        content: Content::Bytes(bytes.clone()),
                    };
                    sync.bodies.insert(index, body);
                }
            }
        }
    }

    /// A question for bodies lapsed: they are asked from others too, and taken from whoever comes first.
    pub(crate) fn late_blocks(&mut self, peer: PeerId, hashes: &[BlockHash]) {
        for sync in self.askers(hashes) {
            *sync.stalls.entry(peer).or_insert(0) += 1;
            sync.proven.remove(&peer);
        }
    }

    /// A question for bodies ended without any.
    pub(crate) fn no_blocks<S: ChainStore>(
        &mut self,
        ground: &SyncView<'_, S>,
        peer: PeerId,
        hashes: &[BlockHash],
        has_lapsed: bool,
    ) {
        let busy = ground.requests.link(&peer).is_some_and(|link| link.is_busy(ground.now));
        // What lapsed was counted then.
        if has_lapsed || (busy && !ground.requests.is_always_busy(&peer)) {
            return;
        }
        self.out.push_back(Order::Stalled(peer));
        self.late_blocks(peer, hashes);
    }

    /// Bodies that are there may be offered in this turn. A full block uses one up: candidates take turns.
    pub(crate) fn begin_taking(&mut self, turn: usize) {
        self.taking = self.fetching().into();
        if !self.taking.is_empty() {
            let first = turn % self.taking.len();
            self.taking.rotate_left(first);
        }
    }

    /// Whether [`Syncs::next_body`] has something to do in this turn.
    pub(crate) fn is_taking(&self) -> bool {
        !self.taking.is_empty()
    }

    /// The next body in order and whose candidate it belongs to, if one may be taken; else the candidate whose turn it is has come to an end of what is
    /// there. What became of the body is told by [`Syncs::offered`].
    pub(crate) fn next_body<S: ChainStore>(
        &mut self,
        ground: &SyncView<'_, S>,
        may_take: bool,
    ) -> Option<(PeerId, Arrived)> {
        let source = self.taking.front().copied()?;
        let body = self.sync_of(source).filter(|_| may_take).and_then(|sync| {
            sync.bodies.get(&sync.next).filter(|body| body.is_ready())?;
            let body = sync.bodies.remove(&sync.next)?;
            sync.buffered = sync.buffered.saturating_sub(body.size);
            Some((source, body))
        });
        if body.is_none() {
            self.taking.pop_front();
            match self.sync_of(source) {
                Some(sync) if sync.next >= sync.steps.len() => self.finish_window(ground, source),
                Some(_) => self.tell_progress(ground, source),
                None => {}
            }
        }
        body
    }

    /// What became of a body.
    pub(crate) fn offered<S: ChainStore>(
        &mut self,
        ground: &SyncView<'_, S>,
        (source, peer): (PeerId, PeerId),
        offer: Offer,
    ) {
        if !self.goes_on(ground, source, peer, offer) {
            self.taking.pop_front();
        }
    }

    /// Whether the candidate goes on after a body.
    fn goes_on<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, source: PeerId, peer: PeerId, offer: Offer) -> bool {
        let Some(sync) = self.sync_of(source) else { return false };
        match offer {
            Offer::Known | Offer::Taken => {
                sync.next += 1;
                true
            }
            Offer::WrongBody(reason) => {
                sync.lacking.insert(peer);
                sync.proven.remove(&peer);
                self.blame(peer, Fault::Fatal, &reason);
                true
            }
            Offer::Invalid(reason) => {
                self.end_sync(ground, source);
                self.void_claim(ground, source, VOID_MS);
                self.blame(peer, Fault::Fatal, &reason);
                if source != peer {
                    self.blame(source, Fault::Low, &reason);
                }
                false
            }
            // Its headers said that this is its active chain, so it must have found out itself.
            Offer::Ledger(reason) => {
                self.end_sync(ground, source);
                self.void_claim(ground, source, VOID_MS);
                self.blame(source, Fault::Fatal, &reason);
                false
            }
            Offer::NotNow(_) => {
                self.end_sync(ground, source);
                self.void_claim(ground, source, NOT_YET_MS);
                false
            }
        }
    }

    /// Nobody has the bodies, or nobody sends them: the own tip stays. Only who said that it has none is blamed.
    pub(super) fn give_up_bodies<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, source: PeerId) {
        let says_none = self.sync_of(source).is_some_and(|sync| sync.lacking.contains(&source));
        let present = self.sources.contains(&source);
        self.end_sync(ground, source);
        if says_none && present {
            self.void_claim(ground, source, VOID_MS);
            self.blame(source, Fault::Mid, "headers without bodies");
        } else {
            self.leave_silent(ground, source);
        }
    }

    /// All bodies of the window are in: on to the next, or done.
    fn finish_window<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, source: PeerId) {
        let present = self.sources.contains(&source);
        let now = ground.now;
        let Some(sync) = self.sync_of(source) else { return };
        sync.began = now;
        self.sources.served(now, &source);
        let Some(sync) = self.sync_of(source) else { return };
        let goes_on = match &sync.pass {
            Pass::Again(_) => {
                sync.next_window();
                true
            }
            Pass::Keep | Pass::Measure(_) => {
                let more = sync.more;
                sync.restart();
                more
            }
        };
        self.protect();
        if goes_on && present {
            self.ask_headers(ground, source);
        } else if !(goes_on && self.hand_over(ground, source)) {
            self.end_sync(ground, source);
            self.choose_syncs(ground);
        }
    }

    pub(super) fn tell_started<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, source: PeerId) {
        let height = ground.chain.tip().header.height;
        let next = ground.after(PROGRESS_MS);
        let Some(sync) = self.sync_of(source).filter(|sync| !sync.announced) else {
            return;
        };
        sync.announced = true;
        sync.progress_at = next;
        let (peer_id, target_height) = (sync.source.to_string(), sync.target);
        self.tell(Event::SyncStarted {
            peer_id,
            height,
            target_height,
        });
    }

    fn tell_progress<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, source: PeerId) {
        let height = ground.chain.tip().header.height;
        let next = ground.after(PROGRESS_MS);
        let now = ground.now;
        let due = |sync: &&mut Sync| sync.announced && sync.progress_at <= now;
        let Some(sync) = self.sync_of(source).filter(due) else {
            return;
        };
        sync.progress_at = next;
        // While a side branch is fetched the active tip stands still: say how far the fetching is.
        let fetched = sync
            .next
            .checked_sub(1)
            .and_then(|index| sync.steps.get(index))
            .map_or(height, |step| step.header.height);
        let (peer_id, target_height) = (sync.source.to_string(), sync.target);
        self.tell(Event::SyncProgress {
            peer_id,
            height: fetched,
            target_height,
        });
    }
}

impl Sync {
    /// Whether a peer let too many questions lapse in a row to be asked again for this candidate.
    pub(super) fn is_given_up(&self, peer: &PeerId) -> bool {
        self.stalls.get(peer).is_some_and(|stalls| *stalls >= LAPSES_MAX)
    }

    /// The place of a body that is still missing.
    pub(super) fn lacks(&self, hash: &BlockHash) -> Option<usize> {
        let index = self.index.get(hash).copied()?;
        let missing = self.phase == Phase::Bodies && index >= self.next && !self.bodies.contains_key(&index);
        missing.then_some(index)
    }
}
