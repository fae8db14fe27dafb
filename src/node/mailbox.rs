//! Where a session's inputs wait.
//!
//! Promises: no sender ever waits, so that the engine, the writers and the prompt cannot be held up; inputs keep their order,
//! and none that means something is lost. What waits has a limit, though the queue itself has none: lines for which the session
//! reads on (at a prompt those that the prompt lets wait), [`REPLIES_MAX`] replies and as many texts that were written, one of
//! each other kind, and between them one cancellation each.
//! Elsewhere: what a session makes of them (`node::session`).

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::session::{In, TOGETHER_MAX};

/// Questions that a session has for the engine at a time: payments that go together, one that is answered aside, and the
/// status by which a long search is told.
pub const REPLIES_MAX: usize = TOGETHER_MAX + 2;

/// A session's mailbox; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Mailbox {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    inputs: VecDeque<In>,
    /// The session has ended.
    closed: bool,
}

impl Waiting {
    fn replies(&self) -> usize {
        let is_reply = |input: &&In| matches!(input, In::Reply { .. });
        self.inputs.iter().filter(is_reply).count()
    }

    /// Whether the session would learn nothing new.
    fn says_already(&self, input: &In) -> bool {
        match input {
            // Each of several texts under way is written for itself.
            In::Line(_) | In::Reply { .. } | In::Written => false,
            // Behind a line it means that line.
            In::Cancel => matches!(self.inputs.back(), Some(In::Cancel)),
            In::Hello(_) | In::Started | In::InputEnded | In::Stop | In::Closed | In::Failed | In::Tick => {
                let kind = std::mem::discriminant(input);
                self.inputs.iter().any(|other| std::mem::discriminant(other) == kind)
            }
        }
    }
}

impl Mailbox {
    /// Puts an input in; false if the session has ended.
    pub fn send(&self, input: In) -> bool {
        let mut waiting = self.waiting();
        if waiting.closed {
            return false;
        }
        if !waiting.says_already(&input) {
            waiting.inputs.push_back(input);
            debug_assert!(waiting.replies() <= REPLIES_MAX, "a session asks one thing at a time");
            drop(waiting);
            self.shared.wake.notify_one();
        }
        true
    }

    /// The next input; none if it did not come in time. Without a patience it is waited for.
    pub(super) fn take(&self, patience: Option<Duration>) -> Option<In> {
        let is_empty = |waiting: &mut Waiting| waiting.inputs.is_empty();
        let waiting = self.waiting();
        let mut waiting = match patience {
            Some(patience) => {
                let waited = self.shared.wake.wait_timeout_while(waiting, patience, is_empty);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let waited = self.shared.wake.wait_while(waiting, is_empty);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
        };
        waiting.inputs.pop_front()
    }

    /// The session has ended: nothing is taken any more.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting();
        waiting.closed = true;
        waiting.inputs.clear();
    }

    /// Each change leaves the queue whole, so a panic elsewhere harms nothing here.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::InputLine;
    use crate::console::input::{Content, RawLine};
    use crate::contract::CommandError;

    fn reply(id: u64) -> In {
        let error = CommandError {
            code: "timeout",
            message: "m".into(),
            hint: "h".into(),
        };
        let result = Box::new(Err(error));
        In::Reply { id, result }
    }

    #[test]
    fn each_text_that_was_written_is_told() {
        let mailbox = Mailbox::default();
        (0..3).for_each(|_| assert!(mailbox.send(In::Written)));
        assert!(mailbox.send(In::Stop) && mailbox.send(In::Stop));
        let taken: Vec<In> = std::iter::from_fn(|| mailbox.take(Some(Duration::ZERO))).collect();
        assert!(
            matches!(taken[..], [In::Written, In::Written, In::Written, In::Stop]),
            "{taken:?}"
        );
    }

    #[test]
    fn a_flood_of_cancellations_takes_one_place_and_loses_no_reply() {
        let mailbox = Mailbox::default();
        assert!(mailbox.send(reply(1)));
        (0..100_000).for_each(|_| assert!(mailbox.send(In::Cancel)));
        assert!(mailbox.send(reply(2)) && mailbox.send(In::Stop));
        let taken: Vec<In> = std::iter::from_fn(|| mailbox.take(Some(Duration::ZERO))).collect();
        assert!(
            matches!(
                taken[..],
                [In::Reply { id: 1, .. }, In::Cancel, In::Reply { id: 2, .. }, In::Stop]
            ),
            "{taken:?}"
        );
        assert!(mailbox.send(In::Cancel), "the next one has a place again");
        assert!(matches!(mailbox.take(None), Some(In::Cancel)));
    }

    fn line(number: u64) -> In {
        let content = Content::Text("mine 3".into());
        let line = InputLine::read(RawLine { number, content }).expect("no comment");
        In::Line(Box::new(line))
    }

    #[test]
    fn a_cancellation_behind_a_line_means_that_line_though_one_for_the_line_before_it_still_waits() {
        let mailbox = Mailbox::default();
        for input in [In::Cancel, line(1), In::Cancel, In::Cancel, line(2), In::Cancel] {
            assert!(mailbox.send(input));
        }
        let taken: Vec<In> = std::iter::from_fn(|| mailbox.take(Some(Duration::ZERO))).collect();
        assert!(
            matches!(
                taken[..],
                [In::Cancel, In::Line(_), In::Cancel, In::Line(_), In::Cancel]
            ),
            "{taken:?}"
        );
    }

    #[test]
    fn senders_learn_that_the_session_has_ended() {
        let mailbox = Mailbox::default();
        mailbox.clone().close();
        assert!(!mailbox.send(In::Cancel));
        assert!(mailbox.take(Some(Duration::ZERO)).is_none());
    }
}
