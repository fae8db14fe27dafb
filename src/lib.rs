//! lanchain: a blockchain node for the local network.

pub mod miner;
