//! The fuzz target `store`: see `lanchain::fuzzing::store`.
#![no_main]
lanchain_fuzz::target!(store, panics: caught);
