//! The fuzz target `address`: see `lanchain::fuzzing::address`.
#![no_main]
lanchain_fuzz::target!(address);
