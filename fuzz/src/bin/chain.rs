//! The fuzz target `chain`: see `lanchain::fuzzing::chain`.
#![no_main]
lanchain_fuzz::target!(chain);
