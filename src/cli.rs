//! The command line: flags, environment variables, tasks, and which of them exclude each other.
//!
//! Promises: a flag wins over its variable (`LANCHAIN_DATA_DIR` and so on); wrong usage is reported before anything is
//! changed, with exit status 2. Elsewhere: what the values do (`node`).
//! Spec: `proto-notes/events.md`, "Command line".

mod task;
mod values;
mod web;
mod words;

use core::num::NonZeroUsize;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::chain::params::NetworkParams;
use crate::engine::PeerClock;
use crate::engine::tickets;
use crate::store::Trust;
use crate::types::prefix::Bind;
use crate::types::ticket::{Ticket, TicketNetwork};
use crate::types::{AccountName, Address, PeerId};

pub use task::{KeyTask, Task};
pub use web::WebWish;
pub use words::shell_word;

/// The data folder that the user chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataFolder {
    /// `--data-dir`: the given folder.
    Dir(PathBuf),
    /// `--temp`: a new folder that is removed when the node stops.
    Temp,
    /// The slot of the name in `--name`, or the first free slot of the network.
    Slot,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The user's wishes from flags and environment, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args {
    /// The task to do instead of running a node; none runs a node.
    pub task: Option<Task>,
    /// The data folder to use.
    pub folder: DataFolder,
    /// Which exposure of the folder to other users is accepted.
    pub trust: Trust,
    /// The parameters of the network to join.
    pub network: NetworkParams,
    /// The network as it was chosen by a flag or a variable; none if that was left to the default.
    pub network_chosen: Option<String>,
    /// Which clock the node follows.
    pub peer_clock: PeerClock,
    /// The port; 0 means the folder's last one if it is free, otherwise any.
    pub port: u16,
    /// The addresses to listen on; empty means all interfaces. A port may be 0.
    pub listen: Vec<Address>,
    /// The interfaces for listening and discovery, by name or address; empty means all.
    pub bind: Vec<Bind>,
    /// The peers to connect to, each with the identity that it must have, if that is given.
    pub peers: Vec<(Address, Option<PeerId>)>,
    /// Whether multicast DNS and the user's other nodes on this machine are used.
    pub discovery: bool,
    /// Whether peers are asked for other peers.
    pub exchange: bool,
    /// Whether, and where, the page is served; none leaves it off.
    pub web: Option<WebWish>,
    /// Names of hosts by which the page may be called.
    pub web_hosts: Vec<String>,
    /// The name that the node announces, and claims if it is free.
    pub name: Option<AccountName>,
    /// Whether to mine from the start.
    pub mine: bool,
    /// The number of mining threads; none lets the node decide.
    pub threads: Option<NonZeroUsize>,
    /// Whether stdout carries JSON lines.
    pub json: bool,
    /// The commands to run instead of those on stdin.
    pub exec: Option<String>,
    /// Whether to keep running when the input ends.
    pub daemon: bool,
    /// Whether to stop at the first failing command.
    pub strict: bool,
    /// What is logged, in the filter syntax of `tracing`.
    pub log: String,
    /// Whether the time of day stands before each line of the log in words.
    pub times: bool,
    /// When to use colour.
    pub color: Color,
}

/// The most mining threads that can be requested: more than any desktop machine has.
const THREADS_MAX: u64 = 1_024;

