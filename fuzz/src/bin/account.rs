//! The fuzz target `account`: see `lanchain::fuzzing::account`.
#![no_main]
lanchain_fuzz::target!(account);
