//! When to ask and when to answer on one link.
//!
//! Promises: an own answer is sent at most once a second. Questions are sent after 0, 1, 3 and 7 s, and then at an
//! interval that grows with the number of known nodes; they are rarer if other nodes ask the same. The own answer is
//! sent with the first questions and then once in one and a half intervals, even if nobody asks, for nodes whose
//! questions do not arrive here.
//! Elsewhere: the bytes (`net::mdns::packet`), the sockets (`net::mdns::socket`).
//! Spec: `proto-notes/discovery.md`, "Multicast DNS".

use std::time::{Duration, Instant};

use crate::types::rng::Rng;

/// The shortest time between two own answers (RFC 6762, section 6).
const ANSWER_EVERY: Duration = Duration::from_secs(1);
/// The pauses between the first own questions.
const FIRST_PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// The interval between questions if few records are known; it is not shorter because every node answers every
/// question.
const INTERVAL_MIN: Duration = Duration::from_secs(8);
/// The interval between questions if many records are known.
const INTERVAL_MAX: Duration = Duration::from_secs(60);
/// Up to this number of records the interval is the shortest.
const FEW: u32 = 20;
/// From this number of records on the interval is the longest.
const MANY: u32 = 200;

/// The kind of packet that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum DuePacket {
    /// The question for nodes.
    Question,
    /// The answer that names this node.
    Answer,
}

/// The times of sending on one link.
#[derive(Debug)]
pub(in crate::net) struct Schedule {
    rng: Rng,
    /// The number of own questions so far, counted up to the end of the first ones.
    asked: usize,
    /// The time when the next own question is due.
    question: Instant,
    /// The time when the next own question is due even if others ask.
    own_question: Instant,
    answered: Option<Instant>,
    /// Whether the own answer is needed: somebody asked, or it has changed.
    wanted: bool,
}

impl Schedule {
    /// The schedule of a link that has just come up: both kinds are due at once.
    pub(in crate::net) const fn new(now: Instant, rng: Rng) -> Self {
        Self {
            rng,
            asked: 0,
            question: now,
            own_question: now,
            answered: None,
            wanted: true,
        }
    }

    /// Notes that another node asked. Its answers reach this node too, so the own question can wait.
    pub(in crate::net) fn heard_question(&mut self, now: Instant, records: usize) {
        self.wanted = true;
        if self.asked > FIRST_PAUSES.len() {
            self.question = self.own_question.min(now + self.pause(records));
        }
    }

    /// Notes that the own addresses have changed, so that the answer is sent again.
    pub(in crate::net) const fn changed(&mut self) {
        self.wanted = true;
    }

    /// The next packet that is due; call it until it returns none.
    pub(in crate::net) fn due(&mut self, now: Instant, records: usize) -> Option<DuePacket> {
        // A node that starts answers as often as it asks, because a datagram may be lost or come before others listen.
        self.wanted |= self.question <= now && self.asked <= FIRST_PAUSES.len() && self.answered != Some(now);
        let rested = |since: Instant, pause: Duration| now.saturating_duration_since(since) >= pause;
        // Longer than the interval between questions, so that somebody asked for most own answers.
        let unasked = interval(records) * 3 / 2;
        let is_old = self.answered.is_none_or(|at| rested(at, unasked));
        if (self.wanted || is_old) && self.answered.is_none_or(|at| rested(at, ANSWER_EVERY)) {
            self.answered = Some(now);
            self.wanted = false;
            return Some(DuePacket::Answer);
        }
        if self.question > now {
            return None;
        }
        self.question = now
            + FIRST_PAUSES
                .get(self.asked)
                .copied()
                .unwrap_or_else(|| self.pause(records));
        self.own_question = now + INTERVAL_MAX;
        self.asked = (self.asked + 1).min(FIRST_PAUSES.len() + 1);
        Some(DuePacket::Question)
    }

    /// The interval plus a random part of up to a quarter, so that nodes do not all ask at the same time.
    fn pause(&mut self, records: usize) -> Duration {
        let interval = interval(records);
        let quarter = u64::try_from(interval.as_millis() / 4).unwrap_or(0);
        interval + Duration::from_millis(self.rng.below(quarter.max(1)))
    }
}

