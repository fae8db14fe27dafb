//! Another program on the port of multicast DNS: one that shares it, as avahi and systemd-resolved do, and one that keeps it.
//!
//! Promises: each test holds the port in a network namespace of its own.
//! Spec: `proto-notes/discovery.md`, "Multicast DNS".

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};

use crate::harness::{Node, PATIENCE, binary};
use crate::namespace::{Interfaces, within};

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 5353);
/// What a node says when it cannot have the port.
const TAKEN: &str = "another program has UDP port 5353 for itself";

/// How another program takes the port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// As systemd-resolved does: any user's programs may take it too.
    Address,
    /// As avahi does.
    AddressAndPort,
}

/// A program that listens to multicast DNS beside others.
fn sharer(sharing: Sharing) -> UdpSocket {
    let opened = socket(AddressFamily::INET, SocketType::DGRAM, None).expect("a socket");
    sockopt::set_socket_reuseaddr(&opened, true).expect("an option");
    sockopt::set_socket_reuseport(&opened, sharing == Sharing::AddressAndPort).expect("an option");
    bind(&opened, &PORT).expect("the port is free");
    let opened = UdpSocket::from(opened);
    let interface = Ipv4Addr::new(10, 77, 0, 1);
    opened
        .join_multicast_v4(&GROUP, &interface)
        .expect("the interface is up");
    opened
}

/// A node that no other of this machine takes for a sibling: it is found by multicast or not at all.
fn on_folder(folder: &Path) -> Command {
    let mut command = binary();
    command.args(["--json", "--network", "dev", "--data-dir"]).arg(folder);
    command
}

fn found_by_multicast(node: &Node) -> bool {
    let found = node.events("peer_found");
    found.iter().any(|event| event["found_by"] == "mdns")
}

/// Whether a question or an answer about libp2p's programs reaches this program.
fn hears(program: &UdpSocket) -> bool {
    let deadline = Instant::now() + PATIENCE;
    let mut datagram = [0; 9_000];
    program
        .set_read_timeout(Some(Duration::from_secs(1)))
        .expect("an option");
    while Instant::now() < deadline {
        let Ok(size) = program.recv(&mut datagram) else {
            continue;
        };
        if datagram[..size].windows(5).any(|window| window == b"\x04_p2p") {
            return true;
        }
    }
    false
}

#[test]
fn adv_p15_mdns_works_beside_programs_that_share_its_port() {
    within(
        "mdns_port::adv_p15_mdns_works_beside_programs_that_share_its_port",
        Interfaces::Lan,
        || {
            let others = [sharer(Sharing::AddressAndPort), sharer(Sharing::Address)];
            let homes = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
            let mut nodes = homes.each_ref().map(|home| Node::spawn(on_folder(home.path())));
            for node in &mut nodes {
                node.ok("wait peers 1");
            }
            assert!(
                nodes.iter().any(found_by_multicast),
                "one of them dialled what it had found"
            );
            let told = nodes[0].ok("doctor");
            assert_eq!(
                told["interfaces"].to_string().matches("\"returned\"").count(),
                1,
                "{told}"
            );
            assert!(others.iter().all(hears), "the node takes nothing from the others");
            assert_eq!(nodes[0].log_count(TAKEN), 0);
        },
    );
}

#[test]
fn adv_p15_a_program_that_keeps_mdns_port_costs_discovery_until_it_ends_and_nothing_else() {
    within(
        "mdns_port::adv_p15_a_program_that_keeps_mdns_port_costs_discovery_until_it_ends_and_nothing_else",
        Interfaces::Lan,
        || {
            let keeper = UdpSocket::bind(PORT).expect("the port is free");
            let homes = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
            let start = |node: usize| Node::spawn(on_folder(homes[node].path()));
            let (mut first, mut second) = (start(0), start(1));
            first.wait_log(TAKEN);
            let told = first.ok("doctor");
            assert!(
                told["interfaces"].to_string().contains("\"multicast\":\"taken\""),
                "{told}"
            );
            let advice = told["advice"].to_string();
            assert!(advice.contains(TAKEN), "{advice}");
            assert!(!advice.contains("firewall"), "no firewall is at fault: {advice}");
            let dial = told["dial"].as_str().expect("a line to type elsewhere");
            second.ok(dial);
            first.ok("mine");
            second.ok("wait height 1");
            assert!(!found_by_multicast(&first) && !found_by_multicast(&second));

            drop(keeper);
            let mut third = start(2);
            third.ok("wait peers 2");
            first.wait_log("discovery works again");
            assert_eq!(first.log_count(TAKEN), 1);
        },
    );
}
