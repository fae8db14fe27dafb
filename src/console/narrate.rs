//! Events in words: what was found, what came from whom and what became of it.
//!
//! Promises: an event is one line, except the banner; peers are called by the names they gave themselves.
//! Spec: `proto-notes/events.md`, "In words".

use std::collections::BTreeMap;

use super::human::{banner, coins, foreign, found_by, many, short, short_account, short_peer};
use crate::engine::Event;
use crate::engine::event::{Direction, Source};
use crate::types::AccountName;

/// Names of peers that are remembered for the log; more than can be connected.
const NAMES_MAX: usize = 256;

/// An event in words, without knowledge of earlier ones.
#[must_use]
pub fn human_event(event: &Event) -> Option<String> {
    Narrator::default().tell(event)
}

/// Tells events in words and calls peers by the names they gave themselves.
#[derive(Clone, Debug, Default)]
pub struct Narrator {
    names: BTreeMap<String, String>,
}

impl Narrator {
    /// One line for the log; none for an event that only programs need.
    pub fn tell(&mut self, event: &Event) -> Option<String> {
        let told = match event {
            Event::Started(status) => format!(
                "{}\n  try: tx alice bob 5    mine    balance bob    (all commands: help)",
                banner(status)
            ),
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

    fn from(&self, source: &Source) -> String {
        self.source(source)
            .map_or_else(|| " of our own".to_owned(), |peer| format!(" from {peer}"))
    }

    fn peer_event(&mut self, event: &Event) -> Option<String> {
        let told = match event {
            Event::PeerFound {
                peer_id,
                address,
                found_by: by,
            } => {
                let (peer, address) = (self.peer(peer_id), foreign(address));
                format!("peer {peer} {} at {address}", found_by(*by))
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
                format!("connected to {}: {way} {}", self.peer(peer_id), foreign(address))
            }
            Event::PeerDisconnected { peer_id, reason, .. } => {
                let told = format!("lost {}: {}", self.peer(peer_id), foreign(reason));
                self.names.remove(peer_id);
                told
            }
            Event::SyncStarted {
                peer_id,
                height,
                target_height,
            } => {
                let peer = self.peer(peer_id);
                format!("fetching blocks from {peer}: from index {height} to {target_height}")
            }
            Event::SyncProgress {
                peer_id,
                height,
                target_height,
            } => {
                format!(
                    "fetching blocks from {}: index {height} of {target_height}",
                    self.peer(peer_id)
                )
            }
            Event::SyncFinished {
                peer_id,
                height,
                target_height,
            } if height >= target_height => {
                format!("caught up with {} at index {height}", self.peer(peer_id))
            }
            Event::SyncFinished {
                peer_id,
                height,
                target_height,
            } => {
                let peer = self.peer(peer_id);
                format!("fetching blocks from {peer} ended at index {height} of {target_height}")
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
                    "claim" => format!("transaction {id}{by}: {from} is claimed; waits for a block"),
                    _ => format!(
                        "transaction {id}{by}: {from} pays {to} {}; waits for a block",
                        coins(*amount)
                    ),
                })
            }
            Event::TransactionRejected {
                txid, message, source, ..
            } => {
                let id = txid.as_ref().map_or_else(|| "that cannot be read".to_owned(), short);
                Some(format!(
                    "transaction {id}{} refused: {}",
                    self.from(source),
                    foreign(message)
                ))
            }
            _ => None,
        }
    }

    fn block_event(&self, event: &Event) -> Option<String> {
        let told = match event {
            Event::Mined { hash, height } => format!("New Block Forged: index {height}, hash {}", short(hash)),
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
                format!("block {height}{by} added to the chain: hash {hash}, {count}")
            }
            Event::BlockDisconnected { hash, height } => {
                format!("block {height} taken out of the chain: hash {}", short(hash))
            }
            Event::BlockStored {
                hash, height, source, ..
            } => {
                let (hash, by) = (short(hash), self.from(source));
                format!("block {height}{by} kept on a side branch: hash {hash}")
            }
            Event::BlockRejected {
                hash,
                height,
                message,
                source,
                ..
            } => {
                let height = height.map(|height| format!(" {height}")).unwrap_or_default();
                let hash = hash.map(|hash| format!(" (hash {})", short(&hash))).unwrap_or_default();
                format!("block{height}{} refused{hash}: {}", self.from(source), foreign(message))
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
                    "Our chain was replaced: {out} after index {fork_height} taken out, tip {old} gave way to {new}, \
                     {back} wait again"
                )
            }
            _ => return None,
        };
        Some(told)
    }
}
