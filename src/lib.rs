//! lanchain: a blockchain node for the local network.

pub mod chain;
pub mod types;
