//! The command line: flags, then environment, then defaults; checked before anything starts.
//!
//! Promises: what leaves here is valid, so that a wrong flag ends with status 2 and its usage before a folder is made.
//! Spec: `README.md`, "Options".

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use multiaddr::{Multiaddr, Protocol};

use crate::chain::NetworkParams;
use crate::types::{AccountName, Address, PeerId};

/// The most mining threads that can be asked for: more than any machine of a LAN has cores.
const THREADS_MAX: usize = 1_024;

/// When output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A blockchain node for the local network. Start it on a few machines, or in a few terminals: the nodes find each
/// other and agree on the branch with the most work.
#[derive(Clone, Debug, Parser)]
#[command(name = "lanchain", version, after_help = EXAMPLES)]
pub struct Options {
    /// Keep key and chain in this folder (default: the first free one of this network and user)
    #[arg(long, value_name = "DIR", env = "LANCHAIN_DATA_DIR", conflicts_with = "temp")]
    pub data_dir: Option<PathBuf>,

    /// Use a folder of its own that is removed at the stop
    #[arg(long, env = "LANCHAIN_TEMP")]
    pub temp: bool,

    /// lan, coin, dev, one of them with :WORD to keep groups apart, or a TOML file
    #[arg(long, value_name = "NETWORK", default_value = "lan", env = "LANCHAIN_NETWORK", value_parser = network)]
    pub network: NetworkParams,

    /// Judge block times by the median clock of the peers instead of the own clock
    #[arg(long, env = "LANCHAIN_PEER_CLOCK")]
    pub peer_clock: bool,

    /// TCP port to listen on; 0: the folder's last one if it is free, else any
    #[arg(long, value_name = "PORT", default_value_t = 0, env = "LANCHAIN_PORT", conflicts_with = "listen")]
    pub port: u16,

    /// Addresses to listen on, as /ip4/192.168.1.5/tcp/4001 or 192.168.1.5:4001 (default: every interface)
    #[arg(long, value_name = "ADDRESS", num_args = 1.., value_delimiter = ',', env = "LANCHAIN_LISTEN")]
    #[arg(value_parser = listen)]
    pub listen: Vec<Multiaddr>,

    /// Peers to connect to, as /ip4/192.168.1.5/tcp/4001 or 192.168.1.5:4001
    #[arg(long, value_name = "ADDRESS", num_args = 1.., value_delimiter = ',', env = "LANCHAIN_PEER")]
    #[arg(value_parser = peer)]
    pub peer: Vec<PeerAddress>,

    /// Find nobody by multicast nor on this machine: only --peer, dial and remembered peers
    #[arg(long, env = "LANCHAIN_NO_MDNS")]
    pub no_mdns: bool,

    /// The node's name; claimed on the chain if it is free, and paid by mining
    #[arg(long, value_name = "NAME", env = "LANCHAIN_NAME", value_parser = name)]
    pub name: Option<AccountName>,

    /// Mine from the start
    #[arg(long, env = "LANCHAIN_MINE")]
    pub mine: bool,

    /// Mining threads (default: all cores but one)
    #[arg(long, value_name = "N", env = "LANCHAIN_THREADS", value_parser = threads)]
    pub threads: Option<usize>,

    /// Write replies and events as JSON lines to standard output
    #[arg(long, env = "LANCHAIN_JSON")]
    pub json: bool,

    /// Run these commands instead of reading standard input, then stop
    #[arg(long, value_name = "CMD; CMD", env = "LANCHAIN_EXEC")]
    pub exec: Option<String>,

    /// Stay when standard input or --exec ends
    #[arg(long, env = "LANCHAIN_DAEMON")]
    pub daemon: bool,

    /// Stop at the first command that fails
    #[arg(long, env = "LANCHAIN_STRICT")]
    pub strict: bool,

    /// What to log: error, warn, info, debug, trace, or parts as in net=debug,info
    #[arg(long, value_name = "SPEC", default_value = "info", env = "LANCHAIN_LOG")]
    pub log: String,

