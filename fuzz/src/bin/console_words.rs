//! The fuzz target `console_words`: see `lanchain::fuzzing::console_words`.
#![no_main]
lanchain_fuzz::target!(console_words);
