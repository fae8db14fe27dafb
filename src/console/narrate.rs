//! Events in words: which peers were found, who sent something, and what happened with it.
//!
//! Promises: an event is one line, except for the greeting. A line begins with its topic; then come the sender and the
//! result, and ids at the end. Peers are called by the names that they gave themselves.
//! Elsewhere: transactions and blocks (`narrate::ledger`).
//! Spec: `proto-notes/events.md`, "In words".

mod ledger;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::human::{PEER_ID_CHARS, foreign, found_by, place, self_named, short, short_account, short_peer};
use super::look::{COLUMNS_DEFAULT, Look, width_of};
use crate::contract::{Direction, DisconnectReason, Event, NameStanding, NodeStatus, Source};
use crate::types::{AccountName, Txid, Work};

/// The most peer names that are remembered for the log: more than can be connected.
const NAMES_MAX: usize = 256;
/// The most payments whose description is remembered. A reorganisation in a lesson returns a few.
const DESCRIPTIONS_MAX: usize = 1_024;

/// An event in words, without knowledge of earlier ones; none if only programs need it.
#[must_use]
pub fn human_event(event: &Event) -> Option<String> {
    Narrator::default().tell(event)
}

/// The name of a peer, and its address if another key owns that name.
#[derive(Clone, Debug)]
struct PeerName {
    name: String,
    standing: NameStanding,
    /// Where the peer is, without its PeerId.
    place: String,
}

/// Describes events in words, and calls peers by the names that they gave themselves.
#[derive(Clone, Debug)]
pub struct Narrator {
    names: BTreeMap<String, PeerName>,
    connected: BTreeSet<String>,
    /// The descriptions of transactions, the newest last.
    descriptions: VecDeque<(Txid, String)>,
    /// How many blocks were connected since the last one was disconnected.
    came_in: u64,
    /// Whether the last change of the chain was a disconnected block.
    going_out: bool,
    /// The account and the PeerId of this node.
    me: Vec<String>,
    /// The work of the active branch, as the last event told it.
    work: Work,
    /// The width of the greeting in columns.
    columns: usize,
}

impl Default for Narrator {
    fn default() -> Self {
        Self::new(COLUMNS_DEFAULT)
    }
}

impl Narrator {
    /// A narrator that knows no peer yet.
    #[must_use]
    pub const fn new(columns: usize) -> Self {
        Self {
            names: BTreeMap::new(),
            connected: BTreeSet::new(),
            descriptions: VecDeque::new(),
            came_in: 0,
            going_out: false,
            me: Vec::new(),
            work: Work::ZERO,
            columns,
        }
    }

