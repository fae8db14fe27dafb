//! A forecast of the block that will hold an own transaction: the next one, unless earlier own ones fill that block.
//!
//! Promises: the work is one step for each own transaction, and the forecast starts anew at each tip. It can be wrong:
//! the miner of the next block decides which transactions are in it. Elsewhere: the transactions that this node would
//! put into a block (`pool::order`).

use std::collections::{BTreeMap, BTreeSet};

use super::mempool::Mempool;
use crate::chain::params::BLOCK_MAX_TRANSACTIONS;
use crate::chain::state::Chain;
use crate::chain::{AccountState, ChainStore, NetworkParams, Transaction};
use crate::types::{Account, BlockHash, Height};

/// The own waiting transactions, counted against the limits of the next blocks.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    tip: BlockHash,
    /// The accounts that these transactions create.
    new: BTreeSet<Account>,
    bytes: u64,
    count: u64,
    /// For each account, the block that is expected to hold its last transaction; 0 is the next block.
    last: BTreeMap<Account, u64>,
}

impl Forecast {
    /// Starts anew if the tip has changed, and returns whether it has; the caller then adds what waits at the new tip.
    fn begins_at(&mut self, tip: BlockHash) -> bool {
        let begins = self.tip != tip;
        if begins {
            *self = Self { tip, ..Self::default() };
        }
        begins
    }

    /// Adds one own transaction and returns the number of the block that is expected to hold it; 0 is the next block.
    fn add(&mut self, params: &NetworkParams, transaction: &Transaction, is_new: impl Fn(&Account) -> bool) -> u64 {
        let before = self.new.len();
        let unused = transaction.accounts().filter(|account| is_new(account));
        self.new.extend(unused);
        let full = |used: u64, room: u64| used.saturating_sub(1) / room.max(1);
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(number(transaction.to_bytes().len()));
        self.count = self.count.saturating_add(1);
        let mut block = full(self.bytes, params.block_bytes_max.saturating_sub(256));
        block = block.max(full(self.count, number(BLOCK_MAX_TRANSACTIONS - 1)));
        if self.new.len() > before {
            block = block.max(full(number(self.new.len()), params.new_accounts_max));
        }
        if let Some((payer, _)) = transaction.sequence() {
            // No transaction overtakes an earlier one of the same account.
            let last = self.last.entry(payer).or_default();
            *last = block.max(*last);
            block = *last;
        }
        block
    }

    /// The height of the block that is expected to hold an own transaction, which was just added to the pool.
    pub fn expected<S: ChainStore>(&mut self, chain: &Chain<S>, pool: &Mempool, transaction: &Transaction) -> Height {
        let is_new = |account: &Account| {
            chain
                .account(account)
                .is_ok_and(|state| state == AccountState::default())
        };
        let mut ahead = 0;
        if self.begins_at(chain.tip().hash) {
            for own in pool.own() {
                ahead = self.add(chain.params(), own, is_new);
            }
        } else {
            ahead = self.add(chain.params(), transaction, is_new);
        }
        let next = chain.tip().header.height.next();
        Height::new(next.get().saturating_add(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{AccountName, Amount, SecretKey};

    fn pay(params: &NetworkParams, from: &str, to: &str, sequence: u64) -> Transaction {
        let name = |text: &str| Account::Name(AccountName::new(text).unwrap());
        let key = SecretKey::from_seed([1; 32]);
        let parties = (name(from), name(to), None);
        Transaction::transfer(&params.network_id(), &key, parties, Amount::ONE, sequence).unwrap()
    }

    #[test]
    fn new_accounts_beyond_those_of_a_block_come_later_and_other_payments_do_not() {
        let params = NetworkParams {
            new_accounts_max: 4,
            ..NetworkParams::lan()
        };
        let is_new = |account: &Account| !account.to_string().starts_with("old");
        let mut forecast = Forecast::default();
        assert!(!forecast.begins_at(BlockHash::ZERO) && forecast.begins_at(BlockHash::new([1; 32])));
        let told: Vec<u64> = [
            ("a", "b", 0),
            ("a", "b", 1),
            ("old", "c", 0),
            ("old2", "old3", 0),
            ("old", "d", 1),
            ("old", "e", 2),
            ("old", "old2", 3),
            ("old4", "f", 0),
            ("old2", "a", 1),
        ]
        .iter()
        .map(|(from, to, sequence)| forecast.add(&params, &pay(&params, from, to, *sequence), is_new))
        .collect();
        assert_eq!(told, [0, 0, 0, 0, 0, 1, 1, 1, 0]);
        assert!(!forecast.begins_at(BlockHash::new([1; 32])));
    }

    #[test]
    fn bytes_beyond_those_of_a_block_come_later() {
        let params = NetworkParams {
            block_bytes_max: 65_536,
            ..NetworkParams::lan()
        };
        let mut forecast = Forecast::default();
        let blocks = (0..1_000).map(|n| forecast.add(&params, &pay(&params, "old", "shop", n), |_| false));
        // A transaction has 158 bytes, so 413 fit into a block.
        assert_eq!(blocks.collect::<BTreeSet<_>>(), [0, 1, 2].into());
    }
}
