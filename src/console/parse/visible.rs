//! Parses the values of the commands that make the chain and the network visible.
//!
//! Promises: those of `console::parse`. Spec: `proto-notes/events.md`, "Replies".

use super::super::watch::{LEVELS, Telling, WatchTopic};
use super::{LIST_MAX, Line, PREFIX_MIN, ValueReader, echo, error};
use crate::contract::{Command, CommandError, PeerAct, PeerRef, TxRef};
use crate::types::{Height, PeerId, Txid};

/// The number of blocks for `stats` without a number.
const STATS_DEFAULT: u32 = 100;
/// The length of a `ban` without a number, in minutes.
const BAN_DEFAULT_MINUTES: u32 = 60;
/// The longest ban by a user, in minutes: a day, like the longest ban for misbehaviour.
const BAN_MAX_MINUTES: u64 = 1_440;

impl ValueReader<'_> {
    /// Parses a whole id, or a prefix of one.
    pub(super) fn tx_ref(&self, word: &str) -> Result<TxRef, CommandError> {
        if let Some(txid) = Txid::from_hex(word) {
            return Ok(TxRef::Id(txid));
        }
        let digits = word.bytes().all(|byte| byte.is_ascii_hexdigit());
        if digits && (PREFIX_MIN..64).contains(&word.len()) {
            return Ok(TxRef::Prefix(word.to_ascii_lowercase()));
        }
        let message = format!(
            "\"{}\" is no transaction id: that is 64 hex digits, or at least the first {PREFIX_MIN}",
            echo(word)
        );
        Err(error("bad_argument", message, "pending"))
    }

    pub(super) fn explain(&self) -> Result<Command, CommandError> {
        let Some((what, values)) = self.values.split_first() else {
            return Err(self.missing());
        };
        let what = what.to_ascii_lowercase();
        if what != "block" && what != "transaction" {
            let message = format!("\"{}\" is neither block nor transaction", echo(&what));
            return Err(self.bad("bad_argument", message));
        }
        let value = match values {
            [] => return Err(self.missing()),
            [value] => *value,
            _ => return Err(self.too_many()),
        };
        if what == "block" {
            self.block(value).map(Command::ExplainBlock)
        } else {
            self.tx_ref(value).map(Command::ExplainTransaction)
        }
    }

    pub(super) fn tamper(&self) -> Result<Command, CommandError> {
        let height = self.number("the height", self.one()?, 0, u64::MAX)?;
        Ok(Command::Tamper(Height::new(height)))
    }

    pub(super) fn stats(&self) -> Result<Command, CommandError> {
        let count = self.optional()?;
        let count = count.map_or(Ok(STATS_DEFAULT), |word| self.small("the number", word, 1, LIST_MAX));
        count.map(Command::Stats)
    }

    pub(super) fn peer_act(&self) -> Result<Command, CommandError> {
        let (word, minutes) = match (self.values.as_slice(), self.command.word) {
            ([], _) => return Err(self.missing()),
            ([word], _) => (*word, BAN_DEFAULT_MINUTES),
            ([word, minutes], "ban") => (*word, self.small("the number of minutes", minutes, 1, BAN_MAX_MINUTES)?),
            _ => return Err(self.too_many()),
        };
        let act = match self.command.word {
            "drop" => PeerAct::Drop,
            "ban" => PeerAct::Ban { minutes },
            _ => PeerAct::Unban,
        };
        Ok(Command::Peer {
            peer: self.peer(word)?,
            act,
        })
    }

    /// Parses a PeerId, the end of one as it is displayed, or a name.
    fn peer(&self, word: &str) -> Result<PeerRef, CommandError> {
        if let Ok(peer) = word.parse::<PeerId>() {
            return Ok(PeerRef::Id(peer));
        }
        let end = word.trim_start_matches(['…', '(']).trim_end_matches([')', '?']);
        let fits = end
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if end.is_empty() || !fits {
            let message = format!("\"{}\" is no name and no PeerId or end of one", echo(word));
            return Err(error("bad_argument", message, "peers"));
        }
        Ok(PeerRef::Text(end.to_owned()))
    }

    pub(super) fn watch(&self) -> Result<Line, CommandError> {
        if self.values.is_empty() {
            return Ok(Line::Telling(Telling::Ask));
        }
        let mut topics = Vec::new();
        for word in &self.values {
            match word.to_ascii_lowercase().as_str() {
                "all" => topics.extend(WatchTopic::ALL),
                "off" => {}
                other => match WatchTopic::ALL.into_iter().find(|topic| topic.word() == other) {
                    Some(topic) => topics.push(topic),
                    None => {
                        let message = format!("\"{}\" is none of gossip, blocks, peers, all, off", echo(word));
                        return Err(self.bad("bad_argument", message));
                    }
                },
            }
        }
        Ok(Line::Telling(Telling::Watch(topics)))
    }

    pub(super) fn log(&self) -> Result<Line, CommandError> {
        let word = self.one()?.to_ascii_lowercase();
        let level = LEVELS.into_iter().find(|level| **level == *word);
        let level = level.ok_or_else(|| {
            let message = format!("\"{}\" is none of {}", echo(&word), LEVELS.join(", "));
            self.bad("bad_argument", message)
        })?;
        Ok(Line::Telling(Telling::Log(level)))
    }
}
