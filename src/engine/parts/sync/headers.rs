//! The first half of a sync: headers are checked, kept or measured, until they prove a branch or nothing is in it.
//!
//! Promises: every rule that headers can be held against holds for each that is kept, and nothing is kept behind the
//! first broken one; of a long candidate nothing is stored before its headers have proven more work than the tip.
//! Spec: `proto-notes/sync.md`, "Headers".

use super::marks::{Marks, is_mark};
use super::{HeaderStep, NOT_YET_MS, Order, Pass, Phase, Sync, SyncView, Syncs, VOID_MS};
use crate::chain::{ChainStore, Header, HeaderError};
use crate::contract::{Event, Source};
use crate::engine::Fault;
use crate::types::{BlockHash, Height, PeerId};
use crate::wire::message::HEADERS_MAX;

/// The last header of a page.
type Tail = Option<(BlockHash, Height)>;

/// What a candidate's next step is.
enum Course {
    Ask,
    Measure,
    Again,
    Window,
    Mismatch,
    GiveUp,
}

impl Syncs {
    pub(crate) fn on_headers<S: ChainStore>(
        &mut self,
        ground: &SyncView<'_, S>,
        id: u64,
        peer: PeerId,
        list: &[[u8; 96]],
    ) {
        if !self.take_question(id) {
            return;
        }
        let Some(at) = self.candidates.iter().position(|sync| sync.source == peer) else {
            return;
        };
        self.out.push_back(Order::Delivered(peer));
        let mut sync = self.candidates.remove(at);
        let checked = self.check_headers(ground, &mut sync, list);
        let tail = checked.as_ref().map_or(None, |tail| *tail);
        // Pages must lead upwards, else they would never end.
        let rises = tail.is_some_and(|(_, height)| sync.tail.is_none_or(|(_, before)| before < height));
        sync.more = list.len() >= HEADERS_MAX && !sync.not_yet && rises;
        sync.tail = tail;
        self.candidates.insert(at, sync);
        match checked {
            Ok(_) if list.is_empty() && self.too_many_empty_pages(ground, peer) => {
                self.end_sync(ground, peer);
                self.void_claim(ground, peer, VOID_MS);
                self.blame(peer, Fault::Low, "empty pages of headers, again and again");
            }
            Ok(_) => self.judge(ground, peer),
            Err((fault, reason)) => {
                self.end_sync(ground, peer);
                self.void_claim(ground, peer, VOID_MS);
                self.blame(peer, fault, &reason);
            }
        }
    }

