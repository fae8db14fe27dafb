//! `doctor` on machines with and without multicast: what it says of their interfaces, and whether that is so.
//!
//! Spec: `proto-notes/events.md`, "Replies".

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Node, binary};
use crate::namespace::{Bridge, Interfaces, ip, within};

/// A node that looks for others, in a home of its own.
fn seeker(home: &Path) -> Command {
    of_network("dev", home)
}

fn of_network(network: &str, home: &Path) -> Command {
    let mut command = binary();
    command.args(["--json", "--network", network]);
    command.env("HOME", home).env("XDG_DATA_HOME", home);
    command
}

fn interface<'a>(told: &'a Value, name: &str) -> &'a Value {
    let list = told["interfaces"].as_array().expect("a list");
    let found = list.iter().find(|view| view["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {told}"))
}

fn advice(told: &Value) -> String {
    told["advice"].to_string()
}

#[test]
fn question_comes_back_and_the_line_for_another_machine_is_told() {
    within(
        "doctor::question_comes_back_and_the_line_for_another_machine_is_told",
        Interfaces::Lan,
        || {
            let home = tempfile::tempdir().expect("a folder");
            let mut node = Node::spawn(seeker(home.path()));
            let told = node.ok("doctor");
            assert_eq!(interface(&told, "lan0")["multicast"], "returned", "{told}");
            assert_eq!(interface(&told, "lan0")["used"], true);
            assert_eq!(interface(&told, "lo")["used"], false);
            assert_eq!(told["others_heard"], 0);
            assert!(advice(&told).contains("nobody answers"), "{told}");
            let dial = told["dial"].as_str().expect("a line");
            assert!(dial.starts_with("dial /ip4/10.77.0.1/tcp/"), "{dial}");
            // Nothing leaves a node whose net is off.
            node.ok("net off");
            let told = node.ok("doctor");
            assert_eq!(told["others_heard"], Value::Null, "{told}");
            assert_eq!(interface(&told, "lan0")["multicast"], Value::Null, "{told}");
        },
    );
}

#[test]
fn other_machines_that_speak_are_counted() {
    within(
        "doctor::other_machines_that_speak_are_counted",
        Interfaces::Loopback,
        || {
            let bridge = Bridge::with_hosts(2);
            let homes = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
            let mut nodes: Vec<Node> = homes
                .iter()
                .enumerate()
                .map(|(host, home)| Node::spawn(bridge.on(host, &seeker(home.path()))))
                .collect();
            nodes[0].ok("wait peers 1");
            // Each question is answered by the other machine, but a datagram may be lost.
            let heard = (0..10).any(|_| nodes[0].ok("doctor")["others_heard"] == 1);
            assert!(heard, "{}", nodes[0].ok("doctor"));
            let told = nodes[0].ok("doctor");
            assert!(told["multicast_heard"].as_u64() > Some(0), "{told}");
            assert!(advice(&told).contains("1 peer is connected"), "{told}");
        },
    );
}

#[test]
fn machine_without_a_network_is_told_so() {
    within(
        "doctor::machine_without_a_network_is_told_so",
        Interfaces::Loopback,
        || {
            let home = tempfile::tempdir().expect("a folder");
            let mut node = Node::spawn(seeker(home.path()));
            let told = node.ok("doctor");
            assert_eq!(told["others_heard"], Value::Null, "{told}");
            assert!(advice(&told).contains("no interface leads to other machines"), "{told}");
            node.wait_event("warning", |event| {
                event["code"] == "alone" && event["message"].as_str().is_some_and(|text| text.contains("doctor"))
            });
        },
    );
}

#[test]
fn interfaces_of_containers_and_those_without_multicast_are_told_apart() {
    within(
        "doctor::interfaces_of_containers_and_those_without_multicast_are_told_apart",
        Interfaces::Lan,
        || {
            ip("link set lan0 multicast off");
            ip("link add docker0 type bridge");
            ip("address add 172.17.0.1/16 dev docker0");
            ip("link set docker0 up");
            ip("link add wg0 type veth peer name far0");
            ip("address add 10.8.0.2/24 dev wg0");
            ip("link set wg0 up");
            ip("link set far0 up");
            ip("link add eth9 type veth peer name far9");
            let home = tempfile::tempdir().expect("a folder");
            let mut node = Node::spawn(seeker(home.path()));
            let told = node.ok("doctor");
            let of = |name: &str| {
                let view = interface(&told, name);
                (view["used"] == true, view["reason"].as_str().unwrap_or("").to_owned())
            };
            assert_eq!(of("eth9"), (false, "it is down".to_owned()));
            // Whether an empty bridge counts as connected differs from system to system.
            assert!(
                of("docker0").1.contains("container") || of("docker0").1.contains("nothing is connected"),
                "{told}"
            );
            let (used, reason) = of("wg0");
            assert!(used && reason.contains("VPN"), "{told}");
            let (used, reason) = of("lan0");
            assert!(used && reason.contains("no multicast"), "{told}");
            assert_eq!(interface(&told, "lan0")["multicast"], "none", "{told}");
            let dial = told["dial"].as_str().expect("a line");
            assert!(dial.contains("10.77.0.1"), "the LAN's address, not the VPN's: {told}");
        },
    );
}

