//! Own requests under way: their ids, their deadlines, and which of them have lapsed.
//!
//! Promises: an id is used once; a request lapses only when everything that the network read before its deadline was
//! handed over ([`Requests::heard`]), so that our own slowness is nobody's fault; one lapse at a time, and after it every
//! other request to the same peer has the peer's new patience; an answer is taken until the network ends the request.
//! Elsewhere: what is asked and what follows from a lapse (`relay`, `sync`), patience with a peer (`pace`).
//! Spec: `proto-notes/sync.md`, "Patience".

use std::collections::BTreeMap;

use crate::types::{BlockHash, PeerId, Time};

/// Lapses of one question for bodies: after the first others are asked for them too, after the last nothing is expected.
pub(super) const LAPSES_MAX: u32 = 3;

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Status,
    Headers,
    Blocks(Vec<BlockHash>),
    Pending([u8; 32]),
    Peers,
}

impl Question {
    /// How often it may lapse before nothing is expected of it.
    const fn lapses_max(&self) -> u32 {
        match self {
            Self::Blocks(_) => LAPSES_MAX,
            Self::Status | Self::Headers | Self::Pending(_) | Self::Peers => 1,
        }
    }
}

/// An own request under way.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) peer: PeerId,
    pub(super) what: Question,
    /// When it was asked.
    pub(super) at: Time,
    /// None: nothing more is expected, or only the network ends it.
    deadline: Option<Time>,
    lapses: u32,
}

impl Asked {
    /// Its deadline is still to come, and none has lapsed before.
    pub(super) const fn is_on_time(&self) -> bool {
        self.deadline.is_some() && self.lapses == 0
    }

    /// An answer may still be of use.
    pub(super) const fn is_awaited(&self) -> bool {
        self.deadline.is_some()
    }

    /// Whether a deadline of it has lapsed.
    pub(super) const fn has_lapsed(&self) -> bool {
        self.lapses > 0
    }
}

/// All own requests that the network has not ended.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    next: u64,
    open: BTreeMap<u64, Asked>,
    /// Everything that the network read before this was handed over.
    heard: Time,
}

impl Requests {
    /// Nothing was asked yet.
    pub(super) const fn new(now: Time) -> Self {
        Self {
            next: 1,
            open: BTreeMap::new(),
            heard: now,
        }
    }

    /// Notes a question and gives it its id. Without patience only the network ends it.
    pub(super) fn ask(&mut self, now: Time, peer: PeerId, what: Question, patience_ms: Option<u64>) -> u64 {
        let id = self.next;
        self.next += 1;
        let deadline = patience_ms.map(|ms| Time::from_ms(now.ms().saturating_add(ms)));
        let asked = Asked {
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
    pub(super) fn hear(&mut self, before: Time) {
        self.heard = self.heard.max(before);
    }

    /// Up to when the network was heard.
    pub(super) const fn heard(&self) -> Time {
        self.heard
    }

    /// The network ended a request: with an answer of this peer, or without one.
    pub(super) fn end(&mut self, id: u64, peer: PeerId) -> Option<Asked> {
        if self.open.get(&id)?.peer != peer {
            return None;
        }
        self.open.remove(&id)
    }

    /// The next request whose deadline has passed unanswered. Call [`Requests::grant`] with the peer's new patience then.
    pub(super) fn lapse(&mut self) -> Option<(u64, Asked)> {
        let heard = self.heard;
        let has_passed = |asked: &Asked| asked.deadline.is_some_and(|at| at < heard);
        let (id, first) = self.open.iter().find(|(_, asked)| has_passed(asked))?;
        let (id, first) = (*id, first.clone());
        let bodies = |asked: &Asked| matches!(asked.what, Question::Blocks(_));
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
        Some((id, first))
    }

    /// No request to this peer lapses before this time: its answers share one link.
    pub(super) fn grant(&mut self, peer: &PeerId, until: Time) {
        for asked in self.open.values_mut().filter(|asked| asked.peer == *peer) {
            asked.deadline = asked.deadline.map(|at| at.max(until));
        }
    }

    /// The requests that the network has not ended, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&u64, &Asked)> {
        self.open.iter()
    }

    /// Those to a peer.
    pub(super) fn to<'a>(&'a self, peer: &'a PeerId) -> impl Iterator<Item = (&'a u64, &'a Asked)> {
        self.open.iter().filter(move |(_, asked)| asked.peer == *peer)
    }

