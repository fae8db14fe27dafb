//! One candidate branch: the headers that were checked, the bodies that came, and how far both are.
//!
//! Elsewhere: headers (`sync::headers`), what a long one leaves in memory (`sync::marks`), bodies (`sync::bodies`).

use std::collections::{BTreeMap, BTreeSet};

use super::marks::Marks;
use crate::chain::stages::Received;
use crate::chain::{Header, Verdict};
use crate::types::{BlockHash, Height, PeerId, Time, Work};

/// A checked header of the candidate.
#[derive(Clone, Debug)]
pub(super) struct HeaderStep {
    pub(super) hash: BlockHash,
    pub(super) header: Header,
    pub(super) work: Work,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A page of headers was asked for.
    Headers,
    /// The window is proven; its bodies are fetched.
    Bodies,
}

/// What is done with checked headers.
#[derive(Clone, Debug)]
pub(super) enum Pass {
    /// They are kept: the candidate may be short.
    Keep,
    /// They are counted and marked: the candidate is long, and must prove its work before anything of it is stored.
    Measure(Marks),
    /// They come again: compared with the marks, kept a window at a time, and their bodies stored.
    Again(Marks),
}

/// A body that came, and waits for its turn.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    /// The peer that sent it.
    pub(crate) peer: PeerId,
    /// Its header, which is the one that was asked for.
    pub(crate) received: Received,
    /// The size of the whole block in bytes.
    pub(crate) size: usize,
    pub(crate) content: Content,
}

/// What is there of a body.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// The whole block as it came.
    Bytes(Vec<u8>),
    /// It is being checked beside the engine, in the group with this number.
    UnderWay(u64),
    /// What came of its check beside the engine.
    Checked(Box<Verdict>),
}

impl Arrived {
    /// Whether the chain can be offered it.
    pub(crate) const fn is_ready(&self) -> bool {
        match self.content {
            Content::Bytes(_) | Content::Checked(_) => true,
            Content::UnderWay(_) => false,
        }
    }
}

/// A branch that claims more work than the own one, while it is checked and fetched.
#[derive(Clone, Debug)]
pub(super) struct Sync {
    pub(super) source: PeerId,
    /// The open question for headers: an answer to an earlier one was meant for another state of things.
    pub(super) question: Option<u64>,
    /// One was ordered, and has no number yet.
    pub(super) is_asking: bool,
    pub(super) phase: Phase,
    pub(super) pass: Pass,
    pub(super) began: Time,
    /// The tip that the source claimed when it was chosen.
    pub(super) top: Option<BlockHash>,
    /// Ends at the clock: what follows lies in the future.
    pub(super) not_yet: bool,
    /// The source has more behind the last header.
    pub(super) more: bool,
    /// The last header of the last page, also one that was stored before.
    pub(super) tail: Option<(BlockHash, Height)>,
    /// The last checked header: the next must follow it.
    pub(super) last: Option<HeaderStep>,
    pub(super) steps: Vec<HeaderStep>,
    pub(super) index: BTreeMap<BlockHash, usize>,
    /// The first body that was not offered to the chain yet.
    pub(super) next: usize,
    /// Bodies that came and wait for their turn.
    pub(super) bodies: BTreeMap<usize, Arrived>,
    pub(super) buffered: usize,
    /// Who said that it has no such body, or sent a wrong one.
    pub(super) lacking: BTreeSet<PeerId>,
    /// How often a peer let a question for bodies lapse since it last answered one.
    pub(super) stalls: BTreeMap<PeerId, u32>,
    /// Who answered its last question for bodies in time.
    pub(super) proven: BTreeSet<PeerId>,
    pub(super) announced: bool,
    pub(super) progress_at: Time,
    pub(super) target: Height,
}

impl Sync {
    pub(super) fn new(source: PeerId, target: Height, began: Time) -> Self {
        Self {
            source,
            question: None,
            is_asking: false,
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
    pub(super) fn restart(&mut self) {
        *self = Self {
            announced: self.announced,
            progress_at: self.progress_at,
            top: self.top,
            proven: core::mem::take(&mut self.proven),
            ..Self::new(self.source, self.target, self.began)
        };
    }

    /// Forgets the window but not the candidate.
    pub(super) fn next_window(&mut self) {
        self.phase = Phase::Headers;
        self.steps.clear();
        self.index.clear();
        self.next = 0;
        self.bodies.clear();
        self.buffered = 0;
    }

    /// What of it must not leave the side branches: the window, and what it stands on.
    pub(super) fn protected(&self) -> impl Iterator<Item = BlockHash> {
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
