//! The fuzz target `compact_block`: see `lanchain::fuzzing::compact_block`.
#![no_main]
lanchain_fuzz::target!(compact_block);
