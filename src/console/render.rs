//! The three views of one result: a JSON line, words for people, and the same for events.
//!
//! Spec: `proto-notes/events.md`.

pub use super::draw::reply as drawn_reply;
pub use super::human::{banner, escape, human_error, human_help, human_reply, search};
pub use super::json::{HelpReply, QuitReply, events_dropped, json_event, json_reply, plain};
pub use super::narrate::{Narrator, human_event};
