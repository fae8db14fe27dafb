//! Chains about the ledger: what is paid, claimed and refused.

use serde_json::Value;

use super::script::{Script, reward};
use crate::chain::{Block, Difficulty, NetworkParams, Recipients, Transaction};
use crate::testing::blocks::{claim, key, mine, mine_after, name, pay, seal, wallet, word};
use crate::types::{Account, Amount};

/// Chain files by name.
pub(super) fn chains() -> Vec<(String, Value)> {
    let mut all = vec![transfers(), mined_coins(), other_rules()];
    all.extend(refused_by_the_ledger());
    all.extend(refused_on_coin());
    all
}

fn transfers() -> (String, Value) {
    let params = NetworkParams::lan();
    let (anna, ben) = (key(1).public(), key(2).public());
    let mut script = Script::new(
        "claims, payments to names and keys, a first payment that claims its sender",
        params.clone(),
    );
    let network = params.network_id();
    let from_key = |sequence| {
        let parties = (wallet(1), name("alice"), Some(anna));
        Transaction::transfer(&network, &key(1), parties, Amount::ONE, sequence).unwrap()
    };
    let to_key = {
        let parties = (name("alice"), wallet(2), Some(ben));
        Transaction::transfer(&network, &key(1), parties, Amount::new(7).unwrap(), 1).unwrap()
    };
    let contents = [
        vec![claim(&params, 1, "alice"), to_key],
        vec![
            pay(&params, 2, ("bob", "alice"), Some(anna), 1_000, 0),
            pay(&params, 1, ("alice", "bob"), Some(ben), 600, 2),
            pay(&params, 2, ("bob", "carol"), None, 600, 1),
        ],
        vec![from_key(0), from_key(1)],
        vec![
            claim(&params, 3, "carol"),
            pay(&params, 3, ("carol", "alice"), Some(anna), 1_600, 1),
        ],
    ];
    for content in contents {
        let block = mine(&params, &script.tip(), 1, content);
        script.step(&block, "connected");
    }
    ("transfers-and-claims".into(), script.file())
}

fn mined_coins() -> (String, Value) {
    let params = NetworkParams::coin();
    let anna = key(1).public();
    let mut script = Script::new(
        "coins are mined before they are spent, and only claimed names are paid",
        params.clone(),
    );
    for content in [vec![], vec![claim(&params, 2, "bob")]] {
        let block = mine(&params, &script.tip(), 1, content);
        script.step(&block, "connected");
    }
    let parties = (wallet(1), name("bob"), Some(key(2).public()));
    let all = Transaction::transfer(&params.network_id(), &key(1), parties, Amount::new(2).unwrap(), 0).unwrap();
    let back = {
        let parties = (name("bob"), wallet(1), Some(anna));
        Transaction::transfer(&params.network_id(), &key(2), parties, Amount::ONE, 1).unwrap()
    };
    // The reward comes first: in its own block it can be spent already.
    let block = mine(&params, &script.tip(), 2, vec![all, back]);
    script.step(&block, "connected");
    ("coins-are-mined-first".into(), script.file())
}

fn other_rules() -> (String, Value) {
    let params = NetworkParams {
        name: "club".into(),
        salt: "rehearsal".into(),
        spacing_ms: 100,
        halflife_ms: 1_000,
        credit_limit: 10,
        difficulty: Difficulty::Adjusting,
        recipients: Recipients::Owned,
        genesis_time_ms: 1,
        block_bytes_max: 65_536,
        new_accounts_max: 2,
        reward: 1_000_000,
    };
    let mut script = Script::new(
        "a network of its own rules: the smallest halflife, ten coins on credit, a million for a block",
        params.clone(),
    );
    let contents = [
        (50, vec![claim(&params, 1, "alice"), claim(&params, 2, "bob")]),
        (
            100,
            vec![pay(&params, 1, ("alice", "bob"), Some(key(2).public()), 10, 1)],
        ),
        (400, vec![]),
        (0, vec![pay(&params, 2, ("bob", "alice"), Some(key(1).public()), 20, 1)]),
    ];
    for (later, content) in contents {
        let block = mine_after(&params, &script.tip(), later, 1, content);
        script.step(&block, "connected");
    }
    ("a-network-of-its-own".into(), script.file())
}

/// A chain on which key 1 owns alice, who paid dave once, and key 2 owns bob.
fn started(what: &'static str, params: NetworkParams) -> Script {
    let mut script = Script::new(what, params.clone());
    let content = vec![
        claim(&params, 1, "alice"),
        claim(&params, 2, "bob"),
        pay(&params, 1, ("alice", "dave"), None, 3, 1),
    ];
    let block = mine(&params, &script.tip(), 1, content);
    script.step(&block, "connected");
    script
}

/// A chain with one refused block, and a good one in its place: nothing of the refused one is left.
fn with_refused(file: &str, mut script: Script, bad: &Block, code: &str) -> (String, Value) {
    let parent = script.tip();
    script.step(bad, code);
    let good = mine(&script.params.clone(), &parent, 2, vec![]);
    script.step(&good, "connected");
    (file.to_owned(), script.file())
}

