//! The fuzz target `gossip_transactions`: see `lanchain::fuzzing::gossip_transactions`.
#![no_main]
lanchain_fuzz::target!(gossip_transactions);
