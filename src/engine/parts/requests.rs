//! Own requests under way: their ids, their deadlines, and which of them have lapsed.
//!
//! Promises: an id is used once; a request lapses only when everything that the network read before its deadline was
//! handed over ([`Requests::heard`]), so that our own slowness is nobody's fault; one lapse at a time, and after it every
//! other request to the same peer has the peer's new patience; an answer is taken until the network ends the request.
//! Elsewhere: what is asked and what follows from a lapse (`relay`, `sync`), patience with a peer (`pace`).
//! Spec: `proto-notes/sync.md`, "Patience".

mod link;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub(crate) use link::Responder;

use crate::types::{BlockHash, PeerId, Time, count};

/// How often one question for bodies lapses: after the first time others are asked too, after the last no answer is expected.
pub(crate) const LAPSES_MAX: u32 = 3;

/// What a peer is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Status,
    Headers,
    Blocks(Vec<BlockHash>),
    Pending([u8; 32]),
    Peers,
    /// Transactions of a block that a compact block named.
    Transactions(BlockHash),
}

impl Question {
    /// How often it may lapse before nothing is expected of it.
    const fn lapses_max(&self) -> u32 {
        match self {
            Self::Blocks(_) => LAPSES_MAX,
            Self::Status | Self::Headers | Self::Pending(_) | Self::Peers | Self::Transactions(_) => 1,
        }
    }
}

/// An own request under way.
#[derive(Clone, Debug)]
pub(crate) struct OpenQuestion {
    pub(crate) peer: PeerId,
    pub(crate) what: Question,
    /// When it was asked.
    pub(crate) at: Time,
    /// None: nothing more is expected, or only the network ends it.
    deadline: Option<Time>,
    lapses: u32,
}

impl OpenQuestion {
    /// Its deadline is still to come, and none has lapsed before.
    pub(crate) const fn is_on_time(&self) -> bool {
        self.deadline.is_some() && self.lapses == 0
    }

    /// An answer may still be of use.
    pub(crate) const fn is_awaited(&self) -> bool {
        self.deadline.is_some()
    }

    /// Whether a deadline of it has lapsed.
    pub(crate) const fn has_lapsed(&self) -> bool {
        self.lapses > 0
    }
}

/// All own requests that the network has not ended.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    next: u64,
    open: BTreeMap<u64, OpenQuestion>,
    links: BTreeMap<PeerId, Responder>,
    /// Everything that the network read before this was handed over.
    heard: Time,
}

impl Requests {
    /// Nothing was asked yet.
    pub(crate) const fn new(now: Time) -> Self {
        Self {
            next: 1,
            open: BTreeMap::new(),
            links: BTreeMap::new(),
            heard: now,
        }
    }

    /// A peer connected: nothing is known of its link yet.
    pub(crate) fn connected(&mut self, now: Time, peer: PeerId) {
        self.links.insert(peer, Responder::new(now));
    }

    /// Its last connection is gone; its open requests are ended one by one.
    pub(crate) fn gone(&mut self, peer: &PeerId) -> Vec<u64> {
        self.links.remove(peer);
        self.to(peer).map(|(id, _)| *id).collect()
    }

    /// What is known of a connected peer's link.
    pub(crate) fn link(&self, peer: &PeerId) -> Option<&Responder> {
        self.links.get(peer)
    }

    /// The same, so that it can be changed.
    pub(crate) fn link_mut(&mut self, peer: &PeerId) -> Option<&mut Responder> {
        self.links.get_mut(peer)
    }

