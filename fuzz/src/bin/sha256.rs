//! The fuzz target `sha256`: see `lanchain::fuzzing::sha256`.
#![no_main]
lanchain_fuzz::target!(sha256);