/// A blockchain node for the local network.
///
/// Start it on a few machines, or in a few terminals: the nodes find each other, gossip transactions and blocks, and
/// agree on the branch with the most work. Type help at its prompt. Without a task the program runs a node.
#[derive(Parser, Debug)]
#[command(
    name = "lanchain",
    version,
    max_term_width = 100,
    subcommand_value_name = "TASK",
    subcommand_help_heading = "Tasks"
)]
struct Flags {
    #[command(subcommand)]
    task: Option<Task>,
    /// Keep everything in this folder
    #[arg(long, global = true, value_name = "DIR", env = "LANCHAIN_DATA_DIR", value_parser = clap::value_parser!(PathBuf))]
    data_dir: Option<PathBuf>,
    /// Keep everything in a folder that is removed at the stop
    #[arg(long, env = "LANCHAIN_TEMP", value_parser = FalseyValueParser::new())]
    temp: bool,
    /// Use a folder and a key that others on this machine can read or change: where a disk keeps no permissions
    #[arg(long, global = true, env = "LANCHAIN_ALLOW_EXPOSED_FOLDER", value_parser = FalseyValueParser::new())]
    allow_exposed_folder: bool,
    /// Which network: lan, coin or dev, with a word to stay apart from others (lan:WORD), or a TOML file
    #[arg(long, global = true, value_name = "NAME|NAME:WORD|FILE", env = "LANCHAIN_NETWORK", default_value = "lan", value_parser = values::network)]
    network: NetworkParams,
    /// Go by this node's clock (a PeerId, or a name that it owns), however far it is off; without PEER by the middle of
    /// the clocks of at least three addresses, at most 5 minutes off the own one
    #[arg(long, value_name = "PEER", env = "LANCHAIN_PEER_CLOCK", num_args = 0..=1, default_missing_value = "median", value_parser = PeerClock::parse)]
    peer_clock: Option<PeerClock>,
    /// Listen on this port; 0: the last one of the folder, 4141, or any, whichever is free
    #[arg(long, value_name = "N", env = "LANCHAIN_PORT", default_value = "0")]
    port: u16,
    /// Listen on these addresses only, as multiaddr or IP:PORT
    #[arg(long, value_name = "ADDRESS", env = "LANCHAIN_LISTEN", num_args = 1.., value_delimiter = ',', value_parser = values::listen)]
    listen: Vec<Address>,
    /// Listen, announce and look on these interfaces only, by name or address
    #[arg(long, value_name = "INTERFACE|ADDRESS", env = "LANCHAIN_BIND", num_args = 1.., value_delimiter = ',', value_parser = values::bind)]
    bind: Vec<Bind>,
    /// Connect to these nodes: IP or name of a host, with or without :PORT, or a multiaddr
    #[arg(long = "peer", value_name = "ADDRESS", env = "LANCHAIN_PEER", num_args = 1.., value_delimiter = ',', value_parser = values::peer)]
    peers: Vec<(Address, Option<PeerId>)>,
    /// Join the network and the node of this ticket, which `invite` shows there
    #[arg(long, value_name = "TICKET", env = "LANCHAIN_JOIN", value_parser = values::ticket)]
    join: Option<Ticket>,
    /// Do not look for nodes, neither on the network nor on this machine
    #[arg(long, env = "LANCHAIN_NO_MDNS", value_parser = FalseyValueParser::new())]
    no_mdns: bool,
    /// Do not ask neighbours for other nodes
    #[arg(long, env = "LANCHAIN_NO_EXCHANGE", value_parser = FalseyValueParser::new())]
    no_exchange: bool,
    /// Serve a page that shows the chain, here: PORT, IP or IP:PORT; without one 127.0.0.1:8645 or the next free port
    #[arg(long, value_name = "ADDRESS", env = "LANCHAIN_WEB", num_args = 0..=1, default_missing_value = "on", value_parser = web::wish)]
    web: Option<web::MayWeb>,
    /// Let the page be called by these names of hosts too
    #[arg(long = "web-host", value_name = "NAME", env = "LANCHAIN_WEB_HOST", num_args = 1.., value_delimiter = ',', value_parser = web::host)]
    web_hosts: Vec<String>,
    /// The name to announce, and to claim if it is free
    #[arg(long, global = true, value_name = "NAME", env = "LANCHAIN_NAME", value_parser = values::name)]
    name: Option<AccountName>,
    /// Mine from the start
    #[arg(long, env = "LANCHAIN_MINE", value_parser = FalseyValueParser::new())]
    mine: bool,
    /// Mine with so many threads
    #[arg(long, global = true, value_name = "N", env = "LANCHAIN_THREADS", value_parser = clap::value_parser!(u64).range(1..=THREADS_MAX))]
    threads: Option<u64>,
    /// Write JSON lines to stdout
    #[arg(long, global = true, env = "LANCHAIN_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
    /// Run these commands instead of reading any, then stop
    #[arg(long, value_name = "CMD; CMD", env = "LANCHAIN_EXEC", allow_hyphen_values = true)]
    exec: Option<String>,
    /// Stay when the commands end
    #[arg(long, global = true, env = "LANCHAIN_DAEMON", value_parser = FalseyValueParser::new())]
    daemon: bool,
    /// Stop at the first command that fails
    #[arg(long, global = true, env = "LANCHAIN_STRICT", value_parser = FalseyValueParser::new())]
    strict: bool,
    /// What to log to stderr: off, error, warn, info, debug, trace, or a filter such as info,net=debug
    #[arg(long, global = true, value_name = "SPEC", env = "LANCHAIN_LOG", default_value = "info", value_parser = values::log)]
    log: String,
    /// Leave the time of day out before the lines of the log
    #[arg(long, global = true, env = "LANCHAIN_NO_TIMES", value_parser = FalseyValueParser::new())]
    no_times: bool,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", env = "LANCHAIN_COLOR", value_enum, default_value_t, action = ArgAction::Set)]
    color: Color,
}

