//! The fuzz target `mdns`: see `lanchain::fuzzing::mdns`.
#![no_main]
lanchain_fuzz::target!(mdns);
