//! The fuzz target `signature`: see `lanchain::fuzzing::signature`.
#![no_main]
lanchain_fuzz::target!(signature);
