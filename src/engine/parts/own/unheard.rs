//! Own payments that no neighbour is known to have.
//!
//! A neighbour is known to have a payment when a page of its pool or its gossip holds it, or when its status shows that
//! its pool is what the own one was after the payment was made, but for what both are known to differ by.
//! Promises: nothing is called unheard that a neighbour has shown; what stays unheard for long is said once.
//! Elsewhere: the comparison of pools (`pools`).

use std::collections::{BTreeMap, VecDeque};

use crate::engine::parts::pools::HeldThere;
use crate::types::{Time, Txid};

/// How long a payment may be unheard before that is said. Gossip and the status that shows it take two seconds at most.
const PATIENCE_MS: u64 = 5_000;

/// An own payment that no neighbour is known to have.
#[derive(Clone, Copy, Debug)]
struct Made {
    txid: Txid,
    at: Time,
    /// The first state of the pool that holds it.
    state: u64,
}

/// The own payments that no neighbour is known to have. What left the pool is taken out when it is looked at.
#[derive(Debug, Default)]
pub(crate) struct Unheard {
    /// As they were made.
    order: VecDeque<Made>,
    /// Those of them that nobody has shown, and when they were made.
    open: BTreeMap<Txid, Time>,
    /// Since when neighbours could have shown it.
    listening_since: Option<Time>,
    is_told: bool,
}

impl Unheard {
    pub(crate) const fn new() -> Self {
        Self {
            order: VecDeque::new(),
            open: BTreeMap::new(),
            listening_since: None,
            is_told: false,
        }
    }

    /// An own payment entered the pool.
    pub(crate) fn made(&mut self, now: Time, txid: Txid, state: u64) {
        if self.open.insert(txid, now).is_none() {
            self.order.push_back(Made { txid, at: now, state });
        }
    }

    /// A neighbour has shown this.
    pub(crate) fn heard(&mut self, known: &HeldThere) {
        match known {
            HeldThere::These(list) => list.iter().for_each(|txid| self.heard_of(txid)),
            HeldThere::Between(0, last) => {
                while let Some(made) = self.order.front().filter(|made| made.state <= *last) {
                    self.open.remove(&made.txid);
                    self.order.pop_front();
                }
            }
            HeldThere::Between(first, last) => {
                let of_both = self
                    .order
                    .iter()
                    .filter(|made| made.state > *first && made.state <= *last);
                of_both.for_each(|made| {
                    self.open.remove(&made.txid);
                });
            }
        }
        self.tidy();
    }

    /// A neighbour has shown this payment.
    pub(crate) fn heard_of(&mut self, txid: &Txid) {
        self.open.remove(txid);
    }

    /// Whether a neighbour has an own payment that waits; none while it is too early to say.
    pub(crate) fn is_known(&self, now: Time, txid: &Txid) -> Option<bool> {
        match self.open.get(txid) {
            None => Some(true),
            Some(at) => (now.since(*at) >= PATIENCE_MS).then_some(false),
        }
    }

    /// Forgets what left the pool.
    pub(crate) fn prune(&mut self, waits: impl Fn(&Txid) -> bool) {
        self.open.retain(|txid, _| waits(txid));
        self.tidy();
    }

    /// Whether neighbours are there and nothing keeps their pools from being compared with the own one.
    pub(crate) fn listen(&mut self, now: Time, is_listening: bool) {
        self.listening_since = is_listening.then(|| self.listening_since.unwrap_or(now));
    }

    /// How many have been unheard for too long, once; `waits` says what is still in the pool.
    pub(crate) fn overdue(&mut self, now: Time, waits: impl Fn(&Txid) -> bool) -> Option<usize> {
        self.tidy();
        if self.due().is_none_or(|at| at > now) {
            return None;
        }
        self.prune(waits);
        if self.due().is_none_or(|at| at > now) {
            return None;
        }
        self.is_told = true;
        let late = |made: &&Made| self.open.contains_key(&made.txid) && now.since(made.at) >= PATIENCE_MS;
        Some(self.order.iter().filter(late).count())
    }

    /// When some will have been unheard for too long.
    pub(crate) fn next_wakeup(&self) -> Option<Time> {
        self.due()
    }

    fn due(&self) -> Option<Time> {
        let since = self.listening_since.filter(|_| !self.is_told)?;
        let oldest = self.order.front()?.at.max(since);
        Some(oldest.after_ms(PATIENCE_MS))
    }

