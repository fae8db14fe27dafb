//! What is written while the node runs: topics that the user can switch, and repeated lines that are folded.
//!
//! Promises: warnings and the greeting are always shown. Of many similar events in a row, the first lines are shown,
//! and then their number; folded lines are always reported in the end. Only words are affected: the events of `--json`
//! are always complete.
//! Elsewhere: the words (`console::narrate`), the timer that ends a row (`node::screen`).
//! Spec: `proto-notes/events.md`, "In words".

use serde::Serialize;

use super::human::{self_named, short_peer};
use super::narrate::standing;
use crate::contract::Event;

/// The levels of the log, as the user types them.
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// How many lines of one kind in a row are shown before they are folded; with the prompt they fit on a screen.
const FOLD_AFTER: u64 = 12;
/// The pause that ends a row, in milliseconds.
pub const FOLD_PAUSE_MS: u64 = 1_000;

/// How long after the start the arrival of many peers is told in one line, in milliseconds: so that the greeting stays in
/// sight.
const ARRIVALS_MS: u64 = 10_000;
/// How many peers are told one by one in that time.
const ARRIVALS_TOLD: usize = 2;
/// How many of the others are named.
const ARRIVALS_NAMED: usize = 8;

/// The topics of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchTopic {
    /// Transactions that arrive, and what happens to them.
    Gossip,
    /// Blocks, reorganisations and sync.
    Blocks,
    /// Nodes that are found, connect and disconnect.
    Peers,
}

impl WatchTopic {
    /// All topics, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Gossip, Self::Blocks, Self::Peers];

    /// The topic as the user types it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gossip => "gossip",
            Self::Blocks => "blocks",
            Self::Peers => "peers",
        }
    }
}

/// The topic of an event; none if it is always shown.
#[must_use]
pub const fn topic(event: &Event) -> Option<WatchTopic> {
    match event {
        Event::Started(_) | Event::Warning { .. } | Event::Stopped { .. } => None,
        Event::PeerFound { .. }
        | Event::PeerConnected { .. }
        | Event::PeerNamed { .. }
        | Event::PeerTip { .. }
        | Event::PeerDisconnected { .. } => Some(WatchTopic::Peers),
        Event::TransactionAccepted { .. }
        | Event::TransactionRejected { .. }
        | Event::TransactionDropped { .. }
        | Event::TransactionsDropped { .. }
        | Event::PaymentConfirmed { .. }
        | Event::PaymentUnconfirmed { .. } => Some(WatchTopic::Gossip),
        Event::Mined { .. }
        | Event::BlockConnected { .. }
        | Event::BlockDisconnected { .. }
        | Event::BlockStored { .. }
        | Event::BlockRejected { .. }
        | Event::Reorganized { .. }
        | Event::SyncStarted { .. }
        | Event::SyncProgress { .. }
        | Event::SyncFinished { .. } => Some(WatchTopic::Blocks),
    }
}

/// The name under which a row of such events is counted; none if they are never folded.
const fn row_of(event: &Event) -> Option<&'static str> {
    match event {
        Event::TransactionAccepted { .. } => Some("transactions"),
        Event::TransactionRejected { .. } => Some("refused transactions"),
        Event::TransactionDropped { .. } | Event::TransactionsDropped { .. } => Some("dropped transactions"),
        Event::PaymentConfirmed { .. } => Some("payments confirmed"),
        Event::PaymentUnconfirmed { .. } => Some("payments taken back"),
        Event::BlockConnected { .. } | Event::SyncProgress { .. } => Some("blocks"),
        Event::BlockDisconnected { .. } => Some("blocks taken out"),
        Event::BlockStored { .. } => Some("blocks on side branches"),
        Event::BlockRejected { .. } => Some("refused blocks"),
        Event::PeerFound { .. } => Some("nodes found"),
        Event::Started(_)
        | Event::PeerConnected { .. }
        | Event::PeerNamed { .. }
        | Event::PeerTip { .. }
        | Event::PeerDisconnected { .. }
        | Event::Mined { .. }
        | Event::Reorganized { .. }
        | Event::SyncStarted { .. }
        | Event::SyncFinished { .. }
        | Event::Warning { .. }
        | Event::Stopped { .. } => None,
    }
}

/// The commands `watch` and `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Telling {
    /// `watch` alone, which shows the settings.
    Ask,
    /// Show only these topics; an empty list is `watch off`.
    Watch(Vec<WatchTopic>),
    /// Set the level of the log.
    Log(&'static str),
}

/// The data of the reply to `watch` and `log`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TellingReply {
    /// The topics that are shown in words.
    pub watching: Vec<&'static str>,
    /// The level of the log, or the filter of `--log`.
    pub log: String,
}

