//! Lines for clients that show words: JSON, with a text in the place of the data.
//!
//! Elsewhere: the words (`console`), lines with data (`console::render`).
//! Spec: `proto-notes/control.md`, "A session".

use serde_json::json;

use super::clock::wall;
use super::hello::Form;
use crate::console::output::Missing;
use crate::console::render;
use crate::contract::{EventStamp, NodeStatus, RunId};

/// An event's line for a client that shows words.
pub(super) fn event_in_words(name: impl AsRef<str>, time_ms: u64, text: &str) -> String {
    let name = name.as_ref();
    render::plain(json!({ "v": 1, "type": "event", "event": name, "time_ms": time_ms, "text": text }).to_string())
}

/// The first line of a session with events: where they start from.
pub(super) fn attached(form: Form, status: &NodeStatus, stamp: EventStamp) -> String {
    match form {
        Form::Json => render::attached(status, stamp),
        Form::Words => {
            let banner = render::banner(status);
            let text = format!(
                "{}\n  `detach` or Ctrl-D leaves it running, `quit` stops it",
                banner.trim_end()
            );
            event_in_words("attached", stamp.time_ms, &text)
        }
    }
}

/// The line in the place of events that were dropped.
pub(super) fn gap_line(run: RunId, missing: Missing) -> String {
    let stamp = EventStamp {
        time_ms: wall().ms(),
        run,
        seq: missing.last,
    };
    render::events_dropped(missing.count, stamp)
}

/// A reply's line for a client that shows words.
pub(super) fn reply_in_words(line: u64, word: Option<&str>, text: &str) -> String {
    render::plain(
        json!({ "v": 1, "type": "reply", "line": line, "command": word, "ok": true, "text": text }).to_string(),
    )
}
