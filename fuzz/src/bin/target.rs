//! The fuzz target `target`: see `lanchain::fuzzing::target`.
#![no_main]
lanchain_fuzz::target!(target);
