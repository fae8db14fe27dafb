//! The fuzz target `console_input`: see `lanchain::fuzzing::console_input`.
#![no_main]
lanchain_fuzz::target!(console_input);