    /// Questions for bodies.
    pub(super) fn for_blocks(&self) -> impl Iterator<Item = (&Asked, &[BlockHash])> {
        self.open.values().filter_map(|asked| match &asked.what {
            Question::Blocks(hashes) => Some((asked, hashes.as_slice())),
            Question::Status | Question::Headers | Question::Pending(_) | Question::Peers => None,
        })
    }

    /// Whether the network has not ended it yet.
    pub(super) fn contains(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    /// When the next deadline passes.
    pub(super) fn next_wakeup(&self) -> Option<Time> {
        self.open.values().filter_map(|asked| asked.deadline).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SecretKey;

    fn peer(n: u8) -> PeerId {
        SecretKey::from_seed([n; 32]).public().peer_id()
    }

    const fn at(ms: u64) -> Time {
        Time::from_ms(ms)
    }

    fn blocks() -> Question {
        Question::Blocks(vec![BlockHash::new([1; 32])])
    }

    #[test]
    fn a_request_lapses_only_when_all_that_came_before_its_deadline_was_handed_over() {
        let mut requests = Requests::new(at(0));
        requests.ask(at(0), peer(1), blocks(), Some(2_000));
        for (heard, lapses) in [(1_999, false), (2_000, false), (2_001, true)] {
            requests.hear(at(heard));
            assert_eq!(requests.lapse().is_some(), lapses, "heard up to {heard}");
        }
    }

    #[test]
    fn an_answer_that_was_read_in_time_is_never_late() {
        let mut requests = Requests::new(at(0));
        let id = requests.ask(at(0), peer(1), blocks(), Some(2_000));
        // The facts of this hour come with their stamps; the answer's is before the deadline.
        requests.hear(at(1_500));
        assert!(requests.lapse().is_none());
        assert!(requests.end(id, peer(1)).is_some_and(|asked| asked.is_on_time()));
        requests.hear(at(60_000));
        assert!(requests.lapse().is_none());
    }

    #[test]
    fn four_requests_to_one_peer_lapse_once_for_each_patience() {
        let mut requests = Requests::new(at(0));
        for _ in 0..4 {
            requests.ask(at(0), peer(1), blocks(), Some(2_000));
        }
        let mut lapses = Vec::new();
        let mut patience = 2_000;
        for now in (0..200_000).step_by(100) {
            requests.hear(at(now));
            while requests.lapse().is_some() {
                lapses.push(now);
                patience *= 2;
                requests.grant(&peer(1), at(now + patience));
            }
        }
        // All four together, and after the third time none of them is waited for.
        assert_eq!(lapses, [2_100, 6_200, 14_300]);
        assert_eq!(requests.next_wakeup(), None);
    }

    #[test]
    fn an_answer_from_somebody_else_ends_nothing() {
        let mut requests = Requests::new(at(0));
        let id = requests.ask(at(0), peer(1), Question::Headers, Some(2_000));
        assert!(requests.end(id, peer(2)).is_none());
        assert!(requests.contains(id));
        assert!(requests.end(id, peer(1)).is_some());
        assert!(requests.end(id, peer(1)).is_none());
    }

    #[test]
    fn a_question_for_headers_lapses_once_and_one_for_bodies_three_times() {
        for (what, times) in [
            (Question::Headers, 1),
            (Question::Pending([0; 32]), 1),
            (blocks(), LAPSES_MAX),
        ] {
            let mut requests = Requests::new(at(0));
            let id = requests.ask(at(0), peer(1), what, Some(10));
            let mut count = 0;
            for now in (0..1_000).step_by(50) {
                requests.hear(at(now));
                count += u32::from(requests.lapse().is_some());
                requests.grant(&peer(1), at(now + 10));
            }
            assert_eq!(count, times);
            assert!(requests.contains(id), "the network ends it");
            assert_eq!(requests.next_wakeup(), None);
        }
    }
}
