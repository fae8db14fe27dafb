//! What is told while the node runs: topics that can be switched, and repetitions that are folded.
//!
//! Promises: warnings and the first words are always told; of a storm the first lines are told and then its size; what
//! was folded is told in the end. Only words are switched: the events of `--json` are always whole.
//! Elsewhere: the words (`console::narrate`), who asks when the storm is over (`node::screen`).
//! Spec: `proto-notes/events.md`, "In words".

use serde::Serialize;

use crate::contract::Event;

/// The levels of the log.
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// Lines of one kind in a row that are told before they are folded: they fit on a screen with the prompt.
const FOLD_AFTER: u64 = 12;
/// A pause that ends a row, in milliseconds.
pub const FOLD_PAUSE_MS: u64 = 1_000;

/// What events are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Transactions that come and what becomes of them.
    Gossip,
    /// Blocks, reorganisations, sync.
    Blocks,
    /// Nodes that are found, come and go.
    Peers,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gossip, Self::Blocks, Self::Peers];

    /// As it is typed.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gossip => "gossip",
            Self::Blocks => "blocks",
            Self::Peers => "peers",
        }
    }
}

/// What an event is about; none for what is always told.
#[must_use]
pub const fn topic(event: &Event) -> Option<Topic> {
    match event {
        Event::Started(_) | Event::Warning { .. } | Event::Stopped { .. } => None,
        Event::PeerFound { .. }
        | Event::PeerConnected { .. }
        | Event::PeerNamed { .. }
        | Event::PeerDisconnected { .. } => Some(Topic::Peers),
        Event::TransactionAccepted { .. } | Event::TransactionRejected { .. } => Some(Topic::Gossip),
        Event::Mined { .. }
        | Event::BlockConnected { .. }
        | Event::BlockDisconnected { .. }
        | Event::BlockStored { .. }
        | Event::BlockRejected { .. }
        | Event::Reorganized { .. }
        | Event::SyncStarted { .. }
        | Event::SyncProgress { .. }
        | Event::SyncFinished { .. } => Some(Topic::Blocks),
    }
}

/// What a row of events is counted as; none for those that are never folded.
const fn row_of(event: &Event) -> Option<&'static str> {
    match event {
        Event::TransactionAccepted { .. } => Some("transactions"),
        Event::TransactionRejected { .. } => Some("refused transactions"),
        Event::BlockConnected { .. } | Event::SyncProgress { .. } => Some("blocks"),
        Event::BlockDisconnected { .. } => Some("blocks taken out"),
        Event::BlockStored { .. } => Some("blocks on side branches"),
        Event::BlockRejected { .. } => Some("refused blocks"),
        Event::PeerFound { .. } => Some("nodes found"),
        Event::Started(_)
        | Event::PeerConnected { .. }
        | Event::PeerNamed { .. }
        | Event::PeerDisconnected { .. }
        | Event::Mined { .. }
        | Event::Reorganized { .. }
        | Event::SyncStarted { .. }
        | Event::SyncFinished { .. }
        | Event::Warning { .. }
        | Event::Stopped { .. } => None,
    }
}

/// `watch` and `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Telling {
    /// `watch` alone.
    Ask,
    /// Only these topics; none is `watch off`.
    Watch(Vec<Topic>),
    /// The log's level.
    Log(&'static str),
}

/// The data of `watch` and `log`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TellingReply {
    /// The topics that are told in words.
    pub watching: Vec<&'static str>,
    /// The log's level, or what `--log` said.
    pub log: String,
}

/// The answer in words.
#[must_use]
pub fn telling_text(reply: &TellingReply) -> String {
    let topics = if reply.watching.is_empty() {
        "nothing but warnings".to_owned()
    } else {
        reply.watching.join(", ")
    };
    format!("told: {topics}\nlog: {}", reply.log)
}

/// What becomes of an event's line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// A line that ends a row, to be told before.
    pub before: Option<String>,
    /// Whether the event is told.
    pub told: bool,
    /// A row is being folded: [`Watch::pause`] is to be asked after a pause.
    pub folding: bool,
}

/// What is told, and the row under way.
#[derive(Clone, Debug)]
pub struct Watch {
    topics: Vec<Topic>,
    row: Option<(&'static str, u64)>,
    last_ms: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            topics: Topic::ALL.to_vec(),
            row: None,
            last_ms: 0,
        }
    }
}

impl Watch {
    /// Tells only these from now on.
    pub fn set(&mut self, topics: &[Topic]) {
        self.topics = Topic::ALL.into_iter().filter(|topic| topics.contains(topic)).collect();
    }

    /// The words of what is told.
    #[must_use]
    pub fn words(&self) -> Vec<&'static str> {
        self.topics.iter().map(|topic| topic.word()).collect()
    }

    /// Judges an event that came at a time.
    pub fn judge(&mut self, event: &Event, now_ms: u64) -> Verdict {
        if topic(event).is_some_and(|topic| !self.topics.contains(&topic)) {
            return Verdict::default();
        }
        let kind = row_of(event);
        let goes_on = now_ms.saturating_sub(self.last_ms) < FOLD_PAUSE_MS;
        self.last_ms = now_ms;
        match (&mut self.row, kind) {
            (Some((row, count)), Some(kind)) if *row == kind && goes_on => {
                *count += 1;
                let folding = *count > FOLD_AFTER;
                Verdict {
                    before: None,
                    told: !folding,
                    folding,
                }
            }
            (_, kind) => {
                let before = self.end_row();
                self.row = kind.map(|kind| (kind, 1));
                Verdict {
                    before,
                    told: true,
                    folding: false,
                }
            }
        }
    }

    /// A pause has passed at a time: what was folded is told, unless the storm goes on.
    pub fn pause(&mut self, now_ms: u64) -> Option<String> {
        if now_ms.saturating_sub(self.last_ms) < FOLD_PAUSE_MS {
            return None;
        }
        self.end_row()
    }

    /// Whether something is folded and not told yet.
    #[must_use]
    pub fn is_folding(&self) -> bool {
        self.row.is_some_and(|(_, count)| count > FOLD_AFTER)
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
    use crate::types::{BlockHash, Height};

    fn out(height: u64) -> Event {
        Event::BlockDisconnected {
            hash: BlockHash::ZERO,
            height: Height::new(height),
        }
    }

    fn mined() -> Event {
        Event::Mined {
            hash: BlockHash::ZERO,
            height: Height::new(1),
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
        watch.set(&[Topic::Gossip]);
        assert_eq!(watch.words(), ["gossip"]);
        assert!(!watch.judge(&out(1), 0).told);
        assert!(watch.judge(&warning(), 0).told);
        watch.set(&[]);
        assert!(!watch.judge(&mined(), 0).told);
        assert!(watch.judge(&warning(), 0).told);
        watch.set(&Topic::ALL);
        assert!(watch.judge(&mined(), 0).told);
    }
}
