//! Chains about a network's own limits: bytes and new accounts of a block, and the reward.

use serde_json::Value;

use super::script::{Script, reward};
use crate::chain::{Block, NetworkParams, Transaction};
use crate::testing::blocks::{claim, key, mine, name, pay, seal, wallet};
use crate::types::Amount;

/// Chain files by name.
pub(super) fn chains() -> Vec<(String, Value)> {
    vec![
        at_the_limit(),
        one_too_many(),
        counted_once(),
        known_before(),
        to_a_new_account(),
        bytes_at_the_limit(),
        too_many_bytes(),
        padded_copy(),
    ]
}

/// A network where a block may make two accounts, and pays five coins.
fn two_new() -> NetworkParams {
    NetworkParams {
        name: "club".into(),
        new_accounts_max: 2,
        reward: 5,
        ..NetworkParams::lan()
    }
}

/// A network where a block may have 65,536 bytes.
fn small_blocks() -> NetworkParams {
    NetworkParams {
        name: "small".into(),
        block_bytes_max: 65_536,
        ..NetworkParams::lan()
    }
}

/// Payments that make two accounts each.
fn pairs(params: &NetworkParams, count: usize) -> Vec<Transaction> {
    let pair = |n| pay(params, 1, (&format!("payer{n}"), &format!("payee{n}")), None, 1, 0);
    (0..count).map(pair).collect()
}

/// A refused block, the same once more, and a good one in its place.
fn refused(script: &mut Script, bad: &Block, code: &str) {
    let parent = script.tip();
    script.step(bad, code).step(bad, "known_invalid");
    let good = mine(&script.params.clone(), &parent, 2, vec![]);
    script.step(&good, "connected");
}

fn at_the_limit() -> (String, Value) {
    let params = NetworkParams::lan();
    let mut script = Script::new(
        "64 new accounts, payers and payees, beside the one of the reward",
        params.clone(),
    );
    let block = mine(&params, &script.tip(), 1, pairs(&params, 32));
    script.step(&block, "connected");
    ("new-accounts-at-the-limit".into(), script.file())
}

fn one_too_many() -> (String, Value) {
    let params = NetworkParams::lan();
    let mut script = Script::new("65 new accounts", params.clone());
    let mut content = pairs(&params, 32);
    content.push(claim(&params, 2, "one-more"));
    let bad = mine(&params, &script.tip(), 1, content);
    refused(&mut script, &bad, "too_many_new_accounts");
    ("refused-too-many-new-accounts".into(), script.file())
}

fn counted_once() -> (String, Value) {
    let params = two_new();
    let mut script = Script::new(
        "of two new accounts: a new name paid twice counts once, a new payer and a new payee are two, three are refused",
        params.clone(),
    );
    let twice = vec![
        pay(&params, 1, ("alice", "bob"), None, 1, 0),
        pay(&params, 1, ("alice", "bob"), None, 1, 1),
    ];
    let block = mine(&params, &script.tip(), 1, twice);
    script.step(&block, "connected");
    let three = vec![
        pay(&params, 2, ("carol", "dave"), None, 1, 0),
        pay(&params, 2, ("carol", "erin"), None, 1, 1),
    ];
    let bad = mine(&params, &script.tip(), 1, three);
    refused(&mut script, &bad, "too_many_new_accounts");
    ("new-accounts-count-once".into(), script.file())
}

fn known_before() -> (String, Value) {
    let params = two_new();
    let mut script = Script::new(
        "a claim of a name that was paid before makes no account; a third new one beside it fits",
        params.clone(),
    );
    let paid = vec![pay(&params, 1, ("alice", "bob"), None, 1, 0)];
    let block = mine(&params, &script.tip(), 1, paid);
    script.step(&block, "connected");
    let content = vec![
        claim(&params, 2, "bob"),
        claim(&params, 2, "carol"),
        claim(&params, 2, "dave"),
    ];
    let block = mine(&params, &script.tip(), 1, content);
    script.step(&block, "connected");
    ("claim-of-a-known-name".into(), script.file())
}

fn to_a_new_account() -> (String, Value) {
    let params = two_new();
    let mut script = Script::new(
        "the account of the reward does not count, also if it pays or is paid in its own block",
        params.clone(),
    );
    let tip = script.tip();
    let content = vec![
        reward(&tip, wallet(7)),
        pay(&params, 1, ("alice", "bob"), None, 1, 0),
        {
            let parties = (name("alice"), wallet(7), Some(key(7).public()));
            Transaction::transfer(&params.network_id(), &key(1), parties, Amount::ONE, 1).unwrap()
        },
        {
            let parties = (wallet(7), name("bob"), None);
            Transaction::transfer(&params.network_id(), &key(7), parties, Amount::new(6).unwrap(), 0).unwrap()
        },
    ];
    script.step(&seal(&params, &tip, 10_000, content), "connected");
    ("reward-to-a-new-account".into(), script.file())
}

/// Payments that fill a block to its limit, and more bytes if asked.
fn filled(params: &NetworkParams, more: usize) -> Vec<Transaction> {
    // A payment from alice to a name of n bytes has 154 + n, the reward 42, header and count 100.
    let lengths = [vec![3; 413], vec![32, 32, 27 + more]].concat();
    let to = |length: usize| "b".repeat(length);
    let payments = (0..).zip(lengths);
    payments
        .map(|(sequence, length)| pay(params, 1, ("alice", &to(length)), None, 1, sequence))
        .collect()
}

fn bytes_at_the_limit() -> (String, Value) {
    let params = small_blocks();
    let mut script = Script::new("a block of exactly the bytes that its network allows", params.clone());
    let block = mine(&params, &script.tip(), 1, filled(&params, 0));
    assert_eq!(block.to_bytes().len(), 65_536);
    script.step(&block, "connected");
    ("block-bytes-at-the-limit".into(), script.file())
}

fn too_many_bytes() -> (String, Value) {
    let params = small_blocks();
    let mut script = Script::new(
        "one byte more than the network allows, and the root covers it: the header is known to be invalid",
        params.clone(),
    );
    let bad = mine(&params, &script.tip(), 1, filled(&params, 1));
    refused(&mut script, &bad, "too_many_bytes");
    ("refused-too-many-bytes".into(), script.file())
}

fn padded_copy() -> (String, Value) {
    let params = small_blocks();
    let mut script = Script::new(
        "too many bytes that the root does not cover say nothing about the header: the honest body is connected",
        params.clone(),
    );
    let honest = mine(&params, &script.tip(), 1, vec![]);
    let padded = Block {
        transactions: [honest.transactions.clone(), filled(&params, 1)].concat(),
        ..honest.clone()
    };
    script
        .step(&padded, "bad_merkle_root")
        .step(&padded, "bad_merkle_root")
        .step(&honest, "connected");
    ("refused-padded-copy".into(), script.file())
}
