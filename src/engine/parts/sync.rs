//! Sync: headers first, bodies only of a branch that the headers prove to be preferred.
//!
//! Promises: a claim is never believed, it only says whom to ask; at most [`CANDIDATES_MAX`] candidates are followed at
//! once, each with at most [`HEADERS_KEPT_MAX`] headers in memory; bodies come from every peer that has them, and a
//! silent peer is replaced by the next. A fork of any depth heals.
//! Elsewhere: headers of a candidate (`sync::headers`), what a long one leaves in memory (`sync::marks`), bodies
//! (`sync::bodies`), what makes a block valid (`chain`), patience for a peer (`peers`).
//! Spec: `proto-notes/sync.md`.

mod bodies;
mod candidate;
mod checks;
mod choice;
mod fetch;
mod headers;
mod marks;
mod sources;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};

use super::requests::{OpenQuestion, Question, Requests};
use super::standing::Fault;
use crate::chain::ChainStore;
use crate::chain::state::Chain;
use crate::contract::Event;
use crate::types::rng::Rng;
use crate::types::{BlockHash, PeerId, Time, WallTime};
use crate::wire::Request;
use crate::wire::message::LOCATOR_MAX;
pub(crate) use candidate::{Arrived, Content};
use candidate::{HeaderStep, Pass, Phase, Sync};
pub(crate) use sources::{Claim, Sources};

/// Headers of a candidate in memory: about a day at ten seconds, 1.3 MiB.
pub(crate) const HEADERS_KEPT_MAX: usize = 8_192;
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
pub(crate) const HEADERS_PAGE_BYTES: u64 = 48 * 1_024;
/// Headers that take longer than this are asked from a second peer of the same tip too. A LAN answers in milliseconds.
const HURRY_MS: u64 = 1_000;

/// The candidates that are followed, and what is known of each source.
#[derive(Debug)]
pub(crate) struct Syncs {
    pub(crate) sources: Sources,
    candidates: Vec<Sync>,
    /// Headers of one candidate in memory at most.
    pub(crate) headers_kept_max: usize,
    /// Chooses whom to follow.
    rng: Rng,
    /// Candidates whose bodies may be taken in this turn.
    taking: VecDeque<PeerId>,
    /// Groups of bodies that left for a check.
    groups: u64,
    out: VecDeque<Order>,
}

/// What the engine does for it, in order.
#[derive(Debug)]
pub(crate) enum Order {
    /// Ask a peer. For headers, [`Syncs::asked`] is told the request's number.
    Ask {
        peer: PeerId,
        what: Question,
        request: Request,
    },
    /// Bodies that were asked for at `at` came over this link: what it has shown.
    Brought {
        peer: PeerId,
        at: Time,
        count: usize,
        bytes: usize,
    },
    /// A page of headers came.
    Delivered(PeerId),
    /// A question for bodies ended without any.
    Stalled(PeerId),
    /// Count a misdeed of a peer against it.
    Blame { peer: PeerId, fault: Fault, reason: String },
    /// Tell the user of an event.
    Tell(Event),
    /// These must not leave the side branches.
    Protect(Option<BTreeSet<BlockHash>>),
    /// A peer's branch ends in the future.
    FutureBranch { peer: PeerId, ahead_ms: u64 },
    /// The store cannot be read.
    StoreFailed(String),
}

/// What is looked at: the chain, and what is under way.
pub(crate) struct SyncView<'a, S> {
    pub(crate) now: Time,
    pub(crate) chain: &'a Chain<S>,
    pub(crate) requests: &'a Requests,
    /// The wall clock of the rules.
    pub(crate) clock: &'a dyn Fn() -> WallTime,
}

impl<S: ChainStore> SyncView<'_, S> {
    /// `now` and some milliseconds.
    const fn after(&self, ms: u64) -> Time {
        self.now.after_ms(ms)
    }

    /// Whether a claim is one of a better branch that is worth asking for.
    pub(crate) fn is_worth_asking(&self, (tip, height, work): Claim) -> bool {
        self.chain.is_better(work, &tip)
            && self.chain.params().can_be_reached(height, (self.clock)())
            && !self.chain.is_invalid(&tip)
            && matches!(self.chain.block(&tip), Ok(None))
    }

    /// Blocks that were taken wait for the disk: no more until it has them.
    pub(crate) fn disk_is_behind(&self) -> bool {
        self.chain.unwritten_bytes() >= fetch::WINDOW_BYTES
    }
}

impl Syncs {
    /// Follows nobody yet; `seed` feeds the choice among equal sources.
    pub(crate) fn new(seed: u64, headers_kept_max: usize) -> Self {
        Self {
            sources: Sources::default(),
            candidates: Vec::new(),
            headers_kept_max,
            rng: Rng::new(seed),
            taking: VecDeque::new(),
            groups: 0,
            out: VecDeque::new(),
        }
    }

