//! A hostile peer made of the node's own layers, with one lie switched on by its flags.
//!
//! Promises: it is bounded in count and time and ends by itself; it writes one line of JSON for each thing that it did
//! or heard, so that a test can wait for it; it goes nowhere but where its flags say.
//! Elsewhere: the scenarios, against real nodes in namespaces (`tests/node/hostile/`); what a node promises against it
//! (`proto-notes/threats.md`). Built by `cargo test`, or alone by `cargo build --example hostile`.

mod doors;
mod forge;
mod liar;
mod nonsense;
mod raw;
mod records;
mod roles;

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use clap::{Parser, Subcommand};
use lanchain::chain::NetworkParams;
use lanchain::types::Address;
use serde_json::{Value, json};

use crate::forge::Payments;

/// A hostile peer for tests in network namespaces.
#[derive(Parser, Debug)]
struct Flags {
    /// Of which network: a built-in one, or a TOML file
    #[arg(long, default_value = "dev", value_parser = network)]
    network: NetworkParams,
    /// The nodes to go to
    #[arg(long, value_parser = address)]
    to: Vec<Address>,
    /// As how many peers
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u32).range(1..=256))]
    identities: u32,
    /// What keys are made of: two of these programs with the same seed are the same peers
    #[arg(long, default_value = "1")]
    seed: u64,
    /// For how long
    #[arg(long, default_value = "30", value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    #[command(subcommand)]
    role: Role,
}

/// What it does.
#[derive(Subcommand, Clone, Debug)]
enum Role {
    /// Gossips payments in ever new lists
    Flood {
        /// Which payments
        #[arg(long, value_enum)]
        payments: Payments,
        /// How many each identity has
        #[arg(long, default_value = "500", value_parser = clap::value_parser!(u32).range(1..=20_000))]
        count: u32,
        /// How many stand in a list
        #[arg(long, default_value = "32", value_parser = clap::value_parser!(u32).range(1..=128))]
        list: u32,
        /// The pause between lists
        #[arg(long, default_value = "20")]
        every_ms: u64,
    },
    /// Gossips full blocks beside the first one
    Side {
        /// How many
        #[arg(long, default_value = "16", value_parser = clap::value_parser!(u32).range(1..=256))]
        count: u32,
        /// Payments in each
        #[arg(long, default_value = "4000", value_parser = clap::value_parser!(u32).range(1..=4_000))]
        payments: u32,
    },
    /// Says that it is another time
    Clock {
        /// How far ahead its clock is
        #[arg(long, allow_hyphen_values = true)]
        ahead_s: i64,
    },
    /// Tells of peers that are not there
    Peers {
        /// Where they are said to be, each under an invented key
        #[arg(long)]
        tell: Vec<String>,
    },
    /// Claims to have more blocks and answers no question about them
    Silent,
    /// Claims the same and answers a byte a second
    Slow,
    /// Opens sixteen streams that wait, and one more, again and again
    Streams {
        /// How often one more
        #[arg(long, default_value = "2000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
        count: u32,
    },
    /// Says what no honest peer says, one thing a connection
    Nonsense,
    /// Makes connections and holds them
    Knock {
        /// How many
        #[arg(long, default_value = "200", value_parser = clap::value_parser!(u32).range(1..=1_000))]
        count: u32,
    },
    /// Announces invented peers by multicast DNS
    Records {
        /// The addresses of this host to speak from
        #[arg(long)]
        from: Vec<Ipv4Addr>,
        /// Invented peers of each address
        #[arg(long, default_value = "32", value_parser = clap::value_parser!(u16).range(1..=1_000))]
        each: u16,
        /// Records a second, of all together
        #[arg(long, default_value = "400", value_parser = clap::value_parser!(u64).range(1..=2_000))]
        per_second: u64,
        /// The first of the ports that they are said to be on
        #[arg(long, default_value = "20000")]
        port: u16,
    },
    /// Takes connections, says nothing on them, and tells of each
    Listen {
        /// On this address
        #[arg(long, default_value = "0.0.0.0")]
        at: Ipv4Addr,
        /// On these ports
        #[arg(long)]
        port: Vec<u16>,
        /// And on so many behind the last one
        #[arg(long, default_value = "0", value_parser = clap::value_parser!(u16).range(..=1_000))]
        more: u16,
        /// Close each at once
        #[arg(long)]
        shut: bool,
    },
}

/// What all roles are told.
#[derive(Clone, Debug)]
struct Task {
    network: NetworkParams,
    to: Vec<Address>,
    identities: u64,
    seed: u64,
    time: Duration,
}

fn network(text: &str) -> Result<NetworkParams, String> {
    if text.ends_with(".toml") {
        let text = std::fs::read_to_string(text).map_err(|error| error.to_string())?;
        return NetworkParams::from_toml(&text).map_err(|error| error.to_string());
    }
    NetworkParams::built_in(text).map_err(|error| error.to_string())
}

fn address(text: &str) -> Result<Address, String> {
    let (address, _) = Address::parse(text).map_err(|error| error.to_string())?;
    Ok(address)
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// Says one thing that happened, in the form of a node's events.
fn say(event: &str, mut what: Value) {
    what["type"] = json!("event");
    what["event"] = json!(event);
    what["time_ms"] = json!(now_ms());
    println!("{what}");
}

fn main() {
    let flags = Flags::parse();
    let task = Task {
        network: flags.network,
        to: flags.to,
        identities: u64::from(flags.identities),
        seed: flags.seed,
        time: Duration::from_secs(flags.seconds),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        // Whatever a role waits for, its time is over some seconds later.
        let limit = task.time + Duration::from_secs(30);
        if tokio::time::timeout(limit, act(task, flags.role)).await.is_err() {
            say("overdue", json!({}));
        }
    });
    say("ended", json!({}));
    runtime.shutdown_background();
}

async fn act(task: Task, role: Role) {
    match role {
        Role::Flood {
            payments,
            count,
            list,
            every_ms,
        } => roles::flood(&task, payments, (count, list), Duration::from_millis(every_ms)).await,
        Role::Side { count, payments } => roles::side(&task, count, payments).await,
        Role::Clock { ahead_s } => roles::clock(&task, ahead_s).await,
        Role::Peers { tell } => roles::peers(&task, &tell).await,
        Role::Silent => roles::silent(&task).await,
        Role::Slow => nonsense::slow(&task).await,
        Role::Streams { count } => nonsense::streams(&task, count).await,
        Role::Nonsense => nonsense::all(&task).await,
        Role::Knock { count } => nonsense::knock(&task, count).await,
        Role::Records {
            from,
            each,
            per_second,
            port,
        } => records::announce(&task, &from, (each, port), per_second).await,
        Role::Listen { at, port, more, shut } => doors::listen(&task, at, (port, more), shut).await,
    }
}
