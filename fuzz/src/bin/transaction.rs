//! The fuzz target `transaction`: see `lanchain::fuzzing::transaction`.
#![no_main]
lanchain_fuzz::target!(transaction);
