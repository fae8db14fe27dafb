//! Floods of payments and blocks: what honest nodes have to say comes through.

use std::collections::BTreeSet;

use super::{Field, assert_blameless, connected_at, cpu, is_long, peer_id, size, wait_for};
use crate::harness::Node;
use crate::namespace::{Interfaces, within};

/// Mines a block at a node while another one is under attack; how many milliseconds later that one had it.
fn delay_ms(miner: &mut Node, watcher: &Node) -> u64 {
    let hash = super::mine(miner)["hash"].clone();
    let (mined, came) = (connected_at(miner, &hash), connected_at(watcher, &hash));
    came.saturating_sub(mined)
}

#[test]
fn a_flood_of_refused_payments_delays_no_block_and_costs_no_honest_neighbour_anything() {
    within(
        "hostile::floods::a_flood_of_refused_payments_delays_no_block_and_costs_no_honest_neighbour_anything",
        Interfaces::Loopback,
        || {
            let field = Field::with_hosts(3);
            let mut anna = field.honest(0, &[]);
            let mut ben = field.honest(1, &["--peer", &super::address(0)]);
            ben.ok("wait peers 1");
            let quiet = delay_ms(&mut ben, &anna);
            let (identities, count) = (size(4, 31), size(500, 10_000));
            let more = [
                "--identities",
                &identities,
                "--seconds",
                "60",
                "flood",
                "--payments",
                "refused",
            ];
            let flood = field.hostile(2, &[0], &[&more[..], &["--count", &count]].concat());
            // The door lets most of thirty-one in, and who was refused does not come back.
            let (begin, wanted) = if is_long() { ("connected", 16) } else { ("round", 4) };
            let who = || {
                flood
                    .events(begin)
                    .into_iter()
                    .filter_map(|event| event["identity"].as_u64())
            };
            wait_for("they flood", || who().collect::<BTreeSet<u64>>().len() >= wanted);
            let delays: Vec<u64> = (0..2).map(|_| delay_ms(&mut ben, &anna)).collect();
            println!(
                "{identities} identities with {count} refused payments each: a block came after {delays:?} ms, without them after {quiet} ms"
            );
            assert!(!is_long() || delays.iter().all(|ms| *ms < 1_000), "{delays:?}");
            let txid = ben.ok("tx ben bob 5")["txid"].clone();
            anna.wait_event("transaction_accepted", |event| event["txid"] == txid);
            assert_eq!(anna.ok("status")["pending"], 1, "nothing of the flood is kept");
            assert_blameless(&anna, &peer_id(&mut ben));
            assert_blameless(&ben, &peer_id(&mut anna));
        },
    );
}

#[test]
fn a_flood_through_an_honest_neighbour_leaves_its_users_their_payments() {
    within(
        "hostile::floods::a_flood_through_an_honest_neighbour_leaves_its_users_their_payments",
        Interfaces::Loopback,
        || {
            let field = Field::with_hosts(3).with_small_blocks();
            let mut ben = field.honest(1, &["--peer", &super::address(0)]);
            let rewarded = peer_id(&mut ben);
            let mut anna = field.honest_with_past(0, 1, Some(&rewarded), &[]);
            ben.ok("wait height 1");
            let more = ["--seconds", "300", "flood", "--payments", "fresh", "--count", "1200"];
            let _flood = field.hostile(2, &[1], &more);
            wait_for("the room for new accounts is full there too", || {
                anna.ok("status")["pending"].as_u64() >= Some(1_024)
            });
            // Bob is new: this payment needs one of the places that the flood has taken.
            let txid = ben.ok("tx me bob 5")["txid"].clone();
            anna.wait_event("transaction_accepted", |event| event["txid"] == txid);
            assert_blameless(&anna, &peer_id(&mut ben));
        },
    );
}

/// Whether and where a transaction stands.
fn height_of(node: &mut Node, txid: &serde_json::Value) -> Option<u64> {
    let reply = node.ok(&format!("transaction {}", txid.as_str().expect("an id")));
    reply["height"].as_u64()
}