impl Args {
    /// The flag that chooses this network in another line, with a blank before it; empty for the default.
    #[must_use]
    pub fn network_flag(&self) -> String {
        let chosen = self.network_chosen.as_ref();
        chosen.map_or(String::new(), |network| format!(" --network {}", shell_word(network)))
    }

    /// Reads the command line and the environment of this process.
    ///
    /// # Errors
    /// [`clap::Error`]: wrong usage, or a request for help or the version. Its `exit` prints it and ends the process
    /// with status 2 or 0.
    pub fn from_process() -> Result<Self, clap::Error> {
        Self::read(std::env::args_os())
    }

    /// Reads a command line, with the program's name first, and the environment.
    ///
    /// # Errors
    /// As [`Args::from_process`].
    pub fn read<T: Into<OsString> + Clone>(line: impl IntoIterator<Item = T>) -> Result<Self, clap::Error> {
        let line: Vec<OsString> = line.into_iter().map(Into::into).collect();
        let matches = Flags::command()
            .try_get_matches_from(words::separated(line.clone(), &Flags::command()))
            .map_err(|error| words::explained(error, &line, &mut Flags::command()))?;
        let flags = Flags::from_arg_matches(&matches)?;
        let folder = match flags.data_dir {
            Some(dir) if prevails(&matches, ("data_dir", "--data-dir"), ("temp", "--temp"), flags.temp)? => {
                DataFolder::Dir(dir)
            }
            _ if flags.temp => DataFolder::Temp,
            _ => DataFolder::Slot,
        };
        if let DataFolder::Dir(dir) = &folder
            && dir.as_os_str().is_empty()
        {
            return Err(Flags::command().error(ErrorKind::InvalidValue, "--data-dir is empty"));
        }
        let has_port = is_given(&matches, "port");
        let has_listen = !flags.listen.is_empty();
        let use_listen = has_listen && prevails(&matches, ("listen", "--listen"), ("port", "--port"), has_port)?;
        let (network, invited) = join(flags.join, flags.network, is_given(&matches, "network"))?;
        Ok(Self {
            task: flags.task,
            folder,
            trust: if flags.allow_exposed_folder {
                Trust::Shared
            } else {
                Trust::Private
            },
            network,
            network_chosen: chosen(&matches, "network"),
            peer_clock: flags.peer_clock.unwrap_or_default(),
            port: if use_listen { 0 } else { flags.port },
            listen: if use_listen { flags.listen } else { Vec::new() },
            bind: flags.bind,
            peers: [flags.peers, invited].concat(),
            discovery: !flags.no_mdns,
            exchange: !flags.no_exchange,
            web: flags.web.and_then(|web::MayWeb(wish)| wish),
            web_hosts: flags.web_hosts,
            name: flags.name,
            mine: flags.mine,
            threads: flags
                .threads
                .and_then(|count| usize::try_from(count).ok())
                .and_then(NonZeroUsize::new),
            json: flags.json,
            exec: flags.exec,
            daemon: flags.daemon,
            strict: flags.strict,
            log: flags.log,
            times: !flags.no_times,
            color: flags.color,
        })
    }
}

