//! Transactions on the ledger and on plain maps: the same verdicts, the same balances, and every block can be undone.

use std::collections::BTreeMap;

use super::bytes::Bytes;
use super::world::{Model, account, cook, entries};
use crate::chain::ledger::{Accounts, ChangedAccounts, Ledger};
use crate::chain::{AccountState, ApplyError, Block, NetworkParams, Reward, StoreError, Transaction};
use crate::types::{Account, Height};

/// Transactions of one input.
const STEPS_MAX: usize = 64;

#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Base(BTreeMap<Account, AccountState>);

impl Base {
    fn change(&mut self, changed: ChangedAccounts) {
        for (account, state) in changed {
            match state {
                Some(state) => self.0.insert(account, state),
                None => self.0.remove(&account),
            };
        }
    }
}

impl Accounts for Base {
    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError> {
        Ok(self.0.get(account).cloned())
    }
}

pub(super) fn ledger(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let params = if bytes.one_in(2) {
        NetworkParams::lan()
    } else {
        NetworkParams::coin()
    };
    let params = NetworkParams {
        new_accounts_max: 1 + u64::try_from(bytes.below(4)).unwrap(),
        reward: 1 + u64::try_from(bytes.below(3)).unwrap(),
        ..params
    };
    let (mut base, mut model) = (Base::default(), Model::new(&params));
    let (mut rewards, mut steps) = (0_i128, 0);
    while !bytes.is_empty() && steps < STEPS_MAX {
        let before = (base.clone(), model.clone(), rewards);
        let mut ledger = Ledger::new(&params, &base);
        model.ledger.next_block();
        let mut applied = Vec::new();
        for _ in 0..=bytes.below(8) {
            steps += 1;
            let Some(transaction) = step(&mut bytes, &params, &model, steps) else {
                continue;
            };
            let said = ledger.apply(&transaction).map_err(|error| match error {
                ApplyError::Ledger(error) => error.code(),
                ApplyError::Store(error) => panic!("{error}"),
            });
            assert_eq!(said, model.apply(&transaction), "{transaction:?}");
            if said.is_ok() && matches!(transaction, Transaction::Reward(_)) {
                rewards += i128::from(params.reward);
            }
            if said.is_ok() {
                applied.push(transaction);
            }
        }
        let changed = ledger.finish();
        base.change(changed);
        assert_eq!(entries(&base.0), model.ledger.entries);
        assert_eq!(
            model.ledger.entries.values().map(|entry| entry.balance).sum::<i128>(),
            rewards
        );
        if bytes.u8() % 4 == 3 {
            let block = Block {
                header: params.genesis(),
                transactions: applied,
            };
            let mut ledger = Ledger::new(&params, &base);
            ledger.revert_block(&block).unwrap();
            let changed = ledger.finish();
            base.change(changed);
            assert_eq!(base, before.0, "undoing restores");
            (model, rewards) = (before.1, before.2);
        }
    }
}

fn step(bytes: &mut Bytes<'_>, params: &NetworkParams, model: &Model, number: usize) -> Option<Transaction> {
    if bytes.one_in(8) {
        let to = account(bytes.below(12));
        let height = Height::new(u64::try_from(number).unwrap());
        return Some(Transaction::Reward(Reward { to, height }));
    }
    cook(bytes, params, model)
}
