//! The fuzz target `block`: see `lanchain::fuzzing::block`.
#![no_main]
lanchain_fuzz::target!(block);
