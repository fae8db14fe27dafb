//! Rows of the catalogue (`proto-notes/threats.md`) about the rules themselves: numbers at their ends, names that look
//! like others, floods of claims, blocks at their limits.

use std::collections::{BTreeMap, BTreeSet};

use crate::chain::ledger::{Accounts, Ledger};
use crate::chain::params::{BLOCK_MAX_BYTES, BLOCK_MAX_TRANSACTIONS};
use crate::chain::store::{AccountState, StoreError};
use crate::chain::{AcceptError, ApplyError, Block, BlockError, LedgerError, NetworkParams, Reward, Transaction};
use crate::pool::{Mempool, Origin};
use crate::testing::blocks::*;
use crate::types::{Account, AccountName, Amount, Height, SecretKey};

/// Accounts as a test wants them.
struct Rich(BTreeMap<Account, AccountState>);

impl Accounts for Rich {
    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError> {
        Ok(self.0.get(account).cloned())
    }
}

fn with_balance(account: Account, balance: i64) -> Rich {
    let state = AccountState {
        balance,
        ..AccountState::default()
    };
    Rich(BTreeMap::from([(account, state)]))
}

#[test]
fn adv_l01_l03_an_amount_of_nothing_or_above_the_cap_is_no_transaction() {
    let bytes = pay(&NetworkParams::dev(), 1, ("alice", "bob"), None, 5, 0).to_bytes();
    // Before the signature: the key, the sequence, and before them the amount.
    let at = bytes.len() - 64 - 32 - 8 - 8;
    let with = |amount: u64| {
        let mut changed = bytes.clone();
        changed[at..at + 8].copy_from_slice(&amount.to_be_bytes());
        Transaction::from_bytes(&changed)
    };
    let Ok(Transaction::Transfer(same)) = with(5) else {
        panic!("the amount lies elsewhere")
    };
    assert_eq!(same.amount.get(), 5);
    assert!(with((1 << 53) - 1).is_ok());
    for wrong in [0, 1 << 53, u64::MAX] {
        assert_eq!(with(wrong).unwrap_err().code(), "bad_field", "{wrong}");
    }
}

#[test]
fn adv_l04_l05_balances_at_the_ends_of_their_range_do_not_turn_round() {
    let params = NetworkParams::lan();
    let payment = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    let full = with_balance(name("bob"), i64::MAX - 4);
    let mut ledger = Ledger::new(&params, &full);
    assert_eq!(
        ledger.apply(&payment),
        Err(ApplyError::Ledger(LedgerError::Overflow(name("bob"))))
    );
    assert_eq!(ledger.account(&name("alice")).unwrap().balance, 0, "all or nothing");
    let almost = with_balance(name("bob"), i64::MAX - 5);
    Ledger::new(&params, &almost).apply(&payment).unwrap();
    let broke = with_balance(name("alice"), i64::MIN + 4);
    let error = Ledger::new(&params, &broke).apply(&payment).unwrap_err();
    assert!(
        matches!(error, ApplyError::Ledger(LedgerError::Overdraft { .. })),
        "{error}"
    );
    let reward = Transaction::Reward(Reward {
        to: name("bob"),
        height: Height::new(1),
    });
    let brim = with_balance(name("bob"), i64::MAX);
    assert_eq!(
        Ledger::new(&params, &brim).apply(&reward),
        Err(ApplyError::Ledger(LedgerError::Overflow(name("bob"))))
    );
}

#[test]
fn adv_l11_rewards_of_one_account_have_an_id_for_each_height() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let blocks = branch(&params, &params.genesis(), 1, 3);
    blocks.iter().for_each(|block| drop(advance(&mut chain, block)));
    let ids: BTreeSet<_> = blocks.iter().map(|block| block.transactions[0].txid()).collect();
    assert_eq!(ids.len(), 3);
    for (block, id) in blocks.iter().map(|block| (block, block.transactions[0].txid())) {
        assert_eq!(chain.place(&id).unwrap().unwrap().height, block.header.height);
    }
}

#[test]
fn adv_l15_a_claim_that_runs_ahead_of_the_first_payment_takes_the_name_and_nothing_more() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    // Carol pays bob while nobody owns the name; bob signs for it first, and a thief has seen both.
    let gift = pay(&params, 1, ("carol", "bob"), None, 7, 0);
    let first = pay(&params, 2, ("bob", "dora"), None, 1, 0);
    pool.add(&chain, gift.clone(), Origin::Own).unwrap();
    pool.add(&chain, first.clone(), Origin::Own).unwrap();
    let theft = claim(&params, 3, "bob");
    let error = pool.add(&chain, theft.clone(), Origin::Own).unwrap_err();
    assert!(["not_owner", "sequence_taken"].contains(&error.code()), "{error}");
    // He has a block of his own.
    let block = mine(&params, &params.genesis(), 3, vec![theft]);
    let switch = advance(&mut chain, &block);
    let change = pool.on_switch(&chain, &switch, &[]);
    assert_eq!(chain.owner(&name("bob")).unwrap(), Some(key(3).public()));
    let mut dropped: Vec<_> = change
        .dropped
        .iter()
        .map(|(txid, error)| (*txid, error.code()))
        .collect();
    dropped.sort_unstable();
    let mut wanted = vec![(gift.txid(), "owner_changed"), (first.txid(), "not_owner")];
    wanted.sort_unstable();
    assert_eq!(dropped, wanted, "the gift does not go to the thief");
    assert_eq!(chain.account(&name("bob")).unwrap().balance, 0);
    // Nor does a block that pays him.
    let paid = mine(&params, &block.header, 3, vec![gift]);
    assert_eq!(chain.accept(paid, CLOCK).unwrap_err().code(), "owner_changed");
    // A claimed name is safe from then on.
    let late = mine(&params, &block.header, 2, vec![claim(&params, 2, "bob")]);
    assert_eq!(chain.accept(late, CLOCK).unwrap_err().code(), "already_claimed");
}

