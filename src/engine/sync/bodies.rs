//! The second half of a sync: fetching the bodies of a proven candidate from all who have them.

use super::{NOT_YET_MS, Phase, Sync, VOID_MS};
use crate::chain::{Block, ChainStore};
use crate::engine::advance::Offer;
use crate::engine::event::Event;
use crate::engine::machine::{Engine, Question, from_peer};
use crate::engine::peers::{Fault, STALL_MIN_MS};
use crate::types::{BlockHash, PeerId, Time};
use crate::wire::message::BLOCKS_MAX;
use crate::wire::{RESPONSE_MAX_BYTES, Request};

/// Bodies waiting for their turn, and answers under way, in bytes.
const WINDOW_BYTES: usize = 32 * 1024 * 1024;
/// How far ahead of the next needed body is asked.
const AHEAD_MAX: usize = 512;
/// Blocks taken in one turn, so that no turn is long.
const ACCEPT_PER_TURN: usize = 64;
/// Time-outs after which a peer is no longer asked in this sync.
const STALLS_MAX: u32 = 3;
/// Between two `sync_progress`.
const PROGRESS_MS: u64 = 1_000;

impl<S: ChainStore> Engine<S> {
    /// Peers that can have the candidate's bodies and may be asked now, the least loaded first.
    fn body_peers(&self, sync: &Sync) -> Vec<(u32, u32, PeerId)> {
        let source_tip = self.peers.get(&sync.source).and_then(|peer| peer.claim(self.now));
        let mut list: Vec<(u32, u32, PeerId)> = self
            .peers
            .iter()
            .filter(|(id, peer)| {
                let tip = peer.status.as_ref().map(|status| BlockHash::new(status.tip));
                let has = tip.is_some_and(|tip| {
                    sync.index.contains_key(&tip) || source_tip.is_some_and(|(source, ..)| source == tip)
                });
                !sync.lacking.contains(id) && (has || **id == sync.source)
            })
            .map(|(id, peer)| {
                let stalls = sync.stalls.get(id).copied().unwrap_or(0);
                (stalls, peer.in_flight, *id)
            })
            .collect();
        list.sort_unstable();
        list
    }

    fn blocks_under_way(&self) -> usize {
        self.requests
            .values()
            .filter(|asked| asked.deadline.is_some() && matches!(asked.what, Question::Blocks(_)))
            .count()
    }

    pub(super) fn ask_bodies(&mut self) {
        loop {
            let Some(sync) = self.sync.as_ref() else { return };
            if sync.phase != Phase::Bodies {
                return;
            }
            let under_way = self.blocks_under_way();
            let peers = self.body_peers(sync);
            if peers.is_empty() && under_way == 0 && !sync.bodies.contains_key(&sync.next) {
                // Nobody has the bodies: stay on the own tip.
                let source = sync.source;
                self.end_sync();
                self.void_claim(source, VOID_MS);
                self.punish(source, Fault::Mid, "headers without bodies");
                return;
            }
            if under_way * RESPONSE_MAX_BYTES + sync.buffered >= WINDOW_BYTES {
                return;
            }
            let free = |id: &PeerId| self.peers.get(id).is_some_and(|peer| peer.is_free(self.now));
            let Some((.., peer)) = peers.into_iter().find(|(.., id)| free(id)) else {
                return;
            };
            let limit = sync.next.saturating_add(AHEAD_MAX);
            let chunk: Vec<usize> = sync.wanted.range(..limit).take(BLOCKS_MAX).copied().collect();
            if chunk.is_empty() {
                return;
            }
            self.ask_chunk(peer, &chunk);
        }
    }