    /// Whether nobody is followed.
    pub(crate) const fn is_idle(&self) -> bool {
        self.candidates.is_empty()
    }

    /// Whether this peer is followed.
    pub(crate) fn follows(&self, peer: &PeerId) -> bool {
        self.candidates.iter().any(|sync| sync.source == *peer)
    }
}

impl Syncs {
    /// Chooses candidates while there is room for one, and asks for pages that could not be asked for before.
    pub(crate) fn begin_turn<S: ChainStore>(&mut self, ground: &SyncView<'_, S>) {
        self.choose_syncs(ground);
        self.ask_late_headers(ground);
    }

    /// The next order that waits to be carried out, in the order in which they were given.
    pub(crate) fn poll(&mut self) -> Option<Order> {
        self.out.pop_front()
    }

    /// Headers were asked for by this request.
    pub(crate) fn asked(&mut self, source: PeerId, request: u64) {
        if let Some(sync) = self.sync_of(source) {
            sync.question = Some(request);
            sync.is_asking = false;
        }
    }

    fn tell(&mut self, event: Event) {
        self.out.push_back(Order::Tell(event));
    }

    fn blame(&mut self, peer: PeerId, fault: Fault, reason: &str) {
        self.out.push_back(Order::Blame {
            peer,
            fault,
            reason: reason.to_owned(),
        });
    }

    /// Pages that could not be asked for because the source had enough to do.
    fn ask_late_headers<S: ChainStore>(&mut self, ground: &SyncView<'_, S>) {
        let headers = self.candidates.iter().filter(|sync| sync.phase == Phase::Headers);
        let late: Vec<PeerId> = headers
            .filter(|sync| !self.is_asked(ground, sync))
            .map(|sync| sync.source)
            .collect();
        for source in late {
            self.ask_headers(ground, source);
        }
    }

    /// Whether anything came of a question for headers; a claim alone is not worth telling.
    pub(crate) fn is_syncing(&self) -> bool {
        self.candidates.iter().any(|sync| sync.last.is_some())
    }

    /// From whom headers or bodies are being fetched.
    pub(crate) fn fetched_from(&self) -> Vec<PeerId> {
        self.candidates.iter().map(|sync| sync.source).collect()
    }

    /// How many headers of one candidate are in memory at most.
    #[cfg(test)]
    pub(crate) fn headers_in_memory(&self) -> usize {
        self.candidates.iter().map(|sync| sync.steps.len()).max().unwrap_or(0)
    }

    /// Sync has work that waits for nothing.
    pub(crate) fn next_wakeup<S: ChainStore>(&self, ground: &SyncView<'_, S>) -> Option<Time> {
        let hurry = self.hurry_at().filter(|at| *at > ground.now);
        let wakes = self.candidates.iter().filter_map(|sync| {
            let body = sync.bodies.get(&sync.next).filter(|_| sync.phase == Phase::Bodies);
            if let Some(body) = body {
                // The disk is slow, or the body is being checked: what comes of that wakes.
                (body.is_ready() && !ground.disk_is_behind()).then_some(ground.now)
            } else if self.is_asked(ground, sync) {
                (sync.phase == Phase::Bodies)
                    .then(|| self.bodies_wakeup(ground, sync))
                    .flatten()
            } else {
                // Nothing is under way: somebody is busy; look again soon.
                Some(
                    ground
                        .after(IDLE_MS)
                        .min(self.bodies_wakeup(ground, sync).unwrap_or(Time::from_ms(u64::MAX))),
                )
            }
        });
        wakes.chain(hurry).chain(self.sources.next_wakeup(ground.now)).min()
    }

    /// When slow headers are asked elsewhere too.
    fn hurry_at(&self) -> Option<Time> {
        let headers = self.candidates.iter().filter(|sync| sync.phase == Phase::Headers);
        let room = self.candidates.len() < CANDIDATES_MAX;
        headers.map(|sync| sync.began.after_ms(HURRY_MS)).min().filter(|_| room)
    }

    /// Whether an answer for this candidate is waited for.
    fn is_asked<S: ChainStore>(&self, ground: &SyncView<'_, S>, sync: &Sync) -> bool {
        let asked = |(id, asked): (&u64, &OpenQuestion)| match &asked.what {
            Question::Headers => sync.question == Some(*id),
            Question::Blocks(hashes) => asked.is_awaited() && hashes.iter().any(|hash| sync.index.contains_key(hash)),
            Question::Status | Question::Pending(_) | Question::Peers | Question::Transactions(_) => false,
        };
        sync.is_asking || ground.requests.iter().any(asked)
    }