/// The reply in words.
#[must_use]
pub fn telling_text(reply: &TellingReply) -> String {
    let topics = if reply.watching.is_empty() {
        "nothing but warnings".to_owned()
    } else {
        reply.watching.join(", ")
    };
    format!("showing: {topics}\nlog: {}", reply.log)
}

/// The decision about an event's line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineVerdict {
    /// The line that ends a row of folded events, to be shown before; none if there is none.
    pub before: Option<String>,
    /// Whether the event is shown.
    pub told: bool,
    /// Whether a row is being folded, so that [`Watch::pause`] must be called after a pause.
    pub folding: bool,
}

/// The peers that arrive in the first seconds.
#[derive(Clone, Debug)]
struct Arrivals {
    since_ms: u64,
    found: usize,
    connected: usize,
    /// Those that were not told one by one.
    untold: Vec<String>,
}

impl Arrivals {
    /// Whether an event is left out; a peer that connected is told with others then.
    fn leaves_out(&mut self, event: &Event, now_ms: u64) -> bool {
        if now_ms.saturating_sub(self.since_ms) >= ARRIVALS_MS {
            return false;
        }
        match event {
            Event::PeerFound { .. } => {
                self.found += 1;
                self.found > ARRIVALS_TOLD
            }
            Event::PeerConnected {
                peer_id,
                name,
                name_proven,
                name_taken,
                ..
            } => {
                self.connected += 1;
                let is_left_out = self.connected > ARRIVALS_TOLD;
                if is_left_out {
                    let standing = standing(*name_proven, *name_taken);
                    let named = name.as_ref().map(|name| self_named(name.as_str(), standing));
                    self.untold.push(named.unwrap_or_else(|| short_peer(peer_id)));
                }
                is_left_out
            }
            _ => false,
        }
    }

    /// The line for those that were not told one by one.
    fn line(&mut self) -> Option<String> {
        let untold = core::mem::take(&mut self.untold);
        let mut names: Vec<&str> = untold.iter().take(ARRIVALS_NAMED).map(String::as_str).collect();
        if names.len() < untold.len() {
            names.push("…");
        }
        (!untold.is_empty()).then(|| format!("peer   {} more connected: {}", untold.len(), names.join(", ")))
    }
}

/// The chosen topics, and the present row of events.
#[derive(Clone, Debug)]
pub struct Watch {
    topics: Vec<WatchTopic>,
    row: Option<(&'static str, u64)>,
    arrivals: Option<Arrivals>,
    last_ms: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            topics: WatchTopic::ALL.to_vec(),
            row: None,
            arrivals: None,
            last_ms: 0,
        }
    }
}

impl Watch {
    /// Shows only these topics from now on.
    pub fn set(&mut self, topics: &[WatchTopic]) {
        self.topics = WatchTopic::ALL
            .into_iter()
            .filter(|topic| topics.contains(topic))
            .collect();
    }

