//! A partition and its end: both sides go on, the heavier side wins, nothing paid is lost or paid twice.

use serde_json::Value;

use crate::harness::Node;

#[test]
fn fork_of_15_against_20_heals_and_the_losers_payment_is_mined_once() {
    let mut loser = Node::alone();
    let mut winner = Node::alone_with(&["--peer", &loser.loopback_address()]);
    winner.ok("wait peers 1");
    loser.ok("mine");
    winner.ok("wait height 1");

    assert_eq!(loser.ok("net off")["net"], false);
    loser.ok("wait peers 0");
    let txid = loser.ok("tx alice bob 5")["txid"].as_str().expect("a txid").to_owned();
    loser.ok("mine 15");
    assert_eq!(loser.ok(&format!("transaction {txid}"))["status"], "confirmed");
    winner.ok("mine 20");

    assert_eq!(loser.ok("net on")["net"], true);
    loser.ok("wait height 21");
    let reorganized = loser.wait_event("reorganized", |_| true);
    assert_eq!(reorganized["depth"], 15, "{reorganized}");
    assert_eq!(reorganized["fork_height"], 1, "{reorganized}");
    assert_eq!(reorganized["returned"][0], txid, "{reorganized}");
    assert_eq!(loser.events("block_disconnected").len(), 15);

    winner.wait_event("transaction_accepted", |event| event["txid"] == txid.as_str());
    winner.ok("mine");
    loser.ok("wait height 22");
    assert_eq!(loser.ok("balance bob")["balance"], 5);
    assert_eq!(times_in_chain(&mut loser, &txid), 1);
    assert_eq!(winner.ok("status")["tip"], loser.ok("status")["tip"]);
}

fn times_in_chain(node: &mut Node, txid: &str) -> usize {
    let chain = node.ok("chain 1000");
    let blocks = chain["blocks"].as_array().expect("a list");
    let transactions = blocks
        .iter()
        .filter_map(|block| block["transactions"].as_array())
        .flatten();
    transactions.filter(|tx: &&Value| tx["txid"] == txid).count()
}
