//! Sync: headers first, bodies only of a branch that the headers prove to be preferred.
//!
//! Promises: a claim is never believed, it only says whom to ask; at most [`CANDIDATES_MAX`] candidates are followed at
//! once, each with at most [`HEADERS_KEPT_MAX`] headers in memory; bodies come from every peer that has them, and a
//! silent peer is replaced by the next. A fork of any depth heals.
//! Elsewhere: headers of a candidate (`sync::headers`), what a long one leaves in memory (`sync::marks`), bodies
//! (`sync::bodies`), what makes a block valid (`chain`), patience for a peer (`peers`).
//! Spec: `proto-notes/sync.md`.

mod bodies;
mod fetch;
mod headers;
mod marks;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use super::machine::{Engine, Question};
use super::pace::PATIENCE_MIN_MS;
use super::requests::Link;
use crate::chain::{ChainStore, Header};
use crate::contract::Event;
use crate::types::rng::Rng;
use crate::types::{BlockHash, Height, PeerId, Time, Work, count};
use crate::wire::Request;
use crate::wire::message::LOCATOR_MAX;
use marks::Marks;
pub(super) use sources::{Claim, Sources};

/// Headers of a candidate in memory: about a day at ten seconds, 1.3 MiB.
pub(super) const HEADERS_KEPT_MAX: usize = 8_192;
/// Candidates at once: one slow or lying peer leaves a place for the honest branch, and memory stays small.
const CANDIDATES_MAX: usize = 2;
/// How long a claim that led nowhere is not followed.
const VOID_MS: u64 = 60_000;
/// How long a peer that was too slow, or whose hint led nowhere, is left to others.
const SLOW_MS: u64 = 10_000;
/// How soon a candidate looks again for somebody who may be asked.
const IDLE_MS: u64 = 250;
/// How soon a branch that is ahead of the clock is looked at again.
const NOT_YET_MS: u64 = 5_000;
/// A whole page of headers.
const HEADERS_PAGE_BYTES: u64 = 48 * 1_024;
/// Headers that take longer than this are asked from a second peer of the same tip too. A LAN answers in milliseconds.
const HURRY_MS: u64 = 1_000;

/// A checked header of the candidate.
#[derive(Clone, Debug)]
struct Step {
    hash: BlockHash,
    header: Header,
    work: Work,
}

/// The candidates that are followed, and what is known of each source.
#[derive(Debug)]
pub(super) struct Syncs {
    pub(super) sources: Sources,
    candidates: Vec<Sync>,
    /// Headers of one candidate in memory at most.
    pub(super) headers_kept_max: usize,
    /// Chooses whom to follow.
    rng: Rng,
}

impl Syncs {
    /// Nobody is followed.
    pub(super) fn new(seed: u64, headers_kept_max: usize) -> Self {
        Self {
            sources: Sources::default(),
            candidates: Vec::new(),
            headers_kept_max,
            rng: Rng::new(seed),
        }
    }

    /// Whether nobody is followed.
    pub(super) const fn is_idle(&self) -> bool {
        self.candidates.is_empty()
    }

    /// Whether this peer is followed.
    pub(super) fn follows(&self, peer: &PeerId) -> bool {
        self.candidates.iter().any(|sync| sync.source == *peer)
    }
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A page of headers was asked for.
    Headers,
    /// The window is proven; its bodies are fetched.
    Bodies,
}

/// What is done with checked headers.
#[derive(Clone, Debug)]
enum Pass {
    /// They are kept: the candidate may be short.
    Keep,
    /// They are counted and marked: the candidate is long, and must prove its work before anything of it is stored.
    Measure(Marks),
    /// They come again: compared with the marks, kept a window at a time, and their bodies stored.
    Again(Marks),
}

/// One candidate branch.
#[derive(Clone, Debug)]
struct Sync {
    source: PeerId,
    /// The open question for headers: an answer to an earlier one was meant for another state of things.
    question: Option<u64>,
    phase: Phase,
    pass: Pass,
    began: Time,
    /// The tip that the source claimed when it was chosen.
    top: Option<BlockHash>,
    /// Ends at the clock: what follows lies in the future.
    not_yet: bool,
    /// The source has more behind the last header.
    more: bool,
    /// The last header of the last page, also one that was stored before.
    tail: Option<(BlockHash, Height)>,
    /// The last checked header: the next must follow it.
    last: Option<Step>,
    steps: Vec<Step>,
    index: BTreeMap<BlockHash, usize>,
    /// The first body that was not offered to the chain yet.
    next: usize,
    /// Bodies that came and wait for their turn.
    bodies: BTreeMap<usize, (PeerId, Vec<u8>)>,
    buffered: usize,
    /// Who said that it has no such body, or sent a wrong one.
    lacking: BTreeSet<PeerId>,
    /// How often a peer let a question for bodies lapse since it last answered one.
    stalls: BTreeMap<PeerId, u32>,
    /// Who answered its last question for bodies in time.
    proven: BTreeSet<PeerId>,
    announced: bool,
    progress_at: Time,
    target: Height,
}