    fn too_many_empty_pages<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, peer: PeerId) -> bool {
        self.claims_better(ground, &peer) && self.sources.sent_none(&peer)
    }

    /// Every rule that headers can be held against; nothing is kept behind the first broken one. Returns the last one's
    /// hash and height.
    fn check_headers<S: ChainStore>(
        &mut self,
        ground: &SyncView<'_, S>,
        sync: &mut Sync,
        list: &[[u8; 96]],
    ) -> Result<Tail, (Fault, String)> {
        let clock = (ground.clock)();
        // On sight: a branch that time leaves no room for is refused by its last header, before a hash is computed.
        if let Some(last) = list.last().map(Header::from_bytes) {
            last.check_length(ground.chain.params())
                .map_err(|error| (Fault::Fatal, error.to_string()))?;
            self.sources.sent_headers(&sync.source);
        }
        let hashes = (ground.chain.hash_many().headers)(list);
        let last = list.last().map(|bytes| Header::from_bytes(bytes).height);
        let tail = hashes.last().map(|hash| BlockHash::new(*hash)).zip(last);
        for (place, (bytes, hash)) in list.iter().zip(hashes).enumerate() {
            let (header, hash) = (Header::from_bytes(bytes), BlockHash::new(hash));
            if sync.last.as_ref().is_none_or(|last| last.hash != header.previous) {
                if place > 0 {
                    return Err((Fault::Fatal, "headers that do not follow each other".into()));
                }
                self.rebase(ground, sync, header.previous)?;
            }
            let Some(above) = sync.last.clone() else {
                return Err((Fault::Fatal, "headers without a parent".into()));
            };
            if let Err(error) = header.check_linked(hash, (&above.header, above.hash), ground.chain.params()) {
                let (code, source) = (error.code(), Source::Peer(sync.source));
                self.tell(Event::BlockRejected {
                    hash: Some(hash),
                    height: Some(header.height),
                    code,
                    message: error.to_string(),
                    source,
                });
                return Err((Fault::Fatal, error.to_string()));
            }
            if ground.chain.is_invalid(&hash) {
                return Err((Fault::Fatal, format!("the branch holds {hash}, which is invalid")));
            }
            if let Err(HeaderError::TimeTooNew { ahead_ms }) = header.check_clock(clock) {
                let peer = sync.source;
                self.out.push_back(Order::FutureBranch { peer, ahead_ms });
                sync.not_yet = true;
                break;
            }
            let work = above.work.plus(Header::weight(&above.header, ground.chain.params()));
            let step = HeaderStep { hash, header, work };
            sync.last = Some(step.clone());
            self.keep(ground, sync, step)?;
        }
        Ok(tail)
    }

    /// A page that does not follow the one before: the source has another branch by now, or this is its first page.
    fn rebase<S: ChainStore>(
        &mut self,
        ground: &SyncView<'_, S>,
        sync: &mut Sync,
        previous: BlockHash,
    ) -> Result<(), (Fault, String)> {
        let Some(stored) = ground.chain.block(&previous).ok().flatten() else {
            let reason = "headers that follow nothing that was asked for".to_owned();
            return Err((Fault::Fatal, reason));
        };
        let begins = match &sync.pass {
            Pass::Again(marks) => sync.last.is_none() && marks.base == previous,
            Pass::Keep | Pass::Measure(_) => false,
        };
        if !begins {
            sync.pass = Pass::Keep;
        }
        sync.steps.clear();
        sync.index.clear();
        sync.last = Some(HeaderStep {
            hash: previous,
            header: stored.header,
            work: stored.work,
        });
        Ok(())
    }

    /// A checked header goes where the pass wants it.
    fn keep<S: ChainStore>(
        &self,
        ground: &SyncView<'_, S>,
        sync: &mut Sync,
        step: HeaderStep,
    ) -> Result<(), (Fault, String)> {
        match &mut sync.pass {
            Pass::Measure(marks) => {
                marks.measure(step.header.height, step.hash);
                return Ok(());
            }
            Pass::Again(marks) if !marks.allows(step.header.height, step.hash) => {
                let reason = "it showed other headers the second time".to_owned();
                return Err((Fault::Mid, reason));
            }
            // What was proven is here again; from now on it is a candidate like others.
            Pass::Again(marks) if marks.goal <= step.header.height => sync.pass = Pass::Keep,
            Pass::Again(_) | Pass::Keep => {}
        }
        let stored = sync.steps.is_empty() && matches!(ground.chain.block(&step.hash), Ok(Some(_)));
        if !stored {
            sync.index.insert(step.hash, sync.steps.len());
            sync.steps.push(step);
        }
        Ok(())
    }

    /// Where a candidate stands after a page.
    fn course<S: ChainStore>(&self, ground: &SyncView<'_, S>, sync: &Sync) -> Course {
        let better = sync
            .last
            .as_ref()
            .is_some_and(|last| ground.chain.is_better(last.work, &last.hash));
        let room = sync.steps.len() + HEADERS_MAX <= self.headers_kept_max;
        match &sync.pass {
            Pass::Keep | Pass::Again(_) if sync.more && room => Course::Ask,
            Pass::Keep if better && !sync.steps.is_empty() => Course::Window,
            Pass::Keep if sync.more => Course::Measure,
            Pass::Measure(marks) if sync.more && !marks.is_full() => Course::Ask,
            Pass::Measure(_) if better => Course::Again,
            Pass::Again(_) if sync.more => Course::Window,
            Pass::Again(_) if !sync.not_yet => Course::Mismatch,
            Pass::Keep | Pass::Measure(_) | Pass::Again(_) => Course::GiveUp,
        }
    }

    /// Enough headers, more headers, or nothing in it.
    fn judge<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, source: PeerId) {
        let Some(at) = self.candidates.iter().position(|sync| sync.source == source) else {
            return;
        };
        match self.course(ground, &self.candidates[at]) {
            Course::Ask => self.ask_headers(ground, source),
            Course::Measure => {
                self.candidates[at].measure();
                self.ask_headers(ground, source);
            }
            Course::Again => {
                if self.is_double(at) {
                    return self.end_sync(ground, source);
                }
                self.candidates[at].again();
                self.protect();
                self.ask_headers(ground, source);
            }
            Course::Window => {
                if self.is_double(at) {
                    return self.end_sync(ground, source);
                }
                self.candidates[at].begin_bodies();
                self.protect();
                self.tell_started(ground, source);
            }
            Course::Mismatch => {
                self.end_sync(ground, source);
                self.void_claim(ground, source, VOID_MS);
                self.blame(source, Fault::Mid, "it showed fewer headers the second time");
            }
            Course::GiveUp => self.give_up(ground, at, source),
        }
    }

    /// Whether the other candidate is the same branch, and further.
    fn is_double(&self, at: usize) -> bool {
        let sync = &self.candidates[at];
        let end = sync.last.as_ref().map(|last| last.hash);
        self.candidates.iter().enumerate().any(|(place, other)| {
            let same_bodies = other.phase == Phase::Bodies && end.is_some_and(|end| other.index.contains_key(&end));
            let same_marks = match (&other.pass, &sync.pass) {
                (Pass::Again(theirs), Pass::Measure(ours) | Pass::Again(ours)) => theirs == ours,
                (Pass::Keep | Pass::Measure(_) | Pass::Again(_), _) => false,
            };
            place != at && (same_bodies || same_marks)
        })
    }

    /// The candidate proves nothing; a claim that says otherwise is a lie.
    fn give_up<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, at: usize, peer: PeerId) {
        let sync = &self.candidates[at];
        let (not_yet, top) = (sync.not_yet, sync.top);
        let proven = sync.last.as_ref().map(|last| last.work);
        self.end_sync(ground, peer);
        let unproven = self.sources.claim(ground.now, &peer).is_some_and(|(tip, _, work)| {
            // A newer claim is another matter.
            Some(tip) == top && proven.is_none_or(|proven| proven < work)
        });
        let lied = unproven && !not_yet && self.claims_better(ground, &peer);
        self.void_claim(ground, peer, if not_yet { NOT_YET_MS } else { VOID_MS });
        if lied {
            self.blame(peer, Fault::Mid, "it claims work that its headers do not prove");
        }
    }
}

