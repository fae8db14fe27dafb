//! A past for a network of tests: blocks that nobody had to mine.
//!
//! A node's miner gives way to all other load of the machine; here the work is done at ordinary priority.
//! Promises: the blocks are valid, and the network's difficulty is the floor.

use std::fmt::Write;

use lanchain::chain::NetworkParams;
use lanchain::testing::blocks::mine_for;
use lanchain::types::Account;

/// The lines of an import: so many blocks, with all rewards to one account.
pub(super) fn lines(params: &NetworkParams, blocks: u64, to: &Account) -> String {
    let mut text = String::new();
    let mut parent = params.genesis();
    for _ in 0..blocks {
        let block = mine_for(params, &parent, params.spacing_ms, to.clone(), Vec::new());
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
