//! Peers that lie about the time, about other peers, or say what no honest peer says.

use std::time::{Instant, SystemTime};

use super::{Field, address, assert_blameless, peer_id, peers, wait_for};
use crate::harness::Node;
use crate::namespace::{Interfaces, within};

const DAY_S: i64 = 86_400;

/// How many seconds the next block's time is ahead of this machine's clock.
fn ahead_s(node: &mut Node) -> i64 {
    let time_ms = super::mine(node)["time_ms"].as_i64().expect("a time");
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    (time_ms - i64::try_from(now.as_millis()).expect("small")) / 1_000
}

/// Some addresses that say it is another time; the node has heard each of them.
fn liars(field: &Field, node: &mut Node, hosts: &[usize], (identities, ahead_s): (u64, i64)) -> Vec<Node> {
    let count = identities.to_string();
    let ahead = ahead_s.to_string();
    let more = ["--identities", &count, "--seconds", "300", "clock", "--ahead-s", &ahead];
    let all: Vec<Node> = hosts.iter().map(|host| field.hostile(*host, &[0], &more)).collect();
    let expected = identities * u64::try_from(hosts.len()).expect("few");
    wait_for("all liars are heard", || peers(node) == expected);
    all
}

#[test]
fn a_crowd_of_liars_about_the_time_moves_a_node_by_five_minutes_at_most() {
    within(
        "hostile::words::a_crowd_of_liars_about_the_time_moves_a_node_by_five_minutes_at_most",
        Interfaces::Loopback,
        || {
            let field = Field::with_hosts(4);
            let mut anna = field.honest(0, &["--peer-clock"]);
            let crowds: [(&[usize], u64, i64, core::ops::RangeInclusive<i64>); 4] = [
                (&[1], 5, DAY_S, -60..=5),
                (&[1], 5, 240, -60..=5),
                (&[1, 2, 3], 1, DAY_S, -60..=5),
                (&[1, 2, 3], 1, 240, 180..=245),
            ];
            for (hosts, identities, told_s, expected) in crowds {
                let crowd = liars(&field, &mut anna, hosts, (identities, told_s));
                let ahead = ahead_s(&mut anna);
                println!(
                    "{identities} at each of {} addresses say {told_s} s: followed by {ahead} s",
                    hosts.len()
                );
                assert!(expected.contains(&ahead), "{ahead} s, expected {expected:?}");
                drop(crowd);
                anna.ok("wait peers 0");
            }
        },
    );
}

/// Ports where a node never knocks because a stranger said so.
const FORBIDDEN: [u16; 3] = [22, 80, 9_100];

#[test]
fn who_tells_lies_about_peers_leads_to_few_dials_and_to_no_other_service() {
    within(
        "hostile::words::who_tells_lies_about_peers_leads_to_few_dials_and_to_no_other_service",
        Interfaces::Loopback,
        || {
            let field = Field::with_hosts(4);
            let mut anna = field.honest(0, &[]);
            let mut services: Vec<String> = FORBIDDEN.map(|port| format!("/ip4/10.77.0.3/tcp/{port}")).to_vec();
            services.extend(["/ip4/127.0.0.1/tcp/5000".into(), "/ip4/127.0.0.1/tcp/9100".into()]);
            let invented: Vec<String> = (20_000..20_032)
                .map(|port| format!("/ip4/10.77.0.4/tcp/{port}"))
                .collect();
            let listen = ["--seconds", "300", "listen", "--shut"];
            let ports = FORBIDDEN.map(|port| format!("--port={port}"));
            let ports = ports.each_ref().map(String::as_str);
            let forbidden = field.hostile(2, &[], &[&listen[..], &ports].concat());
            let home = ["--at", "127.0.0.1", "--port", "5000", "--port", "9100"];
            let home = field.hostile(0, &[], &[&listen[..], &home].concat());
            let doors = field.hostile(3, &[], &[&listen[..], &["--port", "20000", "--more", "31"]].concat());
            for (listener, count) in [(&forbidden, 3), (&home, 2), (&doors, 32)] {
                listener.wait_event("listening", |event| event["ports"] == count);
            }
            let tells = |host, list: &[String]| {
                let mut more = vec!["--seconds", "300", "peers"];
                more.extend(list.iter().flat_map(|text| ["--tell", text]));
                let liar = field.hostile(host, &[0], &more);
                liar.wait_event("told", |_| true);
                liar
            };
            let began = Instant::now();
            let _liars = [tells(2, &services), tells(3, &invented)];
            // At first eight at once, then four a second.
            let check_pace = || {
                let most = 8 + 4 * (began.elapsed().as_secs() + 1);
                let knocks = doors.events("knock").len();
                assert!(
                    u64::try_from(knocks).is_ok_and(|knocks| knocks <= most),
                    "{knocks} of {most}"
                );
                knocks
            };
            wait_for("some of the invented peers are dialled", || check_pace() >= 4);
            wait_for("most of them are, each once", || check_pace() >= 24);
            let mut ports: Vec<u64> = doors
                .events("knock")
                .iter()
                .filter_map(|event| event["port"].as_u64())
                .collect();
            ports.sort_unstable();
            println!(
                "of 32 invented peers {} were dialled within {:?}",
                ports.len(),
                began.elapsed()
            );
            assert!(ports.is_sorted_by(|a, b| a < b), "{ports:?}");
            for never in [&forbidden, &home] {
                assert!(never.events("knock").is_empty(), "{:?}", never.events("knock"));
            }
            // An honest peer is dialled all the same.
            let mut ben = field.honest(1, &[]);
            let ben_id = peer_id(&mut ben);
            anna.ok(&format!("dial {}", address(1)));
            assert_blameless(&anna, &ben_id);
        },
    );
}

#[test]
fn whatever_no_honest_peer_says_ends_nothing_but_its_own_connection() {
    within(
        "hostile::words::whatever_no_honest_peer_says_ends_nothing_but_its_own_connection",
        Interfaces::Loopback,
        || {
            let field = Field::with_hosts(3);
            let mut anna = field.honest(0, &[]);
            let mut ben = field.honest(1, &["--peer", &address(0)]);
            ben.ok("wait peers 1");
            let nonsense = field.hostile(2, &[0], &["--seconds", "300", "nonsense"]);
            nonsense.wait_event("all_said", |_| true);
            let said = |what: &str| nonsense.wait_event("said", |event| event["what"] == what);
            for what in ["LongRequest", "UnknownAnswer", "LongAnswer", "OtherAnswer"] {
                assert_eq!(said(what)["closed"], true, "{what}: {}", said(what));
            }
            assert_eq!(said("UnknownRequest")["heard"], "unsupported");
            assert_eq!(
                (&said("ManyAddresses")["heard"], &said("ManyAddresses")["closed"]),
                (&"status".into(), &false.into())
            );
            println!("{:#?}", nonsense.events("said"));
            let ben_id = peer_id(&mut ben);
            assert_blameless(&anna, &ben_id);
            let txid = ben.ok("tx ben bob 5")["txid"].clone();
            anna.wait_event("transaction_accepted", |event| event["txid"] == txid);
            assert_eq!(anna.ok("status")["height"], 0);
        },
    );
}