    /// The connected peers, in order.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &PeerId> {
        self.links.keys()
    }

    /// Whether every open question is to a connected peer, and counts there, but for statuses.
    pub(crate) fn is_sound(&self) -> bool {
        let counted = |peer: &PeerId| {
            self.to(peer)
                .filter(|(_, asked)| asked.what != Question::Status)
                .count()
        };
        let is_counted = |(peer, link): (&PeerId, &Responder)| count(counted(peer)) == u64::from(link.in_flight());
        self.open.values().all(|asked| self.links.contains_key(&asked.peer)) && self.links.iter().all(is_counted)
    }

    /// Every connected peer as one that is asked.
    pub(crate) fn links(&self) -> impl Iterator<Item = &Responder> {
        self.links.values()
    }

    /// Whether a peer may be asked something now.
    pub(crate) fn is_free(&self, now: Time, peer: &PeerId) -> bool {
        self.link(peer).is_some_and(|link| link.is_free(now))
    }

    /// Notes a question and gives it its id. Without patience only the network ends it.
    pub(crate) fn ask(&mut self, now: Time, peer: PeerId, what: Question, patience_ms: Option<u64>) -> u64 {
        let id = self.next;
        self.next += 1;
        if what != Question::Status
            && let Some(link) = self.links.get_mut(&peer)
        {
            link.in_flight += 1;
        }
        let deadline = patience_ms.map(|ms| now.after_ms(ms));
        let asked = OpenQuestion {
            peer,
            what,
            at: now,
            deadline,
            lapses: 0,
        };
        self.open.insert(id, asked);
        id
    }

    /// Everything that the network read before this time was handed over.
    pub(crate) fn hear(&mut self, before: Time) {
        self.heard = self.heard.max(before);
    }

    /// Up to when the network was heard.
    pub(crate) const fn heard(&self) -> Time {
        self.heard
    }

    /// The network ended a request: with an answer of this peer, or without one.
    pub(crate) fn end(&mut self, id: u64, peer: PeerId) -> Option<OpenQuestion> {
        if self.open.get(&id)?.peer != peer {
            return None;
        }
        let ended = self.open.remove(&id)?;
        if ended.what != Question::Status
            && let Some(link) = self.links.get_mut(&peer)
        {
            link.in_flight = link.in_flight.saturating_sub(1);
        }
        Some(ended)
    }

    /// The next request whose deadline has passed unanswered. All others to that peer get its new patience.
    pub(crate) fn lapse(&mut self, now: Time) -> Option<(u64, OpenQuestion)> {
        let heard = self.heard;
        let has_passed = |asked: &OpenQuestion| asked.deadline.is_some_and(|at| at < heard);
        let (id, first) = self.open.iter().find(|(_, asked)| has_passed(asked))?;
        let (id, first) = (*id, first.clone());
        let bodies = |asked: &OpenQuestion| matches!(asked.what, Question::Blocks(_));
        for (other, asked) in &mut self.open {
            // All questions for bodies that one link is late with are one lapse.
            let together = asked.peer == first.peer && bodies(asked) && bodies(&first) && has_passed(asked);
            if *other == id || together {
                asked.lapses += 1;
                if asked.lapses >= asked.what.lapses_max() {
                    asked.deadline = None;
                }
            }
        }
        if let Some(link) = self.links.get_mut(&first.peer) {
            link.stalled();
            let until = now.after_ms(link.pace.patience_ms());
            self.grant(&first.peer, until);
        }
        Some((id, first))
    }

    /// No request to this peer lapses before this time: its answers share one link.
    pub(crate) fn grant(&mut self, peer: &PeerId, until: Time) {
        for asked in self.open.values_mut().filter(|asked| asked.peer == *peer) {
            asked.deadline = asked.deadline.map(|at| at.max(until));
        }
    }

    /// Gives all questions to a peer the time that the bodies under way may take on its link.
    pub(crate) fn be_patient(&mut self, now: Time, peer: &PeerId) {
        let under_way = self.for_blocks().filter(|(asked, _)| asked.peer == *peer);
        let blocks = under_way.map(|(_, hashes)| hashes.len()).sum();
        if let Some(link) = self.link(peer) {
            let until = now.after_ms(link.pace.patience_for(blocks));
            self.grant(peer, until);
        }
    }

    /// Whether a peer says that it is busy, and nothing else.
    pub(crate) fn is_always_busy(&self, peer: &PeerId) -> bool {
        self.link(peer).is_some_and(Responder::is_always_busy)
    }

    /// The requests that the network has not ended, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&u64, &OpenQuestion)> {
        self.open.iter()
    }

    /// Those to a peer.
    pub(crate) fn to<'a>(&'a self, peer: &'a PeerId) -> impl Iterator<Item = (&'a u64, &'a OpenQuestion)> {
        self.open.iter().filter(move |(_, asked)| asked.peer == *peer)
    }

    /// The open questions for bodies, with the blocks that each asked for.
    pub(crate) fn for_blocks(&self) -> impl Iterator<Item = (&OpenQuestion, &[BlockHash])> {
        self.open.values().filter_map(|asked| match &asked.what {
            Question::Blocks(hashes) => Some((asked, hashes.as_slice())),
            Question::Status
            | Question::Headers
            | Question::Pending(_)
            | Question::Peers
            | Question::Transactions(_) => None,
        })
    }

    /// Whether the network has not ended it yet.
    pub(crate) fn contains(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    /// When the next deadline passes.
    pub(crate) fn next_wakeup(&self) -> Option<Time> {
        self.open.values().filter_map(|asked| asked.deadline).min()
    }
}
