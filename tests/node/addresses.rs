//! Addresses as people have them: without a port, by name, by ticket, of a campus, of IPv6, behind a deaf firewall.
//!
//! Spec: `proto-notes/discovery.md`.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::harness::{Node, PATIENCE, binary};
use crate::namespace::{Bridge, Interfaces, ip, within};

/// A node with no flags but what makes it testable, in this home folder.
fn plain(home: &Path) -> Command {
    let mut command = binary();
    command.args(["--json", "--network", "dev"]);
    command.env("HOME", home).env("XDG_DATA_HOME", home.join("data"));
    command
}

fn addresses(node: &mut Node) -> Vec<String> {
    let told = node.ok("status")["addresses"].clone();
    let text = |address: &Value| address.as_str().expect("an address").to_owned();
    told.as_array().expect("a list").iter().map(text).collect()
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(status.is_ok_and(|status| status.success()), "{command:?}");
}

/// Two machines on one cable with these addresses instead of the usual ones; a node on each.
fn pair(bridge: &Bridge, hosts: [&str; 2], homes: &[tempfile::TempDir; 2]) -> [Node; 2] {
    let on = |host: usize, words: &str| {
        let mut command = Command::new("ip");
        command.args(words.split_whitespace());
        run(&mut bridge.on(host, &command));
    };
    for (host, address) in hosts.into_iter().enumerate() {
        on(host, "address flush dev eth0 scope global");
        on(host, &format!("address add {address} dev eth0"));
    }
    [0, 1].map(|host| Node::spawn(bridge.on(host, &plain(homes[host].path()))))
}

fn homes() -> [tempfile::TempDir; 2] {
    [(); 2].map(|()| tempfile::tempdir().expect("a folder"))
}

#[test]
fn nodes_on_public_addresses_of_one_campus_network_find_each_other() {
    within(
        "addresses::nodes_on_public_addresses_of_one_campus_network_find_each_other",
        Interfaces::Loopback,
        || {
            let (bridge, homes) = (Bridge::with_hosts(2), homes());
            for node in &mut pair(&bridge, ["130.149.5.5/16", "130.149.7.9/16"], &homes) {
                node.ok("wait peers 1");
            }
        },
    );
}

#[test]
fn what_is_named_outside_the_own_network_is_counted_and_not_dialled() {
    within(
        "addresses::what_is_named_outside_the_own_network_is_counted_and_not_dialled",
        Interfaces::Loopback,
        || {
            let (bridge, homes) = (Bridge::with_hosts(2), homes());
            let [mut first, _other] = pair(&bridge, ["130.149.5.5/24", "130.149.7.9/24"], &homes);
            let told = (0..60)
                .map(|_| first.ok("doctor"))
                .find(|told| told["multicast_dropped"].as_u64() > Some(0));
            let advice = told.expect("the other one is heard")["advice"].to_string();
            assert!(advice.contains("public addresses"), "{advice}");
            assert_eq!(first.events("peer_found").len(), 0);
        },
    );
}

#[test]
fn nodes_with_ipv6_alone_listen_find_and_dial_without_flags() {
    within(
        "addresses::nodes_with_ipv6_alone_listen_find_and_dial_without_flags",
        Interfaces::Loopback,
        || {
            if !Path::new("/proc/net/if_inet6").exists() {
                return eprintln!("SKIPPED: this system has no IPv6");
            }
            let (bridge, homes) = (Bridge::with_hosts(2), homes());
            for node in &mut pair(&bridge, ["fd77::1/64 nodad", "fd77::2/64 nodad"], &homes) {
                node.ok("wait peers 1");
                let own = addresses(node);
                assert!(own.iter().any(|address| address.starts_with("/ip6/fd77::")), "{own:?}");
                assert!(!own.iter().any(|address| address.contains("/fe80")), "{own:?}");
            }
        },
    );
}

#[test]
fn machine_that_hears_no_multicast_is_found_by_what_it_says_unasked() {
    within(
        "addresses::machine_that_hears_no_multicast_is_found_by_what_it_says_unasked",
        Interfaces::Loopback,
        || {
            let (bridge, homes) = (Bridge::with_hosts(2), homes());
            let mut nft = Command::new("nft");
            nft.arg(
                "add table inet f; add chain inet f i { type filter hook input priority 0; }; \
                 add rule inet f i udp dport 5353 drop",
            );
            if !bridge.on(0, &nft).status().is_ok_and(|status| status.success()) {
                return eprintln!("SKIPPED: this system has no nft that may be used");
            }
            let [mut deaf, mut other] = pair(&bridge, ["10.77.0.1/24", "10.77.0.2/24"], &homes);
            other.ok("wait peers 1");
            deaf.ok("wait peers 1");
            assert_eq!(deaf.events("peer_found").len(), 0);
        },
    );
}

#[test]
fn three_nodes_started_at_once_take_three_ports_and_one_of_them_the_usual_one() {
    within(
        "addresses::three_nodes_started_at_once_take_three_ports_and_one_of_them_the_usual_one",
        Interfaces::Loopback,
        || {
            let home = tempfile::tempdir().expect("a folder");
            let mut nodes = [(); 3].map(|()| Node::launch(plain(home.path())));
            let mut ports: Vec<String> = nodes
                .iter_mut()
                .map(|node| {
                    let own = addresses(node).remove(0);
                    own.split('/').nth(4).expect("a port").to_owned()
                })
                .collect();
            ports.sort();
            ports.dedup();
            assert_eq!(ports.len(), 3, "{ports:?}");
            assert!(ports.iter().any(|port| port == "4141"), "{ports:?}");
            // Whoever types no port means that one; names are looked up.
            let mut late = Node::spawn({
                let mut command = binary();
                command.args(["--json", "--network", "dev", "--temp", "--no-mdns"]);
                command
            });
            late.ok("dial 127.0.0.1");
            late.ok("dial /dns4/localhost");
            let error = late.send("dial no-such-host.invalid");
            let message = error["error"]["message"].as_str().expect("text").to_owned();
            assert!(message.contains("the name was not found"), "{error}");
        },
    );
}

