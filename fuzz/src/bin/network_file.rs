//! The fuzz target `network_file`: see `lanchain::fuzzing::network_file`.
#![no_main]
lanchain_fuzz::target!(network_file);