impl Sync {
    fn new(source: PeerId, target: Height, began: Time) -> Self {
        Self {
            source,
            question: None,
            phase: Phase::Headers,
            pass: Pass::Keep,
            began,
            top: None,
            not_yet: false,
            more: false,
            tail: None,
            last: None,
            steps: Vec::new(),
            index: BTreeMap::new(),
            next: 0,
            bodies: BTreeMap::new(),
            buffered: 0,
            lacking: BTreeSet::new(),
            stalls: BTreeMap::new(),
            proven: BTreeSet::new(),
            announced: false,
            progress_at: Time::from_ms(0),
            target,
        }
    }

    /// Forgets the candidate but not what was told to the user.
    fn restart(&mut self) {
        *self = Self {
            announced: self.announced,
            progress_at: self.progress_at,
            top: self.top,
            proven: core::mem::take(&mut self.proven),
            ..Self::new(self.source, self.target, self.began)
        };
    }

    /// Forgets the window but not the candidate.
    fn next_window(&mut self) {
        self.phase = Phase::Headers;
        self.steps.clear();
        self.index.clear();
        self.next = 0;
        self.bodies.clear();
        self.buffered = 0;
    }

    /// What of it must not leave the side branches: the window, and what it stands on.
    fn protected(&self) -> impl Iterator<Item = BlockHash> {
        let base = match &self.pass {
            Pass::Keep => None,
            Pass::Measure(marks) | Pass::Again(marks) => Some(marks.base),
        };
        let below = self.steps.first().map(|step| step.header.previous);
        let window = self.index.keys().copied();
        let last = self.last.as_ref().map(|last| last.hash);
        window.chain(base).chain(below).chain(last)
    }
}

impl<S: ChainStore> Engine<S> {
    /// Chooses candidates while there is room for one, and keeps the followed ones going.
    pub(super) fn pump_sync(&mut self) {
        if !self.mode.net || !self.takes_blocks() || self.mode.stopping {
            self.end_syncs();
            return;
        }
        self.choose_syncs();
        self.ask_late_headers();
        self.take_bodies();
        self.ask_bodies();
    }

    /// Pages that could not be asked for because the source had enough to do.
    fn ask_late_headers(&mut self) {
        let headers = self.sync.candidates.iter().filter(|sync| sync.phase == Phase::Headers);
        let late: Vec<PeerId> = headers
            .filter(|sync| !self.is_asked(sync))
            .map(|sync| sync.source)
            .collect();
        for source in late {
            self.ask_headers(source);
        }
    }

    /// Whether anything came of a question for headers, a claim alone is not worth telling; or whether the node is on its way to
    /// another branch.
    pub(super) fn is_syncing(&self) -> bool {
        self.chain.is_switching() || self.sync.candidates.iter().any(|sync| sync.last.is_some())
    }

    /// From whom headers or bodies are being fetched.
    pub(super) fn fetched_from(&self) -> Vec<PeerId> {
        self.sync.candidates.iter().map(|sync| sync.source).collect()
    }

    /// How many headers of one candidate are in memory at most.
    #[cfg(test)]
    pub(super) fn headers_in_memory(&self) -> usize {
        self.sync
            .candidates
            .iter()
            .map(|sync| sync.steps.len())
            .max()
            .unwrap_or(0)
    }

    /// Sync has work that waits for nothing.
    pub(super) fn sync_wakeup(&self) -> Option<Time> {
        let hurry = self.hurry_at().filter(|at| *at > self.now);
        let wakes = self.sync.candidates.iter().filter_map(|sync| {
            let ready = sync.phase == Phase::Bodies && sync.bodies.contains_key(&sync.next);
            if ready {
                // The disk is slow: its next answer wakes.
                (!self.disk_is_behind()).then_some(self.now)
            } else if self.is_asked(sync) {
                (sync.phase == Phase::Bodies)
                    .then(|| self.bodies_wakeup(sync))
                    .flatten()
            } else {
                // Nothing is under way: somebody is busy; look again soon.
                Some(
                    self.after(IDLE_MS)
                        .min(self.bodies_wakeup(sync).unwrap_or(Time::from_ms(u64::MAX))),
                )
            }
        });
        wakes.chain(hurry).chain(self.sync.sources.next_wakeup(self.now)).min()
    }

