//! Peers that hold what others need: tarpits, streams that wait, crowds at the door.

use super::{Field, address, assert_blameless, peer_id, size};
use crate::namespace::{Interfaces, within};

#[test]
fn tarpits_of_both_kinds_hold_no_sync_up_and_fill_no_log() {
    within(
        "hostile::crowds::tarpits_of_both_kinds_hold_no_sync_up_and_fill_no_log",
        Interfaces::Loopback,
        || {
            let field = Field::with_hosts(4);
            let mut ben = field.honest_with_past(1, 60, None, &[]);
            let mut anna = field.honest(0, &[]);
            let identities = size(4, 12);
            let common = ["--identities", &identities, "--seconds", "300"];
            let silent = field.hostile(2, &[0], &[&common[..], &["silent"]].concat());
            let slow = field.hostile(3, &[0], &[&common[..], &["slow"]].concat());
            // They are asked first, and hold what they were asked.
            for tarpit in [&silent, &slow] {
                tarpit.wait_event("asked", |_| true);
            }
            let began = std::time::Instant::now();
            anna.ok(&format!("dial {}", address(1)));
            // Seconds; without patience of its own the node would wait for the end of each question.
            anna.ok("wait height 60 30");
            println!(
                "60 blocks came {:?} after the dial, from one peer beside {identities} and {identities} tarpits",
                began.elapsed()
            );
            assert_blameless(&anna, &peer_id(&mut ben));
            let lines = anna.log_count("\n");
            assert!(lines < 200, "{lines} lines of log");
        },
    );
}

#[test]
fn sixteen_waiting_streams_and_one_more_again_and_again_end_their_connection_and_fill_no_log() {
    within(
        "hostile::crowds::sixteen_waiting_streams_and_one_more_again_and_again_end_their_connection_and_fill_no_log",
        Interfaces::Loopback,
        || {
            let field = Field::with_hosts(3);
            let anna = field.honest(0, &[]);
            let mut ben = field.honest(1, &["--peer", &address(0)]);
            ben.ok("wait peers 1");
            let count = size(2_000, 100_000);
            let more = ["--identities", "4", "--seconds", "300", "streams", "--count", &count];
            let streams = field.hostile(2, &[0], &more);
            for number in 0..4 {
                let over = streams.wait_event("over", |event| event["identity"] == number);
                println!("{over}");
                assert_eq!(over["closed"], true, "{over}");
                assert!(over["opened"].as_u64() < Some(2_000), "{over}");
            }
            let lines = anna.log_count("\n");
            assert!(lines < 100, "{lines} lines of log");
            assert_blameless(&anna, &peer_id(&mut ben));
            let txid = ben.ok("tx ben bob 5")["txid"].clone();
            anna.wait_event("transaction_accepted", |event| event["txid"] == txid);
        },
    );
}

#[test]
fn two_hundred_connections_from_one_address_keep_no_newcomer_out() {
    within(
        "hostile::crowds::two_hundred_connections_from_one_address_keep_no_newcomer_out",
        Interfaces::Loopback,
        || {
            let field = Field::with_hosts(5);
            let mut anna = field.honest(0, &[]);
            let mut ben = field.honest(1, &["--peer", &address(0)]);
            ben.ok("wait peers 1");
            // A second address takes what the share of the first one leaves.
            let crowds = [(2, "200"), (4, "40")].map(|(host, count)| {
                let crowd = field.hostile(host, &[0], &["--seconds", "300", "knock", "--count", count]);
                let made = crowd.wait_event("knocked", |_| true)["made"].clone();
                (crowd, made)
            });
            let made = crowds.each_ref().map(|(_, made)| made);
            let mut carl = field.honest(3, &["--peer", &address(0)]);
            carl.ok("wait peers 1");
            println!(
                "of 200 and 40 connections {made:?} were made; the node has {} peers",
                super::peers(&mut anna)
            );
            assert!(super::peers(&mut anna) <= 48);
            let txid = carl.ok("tx carl bob 5")["txid"].clone();
            anna.wait_event("transaction_accepted", |event| event["txid"] == txid);
            ben.wait_event("transaction_accepted", |event| event["txid"] == txid);
            assert_blameless(&anna, &peer_id(&mut ben));
            assert_blameless(&anna, &peer_id(&mut carl));
        },
    );
}
