//! What the tests of all layers, the simulator and the fuzz targets share; no part of the product.
//!
//! Promises: compiled for tests and with the feature `testing` alone; no clock, no entropy, no network.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test ends where it cannot go on, and its words are in its module's head"
)]

pub mod blocks;
pub mod disk;
pub mod engines;
pub mod keys;
pub mod old_folder;
mod order;
pub mod samples;
pub mod schema;
pub mod statuses;
pub mod twin;

#[cfg(test)]
mod tests;
