//! The fuzz target `kernels`: see `lanchain::fuzzing::kernels`.
#![no_main]
lanchain_fuzz::target!(kernels);