    /// Whether a peer claims a better branch that is worth asking for.
    fn claims_better<S: ChainStore>(&self, ground: &SyncView<'_, S>, peer: &PeerId) -> bool {
        let claim = self.sources.claim(ground.now, peer);
        claim.is_some_and(|claim| ground.is_worth_asking(claim))
    }

    /// The candidate that follows this peer.
    fn sync_of(&mut self, source: PeerId) -> Option<&mut Sync> {
        self.candidates.iter_mut().find(|sync| sync.source == source)
    }

    /// Asks for the next page; later, if too much of ours is under way to the source.
    fn ask_headers<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, source: PeerId) {
        match ground.requests.link(&source) {
            Some(link) if !link.is_free(ground.now) => return,
            Some(_) | None => {}
        }
        let mut locator = match ground.chain.locator() {
            Ok(locator) => locator,
            Err(error) => return self.out.push_back(Order::StoreFailed(error.to_string())),
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
        self.out.push_back(Order::Ask {
            peer: source,
            what: Question::Headers,
            request: Request::GetHeaders { locator },
        });
        if let Some(sync) = self.sync_of(source) {
            sync.question = None;
            sync.is_asking = true;
        }
    }

    /// Whether this peer's headers are waited for.
    fn awaits_headers(&self, peer: PeerId) -> bool {
        self.candidates
            .iter()
            .any(|sync| sync.phase == Phase::Headers && sync.source == peer)
    }

    /// Does not follow a peer's present claim for a while.
    fn void_claim<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, id: PeerId, ms: u64) {
        let until = ground.after(ms);
        let hint_from = ground.after(ms.min(SLOW_MS));
        self.sources.void(&id, until, hint_from);
    }

    /// Silence is no misdeed: the link may be bad. But nothing more is fetched from there for a while.
    fn leave_silent<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, id: PeerId) {
        self.sources.fell_silent(ground.now, &id);
        self.void_claim(ground, id, SLOW_MS);
    }

    /// Whether a candidate waits for the answer to this question; it does so no longer.
    fn take_question(&mut self, id: u64) -> bool {
        let waiting = self.candidates.iter_mut().find(|sync| sync.question == Some(id));
        waiting.map(|sync| sync.question = None).is_some()
    }

    /// The page did not come: the next peer is asked.
    pub(crate) fn no_headers<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, id: u64, peer: PeerId) {
        if self.take_question(id) {
            if !self.hand_over(ground, peer) {
                self.end_sync(ground, peer);
            }
            self.leave_silent(ground, peer);
        }
    }

    /// A connection is gone.
    pub(crate) fn sync_lost<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, peer: PeerId) {
        if self.awaits_headers(peer) && !self.hand_over(ground, peer) {
            self.end_sync(ground, peer);
        }
    }

    /// Goes on with another peer of the same tip, so that what was fetched of a long candidate is not lost.
    fn hand_over<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, from: PeerId) -> bool {
        let top = self.sync_of(from).and_then(|sync| sync.top);
        let free = |id: &PeerId| {
            let tip = self.sources.claim(ground.now, id).map(|(tip, ..)| tip);
            *id != from && tip.is_some() && tip == top && ground.requests.is_free(ground.now, id)
        };
        let fresh = |id: &PeerId| self.candidates.iter().all(|sync| sync.source != *id);
        let next = self.sources.ids().find(|id| free(id) && fresh(id)).copied();
        let Some(next) = next else { return false };
        let Some(sync) = self.sync_of(from).filter(|sync| sync.tail.is_some()) else {
            return false;
        };
        sync.source = next;
        sync.question = None;
        sync.is_asking = false;
        self.ask_headers(ground, next);
        true
    }

    /// Tells the chain what must not leave while it is being fetched.
    fn protect(&mut self) {
        let hashes: BTreeSet<BlockHash> = self.candidates.iter().flat_map(Sync::protected).collect();
        self.out
            .push_back(Order::Protect((!hashes.is_empty()).then_some(hashes)));
    }

    /// Ends a candidate, whatever its state.
    fn end_sync<S: ChainStore>(&mut self, ground: &SyncView<'_, S>, source: PeerId) {
        let Some(at) = self.candidates.iter().position(|sync| sync.source == source) else {
            return;
        };
        let sync = self.candidates.remove(at);
        self.protect();
        if sync.announced {
            let height = ground.chain.tip().header.height;
            self.tell(Event::SyncFinished {
                peer_id: sync.source.to_string(),
                height,
                target_height: sync.target,
            });
        }
    }

    /// Ends every candidate: what was fetched of them is dropped.
    pub(crate) fn end_syncs<S: ChainStore>(&mut self, ground: &SyncView<'_, S>) {
        while let Some(source) = self.candidates.first().map(|sync| sync.source) {
            self.end_sync(ground, source);
        }
    }
}
