//! What is told of transactions that left the pool or the chain without being in the active chain.
//!
//! Promises: each is told once. Those that concern this node's accounts are named, always and first; of the others so many
//! are named in a turn, and the rest is counted. What a full pool pushed out is only counted, once a second.
//! Elsewhere: why something leaves (`pool`), which accounts are this node's (`dropping`).
//! Spec: `proto-notes/events.md`, "Events".

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::pool::{Departed, PoolError};
use crate::types::{Time, Txid};

/// Transactions of others that are named in one turn.
const NAMED_MAX: usize = 100;
/// How often what a full pool pushed out is counted.
const COUNT_EVERY_MS: u64 = 1_000;
/// Own dropped transactions that are remembered until they wait again or are confirmed.
const GONE_MAX: usize = 20_000;

/// What is told of drops.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drops {
    /// Those that concern this node, in the order in which they left. They are named before the others.
    ours: VecDeque<Departed>,
    /// Others that are named.
    others: VecDeque<Departed>,
    /// How many others there are, by the code of the reason.
    counts: BTreeMap<&'static str, u64>,
    /// When the counts are told; none while there are none.
    due: Option<Time>,
    named_in_turn: usize,
    /// Own ones that were told of. They are still stored, and may come back.
    gone: BTreeSet<Txid>,
}

/// One thing that is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// One transaction was dropped.
    One(Box<Departed>),
    /// So many others were dropped, in all and by code.
    Many(u64, BTreeMap<&'static str, u64>),
}

impl Drops {
    /// A new turn may name as many as the one before.
    pub(crate) const fn begin_turn(&mut self) {
        self.named_in_turn = 0;
    }

    /// A transaction left. `is_ours` says that it pays to or from an account of this node, or was signed by it.
    pub(crate) fn handle(&mut self, now: Time, departed: Departed, is_ours: bool) {
        if is_ours {
            if self.gone.contains(&departed.txid) {
                return;
            }
            if self.gone.len() < GONE_MAX {
                self.gone.insert(departed.txid);
            }
            self.ours.push_back(departed);
        } else if departed.reason == PoolError::PushedOut {
            self.count(now.after_ms(COUNT_EVERY_MS), departed.reason.code(), 1);
        } else if self.named_in_turn < NAMED_MAX {
            self.named_in_turn += 1;
            self.others.push_back(departed);
        } else {
            self.count(now, departed.reason.code(), 1);
        }
    }

    /// So many more left, of which nothing but the code is known.
    pub(crate) fn count(&mut self, due: Time, code: &'static str, count: u64) {
        if count > 0 {
            *self.counts.entry(code).or_default() += count;
            self.due = Some(self.due.map_or(due, |before| before.min(due)));
        }
    }

    /// The own ones that were told of and that fulfil this now. They are forgotten here.
    pub(crate) fn take_back(&mut self, is_back: impl Fn(&Txid) -> bool) -> Vec<Txid> {
        let (back, gone) = core::mem::take(&mut self.gone)
            .into_iter()
            .partition::<BTreeSet<Txid>, _>(|txid| is_back(txid));
        self.gone = gone;
        back.into_iter().collect()
    }

    /// An own one waits again.
    pub(crate) fn came_back(&mut self, txid: &Txid) {
        self.gone.remove(txid);
    }

    /// The next thing to be told, in its order.
    pub(crate) fn poll(&mut self, now: Time) -> Option<Told> {
        if let Some(departed) = self.ours.pop_front().or_else(|| self.others.pop_front()) {
            return Some(Told::One(Box::new(departed)));
        }
        self.due.take_if(|due| *due <= now)?;
        let counts = core::mem::take(&mut self.counts);
        Some(Told::Many(counts.values().sum(), counts))
    }

    /// When the counts are told.
    pub(crate) const fn next_wakeup(&self) -> Option<Time> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::NetworkParams;
    use crate::testing::blocks::pay;

    const fn at(ms: u64) -> Time {
        Time::from_ms(ms)
    }

    fn departed(sequence: u64, reason: PoolError) -> Departed {
        let transaction = pay(&NetworkParams::dev(), 1, ("alice", "bob"), None, 5, sequence);
        Departed {
            txid: transaction.txid(),
            transaction,
            reason,
        }
    }

    /// Sequences of what is named, and what is counted.
    fn told(drops: &mut Drops, now: u64) -> (Vec<u64>, Vec<(u64, String)>) {
        let (mut named, mut counted) = (Vec::new(), Vec::new());
        while let Some(told) = drops.poll(at(now)) {
            match told {
                Told::One(one) => named.push(one.transaction.sequence().unwrap().1),
                Told::Many(count, by_code) => counted.push((count, format!("{by_code:?}"))),
            }
        }
        (named, counted)
    }

    #[test]
    fn own_ones_are_named_first_and_others_up_to_a_hundred_a_turn_the_rest_is_counted() {
        let mut drops = Drops::default();
        for sequence in 0..150 {
            drops.handle(at(0), departed(sequence, PoolError::AccountFull(name())), false);
        }
        drops.handle(at(0), departed(998, PoolError::NoReward), true);
        drops.handle(at(0), departed(999, PoolError::NoReward), true);
        let (named, counted) = told(&mut drops, 0);
        assert_eq!(
            (named.len(), &named[..3]),
            (102, &[998, 999, 0][..]),
            "in the order in which they left"
        );
        assert_eq!(counted, [(50, r#"{"account_full": 50}"#.to_owned())]);
        drops.begin_turn();
        drops.handle(at(0), departed(151, PoolError::PoolFull), false);
        assert_eq!(told(&mut drops, 0), (vec![151], vec![]));
    }

    #[test]
    fn what_a_full_pool_pushed_out_is_counted_once_a_second() {
        let mut drops = Drops::default();
        drops.handle(at(0), departed(1, PoolError::PushedOut), false);
        drops.handle(at(900), departed(2, PoolError::PushedOut), false);
        assert_eq!(told(&mut drops, 999), (vec![], vec![]));
        assert_eq!(drops.next_wakeup(), Some(at(1_000)));
        assert_eq!(
            told(&mut drops, 1_000),
            (vec![], vec![(2, r#"{"pushed_out": 2}"#.to_owned())])
        );
        assert_eq!(drops.next_wakeup(), None);
        drops.handle(at(1_000), departed(3, PoolError::PushedOut), true);
        assert_eq!(told(&mut drops, 1_000).0, [3], "an own one is named");
    }

    #[test]
    fn an_own_one_is_told_once_until_it_comes_back() {
        let mut drops = Drops::default();
        let one = departed(1, PoolError::NoReward);
        for _ in 0..2 {
            drops.handle(at(0), one.clone(), true);
        }
        assert_eq!(told(&mut drops, 0).0, [1]);
        assert_eq!(drops.take_back(|_| false), []);
        assert_eq!(drops.take_back(|txid| *txid == one.txid), [one.txid]);
        drops.handle(at(0), one, true);
        assert_eq!(told(&mut drops, 0).0, [1]);
    }

    fn name() -> crate::types::Account {
        crate::testing::keys::account("alice")
    }
}
