//! Compact blocks: their vectors, and what is none.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::chain::tests::vectors::hold;
use crate::chain::{Block, NetworkParams, Transaction};
use crate::testing::blocks::{mine, pay};
use crate::wire::compact::ShortIds;
use crate::wire::{COMPACT_BLOCK_MAX_BYTES, CompactBlock, WireError};

/// A reward and three payments.
fn block() -> Block {
    let params = NetworkParams::dev();
    let payment = |sequence| pay(&params, 1, ("alice", "bob"), None, 5, sequence);
    mine(&params, &params.genesis(), 1, (0..3).map(payment).collect())
}

fn compact_fields(compact: &CompactBlock) -> Value {
    let given = |(at, bytes): &(u16, Vec<u8>)| json!({"position": at, "transaction": hex::encode(bytes)});
    json!({
        "header": hex::encode(compact.header),
        "given": compact.given.iter().map(given).collect::<Vec<_>>(),
        "ids": compact.ids.iter().map(hex::encode).collect::<Vec<_>>(),
        "bytes": hex::encode(compact.encode()),
    })
}

#[test]
fn compact_block_vectors_hold() {
    let block = block();
    let txids = block.txids();
    let plain = CompactBlock::of(&block, |_| false);
    let mixed = CompactBlock::of(&block, |txid| *txid == txids[2]);
    for compact in [&plain, &mixed] {
        assert_eq!(CompactBlock::decode(&compact.encode()).as_ref(), Ok(compact));
        assert_eq!(compact.transactions(), 4);
    }
    assert_eq!((plain.given.len(), plain.ids.len()), (1, 3), "the reward is there");
    let key = ShortIds::of(&plain.header);
    assert_eq!(
        plain.ids,
        txids[1..].iter().map(|txid| key.id(txid)).collect::<Vec<_>>()
    );
    let changed = |change: &dyn Fn(&mut CompactBlock)| {
        let mut compact = mixed.clone();
        change(&mut compact);
        compact.encode()
    };
    let good = mixed.encode();
    let refused = [
        ("no byte", Vec::new()),
        ("the header alone", mixed.header.to_vec()),
        ("ends one byte early", good[..good.len() - 1].to_vec()),
        ("a byte behind", [&good[..], &[0]].concat()),
        ("one position twice", changed(&|compact| compact.given[1].0 = 0)),
        ("a position behind the last", changed(&|compact| compact.given[1].0 = 4)),
        ("positions that fall", changed(&|compact| compact.given.reverse())),
        (
            "4,097 transactions",
            changed(&|compact| compact.ids.resize(4_095, [7; 6])),
        ),
        (
            "a transaction of 513 bytes",
            changed(&|compact| compact.given[0].1 = vec![0; 513]),
        ),
    ];
    for (what, bytes) in &refused {
        assert!(CompactBlock::decode(bytes).is_err(), "{what}");
    }
    let made = json!({
        "block": hex::encode(block.to_bytes()),
        "txids": txids,
        "messages": [compact_fields(&plain), compact_fields(&mixed)],
        "refused": refused.map(|(what, bytes)| json!({"what": what, "bytes": hex::encode(bytes)})),
    });
    hold("compact_blocks.json", &made);
}

#[test]
fn the_largest_block_fits_with_16_kib_of_whole_transactions() {
    let params = NetworkParams::dev();
    let payment = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    let mut block = block();
    block.transactions.resize(4_096, payment.clone());
    let compact = CompactBlock::of(&block, |_| true);
    let bytes: usize = compact.given.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(
        bytes <= 16 * 1_024 && bytes + payment.to_bytes().len() > 16 * 1_024,
        "{bytes}"
    );
    assert_eq!(CompactBlock::decode(&compact.encode()).as_ref(), Ok(&compact));
    let mut long = compact.encode();
    long.resize(COMPACT_BLOCK_MAX_BYTES + 1, 0);
    let limit = COMPACT_BLOCK_MAX_BYTES;
    assert_eq!(CompactBlock::decode(&long), Err(WireError::TooLong { limit }));
}

#[test]
fn another_header_gives_another_short_id() {
    let block = block();
    let txid = block.transactions.last().map(Transaction::txid).unwrap();
    let mut other = block.header.to_bytes();
    other[95] ^= 1;
    let id = |header| ShortIds::of(header).id(&txid);
    assert_ne!(id(&block.header.to_bytes()), id(&other));
}

proptest! {
    #[test]
    fn noise_behind_a_header_never_panics(noise in vec(any::<u8>(), 0..300)) {
        let bytes = [&[7; 96][..], &noise].concat();
        if let Ok(compact) = CompactBlock::decode(&bytes) {
            prop_assert_eq!(compact.encode(), bytes);
        }
    }
}
