//! Chains whose signatures and keys only a verifier by ZIP-215 judges as all others do.

use serde_json::Value;

use super::super::zip215::{Way, key_beyond_p};
use super::script::{Script, reward};
use crate::chain::transaction::{Claim, Transfer};
use crate::chain::{NetworkParams, Transaction};
use crate::testing::blocks::{claim, key, mine, name, wallet, word};
use crate::types::{Account, Amount, PublicKey, Signature};

/// Chain files by name.
pub(super) fn chains() -> Vec<(String, Value)> {
    vec![by_zip_215(), beyond_p(), large_s()]
}

/// A payment of one coin, signed in a way of its own.
fn pay(
    params: &NetworkParams,
    way: Way,
    from: Account,
    (to, to_owner): (Account, Option<PublicKey>),
    sequence: u64,
) -> Transaction {
    let mut transfer = Transfer {
        from,
        to,
        to_owner,
        amount: Amount::ONE,
        sequence,
        public_key: way.key(),
        signature: Signature([0; 64]),
    };
    let message = Transaction::Transfer(transfer.clone()).signed_message(&params.network_id());
    transfer.signature = way.sign(&message);
    Transaction::Transfer(transfer)
}

fn claims(params: &NetworkParams, way: Way, text: &str) -> Transaction {
    let mut claim = Claim {
        name: word(text),
        public_key: way.key(),
        signature: Signature([0; 64]),
    };
    let message = Transaction::Claim(claim.clone()).signed_message(&params.network_id());
    claim.signature = way.sign(&message);
    Transaction::Claim(claim)
}

fn by_zip_215() -> (String, Value) {
    let params = NetworkParams::dev();
    let mut script = Script::new(
        "signatures that only ZIP-215 takes: torsion in R, a small R, an R beyond p, keys with torsion",
        params.clone(),
    );
    let bob = || (name("bob"), None);
    let alice = |way, sequence| pay(&params, way, name("alice"), bob(), sequence);
    let tainted = Way::TorsionInKey;
    let to_tainted = (Account::Key(tainted.key()), Some(tainted.key()));
    let contents = [
        vec![alice(Way::TorsionInR, 0), alice(Way::SmallR, 1)],
        vec![alice(Way::BeyondPInR, 2), alice(Way::Plain, 3)],
        vec![
            claims(&params, tainted, "carol"),
            pay(&params, tainted, name("carol"), bob(), 1),
            pay(&params, Way::Plain, name("alice"), to_tainted, 4),
        ],
        vec![pay(&params, tainted, Account::Key(tainted.key()), bob(), 0)],
    ];
    for content in contents {
        let block = mine(&params, &script.tip(), 1, content);
        script.step(&block, "connected");
    }
    ("signatures-by-zip-215".into(), script.file())
}

fn beyond_p() -> (String, Value) {
    let params = NetworkParams::coin();
    let mut script = Script::new(
        "key accounts whose y is written beyond p: rewarded, and paid",
        params.clone(),
    );
    let odd = key_beyond_p();
    let rewarded = {
        let tip = script.tip();
        let content = vec![reward(&tip, Account::Key(odd))];
        crate::testing::blocks::seal(&params, &tip, 10_000, content)
    };
    script.step(&rewarded, "connected");
    let block = mine(&params, &script.tip(), 1, vec![]);
    script.step(&block, "connected");
    let parties = (wallet(1), Account::Key(odd), Some(odd));
    let paid = Transaction::transfer(&params.network_id(), &key(1), parties, Amount::ONE, 0).unwrap();
    let block = mine(&params, &script.tip(), 1, vec![paid]);
    script.step(&block, "connected");
    ("key-accounts-beyond-p".into(), script.file())
}

fn large_s() -> (String, Value) {
    let params = NetworkParams::dev();
    let mut script = Script::new(
        "a signature whose s is not below the order of the group",
        params.clone(),
    );
    let first = mine(&params, &script.tip(), 1, vec![claim(&params, 1, "alice")]);
    script.step(&first, "connected");
    let paid = pay(&params, Way::LargeS, name("erin"), (name("bob"), None), 0);
    let bad = mine(&params, &first.header, 1, vec![paid]);
    script.step(&bad, "bad_signature").step(&bad, "known_invalid");
    let good = mine(&params, &first.header, 2, vec![]);
    script.step(&good, "connected");
    ("refused-s-above-the-order".into(), script.file())
}
