//! The last events of a node, for streams that begin, and for those that lost their connection.
//!
//! Promises: at most [`EVENTS_MAX`] events and [`BYTES_MAX`] bytes; whoever asks for what is gone is told so; adding an event
//! waits for nobody.
//! Elsewhere: how they are written (`web::feed`).
//! Spec: `proto-notes/web.md`, "Events".

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::contract::RunId;

/// The most events that are kept: some minutes of a class room.
pub const EVENTS_MAX: usize = 4_096;
/// The most bytes that are kept.
pub const BYTES_MAX: usize = 2 * 1024 * 1024;

/// The ring of events.
#[derive(Debug)]
pub struct Ring {
    run: RunId,
    kept: Mutex<Kept>,
    /// Tells that something was added, or that nothing more will be.
    news: watch::Sender<()>,
}

#[derive(Debug)]
struct Kept {
    lines: VecDeque<(u64, Arc<str>)>,
    bytes: usize,
    /// The number of the last event of the node.
    last: u64,
    closed: bool,
}

/// What follows an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// These events, with their numbers, oldest first; never empty.
    Events(Vec<(u64, Arc<str>)>),
    /// Some of them are not kept any more, or the number was never given: the last one has this number.
    Gap(u64),
    /// No event yet, but there may be one.
    Nothing,
    /// Nothing, and nothing will.
    End,
}

impl Ring {
    /// An empty ring. `last` is the number of the node's last event.
    #[must_use]
    pub fn new(run: RunId, last: u64) -> Self {
        let kept = Kept {
            lines: VecDeque::new(),
            bytes: 0,
            last,
            closed: false,
        };
        Self {
            run,
            kept: Mutex::new(kept),
            news: watch::Sender::new(()),
        }
    }

    /// The run of the node.
    #[must_use]
    pub const fn run(&self) -> RunId {
        self.run
    }

    /// Adds an event with its number.
    pub fn add(&self, number: u64, line: String) {
        let mut kept = self.kept();
        kept.last = number;
        kept.bytes += line.len();
        kept.lines.push_back((number, line.into()));
        while kept.lines.len() > EVENTS_MAX || kept.bytes > BYTES_MAX {
            let Some((_, oldest)) = kept.lines.pop_front() else {
                break;
            };
            kept.bytes -= oldest.len();
        }
        drop(kept);
        self.news.send_replace(());
    }

    /// No more events come.
    pub fn close(&self) {
        self.kept().closed = true;
        self.news.send_replace(());
    }

    /// The number of the node's last event.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.kept().last
    }

    /// The number before the oldest event that is kept.
    #[must_use]
    pub fn begin(&self) -> u64 {
        let kept = self.kept();
        kept.lines.front().map_or(kept.last, |(number, _)| number - 1)
    }

    /// What follows the event of this number: as many events as `bytes` hold, but one at least.
    #[must_use]
    pub fn after(&self, number: u64, bytes: usize) -> After {
        let kept = self.kept();
        if number == kept.last {
            return if kept.closed { After::End } else { After::Nothing };
        }
        let first = kept.lines.front().map_or(u64::MAX, |(number, _)| *number);
        if number > kept.last || number.saturating_add(1) < first {
            return After::Gap(kept.last);
        }
        let skipped = usize::try_from(number + 1 - first).unwrap_or(usize::MAX);
        let mut events = Vec::new();
        let mut size = 0;
        for (number, line) in kept.lines.iter().skip(skipped) {
            size += line.len();
            if size > bytes && !events.is_empty() {
                break;
            }
            events.push((*number, Arc::clone(line)));
        }
        After::Events(events)
    }

    /// Tells of what is added from now on.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Each change leaves the ring whole, so a panic elsewhere harms nothing here.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(last: u64) -> Ring {
        Ring::new(RunId::new([7; 8]), last)
    }

    fn numbers(after: After) -> Vec<u64> {
        match after {
            After::Events(events) => events.into_iter().map(|(number, _)| number).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn events_are_given_from_any_number_that_is_kept() {
        let ring = ring(2);
        assert_eq!(ring.after(2, 100), After::Nothing);
        (3..=6).for_each(|number| ring.add(number, format!("event {number}")));
        assert_eq!(numbers(ring.after(2, 100)), [3, 4, 5, 6]);
        assert_eq!(numbers(ring.after(4, 100)), [5, 6]);
        assert_eq!(numbers(ring.after(2, 13)), [3], "as many as the bytes hold");
        assert_eq!(numbers(ring.after(2, 1)), [3], "but one at least");
        assert_eq!(ring.after(6, 100), After::Nothing);
        assert_eq!(ring.begin(), 2);
    }

    #[test]
    fn numbers_of_the_past_and_of_the_future_are_a_gap() {
        let ring = ring(2);
        (3..=4).for_each(|number| ring.add(number, "event".into()));
        for number in [0, 1, 5, u64::MAX] {
            assert_eq!(ring.after(number, 100), After::Gap(4), "{number}");
        }
    }

    #[test]
    fn a_flood_takes_bounded_memory_by_count_and_by_bytes() {
        let many = u64::try_from(EVENTS_MAX).unwrap() + 10;
        let ring = ring(0);
        (1..=many).for_each(|number| ring.add(number, "{}".into()));
        assert_eq!(ring.begin(), 10);
        assert_eq!(ring.after(9, 100), After::Gap(many));
        assert_eq!(numbers(ring.after(10, 2)), [11]);
        let large = "x".repeat(BYTES_MAX / 3);
        (many + 1..=many + 5).for_each(|number| ring.add(number, large.clone()));
        assert_eq!(ring.begin(), many + 2, "three large ones fit");
    }

    #[test]
    fn a_closed_ring_gives_what_it_has_and_then_ends() {
        let ring = ring(0);
        ring.add(1, "stopped".into());
        ring.close();
        assert_eq!(numbers(ring.after(0, 100)), [1]);
        assert_eq!(ring.after(1, 100), After::End);
    }
}
