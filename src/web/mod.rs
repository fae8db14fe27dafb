//! The page that a node serves: HTTP on one address, with the node's events as a stream and its commands as requests.
//!
//! ```text
//! browser ─ GET /events ───────> feed <── ring <── events of the node
//!         ─ GET /api/WORD ──┐
//!         ─ POST /api/command ─> api ──> Commands (the node's hub: one session for each command)
//! ```
//!
//! Promises: nobody gets in whom `guard` does not let in; no answer holds the token; whoever reads slowly holds up only
//! itself; all ends with the node's stop.
//! Elsewhere: what commands do (`engine`), sessions (`node::session`), the page itself (`src/web/page/`).
//! Spec: `proto-notes/web.md`.

mod api;
mod feed;
pub mod guard;
pub mod hidden;
mod page;
pub mod ring;
mod routes;
mod server;
mod setup;
#[cfg(test)]
mod tests;

pub use guard::Token;
pub use ring::Ring;
pub use server::Server;
pub use setup::{Commands, Form, PIECES_AHEAD, PORT, Piece, REQUEST_MAX, Running, Setup, bind, bind_default};