#[test]
fn copy_of_the_key_on_another_machine_is_told_and_where() {
    within(
        "doctor::copy_of_the_key_on_another_machine_is_told_and_where",
        Interfaces::Loopback,
        || {
            let bridge = Bridge::with_hosts(2);
            let homes = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
            let on = |folder: &Path| {
                let mut command = seeker(folder);
                command.arg("--data-dir").arg(folder);
                command
            };
            let mut original = Node::spawn(bridge.on(0, &on(homes[0].path())));
            original.ok("status");
            // Whoever copies a folder to a second machine copies the key.
            std::fs::copy(homes[0].path().join("key"), homes[1].path().join("key")).expect("a key");
            let copy = Node::spawn(bridge.on(1, &on(homes[1].path())));
            copy.wait_event("started", |_| true);
            // Each question is answered by the copy, but a datagram may be lost.
            let told = (0..20)
                .map(|_| original.ok("doctor"))
                .find(|told| told["same_key"] == true);
            let told = told.expect("the copy answers");
            let place = told["same_key_at"].as_str().expect("an address");
            assert!(place.starts_with("/ip4/10.77.0.2/tcp/"), "{told}");
            assert!(advice(&told).contains("--data-dir"), "{told}");
            assert!(!advice(&told).contains("no node is among them"), "{told}");
        },
    );
}

/// Whether this rule stands now: not everybody may set one, nor has the program.
fn has_firewall(on: impl Fn(&Command) -> Command, rule: &str) -> bool {
    let mut nft = Command::new("nft");
    nft.arg(format!(
        "add table inet f; add chain inet f i {{ type filter hook input priority 0; }}; add rule inet f i {rule}"
    ));
    let stands = on(&nft).status().is_ok_and(|status| status.success());
    if !stands {
        eprintln!("SKIPPED the firewall's advice: this system has no nft that may be used");
    }
    stands
}

#[test]
fn firewall_that_drops_multicast_is_told() {
    within("doctor::firewall_that_drops_multicast_is_told", Interfaces::Lan, || {
        let here = |nft: &Command| {
            let mut command = Command::new(nft.get_program());
            command.args(nft.get_args());
            command
        };
        if !has_firewall(here, "udp dport 5353 drop") {
            return;
        }
        let home = tempfile::tempdir().expect("a folder");
        let mut node = Node::spawn(seeker(home.path()));
        let told = node.ok("doctor");
        assert_eq!(interface(&told, "lan0")["multicast"], "lost", "{told}");
        assert!(advice(&told).contains("let UDP port 5353 in"), "{told}");
        assert!(advice(&told).contains("dial /ip4/10.77.0.1/tcp/"), "{told}");
    });
}

#[test]
fn firewall_that_refuses_connections_is_told() {
    within(
        "doctor::firewall_that_refuses_connections_is_told",
        Interfaces::Loopback,
        || {
            let bridge = Bridge::with_hosts(2);
            let rule = "tcp flags & (syn | ack) == syn reject with tcp reset";
            if !(0..2).all(|host| has_firewall(|nft| bridge.on(host, nft), rule)) {
                return;
            }
            let homes = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
            let mut node = Node::spawn(bridge.on(0, &seeker(homes[0].path())));
            let other = Node::spawn(bridge.on(1, &seeker(homes[1].path())));
            let id = other.wait_event("started", |_| true)["peer_id"].clone();
            let told = (0..60).map(|_| node.ok("doctor")).find(|told| {
                let failures = told["failures"].as_array().expect("a list");
                failures.iter().any(|failure| failure["peer_id"] == id)
            });
            let told = told.expect("it is found and not reached");
            assert!(advice(&told).contains("let their TCP port in"), "{told}");
            assert!(!advice(&told).contains("multicast"), "{told}");
        },
    );
}

#[test]
fn node_of_another_network_is_told_as_such() {
    within(
        "doctor::node_of_another_network_is_told_as_such",
        Interfaces::Lan,
        || {
            let homes = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
            let mut node = Node::spawn(seeker(homes[0].path()));
            let _other = Node::spawn(of_network("dev:elsewhere", homes[1].path()));
            // Found, dialled, and seen to speak of another network: that takes a moment.
            let told = (0..60).map(|_| node.ok("doctor")).find(|told| {
                let failures = told["failures"].as_array().expect("a list");
                failures.iter().any(|failure| failure["other_network"] == true)
            });
            let told = told.expect("the other network is seen");
            assert!(advice(&told).contains("nodes of another network answer"), "{told}");
        },
    );
}
