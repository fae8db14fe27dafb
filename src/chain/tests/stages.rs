//! The stages of a received block: what each of them refuses, and that together they refuse what `accept` refuses.

use crate::chain::stages::{Body, Received};
use crate::chain::{AcceptError, Accepted, Block, BlockError, Header, HeaderError};
use crate::testing::blocks::{CLOCK, advance, branch, dev, mine, pay, prove};
use crate::types::{Bits, BlockHash, Height, WallTime};

#[test]
fn a_header_must_be_proven_before_anything_else_of_the_block_is_read() {
    let (chain, _) = dev();
    let block = branch(chain.params(), &chain.tip().header.clone(), 1, 1).remove(0);
    // The bytes end before the count of transactions.
    let bytes = &block.to_bytes()[..crate::chain::header::HEADER_BYTES];
    let mut received = Received::read(bytes).unwrap();
    assert_eq!((received.hash(), received.header()), (block.hash(), &block.header));
    received.prove(chain.params()).unwrap();
    let linked = chain.link(received, CLOCK).unwrap().unwrap();
    assert_eq!(linked.hash(), block.hash());
    assert!(linked.work() > chain.tip().work);
    assert!(Received::read(&bytes[1..]).is_err());
}

#[test]
fn a_header_that_breaks_a_rule_is_refused_with_or_without_being_proven_first() {
    let (mut chain, _) = dev();
    let params = chain.params().clone();
    let first = mine(&params, &params.genesis(), 1, Vec::new());
    advance(&mut chain, &first);
    let good = mine(&params, &first.header, 1, Vec::new()).header;
    let mined = |change: &dyn Fn(&mut Header)| {
        let mut header = good.clone();
        change(&mut header);
        prove(&params, header)
    };
    let unproven = (0_u64..)
        .map(|nonce| Header { nonce, ..good.clone() })
        .find(|header| header.check_proof_of_work(&params).is_err())
        .unwrap();
    let early = WallTime::from_ms(first.header.time.ms() - 1);
    let harder = Bits(good.bits.0 + 1);
    let cases: [(&str, Header, Option<&str>); 6] = [
        ("version", mined(&|header| header.version += 1), None),
        ("height", mined(&|header| header.height = Height::new(9)), None),
        ("time", mined(&|header| header.time = early), None),
        ("bits", mined(&|header| header.bits = harder), None),
        (
            "parent",
            mined(&|header| header.previous = BlockHash::new([7; 32])),
            None,
        ),
        ("work", unproven, Some("bad_proof_of_work")),
    ];
    for (name, header, at_proof) in cases {
        let plain = chain.link(Received::new(header.clone()), CLOCK).unwrap_err();
        let mut received = Received::new(header);
        match at_proof {
            Some(code) => {
                assert_eq!(received.prove(&params).unwrap_err().code(), code, "{name}");
                assert_eq!(plain.code(), code, "{name}");
            }
            None => {
                received.prove(&params).unwrap();
                assert_eq!(chain.link(received, CLOCK).unwrap_err(), plain, "{name}");
            }
        }
    }
    let unknown = chain.link(Received::new(first.header.clone()), CLOCK);
    assert_eq!(unknown, Ok(None), "stored already");
    let before = WallTime::from_ms(good.time.ms() - crate::chain::params::FUTURE_MAX_MS - 1);
    assert!(matches!(
        chain.link(Received::new(good), before),
        Err(AcceptError::Header(HeaderError::TimeTooNew { ahead_ms })) if ahead_ms == crate::chain::params::FUTURE_MAX_MS + 1
    ));
}

#[test]
fn a_body_goes_with_its_header_or_the_header_is_still_good() {
    let (mut chain, _) = dev();
    let params = chain.params().clone();
    let payment = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    let block = mine(&params, &params.genesis(), 1, vec![payment]);
    let link = |chain: &crate::chain::Chain<_>, block: &Block| {
        chain.link(Received::new(block.header.clone()), CLOCK).unwrap().unwrap()
    };
    let mut forged = block.clone();
    forged.transactions.pop();
    let linked = link(&chain, &forged);
    let error = chain.check_body(linked, forged.into()).unwrap_err();
    assert!(
        matches!(error, AcceptError::Block(BlockError::BadMerkleRoot { .. })),
        "{error}"
    );
    let bytes = block.to_bytes();
    let body = Body::read(bytes.clone()).unwrap();
    assert_eq!((body.size(), body.transactions()), (bytes.len(), 2));
    let linked = link(&chain, &block);
    let candidate = chain.check_body(linked, body).unwrap();
    assert!(matches!(chain.take(candidate), Ok(Accepted::Switched(_))));
    assert_eq!(chain.body(&block.hash()).unwrap(), Some(bytes), "stored as it came");
}

#[test]
fn what_the_hash_covers_makes_the_hash_invalid() {
    let (mut chain, _) = dev();
    let params = chain.params().clone();
    let mut payment = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    if let crate::chain::Transaction::Transfer(transfer) = &mut payment {
        transfer.sequence += 1;
    }
    let block = mine(&params, &params.genesis(), 1, vec![payment]);
    let linked = chain.link(Received::new(block.header.clone()), CLOCK).unwrap().unwrap();
    let error = chain.check_body(linked, block.clone().into()).unwrap_err();
    assert!(
        matches!(error, AcceptError::Block(BlockError::Transaction { index: 1, .. })),
        "{error}"
    );
    let again = chain.link(Received::new(block.header.clone()), CLOCK);
    assert_eq!(again, Err(AcceptError::KnownInvalid(block.hash())));
}
