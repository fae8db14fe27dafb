//! The fuzz target `header`: see `lanchain::fuzzing::header`.
#![no_main]
lanchain_fuzz::target!(header);
