//! One LAN, several programs, networks and interfaces; in a network namespace of its own.

use std::process::Command;

use libp2p::mdns;

use super::discovery::in_namespace;
use super::*;
use crate::contract::DialFailure;

/// A node that looks for others, with the address of its cable.
async fn member(seed: u8, network: NetworkId) -> Net {
    let looking = NetConfig {
        listen: Vec::new(),
        mdns: true,
        ..config(seed, network)
    };
    let (handle, orders, facts) = launch(&looking).unwrap();
    let address = Address::parse("/ip4/10.77.0.1/tcp/1").unwrap().0;
    let mut net = Net {
        handle,
        orders,
        facts,
        address,
    };
    net.address = net
        .expect("address", |fact| match fact {
            NetFact::Listening(address) if !address.is_loopback() => Some(address),
            _ => None,
        })
        .await;
    net
}

/// Waits until discovery has told of a peer, and dials it.
async fn find_and_dial(net: &mut Net, other: PeerId) {
    let address = net
        .expect("record", |fact| match fact {
            NetFact::Found { peer, address, .. } if peer == other => Some(address),
            _ => None,
        })
        .await;
    let (peer, addresses) = (Some(other), vec![address]);
    net.order(NetOrder::Dial { peer, addresses }).await;
}

/// Waits for the refusal of a peer that is of another network.
async fn refused(net: &mut Net, other: PeerId) {
    net.expect("refusal", |fact| match fact {
        NetFact::DialFailed { peer, stranger, .. } => (peer == Some(other) && stranger.is_some()).then_some(()),
        NetFact::Connected { peer, .. } => {
            assert_ne!(peer, other, "it is of another network");
            None
        }
        _ => None,
    })
    .await;
}

fn run<T>(body: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(body)
}

#[test]
fn adv_d12_two_networks_on_one_lan_find_each_other_and_hear_nothing_of_each_other() {
    let name = "adv_d12_two_networks_on_one_lan_find_each_other_and_hear_nothing_of_each_other";
    in_namespace(module_path!(), name, || {
        run(async {
            let (mut a, mut b) = (member(1, NETWORK).await, member(2, NETWORK).await);
            let mut c = member(3, OTHER).await;
            find_and_dial(&mut a, c.id()).await;
            refused(&mut a, c.id()).await;
            find_and_dial(&mut a, b.id()).await;
            a.connected(b.id()).await;
            find_and_dial(&mut c, b.id()).await;
            refused(&mut c, b.id()).await;
            let publish = NetOrder::Publish {
                topic: Topic::Blocks,
                bytes: vec![1; 500],
            };
            let heard = |fact| matches!(fact, NetFact::Gossip { .. }).then_some(());
            loop {
                a.order(publish.clone()).await;
                if timeout(Duration::from_millis(300), b.expect("gossip", heard))
                    .await
                    .is_ok()
                {
                    break;
                }
            }
            while let Ok(fact) = c.facts.try_recv() {
                let strange = matches!(
                    fact,
                    NetFact::Connected { .. } | NetFact::Gossip { .. } | NetFact::Request { .. }
                );
                assert!(!strange, "{fact:?}");
            }
            "two networks apart".into()
        })
    });
}

#[derive(NetworkBehaviour)]
struct Program {
    mdns: mdns::tokio::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

#[test]
fn adv_d07_another_program_on_the_lan_is_found_refused_and_let_go() {
    let name = "adv_d07_another_program_on_the_lan_is_found_refused_and_let_go";
    in_namespace(module_path!(), name, || {
        run(async {
            let mut program = SwarmBuilder::with_new_identity()
                .with_tokio()
                .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
                .unwrap()
                .with_behaviour(|key| Program {
                    mdns: mdns::tokio::Behaviour::new(mdns::Config::default(), key.public().to_peer_id()).unwrap(),
                    identify: identify::Behaviour::new(identify::Config::new("ipfs/0.1.0".to_owned(), key.public())),
                    ping: ping::Behaviour::default(),
                })
                .unwrap()
                .with_swarm_config(|swarm| swarm.with_idle_connection_timeout(Duration::from_secs(3600)))
                .build();
            program.listen_on("/ip4/0.0.0.0/tcp/0".parse().unwrap()).unwrap();
            let other = *program.local_peer_id();
            let let_go = tokio::spawn(async move {
                loop {
                    if let SwarmEvent::ConnectionClosed { .. } = program.select_next_some().await {
                        return;
                    }
                }
            });
            let mut a = member(1, NETWORK).await;
            find_and_dial(&mut a, other).await;
            refused(&mut a, other).await;
            timeout(PATIENCE, let_go).await.expect("it is let go").unwrap();
            "another program was refused".into()
        })
    });
}

fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status().unwrap();
    assert!(status.success(), "ip {words}");
}

#[test]
fn adv_p06_nodes_with_two_interfaces_find_each_other_on_both_and_never_themselves() {
    let name = "adv_p06_nodes_with_two_interfaces_find_each_other_on_both_and_never_themselves";
    in_namespace(module_path!(), name, || {
        // As the bridge of containers: an address that many machines have.
        ip("link add v2 type veth peer name v3");
        ip("addr add 172.17.0.1/16 dev v2");
        ip("link set v2 up");
        ip("link set v3 up");
        run(async {
            let (mut a, b) = (member(1, NETWORK).await, member(2, NETWORK).await);
            let (me, other) = (a.id(), b.id());
            let mut hosts = std::collections::BTreeSet::new();
            a.expect("both addresses", |fact| {
                if let NetFact::Found { peer, address, .. } = fact {
                    assert_ne!(peer, me, "a node is no neighbour of its own");
                    assert_eq!(peer, other);
                    hosts.extend(address.ip());
                }
                (hosts.len() == 2).then_some(())
            })
            .await;
            let addresses = vec![a.address.clone()];
            a.order(NetOrder::Dial { peer: None, addresses }).await;
            let failed = a
                .expect("failure", |fact| match fact {
                    NetFact::DialFailed { peer, reason, .. } => Some((peer, reason)),
                    _ => None,
                })
                .await;
            assert_eq!(failed, (Some(me), DialFailure::OwnKey));
            format!("found on {hosts:?}")
        })
    });
}

#[tokio::test]
async fn adv_p06_nodes_meet_over_ipv6_alone() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return eprintln!("SKIPPED: this machine has no IPv6, it was NOT tested");
    }
    let mut nodes = Vec::new();
    for seed in [1, 2] {
        let alone = NetConfig {
            listen: vec!["/ip6/::1/tcp/0".parse().unwrap()],
            ..config(seed, NETWORK)
        };
        let (handle, orders, mut facts) = launch(&alone).unwrap();
        let Some(NetFact::Listening(address)) = facts.recv().await else {
            panic!("the first fact is where it listens");
        };
        nodes.push(Net {
            handle,
            orders,
            facts,
            address,
        });
    }
    let [a, b] = &mut nodes[..] else { unreachable!() };
    a.dial(b).await;
    assert_eq!(a.connected(b.id()).await, (b.address.clone(), Direction::Out));
    assert_eq!(b.connected(a.id()).await, (a.address.clone(), Direction::In));
}
