//! Sync: headers first, bodies only of a branch that the headers prove to be preferred.
//!
//! Promises: a claim is never believed, it only says whom to ask; at most [`HEADERS_KEPT_MAX`] headers of one candidate
//! are in memory; bodies come from every peer that has them, and a silent peer is replaced by the next.
//! Elsewhere: what makes a block valid (`chain`), patience for a peer (`peers`).
//! Spec: `proto-notes/sync.md`.
//!
//! A candidate longer than [`HEADERS_KEPT_MAX`] is taken in windows, each of which must prove more work than the active
//! tip. A fork deeper than that on both sides is given up.

mod bodies;

use std::collections::{BTreeMap, BTreeSet};

use super::event::Event;
use super::machine::{Engine, Question, from_peer};
use super::peers::{Fault, STALL_MIN_MS};
use crate::chain::{ChainStore, Header, HeaderError};
use crate::types::{BlockHash, Height, PeerId, Time, Work};
use crate::wire::Request;
use crate::wire::message::{HEADERS_MAX, LOCATOR_MAX};

/// Headers of a candidate in memory: about a day at ten seconds, 1.3 MiB.
pub(super) const HEADERS_KEPT_MAX: usize = 8_192;
/// How long a claim that led nowhere is not followed.
const VOID_MS: u64 = 60_000;
/// How long a peer that was too slow is left to others.
const SLOW_MS: u64 = 10_000;
/// How soon a branch that is ahead of the clock is looked at again.
const NOT_YET_MS: u64 = 5_000;

/// A checked header of the candidate.
#[derive(Clone, Debug)]
struct Step {
    hash: BlockHash,
    header: Header,
    work: Work,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A page of headers was asked for.
    Headers,
    /// The candidate is proven; its bodies are fetched.
    Bodies,
}

/// One candidate branch.
#[derive(Clone, Debug)]
pub(super) struct Sync {
    source: PeerId,
    phase: Phase,
    /// Ends at the clock: what follows lies in the future.
    not_yet: bool,
    /// The source has more behind the last header.
    more: bool,
    /// The last header of the last page, also one that was stored before.
    tail: Option<(BlockHash, Height)>,
    steps: Vec<Step>,
    index: BTreeMap<BlockHash, usize>,
    /// The first body that was not offered to the chain yet.
    next: usize,
    /// Bodies to be asked for.
    wanted: BTreeSet<usize>,
    bodies: BTreeMap<usize, (PeerId, Vec<u8>)>,
    buffered: usize,
    lacking: BTreeSet<PeerId>,
    stalls: BTreeMap<PeerId, u32>,
    announced: bool,
    progress_at: Time,
    target: Height,
}

impl Sync {
    fn new(source: PeerId, target: Height) -> Self {
        Self {
            source,
            phase: Phase::Headers,
            not_yet: false,
            more: false,
            tail: None,
            steps: Vec::new(),
            index: BTreeMap::new(),
            next: 0,
            wanted: BTreeSet::new(),
            bodies: BTreeMap::new(),
            buffered: 0,
            lacking: BTreeSet::new(),
            stalls: BTreeMap::new(),
            announced: false,
            progress_at: Time::from_ms(0),
            target,
        }
    }

    /// Forgets the candidate but not what was told to the user.
    fn restart(&mut self) {
        let (announced, progress_at, target) = (self.announced, self.progress_at, self.target);
        *self = Self {
            announced,
            progress_at,
            ..Self::new(self.source, target)
        };
    }
}

impl<S: ChainStore> Engine<S> {
    /// Chooses a candidate if none is followed, and keeps the followed one going.
    pub(super) fn pump_sync(&mut self) {
        if !self.net || self.read_only || self.stopping {
            self.end_sync();
            return;
        }
        if self.sync.is_none() {
            self.choose_sync();
        }
        self.take_bodies();
        self.ask_bodies();
    }

