//! Tests of whole processes: the real binary, real pipes, real sockets inside network namespaces.
//!
//! Promises: no test touches the network of the machine; waiting always has a deadline and a condition.

mod contract;
mod crash;
mod discovery;
mod disk;
mod fork;
mod forms;
mod harness;
mod namespace;
mod start;
mod stops;
#[cfg(target_os = "linux")]
mod terminal;