impl Sync {
    /// Too long to be kept: from now on only marks are.
    fn measure(&mut self) {
        let Some(first) = self.steps.first() else { return };
        let below = Height::new(first.header.height.get().saturating_sub(1));
        let mut marks = Marks::new(first.header.previous, below);
        for step in self.steps.drain(..) {
            marks.measure(step.header.height, step.hash);
        }
        self.index.clear();
        self.pass = Pass::Measure(marks);
    }

    /// The measured candidate is worth fetching: all over again, and kept this time.
    fn again(&mut self) {
        if let Pass::Measure(marks) = core::mem::replace(&mut self.pass, Pass::Keep) {
            self.pass = Pass::Again(marks);
            self.last = None;
            self.tail = None;
        }
    }

    /// The headers at hand are worth their bodies. Within a long candidate only up to the last mark: what lies behind
    /// it is not proven to be what was measured.
    fn begin_bodies(&mut self) {
        if matches!(self.pass, Pass::Again(_)) {
            while self.steps.last().is_some_and(|step| !is_mark(step.header.height)) {
                self.steps.pop();
            }
            self.last = self.steps.last().cloned();
            self.tail = self.last.as_ref().map(|last| (last.hash, last.header.height));
        }
        self.index = (0..).zip(&self.steps).map(|(at, step)| (step.hash, at)).collect();
        self.phase = Phase::Bodies;
        let top = self.last.as_ref().map_or(Height::GENESIS, |last| last.header.height);
        self.target = self.target.max(top);
    }
}
