//! The fuzz target `network_toml`: see `lanchain::fuzzing::network_toml`.
#![no_main]
lanchain_fuzz::target!(network_toml);
