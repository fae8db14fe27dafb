//! The fuzz target `key_file`: see `lanchain::fuzzing::key_file`.
#![no_main]
lanchain_fuzz::target!(key_file);
