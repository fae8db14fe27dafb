//! The fuzz target `response`: see `lanchain::fuzzing::response`.
#![no_main]
lanchain_fuzz::target!(response);
