//! Events in words: which peers were found, who sent something, and what happened with it.
//!
//! Promises: an event is one line, except for the greeting. A line begins with its topic; then come the sender and the
//! result, and ids at the end. Peers are called by the names that they gave themselves.
//! Spec: `proto-notes/events.md`, "In words".

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::human::{coins, foreign, found_by, many, place, self_named, short, short_account, short_peer};
use super::look::{COLUMNS_DEFAULT, Look};
use crate::contract::{Direction, DisconnectReason, Event, NameStanding, NodeStatus, Source};
use crate::types::{Account, AccountName, Txid};

/// The most peer names that are remembered for the log: more than can be connected.
const NAMES_MAX: usize = 256;
/// The length of a PeerId in characters.
const PEER_ID_CHARS: usize = 52;
/// The most payments whose description is remembered. A reorganisation in a lesson returns a few, and at most
/// [`RETURNED_TOLD`] are described.
const DESCRIPTIONS_MAX: usize = 1_024;
/// The most returned transactions that are described, so that they fit on one line.
const RETURNED_TOLD: usize = 3;

/// An event in words, without knowledge of earlier ones; none if only programs need it.
#[must_use]
pub fn human_event(event: &Event) -> Option<String> {
    Narrator::default().tell(event)
}

/// The name of a peer, and its address if another key owns that name.
#[derive(Clone, Debug)]
struct PeerName {
    name: String,
    doubted_at: Option<String>,
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
            columns,
        }
    }

    /// Remembers what later lines need from an event that is not shown.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::PeerConnected {
                peer_id,
                name,
                name_taken,
                address,
                ..
            }
            | Event::PeerNamed {
                peer_id,
                name,
                name_taken,
                address,
                ..
            } => {
                self.names.remove(peer_id);
                let name = name.as_ref().map(|name| PeerName {
                    name: name.as_str().to_owned(),
                    doubted_at: name_taken.then(|| place(address)),
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
                    .push_back((*txid, description(kind, from, to.as_ref(), *amount)));
            }
            Event::BlockDisconnected { .. } => {
                if !self.going_out {
                    self.came_in = 0;
                }
                self.going_out = true;
            }
            Event::BlockConnected { .. } => {
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
            | Event::TransactionsDropped { .. } => self.transaction_event(event)?,
            Event::Mined { .. }
            | Event::BlockConnected { .. }
            | Event::BlockDisconnected { .. }
            | Event::BlockStored { .. }
            | Event::BlockRejected { .. }
            | Event::Reorganized { .. } => self.block_event(event)?,
            // Later lines use the new name.
            Event::PeerNamed { .. } => return None,
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
            if is_peer(word) && (at == 0 || self.names.contains_key(word)) {
                self.peer(word)
            } else {
                word.to_owned()
            }
        };
        // The message is escaped first. A PeerId needs no escape, and a name is escaped where it is written.
        let message = foreign(message);
        let words: Vec<String> = message.split(' ').enumerate().map(call).collect();
        words.join(" ")
    }

    /// A peer as "ben (…XyZ12345)", "…XyZ12345", or, if another key owns its name, "anna? (…XyZ12345 at
    /// /ip4/10.0.0.7/tcp/4141)".
    fn peer(&self, peer: &str) -> String {
        let id = short_peer(peer);
        match self.names.get(peer) {
            None => id,
            Some(PeerName {
                name,
                doubted_at: Some(place),
            }) => format!("{} ({id} at {place})", self_named(name, NameStanding::Taken)),
            Some(PeerName { name, doubted_at: None }) => format!("{} ({id})", self_named(name, NameStanding::Said)),
        }
    }

    fn source(&self, source: &Source) -> Option<String> {
        match source {
            Source::Local => None,
            Source::Peer(peer) => Some(self.peer(&peer.to_string())),
        }
    }

    /// The origin for the second column.
    fn from(&self, source: &Source) -> String {
        self.source(source).unwrap_or_else(|| "this node".to_owned())
    }

    fn connected_event(&self, event: &Event) -> Option<String> {
        let Event::PeerConnected {
            peer_id,
            name,
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
        let (standing, warned) = if *name_taken {
            (NameStanding::Taken, "; that name is another key's")
        } else {
            (NameStanding::Said, "")
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
                format!("sync   {peer}: fetching blocks from index {height} to {target_height}")
            }
            Event::SyncProgress {
                peer_id,
                height,
                target_height,
            } => {
                format!(
                    "sync   {}: fetching blocks, index {height} of {target_height}",
                    self.peer(peer_id)
                )
            }
            Event::SyncFinished {
                peer_id,
                height,
                target_height,
            } if height >= target_height => {
                format!("sync   {}: caught up at index {height}", self.peer(peer_id))
            }
            Event::SyncFinished {
                peer_id,
                height,
                target_height,
            } => {
                let peer = self.peer(peer_id);
                format!("sync   {peer}: fetching blocks ended at index {height} of {target_height}")
            }
            _ => return None,
        };
        Some(told)
    }

    fn transaction_event(&self, event: &Event) -> Option<String> {
        match event {
            Event::TransactionAccepted {
                txid,
                kind,
                from,
                to,
                amount,
                source,
                ..
            } => {
                let (id, by) = (short(txid), self.from(source));
                let description = description(kind, from, to.as_ref(), *amount);
                Some(format!("tx     {by}: {description}; waits for a block; {id}"))
            }
            Event::TransactionRejected {
                txid, message, source, ..
            } => {
                let id = txid.as_ref().map_or_else(|| "without an id".to_owned(), short);
                Some(format!(
                    "tx     {}: refused: {}; {id}",
                    self.from(source),
                    foreign(message)
                ))
            }
            Event::TransactionDropped {
                txid,
                kind,
                from,
                to,
                amount,
                message,
                ..
            } => {
                let description = description(kind, from, to.as_ref(), *amount);
                Some(format!(
                    "tx     dropped: {description}: {}; {}",
                    foreign(message),
                    short(txid)
                ))
            }
            Event::TransactionsDropped { count, .. } => {
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                Some(format!("tx     {} of others dropped", many(count, "transaction")))
            }
            _ => None,
        }
    }

    fn block_event(&self, event: &Event) -> Option<String> {
        let told = match event {
            Event::Mined { hash, height } => format!("block  New Block Forged: index {height}, hash {}", short(hash)),
            // The line about its mining was written before.
            Event::BlockConnected {
                source: Source::Local, ..
            } => return None,
            Event::BlockConnected {
                hash,
                height,
                transactions,
                source,
                ..
            } => {
                let (hash, by) = (short(hash), self.from(source));
                let count = many(*transactions, "transaction");
                format!("block  {by}: block {height} added to the chain, {count}; {hash}")
            }
            Event::BlockDisconnected { hash, height } => {
                format!("block  block {height} taken out of the chain; {}", short(hash))
            }
            Event::BlockStored {
                hash, height, source, ..
            } => {
                let (hash, by) = (short(hash), self.from(source));
                format!("block  {by}: block {height} kept on a side branch; {hash}")
            }
            Event::BlockRejected {
                hash,
                height,
                message,
                source,
                ..
            } => {
                let height = height.map(|height| format!(" {height}")).unwrap_or_default();
                let hash = hash.map(|hash| format!("; {}", short(&hash))).unwrap_or_default();
                format!(
                    "block  {}: block{height} refused: {}{hash}",
                    self.from(source),
                    foreign(message)
                )
            }
            Event::Reorganized {
                depth,
                fork_height,
                old_tip,
                new_tip,
                returned,
                returned_count,
                dropped_count,
                ..
            } => {
                let (old, new) = (short(old_tip), short(new_tip));
                let (out, came_in) = (many(*depth, "block"), self.came_in);
                format!(
                    "chain  Our chain was replaced: {out} after index {fork_height} went out, {came_in} came in; {}{}; \
                     tip {old} gave way to {new}",
                    self.returned(returned, *returned_count),
                    lost_payments(*dropped_count)
                )
            }
            _ => return None,
        };
        Some(told)
    }

    /// The descriptions of returned transactions.
    fn returned(&self, returned: &[Txid], count: u64) -> String {
        let waits = match count {
            0 => return "no transaction waits again".to_owned(),
            1 => "1 transaction waits again".to_owned(),
            count => format!("{count} transactions wait again"),
        };
        let known = |txid: &Txid| self.descriptions.iter().rev().find(|(known, _)| known == txid);
        let told = |txid: &Txid| known(txid).map_or_else(|| short(txid), |(_, description)| description.clone());
        let mut descriptions: Vec<String> = returned.iter().take(RETURNED_TOLD).map(told).collect();
        if returned.len() > RETURNED_TOLD || count > u64::try_from(returned.len()).unwrap_or(u64::MAX) {
            descriptions.push("…".to_owned());
        }
        format!("{waits} ({})", descriptions.join(", "))
    }
}

/// How many transactions of the lost blocks are not back; each that matters has a line of its own.
fn lost_payments(count: u64) -> String {
    match count {
        0 => String::new(),
        1 => ", 1 transaction cannot come back".to_owned(),
        count => format!(", {count} transactions cannot come back"),
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

/// The description of a transaction: "alice pays bob 5 coins".
fn description(kind: &str, from: &str, to: Option<&Account>, amount: u64) -> String {
    let from = short_account(from);
    match (kind, to) {
        ("claim", _) | (_, None) => format!("{from} is claimed"),
        (_, Some(to)) => format!("{from} pays {} {}", short_account(&to.to_string()), coins(amount)),
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
    let fits = |text: &String| text.chars().count() < columns;
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
            "  index {}, hash {}; rewards go to {rewards}",
            status.height,
            short(&status.tip)
        ),
    ];
    let tries = ["tx alice bob 5", "mine", "balance bob"].join("    ");
    let long = format!("  try: {tries}    (all commands: help)");
    lines.push(
        Some(long)
            .filter(fits)
            .unwrap_or_else(|| look.fold("  ", "try: tx alice bob 5, mine, help")),
    );
    lines.join("\n")
}
