//! A past for a network of tests: blocks that nobody had to mine.
//!
//! A node's miner gives way to all other load of the machine; here the work is done at ordinary priority.
//! Promises: the blocks are valid, and the network's difficulty is the floor.

use std::fmt::Write;

use lanchain::chain::{Block, Header, NetworkParams, Reward, Transaction, merkle};
use lanchain::types::hash::sha256;
use lanchain::types::{Account, WallTime};

/// Gives a header a nonce that meets the network's floor.
fn seal(header: &Header, params: &NetworkParams) -> Header {
    let target = header.bits.target(params.halflife_ms).expect("the floor");
    let mut bytes = header.to_bytes();
    let nonce = (0_u64..).find(|nonce| {
        bytes[88..].copy_from_slice(&nonce.to_be_bytes());
        target.is_met_by(&sha256(&[&bytes]))
    });
    Header {
        nonce: nonce.expect("there is one"),
        ..header.clone()
    }
}

/// The lines of an import: so many blocks, with all rewards to one account.
pub(super) fn lines(params: &NetworkParams, blocks: u64, to: &Account) -> String {
    let mut text = String::new();
    let mut parent = params.genesis();
    for _ in 0..blocks {
        let height = parent.height.next();
        let to = to.clone();
        let transactions = vec![Transaction::Reward(Reward { to, height })];
        let txids: Vec<_> = transactions.iter().map(Transaction::txid).collect();
        let time = WallTime::from_ms(parent.time.ms() + params.spacing_ms);
        let header = Header {
            previous: parent.hash(),
            merkle_root: merkle::root(&txids),
            bits: params.required_bits(&parent, time),
            height,
            time,
            ..parent.clone()
        };
        let header = seal(&header, params);
        let block = Block { header, transactions };
        let raw = hex::encode(block.transactions[0].to_bytes());
        let header = hex::encode(block.header.to_bytes());
        writeln!(
            text,
            "{{\"header\":\"{header}\",\"transactions\":[{{\"raw\":\"{raw}\"}}]}}"
        )
        .expect("memory");
        parent = block.header;
    }
    text
}
