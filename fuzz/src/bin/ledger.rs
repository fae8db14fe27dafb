//! The fuzz target `ledger`: see `lanchain::fuzzing::ledger`.
#![no_main]
lanchain_fuzz::target!(ledger);