    /// When to colour
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto, env = "LANCHAIN_COLOR")]
    pub color: ColorChoice,
}

/// A peer as given by `--peer`.
pub type PeerAddress = (Address, Option<PeerId>);

const EXAMPLES: &str = "\
Examples:
  lanchain                              start a node and a prompt; type help
  lanchain --name alice --mine          mine from the start, paid to alice
  lanchain --temp --exec 'tx alice bob 5; mine; balance bob'

Exit status: 0 all well, 1 a command failed, 2 wrong usage, 3 data folder, 4 network, 5 a wait ran out.";

/// A built-in network, or a file if the text looks like a path.
fn network(text: &str) -> Result<NetworkParams, String> {
    if !text.contains(['/', '\\', '.']) {
        return NetworkParams::built_in(text).map_err(|error| error.to_string());
    }
    let toml = std::fs::read_to_string(text).map_err(|error| format!("cannot read the file: {error}"))?;
    NetworkParams::from_toml(&toml).map_err(|error| error.to_string())
}

/// As a peer's address, but port 0 is allowed: any free one.
fn listen(text: &str) -> Result<Multiaddr, String> {
    let multiaddr = match text.parse::<SocketAddr>() {
        Ok(socket) => Multiaddr::from(socket.ip()).with(Protocol::Tcp(socket.port())),
        Err(_) => text.parse().map_err(|_| format!("\"{text}\" is no address"))?,
    };
    let mut parts = multiaddr.iter();
    let numeric = matches!(parts.next(), Some(Protocol::Ip4(_) | Protocol::Ip6(_)));
    let transport = match parts.next() {
        Some(Protocol::Tcp(_)) => true,
        Some(Protocol::Udp(_)) => cfg!(feature = "quic") && parts.next() == Some(Protocol::QuicV1),
        _ => false,
    };
    if numeric && transport && parts.next().is_none() {
        Ok(multiaddr.clone())
    } else {
        Err(format!("cannot listen on \"{text}\": it must be /ip4/ADDRESS/tcp/PORT or ADDRESS:PORT"))
    }
}

fn peer(text: &str) -> Result<PeerAddress, String> {
    Address::parse(text).map_err(|error| error.to_string())
}

fn name(text: &str) -> Result<AccountName, String> {
    AccountName::new(&text.to_ascii_lowercase()).map_err(|error| error.to_string())
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=THREADS_MAX).contains(&number) => Ok(number),
        _ => Err(format!("must be 1 to {THREADS_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("lanchain").chain(args.split_whitespace()))
    }

    #[test]
    fn no_flags_mean_the_default_network_and_a_prompt() {
        let options = parse("").unwrap();
        assert_eq!(options.network, NetworkParams::lan());
        assert!(!options.json && !options.daemon && options.exec.is_none());
    }

    #[test]
    fn wrong_flags_are_refused_with_status_2() {
        for args in [
            "--colour",
            "--port 70000",
            "--port x",
            "--peer nonsense",
            "--listen localhost:1",
            "--listen /ip4/10.0.0.1/udp/4001",
            "--network mars",
            "--network lan:UPPER",
            "--threads 0",
            "--name 0",
            "--name me",
            "--temp --data-dir x",
            "stray",
        ] {
            assert_eq!(parse(args).expect_err(args).exit_code(), 2, "{args}");
        }
    }

    #[test]
    fn names_are_folded_and_several_peers_fit_one_flag() {
        let options = parse("--name Alice --peer 10.0.0.1:4001 /ip4/10.0.0.2/tcp/4001").unwrap();
        assert_eq!(options.name.unwrap().as_str(), "alice");
        assert_eq!(options.peer.len(), 2);
    }

    #[test]
    fn any_free_port_can_be_listened_on() {
        let options = parse("--listen 127.0.0.1:0 /ip4/10.0.0.2/tcp/4001").unwrap();
        let texts: Vec<_> = options.listen.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["/ip4/127.0.0.1/tcp/0", "/ip4/10.0.0.2/tcp/4001"]);
    }

    #[test]
    fn definition_of_the_command_line_is_sound() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }
}
