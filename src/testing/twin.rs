//! The second implementation of layouts and ledger, slow and plain, written from `proto-notes/encoding.md` and
//! `proto-notes/consensus.md` alone: numbers, byte slices and maps.
//!
//! Promises: nothing here calls what it is held against. The simulation judges every block with it, the fuzz bodies every
//! step.

pub mod layout;
pub mod ledger;

pub type Hash = [u8; 32];
