//! The fuzz target `merkle`: see `lanchain::fuzzing::merkle`.
#![no_main]
lanchain_fuzz::target!(merkle);
