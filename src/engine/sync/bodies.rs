//! The second half of a sync: the bodies of a proven window come from all who have them, and are offered in order.
//!
//! Promises: each body is offered to the chain once, in order; a turn takes blocks while it has effort left, and at least
//! one; silence and slowness end a candidate without blame.
//! Elsewhere: what is asked of whom (`sync::fetch`), what a turn may do (`effort`).
//! Spec: `proto-notes/sync.md`, "Bodies".

use super::{NOT_YET_MS, Pass, Phase, Sync, VOID_MS};
use crate::chain::{Block, ChainStore};
use crate::contract::Event;
use crate::engine::Fault;
use crate::engine::advance::Offer;
use crate::engine::machine::{Engine, from_peer};
use crate::engine::requests::LAPSES_MAX;
use crate::types::{BlockHash, PeerId, Time};

/// Between two `sync_progress`.
const PROGRESS_MS: u64 = 1_000;

impl<S: ChainStore> Engine<S> {
    /// The candidates that asked for some of these bodies.
    fn askers<'a>(&'a mut self, hashes: &'a [BlockHash]) -> impl Iterator<Item = &'a mut Sync> {
        self.sync
            .candidates
            .iter_mut()
            .filter(|sync| hashes.iter().any(|hash| sync.index.contains_key(hash)))
    }

    /// Bodies that were asked for at `at`.
    pub(in crate::engine) fn on_blocks(
        &mut self,
        peer: PeerId,
        (at, hashes): (Time, &[BlockHash]),
        blocks: Vec<Vec<u8>>,
    ) {
        let received = blocks.len();
        let wrong = received > hashes.len()
            || blocks
                .iter()
                .zip(hashes)
                .any(|(bytes, hash)| Block::header_of(bytes).map(|header| header.hash()) != Ok(*hash));
        if wrong {
            self.askers(hashes).for_each(|sync| {
                sync.lacking.insert(peer);
            });
            self.punish(peer, Fault::Fatal, "blocks that nobody asked for");
            return;
        }
        self.delivered(peer, at, &blocks);
        for sync in self.askers(hashes) {
            if received == 0 {
                sync.lacking.insert(peer);
                sync.proven.remove(&peer);
            } else {
                sync.lacking.remove(&peer);
                sync.stalls.remove(&peer);
                sync.proven.insert(peer);
            }
        }
        for (hash, bytes) in hashes.iter().zip(blocks) {
            // Two candidates may share a block: each gets it, and the later one finds it stored.
            for sync in &mut self.sync.candidates {
                if let Some(index) = sync.lacks(hash) {
                    sync.buffered += bytes.len();
                    sync.bodies.insert(index, (peer, bytes.clone()));
                }
            }
        }
    }

    /// A peer answered a question for bodies: what its link has shown, and patience with what else is under way there.
    fn delivered(&mut self, peer: PeerId, at: Time, blocks: &[Vec<u8>]) {
        let (now, read) = (self.now, self.requests.heard());
        let bytes = blocks.iter().map(|bytes| bytes.len().saturating_add(8)).sum();
        let Some(link) = self.requests.link_mut(&peer) else {
            return;
        };
        link.delivered();
        link.fetches(now, bytes);
        if blocks.is_empty() {
            return;
        }
        link.brought_bodies(at, read, (blocks.len(), bytes));
        self.answered_late(peer);
        self.be_patient(&peer);
    }

    /// A question for bodies lapsed: they are asked from others too, and taken from whoever comes first.
    pub(in crate::engine) fn late_blocks(&mut self, peer: PeerId, hashes: &[BlockHash]) {
        for sync in self.askers(hashes) {
            *sync.stalls.entry(peer).or_insert(0) += 1;
            sync.proven.remove(&peer);
        }
    }

    /// A question for bodies ended without any.
    pub(in crate::engine) fn no_blocks(&mut self, peer: PeerId, hashes: &[BlockHash], has_lapsed: bool) {
        let busy = self.requests.link(&peer).is_some_and(|link| link.is_busy(self.now));
        // What lapsed was counted then.
        if has_lapsed || (busy && !self.is_always_busy(&peer)) {
            return;
        }
        if let Some(link) = self.requests.link_mut(&peer) {
            link.stalled();
        }
        self.late_blocks(peer, hashes);
    }