    fn ask_chunk(&mut self, peer: PeerId, chunk: &[usize]) {
        let Some(sync) = self.sync.as_mut() else { return };
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

    pub(in crate::engine) fn on_blocks(&mut self, peer: PeerId, hashes: &[BlockHash], blocks: Vec<Vec<u8>>) {
        let received = blocks.len();
        let wrong = received > hashes.len()
            || blocks
                .iter()
                .zip(hashes)
                .any(|(bytes, hash)| Block::header_of(bytes).map(|header| header.hash()) != Ok(*hash));
        if wrong {
            self.want_again(hashes);
            if let Some(sync) = self.sync.as_mut() {
                sync.lacking.insert(peer);
            }
            self.punish(peer, Fault::Fatal, "blocks that nobody asked for");
            return;
        }
        if let Some(known) = self.peers.get_mut(&peer) {
            known.delivered();
        }
        let Some(sync) = self.sync.as_mut() else { return };
        if received == 0 {
            sync.lacking.insert(peer);
        } else {
            sync.stalls.remove(&peer);
        }
        for (hash, bytes) in hashes.iter().zip(blocks) {
            let Some(index) = sync.index.get(hash).copied() else {
                continue;
            };
            if index >= sync.next && !sync.bodies.contains_key(&index) {
                sync.wanted.remove(&index);
                sync.buffered += bytes.len();
                sync.bodies.insert(index, (peer, bytes));
            }
        }
        self.want_again(hashes.get(received..).unwrap_or(&[]));
    }

    /// Bodies that did not come are asked for again, elsewhere if possible.
    fn want_again(&mut self, hashes: &[BlockHash]) {
        let Some(sync) = self.sync.as_mut() else { return };
        for hash in hashes {
            if let Some(index) = sync.index.get(hash).copied()
                && index >= sync.next
                && !sync.bodies.contains_key(&index)
            {
                sync.wanted.insert(index);
            }
        }
    }

    pub(in crate::engine) fn no_blocks(&mut self, peer: PeerId, hashes: &[BlockHash]) {
        self.want_again(hashes);
        let busy = self.peers.get(&peer).is_some_and(|known| known.busy_until > self.now);
        let Some(sync) = self.sync.as_mut() else { return };
        if sync.phase != Phase::Bodies || busy || !hashes.iter().any(|hash| sync.index.contains_key(hash)) {
            return;
        }
        let stalls = sync.stalls.entry(peer).or_insert(0);
        *stalls += 1;
        if *stalls >= STALLS_MAX {
            sync.lacking.insert(peer);
        }
    }

    /// Offers the bodies that are there to the chain, in order.
    pub(super) fn take_bodies(&mut self) {
        for _ in 0..ACCEPT_PER_TURN {
            let Some(sync) = self.sync.as_mut() else { return };
            if sync.phase != Phase::Bodies {
                return;
            }
            let Some((peer, bytes)) = sync.bodies.remove(&sync.next) else {
                break;
            };
            sync.buffered = sync.buffered.saturating_sub(bytes.len());
            if !self.take_body(peer, &bytes) {
                return;
            }
        }
        let Some(sync) = self.sync.as_ref() else { return };
        if sync.phase == Phase::Bodies && sync.next >= sync.steps.len() {
            self.finish_window();
        } else {
            self.tell_progress();
        }
    }

    /// One body; whether the sync goes on.
    fn take_body(&mut self, peer: PeerId, bytes: &[u8]) -> bool {
        let offer = match Block::from_bytes(bytes) {
            Ok(block) => self.offer(block, from_peer(peer)),
            Err(error) => Offer::WrongBody(error.to_string()),
        };
        let Some(sync) = self.sync.as_mut() else { return false };
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
                let source = sync.source;
                self.end_sync();
                self.void_claim(source, VOID_MS);
                self.punish(peer, Fault::Fatal, &reason);
                if source != peer {
                    self.punish(source, Fault::Low, &reason);
                }
                false
            }
            // Its headers said that this is its active chain, so it must have found out itself.
            Offer::Ledger(reason) => {
                let source = sync.source;
                self.end_sync();
                self.void_claim(source, VOID_MS);
                self.punish(source, Fault::Fatal, &reason);
                false
            }
            Offer::NotNow(_) => {
                let source = sync.source;
                self.end_sync();
                self.void_claim(source, NOT_YET_MS);
                false
            }
        }
    }

    /// All bodies of the window are in: on to the next, or done.
    fn finish_window(&mut self) {
        self.chain.set_protected(None);
        let Some(sync) = self.sync.as_mut() else { return };
        let source = sync.source;
        if sync.more && self.peers.get(&source).is_some() {
            sync.restart();
            self.ask_headers(source);
            return;
        }
        self.end_sync();
        self.choose_sync();
    }

    pub(super) fn tell_started(&mut self) {
        let height = self.chain.tip().header.height;
        let Some(sync) = self.sync.as_mut() else { return };
        if sync.announced {
            return;
        }
        sync.announced = true;
        sync.progress_at = Time::from_ms(self.now.ms().saturating_add(PROGRESS_MS));
        let (peer_id, target_height) = (sync.source.to_string(), sync.target);
        self.event(Event::SyncStarted {
            peer_id,
            height,
            target_height,
        });
    }

    fn tell_progress(&mut self) {
        let height = self.chain.tip().header.height;
        let next = self.after(PROGRESS_MS);
        let now = self.now;
        let Some(sync) = self.sync.as_mut() else { return };
        if !sync.announced || sync.progress_at > now {
            return;
        }
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
