//! Tests of ledger, branches and mempool, with blocks mined at the floor.

#![allow(clippy::unwrap_used, reason = "a test may end where it cannot go on")]

mod chains;
mod forms;
mod history;
mod layouts;
pub(crate) mod vectors;

mod adversary;
mod ancestor;
mod branch;
mod checks;
mod codes;
mod economy;
mod ledger;
mod limits;
mod long;
mod properties;
mod stages;
mod zip215;