/// A refused content after a start: file, what, content, code.
type Refused = (&'static str, &'static str, Vec<Transaction>, &'static str);

fn refused_payments(params: &NetworkParams) -> Vec<Refused> {
    let (anna, ben) = (Some(key(1).public()), Some(key(2).public()));
    let good = pay(params, 1, ("alice", "bob"), ben, 1, 2);
    let alice_pays = |amount, sequence| vec![pay(params, 1, ("alice", "bob"), ben, amount, sequence)];
    let replay = vec![pay(params, 1, ("alice", "dave"), None, 3, 1)];
    let middle = vec![
        good.clone(),
        pay(params, 3, ("erin", "bob"), ben, 1_001, 0),
        pay(params, 2, ("bob", "alice"), anna, 1, 1),
    ];
    vec![
        (
            "refused-overdraft",
            "a payment one coin beyond the credit limit",
            alice_pays(998, 2),
            "overdraft",
        ),
        (
            "refused-in-the-middle",
            "a good payment, a bad one, a good one",
            middle,
            "overdraft",
        ),
        (
            "refused-sequence-gap",
            "a payment whose sequence leaves a gap",
            alice_pays(1, 3),
            "wrong_sequence",
        ),
        (
            "refused-replay",
            "a confirmed payment once more",
            replay,
            "wrong_sequence",
        ),
        (
            "refused-twice-in-a-block",
            "the same payment twice",
            vec![good.clone(), good],
            "wrong_sequence",
        ),
    ]
}

fn refused_for_owners(params: &NetworkParams) -> Vec<Refused> {
    let (anna, ben) = (Some(key(1).public()), Some(key(2).public()));
    let one = |signer, parties, owner, sequence| vec![pay(params, signer, parties, owner, 1, sequence)];
    let thief = one(2, ("alice", "bob"), ben, 2);
    let stale = one(1, ("alice", "bob"), None, 2);
    let other = one(2, ("bob", "alice"), ben, 1);
    let early = one(1, ("alice", "dave"), anna, 2);
    let late_claim = vec![claim(params, 3, "alice")];
    let two_claims = vec![claim(params, 3, "erin"), claim(params, 4, "erin")];
    vec![
        (
            "refused-not-owner",
            "a payment from a name of another key",
            thief,
            "not_owner",
        ),
        (
            "refused-stale-owner",
            "a payment to a name that meanwhile has an owner",
            stale,
            "owner_changed",
        ),
        (
            "refused-other-owner",
            "a payment that means another owner",
            other,
            "owner_changed",
        ),
        (
            "refused-owner-of-free-name",
            "a payment that means an owner of a free name",
            early,
            "owner_changed",
        ),
        (
            "refused-claimed-twice",
            "a claim of a name that has an owner",
            late_claim,
            "already_claimed",
        ),
        (
            "refused-claim-after-claim",
            "two claims of a name in a block",
            two_claims,
            "already_claimed",
        ),
    ]
}

fn refused_by_the_ledger() -> Vec<(String, Value)> {
    let params = NetworkParams::dev();
    let contents = [refused_payments(&params), refused_for_owners(&params)].concat();
    let refused = contents.into_iter().map(|(file, what, content, code)| {
        let script = started(what, params.clone());
        let bad = mine(&params, &script.tip(), 1, content);
        with_refused(file, script, &bad, code)
    });
    refused.collect()
}

fn refused_on_coin() -> Vec<(String, Value)> {
    let params = NetworkParams::coin();
    let start = |what| {
        let mut script = Script::new(what, params.clone());
        let block = mine(&params, &script.tip(), 1, vec![claim(&params, 1, "alice")]);
        script.step(&block, "connected");
        script
    };
    let wallet_pays = |to: Account, owner, amount| {
        let amount = Amount::new(amount).unwrap();
        Transaction::transfer(&params.network_id(), &key(1), (wallet(1), to, owner), amount, 0).unwrap()
    };
    let script = start("a payment to a name that nobody owns, where only owned ones are paid");
    let bad = mine(&params, &script.tip(), 1, vec![wallet_pays(name("dave"), None, 1)]);
    let unclaimed = with_refused("refused-unclaimed-recipient", script, &bad, "unclaimed_recipient");

    let script = start("a reward to a name that nobody owns, where only owned ones are paid");
    let tip = script.tip();
    let bad = seal(&params, &tip, 10_000, vec![reward(&tip, Account::Name(word("dave")))]);
    let unclaimed_reward = with_refused("refused-unclaimed-reward", script, &bad, "unclaimed_recipient");

    let script = start("a payment of a coin that is not there, where there is no credit");
    let bad = mine(
        &params,
        &script.tip(),
        2,
        vec![wallet_pays(name("alice"), Some(key(1).public()), 2)],
    );
    let no_credit = with_refused("refused-without-credit", script, &bad, "overdraft");
    vec![unclaimed, unclaimed_reward, no_credit]
}
