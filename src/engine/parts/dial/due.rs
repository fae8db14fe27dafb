//! When a candidate may be dialled.

use super::Dialer;
use super::candidate::DialCandidate;
use super::limits::{COURTESY_MS, COURTESY_UP_TO, LINKS_AT_ONCE};
use crate::types::Time;

impl Dialer {
    /// When a candidate may be dialled.
    pub(super) fn due_at(&self, candidate: &DialCandidate) -> Time {
        if candidate.waits_at_random() && self.is_alone() {
            // There is nothing yet that could be spread.
            Time::from_ms(0)
        } else if !candidate.waits_out_of_courtesy() {
            candidate.next
        } else if self.candidates.len() > COURTESY_UP_TO {
            Time::from_ms(0)
        } else if self.links.count() >= LINKS_AT_ONCE {
            candidate.next.max(candidate.found.after_ms(COURTESY_MS))
        } else {
            candidate.next
        }
    }

    /// No link stands, and no dial may lead to one: so of many that are known one is dialled at once, and the others wait
    /// their time.
    fn is_alone(&self) -> bool {
        self.links.count() == 0 && self.candidates.values().all(|candidate| candidate.dialling.is_none())
    }
}
