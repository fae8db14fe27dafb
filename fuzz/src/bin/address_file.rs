//! The fuzz target `address_file`: see `lanchain::fuzzing::address_file`.
#![no_main]
lanchain_fuzz::target!(address_file);
