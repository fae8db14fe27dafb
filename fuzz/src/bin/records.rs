//! The fuzz target `records`: see `lanchain::fuzzing::records`.
#![no_main]
lanchain_fuzz::target!(records);
