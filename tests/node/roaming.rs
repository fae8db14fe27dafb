//! Machines that move: cable, address, process and power go and come back while payments are made.
//!
//! Promises: what was acknowledged is known to all nodes some seconds after the last thing happened, whoever moved and
//! however; a random walk prints its seed, `LANCHAIN_ROAM_SEED` repeats it, `LANCHAIN_ROAM_STEPS` makes it longer.
//! Spec: `proto-notes/discovery.md`, "Connections"; `proto-notes/gossip.md`, "Topics".

use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Node, binary};
use crate::namespace::{Bridge, Interfaces, within};

/// When all nodes must know what was acknowledged. The machine that runs the tests may be busy.
const KNOWN_WITHIN: Duration = Duration::from_secs(20);
/// After this a connection is no longer one of two that were made at once.
const SETTLED: Duration = Duration::from_millis(3_500);
/// Steps of the random walk in an ordinary run of the tests, about a second and a half each.
const STEPS: u64 = 16;

/// A machine on the bridge, and the node on it unless it was killed.
struct Machine {
    host: usize,
    home: TempDir,
    node: Option<Node>,
    /// The last part of its address.
    address: usize,
    has_cable: bool,
    has_net: bool,
}

/// Some machines, and what their nodes acknowledged.
struct World {
    bridge: Bridge,
    machines: Vec<Machine>,
    next_address: usize,
    acknowledged: Vec<String>,
}

/// How a machine goes away and comes back.
#[derive(Clone, Copy, Debug)]
enum Break {
    /// The cable is out, the node is killed, and starts at another address.
    Quiet,
    /// The cable is out, `net off`, another address, `net on`.
    NetOff,
    /// The power is cut, and the node starts at the same address.
    Power,
}

impl World {
    fn with(count: usize) -> Self {
        let machine = |host| Machine {
            host,
            home: tempfile::tempdir().expect("a folder"),
            node: None,
            address: host + 1,
            has_cable: true,
            has_net: true,
        };
        let mut world = Self {
            bridge: Bridge::with_hosts(count),
            machines: (0..count).map(machine).collect(),
            next_address: 100,
            acknowledged: Vec::new(),
        };
        (0..count).for_each(|host| world.start(host));
        for host in 0..count {
            world.node(host).ok(&format!("wait peers {}", count - 1));
        }
        world
    }

    fn node(&mut self, host: usize) -> &mut Node {
        self.machines[host].node.as_mut().expect("it runs")
    }

    fn start(&mut self, host: usize) {
        let machine = &mut self.machines[host];
        let mut command = binary();
        command.args(["--json", "--network", "dev"]);
        command
            .env("HOME", machine.home.path())
            .env("XDG_DATA_HOME", machine.home.path());
        let node = Node::spawn(self.bridge.on(machine.host, &command));
        machine.node = Some(node);
        machine.has_net = true;
    }

    fn kill(&mut self, host: usize) {
        if let Some(node) = self.machines[host].node.take() {
            node.kill();
        }
    }

    fn cable(&mut self, host: usize, state: &str) {
        self.bridge.cable(host, state);
        self.machines[host].has_cable = state == "up";
    }

    /// Another address, as another network gives it.
    fn move_on(&mut self, host: usize) {
        self.next_address += 1;
        self.machines[host].address = self.next_address;
        self.bridge.set_address(host, self.next_address);
    }

    fn cut_power(&mut self, host: usize) {
        self.bridge.power_off(host);
        self.kill(host);
        self.bridge.power_on(host);
        let machine = &mut self.machines[host];
        let address = machine.address;
        machine.has_cable = true;
        if address != host + 1 {
            self.bridge.set_address(host, address);
        }
    }

    fn leave_and_return(&mut self, host: usize, how: Break) {
        match how {
            Break::Quiet => {
                self.cable(host, "down");
                self.kill(host);
                self.move_on(host);
                self.cable(host, "up");
                self.start(host);
            }
            Break::NetOff => {
                self.cable(host, "down");
                self.node(host).ok("net off");
                self.move_on(host);
                self.cable(host, "up");
                self.node(host).ok("net on");
            }
            Break::Power => {
                self.cut_power(host);
                self.start(host);
            }
        }
    }

    /// Makes a payment at a node that runs; its id if it was acknowledged.
    fn pay(&mut self, host: usize) -> Option<String> {
        let node = self.machines[host].node.as_mut()?;
        let reply = node.send(&format!("tx payer{host} bob 1"));
        let id = reply["data"]["txid"].as_str()?.to_owned();
        assert_eq!(reply["ok"], true, "{reply}");
        self.acknowledged.push(id.clone());
        Some(id)
    }