    /// Remembers what later lines need from an event that is not shown.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::Started(status) => {
                self.me = vec![status.peer_id.clone()];
                self.me.extend(status.name.as_ref().map(ToString::to_string));
                self.work = status.work;
            }
            Event::PeerConnected {
                peer_id,
                name,
                name_proven,
                name_taken,
                address,
                ..
            }
            | Event::PeerNamed {
                peer_id,
                name,
                name_proven,
                name_taken,
                address,
            } => {
                self.names.remove(peer_id);
                let name = name.as_ref().map(|name| PeerName {
                    name: name.as_str().to_owned(),
                    standing: standing(*name_proven, *name_taken),
                    place: place(address),
                });
                self.remember(peer_id, name);
            }
            Event::PeerDisconnected { peer_id, .. } => {
                self.names.remove(peer_id);
                self.connected.remove(peer_id);
            }
            Event::TransactionAccepted {
                txid,
                kind,
                from,
                to,
                amount,
                ..
            } => {
                if self.descriptions.len() >= DESCRIPTIONS_MAX {
                    self.descriptions.pop_front();
                }
                self.descriptions
                    .push_back((*txid, ledger::description(kind, from, to.as_ref(), *amount)));
            }
            Event::BlockDisconnected { .. } => {
                if !self.going_out {
                    self.came_in = 0;
                }
                self.going_out = true;
            }
            Event::BlockConnected { block, .. } => {
                self.work = block.work;
                self.going_out = false;
                self.came_in += 1;
            }
            Event::Reorganized { .. } => self.came_in = 0,
            _ => {}
        }
    }

    /// One line for the log; none for an event that only programs need.
    pub fn tell(&mut self, event: &Event) -> Option<String> {
        let told = self.words(event);
        // The event is noted after its words are made: a peer that leaves is still called by its name. A peer that
        // comes is handled in `connected_event`.
        self.note(event);
        told
    }

    fn words(&self, event: &Event) -> Option<String> {
        let told = match event {
            Event::Started(status) => greeting(status, self.columns),
            Event::PeerFound { .. }
            | Event::PeerConnected { .. }
            | Event::PeerDisconnected { .. }
            | Event::SyncStarted { .. }
            | Event::SyncProgress { .. }
            | Event::SyncFinished { .. } => self.peer_event(event)?,
            Event::TransactionAccepted { .. }
            | Event::TransactionRejected { .. }
            | Event::TransactionDropped { .. }
            | Event::TransactionsDropped { .. }
            | Event::PaymentConfirmed { .. }
            | Event::PaymentUnconfirmed { .. } => self.transaction_event(event)?,
            Event::Mined { .. }
            | Event::BlockConnected { .. }
            | Event::BlockDisconnected { .. }
            | Event::BlockStored { .. }
            | Event::BlockRejected { .. }
            | Event::Reorganized { .. } => self.block_event(event)?,
            // Later lines use the new name. A tip is for programs.
            Event::PeerNamed { .. } | Event::PeerTip { .. } => return None,
            Event::Warning { message, .. } => format!("warning: {}", self.with_name(message)),
            Event::Stopped { exit_status: 0 } => "stopped".to_owned(),
            Event::Stopped { exit_status } => format!("stopped with status {exit_status}"),
        };
        Some(told)
    }

    fn remember(&mut self, peer: &str, name: Option<PeerName>) {
        if self.connected.len() < NAMES_MAX {
            self.connected.insert(peer.to_owned());
        }
        if let Some(name) = name
            && self.names.len() < NAMES_MAX
        {
            self.names.insert(peer.to_owned(), name);
        }
    }

    /// Replaces PeerIds in a message by names: the one at its beginning, and others whose name is known here.
    fn with_name(&self, message: &str) -> String {
        let is_peer = |word: &str| word.len() == PEER_ID_CHARS && word.starts_with("12D3KooW");
        let call = |(at, word): (usize, &str)| {
            let id = word.trim_end_matches([',', ';', ':']);
            if is_peer(id) && (at == 0 || self.names.contains_key(id)) {
                word.replace(id, &self.peer(id))
            } else {
                word.to_owned()
            }
        };
        // The message is escaped first. A PeerId needs no escape, and a name is escaped where it is written.
        let message = foreign(message);
        let words: Vec<String> = message.split(' ').enumerate().map(call).collect();
        words.join(" ")
    }

    /// A peer as "ben" if the chain says that the name is its own, else as "ben (…XyZ12345)" or "…XyZ12345"; if another
    /// key owns its name, as "anna? (…XyZ12345 at /ip4/10.0.0.7/tcp/4141)".
    fn peer(&self, peer: &str) -> String {
        let id = short_peer(peer);
        let Some(PeerName { name, standing, place }) = self.names.get(peer) else {
            return id;
        };
        let name = self_named(name, *standing);
        match standing {
            NameStanding::Proven => name,
            NameStanding::Said => format!("{name} ({id})"),
            NameStanding::Taken => format!("{name} ({id} at {place})"),
        }
    }

    /// The origin at the beginning of a line.
    fn from(&self, source: &Source) -> String {
        match source {
            Source::Local => "this node".to_owned(),
            Source::Peer(peer) => self.peer(&peer.to_string()),
        }
    }

    fn connected_event(&self, event: &Event) -> Option<String> {
        let Event::PeerConnected {
            peer_id,
            name,
            name_proven,
            name_taken,
            address,
            direction,
            ..
        } = event
        else {
            return None;
        };
        let way = match direction {
            Direction::In => "it called from",
            Direction::Out => "we called",
        };
        let standing = standing(*name_proven, *name_taken);
        let warned = if *name_taken {
            "; that name is another key's"
        } else {
            ""
        };
        // The line contains its address anyway.
        let named = |name: &AccountName| format!("{} ({})", self_named(name.as_str(), standing), short_peer(peer_id));
        let peer = name.as_ref().map_or_else(|| self.peer(peer_id), named);
        Some(format!("peer   {peer} connected: {way} {}{warned}", place(address)))
    }

    fn peer_event(&self, event: &Event) -> Option<String> {
        let told = match event {
            // Multicast DNS also names peers that are connected already.
            Event::PeerFound { peer_id, .. } if self.connected.contains(peer_id) => return None,
            Event::PeerFound {
                peer_id,
                address,
                found_by: by,
            } => {
                let (peer, address) = (self.peer(peer_id), place(address));
                format!("peer   {peer} {} at {address}", found_by(*by))
            }
            Event::PeerConnected { .. } => self.connected_event(event)?,
            Event::PeerDisconnected { peer_id, reason, .. } => {
                format!("peer   {} lost: {}", self.peer(peer_id), lost(reason))
            }
            Event::SyncStarted {
                peer_id,
                height,
                target_height,
            } => {
                let peer = self.peer(peer_id);
                format!("sync   {peer}: fetching blocks from height {height} to {target_height}")
            }
            Event::SyncProgress {
                peer_id,
                height,
                target_height,
            } => {
                format!(
                    "sync   {}: fetching blocks, height {height} of {target_height}",
                    self.peer(peer_id)
                )
            }
            Event::SyncFinished {
                peer_id,
                height,
                target_height,
            } if height >= target_height => {
                format!("sync   {}: caught up at height {height}", self.peer(peer_id))
            }
            Event::SyncFinished {
                peer_id,
                height,
                target_height,
            } => {
                let peer = self.peer(peer_id);
                format!("sync   {peer}: fetching blocks ended at height {height} of {target_height}")
            }
            _ => return None,
        };
        Some(told)
    }
}