/// The whole command line as clap knows it, for completions and the manual page.
#[must_use]
pub fn command() -> clap::Command {
    Flags::command()
}

/// The text of an option that was given.
fn chosen(matches: &ArgMatches, id: &str) -> Option<String> {
    let text = matches.get_raw(id)?.next()?.to_str()?.to_owned();
    is_given(matches, id).then_some(text)
}

fn is_given(matches: &ArgMatches, id: &str) -> bool {
    matches
        .value_source(id)
        .is_some_and(|source| source != ValueSource::DefaultValue)
}

/// Whether to use the first of two options that exclude each other. A flag wins over the variable of the other option.
fn prevails(
    matches: &ArgMatches,
    (id, flag): (&str, &str),
    (other_id, other_flag): (&str, &str),
    other_is_set: bool,
) -> Result<bool, clap::Error> {
    if !other_is_set {
        return Ok(true);
    }
    let typed = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
    match (typed(id), typed(other_id)) {
        (true, false) => Ok(true),
        (false, true) => Ok(false),
        (true, true) | (false, false) => Err(Flags::command().error(
            ErrorKind::ArgumentConflict,
            format!("{flag} cannot be used together with {other_flag}"),
        )),
    }
}

/// A node to connect to, and the identity that it must have, if that is known.
type PeerArg = (Address, Option<PeerId>);

