//! The fuzz target `console_line`: see `lanchain::fuzzing::console_line`.
#![no_main]
lanchain_fuzz::target!(console_line);
