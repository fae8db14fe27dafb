//! Own requests under way: their ids, their deadlines, and which of them have lapsed.
//!
//! Promises: an id is used once; a request lapses only when everything that the network read before its deadline was
//! handed over ([`Requests::heard`]), so that our own slowness is nobody's fault; one lapse at a time, and after it every
//! other request to the same peer has the peer's new patience; an answer is taken until the network ends the request.
//! Elsewhere: what is asked and what follows from a lapse (`relay`, `sync`), patience with a peer (`pace`).
//! Spec: `proto-notes/sync.md`, "Patience".

use std::collections::BTreeMap;

use super::pace::Pace;
use super::standing::{Kind, QUESTION_BYTES};
use crate::types::{BlockHash, Bucket, PeerId, Time};

/// How long a peer that is busy is left alone.
const BUSY_MS: u64 = 500;
/// So many times busy without an answer between count like silence: ten seconds and more, in which every bucket refills.
const BUSY_MAX: u32 = 24;
/// Requests under way to one peer; its own limit is eight for everybody.
const IN_FLIGHT_MAX: u32 = 4;
/// Lapses of one question for bodies: after the first others are asked for them too, after the last nothing is expected.
pub(crate) const LAPSES_MAX: u32 = 3;

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
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
pub(crate) struct Asked {
    pub(crate) peer: PeerId,
    pub(crate) what: Question,
    /// When it was asked.
    pub(crate) at: Time,
    /// None: nothing more is expected, or only the network ends it.
    deadline: Option<Time>,
    lapses: u32,
}

impl Asked {
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

/// What is known of a peer as one that is asked.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// Questions under way, but for statuses.
    in_flight: u32,
    /// What its link has shown: patience, and how much is asked at once.
    pace: Pace,
    /// Not asked before: it said that it is busy.
    busy_until: Time,
    /// How often it said so since it last served something.
    busy: u32,
    /// What this node has fetched from it, counted as it counts there.
    fetched: Bucket,
}

impl Link {
    fn new(now: Time) -> Self {
        Self {
            in_flight: 0,
            pace: Pace::new(),
            busy_until: now,
            busy: 0,
            fetched: Bucket::full(now),
        }
    }

    /// Patience with it, and how much it is asked at once.
    pub(crate) const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Questions under way, but for statuses.
    pub(crate) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// From when on it may be asked one more; none while too many are under way.
    pub(crate) fn free_at(&self) -> Option<Time> {
        (self.in_flight < IN_FLIGHT_MAX).then_some(self.busy_until)
    }

    /// Whether it said lately that it is busy.
    pub(crate) fn is_busy(&self, now: Time) -> bool {
        self.busy_until > now
    }

    /// A question lapsed, or ended without an answer.
    pub(crate) fn stalled(&mut self) {
        self.pace.stalled();
    }

    /// A page that was asked for at `at` and read by `read` says what the link can do.
    pub(crate) fn carried(&mut self, at: Time, read: Time, bytes: usize) {
        self.pace.carried(at, read, bytes);
    }

    /// The same for bodies.
    pub(crate) fn brought_bodies(&mut self, at: Time, read: Time, (count, bytes): (usize, usize)) {
        self.pace.delivered(at, read, count, bytes);
    }

    /// Whether it may be asked something now.
    pub(crate) fn is_free(&self, now: Time) -> bool {
        self.in_flight < IN_FLIGHT_MAX && self.busy_until <= now
    }

    /// It is busy: it is left alone for a moment.
    pub(crate) fn note_busy(&mut self, now: Time) {
        self.busy = self.busy.saturating_add(1);
        self.busy_until = now.after_ms(BUSY_MS);
    }

    /// Whether it was busy so often that this counts like silence.
    pub(crate) const fn is_always_busy(&self) -> bool {
        self.busy >= BUSY_MAX
    }

    /// Its answer was useful: patience goes back.
    pub(crate) fn delivered(&mut self) {
        self.busy = 0;
        self.pace.answered();
    }

    /// When a question for bodies finds room in the bucket that the peer keeps for this node: asked sooner, it would be
    /// answered `Busy`.
    pub(crate) fn fetch_from(&self, now: Time) -> Time {
        self.fetched.ready_at(now, QUESTION_BYTES, Kind::Blocks.rate())
    }

    /// Bodies are asked for, or came.
    pub(crate) fn fetches(&mut self, now: Time, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.fetched.charge(now, bytes, Kind::Blocks.rate());
    }
}

