//! The checks of bodies beside the chain: what is checked together, what was checked before, and keys that are kept.

use crate::chain::stages::{Body, Received};
use crate::chain::{AcceptError, Block, BlockError, BodyRules, NetworkParams, Transaction, Verdict};
use crate::testing::blocks::{CLOCK, advance, dev, mine, pay, with_root};
use crate::types::hash::HashMany;
use crate::types::{MerkleRoot, Txid};

fn rules() -> BodyRules {
    BodyRules::new(&NetworkParams::dev(), [7; 32], HashMany::default())
}

/// The same payment with a signature that is wrong in its last bit but one.
fn forged(payment: &Transaction) -> Transaction {
    let mut forged = payment.clone();
    if let Transaction::Transfer(transfer) = &mut forged {
        transfer.signature.0[32] ^= 1;
    }
    forged
}

/// A block with so many payments of one key, the last of them with a wrong signature if that is wanted.
fn block(count: u64, is_forged: bool) -> Block {
    let params = NetworkParams::dev();
    let mut content: Vec<_> = (0..count)
        .map(|sequence| pay(&params, 1, ("alice", "bob"), None, 1, sequence))
        .collect();
    if is_forged {
        let last = content.pop().unwrap();
        content.push(forged(&last));
    }
    mine(&params, &params.genesis(), 1, content)
}

fn word(verdict: &Verdict) -> String {
    match (verdict.good(), verdict.unreadable()) {
        (Ok(block), _) => format!("good, {}", block.transactions.len()),
        (Err(error), Some(_)) => format!("unreadable: {}", error.code()),
        (Err(error), None) => error.code().to_owned(),
    }
}

#[test]
fn a_wrong_signature_is_found_although_the_key_is_kept_and_a_good_one_of_it_was_seen() {
    let (mut chain, _) = dev();
    let params = chain.params().clone();
    let first = mine(
        &params,
        &params.genesis(),
        1,
        vec![pay(&params, 1, ("alice", "bob"), None, 1, 0)],
    );
    advance(&mut chain, &first);
    let good = pay(&params, 1, ("alice", "bob"), None, 1, 1);
    let bad = mine(&params, &first.header, 1, vec![forged(&good)]);
    let refused = chain.accept(bad.clone(), CLOCK).unwrap_err();
    let at_one = |error: &AcceptError| matches!(error, AcceptError::Block(BlockError::Transaction { index: 1, .. }));
    assert!(at_one(&refused), "{refused}");
    assert!(chain.is_invalid(&bad.hash()), "the root covers the signature");
    advance(&mut chain, &mine(&params, &first.header, 1, vec![good]));
}

#[test]
fn bodies_that_are_checked_together_get_the_verdicts_that_each_gets_alone() {
    let good = block(3, false);
    let cut = good.to_bytes()[..200].to_vec();
    let rootless = with_root(&good, MerkleRoot::new([3; 32]));
    let mut bodies: Vec<_> = [&good, &block(2, true), &rootless, &block(4, false)]
        .map(|block| (block.hash(), block.to_bytes()))
        .into();
    bodies.insert(1, (good.hash(), cut));
    let expected = [
        "good, 4",
        "unreadable: truncated",
        "bad_signature",
        "bad_merkle_root",
        "good, 5",
    ];
    let together: Vec<String> = rules().read_and_check(bodies.clone()).iter().map(word).collect();
    assert_eq!(together, expected);
    for (body, expected) in bodies.into_iter().zip(expected) {
        let alone = rules().read_and_check(vec![body]);
        assert_eq!(alone.iter().map(word).collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn what_was_checked_before_is_known_by_an_id_that_covers_the_signature() {
    let block = block(3, true);
    let good = pay(&NetworkParams::dev(), 1, ("alice", "bob"), None, 1, 2);
    let bad = block.transactions.last().unwrap();
    assert_ne!(good.txid(), bad.txid(), "one payment, two signatures");
    let verdict = |known: &dyn Fn(&Txid) -> bool| {
        let body = Body::from(block.clone());
        word(&rules().check(block.hash(), body, known))
    };
    assert_eq!(verdict(&|_| false), "bad_signature");
    // Whoever saw the payment with its good signature has not checked this one.
    assert_eq!(verdict(&|txid| *txid != bad.txid()), "bad_signature");
    assert_eq!(
        verdict(&|txid| *txid == bad.txid()),
        "good, 4",
        "it is not checked again"
    );
}

#[test]
#[should_panic(expected = "the verdict on the body of another block")]
fn a_verdict_on_another_block_is_not_taken_for_this_ones() {
    let (mut chain, _) = dev();
    let (one, other) = (block(1, false), block(2, false));
    let linked = chain.link(Received::new(one.header), CLOCK).unwrap().unwrap();
    let verdict = rules().check(other.hash(), other.into(), &|_| false);
    let _ = chain.judge(linked, verdict);
}
