//! Tests of ledger, branches and mempool, with blocks mined at the floor.

mod kit;

mod branch;
mod ledger;
mod pool;
mod properties;