    /// Waits until all nodes know a payment; how long that took.
    fn known_to_all(&mut self, id: &str, since: Instant) -> Duration {
        for host in 0..self.machines.len() {
            while !knows(self.node(host), id) {
                let waited = since.elapsed();
                assert!(waited < KNOWN_WITHIN, "node {host} does not know {id} after {waited:?}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        since.elapsed()
    }
}

fn knows(node: &mut Node, id: &str) -> bool {
    let reply = node.send(&format!("transaction {id}"));
    reply["ok"] == Value::Bool(true)
}

fn returns_and_pays(count: usize, ways: &[Break]) {
    let mut world = World::with(count);
    let mut times = Vec::new();
    for how in ways {
        // Of two nodes one has the smaller PeerId: each of them goes once.
        for host in 0..2 {
            std::thread::sleep(SETTLED);
            world.leave_and_return(host, *how);
            world.node(host).ok("wait peers 1");
            let mut slowest = Duration::ZERO;
            for payer in [host, 1 - host] {
                let id = world.pay(payer).expect("both nodes run");
                slowest = slowest.max(world.known_to_all(&id, Instant::now()));
            }
            times.push(format!("{how:?} of node {host}: {slowest:?}"));
        }
    }
    println!("{count} nodes, payments both ways: {times:#?}");
}

#[test]
fn a_payment_leaves_at_once_after_its_node_came_back_from_anywhere() {
    within(
        "roaming::a_payment_leaves_at_once_after_its_node_came_back_from_anywhere",
        Interfaces::Loopback,
        || returns_and_pays(2, &[Break::Quiet, Break::NetOff, Break::Power]),
    );
}

#[test]
fn a_payment_of_a_node_that_came_back_reaches_three_others() {
    within(
        "roaming::a_payment_of_a_node_that_came_back_reaches_three_others",
        Interfaces::Loopback,
        || returns_and_pays(4, &[Break::Quiet]),
    );
}

/// What cannot be sent fills the connection's buffers: it must end all the same, and make room for the next one.
#[test]
fn a_neighbour_that_is_gone_is_told_as_gone_however_much_was_sent_to_it() {
    within(
        "roaming::a_neighbour_that_is_gone_is_told_as_gone_however_much_was_sent_to_it",
        Interfaces::Loopback,
        || {
            let mut world = World::with(2);
            std::thread::sleep(SETTLED);
            world.cable(1, "down");
            let stays = world.node(0);
            // Twelve names, since 64 payments of one may wait.
            let lines: Vec<u64> = (0..720)
                .map(|n| stays.write(&format!("tx stays{} bob 1", n % 12)))
                .collect();
            lines.iter().for_each(|line| assert_eq!(stays.reply(*line)["ok"], true));
            stays.ok("wait peers 0 60");
            world.kill(1);
            world.move_on(1);
            world.cable(1, "up");
            world.start(1);
            world.node(1).ok("wait peers 1");
            for payer in [1, 0] {
                let id = world.pay(payer).expect("both nodes run");
                world.known_to_all(&id, Instant::now());
            }
        },
    );
}

/// A seed of choice, or the time of day.
fn seed() -> u64 {
    let given = std::env::var("LANCHAIN_ROAM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    given.unwrap_or_else(|| now.map_or(1, |now| u64::from(now.subsec_nanos())))
}

/// Numbers of a seed: the multiplier is Knuth's.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Does one thing to one machine, and says which and what.
fn step(world: &mut World, dice: &mut Dice) -> (usize, &'static str) {
    let host = usize::try_from(dice.below(4)).expect("small");
    let machine = &world.machines[host];
    let (runs, has_cable, has_net) = (machine.node.is_some(), machine.has_cable, machine.has_net);
    let what = match dice.below(9) {
        0 => {
            world.cable(host, if has_cable { "down" } else { "up" });
            "cable"
        }
        1 if runs => {
            world.node(host).ok(if has_net { "net off" } else { "net on" });
            world.machines[host].has_net = !has_net;
            "net"
        }
        2 => {
            world.move_on(host);
            "address"
        }
        3 if runs => {
            world.kill(host);
            "kill"
        }
        4 | 5 => {
            world.cut_power(host);
            world.start(host);
            "power"
        }
        _ if !runs => {
            world.start(host);
            "start"
        }
        _ => {
            world.leave_and_return(host, Break::Quiet);
            "quiet"
        }
    };
    (host, what)
}

#[test]
fn what_was_acknowledged_on_a_random_walk_of_four_machines_is_known_to_all_after_it() {
    within(
        "roaming::what_was_acknowledged_on_a_random_walk_of_four_machines_is_known_to_all_after_it",
        Interfaces::Loopback,
        || {
            let seed = seed();
            println!("LANCHAIN_ROAM_SEED={seed}");
            let steps = std::env::var("LANCHAIN_ROAM_STEPS")
                .ok()
                .and_then(|steps| steps.parse().ok());
            let mut dice = Dice(seed);
            let mut world = World::with(4);
            for number in 0..steps.unwrap_or(STEPS) {
                std::thread::sleep(Duration::from_millis(dice.below(2_000)));
                let (host, what) = step(&mut world, &mut dice);
                println!("step {number}: {what} of node {host}");
                // Who has just come back, as soon as somebody is there, or anybody.
                let payer = usize::try_from(dice.below(8)).expect("small");
                if payer >= 4 && world.machines[host].node.is_some() {
                    world.node(host).send("wait peers 1 3");
                }
                world.pay(if payer < 4 { payer } else { host });
            }
            for host in 0..4 {
                world.cable(host, "up");
                if world.machines[host].node.is_none() {
                    world.start(host);
                } else if !world.machines[host].has_net {
                    world.node(host).ok("net on");
                }
            }
            let quiet = Instant::now();
            let acknowledged = std::mem::take(&mut world.acknowledged);
            let longest = acknowledged.iter().map(|id| world.known_to_all(id, quiet)).max();
            println!(
                "{} payments at all nodes, the last one after {longest:?}",
                acknowledged.len()
            );
        },
    );
}
