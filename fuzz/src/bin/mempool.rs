//! The fuzz target `mempool`: see `lanchain::fuzzing::mempool`.
#![no_main]
lanchain_fuzz::target!(mempool);
