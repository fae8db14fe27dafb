//! Events in words: what was found, what came from whom and what became of it.
//!
//! Promises: an event is one line, except the first words; its topic stands in the first column, then who brought it,
//! then what became of it, ids last; peers are called by the names they gave themselves.
//! Spec: `proto-notes/events.md`, "In words".

use std::collections::BTreeMap;

use super::human::{coins, foreign, found_by, many, place, short, short_account, short_peer};
use super::look::{COLUMNS_DEFAULT, Look};
use crate::engine::Event;
use crate::engine::event::{Direction, Source};
use crate::engine::reply::Status;
use crate::types::AccountName;

/// Names of peers that are remembered for the log; more than can be connected.
const NAMES_MAX: usize = 256;

/// An event in words, without knowledge of earlier ones.
#[must_use]
pub fn human_event(event: &Event) -> Option<String> {
    Narrator::default().tell(event)
}

/// Tells events in words and calls peers by the names they gave themselves.
#[derive(Clone, Debug)]
pub struct Narrator {
    names: BTreeMap<String, String>,
    /// How wide the first words may be.
    columns: usize,
}

impl Default for Narrator {
    fn default() -> Self {
        Self::new(COLUMNS_DEFAULT)
    }
}

impl Narrator {
    /// Knows nobody yet.
    #[must_use]
    pub const fn new(columns: usize) -> Self {
        Self {
            names: BTreeMap::new(),
            columns,
        }
    }

    /// One line for the log; none for an event that only programs need.
    pub fn tell(&mut self, event: &Event) -> Option<String> {
        let told = match event {
            Event::Started(status) => greeting(status, self.columns),
            Event::PeerFound { .. }
            | Event::PeerConnected { .. }
            | Event::PeerDisconnected { .. }
            | Event::SyncStarted { .. }
            | Event::SyncProgress { .. }
            | Event::SyncFinished { .. } => self.peer_event(event)?,
            Event::TransactionAccepted { .. } | Event::TransactionRejected { .. } => self.transaction_event(event)?,
            Event::Mined { .. }
            | Event::BlockConnected { .. }
            | Event::BlockDisconnected { .. }
            | Event::BlockStored { .. }
            | Event::BlockRejected { .. }
            | Event::Reorganized { .. } => self.block_event(event)?,
            Event::Warning { message, .. } => format!("warning: {}", foreign(message)),
            Event::Stopped { exit_status: 0 } => "stopped".to_owned(),
            Event::Stopped { exit_status } => format!("stopped with status {exit_status}"),
        };
        Some(told)
    }

    fn remember(&mut self, peer: &str, name: Option<&str>) {
        if let Some(name) = name
            && self.names.len() < NAMES_MAX
        {
            self.names.insert(peer.to_owned(), name.to_owned());
        }
    }

    /// "ben (…XyZ12345)" or "…XyZ12345"
    fn peer(&self, peer: &str) -> String {
        let id = short_peer(peer);
        self.names
            .get(peer)
            .map_or_else(|| id.clone(), |name| format!("{} ({id})", foreign(name)))
    }

    fn source(&self, source: &Source) -> Option<String> {
        match source {
            Source::Local => None,
            Source::Peer(peer) => Some(self.peer(&peer.to_string())),
        }
    }

    /// Who brought it, for the second column.
    fn from(&self, source: &Source) -> String {
        self.source(source).unwrap_or_else(|| "this node".to_owned())
    }

    fn peer_event(&mut self, event: &Event) -> Option<String> {
        let told = match event {
            Event::PeerFound {
                peer_id,
                address,
                found_by: by,
            } => {
                let (peer, address) = (self.peer(peer_id), place(address));
                format!("peer   {peer} {} at {address}", found_by(*by))
            }
            Event::PeerConnected {
                peer_id,
                name,
                address,
                direction,
                ..
            } => {
                self.remember(peer_id, name.as_ref().map(AccountName::as_str));
                let way = match direction {
                    Direction::In => "it called from",
                    Direction::Out => "we called",
                };
                format!("peer   {} connected: {way} {}", self.peer(peer_id), place(address))
            }
            Event::PeerDisconnected { peer_id, reason, .. } => {
                let told = format!("peer   {} lost: {}", self.peer(peer_id), foreign(reason));
                self.names.remove(peer_id);
                told
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
                let from = short_account(from);
                let to = to.as_ref().map(|to| short_account(&to.to_string())).unwrap_or_default();
                Some(match *kind {
                    "claim" => format!("tx     {by}: {from} is claimed; waits for a block; {id}"),
                    _ => format!(
                        "tx     {by}: {from} pays {to} {}; waits for a block; {id}",
                        coins(*amount)
                    ),
                })
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
            _ => None,
        }
    }

    fn block_event(&self, event: &Event) -> Option<String> {
        let told = match event {
            Event::Mined { hash, height } => format!("block  New Block Forged: index {height}, hash {}", short(hash)),
            // Its finding was told.
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
            } => {
                let (old, new) = (short(old_tip), short(new_tip));
                let (out, back) = (many(*depth, "block"), many(returned.len(), "transaction"));
                format!(
                    "chain  Our chain was replaced: {out} after index {fork_height} taken out, tip {old} gave way to {new}, \
                     {back} wait again"
                )
            }
            _ => return None,
        };
        Some(told)
    }
}

/// The first words: who this is, where it keeps its things, where it listens, and what to try. Five lines.
#[must_use]
pub fn greeting(status: &Status, columns: usize) -> String {
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
    // Whole where it fits: so it can be dialled by who copies it.
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