/// Where a transaction stands in the order in which those that wait are tried.
fn place(node: &mut Node, txid: &serde_json::Value) -> Option<usize> {
    let waiting = node.ok("pending")["transactions"].clone();
    waiting.as_array()?.iter().position(|one| one["txid"] == *txid)
}

#[test]
fn under_a_real_flood_of_fresh_keys_an_old_signer_is_in_the_next_block_and_a_newcomer_within_three() {
    within(
        "hostile::floods::under_a_real_flood_of_fresh_keys_an_old_signer_is_in_the_next_block_and_a_newcomer_within_three",
        Interfaces::Loopback,
        || {
            let field = Field::with_hosts(6).with_small_blocks();
            let to_miner = super::address(0);
            let mut old = field.honest(1, &["--peer", &to_miner]);
            let rewarded = peer_id(&mut old);
            let mut miner = field.honest_with_past(0, 102, Some(&rewarded), &[]);
            old.ok("wait height 102");
            let count = size(400, 1_000);
            let floods: Vec<Node> = (2..5)
                .map(|host| {
                    let more = ["--seconds", "300", "flood", "--payments", "fresh", "--count", &count];
                    field.hostile(host, &[0], &more)
                })
                .collect();
            wait_for("the room for new accounts is full", || {
                miner.ok("status")["pending"].as_u64() >= Some(1_024)
            });
            let mut newcomer = field.honest(5, &["--peer", &to_miner]);
            newcomer.ok("wait height 102");
            let late = newcomer.ok("tx newcomer me 1")["txid"].clone();
            miner.wait_event("transaction_accepted", |event| event["txid"] == late);
            let next = old.ok("tx me before 1")["txid"].clone();
            miner.wait_event("transaction_accepted", |event| event["txid"] == next);
            let tip = miner.ok("status")["height"].as_u64().expect("a height");
            let places = [&next, &late].map(|txid| place(&mut miner, txid));
            println!("in the order of the next blocks: the old signer, the newcomer {places:?}");
            assert_eq!(places[0], Some(0), "before all of the flood");
            // What the flood brought stays; who brought it leaves the processor to the miner.
            drop(floods);
            super::mine(&mut miner);
            assert_eq!(height_of(&mut miner, &next), Some(tip + 1), "the next block");
            // Each block makes 64 accounts: two more are enough for who is not in it yet.
            let is_soon = |place: Option<usize>| place.is_some_and(|place| place < 2 * 64);
            assert!(height_of(&mut miner, &late) == Some(tip + 1) || is_soon(place(&mut miner, &late)));
        },
    );
}

#[test]
fn full_side_blocks_cost_little_and_an_honest_block_comes_through() {
    within(
        "hostile::floods::full_side_blocks_cost_little_and_an_honest_block_comes_through",
        Interfaces::Loopback,
        || {
            let field = Field::with_hosts(3);
            let mut ben = field.honest_with_past(1, 5, None, &[]);
            let mut anna = field.honest(0, &["--peer", &super::address(1)]);
            anna.ok("wait height 5");
            let count = size(12, 100);
            let more = ["--identities", "4", "--seconds", "300", "side", "--count", &count];
            let side = field.hostile(2, &[0], &more);
            side.wait_event("forged", |_| true);
            let before = cpu(&anna);
            for number in 0..4 {
                side.wait_event("all_sent", |event| event["identity"] == number);
            }
            let delay = delay_ms(&mut ben, &anna);
            let sides = anna.events("block_stored").len();
            println!(
                "{count} full side blocks: {sides} were looked at, {:?} of a processor; a block came after {delay} ms",
                cpu(&anna) - before
            );
            assert!(
                (1..=5).contains(&sides),
                "{sides} of {count}: two at once, and one each seven seconds"
            );
            assert_blameless(&anna, &peer_id(&mut ben));
        },
    );
}
