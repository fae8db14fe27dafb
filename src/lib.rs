//! lanchain: a blockchain node for the local network. A pure core and a thin shell.
//!
//! ```text
//! types <- chain <- wire <- engine      pure: told facts, gives orders; no clock, socket, disk or entropy
//!   pool     transactions that wait for a block, above the chain
//!   contract commands, replies and events as data: what everybody else knows of the engine
//!   inspect  what can be read of chain and pool, for replies
//!   store    the chain on disk          shell: each knows the core's words, none knows another;
//!   miner    the search for nonces             they meet in `node`
//!   net      peers over libp2p
//!   console  commands in, answers out
//!   web      the page that a node serves: events as a stream, commands as requests
//!   node     the threads and what goes between them; `cli` says how to start one
//!   threads  how a thread is started, and who hears of its end
//!   tools    work on a data folder without a node: export, import, verify, key, paths
//! ```
//!
//! Promises: imports point to the left and down (`tests/tidy/` holds that).
//! Spec: `proto-notes/README.md`.

// The bounds of what a test starts are in the test itself.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod chain;
pub mod cli;
pub mod console;
pub mod contract;
pub mod engine;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
#[path = "../fuzz/bodies/mod.rs"]
pub mod fuzzing;
pub mod inspect;
pub mod miner;
pub mod net;
pub mod node;
pub mod pool;
pub mod store;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod testing;
pub mod threads;
pub mod tools;
pub mod types;
#[cfg(feature = "web")]
pub mod web;
pub mod wire;