/// Why a connection ended, in the user's words where the library only speaks of its internals.
fn lost(reason: &DisconnectReason) -> String {
    match reason {
        DisconnectReason::Closed(_) => "it closed the connection".to_owned(),
        DisconnectReason::Reset(_) => "it went away without a word".to_owned(),
        DisconnectReason::Own(_) | DisconnectReason::Broken(_) => foreign(&reason.to_string()),
    }
}

/// The greeting: who this node is, its data folder, its addresses, and what to try. It has five lines.
#[must_use]
pub fn greeting(status: &NodeStatus, columns: usize) -> String {
    let look = Look {
        columns,
        ..Look::default()
    };
    let id = short_peer(&status.peer_id);
    let who = status.name.as_ref().map_or_else(
        || format!("a node without a name ({id})"),
        |name| format!("{name} ({id})"),
    );
    let fits = |text: &String| width_of(text) < columns;
    // The address is shown in full if it fits, so that the user can copy it to dial this node.
    let listening = status.addresses.first().map(|first| {
        let more = match status.addresses.len() {
            0 | 1 => String::new(),
            count => format!(" (+{})", count - 1),
        };
        let whole = format!("  listening on {}{more}", foreign(first));
        Some(whole)
            .filter(fits)
            .unwrap_or_else(|| format!("  listening on {}{more}", place(first)))
    });
    let rewards = short_account(&status.account.to_string());
    let mut lines = vec![
        format!("lanchain: {who} on the network {}", foreign(&status.network)),
        format!("  folder {}", foreign(&status.data_dir)),
        listening.unwrap_or_else(|| "  not listening".to_owned()),
        format!(
            "  height {}, hash {}; rewards go to {rewards}",
            status.height,
            short(&status.tip)
        ),
    ];
    lines.extend(status.web.iter().map(|web| format!("  page {}", foreign(web))));
    let tries = try_lines(&status.network);
    let long = format!("  try: {}    (all commands: help)", tries.join("    "));
    lines.push(
        Some(long)
            .filter(fits)
            .unwrap_or_else(|| look.fold("  ", &format!("try: {}, help", tries.join(", ")))),
    );
    lines.join("\n")
}

/// How certain a peer's name is, by the fields of its events.
pub(super) const fn standing(name_proven: bool, name_taken: bool) -> NameStanding {
    match (name_proven, name_taken) {
        (true, _) => NameStanding::Proven,
        (false, true) => NameStanding::Taken,
        (false, false) => NameStanding::Said,
    }
}

/// Lines that work on a new node of a network. On `coin` nobody can pay before a block was mined.
fn try_lines(network: &str) -> &'static [&'static str] {
    if network.starts_with("coin") {
        &["mine", "balance", "peers"]
    } else {
        &["tx me bob 5", "mine", "balance bob"]
    }
}