#[test]
fn node_that_was_set_up_anew_is_reached_under_the_address_of_the_old_one() {
    let first = Node::alone();
    let whole = first.loopback_address();
    let (address, old) = whole.split_once("/p2p/").expect("a PeerId");
    let mut other = Node::start(["--temp", "--no-mdns", "--listen", "127.0.0.1:0", "--peer", address]);
    other.ok("wait peers 1");
    assert!(first.stop().success());
    other.ok("wait peers 0");
    let anew = Node::start(["--temp", "--no-mdns", "--listen", address]);
    other.ok("wait peers 1");
    let peer = other.ok("peers")["peers"][0].clone();
    assert_ne!(peer["peer_id"], old);
    assert_eq!(peer["found_by"], "manual");
    drop(anew);
}

#[test]
fn ticket_leads_to_its_network_and_its_node() {
    let on_loopback = |more: [&str; 2]| {
        let mut command = binary();
        command
            .args(["--json", "--temp", "--no-mdns", "--listen", "127.0.0.1:0"])
            .args(more);
        Node::spawn(command)
    };
    let mut host = on_loopback(["--network", "dev:room-1"]);
    let told = host.ok("invite");
    let ticket = told["ticket"].as_str().expect("a ticket").to_owned();
    assert!(ticket.len() < 110, "{ticket}");
    let mut guest = on_loopback(["--join", &ticket]);
    guest.ok("wait peers 1");
    assert_eq!(guest.ok("status")["network"], "dev:room-1");
    let mut stranger = Node::alone();
    let refusal = stranger.send(&format!("join {ticket}"));
    assert_eq!(refusal["error"]["code"], "other_network", "{refusal}");
    assert_eq!(
        guest.ok(&format!("join {ticket}"))["message"],
        "New nodes have been added"
    );
}

#[test]
fn chosen_interface_is_the_only_one_besides_the_loopback() {
    within(
        "addresses::chosen_interface_is_the_only_one_besides_the_loopback",
        Interfaces::Lan,
        || {
            ip("link add far0 type veth peer name far1");
            ip("address add 10.78.0.1/24 dev far0");
            ip("link set far0 up");
            ip("link set far1 up");
            let homes = homes();
            let on = |home: &tempfile::TempDir, bind: &str| {
                let mut command = plain(home.path());
                command.args(["--bind", bind]);
                Node::spawn(command)
            };
            let (mut first, mut second) = (on(&homes[0], "lan0"), on(&homes[1], "10.77.0.1"));
            first.ok("wait peers 1");
            for node in [&mut first, &mut second] {
                let own = addresses(node);
                assert_eq!(own.len(), 2, "{own:?}");
                assert!(
                    own[0].starts_with("/ip4/10.77.0.1/") && own[1].starts_with("/ip4/127."),
                    "{own:?}"
                );
            }
            // An address that comes later is taken, one that goes is left.
            ip("address add 10.77.9.1/24 dev lan0");
            let has = |node: &mut Node, count: usize| {
                (0..100).any(|_| {
                    std::thread::sleep(std::time::Duration::from_millis(100));
                    addresses(node).len() == count
                })
            };
            assert!(has(&mut first, 3), "{:?}", addresses(&mut first));
            ip("address del 10.77.9.1/24 dev lan0");
            assert!(has(&mut first, 2), "{:?}", addresses(&mut first));
        },
    );
}

/// Whether a node begins to talk with whoever connects from one address to another.
fn is_let_in(from: IpAddr, to: IpAddr, port: u16) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(from, 0).into()).expect("an own address");
    socket.connect(&SocketAddr::new(to, port).into()).expect("it listens");
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    // The first words of a connection, which the other end says too.
    let mut heard = [0; 20];
    stream.write_all(b"\x13/multistream/1.0.0\n").ok()?;
    stream.read_exact(&mut heard).ok()?;
    Some(stream)
}

#[test]
fn neighbours_on_an_own_ipv6_network_that_came_while_the_node_ran_are_let_in_each_for_itself() {
    within(
        "addresses::neighbours_on_an_own_ipv6_network_that_came_while_the_node_ran_are_let_in_each_for_itself",
        Interfaces::Lan,
        || {
            let home = tempfile::tempdir().expect("a folder");
            let mut command = plain(home.path());
            command.arg("--no-mdns");
            let mut node = Node::spawn(command);
            for host in 1..=13 {
                ip(&format!("address add 2001:db8:77::{host:x}/64 dev lan0 nodad"));
            }
            let port = loop {
                let told = addresses(&mut node);
                let own = told.iter().find(|address| address.contains("/ip6/2001:db8:77::"));
                if let Some((_, port)) = own.and_then(|address| address.split_once("/tcp/")) {
                    break port.split('/').next().expect("a port").parse().expect("a number");
                }
            };
            let at = |host: u16| IpAddr::from([0x2001, 0xdb8, 0x77, 0, 0, 0, 0, host]);
            let standing: Vec<_> = (2..=13).filter_map(|host| is_let_in(at(host), at(1), port)).collect();
            assert_eq!(standing.len(), 12, "handshakes of twelve addresses");
        },
    );
}
