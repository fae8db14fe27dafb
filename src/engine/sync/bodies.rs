//! The second half of a sync: fetching the bodies of a proven window from all who have them.
//!
//! Promises: at most [`WINDOW_BYTES`] of bodies wait or are under way, and as much again waits for the disk; each body is
//! offered to the chain once, in order.
//! Spec: `proto-notes/sync.md`, "Bodies".

use super::{NOT_YET_MS, Pass, Phase, Sync, VOID_MS};
use crate::chain::{Block, ChainStore};
use crate::engine::advance::Offer;
use crate::engine::event::Event;
use crate::engine::machine::{Engine, Question, from_peer};
use crate::engine::peers::{Fault, Peer, STALL_MIN_MS};
use crate::types::{BlockHash, PeerId};
use crate::wire::{RESPONSE_MAX_BYTES, Request};

/// Bodies waiting for their turn, and answers under way, in bytes; also what may wait for a slow disk.
const WINDOW_BYTES: usize = 32 * 1024 * 1024;
/// How far ahead of the next needed body is asked.
const AHEAD_MAX: usize = 512;
/// Blocks of one question: an answer holds two full ones, or as many small ones.
const CHUNK_BLOCKS: usize = 16;
/// Blocks taken in one turn, so that no turn is long.
const ACCEPT_PER_TURN: usize = 64;
/// Time-outs after which a peer is no longer asked in this sync.
const STALLS_MAX: u32 = 3;
/// Between two `sync_progress`.
const PROGRESS_MS: u64 = 1_000;

impl<S: ChainStore> Engine<S> {
    /// Peers that have the candidate's bodies and may be asked, the least loaded first. When all of these were silent,
    /// also who claims more work: it may stand above this branch, and if not, its answer is empty.
    fn body_peers(&self, sync: &Sync) -> Vec<(u32, u32, PeerId)> {
        let source_tip = self.peers.get(&sync.source).and_then(|peer| peer.claim(self.now));
        let holds = |id: &PeerId, peer: &Peer| {
            let tip = peer.status.as_ref().map(|status| BlockHash::new(status.tip));
            let has = tip.is_some_and(|tip| {
                sync.index.contains_key(&tip) || source_tip.is_some_and(|(source, ..)| source == tip)
            });
            has || *id == sync.source
        };
        let mut list = self.askable(sync, holds);
        if list.iter().all(|(stalls, ..)| *stalls > 0) {
            let proven = sync.last.as_ref().map(|last| last.work);
            let above = |peer: &Peer| peer.claim(self.now).is_some_and(|(_, _, work)| Some(work) > proven);
            list.extend(self.askable(sync, |id, peer| !holds(id, peer) && above(peer)));
        }
        list.sort_unstable();
        list
    }

    fn askable(&self, sync: &Sync, wanted: impl Fn(&PeerId, &Peer) -> bool) -> Vec<(u32, u32, PeerId)> {
        let fine = self.peers.iter().filter(|(id, _)| !sync.lacking.contains(id));
        fine.filter(|(id, peer)| wanted(id, peer))
            .map(|(id, peer)| (sync.stalls.get(id).copied().unwrap_or(0), peer.in_flight, *id))
            .collect()
    }

    fn blocks_under_way(&self) -> usize {
        self.requests
            .values()
            .filter(|asked| asked.deadline.is_some() && matches!(asked.what, Question::Blocks(_)))
            .count()
    }

    fn buffered(&self) -> usize {
        self.syncs.iter().map(|sync| sync.buffered).sum()
    }

    /// Blocks that were taken wait for the disk: no more until it has them.
    pub(super) fn disk_is_behind(&self) -> bool {
        self.chain.unwritten_bytes() >= WINDOW_BYTES
    }

    /// The candidates whose bodies are fetched.
    fn fetching(&self) -> Vec<PeerId> {
        let fetching = self.syncs.iter().filter(|sync| sync.phase == Phase::Bodies);
        fetching.map(|sync| sync.source).collect()
    }

    pub(super) fn ask_bodies(&mut self) {
        for source in self.fetching() {
            while self.ask_next(source) {}
        }
    }

    /// One request for the candidate, if it needs one and somebody may be asked.
    fn ask_next(&mut self, source: PeerId) -> bool {
        let Some(sync) = self.syncs.iter().find(|sync| sync.source == source) else {
            return false;
        };
        let peers = self.body_peers(sync);
        let idle = !self.is_asked(sync) && !sync.bodies.contains_key(&sync.next);
        if idle && peers.is_empty() {
            // Nobody has the bodies: stay on the own tip.
            let silent = sync.stalls.contains_key(&source) || self.peers.get(&source).is_none();
            self.end_sync(source);
            if silent {
                self.leave_silent(source);
            } else {
                self.void_claim(source, VOID_MS);
                self.punish(source, Fault::Mid, "headers without bodies");
            }
            return false;
        }
        if self.blocks_under_way() * RESPONSE_MAX_BYTES + self.buffered() >= WINDOW_BYTES {
            return false;
        }
        let free = |id: &PeerId| self.peers.get(id).is_some_and(|peer| peer.is_free(self.now));
        let Some((.., peer)) = peers.into_iter().find(|(.., id)| free(id)) else {
            return false;
        };
        let limit = sync.next.saturating_add(AHEAD_MAX);
        let chunk: Vec<usize> = sync.wanted.range(..limit).take(CHUNK_BLOCKS).copied().collect();
        if chunk.is_empty() {
            return false;
        }
        self.ask_chunk(source, peer, &chunk);
        true
    }