    /// Offers the bodies that are there to the chain, in order.
    pub(super) fn take_bodies(&mut self) {
        let mut sources = self.fetching();
        if !sources.is_empty() {
            // A full block uses up a turn: candidates take turns.
            let first = self.effort.turn() % sources.len();
            sources.rotate_left(first);
        }
        for source in sources {
            self.take_some(source);
        }
    }

    fn take_some(&mut self, source: PeerId) {
        while self.effort.is_left() && !self.disk_is_behind() {
            let Some(sync) = self.sync_of(source) else { return };
            let Some((peer, bytes)) = sync.bodies.remove(&sync.next) else {
                break;
            };
            sync.buffered = sync.buffered.saturating_sub(bytes.len());
            if !self.take_body(source, peer, &bytes) {
                return;
            }
        }
        match self.sync_of(source) {
            Some(sync) if sync.next >= sync.steps.len() => self.finish_window(source),
            Some(_) => self.tell_progress(source),
            None => {}
        }
    }

    /// One body; whether the sync goes on.
    fn take_body(&mut self, source: PeerId, peer: PeerId, bytes: &[u8]) -> bool {
        let offer = match Block::from_bytes(bytes) {
            Ok(block) => {
                self.effort.block(block.transactions.len(), bytes.len());
                self.offer(block, from_peer(peer))
            }
            Err(error) => Offer::WrongBody(error.to_string()),
        };
        let Some(sync) = self.sync_of(source) else { return false };
        match offer {
            Offer::Known | Offer::Taken => {
                sync.next += 1;
                true
            }
            Offer::WrongBody(reason) => {
                sync.lacking.insert(peer);
                sync.proven.remove(&peer);
                self.punish(peer, Fault::Fatal, &reason);
                true
            }
            Offer::Invalid(reason) => {
                self.end_sync(source);
                self.void_claim(source, VOID_MS);
                self.punish(peer, Fault::Fatal, &reason);
                if source != peer {
                    self.punish(source, Fault::Low, &reason);
                }
                false
            }
            // Its headers said that this is its active chain, so it must have found out itself.
            Offer::Ledger(reason) => {
                self.end_sync(source);
                self.void_claim(source, VOID_MS);
                self.punish(source, Fault::Fatal, &reason);
                false
            }
            Offer::NotNow(_) => {
                self.end_sync(source);
                self.void_claim(source, NOT_YET_MS);
                false
            }
        }
    }

    /// Nobody has the bodies, or nobody sends them: the own tip stays. Only who said that it has none is blamed.
    pub(super) fn give_up_bodies(&mut self, source: PeerId) {
        let says_none = self.sync_of(source).is_some_and(|sync| sync.lacking.contains(&source));
        let present = self.sync.sources.contains(&source);
        self.end_sync(source);
        if says_none && present {
            self.void_claim(source, VOID_MS);
            self.punish(source, Fault::Mid, "headers without bodies");
        } else {
            self.leave_silent(source);
        }
    }

    /// All bodies of the window are in: on to the next, or done.
    fn finish_window(&mut self, source: PeerId) {
        let present = self.sync.sources.contains(&source);
        let now = self.now;
        let Some(sync) = self.sync_of(source) else { return };
        sync.began = now;
        self.sync.sources.served(now, &source);
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
            self.ask_headers(source);
        } else if !(goes_on && self.hand_over(source)) {
            self.end_sync(source);
            self.choose_syncs();
        }
    }

    pub(super) fn tell_started(&mut self, source: PeerId) {
        let height = self.chain.tip().header.height;
        let next = self.after(PROGRESS_MS);
        let Some(sync) = self.sync_of(source).filter(|sync| !sync.announced) else {
            return;
        };
        sync.announced = true;
        sync.progress_at = next;
        let (peer_id, target_height) = (sync.source.to_string(), sync.target);
        self.out.event(Event::SyncStarted {
            peer_id,
            height,
            target_height,
        });
    }

    fn tell_progress(&mut self, source: PeerId) {
        let height = self.chain.tip().header.height;
        let next = self.after(PROGRESS_MS);
        let now = self.now;
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
        self.out.event(Event::SyncProgress {
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
