//! The three forms of a result: a JSON line, words for people, and the same two for events.
//!
//! Spec: `proto-notes/events.md`.

pub use super::draw::reply as drawn_reply;
pub use super::human::{banner, blocks_end, escape, human_block, human_error, human_help, human_reply, search};
pub use super::json::{
    HelpReply, QuitReply, attached, close_data, close_reply, events_dropped, further_block, json_data, json_error,
    json_event, json_reply, open_data, open_reply, plain, with_text,
};
pub use super::narrate::{Narrator, human_event};
pub use super::page::where_it_is;
