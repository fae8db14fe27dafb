//! The fuzz target `overlay`: see `lanchain::fuzzing::overlay`.
#![no_main]
lanchain_fuzz::target!(overlay);