/// The network of a ticket, and the peers that the ticket names.
fn join(
    ticket: Option<Ticket>,
    network: NetworkParams,
    is_chosen: bool,
) -> Result<(NetworkParams, Vec<PeerArg>), clap::Error> {
    let Some(ticket) = ticket else {
        return Ok((network, Vec::new()));
    };
    let network = match &ticket.network {
        TicketNetwork::BuiltIn(label) if !is_chosen => NetworkParams::built_in(label)
            .map_err(|error| Flags::command().error(ErrorKind::InvalidValue, format!("--join: {error}")))?,
        TicketNetwork::BuiltIn(_) | TicketNetwork::File(_) => network,
    };
    if let Some(why) = tickets::mismatch(&ticket, &network) {
        return Err(Flags::command().error(ErrorKind::InvalidValue, format!("--join: {why}")));
    }
    let peer = ticket.peer();
    let peers = ticket.addresses.into_iter().map(|address| (address, Some(peer)));
    Ok((network, peers.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Result<Args, clap::Error> {
        Args::read([&["lanchain"], line].concat())
    }

    #[test]
    fn no_flags_give_a_slot_on_lan() {
        let args = read(&[]).expect("nothing is wrong");
        assert_eq!(args.folder, DataFolder::Slot);
        assert_eq!(args.network, NetworkParams::lan());
        assert_eq!(
            (args.port, args.discovery, args.exchange, args.json),
            (0, true, true, false)
        );
        assert_eq!((args.log.as_str(), args.color), ("info", Color::Auto));
    }

    #[test]
    fn every_flag_is_read() {
        let line = "--data-dir /tmp/x --network dev:room-1 --peer-clock --port 4001 --no-mdns --no-exchange --name Alice --mine \
                    --threads 2 --json --daemon --strict --log debug,net=trace --color never \
                    --peer /ip4/10.0.0.1/tcp/1 10.0.0.2:2 --peer 10.0.0.3:3";
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.extend(["--exec", "mine; chain"]);
        let args = read(&words).expect("nothing is wrong");
        assert_eq!(args.folder, DataFolder::Dir("/tmp/x".into()));
        assert_eq!(args.network.label(), "dev:room-1");
        assert_eq!(
            read(&["--network", "Lan:Hello"]).expect("a word").network.label(),
            "lan:hello"
        );
        assert!(
            args.peer_clock == PeerClock::Median
                && args.mine
                && args.json
                && args.daemon
                && args.strict
                && !args.discovery
        );
        assert!(!args.exchange);
        assert_eq!((args.port, args.threads.map(NonZeroUsize::get)), (4_001, Some(2)));
        assert_eq!(args.name.expect("given").as_str(), "alice");
        assert_eq!(args.exec.as_deref(), Some("mine; chain"));
        let peers: Vec<_> = args.peers.iter().map(|(address, _)| address.as_str()).collect();
        assert_eq!(
            peers,
            ["/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/2", "/ip4/10.0.0.3/tcp/3"]
        );
        assert_eq!((args.log.as_str(), args.color), ("debug,net=trace", Color::Never));
    }

    #[test]
    fn a_ticket_brings_its_network_and_its_peers() {
        let ticket = |network| Ticket {
            network,
            key: crate::types::SecretKey::from_seed([7; 32]).public(),
            addresses: vec![Address::parse("/ip4/192.168.1.7/tcp/4141").expect("an address").0],
        };
        let room = ticket(TicketNetwork::BuiltIn("lan:room-1".into())).to_string();
        let args = read(&["--join", &room, "--peer", "10.0.0.1"]).expect("nothing is wrong");
        assert_eq!(args.network.label(), "lan:room-1");
        let peers: Vec<_> = args.peers.iter().map(|(address, _)| address.as_str()).collect();
        assert_eq!(peers, ["/ip4/10.0.0.1/tcp/4141", "/ip4/192.168.1.7/tcp/4141"]);
        assert!(args.peers[1].1.is_some());
        assert!(read(&["--join", &room, "--network", "lan:room-1"]).is_ok());
        let file = ticket(TicketNetwork::File([9; 8])).to_string();
        for line in [&["--join", &room, "--network", "dev"][..], &["--join", &file]] {
            let error = read(line).expect_err("another network");
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains("the ticket is for"), "{error}");
        }
        let args = read(&["--bind", "eth0", "10.0.0.1"]).expect("nothing is wrong");
        assert_eq!(
            args.bind.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["eth0", "10.0.0.1"]
        );
    }

    #[test]
    fn wrong_usage_ends_with_status_2() {
        let cases: &[&[&str]] = &[
            &["--nonsense"],
            &["mine"],
            &["--port", "70000"],
            &["--port", "-1"],
            &["--threads", "0"],
            &["--peer", "/nowhere"],
            &["--peer", "0.0.0.0"],
            &["--bind", "0.0.0.0"],
            &["--join", "ticket1"],
            &["--peer", "/ip4/10.0.0.1/tcp/0"],
            &["--listen", "/dns/host/tcp/1"],
            &["--name", "me"],
            &["--name", "0"],
            &["--network", "mainnet"],
            &["--network", "lan:"],
            &["--network", "/no/such/file.toml"],
            &["--color", "blue"],
            &["--log", "net=loud"],
            &["--log", "foo"],
            &["--log", "info,foo"],
            &["--data-dir", "x", "--temp"],
            &["--data-dir", ""],
            &["--listen", "127.0.0.1:0", "--port", "1"],
        ];
        for case in cases {
            let error = read(case).expect_err("wrong usage");
            assert_eq!(error.exit_code(), 2, "{case:?}");
            assert!(error.to_string().contains("--"), "{case:?}: {error}");
        }
        for wish in ["--help", "--version"] {
            assert_eq!(read(&[wish]).expect_err("printed instead").exit_code(), 0);
        }
    }

    #[test]
    fn a_name_that_is_not_allowed_is_refused_with_what_a_name_may_look_like() {
        for name in ["张三", "José", "Alice Smith", "1abc"] {
            let error = read(&["--name", name]).expect_err("no name").to_string();
            let rule = crate::types::account::NAME_RULE;
            assert!(error.contains(name) && error.contains(rule), "{error}");
        }
    }

    #[test]
    fn adv_k07_no_flag_takes_a_key() {
        // Anybody who can list processes can read their flags.
        let seed = "01".repeat(32);
        for flag in ["--key", "--seed", "--secret", "--secret-key", "--private-key"] {
            assert!(read(&[flag, &seed]).is_err(), "{flag}");
        }
        assert!(read(&["key", "import", &seed]).is_ok(), "a file of this name");
        let hidden =
            |arg: &clap::Arg| arg.get_id().as_str().contains("key") || arg.get_id().as_str().contains("secret");
        let command = Flags::command();
        assert!(!command.get_arguments().any(hidden));
    }

    #[test]
    fn bench_is_a_task_that_takes_json_and_threads_before_or_behind_it() {
        assert_eq!(read(&[]).expect("nothing is wrong").task, None);
        for line in [
            ["bench", "--json", "--threads", "3"],
            ["--threads", "3", "--json", "bench"],
        ] {
            let args = read(&line).expect("nothing is wrong");
            assert_eq!(args.task, Some(Task::Bench), "{line:?}");
            assert!(args.json, "{line:?}");
            assert_eq!(args.threads.map(NonZeroUsize::get), Some(3), "{line:?}");
        }
        assert_eq!(read(&["bench", "fast"]).expect_err("no such value").exit_code(), 2);
    }

    #[test]
    fn a_listening_port_may_be_any() {
        let args = read(&["--listen", "/ip4/127.0.0.1/tcp/0", "[::1]:0"]).expect("nothing is wrong");
        let listen: Vec<_> = args.listen.iter().map(Address::as_str).collect();
        assert_eq!(listen, ["/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0"]);
    }

    #[test]
    fn a_network_file_may_begin_with_a_mark_and_other_texts_are_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("mine.toml");
        let text = "name = \"mine\"\nspacing_ms = 1000\nhalflife_ms = 60000\ncredit_limit = 5\n\
                    difficulty = \"adjusting\"\nrecipients = \"anyone\"\ngenesis_time_ms = 1767225600000\n";
        let given = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            read(&["--network", path.to_str().expect("text")])
        };
        assert!(given(format!("\u{feff}{text}").as_bytes()).is_ok());
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let cases = [
            (&utf16[..], "UTF-16"),
            (b"name = \"\xff\"", "utf-8"),
            (&[b' '; 70_000], "more than"),
        ];
        for (bytes, words) in cases {
            let error = given(bytes).expect_err("no network").to_string();
            assert!(error.contains(words), "{error}");
        }
        let error = read(&["--network", "/dev/zero"]).expect_err("no network").to_string();
        assert!(error.contains("more than"), "{error}");
    }

    #[test]
    fn a_network_comes_from_a_file_too() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("mine.toml");
        let text = "name = \"mine\"\nspacing_ms = 1000\nhalflife_ms = 60000\ncredit_limit = 5\n\
                    difficulty = \"adjusting\"\nrecipients = \"anyone\"\ngenesis_time_ms = 1767225600000\n";
        std::fs::write(&path, text).expect("written");
        let path = path.to_str().expect("text");
        assert_eq!(read(&["--network", path]).expect("a good file").network.credit_limit, 5);
        std::fs::write(path, "name = 1").expect("written");
        assert_eq!(read(&["--network", path]).expect_err("a bad file").exit_code(), 2);
    }
}