    /// The words of the chosen topics.
    #[must_use]
    pub fn words(&self) -> Vec<&'static str> {
        self.topics.iter().map(|topic| topic.word()).collect()
    }

    /// Decides about an event that happened at `now_ms`.
    pub fn judge(&mut self, event: &Event, now_ms: u64) -> LineVerdict {
        if topic(event).is_some_and(|topic| !self.topics.contains(&topic)) {
            return LineVerdict::default();
        }
        if matches!(event, Event::Started(_)) {
            self.arrivals = Some(Arrivals {
                since_ms: now_ms,
                found: 0,
                connected: 0,
                untold: Vec::new(),
            });
        }
        if self
            .arrivals
            .as_mut()
            .is_some_and(|arrivals| arrivals.leaves_out(event, now_ms))
        {
            self.last_ms = now_ms;
            return LineVerdict {
                folding: matches!(event, Event::PeerConnected { .. }),
                ..LineVerdict::default()
            };
        }
        let kind = row_of(event);
        let goes_on = now_ms.saturating_sub(self.last_ms) < FOLD_PAUSE_MS;
        self.last_ms = now_ms;
        match (&mut self.row, kind) {
            (Some((row, count)), Some(kind)) if *row == kind && goes_on => {
                *count += 1;
                let folding = *count > FOLD_AFTER;
                LineVerdict {
                    before: None,
                    told: !folding,
                    folding,
                }
            }
            (_, kind) => {
                let before = self.end_row();
                self.row = kind.map(|kind| (kind, 1));
                LineVerdict {
                    before,
                    told: true,
                    folding: false,
                }
            }
        }
    }

    /// Called after a pause: returns the report of folded events, unless more of them came meanwhile.
    pub fn pause(&mut self, now_ms: u64) -> Option<String> {
        if now_ms.saturating_sub(self.last_ms) < FOLD_PAUSE_MS {
            return None;
        }
        let arrived = self.arrivals.as_mut().and_then(Arrivals::line);
        let row = self.end_row();
        match (arrived, row) {
            (Some(arrived), Some(row)) => Some(format!("{arrived}\n{row}")),
            (arrived, row) => arrived.or(row),
        }
    }

    /// Whether folded events have not been reported yet.
    #[must_use]
    pub fn is_folding(&self) -> bool {
        let arrive = self
            .arrivals
            .as_ref()
            .is_some_and(|arrivals| !arrivals.untold.is_empty());
        arrive || self.row.is_some_and(|(_, count)| count > FOLD_AFTER)
    }

    fn end_row(&mut self) -> Option<String> {
        let (kind, count) = self.row.take()?;
        let folded = count.saturating_sub(FOLD_AFTER);
        (folded > 0).then(|| format!("… {folded} more: {kind}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::samples::facts;
    use crate::types::{BlockHash, Height};

    fn out(height: u64) -> Event {
        Event::BlockDisconnected {
            block: facts(BlockHash::ZERO, Height::new(height)),
        }
    }

    fn mined() -> Event {
        Event::Mined {
            block: facts(BlockHash::ZERO, Height::new(1)),
        }
    }

    fn warning() -> Event {
        Event::Warning {
            code: "x",
            message: "y".into(),
        }
    }

    #[test]
    fn a_storm_is_told_by_its_first_lines_and_its_size() {
        let mut watch = Watch::default();
        let told = (0..100).filter(|height| watch.judge(&out(*height), 5).told).count();
        assert_eq!(told, 12);
        assert!(watch.is_folding());
        assert_eq!(watch.pause(900), None, "it may go on");
        let verdict = watch.judge(&mined(), 900);
        assert_eq!(verdict.before.as_deref(), Some("… 88 more: blocks taken out"));
        assert!(verdict.told);
        assert!(!watch.is_folding());
    }

    #[test]
    fn what_was_folded_is_told_after_a_pause_once() {
        let mut watch = Watch::default();
        for height in 0..13 {
            watch.judge(&out(height), 10);
        }
        assert_eq!(watch.pause(1_010).as_deref(), Some("… 1 more: blocks taken out"));
        assert_eq!(watch.pause(9_000), None);
    }

    #[test]
    fn slow_repetitions_are_all_told() {
        let mut watch = Watch::default();
        assert!((0..100).all(|n| watch.judge(&out(n), n * FOLD_PAUSE_MS).told));
    }

    #[test]
    fn topics_are_switched_and_warnings_are_always_told() {
        let mut watch = Watch::default();
        watch.set(&[WatchTopic::Gossip]);
        assert_eq!(watch.words(), ["gossip"]);
        assert!(!watch.judge(&out(1), 0).told);
        assert!(watch.judge(&warning(), 0).told);
        watch.set(&[]);
        assert!(!watch.judge(&mined(), 0).told);
        assert!(watch.judge(&warning(), 0).told);
        watch.set(&WatchTopic::ALL);
        assert!(watch.judge(&mined(), 0).told);
    }

    #[test]
    fn many_peers_that_arrive_in_the_first_seconds_are_one_line() {
        let mut watch = Watch::default();
        let started = Event::Started(Box::new(crate::testing::samples::status()));
        assert!(watch.judge(&started, 0).told);
        let connected = |number: u8| Event::PeerConnected {
            peer_id: crate::testing::keys::peer(number).to_string(),
            name: crate::types::AccountName::new(&format!("s{number}")).ok(),
            name_proven: true,
            name_taken: false,
            address: "/ip4/10.0.0.1/tcp/1".into(),
            direction: crate::contract::Direction::In,
            found_by: crate::contract::FoundBy::Mdns,
        };
        let told: Vec<bool> = (1..=11)
            .map(|number| watch.judge(&connected(number), 100).told)
            .collect();
        assert_eq!(told.iter().filter(|told| **told).count(), ARRIVALS_TOLD);
        assert!(watch.is_folding());
        assert_eq!(watch.pause(200), None, "more may come");
        assert_eq!(
            watch.pause(1_100).as_deref(),
            Some("peer   9 more connected: s3, s4, s5, s6, s7, s8, s9, s10, …")
        );
        assert!(!watch.is_folding() && watch.pause(2_200).is_none());
        assert!(watch.judge(&connected(12), 10_000).told, "later ones have a line each");
    }
}
