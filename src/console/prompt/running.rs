//! The lines of a prompt that wait for their replies, and so what Ctrl-C means.
//!
//! Promises: a cancellation never overtakes the line that it means; a signal waits for a line at most [`JUST_ENTERED`], beside the
//! moment in which that line is handed over.
//! Spec: `proto-notes/events.md`, "Stopping".

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::PromptFact;

/// How long a signal waits for a line that was just entered. The editor releases the terminal before it returns the
/// line, and a user who presses Ctrl-C right after Enter means the line and not the node.
const JUST_ENTERED: Duration = Duration::from_millis(250);

/// The number of lines that wait for their replies.
#[derive(Default)]
pub(super) struct Running {
    lines: Mutex<usize>,
    changed: Condvar,
    /// A counted line is not handed over yet: a cancellation would be there before the line that it means.
    is_giving: AtomicBool,
}

impl Running {
    pub(super) fn change(&self, change: impl FnOnce(usize) -> usize) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        *lines = change(*lines);
        self.changed.notify_all();
    }

    /// Counts a line and hands it over; returns what `deliver` does.
    pub(super) fn give(&self, deliver: impl FnOnce() -> bool) -> bool {
        self.is_giving.store(true, Ordering::SeqCst);
        self.change(|lines| lines + 1);
        let goes_on = deliver();
        self.is_giving.store(false, Ordering::SeqCst);
        self.change(|lines| lines);
        goes_on
    }

    pub(super) fn count(&self) -> usize {
        *self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.count() == 0
    }

    pub(super) fn wait_until_idle(&self, patience: Duration) {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(lines, patience, |lines| *lines > 0);
        drop(waited);
    }

    /// The meaning of a SIGINT, which is Ctrl-C while the editor does not read, or a signal from another process.
    pub(super) fn signalled(&self) -> PromptFact {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(lines, JUST_ENTERED, |lines| {
            *lines == 0 || self.is_giving.load(Ordering::SeqCst)
        });
        drop(waited);
        self.interrupt()
    }

    /// The meaning of Ctrl-C when no text is typed.
    pub(super) fn interrupt(&self) -> PromptFact {
        if self.is_idle() {
            PromptFact::Stop
        } else {
            PromptFact::Cancel
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn ctrl_c_cancels_what_runs_and_stops_what_is_idle() {
        let running = Running::default();
        assert_eq!(running.interrupt(), PromptFact::Stop);
        running.change(|lines| lines + 1);
        assert_eq!(running.interrupt(), PromptFact::Cancel);
        running.change(|lines| lines.saturating_sub(1));
        running.wait_until_idle(Duration::from_secs(20));
        assert_eq!(running.interrupt(), PromptFact::Stop);
    }

    /// The line is counted a moment after the signal arrives.
    #[test]
    fn a_signal_right_behind_enter_means_the_line_and_one_at_an_idle_prompt_the_node() {
        let running = Arc::new(Running::default());
        assert_eq!(running.signalled(), PromptFact::Stop);
        let (began, begin) = std::sync::mpsc::sync_channel(1);
        let counted = running.clone();
        let entered = thread::spawn(move || {
            begin.recv().unwrap();
            thread::yield_now();
            counted.change(|lines| lines + 1);
        });
        began.send(()).unwrap();
        assert_eq!(running.signalled(), PromptFact::Cancel);
        entered.join().unwrap();
    }

    #[test]
    fn a_signal_while_a_line_is_handed_over_comes_behind_that_line() {
        let running = Arc::new(Running::default());
        let (other, (tell, told)) = (running.clone(), std::sync::mpsc::channel());
        assert!(running.give(move || {
            let tell_cancel = tell.clone();
            thread::spawn(move || tell_cancel.send(other.signalled()).is_ok());
            // The signal is there, and waits.
            thread::sleep(JUST_ENTERED / 4);
            tell.send(PromptFact::Stop).is_ok()
        }));
        assert_eq!(told.iter().collect::<Vec<_>>(), [PromptFact::Stop, PromptFact::Cancel]);
    }
}