    /// When slow headers are asked elsewhere too.
    fn hurry_at(&self) -> Option<Time> {
        let headers = self.sync.candidates.iter().filter(|sync| sync.phase == Phase::Headers);
        let room = self.sync.candidates.len() < CANDIDATES_MAX;
        headers
            .map(|sync| Time::from_ms(sync.began.ms().saturating_add(HURRY_MS)))
            .min()
            .filter(|_| room)
    }

    /// Whether an answer for this candidate is waited for.
    fn is_asked(&self, sync: &Sync) -> bool {
        self.requests.iter().any(|(id, asked)| match &asked.what {
            Question::Headers => sync.question == Some(*id),
            Question::Blocks(hashes) => asked.is_awaited() && hashes.iter().any(|hash| sync.index.contains_key(hash)),
            Question::Status | Question::Pending(_) | Question::Peers => false,
        })
    }

    /// Whether a claim is one of a better branch that is worth asking for.
    pub(super) fn is_worth_asking(&self, (tip, height, work): Claim) -> bool {
        self.chain.is_better(work, &tip)
            && self.chain.params().can_be_reached(height, self.clock())
            && !self.chain.is_invalid(&tip)
            && matches!(self.chain.block(&tip), Ok(None))
    }

    /// Whether a peer claims a better branch that is worth asking for.
    fn claims_better(&self, peer: &PeerId) -> bool {
        let claim = self.sync.sources.claim(self.now, peer);
        claim.is_some_and(|claim| self.is_worth_asking(claim))
    }

    fn choose_syncs(&mut self) {
        while self.sync.candidates.len() < CANDIDATES_MAX {
            let Some(id) = self.choose_source() else {
                return;
            };
            self.sync.sources.chosen(&id);
            let claim = self.sync.sources.last_claim(&id);
            let target = claim.map_or(Height::GENESIS, |(_, height, _)| height);
            let mut sync = Sync::new(id, target, self.now);
            sync.top = claim.map(|(tip, ..)| tip);
            self.sync.candidates.push(sync);
            self.ask_headers(id);
            if self.sync_of(id).is_none() {
                // Nothing can be asked: it would be chosen again and again.
                return;
            }
        }
    }

    /// The next peer to be followed: at random among the most reliable, for the
    /// loudest claim must not always be served first, nor a silent peer again and again.
    fn choose_source(&mut self) -> Option<PeerId> {
        let mut candidates: Vec<(u64, PeerId)> = Vec::new();
        for id in self.sync.sources.ids() {
            let claims = self.claims_better(id);
            let hints = self.sync.sources.hints(self.now, id);
            let silent = self.sync.sources.is_silent(self.now, id);
            let Some(link) = self.requests.link(id) else { continue };
            if link.is_free(self.now) && !silent && (claims || hints) && !self.is_covered(*id) {
                candidates.push((link.pace().patience_ms(), *id));
            }
        }
        let patience = candidates.iter().map(|(patience_ms, ..)| *patience_ms).min()?;
        candidates.retain(|(patience_ms, ..)| *patience_ms == patience);
        let choice = self.sync.rng.below(count(candidates.len()));
        candidates.get(usize::try_from(choice).ok()?).map(|(_, id)| *id)
    }

    /// Whether what a peer has is being fetched already.
    fn is_covered(&self, id: PeerId) -> bool {
        let tip = self.sync.sources.tip(&id);
        self.sync.candidates.iter().any(|sync| {
            let same = tip.is_some() && self.sync.sources.tip(&sync.source) == tip;
            let inside = tip.is_some_and(|tip| sync.index.contains_key(&tip));
            let slow = sync.phase == Phase::Headers && self.now.since(sync.began) >= HURRY_MS;
            sync.source == id || ((same || inside) && !slow)
        })
    }

    /// The candidate that follows this peer.
    fn sync_of(&mut self, source: PeerId) -> Option<&mut Sync> {
        self.sync.candidates.iter_mut().find(|sync| sync.source == source)
    }