#[test]
fn adv_l17_a_squatters_ten_thousand_claims_keep_no_other_out_of_pool_and_blocks() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let squatter = Origin::Peer(key(9).public().peer_id().into());
    let honest = Origin::Peer(key(8).public().peer_id().into());
    let mut number = 0_u32;
    let mut refused = 0;
    while refused < 10 {
        let squat = claim(&params, 3, &format!("n{number}"));
        refused += u32::from(pool.add(&chain, squat, squatter).is_err());
        number += 1;
        assert!(number <= 10_010, "the pool has an end");
    }
    let payment = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    pool.add(&chain, payment.clone(), honest).unwrap();
    let mut blocks = 0;
    while chain.place(&payment.txid()).unwrap().is_none() {
        let block = forge(&mut chain, &mut pool, 1);
        assert!(block.transactions.len() <= BLOCK_MAX_TRANSACTIONS);
        blocks += 1;
        assert!(blocks <= 3, "it stands behind no more than was there before it");
    }
}

#[test]
fn adv_l18_l21_names_that_look_like_others_or_like_nothing_are_refused() {
    let wrong = [
        "а",
        "аlice",
        "ａlice",
        "alice\u{200d}",
        "alice\u{0301}",
        "\u{202e}ecila",
        "al\0ice",
        "alice\r",
        "alice\n",
        "\u{1b}[31malice",
        "_alice",
        "-x",
        "9lives",
        "0",
        "me",
        "coinbase",
        "al.ice",
        "al ice",
        "ALICE",
        "",
    ];
    for text in wrong {
        assert!(AccountName::new(text).is_err(), "{text:?}");
        // Nor do the bytes say it.
        let mut bytes = vec![1, u8::try_from(text.len()).unwrap()];
        bytes.extend_from_slice(text.as_bytes());
        let read = Account::read(&mut crate::types::layout::Reader::new(&bytes));
        assert!(read.is_err(), "{text:?}");
    }
    let mut canonical = Vec::new();
    name("alice").write(&mut canonical);
    assert_eq!(canonical, [&[1, 5][..], b"alice"].concat(), "a name's bytes");
    assert!(AccountName::new(&"a".repeat(32)).is_ok());
    assert!(AccountName::new(&"a".repeat(33)).is_err());
}

/// A block with this many transactions in all.
fn block_of(params: &NetworkParams, total: usize) -> Block {
    let payments = (0..total - 1).map(|n| pay(params, 1, ("alice", "bob"), None, 1, u64::try_from(n).unwrap() % 900));
    mine(params, &params.genesis(), 1, payments.collect())
}

#[test]
fn adv_l24_a_block_with_the_reward_alone_and_one_at_the_limit_are_taken_and_one_above_is_not() {
    let params = NetworkParams::dev();
    let (mut chain, _) = dev();
    advance(&mut chain, &mine(&params, &params.genesis(), 1, Vec::new()));
    // Claims are the cheapest to make many of.
    let claims = |count: usize| {
        let list = (0..count).map(|n| claim(&params, 1, &format!("n{n}")));
        mine(&params, &params.genesis(), 1, list.collect())
    };
    let full = claims(BLOCK_MAX_TRANSACTIONS - 1);
    assert_eq!(Block::from_bytes(&full.to_bytes()).as_ref(), Ok(&full));
    let (mut chain, _) = dev();
    advance(&mut chain, &full);
    let over = block_of(&params, BLOCK_MAX_TRANSACTIONS + 1);
    assert_eq!(
        Block::from_bytes(&over.to_bytes()),
        Err(BlockError::TooManyTransactions(4_097))
    );
    // No mix of transactions reaches the limit of bytes before the one of number.
    let widest = pay(&params, 1, (&"a".repeat(32), &"b".repeat(32)), None, 1, 0);
    assert!(widest.to_bytes().len() * BLOCK_MAX_TRANSACTIONS < BLOCK_MAX_BYTES);
    let mut long = full.to_bytes();
    long.resize(BLOCK_MAX_BYTES + 1, 0);
    assert!(matches!(Block::from_bytes(&long), Err(BlockError::Layout(_))));
}

#[test]
fn adv_g04_a_block_that_repeats_a_confirmed_transaction_is_invalid() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let payment = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    let first = mine(&params, &params.genesis(), 1, vec![payment.clone()]);
    advance(&mut chain, &first);
    let again = mine(&params, &first.header, 1, vec![payment]);
    let error = chain.accept(again, CLOCK).unwrap_err();
    assert!(matches!(error, AcceptError::Ledger { index: 1, .. }), "{error}");
    assert_eq!(error.code(), "wrong_sequence");
    assert_eq!(chain.account(&name("bob")).unwrap().balance, 5);
}

#[test]
fn adv_k08_a_secret_key_shows_nothing_of_itself() {
    let shown = format!(
        "{:?} {:?}",
        SecretKey::from_seed([7; 32]),
        Some(SecretKey::from_seed([7; 32]))
    );
    assert!(!shown.contains("07") && !shown.contains("7, 7"), "{shown}");
    assert!(shown.contains("[redacted]"));
    assert!(Amount::new(7).is_ok());
}