/// The interval between questions for a number of known records.
pub(in crate::net) fn interval(records: usize) -> Duration {
    let records = u32::try_from(records).unwrap_or(MANY).clamp(FEW, MANY);
    INTERVAL_MIN + (INTERVAL_MAX - INTERVAL_MIN) * (records - FEW) / (MANY - FEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a link for `ms` milliseconds; `asks` says at which of them another node's question arrives. Returns the
    /// times of the own questions and of the own answers.
    fn run(ms: u64, records: usize, mut asks: impl FnMut(u64) -> bool) -> (Vec<u64>, Vec<u64>) {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, Rng::new(7));
        let (mut questions, mut answers) = (Vec::new(), Vec::new());
        for at in (0..ms).step_by(50) {
            let now = start + Duration::from_millis(at);
            if asks(at) {
                schedule.heard_question(now, records);
            }
            while let Some(due) = schedule.due(now, records) {
                match due {
                    DuePacket::Question => questions.push(at),
                    DuePacket::Answer => answers.push(at),
                }
            }
        }
        (questions, answers)
    }

    #[test]
    fn questions_leave_at_once_and_then_ever_more_rarely() {
        let (questions, answers) = run(60_000, 0, |_| false);
        assert_eq!(questions[..4], [0, 1_000, 3_000, 7_000]);
        let pauses: Vec<u64> = questions[3..].windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.iter().all(|ms| (8_000..=10_050).contains(ms)), "{pauses:?}");
        // Nobody asked. These answers are for nodes whose port is closed to incoming packets.
        assert_eq!(answers, [0, 1_000, 3_000, 7_000, 19_000, 31_000, 43_000, 55_000]);
    }

    #[test]
    fn an_own_answer_leaves_once_a_second_however_often_it_is_asked_for_and_nobody_is_forgotten() {
        let (_, answers) = run(10_000, 0, |_| true);
        assert_eq!(
            answers,
            [0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000]
        );
        // If asked within a second after the last answer, the next one waits until the second is over.
        let (_, answers) = run(14_000, 0, |at| at == 7_300);
        assert_eq!(answers, [0, 1_000, 3_000, 7_000, 8_000]);
    }

    #[test]
    fn the_interval_grows_with_the_nodes_that_are_known() {
        let seconds = |records| interval(records).as_secs();
        assert_eq!([0, 20, 110, 200, 256, usize::MAX].map(seconds), [8, 8, 34, 60, 60, 60]);
    }

    #[test]
    fn who_hears_the_question_of_another_asks_once_a_minute_itself() {
        let (questions, _) = run(300_000, 0, |at| at % 5_000 == 0);
        assert_eq!(questions[..4], [0, 1_000, 3_000, 7_000]);
        let pauses: Vec<u64> = questions[4..].windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.iter().all(|ms| *ms == 60_000) && pauses.len() >= 3, "{pauses:?}");
    }

    /// 100 nodes on one link that all hear each other. Earlier, each asked every 8 s, and all answered each question.
    #[test]
    fn traffic_of_a_hundred_nodes_grows_with_their_number_and_not_with_its_square() {
        const NODES: u64 = 100;
        let start = Instant::now();
        let mut nodes: Vec<_> = (0..NODES).map(|seed| Schedule::new(start, Rng::new(seed))).collect();
        let (mut packets, count) = (0_u64, usize::try_from(NODES).unwrap() - 1);
        for at in (0..600_000).step_by(50) {
            let now = start + Duration::from_millis(at);
            let mut asked = false;
            for node in &mut nodes {
                while let Some(due) = node.due(now, count) {
                    packets += u64::from(at >= 60_000);
                    asked |= due == DuePacket::Question;
                }
            }
            if asked {
                nodes.iter_mut().for_each(|node| node.heard_question(now, count));
            }
        }
        let a_second = packets / 540;
        assert!((1..=10).contains(&a_second), "{a_second} packets a second");
    }
}