    /// Sync has work that waits for nothing.
    pub(super) fn sync_wakeup(&self) -> Option<Time> {
        let sync = self.sync.as_ref()?;
        let ready = sync.phase == Phase::Bodies && sync.bodies.contains_key(&sync.next);
        let asked = self
            .requests
            .values()
            .any(|asked| matches!(asked.what, Question::Headers | Question::Blocks(_)));
        if ready {
            Some(self.now)
        } else {
            // Nothing is under way: somebody is busy; look again soon.
            (!asked).then(|| self.after(250))
        }
    }

    /// Whether a peer claims a better branch that is worth asking for.
    pub(super) fn claims_better(&self, peer: &super::peers::Peer) -> bool {
        peer.claim(self.now).is_some_and(|(tip, _, work)| {
            self.chain.is_better(work, &tip)
                && !self.chain.is_invalid(&tip)
                && matches!(self.chain.block(&tip), Ok(None))
        })
    }

    fn choose_sync(&mut self) {
        let candidates: Vec<PeerId> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.is_free(self.now) && (peer.hint || self.claims_better(peer)))
            .map(|(id, _)| *id)
            .collect();
        // At random: the loudest claim must not always be served first.
        let choice = self.rng.below(super::machine::count(candidates.len()));
        let Some(id) = usize::try_from(choice).ok().and_then(|index| candidates.get(index)) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.hint = false;
        let target = peer
            .status
            .as_ref()
            .map_or(Height::GENESIS, |status| Height::new(status.height));
        self.sync = Some(Sync::new(*id, target));
        self.ask_headers(*id);
    }

    fn ask_headers(&mut self, peer: PeerId) {
        let Ok(mut locator) = self.chain.locator() else {
            self.end_sync();
            return;
        };
        if let Some((tail, _)) = self.sync.as_ref().and_then(|sync| sync.tail) {
            locator.insert(0, tail);
            // Genesis stays at the end.
            if locator.len() > LOCATOR_MAX {
                locator.remove(LOCATOR_MAX - 1);
            }
        }
        let locator = locator.iter().map(|hash| *hash.as_bytes()).collect();
        let patience = self.peers.get(&peer).map_or(STALL_MIN_MS, |peer| peer.stall_ms);
        self.ask(peer, Question::Headers, Request::GetHeaders { locator }, Some(patience));
    }

    /// Whether this peer's headers are waited for.
    fn awaits_headers(&self, peer: PeerId) -> bool {
        self.sync
            .as_ref()
            .is_some_and(|sync| sync.phase == Phase::Headers && sync.source == peer)
    }

    pub(super) fn on_headers(&mut self, peer: PeerId, list: &[[u8; 96]]) {
        if !self.awaits_headers(peer) {
            return;
        }
        let Some(mut sync) = self.sync.take() else { return };
        if let Some(known) = self.peers.get_mut(&peer) {
            known.delivered();
        }
        match self.check_headers(&mut sync, list) {
            Ok(()) => {
                let tail = list
                    .last()
                    .map(Header::from_bytes)
                    .map(|last| (last.hash(), last.height));
                // Pages must lead upwards, else they would never end.
                let rises = tail.is_some_and(|(_, height)| sync.tail.is_none_or(|(_, before)| before < height));
                sync.more = list.len() >= HEADERS_MAX && !sync.not_yet && rises;
                sync.tail = tail;
                self.sync = Some(sync);
                self.judge_candidate(peer);
            }
            Err(reason) => {
                self.sync = Some(sync);
                self.end_sync();
                self.punish(peer, Fault::Fatal, &reason);
            }
        }
    }

    /// Every rule that headers can be held against; nothing is kept behind the first broken one.
    fn check_headers(&mut self, sync: &mut Sync, list: &[[u8; 96]]) -> Result<(), String> {
        let clock = self.clock();
        let mut parent: Option<(BlockHash, Header, Work)> = sync
            .steps
            .last()
            .map(|step| (step.hash, step.header.clone(), step.work));
        for bytes in list {
            let header = Header::from_bytes(bytes);
            if parent.as_ref().is_none_or(|(hash, ..)| *hash != header.previous) {
                // The source may have changed its branch between two pages.
                if parent.is_some() && sync.steps.is_empty() {
                    return Err("headers that do not follow each other".into());
                }
                let stored = self.chain.block(&header.previous).ok().flatten();
                let Some(stored) = stored else {
                    return Err("headers that follow nothing that was asked for".into());
                };
                sync.steps.clear();
                sync.index.clear();
                parent = Some((header.previous, stored.header, stored.work));
            }
            let Some((_, above, work)) = &parent else {
                return Err("headers without a parent".into());
            };
            let hash = header.hash();
            if let Err(error) = header.check_after(above, self.chain.params()) {
                self.reject_block(
                    Some(hash),
                    Some(header.height),
                    error.code(),
                    error.to_string(),
                    from_peer(sync.source),
                );
                return Err(error.to_string());
            }
            if self.chain.is_invalid(&hash) {
                return Err(format!("the branch holds {hash}, which is invalid"));
            }
            if let Err(HeaderError::TimeTooNew { .. }) = header.check_clock(clock) {
                sync.not_yet = true;
                break;
            }
            let work = work.plus(Header::weight(above, self.chain.params()));
            parent = Some((hash, header.clone(), work));
            let stored = sync.steps.is_empty() && matches!(self.chain.block(&hash), Ok(Some(_)));
            if !stored {
                sync.index.insert(hash, sync.steps.len());
                sync.steps.push(Step { hash, header, work });
            }
        }
        Ok(())
    }

    /// Enough headers, more headers, or nothing in it.
    fn judge_candidate(&mut self, peer: PeerId) {
        let Some(sync) = self.sync.as_mut() else { return };
        let better = sync
            .steps
            .last()
            .is_some_and(|last| self.chain.is_better(last.work, &last.hash));
        let room = sync.steps.len() + HEADERS_MAX <= HEADERS_KEPT_MAX;
        if sync.more && room {
            self.ask_headers(peer);
            return;
        }
        if better {
            sync.phase = Phase::Bodies;
            sync.wanted = (0..sync.steps.len()).collect();
            let hashes: BTreeSet<BlockHash> = sync.steps.iter().map(|step| step.hash).collect();
            let top = sync.steps.last().map_or(Height::GENESIS, |step| step.header.height);
            sync.target = sync.target.max(top);
            self.chain.set_protected(Some(hashes));
            self.tell_started();
            return;
        }
        let (not_yet, empty) = (sync.not_yet, sync.steps.is_empty());
        let proven = sync.steps.last().map(|last| last.work);
        self.end_sync();
        let Some(known) = self.peers.get(&peer) else { return };
        let claim = known.claim(self.now);
        let lied = self.claims_better(known)
            && !not_yet
            && claim.is_some_and(|(_, _, work)| empty || proven.is_some_and(|proven| proven < work));
        self.void_claim(peer, if not_yet { NOT_YET_MS } else { VOID_MS });
        if lied {
            self.punish(peer, Fault::Mid, "it claims work that its headers do not prove");
        }
    }

    /// Does not follow a peer's present claim for a while.
    fn void_claim(&mut self, id: PeerId, ms: u64) {
        let until = self.after(ms);
        if let Some(peer) = self.peers.get_mut(&id) {
            let tip = peer.status.as_ref().map(|status| BlockHash::new(status.tip));
            peer.void = tip.map(|tip| (tip, until));
        }
    }

    /// The page did not come: the next peer is asked.
    pub(super) fn no_headers(&mut self, peer: PeerId) {
        if self.awaits_headers(peer) {
            self.end_sync();
            self.void_claim(peer, SLOW_MS);
        }
    }

    /// A connection is gone.
    pub(super) fn sync_lost(&mut self, peer: PeerId) {
        if self.awaits_headers(peer) {
            self.end_sync();
        }
    }

    /// Ends the sync, whatever its state.
    pub(super) fn end_sync(&mut self) {
        let Some(sync) = self.sync.take() else { return };
        self.chain.set_protected(None);
        if sync.announced {
            let height = self.chain.tip().header.height;
            self.event(Event::SyncFinished {
                peer_id: sync.source.to_string(),
                height,
                target_height: sync.target,
            });
        }
    }
}
