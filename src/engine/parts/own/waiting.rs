//! Own payments that wait in the store alone: more of them than the pool is offered at once.
//!
//! Promises: a new own payment takes no sequence that one of these has; an account that one of them makes this node's own
//! counts as its own.
//! Elsewhere: when they are offered to the pool (`engine::advance`, `engine::pooling`).
//! Spec: `proto-notes/mempool.md`.

use std::collections::BTreeMap;

use crate::chain::Transaction;
use crate::types::Account;

/// Sequences that follow each other: first and last.
type Run = (u64, u64);

/// Which sequences the waiting ones have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnWaiting {
    count: usize,
    by_account: BTreeMap<Account, Vec<Run>>,
}

impl OwnWaiting {
    /// Splits the stored ones, oldest first: `most` are offered to the pool, the others wait.
    pub(crate) fn split(own: Vec<(u64, Transaction)>, most: usize) -> (Vec<Transaction>, Self) {
        let mut all = own.into_iter().map(|(_, transaction)| transaction);
        let offered = all.by_ref().take(most).collect();
        let mut waiting = Self::default();
        for transaction in all {
            waiting.add(&transaction);
        }
        (offered, waiting)
    }

    fn add(&mut self, transaction: &Transaction) {
        self.count += 1;
        let Some((account, sequence)) = transaction.sequence() else {
            return;
        };
        let runs = self.by_account.entry(account).or_default();
        // Those of an account mostly come in order, and then it has one run.
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(sequence) => *last = sequence,
            _ => runs.push((sequence, sequence)),
        }
    }

    /// How many payments wait in the store alone.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// The last sequence of the run in which a sequence lies; none if no waiting one has it.
    pub(crate) fn run_end(&self, account: &Account, sequence: u64) -> Option<u64> {
        let runs = self.by_account.get(account)?;
        let run = runs.iter().find(|(first, last)| (*first..=*last).contains(&sequence));
        run.map(|(_, last)| *last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{AccountName, Amount, NetworkId, SecretKey};

    fn payment(from: &str, sequence: u64) -> (u64, Transaction) {
        let key = SecretKey::from_seed([1; 32]);
        let account = |text: &str| Account::Name(AccountName::new(text).unwrap());
        let parties = (account(from), account("bob"), None);
        let amount = Amount::new(1).unwrap();
        let transaction = Transaction::transfer(&NetworkId::ZERO, &key, parties, amount, sequence).unwrap();
        (sequence, transaction)
    }

    #[test]
    fn the_oldest_are_offered_and_of_the_others_each_sequence_is_known() {
        let stored = [
            ("anna", 0),
            ("anna", 1),
            ("zoe", 4),
            ("anna", 2),
            ("anna", 3),
            ("anna", 7),
        ];
        let own = stored.map(|(from, sequence)| payment(from, sequence)).to_vec();
        let (offered, waiting) = OwnWaiting::split(own, 2);
        assert_eq!((offered.len(), waiting.count()), (2, 4));
        let end = |from: &str, sequence| {
            let account = Account::Name(AccountName::new(from).unwrap());
            waiting.run_end(&account, sequence)
        };
        for (from, sequence, expected) in [
            ("anna", 1, None),
            ("anna", 2, Some(3)),
            ("anna", 3, Some(3)),
            ("anna", 4, None),
            ("anna", 7, Some(7)),
            ("zoe", 4, Some(4)),
            ("zoe", 5, None),
            ("ben", 0, None),
        ] {
            assert_eq!(end(from, sequence), expected, "{from} {sequence}");
        }
    }
}
