//! The fuzz target `rate_limits`: see `lanchain::fuzzing::rate_limits`.
#![no_main]
lanchain_fuzz::target!(rate_limits);
