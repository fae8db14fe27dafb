//! lanchain: a blockchain node for the local network.

pub mod chain;
pub mod cli;
pub mod console;
pub mod engine;
pub mod miner;
pub mod net;
pub mod node;
pub mod store;
pub mod types;
pub mod wire;
