//! The fuzz target `work`: see `lanchain::fuzzing::work`.
#![no_main]
lanchain_fuzz::target!(work);
