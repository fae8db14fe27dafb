//! The fuzz target `engine`: see `lanchain::fuzzing::engine`.
#![no_main]
lanchain_fuzz::target!(engine);
