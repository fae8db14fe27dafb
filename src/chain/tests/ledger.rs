//! The ledger's rules one by one.

use crate::chain::ledger::Ledger;
use crate::chain::memory_store::MemoryStore;
use crate::chain::overlay::Overlay;
use crate::chain::{AccountState, ApplyError, Batch, LedgerError, NetworkParams, Reward, Transaction, Transfer};
use crate::testing::blocks::*;
use crate::types::{Account, Amount, AmountError, Height, NameError};

fn refused(error: ApplyError) -> LedgerError {
    match error {
        ApplyError::Ledger(error) => error,
        ApplyError::Store(error) => panic!("{error}"),
    }
}

/// Applies all transactions; the last one must be refused and leave the ledger unchanged.
fn last_is_refused(params: &NetworkParams, transactions: &[Transaction]) -> LedgerError {
    let store = Overlay::new(MemoryStore::new(params));
    let mut ledger = Ledger::new(params, &store);
    let (last, first) = transactions.split_last().unwrap();
    for transaction in first {
        ledger.apply(transaction).unwrap();
    }
    let error = refused(ledger.apply(last).unwrap_err());
    let mut twin = Ledger::new(params, &store);
    for transaction in first {
        twin.apply(transaction).unwrap();
    }
    assert_eq!(ledger.finish(), twin.finish());
    assert!(!error.hint().is_empty());
    error
}

#[test]
fn first_transfer_claims_the_senders_name_and_runs_on_credit() {
    let params = NetworkParams::lan();
    let store = Overlay::new(MemoryStore::new(&params));
    let mut ledger = Ledger::new(&params, &store);
    ledger.apply(&pay(&params, 1, ("alice", "bob"), None, 5, 0)).unwrap();
    let alice = ledger.account(&name("alice")).unwrap();
    assert_eq!((alice.balance, alice.next_sequence), (-5, 1));
    assert_eq!(alice.owner, Some(key(1).public()));
    let bob = ledger.account(&name("bob")).unwrap();
    assert_eq!((bob.balance, bob.next_sequence, bob.owner), (5, 0, None));
}

#[test]
fn claim_uses_sequence_zero_and_a_claimed_name_is_never_claimed_again() {
    let params = NetworkParams::lan();
    let error = last_is_refused(&params, &[claim(&params, 1, "alice"), claim(&params, 2, "alice")]);
    assert_eq!(error.code(), "already_claimed");
    let again = last_is_refused(&params, &[claim(&params, 1, "alice"), claim(&params, 1, "alice")]);
    assert_eq!(again.code(), "already_claimed");
    let zero = [
        claim(&params, 1, "alice"),
        pay(&params, 1, ("alice", "bob"), None, 5, 0),
    ];
    assert!(matches!(
        last_is_refused(&params, &zero),
        LedgerError::WrongSequence {
            expected: 1,
            got: 0,
            ..
        }
    ));
}

#[test]
fn only_the_owner_spends_from_a_name() {
    let params = NetworkParams::lan();
    let theft = [
        claim(&params, 1, "alice"),
        pay(&params, 2, ("alice", "eve"), None, 1, 1),
    ];
    assert_eq!(
        last_is_refused(&params, &theft),
        LedgerError::NotOwner {
            account: name("alice"),
            owner: key(1).public(),
            signer: key(2).public(),
        }
    );
}

#[test]
fn replayed_transaction_is_refused() {
    let params = NetworkParams::lan();
    let first = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    let error = last_is_refused(&params, &[first.clone(), first]);
    assert_eq!(error.code(), "wrong_sequence");
}

#[test]
fn payment_meant_for_nobody_is_void_once_somebody_owns_the_name() {
    let params = NetworkParams::lan();
    let race = [claim(&params, 2, "bob"), pay(&params, 1, ("alice", "bob"), None, 5, 0)];
    assert_eq!(last_is_refused(&params, &race).code(), "owner_changed");
    let owner = Some(key(3).public());
    let other = [claim(&params, 2, "bob"), pay(&params, 1, ("alice", "bob"), owner, 5, 0)];
    assert_eq!(last_is_refused(&params, &other).code(), "owner_changed");
}

