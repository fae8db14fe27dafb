//! The fuzz target `gossip_block`: see `lanchain::fuzzing::gossip_block`.
#![no_main]
lanchain_fuzz::target!(gossip_block);
