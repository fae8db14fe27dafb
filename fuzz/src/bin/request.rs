//! The fuzz target `request`: see `lanchain::fuzzing::request`.
#![no_main]
lanchain_fuzz::target!(request);
