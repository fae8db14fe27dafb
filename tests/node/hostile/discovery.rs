//! Forged records of multicast DNS: who starts meanwhile is found all the same.

use std::process::Command;
use std::time::Instant;

use super::{Field, is_long, wait_for};
use crate::harness::{Node, PATIENCE};
use crate::namespace::{Interfaces, within};

/// How long after its start a node was connected to another one, in milliseconds.
fn meets(node: &mut Node) -> u64 {
    let started = node.wait_event("started", |_| true)["time_ms"]
        .as_u64()
        .expect("a time");
    node.ok("wait peers 1");
    let met = node.wait_event("peer_connected", |_| true)["time_ms"]
        .as_u64()
        .expect("a time");
    met - started
}

/// Two nodes start one after the other, and find each other; how long that took the second.
fn two_meet(field: &Field) -> u64 {
    let _first = field.node(0, &[]);
    let mut second = field.node(1, &[]);
    meets(&mut second)
}

#[test]
fn a_newcomer_is_found_among_invented_peers_of_six_addresses() {
    within(
        "hostile::discovery::a_newcomer_is_found_among_invented_peers_of_six_addresses",
        Interfaces::Loopback,
        || {
            let field = Field::with_hosts(3);
            let without = two_meet(&field);
            let addresses = (101..107).map(|last| format!("10.77.0.{last}"));
            let mut from = Vec::new();
            for address in addresses {
                let mut command = Command::new("ip");
                command.args(["address", "add", &format!("{address}/24"), "dev", "eth0"]);
                assert!(
                    field
                        .bridge
                        .on(2, &command)
                        .status()
                        .is_ok_and(|status| status.success())
                );
                from.extend(["--from".to_owned(), address]);
            }
            let doors = field.hostile(
                2,
                &[],
                &["--seconds", "300", "listen", "--port", "20000", "--more", "31"],
            );
            doors.wait_event("listening", |_| true);
            let mut more = vec!["--seconds", "300", "records"];
            more.extend(from.iter().map(String::as_str));
            let forger = field.hostile(2, &[], &more);
            forger.wait_event("announcing", |_| true);
            let began = Instant::now();
            let mut first = field.node(0, &[]);
            wait_for("the first node dials what is forged", || {
                doors.events("knock").len() >= 8
            });
            let mut second = field.node(1, &[]);
            let with = meets(&mut second);
            first.ok("wait peers 1");
            let knocks = doors.events("knock").len();
            println!(
                "connected {with} ms after the start among 192 invented peers, {without} ms without; {knocks} connections to them"
            );
            assert!(!is_long() || with <= without + 5_000, "{with} ms, {without} ms without");
            assert!(u128::from(with) < PATIENCE.as_millis());
            // Each of the two begins four dials a second.
            let most = 2 * (8 + 4 * began.elapsed().as_secs());
            assert!(
                u64::try_from(knocks).is_ok_and(|knocks| knocks <= most),
                "{knocks} of at most {most}"
            );
        },
    );
}