    /// Those in front that are heard of, and the end of what was told.
    fn tidy(&mut self) {
        while self
            .order
            .front()
            .is_some_and(|made| !self.open.contains_key(&made.txid))
        {
            self.order.pop_front();
        }
        self.is_told &= !self.order.is_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txid(number: u8) -> Txid {
        Txid::new([number; 32])
    }

    /// Payments 1 to 4, each a second after the one before and in a state of its own.
    fn four() -> Unheard {
        let mut unheard = Unheard::new();
        for number in 1..=4 {
            unheard.made(
                Time::from_ms(1_000 * u64::from(number)),
                txid(number),
                u64::from(number),
            );
        }
        unheard
    }

    fn open(unheard: &Unheard) -> Vec<u8> {
        let late = Time::from_ms(1_000_000);
        let is_open = |number: &u8| unheard.is_known(late, &txid(*number)) == Some(false);
        (1..=4).filter(is_open).collect()
    }

    #[test]
    fn a_neighbours_pool_shows_what_was_made_up_to_its_state_and_pages_show_what_they_hold() {
        let cases = [
            (HeldThere::Between(0, 0), vec![1, 2, 3, 4]),
            (HeldThere::Between(0, 2), vec![3, 4]),
            (HeldThere::Between(1, 3), vec![1, 4]),
            (HeldThere::Between(0, 9), vec![]),
            (HeldThere::These(vec![txid(4), txid(9)]), vec![1, 2, 3]),
        ];
        for (known, left) in cases {
            let mut unheard = four();
            unheard.heard(&known);
            assert_eq!(open(&unheard), left, "{known:?}");
        }
    }

    #[test]
    fn what_is_unheard_for_five_seconds_among_neighbours_is_told_once() {
        let at = Time::from_ms;
        let mut unheard = four();
        assert_eq!(
            (unheard.overdue(at(60_000), |_| true), unheard.next_wakeup()),
            (None, None),
            "alone"
        );
        unheard.listen(at(60_000), true);
        assert_eq!(unheard.next_wakeup(), Some(at(65_000)));
        assert_eq!(unheard.overdue(at(64_999), |_| true), None);
        assert_eq!(unheard.overdue(at(65_000), |id| *id != txid(1)), Some(3));
        assert_eq!(
            (unheard.overdue(at(90_000), |_| true), unheard.next_wakeup()),
            (None, None)
        );
        // All were heard of: the next that is not is told again.
        unheard.heard(&HeldThere::Between(0, 4));
        unheard.made(at(90_000), txid(5), 5);
        unheard.listen(at(90_000), true);
        assert_eq!(unheard.next_wakeup(), Some(at(95_000)));
        assert_eq!(unheard.overdue(at(95_000), |_| true), Some(1));
    }

    #[test]
    fn it_is_too_early_to_say_for_five_seconds() {
        let mut unheard = four();
        let known = |unheard: &Unheard, ms| unheard.is_known(Time::from_ms(ms), &txid(2));
        assert_eq!([known(&unheard, 6_999), known(&unheard, 7_000)], [None, Some(false)]);
        unheard.heard_of(&txid(2));
        assert_eq!(known(&unheard, 7_000), Some(true));
    }

    #[test]
    fn what_was_told_and_then_confirmed_keeps_nothing_else_from_being_told() {
        let at = Time::from_ms;
        let mut unheard = four();
        unheard.listen(at(1_000), true);
        assert_eq!(unheard.overdue(at(60_000), |_| true), Some(4));
        unheard.prune(|_| false);
        unheard.made(at(70_000), txid(5), 9);
        assert_eq!(unheard.overdue(at(75_000), |_| true), Some(1));
    }

    #[test]
    fn patience_begins_when_somebody_is_there_and_what_left_the_pool_is_nobodys_to_hear() {
        let at = Time::from_ms;
        let mut unheard = four();
        unheard.listen(at(4_000), true);
        unheard.listen(at(5_000), false);
        unheard.listen(at(8_000), true);
        assert_eq!(unheard.next_wakeup(), Some(at(13_000)));
        assert_eq!(unheard.overdue(at(13_000), |_| false), None);
        assert_eq!((unheard.next_wakeup(), open(&unheard)), (None, vec![]));
    }
}
