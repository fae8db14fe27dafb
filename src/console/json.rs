//! Replies and events as JSON lines, without the end of the line.
//!
//! Promises: each is one line, whatever text it contains; the keys have the order of the contract; characters that
//! deceive a reader at a terminal are escaped.
//! Spec: `proto-notes/events.md`.

use serde::Serialize;

use crate::contract::{BlockView, CommandError, Event, EventStamp, NodeStatus, Reply, RunId};
use crate::types::text::is_deceptive;

/// The contract version that every line carries.
pub const VERSION: u8 = 1;

/// The data of the reply to `help`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HelpReply {
    /// The help text, with LF between its lines.
    pub text: String,
}

/// The data of the reply to `quit`: an empty object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QuitReply {}

#[derive(Serialize)]
struct ReplyLine<'a, R> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    line: u64,
    command: Option<&'a str>,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a R>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a CommandError>,
}

/// The line of a reply. `R` is [`crate::contract::Reply`], [`HelpReply`] or [`QuitReply`].
#[must_use]
pub fn json_reply<R: Serialize>(line: u64, word: Option<&str>, result: &Result<R, CommandError>) -> String {
    let reply = ReplyLine {
        v: VERSION,
        kind: "reply",
        line,
        command: word,
        ok: result.is_ok(),
        data: result.as_ref().ok(),
        error: result.as_ref().err(),
    };
    let line = serde_json::to_string(&reply).expect("replies have text keys and writing to memory does not fail");
    plain(line)
}

/// The data of a reply alone.
#[must_use]
pub fn json_data(reply: &Reply) -> String {
    plain(serde_json::to_string(reply).expect("replies have text keys and writing to memory does not fail"))
}

/// The line of a reply with the words of it beside its data, in the key `text`.
#[must_use]
pub fn with_text(mut line: String, words: &str) -> String {
    line.pop();
    let words = serde_json::to_string(words).expect("writing to memory does not fail");
    line.push_str(&format!(",\"text\":{}}}", plain(words)));
    line
}

/// An error alone: `{"error": …}`.
#[must_use]
pub fn json_error(error: &CommandError) -> String {
    plain(serde_json::json!({ "error": error }).to_string())
}

/// The data of a reply up to its last block, as [`open_reply`].
#[must_use]
pub fn open_data(reply: &Reply) -> Option<String> {
    open(reply, json_data(reply), CLOSES_DATA)
}

/// The end of open data.
#[must_use]
pub const fn close_data() -> &'static str {
    CLOSES_DATA
}

/// The end of data whose last value is a list of blocks.
const CLOSES_DATA: &str = "]}";
/// The end of the line of a reply whose last value is a list of blocks.
const AFTER_BLOCKS: &str = "]}}";

/// The line of a reply up to its last block, if its data end with blocks. The caller then writes further blocks and the
/// end.
#[must_use]
pub fn open_reply(line: u64, word: Option<&str>, reply: &Reply) -> Option<String> {
    open(reply, json_reply(line, word, &Ok(reply)), AFTER_BLOCKS)
}

/// A text without its end, if that is the end of a list of blocks.
fn open(reply: &Reply, mut text: String, end: &str) -> Option<String> {
    let ends_with_blocks = matches!(reply, Reply::Chain { .. } | Reply::Mined { .. });
    let open = text.strip_suffix(end).filter(|_| ends_with_blocks)?.len();
    text.truncate(open);
    Some(text)
}

/// A further block of an open reply, with the comma before it.
#[must_use]
pub fn further_block(block: &BlockView) -> String {
    let block = serde_json::to_string(block).expect("blocks have text keys and writing to memory does not fail");
    format!(",{}", plain(block))
}

/// The end of an open reply.
#[must_use]
pub const fn close_reply() -> &'static str {
    AFTER_BLOCKS
}

/// Escapes all characters that would hide or reorder others on a terminal. In JSON they can only be inside strings.
#[must_use]
pub fn plain(json: String) -> String {
    if !json.chars().any(is_deceptive) {
        return json;
    }
    let mut safe = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if is_deceptive(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// The line of an event: its name, its time, and its fields.
#[derive(Serialize)]
struct EventLine<'a, F> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    event: &'a str,
    time_ms: u64,
    run: RunId,
    seq: u64,
    #[serde(flatten)]
    fields: F,
}

/// The line of an event with this name and these fields.
fn event_line(event: &str, stamp: EventStamp, fields: impl Serialize) -> String {
    let EventStamp { time_ms, run, seq } = stamp;
    let line = EventLine {
        v: VERSION,
        kind: "event",
        event,
        time_ms,
        run,
        seq,
        fields,
    };
    plain(serde_json::to_string(&line).expect("events have text keys and writing to memory does not fail"))
}

/// The line of an event.
#[must_use]
pub fn json_event(event: &Event, stamp: EventStamp) -> String {
    event_line(event.name(), stamp, event)
}

/// The first line for a client that attaches to a running node: the fields of `started`, and the number of the last
/// event.
#[must_use]
pub fn attached(status: &NodeStatus, stamp: EventStamp) -> String {
    event_line("attached", stamp, status)
}

/// The line in the place of dropped events: a warning, with their number also in the key `count`. It is stamped as the
/// last of them.
#[must_use]
pub fn events_dropped(count: u64, stamp: EventStamp) -> String {
    #[derive(Serialize)]
    struct Dropped {
        #[serde(flatten)]
        warning: Event,
        count: u64,
    }
    let warning = Event::Warning {
        code: "events_dropped",
        message: format!("{count} events were dropped: the output is not read fast enough"),
    };
    event_line(warning.name(), stamp, &Dropped { warning, count })
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