/// All own requests that the network has not ended.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    next: u64,
    open: BTreeMap<u64, Asked>,
    links: BTreeMap<PeerId, Link>,
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
        self.links.insert(peer, Link::new(now));
    }

    /// Its last connection is gone; its open requests are ended one by one.
    pub(crate) fn gone(&mut self, peer: &PeerId) -> Vec<u64> {
        self.links.remove(peer);
        self.to(peer).map(|(id, _)| *id).collect()
    }

    /// A connected peer as one that is asked.
    pub(crate) fn link(&self, peer: &PeerId) -> Option<&Link> {
        self.links.get(peer)
    }

    /// The same, to be changed.
    pub(crate) fn link_mut(&mut self, peer: &PeerId) -> Option<&mut Link> {
        self.links.get_mut(peer)
    }

    /// Every connected peer as one that is asked.
    pub(crate) fn links(&self) -> impl Iterator<Item = &Link> {
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
    pub(crate) fn hear(&mut self, before: Time) {
        self.heard = self.heard.max(before);
    }

    /// Up to when the network was heard.
    pub(crate) const fn heard(&self) -> Time {
        self.heard
    }

    /// The network ended a request: with an answer of this peer, or without one.
    pub(crate) fn end(&mut self, id: u64, peer: PeerId) -> Option<Asked> {
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
    pub(crate) fn lapse(&mut self, now: Time) -> Option<(u64, Asked)> {
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
        self.link(peer).is_some_and(Link::is_always_busy)
    }

    /// The requests that the network has not ended, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&u64, &Asked)> {
        self.open.iter()
    }

    /// Those to a peer.
    pub(crate) fn to<'a>(&'a self, peer: &'a PeerId) -> impl Iterator<Item = (&'a u64, &'a Asked)> {
        self.open.iter().filter(move |(_, asked)| asked.peer == *peer)
    }

    /// Questions for bodies.
    pub(crate) fn for_blocks(&self) -> impl Iterator<Item = (&Asked, &[BlockHash])> {
        self.open.values().filter_map(|asked| match &asked.what {
            Question::Blocks(hashes) => Some((asked, hashes.as_slice())),
            Question::Status | Question::Headers | Question::Pending(_) | Question::Peers => None,
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
            assert_eq!(requests.lapse(at(0)).is_some(), lapses, "heard up to {heard}");
        }
    }

    #[test]
    fn an_answer_that_was_read_in_time_is_never_late() {
        let mut requests = Requests::new(at(0));
        let id = requests.ask(at(0), peer(1), blocks(), Some(2_000));
        // The facts of this hour come with their stamps; the answer's is before the deadline.
        requests.hear(at(1_500));
        assert!(requests.lapse(at(0)).is_none());
        assert!(requests.end(id, peer(1)).is_some_and(|asked| asked.is_on_time()));
        requests.hear(at(60_000));
        assert!(requests.lapse(at(0)).is_none());
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
            while requests.lapse(at(0)).is_some() {
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
                count += u32::from(requests.lapse(at(0)).is_some());
                requests.grant(&peer(1), at(now + 10));
            }
            assert_eq!(count, times);
            assert!(requests.contains(id), "the network ends it");
            assert_eq!(requests.next_wakeup(), None);
        }
    }

    #[test]
    fn four_questions_are_under_way_to_a_peer_and_statuses_are_none_of_them() {
        let mut requests = Requests::new(at(0));
        assert!(!requests.is_free(at(0), &peer(1)), "nobody is there");
        requests.connected(at(0), peer(1));
        let asked: Vec<u64> = (0..4)
            .map(|_| {
                assert!(requests.is_free(at(0), &peer(1)));
                requests.ask(at(0), peer(1), Question::Headers, None)
            })
            .collect();
        assert_eq!(requests.link(&peer(1)).unwrap().free_at(), None);
        let status = requests.ask(at(0), peer(1), Question::Status, None);
        requests.end(status, peer(1));
        assert!(!requests.is_free(at(0), &peer(1)));
        requests.end(asked[0], peer(1));
        assert!(requests.is_free(at(0), &peer(1)));
        let mut gone = requests.gone(&peer(1));
        gone.sort_unstable();
        assert_eq!(gone, asked[1..]);
    }

    #[test]
    fn a_busy_peer_is_left_alone_for_half_a_second_and_after_24_times_counts_as_silent_until_it_serves() {
        let mut requests = Requests::new(at(0));
        requests.connected(at(0), peer(1));
        let link = requests.link_mut(&peer(1)).unwrap();
        link.note_busy(at(1_000));
        assert!(!link.is_free(at(1_499)) && link.is_free(at(1_500)));
        (1..24).for_each(|_| link.note_busy(at(1_000)));
        assert!(link.is_always_busy());
        link.delivered();
        assert!(!link.is_always_busy());
    }

    #[test]
    fn a_lapse_gives_every_other_question_to_that_peer_its_new_patience() {
        let mut requests = Requests::new(at(0));
        requests.connected(at(0), peer(1));
        let patience = requests.link(&peer(1)).unwrap().pace().patience_ms();
        requests.ask(at(0), peer(1), Question::Headers, Some(10));
        requests.ask(at(0), peer(1), Question::Pending([0; 32]), Some(20));
        requests.hear(at(30));
        assert!(requests.lapse(at(30)).is_some());
        assert!(requests.lapse(at(30)).is_none(), "one lapse at a time");
        let longer = requests.link(&peer(1)).unwrap().pace().patience_ms();
        assert!(longer > patience);
        requests.hear(at(31 + longer));
        assert!(requests.lapse(at(31 + longer)).is_some());
    }
}