    fn ask_chunk(&mut self, source: PeerId, peer: PeerId, chunk: &[usize]) {
        let Some(sync) = self.sync_of(source) else { return };
        for index in chunk {
            sync.wanted.remove(index);
        }
        let hashes: Vec<BlockHash> = chunk
            .iter()
            .filter_map(|index| sync.steps.get(*index))
            .map(|step| step.hash)
            .collect();
        let request = Request::GetBlocks {
            hashes: hashes.iter().map(|hash| *hash.as_bytes()).collect(),
        };
        let patience = self.peers.get(&peer).map_or(STALL_MIN_MS, |peer| peer.stall_ms);
        self.ask(peer, Question::Blocks(hashes), request, Some(patience));
    }

    /// The candidates that asked for some of these bodies.
    fn askers<'a>(&'a mut self, hashes: &'a [BlockHash]) -> impl Iterator<Item = &'a mut Sync> {
        self.syncs
            .iter_mut()
            .filter(|sync| hashes.iter().any(|hash| sync.index.contains_key(hash)))
    }

    pub(in crate::engine) fn on_blocks(&mut self, peer: PeerId, hashes: &[BlockHash], blocks: Vec<Vec<u8>>) {
        let received = blocks.len();
        let wrong = received > hashes.len()
            || blocks
                .iter()
                .zip(hashes)
                .any(|(bytes, hash)| Block::header_of(bytes).map(|header| header.hash()) != Ok(*hash));
        if wrong {
            self.want_again(hashes);
            self.askers(hashes).for_each(|sync| {
                sync.lacking.insert(peer);
            });
            self.punish(peer, Fault::Fatal, "blocks that nobody asked for");
            return;
        }
        if let Some(known) = self.peers.get_mut(&peer) {
            known.delivered();
        }
        for sync in self.askers(hashes) {
            if received == 0 {
                sync.lacking.insert(peer);
            } else {
                sync.stalls.remove(&peer);
            }
        }
        for (hash, bytes) in hashes.iter().zip(blocks) {
            // Two candidates may share a block: each gets it, and the later one finds it stored.
            for sync in &mut self.syncs {
                if let Some(index) = sync.lacks(hash) {
                    sync.wanted.remove(&index);
                    sync.buffered += bytes.len();
                    sync.bodies.insert(index, (peer, bytes.clone()));
                }
            }
        }
        self.want_again(hashes.get(received..).unwrap_or(&[]));
    }

    /// Bodies that did not come are asked for again, elsewhere if possible.
    fn want_again(&mut self, hashes: &[BlockHash]) {
        for sync in &mut self.syncs {
            let missing: Vec<usize> = hashes.iter().filter_map(|hash| sync.lacks(hash)).collect();
            sync.wanted.extend(missing);
        }
    }

    pub(in crate::engine) fn no_blocks(&mut self, peer: PeerId, hashes: &[BlockHash]) {
        self.want_again(hashes);
        let busy = self.peers.get(&peer).is_some_and(|known| known.busy_until > self.now);
        if busy && !self.is_always_busy(&peer) {
            return;
        }
        for sync in self.askers(hashes) {
            let stalls = sync.stalls.entry(peer).or_insert(0);
            *stalls += 1;
            if *stalls >= STALLS_MAX {
                sync.lacking.insert(peer);
            }
        }
    }

    /// Offers the bodies that are there to the chain, in order.
    pub(super) fn take_bodies(&mut self) {
        for source in self.fetching() {
            self.take_some(source);
        }
    }

    fn take_some(&mut self, source: PeerId) {
        for _ in 0..ACCEPT_PER_TURN {
            if self.disk_is_behind() {
                break;
            }
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
            Ok(block) => self.offer(block, from_peer(peer)),
            Err(error) => Offer::WrongBody(error.to_string()),
        };
        let Some(sync) = self.sync_of(source) else { return false };
        match offer {
            Offer::Known | Offer::Taken => {
                sync.next += 1;
                true
            }
            Offer::WrongBody(reason) => {
                let index = sync.next;
                sync.wanted.insert(index);
                sync.lacking.insert(peer);
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

    /// All bodies of the window are in: on to the next, or done.
    fn finish_window(&mut self, source: PeerId) {
        let present = self.peers.get(&source).is_some();
        let now = self.now;
        let Some(sync) = self.sync_of(source) else { return };
        sync.began = now;
        if let Some(peer) = self.peers.get_mut(&source) {
            peer.is_trusted_again(now);
        }
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
        self.event(Event::SyncStarted {
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
        self.event(Event::SyncProgress {
            peer_id,
            height: fetched,
            target_height,
        });
    }
}

impl Sync {
    /// The place of a body that is still missing.
    fn lacks(&self, hash: &BlockHash) -> Option<usize> {
        let index = self.index.get(hash).copied()?;
        let missing = self.phase == Phase::Bodies && index >= self.next && !self.bodies.contains_key(&index);
        missing.then_some(index)
    }
}
