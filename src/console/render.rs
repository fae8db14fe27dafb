//! The three forms of a result: a JSON line, words for people, and the same two for events.
//!
//! Spec: `proto-notes/events.md`.

pub use super::draw::reply as drawn_reply;
pub use super::human::{banner, blocks_end, escape, human_block, human_error, human_help, human_reply, search};
pub use super::json::{
    HelpReply, QuitReply, attached, close_reply, events_dropped, further_block, json_event, json_reply, open_reply,
    plain,
};
pub use super::narrate::{Narrator, human_event};