    /// Asks for the next page; later, if too much of ours is under way to the source.
    fn ask_headers(&mut self, source: PeerId) {
        match self.requests.link(&source) {
            Some(link) if !link.is_free(self.now) => return,
            Some(_) | None => {}
        }
        let mut locator = match self.chain.locator() {
            Ok(locator) => locator,
            Err(error) => return self.fail_store(&error.to_string()),
        };
        let first = self
            .sync_of(source)
            .and_then(|sync| match (&sync.pass, &sync.last, sync.tail) {
                // The second pass begins where the first did.
                (Pass::Again(marks), None, _) => Some(marks.base),
                (_, Some(last), _) => Some(last.hash),
                (_, None, tail) => tail.map(|(hash, _)| hash),
            });
        if let Some(first) = first {
            locator.insert(0, first);
            // Genesis stays at the end.
            if locator.len() > LOCATOR_MAX {
                locator.remove(LOCATOR_MAX - 1);
            }
        }
        let locator = locator.iter().map(|hash| *hash.as_bytes()).collect();
        let patience = self.requests.link(&source).map_or(PATIENCE_MIN_MS, |link| {
            link.pace().patience_for_bytes(HEADERS_PAGE_BYTES)
        });
        let id = self.ask(
            source,
            Question::Headers,
            Request::GetHeaders { locator },
            Some(patience),
        );
        if let Some(sync) = self.sync_of(source) {
            sync.question = Some(id);
        }
    }

    /// Whether this peer's headers are waited for.
    fn awaits_headers(&self, peer: PeerId) -> bool {
        self.sync
            .candidates
            .iter()
            .any(|sync| sync.phase == Phase::Headers && sync.source == peer)
    }

    /// Does not follow a peer's present claim for a while.
    fn void_claim(&mut self, id: PeerId, ms: u64) {
        let until = self.after(ms);
        let hint_from = self.after(ms.min(SLOW_MS));
        self.sync.sources.void(&id, until, hint_from);
    }

    /// Silence is no misdeed: the link may be bad. But nothing more is fetched from there for a while.
    fn leave_silent(&mut self, id: PeerId) {
        self.sync.sources.fell_silent(self.now, &id);
        self.void_claim(id, SLOW_MS);
    }

    /// It is slow, and not silent.
    pub(super) fn answered_late(&mut self, id: PeerId) {
        self.sync.sources.answered_late(self.now, &id);
    }

    /// Whether a candidate waits for the answer to this question; it does so no longer.
    fn take_question(&mut self, id: u64) -> bool {
        let waiting = self.sync.candidates.iter_mut().find(|sync| sync.question == Some(id));
        waiting.map(|sync| sync.question = None).is_some()
    }

    /// Whether a peer says that it is busy, and nothing else.
    pub(super) fn is_always_busy(&self, peer: &PeerId) -> bool {
        self.requests.link(peer).is_some_and(Link::is_always_busy)
    }

    /// The page did not come: the next peer is asked.
    pub(super) fn no_headers(&mut self, id: u64, peer: PeerId) {
        if self.take_question(id) {
            if !self.hand_over(peer) {
                self.end_sync(peer);
            }
            self.leave_silent(peer);
        }
    }

    /// A connection is gone.
    pub(super) fn sync_lost(&mut self, peer: PeerId) {
        if self.awaits_headers(peer) && !self.hand_over(peer) {
            self.end_sync(peer);
        }
    }

    /// Goes on with another peer of the same tip, so that what was fetched of a long candidate is not lost.
    fn hand_over(&mut self, from: PeerId) -> bool {
        let top = self.sync_of(from).and_then(|sync| sync.top);
        let free = |id: &PeerId| {
            let tip = self.sync.sources.claim(self.now, id).map(|(tip, ..)| tip);
            *id != from && tip.is_some() && tip == top && self.requests.is_free(self.now, id)
        };
        let fresh = |id: &PeerId| self.sync.candidates.iter().all(|sync| sync.source != *id);
        let next = self.sync.sources.ids().find(|id| free(id) && fresh(id)).copied();
        let Some(next) = next else { return false };
        let Some(sync) = self.sync_of(from).filter(|sync| sync.tail.is_some()) else {
            return false;
        };
        sync.source = next;
        sync.question = None;
        self.ask_headers(next);
        true
    }

    /// Tells the chain what must not leave while it is being fetched.
    fn protect(&mut self) {
        let hashes: BTreeSet<BlockHash> = self.sync.candidates.iter().flat_map(Sync::protected).collect();
        self.chain.set_protected((!hashes.is_empty()).then_some(hashes));
    }

    /// Ends a candidate, whatever its state.
    fn end_sync(&mut self, source: PeerId) {
        let Some(at) = self.sync.candidates.iter().position(|sync| sync.source == source) else {
            return;
        };
        let sync = self.sync.candidates.remove(at);
        self.protect();
        if sync.announced {
            let height = self.chain.tip().header.height;
            self.out.event(Event::SyncFinished {
                peer_id: sync.source.to_string(),
                height,
                target_height: sync.target,
            });
        }
    }

    /// Ends every candidate.
    pub(super) fn end_syncs(&mut self) {
        while let Some(source) = self.sync.candidates.first().map(|sync| sync.source) {
            self.end_sync(source);
        }
    }
}