#[test]
fn balance_stops_exactly_at_the_credit_limit() {
    let params = NetworkParams::lan();
    let store = Overlay::new(MemoryStore::new(&params));
    Ledger::new(&params, &store)
        .apply(&pay(&params, 1, ("alice", "bob"), None, 1_000, 0))
        .unwrap();
    let over = last_is_refused(&params, &[pay(&params, 1, ("alice", "bob"), None, 1_001, 0)]);
    assert!(matches!(
        over,
        LedgerError::Overdraft {
            balance: 0,
            credit_limit: 1_000,
            ..
        }
    ));
    let most = last_is_refused(
        &params,
        &[pay(&params, 1, ("alice", "bob"), None, Amount::MAX.get(), 0)],
    );
    assert_eq!(most.code(), "overdraft");
}

#[test]
fn coin_network_pays_only_claimed_names_and_keys() {
    let params = NetworkParams::coin();
    let height = Height::new(1);
    let to_nobody = Transaction::Reward(Reward {
        to: name("alice"),
        height,
    });
    assert_eq!(
        last_is_refused(&params, std::slice::from_ref(&to_nobody)).code(),
        "unclaimed_recipient"
    );
    let coin = [
        claim(&params, 1, "alice"),
        to_nobody,
        pay(&params, 1, ("alice", "bob"), None, 1, 1),
    ];
    assert_eq!(last_is_refused(&params, &coin).code(), "unclaimed_recipient");
    let unmined = [
        claim(&params, 2, "bob"),
        pay(&params, 1, ("alice", "bob"), Some(key(2).public()), 1, 0),
    ];
    assert_eq!(last_is_refused(&params, &unmined).code(), "overdraft");
}

#[test]
fn forged_transfer_to_oneself_never_doubles_a_balance() {
    let params = NetworkParams::lan();
    let Transaction::Transfer(honest) = pay(&params, 1, ("alice", "bob"), None, 5, 0) else {
        panic!("a transfer")
    };
    let forged = Transaction::Transfer(Transfer {
        to: honest.from.clone(),
        ..honest
    });
    assert_eq!(last_is_refused(&params, &[forged]).code(), "self_transfer");
}

#[test]
fn ancestor_fault_negative_amounts_and_sender_zero_cannot_be_said() {
    assert_eq!(Amount::new(0), Err(AmountError::Zero));
    assert!(Amount::new(5_u64.wrapping_neg()).is_err());
    assert!(matches!(
        crate::types::AccountName::new("0"),
        Err(NameError::Reserved(_))
    ));
    // On the wire neither: the same transfer with amount 0, minus five, or the sender "0" does not parse.
    let params = NetworkParams::lan();
    let bytes = pay(&params, 1, ("a", "b"), None, 5, 0).to_bytes();
    let amount_at = 1 + 3 + 3 + 32;
    for amount in [0_u64, 5_u64.wrapping_neg(), 1 << 53] {
        let mut forged = bytes.clone();
        forged[amount_at..amount_at + 8].copy_from_slice(&amount.to_be_bytes());
        assert!(Transaction::from_bytes(&forged).is_err(), "{amount}");
    }
    let mut forged = bytes.clone();
    assert_eq!(forged[3], b'a');
    forged[3] = b'0';
    assert!(Transaction::from_bytes(&forged).is_err());
    assert!(Transaction::from_bytes(&bytes).is_ok());
}

/// No sequence of payments leads there; a balance that wrapped around would be a debt.
#[test]
fn adv_l05_a_balance_at_the_end_of_its_range_takes_no_more() {
    let params = NetworkParams::lan();
    let store = MemoryStore::new(&params);
    let rich = AccountState {
        balance: i64::MAX,
        ..AccountState::default()
    };
    store.commit(&Batch {
        accounts: [(name("bob"), Some(rich))].into(),
        ..Batch::default()
    });
    let store = Overlay::new(store);
    let mut ledger = Ledger::new(&params, &store);
    let error = ledger
        .apply(&pay(&params, 1, ("alice", "bob"), None, 1, 0))
        .unwrap_err();
    assert_eq!(refused(error), LedgerError::Overflow(name("bob")));
}

#[test]
fn key_account_is_spent_by_its_key_alone() {
    let params = NetworkParams::lan();
    let Transaction::Transfer(honest) = pay(&params, 1, ("alice", "bob"), None, 5, 0) else {
        panic!("a transfer")
    };
    let forged = Transaction::Transfer(Transfer {
        from: Account::Key(key(2).public()),
        ..honest
    });
    assert_eq!(last_is_refused(&params, &[forged]).code(), "not_owner");
}
